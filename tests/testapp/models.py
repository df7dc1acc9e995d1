"""Models of every shape that the verbs must handle."""

from __future__ import annotations

import uuid
from contextvars import ContextVar
from typing import Any

from django.conf import settings
from django.db import models
from simple_history.models import HistoricalRecords

from django_enterprise_repo import (
    AuditTrail,
    FilterField,
    FilterPolicy,
    Repository,
    RepositoryModel,
    RepositoryQuerySet,
    SoftDeleteModel,
    SoftDeletePolicy,
    VersionedModel,
)

from .bookings import Booking as Booking
from .columns import Columns as Columns

current_tenant: ContextVar[str | None] = ContextVar("current_tenant", default=None)


class Category(RepositoryModel):
    name = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.name


class Tag(RepositoryModel):
    label = models.CharField(max_length=30, unique=True)


class ItemRepository(Repository["Item"]):
    filters = FilterPolicy(
        fields=("id", "name", "price", "stock", "created_at", FilterField("category", path="category__name")),
        ordering=("name",),
    )


class Item(SoftDeleteModel, VersionedModel):
    """Soft-deletable and versioned, with relations: the ordinary case."""

    name = models.CharField(max_length=50)
    sku = models.CharField(max_length=20, unique=True, null=True)
    price = models.DecimalField(max_digits=8, decimal_places=2, default=1)
    stock = models.IntegerField(default=0)
    category = models.ForeignKey(Category, models.SET_NULL, null=True, blank=True, related_name="items")
    tags = models.ManyToManyField(Tag, related_name="items")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ItemRepository()

    def __str__(self) -> str:
        return self.name


class Bare(RepositoryModel):
    """No concern at all: every write is Django's, statement for statement."""

    name = models.CharField(max_length=50, unique=True)
    size = models.IntegerField(default=0)


class Plain(models.Model):
    """A manager alone, on a model whose marker is found by its name."""

    name = models.CharField(max_length=50)
    deleted_at = models.DateTimeField(null=True)

    objects = Repository["Plain"]()


class Flagged(RepositoryModel):
    """Deleted by a flag."""

    name = models.CharField(max_length=50)
    is_active = models.BooleanField(default=True)

    objects = Repository.configured(soft_delete="auto")()


class Declared(RepositoryModel):
    """Deleted by a column that only a policy can know."""

    name = models.CharField(max_length=50)
    gone_since = models.DateTimeField(null=True)
    gone_through = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    objects = Repository.configured(
        soft_delete=SoftDeletePolicy(field="gone_since", deleted_by="gone_through"),
    )()


class Audited(SoftDeleteModel, VersionedModel):
    """With a history, kept by simple-history's signals."""

    name = models.CharField(max_length=50, unique=True)
    size = models.IntegerField(default=0)
    history = HistoricalRecords(use_base_model_db=True)


class Author(SoftDeleteModel):
    """Protected by its books, restricted by its prizes, followed by nothing else."""

    name = models.CharField(max_length=50)


class Book(SoftDeleteModel):
    title = models.CharField(max_length=50)
    author = models.ForeignKey(Author, models.PROTECT, related_name="books")


class Prize(RepositoryModel):
    title = models.CharField(max_length=50)
    author = models.ForeignKey(Author, models.RESTRICT, related_name="+")


class Comment(RepositoryModel):
    """Stays when its author is soft-deleted, although it says CASCADE."""

    text = models.CharField(max_length=50)
    author = models.ForeignKey(Author, models.CASCADE, related_name="comments")


class TenantRepository(Repository["Note"]):
    def scope(self, queryset: RepositoryQuerySet[Note]) -> RepositoryQuerySet[Note]:
        return queryset.filter(tenant=current_tenant.get())


class Note(SoftDeleteModel):
    """Seen by its own tenant only."""

    tenant = models.CharField(max_length=20)
    text = models.CharField(max_length=50)

    objects = TenantRepository()


class Vehicle(VersionedModel):
    """The parent owns the version."""

    wheels = models.IntegerField(default=4)


class Car(Vehicle):
    doors = models.IntegerField(default=3)


class Animal(RepositoryModel):
    legs = models.IntegerField(default=4)


class Dog(Animal, VersionedModel):
    """The child owns the version."""

    name = models.CharField(max_length=50)


class SmallCar(Car):
    class Meta:
        proxy = True


class Seat(RepositoryModel):
    """A composite primary key."""

    pk = models.CompositePrimaryKey("row", "number")
    row = models.CharField(max_length=2)
    number = models.IntegerField()
    price = models.IntegerField(default=0)


class Token(VersionedModel):
    """A UUID primary key with a default."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=50)


class Ticket(RepositoryModel):
    """Columns that bear the names of the verbs' own parameters."""

    user = models.CharField(max_length=50, default="")
    reason = models.CharField(max_length=50, default="")
    using = models.CharField(max_length=50, default="")


