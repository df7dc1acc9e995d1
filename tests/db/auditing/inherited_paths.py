"""Ways to change rows that several models share, each with the history rows that it must leave."""

from __future__ import annotations

from typing import Any

from django.db.models import F

from tests.testapp.models import (
    Boat,
    Building,
    Category,
    Contract,
    Document,
    Ferry,
    Houseboat,
    Shop,
    Skyscraper,
    Tower,
    Vessel,
)


def first(model: Any) -> Any:
    return model._base_manager.order_by("pk").first()


def save(entity: Any, **changes: Any) -> None:
    for name, value in changes.items():
        setattr(entity, name, value)
    entity.save()


def as_child(model: Any, parent: Any, **values: Any) -> Any:
    """``parent`` with a row of a child model to be added to it."""
    child = model(**{model._meta.get_ancestor_link(type(parent)).attname: parent.pk}, **values)
    for field in parent._meta.concrete_fields:
        setattr(child, field.attname, getattr(parent, field.attname))
    return child


def one_of_each() -> list[Any]:
    """A bare building, a tower, a skyscraper, a shop and a houseboat, all with one address."""
    return [model.objects.add(model(address="x")) for model in (Building, Tower, Skyscraper, Shop, Houseboat)]


def tower_and_shop() -> None:
    """One building that is both, and another tower."""
    tower, _ = (Tower.objects.add(Tower(address="x")) for _ in range(2))
    as_child(Shop, Building.objects.get(tower.pk)).save()


def boats() -> None:
    """Two bare boats and two houseboats, whose keys as a building are others than as a boat."""
    Boat.objects.add_all([Boat(), Boat()])
    for _ in range(2):
        Houseboat.objects.add(Houseboat(address="x"))


def contracts() -> None:
    """Two contracts and a document that is none, in a category."""
    category = Category.objects.create(name="c")
    for n, model in enumerate((Contract, Document, Contract)):
        model.objects.add(model(title=str(n), category=category))


def bulk_update(model: Any, **changes: Any) -> None:
    rows = list(model.objects.order_by("pk"))
    for row in rows:
        for name, value in changes.items():
            setattr(row, name, value)
    model.objects.bulk_update(rows, list(changes))


_OF_EACH = [
    *[(Building, "~")] * 5,
    *[(Tower, "~")] * 2,
    (Skyscraper, "~"),
    (Shop, "~"),
    (Houseboat, "~"),
]

