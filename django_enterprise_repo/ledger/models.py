"""One row for each operation."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from .. import auditing
from ..correlation import MAX_LENGTH


class Operation(models.Model):
    """An operation that changed audited rows: what, how many, by whom, why, and on behalf of which request.

    It is written in the transaction of the operation, so that there is no row without the changes and no change
    without the row. The changes themselves are in the histories, under the same id.
    """

    id = models.UUIDField(_("operation"), primary_key=True, editable=False)
    verb = models.CharField(_("verb"), max_length=50)
    model = models.CharField(_("model"), max_length=200)
    moment = models.DateTimeField(_("moment"), db_index=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,  # who acted stays known after the account is gone
        verbose_name=_("user"),
        null=True,
        related_name="+",
        db_constraint=False,
    )
    reason = models.TextField(_("reason"), null=True)
    correlation_id = models.CharField(_("correlation"), max_length=MAX_LENGTH, null=True, db_index=True)
    added = models.PositiveIntegerField(_("added"), default=0)
    changed = models.PositiveIntegerField(_("changed"), default=0)
    deleted = models.PositiveIntegerField(_("deleted"), default=0)
    restored = models.PositiveIntegerField(_("restored"), default=0)
    duration = models.DurationField(_("duration"), help_text=_("From its start to the moment before its commit."))

    class Meta:
        verbose_name = _("operation")
        verbose_name_plural = _("operations")
        ordering = ("-id",)  # the ids are ordered by time
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.verb} {self.model}"

    def rows(self) -> dict[type[models.Model], models.QuerySet[Any]]:
        """The history rows of this operation, by audited model; only models that have an ``AuditTrail``."""
        found: dict[type[models.Model], models.QuerySet[Any]] = {}
        for model in apps.get_models():
            table = auditing.tables.own_table(model)
            if table is None or not table.is_trail or table.model is not model:
                continue
            history: models.QuerySet[Any] = models.QuerySet(table.history, using=self._state.db)
            found[model] = history.filter(history_operation_id=self.pk).order_by("history_id")
        return found
