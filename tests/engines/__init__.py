"""Engines of other packages with the guard put before them, as a project would do it."""
