"""The app's entry into Django."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class EnterpriseRepoConfig(AppConfig):
    name = "django_enterprise_repo"
    label = "enterprise_repo"
    verbose_name = _("Enterprise repository")

    def ready(self) -> None:
        from .caching.cached import all_cached
        from .checks import register_checks
        from .declared import breaker_policy
        from .filtering import register_lookups
        from .observability import listening
        from .resilience import breakers

        register_lookups()
        register_checks()
        breakers.configure(breaker_policy)
        listening.start()
        if all_cached():
            from .caching import fences

            fences.start()
