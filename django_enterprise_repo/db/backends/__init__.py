"""Django's engines with the guard: the last part of each path goes into ``ENGINE``."""
