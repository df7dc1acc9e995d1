"""Models of a moment, and their codecs."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.test.utils import isolate_apps

from django_enterprise_repo.caching.codec import RowCodec

#: Where a model says it comes from, so that it has an app.
MODELS = "tests.testapp.models"


def model_with(**fields: Any) -> Any:
    """A model with these fields and a key that is a number, in a registry of its own."""
    with isolate_apps("tests.testapp"):
        return type("Row", (models.Model,), {"__module__": MODELS, **fields})


def codec_with(**fields: Any) -> RowCodec:
    return RowCodec(model_with(**fields))


def round_trip(codec: RowCodec, *values: Any, timezone: Any = None) -> tuple[Any, ...]:
    """The values after the key."""
    return codec.decode(codec.encode((1, *values)), timezone)[1:]