# As in test_write_paths: name, what is there before, the write, and the history rows, as (model, kind).
INHERITED: list[tuple[str, Any, Any, list[tuple[Any, str]]]] = [
    (
        "parent of a child: save",
        lambda: Tower.objects.add(Tower(address="x")),
        lambda: save(first(Building), address="y"),
        [(Building, "~"), (Tower, "~")],
    ),
    (
        "parent of a child: save some fields",
        lambda: Tower.objects.add(Tower(address="x")),
        lambda: first(Building).save(update_fields=["address"]),
        [(Building, "~"), (Tower, "~")],
    ),
    (
        "parent of a child: update",
        lambda: Tower.objects.add(Tower(address="x")),
        lambda: Building.objects.update(first(Building), address="y"),
        [(Building, "~"), (Tower, "~")],
    ),
    (
        "parent of a child: update by expression",
        lambda: Tower.objects.add(Tower(address="x")),
        lambda: Building.objects.update(first(Building), address=F("address")),
        [(Building, "~"), (Tower, "~")],
    ),
    (
        "parent of a child: update_or_create",
        lambda: Tower.objects.add(Tower(address="x")),
        lambda: Building.objects.update_or_create({"address": "y"}, address="x"),
        [(Building, "~"), (Tower, "~")],
    ),
    (
        "parent without a child: update",
        one_of_each,
        lambda: Building.objects.update(first(Building), address="y"),
        [(Building, "~")],
    ),
    ("parent: add", one_of_each, lambda: Building.objects.add(Building(address="y")), [(Building, "+")]),
    (
        "parent: add_all",
        one_of_each,
        lambda: Building.objects.add_all([Building(), Building()]),
        [(Building, "+")] * 2,
    ),
    (
        "parent: save of a new one with the key of an old one",
        lambda: Tower.objects.add(Tower(address="x")),
        lambda: Building(pk=first(Building).pk, address="y", version=1).save(),
        [(Building, "~"), (Tower, "~")],
    ),
    ("parent: update_all", one_of_each, lambda: Building.objects.update_all({"address": "x"}, address="y"), _OF_EACH),
    (
        "parent: queryset update",
        one_of_each,
        lambda: Building.objects.filter(tower__floors=10).update(address=F("address")),
        [*[(Building, "~")] * 2, *[(Tower, "~")] * 2, (Skyscraper, "~")],
    ),
    ("parent: bulk_update", one_of_each, lambda: bulk_update(Building, address="y"), _OF_EACH),
    (
        "parent: delete",
        one_of_each,
        lambda: Building.objects.filter(address="x").delete(),
        [(model, "-") for model, _ in _OF_EACH],
    ),
    (
        "parent: delete of one",
        lambda: Skyscraper.objects.add(Skyscraper(address="x")),
        lambda: Building.objects.delete(first(Building)),
        [(Building, "-"), (Tower, "-"), (Skyscraper, "-")],
    ),
    (
        "middle: save",
        lambda: Skyscraper.objects.add(Skyscraper(address="x")),
        lambda: save(first(Tower), floors=80),
        [(Building, "~"), (Tower, "~"), (Skyscraper, "~")],
    ),
    (
        "middle: update_all of its own column and its parent's",
        one_of_each,
        lambda: Tower.objects.update_all({"floors": 10}, floors=3, address="y"),
        [*[(Building, "~")] * 2, *[(Tower, "~")] * 2, (Skyscraper, "~")],
    ),
    (
        "middle: the child goes and its parents stay",
        lambda: Skyscraper.objects.add(Skyscraper(address="x")),
        lambda: first(Skyscraper).delete(keep_parents=True),
        [(Skyscraper, "-"), (Building, "~"), (Tower, "~")],
    ),
    (
        "sibling: save",
        tower_and_shop,
        lambda: save(first(Tower), address="y"),
        [(Building, "~"), (Tower, "~"), (Shop, "~")],
    ),
    (
        "sibling: update_all",
        tower_and_shop,
        lambda: Tower.objects.update_all({"address": "x"}, address="y"),
        [*[(Building, "~")] * 2, *[(Tower, "~")] * 2, (Shop, "~")],
    ),
    (
        "sibling: added to a row that is there",
        lambda: Tower.objects.add(Tower(address="x")),
        lambda: as_child(Shop, first(Building), goods="tea").save(),
        [(Building, "~"), (Tower, "~"), (Shop, "+")],
    ),
    (
        "sibling: goes and its parent stays",
        tower_and_shop,
        lambda: first(Tower).delete(keep_parents=True),
        [(Tower, "-"), (Building, "~"), (Shop, "~")],
    ),
    (
        "other key: update",
        boats,
        lambda: Boat.objects.update(Boat.objects.order_by("-pk").first(), sails=2),
        [(Houseboat, "~")],
    ),
    (
        "other key: update_all",
        boats,
        lambda: Boat.objects.update_all({"sails": 0}, sails=F("sails") + 2),
        [(Houseboat, "~")] * 2,
    ),
    (
        "other key: update of the child",
        boats,
        lambda: Houseboat.objects.update_all({"rooms": 1}, sails=3),
        [*[(Houseboat, "~")] * 2, *[(Building, "~")] * 2],
    ),
    (
        "only the child: update",
        contracts,
        lambda: Document.objects.update(first(Document), title="x"),
        [(Contract, "~")],
    ),
    (
        "only the child: queryset update",
        contracts,
        lambda: Document.objects.filter(title__lt="2").update(category=None),
        [(Contract, "~")],
    ),
    ("only the child: delete", contracts, lambda: Document.objects.delete(first(Document)), [(Contract, "~")]),
    (
        "only the child: delete_all",
        contracts,
        lambda: Document.objects.delete_all(everything=True),
        [(Contract, "~")] * 2,
    ),
    (
        "only the child: restore",
        lambda: [contracts(), Document.objects.delete(first(Document))],
        lambda: Document.objects.restore(first(Document)),
        [(Contract, "~")],
    ),
    (
        "only the child: restore_all",
        lambda: [contracts(), Document.objects.delete_all(everything=True)],
        lambda: Document.objects.restore_all(everything=True),
        [(Contract, "~")] * 2,
    ),
    (
        "only the child: hard delete",
        contracts,
        lambda: Document.objects.delete(first(Document), hard=True),
        [(Contract, "-")],
    ),
    (
        "only the child: set null by a cascade",
        contracts,
        lambda: Category.objects.filter(name="c").delete(),
        [(Contract, "~")] * 2,
    ),
    (
        "manager alone on the parent: update",
        lambda: Ferry.objects.create(name="a"),
        lambda: Vessel.objects.update(first(Vessel), name="b"),
        [(Ferry, "~")],
    ),
    (
        "manager alone on the parent: sets",
        lambda: [Ferry.objects.create(name=name) for name in "ab"],
        lambda: Vessel.objects.filter(name="a").update(name="b"),
        [(Ferry, "~")],
    ),
    (
        "only the child: related set",
        lambda: [contracts(), Category.objects.create(name="d")],
        lambda: Category.objects.get_by(name="d").document_set.set(Document.objects.all()),
        [(Contract, "~")] * 2,
    ),
]
