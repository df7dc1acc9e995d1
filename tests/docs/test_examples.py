"""Every Python example of the README and the docs runs, and prints what the page says it prints."""

from __future__ import annotations

import doctest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser, SkipParser

from testproject.catalog import models as catalog
from testproject.flights.demo.steps import CHAPTERS

ROOT = Path(__file__).resolve().parent.parent.parent
TUTORIAL = ROOT / "docs" / "tutorial"

PAGES = [ROOT / "README.md", *(page for page in sorted((ROOT / "docs").rglob("*.md")) if TUTORIAL not in page.parents)]

_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


@pytest.fixture
def _forget_models() -> Iterator[None]:
    """Models that an example defines have no table and must not outlive it."""
    registered = dict(apps.all_models["catalog"])
    yield
    for name in apps.all_models["catalog"].keys() - registered.keys():
        del apps.all_models["catalog"][name]
    apps.clear_cache()


@pytest.fixture
def names() -> dict[str, Any]:
    """What the examples take as given: the catalog's models, some rows, and somebody who acts."""
    books = catalog.Category.objects.add(catalog.Category(name="Books"))
    electronics = catalog.Category.objects.add(catalog.Category(name="Electronics"))
    rows = (
        ("Laptop", "1499.00", 7, electronics, {"color": "silver"}),
        ("Laptop sleeve", "19.90", 120, electronics, {"color": "red"}),
        ("Headphones", "249.00", 0, electronics, {"color": "black"}),
        ("Django for the impatient", "39.00", 3, books, {}),
    )
    for name, price, stock, category, attributes in rows:
        product = catalog.Product(name=name, price=price, stock=stock, category=category, attributes=attributes)
        catalog.Product.objects.add(product)
    user = get_user_model()._default_manager.create_user("ada")  # type: ignore[attr-defined]
    return {"Category": catalog.Category, "Product": catalog.Product, "user": user}


@pytest.mark.usefixtures("_forget_models")
@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_examples_of_a_page_hold(page: Path, names: dict[str, Any]) -> None:
    document = Sybil(parsers=[PythonCodeBlockParser(doctest_optionflags=_FLAGS), SkipParser()]).parse(page)
    document.namespace.update(names, __name__=catalog.__name__)  # where the models of an example belong

    for example in document.examples():
        example.evaluate()


def test_the_readme_shows_every_step_of_the_demo() -> None:
    readme = (ROOT / "README.md").read_text()

    missing = [title for _, steps in CHAPTERS for title, _, _ in steps if f"\n{title} " not in readme]

    assert not missing
