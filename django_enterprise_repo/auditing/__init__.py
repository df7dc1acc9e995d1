"""The bridge to django-simple-history."""
