"""The baseline: what any subclass breaks, by not being ``Manager`` itself."""

from django.db.models.manager import Manager


class EmptyManager(Manager):  # type: ignore[type-arg]  # stands in for the unparametrised class
    """Adds nothing."""
