"""The models that the examples of the documentation use."""

from __future__ import annotations

from django.db import models

from django_enterprise_repo import (
    AuditTrail,
    FilterField,
    FilterPolicy,
    Repository,
    RepositoryModel,
    SoftDeleteModel,
    VersionedModel,
)


class Category(RepositoryModel):
    name = models.CharField(max_length=50, unique=True)

    class Meta(RepositoryModel.Meta):
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name


class ProductRepository(Repository["Product"]):
    filters = FilterPolicy(
        fields=(
            "name",
            "price",
            "stock",
            "released_on",
            FilterField("category", path="category__name"),
            FilterField("attributes.color", path="attributes__color", type=str),
        )
    )


class Product(SoftDeleteModel, VersionedModel):
    name = models.CharField(max_length=100)
    price = models.DecimalField(max_digits=10, decimal_places=2)
    stock = models.PositiveIntegerField(default=0)
    released_on = models.DateField(null=True, blank=True)
    category = models.ForeignKey(Category, models.PROTECT, null=True, related_name="products")
    attributes = models.JSONField(default=dict, blank=True)

    objects = ProductRepository()
    history = AuditTrail()

    def __str__(self) -> str:
        return self.name
