"""Why a row is not cached, or why what a cache holds is no row."""

from __future__ import annotations

from ...exceptions import RepositoryError


class Inexact(Exception):
    """A value that would not come back as it is. Never leaves the codec."""


class Unencodable(RepositoryError, ValueError):
    """A row has a value that would not come back exactly, so the row is not cached.

    Attributes:
        field: the model and the attribute, as ``"shop.Product.price"``.
        type_name: the type of the value; the value itself is told nowhere.
    """

    def __init__(self, field: str, type_name: str) -> None:
        self.field = field
        self.type_name = type_name
        super().__init__(field, type_name)

    def __str__(self) -> str:
        return f"{self.field} has a value of type {self.type_name} that a cache cannot hold exactly."


class Undecodable(RepositoryError, ValueError):
    """What a cache holds was not written for this key and schema, or not by this project: as good as nothing."""
