"""The time, pages of lists, and tables for spreadsheets."""

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from flask import request
from sqlalchemy import Select

from app.errors import ApiError
from app.extensions import db

_MOST_ROWS = 100
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def utc_now() -> datetime:
    """The time in UTC, without a zone: not every database keeps one."""
    return datetime.now(UTC).replace(tzinfo=None)


def to_wire(moment: datetime) -> str:
    """RFC 3339."""
    return f"{moment.isoformat(timespec='milliseconds')}Z"


def page_of(model: Any, query: Select[Any]) -> dict[str, Any]:
    """The rows of a query that the request asks for: `limit` of them, after the id `after`.

    Going on from an id costs the same on every page, and skips nothing when rows come and go.
    """
    limit, after = _number("limit", 20, _MOST_ROWS), _number("after", 0, 2**31 - 1)
    rows = db.session.scalars(query.where(model.id > after).order_by(model.id).limit(limit + 1))
    found = [row.to_document() for row in rows]
    page, more = found[:limit], len(found) > limit
    return {"items": page, "next": page[-1]["id"] if more else None}


def csv_text(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table as CSV (RFC 4180), in which no cell is a formula to a spreadsheet."""
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow(heads)
    for row in rows:
        writer.writerow([_as_cell(value) for value in row])
    return target.getvalue()


def _as_cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value


def _number(name: str, default: int, high: int) -> int:
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 11 and int(text) <= high):
        message = f"Takes a number up to {high}."
        raise ApiError(422, "VALIDATION_FAILED", f"{name}: {message}", {name: message})
    return int(text) or default
