"""Django's sqlite3 engine with the guard."""
