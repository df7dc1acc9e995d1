"""Installing this app is what switches the ledger on."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LedgerConfig(AppConfig):
    name = "django_enterprise_repo.ledger"
    label = "enterprise_repo_ledger"
    verbose_name = _("Operation ledger")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from ..writing import operation_ledger

        operation_ledger.keep_in(self.get_model("Operation"))
