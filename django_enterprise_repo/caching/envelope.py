"""What is stored in the cache: a value that only this project could have written, for this key.

::

    "R" version  MAC (16 bytes)  length of the generation (1 byte)  generation  body

The message authentication code is a keyed BLAKE2b over key, generation and body, so a value that was made up, changed,
cut off or copied from another key is told before anything reads it. It is no secret: bodies can be read by whoever can
read the cache. And it does not know time: who can write to the cache can put back what was there before.

The key comes from ``SECRET_KEY``. Values sealed with one of ``SECRET_KEY_FALLBACKS`` are accepted, as Django accepts
sessions and signatures, so that a rotation does not empty the cache; a key that became known belongs into neither.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from hmac import compare_digest
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.crypto import salted_hmac

from .codec.errors import Undecodable

# No digit in front: backends for Redis take what looks like a number for one.
_MAGIC = b"R1"
_MAC = 16
_HEADER = len(_MAGIC) + _MAC
_SALT = "django_enterprise_repo.caching.envelope"


def seal(key: str, generation: bytes, body: bytes) -> bytes:
    """``body`` as it is stored under ``key``, tagged with a generation of at most 255 bytes.

    Raises:
        ValueError: the generation is longer.
    """
    content = bytes((len(generation),)) + generation + body
    return _MAGIC + _code(_hashers()[0], key, content) + content


def unseal(key: str, value: object) -> tuple[bytes, bytes]:
    """The generation and the body of a value found under ``key``.

    Raises:
        Undecodable: it is anything that :func:`seal` did not make for this key with a key of ours.
    """
    if not isinstance(value, bytes) or len(value) <= _HEADER or not value.startswith(_MAGIC):
        raise Undecodable("Not a sealed value.")
    code, content = value[len(_MAGIC) : _HEADER], value[_HEADER:]
    hashers = _hashers()
    if not compare_digest(code, _code(hashers[0], key, content)) and not any(
        compare_digest(code, _code(hasher, key, content)) for hasher in hashers[1:]
    ):
        raise Undecodable("A value that was not sealed for this key.")
    end = 1 + content[0]
    return content[1:end], content[end:]


def _code(hasher: Any, key: str, content: bytes) -> bytes:
    code = hasher.copy()
    code.update(key.encode() + b"\xff" + content)  # no UTF-8 has that byte, so no content passes for a part of the key
    digest: bytes = code.digest()
    return digest


@lru_cache(maxsize=1)
def _hashers() -> tuple[Any, ...]:
    """Of the present secret, and of those before it."""
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    keys = (salted_hmac(_SALT, "", secret=secret, algorithm="sha256").digest() for secret in secrets)
    return tuple(blake2b(key=key, digest_size=_MAC) for key in keys)


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting in {"SECRET_KEY", "SECRET_KEY_FALLBACKS"}:
        _hashers.cache_clear()


setting_changed.connect(_forget)
