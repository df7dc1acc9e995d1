from django.apps import AppConfig


class StressConfig(AppConfig):
    name = "tests.stress.caching"
    label = "stress"
    default_auto_field = "django.db.models.BigAutoField"
