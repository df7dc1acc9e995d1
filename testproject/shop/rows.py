"""Seventeen products with every kind of awkward text, null and nested value."""

from __future__ import annotations

import datetime
from typing import Any
from uuid import UUID

from .models import Category, Product

NAMES = (
    "Laptop Pro",
    "laptop basic",
    "LAPTOP_X",
    "50% off laptop",
    "back\\slash",
    "Ünïcode LÄPTOP",
    "läptop",
    "tablet",
    "100_percent",
    "100xpercent",
    "STRASSE",
    "straße",
    "new\nline laptop",
    "İstanbul",
    "istanbul",
    "trail ",
    "trail",
)


def create_products(owner: Any) -> list[Product]:
    """Insert the products, in two categories that belong to ``owner``."""
    electronics = Category.objects.create(name="Electronics", owner=owner)
    toys = Category.objects.create(name="Toys", owner=owner)
    return Product.objects.add_all(
        Product(
            name=name,
            sku=f"S{number}",
            category=toys if number % 2 else electronics,
            price=10 * number,
            stock=number,
            is_active=number % 2 == 0,
            metadata={} if number % 3 == 0 else {"color": "red", "a": {"b": number}},
            released_on=None if number % 4 == 0 else datetime.date(2024, 1, 1 + number),
            created_at=datetime.datetime(2024, 1, 1 + number, tzinfo=datetime.UTC),
            uuid=UUID(int=number),
            rating=None if number % 5 == 0 else number / 2,
        )
        for number, name in enumerate(NAMES)
    )
