"""A small shop: the model that the hostile filters are thrown at."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from django_enterprise_repo import FilterField, FilterPolicy, Repository


class Category(models.Model):
    name = models.CharField(max_length=50)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)

    class Meta:
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name


class Tag(models.Model):
    label = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.label


class ProductRepository(Repository["Product"]):
    """Names that clients may filter and order by; everything else is closed."""

    filters = FilterPolicy(
        fields=(
            "id",
            "name",
            "sku",
            "price",
            "stock",
            "is_active",
            "released_on",
            "created_at",
            "uuid",
            FilterField("category", path="category__name"),
            FilterField("metadata.color", path="metadata__color", type=str),
            FilterField("metadata.a.b", path="metadata__a__b", type=int),
        ),
    )


class Product(models.Model):
    name = models.CharField(max_length=100)
    sku = models.CharField(max_length=40, unique=True)
    category = models.ForeignKey(Category, models.CASCADE)
    price = models.DecimalField(max_digits=10, decimal_places=2)
    stock = models.IntegerField()
    is_active = models.BooleanField(default=True)
    metadata = models.JSONField(default=dict)
    released_on = models.DateField(null=True)
    created_at = models.DateTimeField()
    uuid = models.UUIDField()
    rating = models.FloatField(null=True)
    tags = models.ManyToManyField(Tag, related_name="+")

    objects = ProductRepository()

    def __str__(self) -> str:
        return self.name


class AuditLog(models.Model):
    product = models.ForeignKey(Product, models.CASCADE, related_name="+")
    secret = models.CharField(max_length=50)

    def __str__(self) -> str:
        return f"log of {self.product_id}"