class Loud(RepositoryModel):
    """Overrides what the verbs must go through."""

    name = models.CharField(max_length=50)
    saves = models.IntegerField(default=0)

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.saves += 1
        if kwargs.get("update_fields") is not None:
            kwargs["update_fields"] = {*kwargs["update_fields"], "saves"}
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        Category.objects.create(name=f"goodbye {self.name}")
        return super().delete(*args, **kwargs)


class RememberedRepository(Repository["Remembered"]):
    use_in_migrations = True


class Remembered(RepositoryModel):
    """Its repository travels into migrations."""

    name = models.CharField(max_length=50)

    objects = RememberedRepository()


class Account(SoftDeleteModel, VersionedModel):
    """With an audit trail: the ordinary case of an audited model."""

    name = models.CharField(max_length=50, unique=True)
    size = models.IntegerField(default=0)
    note = models.TextField(default="", blank=True)
    secret = models.CharField(max_length=50, default="", blank=True)
    changed_at = models.DateTimeField(auto_now=True)
    history = AuditTrail(excluded_fields=["secret"])


class Entry(RepositoryModel):
    """Audited, neither soft-deletable nor versioned, and taken along by its account."""

    account = models.ForeignKey(Account, models.CASCADE, null=True, related_name="entries")
    text = models.CharField(max_length=50)
    amount = models.IntegerField(default=0)
    double = models.GeneratedField(
        expression=models.F("amount") * 2, output_field=models.IntegerField(), db_persist=True
    )
    history = AuditTrail()


class Mention(VersionedModel):
    """Audited, and outlives the entry that it points to."""

    entry = models.ForeignKey(Entry, models.SET_NULL, null=True)
    fallback = models.ForeignKey(Category, models.SET_DEFAULT, null=True, default=None)
    history = AuditTrail()


class Ledger(models.Model):
    """A manager alone on an audited model: plain save() and delete() are Django's, recorded by signals."""

    text = models.CharField(max_length=50)
    size = models.IntegerField(default=0)
    objects = Repository["Ledger"]()
    history = AuditTrail()


class Building(VersionedModel):
    """An audited parent."""

    address = models.CharField(max_length=50)
    history = AuditTrail()


class Tower(Building):
    """An audited child of it, with a trail of its own."""

    floors = models.IntegerField(default=10)
    history = AuditTrail()


class Skyscraper(Tower):
    """A grandchild."""

    antenna = models.IntegerField(default=0)
    history = AuditTrail()


class Shop(Building):
    """Another child, with simple-history's own history. One building may be both a tower and a shop."""

    goods = models.CharField(max_length=50, default="")
    history = HistoricalRecords(use_base_model_db=True)


class Boat(RepositoryModel):
    """A parent without a history."""

    hull = models.BigAutoField(primary_key=True)
    sails = models.IntegerField(default=0)


class Houseboat(Building, Boat):
    """Of two parents: its key is that of the building, and the boat has another."""

    rooms = models.IntegerField(default=1)
    history = AuditTrail()


class Document(SoftDeleteModel):
    """A soft-deletable parent without a history."""

    title = models.CharField(max_length=50, unique=True)
    category = models.ForeignKey(Category, models.SET_NULL, null=True)


class Contract(Document):
    """Its audited child."""

    party = models.CharField(max_length=50, default="")
    history = AuditTrail()


class Vessel(models.Model):
    """A manager alone on a parent without a history."""

    name = models.CharField(max_length=50)
    objects = Repository["Vessel"]()


class Ferry(Vessel):
    """Its audited child."""

    history = AuditTrail()


class AliasedAccount(Account):
    """A proxy is its model, also in the history."""

    class Meta:
        proxy = True


class AuditedSeat(RepositoryModel):
    """A composite primary key and a trail."""

    pk = models.CompositePrimaryKey("row", "number")
    row = models.CharField(max_length=2)
    number = models.IntegerField()
    price = models.IntegerField(default=0)
    history = AuditTrail()


class Labelled(RepositoryModel):
    """A history with many-to-many rows, which only Python can make."""

    name = models.CharField(max_length=50)
    tags = models.ManyToManyField(Tag, related_name="labelled")
    history = AuditTrail(m2m_fields=[tags])


class Numbered(RepositoryModel):
    """History ids from Python where the engine has no function for them."""

    name = models.CharField(max_length=50)
    history = AuditTrail(history_id_field=models.UUIDField(default=uuid.uuid4))


class Signed(RepositoryModel):
    """A model that tells by itself who changed it."""

    name = models.CharField(max_length=50)
    signed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    history = AuditTrail()

    @property
    def _history_user(self) -> Any:
        return self.signed_by


if hasattr(models, "DB_CASCADE"):  # Django 6.1

    class Whole(RepositoryModel):
        """The database deletes its parts."""

        name = models.CharField(max_length=50)

    class Part(RepositoryModel):
        """Audited, and deleted or changed by the database itself."""

        whole = models.ForeignKey(Whole, models.DB_CASCADE, related_name="parts")
        outer = models.ForeignKey("self", models.DB_CASCADE, null=True)
        seen_by = models.ForeignKey(Whole, models.DB_SET_NULL, null=True, related_name="+")
        history = AuditTrail()
