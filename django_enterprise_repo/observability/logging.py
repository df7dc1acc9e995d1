"""What a project's ``LOGGING`` needs of this package: correlation ids, and records as JSON.

Imported while Django configures the logging, before there are models.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from ..context import current_context

#: What every record has. The rest came by ``extra``.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
#: So deep a chain of errors is told; one that goes on is nobody's to read.
_MOST_ERRORS = 10


class CorrelationIdFilter(logging.Filter):
    """Puts the correlation id of the present context on every record, as ``correlation_id``.

    For handlers: those see the records of all loggers. A record that has one keeps it.

    Args:
        default: what stands for none.
    """

    def __init__(self, default: str | None = None) -> None:
        super().__init__()
        self.default = default

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "correlation_id"):
            record.correlation_id = current_context().correlation_id or self.default
        return True


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON: time, level, logger, event, and whatever came by ``extra``.

    Of an exception it tells the types, from the outermost to the first cause: their texts, and the lines of a
    traceback below them, may hold the values of rows. What is neither text, number nor a list or dict of such is
    told by its type.

    Args:
        with_tracebacks: print exceptions and their texts all the same.
    """

    def __init__(self, *, with_tracebacks: bool = False) -> None:
        super().__init__()
        self.with_tracebacks = with_tracebacks

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
        }
        for name, value in vars(record).items():
            if name not in _STANDARD and value is not None:
                told.setdefault(name, _plain(value))
        if record.exc_info and record.exc_info[1] is not None:
            told["exception"] = [type(error).__qualname__ for error in _chain(record.exc_info[1])]
            if self.with_tracebacks:
                told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False)


def _plain(value: Any, depth: int = 0) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)  # JSON has neither infinity nor NaN
    if isinstance(value, list | tuple | set | frozenset) and depth < 3:
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, dict) and depth < 3:
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    return f"<{type(value).__qualname__}>"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(_MOST_ERRORS):
        if error is None:
            return
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
