"""Django's mysql engine with the guard."""
