"""Django's postgresql engine with the guard."""
