"""Keyset paging: pages that stay right while rows come and go, at the same cost on every page.

A cursor is the sort values of the last row seen, opaque to callers.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import orjson
from sqlalchemy import ColumnElement, and_, or_
from sqlalchemy.orm import InstrumentedAttribute

from cms_services.database import AnyRow, AnySelect
from cms_services.errors import ValidationFailed
from cms_services.extensions import db
from cms_services.wording import worded

T = TypeVar("T")


@dataclass(frozen=True)
class SortKey:
    """One column of an order. The last key of an order must be unique, and none may be null."""

    name: str
    column: ColumnElement[Any] | InstrumentedAttribute[Any]
    descending: bool = False


@dataclass(frozen=True)
class Page(Generic[T]):
    items: Sequence[T]
    limit: int
    next_cursor: str | None
    # Of the page before, where paged() is asked for it; None on the first one.
    previous_cursor: str | None = None


def paged(
    query: AnySelect,
    order: Sequence[SortKey],
    limit: int,
    cursor: str | None,
    *,
    is_before: bool = False,
) -> Page[AnyRow]:
    """One page of `query` in `order`, after `cursor`; with `is_before`, the one that ends there.

    Raises ValidationFailed for a cursor that this order did not give.
    """
    ways = [replace(key, descending=key.descending != is_before) for key in order]
    for position, key in enumerate(ways):
        query = query.add_columns(key.column.label(f"_sort_{position}"))
        query = query.order_by(key.column.desc() if key.descending else key.column.asc())
    if cursor is not None:
        query = query.where(_after(ways, position_of(cursor, order)))
    rows = db.session.execute(query.limit(limit + 1)).all()
    more = len(rows) > limit
    items = rows[:limit][::-1] if is_before else rows[:limit]
    ends = [cursor_at(order, row[-len(order) :]) for row in (items[0], items[-1])] if items else []
    # What a cursor tells of lies on its other side.
    has_previous, has_next = (more, cursor is not None) if is_before else (cursor is not None, more)
    return Page(
        items,
        limit,
        ends[1] if ends and has_next else None,
        ends[0] if ends and has_previous else None,
    )


def _after(order: Sequence[SortKey], values: Sequence[Any]) -> ColumnElement[bool]:
    """Rows strictly behind `values`: the first differing key decides."""
    alternatives = []
    for position, key in enumerate(order):
        equal = [before.column == values[i] for i, before in enumerate(order[:position])]
        beyond = key.column < values[position] if key.descending else key.column > values[position]
        alternatives.append(and_(*equal, beyond))
    return or_(*alternatives)


def _signature(order: Sequence[SortKey]) -> str:
    return ",".join(f"{'-' if key.descending else ''}{key.name}" for key in order)


def cursor_at(order: Sequence[SortKey], values: Sequence[Any]) -> str:
    """The cursor of what comes after a row with these sort values."""
    tagged = [{"t": v.isoformat()} if isinstance(v, datetime) else v for v in values]
    return base64.urlsafe_b64encode(orjson.dumps([_signature(order), tagged])).decode().rstrip("=")


def position_of(cursor: str, order: Sequence[SortKey]) -> list[Any]:
    """The sort values that a cursor was made of. Raises ValidationFailed for another order's."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        signature, tagged = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        values = [datetime.fromisoformat(v["t"]) if isinstance(v, dict) else v for v in tagged]
    except (ValueError, TypeError, KeyError, binascii.Error) as error:
        raise _wrong_cursor() from error
    if signature != _signature(order) or len(values) != len(order):
        raise _wrong_cursor()
    for value, key in zip(values, order, strict=True):
        if not _fits(value, key.column.type.python_type):
            raise _wrong_cursor()
    return values


def _fits(value: Any, expected: type) -> bool:
    if expected is datetime:
        # Ours are in UTC. Turning another one into it could leave the years there are.
        return isinstance(value, datetime) and value.utcoffset() == timedelta(0)
    if expected is int:
        return type(value) is int and abs(value) < 2**63
    return isinstance(value, expected) and "\x00" not in str(value)


def _wrong_cursor() -> ValidationFailed:
    return ValidationFailed(
        {"cursor": [worded("Send the nextCursor of the page before, with the same sort, or none.")]}
    )
