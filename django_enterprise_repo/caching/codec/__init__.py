"""Rows as bytes, and back: exactly what ``Model.from_db`` was given, or nothing."""

from __future__ import annotations

from .errors import Undecodable, Unencodable
from .fields import unsupported_fields
from .rows import RowCodec, register_field, row_codec

__all__ = ["RowCodec", "Undecodable", "Unencodable", "register_field", "row_codec", "unsupported_fields"]
