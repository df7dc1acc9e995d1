"""Django's own test suite with ``Repository`` as the manager of every model."""
