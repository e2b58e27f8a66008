"""The only source of the time, so that tests can set it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

_fixed: datetime | None = None


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return _fixed or datetime.now(UTC)


@contextmanager
def fixed_at(moment: datetime) -> Iterator[None]:
    """Hold the clock of this process at an aware moment. For tests and the demo."""
    global _fixed
    previous, _fixed = _fixed, moment.astimezone(UTC)
    try:
        yield
    finally:
        _fixed = previous


def to_wire(moment: datetime) -> str:
    """ISO 8601 in UTC, ending in Z: the one form in which times leave the application."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
