"""Reading a service's log: by time, level, words, attributes and trace, the newest first.

The newest entries are compared one by one first, which finds what is common. What they lack is
sought in the blocks that the full-text index names, the newest of them first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    LargeBinary,
    Select,
    and_,
    func,
    literal,
    or_,
    select,
    union_all,
)

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.database import AnyRow, lean
from cms_services.extensions import db
from cms_services.keyset import Page, SortKey, cursor_at, position_of
from cms_services.monitoring.logs.blocks import blocks_with
from cms_services.monitoring.logs.models import LogEntry
from cms_services.monitoring.logs.terms import Sought, parse_query, sought_attribute
from cms_services.monitoring.logs.volumes import entries_between
from cms_services.vocabulary import LogLevel

_ENTRIES = LogEntry.__table__.c
_COLUMNS = tuple(
    lean(_ENTRIES[name])
    for name in ("id", "at", "level", "message", "source", "attributes", "trace_id")
)
_NEWEST_FIRST = (
    SortKey("timestamp", LogEntry.at, descending=True),
    SortKey("id", LogEntry.id, descending=True),
)
# So many of the newest entries are compared before the index is asked...
_FIRST_LOOK = 2000
# ...and so many altogether where there are no more.
_WITHOUT_INDEX = 20_000

# The time and the id of an entry.
Position = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries of a service are asked for. `levels` None means all."""

    service_id: str
    levels: tuple[LogLevel, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None
    sought: tuple[Sought, ...] = ()
    trace_id: str | None = None
    # Nothing is found: words were asked for, and there are none.
    is_void: bool = False


def list_entries(
    actor: Actor,
    identifier: str,
    *,
    limit: int,
    cursor: str | None = None,
    level: LogLevel | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    q: str | None = None,
    attributes: Sequence[tuple[str, str]] = (),
    trace_id: str | None = None,
) -> Page[AnyRow]:
    """A service's entries, newest first. `level` means this level or a graver one.

    `q` has words, of which beginnings suffice, "phrases", and either to be left out behind a minus
    sign; entries have all of them in their message. `attributes` are names and values, equal to
    those of an entry.
    Raises ValidationFailed for a cursor that is not of this list.
    """
    service = load_service(actor, identifier)
    wanted = filter_of(service.id, level, since, until, q, attributes, trace_id)
    before: Position | None = None
    if cursor is not None:
        at, number = position_of(cursor, _NEWEST_FIRST)
        before = (at, number)
    rows = [] if wanted.is_void else _find(wanted, before, limit + 1)
    next_cursor = None
    if len(rows) > limit:
        next_cursor = cursor_at(_NEWEST_FIRST, _position(rows[limit - 1]))
    return Page(rows[:limit], limit, next_cursor)


def filter_of(
    service_id: str,
    level: LogLevel | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    q: str | None = None,
    attributes: Sequence[tuple[str, str]] = (),
    trace_id: str | None = None,
) -> Filter:
    """What is asked for, as list_entries() takes it."""
    words = parse_query(q) if q else []
    levels = list(LogLevel)
    return Filter(
        service_id,
        tuple(levels[levels.index(level) :]) if level and level is not levels[0] else None,
        since,
        until,
        (*words, *(sought_attribute(name, value) for name, value in attributes)),
        trace_id,
        is_void=bool(q) and not words,
    )


def conditions_of(wanted: Filter, *, by_id: bool = False) -> list[ColumnElement[bool]]:
    """The filter, but for levels, as conditions on log_entries.

    `by_id` keeps the database from going by the service's index, where ranges of ids say more.
    """
    found = [_has(sought) for sought in wanted.sought]
    service = func.coalesce(_ENTRIES.service_id, "") if by_id else _ENTRIES.service_id
    found.append(service == wanted.service_id)
    if wanted.since is not None:
        found.append(_ENTRIES.at >= wanted.since)
    if wanted.until is not None:
        found.append(_ENTRIES.at < wanted.until)
    if wanted.trace_id is not None:
        found.append(_ENTRIES.trace_id == wanted.trace_id)
    return found


def _has(sought: Sought) -> ColumnElement[bool]:
    """Whether an entry has it, or where it is excluded has it not."""
    kind = db.engine.dialect.name
    position = func.strpos if kind == "postgresql" else func.instr
    # MariaDB compares bytes twice as fast as characters, and terms are ASCII.
    asked = literal(sought.text.encode(), LargeBinary) if kind == "mysql" else sought.text
    place = position(_ENTRIES.terms, asked)
    return place == 0 if sought.is_excluded else place > 0


def entry_columns() -> tuple[ColumnElement[Any], ...]:
    """What is read of an entry, as lists read it."""
    return _COLUMNS


def _find(wanted: Filter, before: Position | None, limit: int) -> list[AnyRow]:
    conditions = conditions_of(wanted)
    if before is not None:
        conditions.append(_is_before(before))
    present = tuple(each for each in wanted.sought if not each.is_excluded)
    if not present or wanted.trace_id is not None:
        return _newest(conditions, wanted.levels, limit)
    end = _position_after(wanted, before, _FIRST_LOOK)
    if end is None:
        return _newest(conditions, wanted.levels, limit)
    rows = _newest([*conditions, _is_from(end)], wanted.levels, limit)
    if len(rows) == limit:
        return rows
    conditions.append(_is_before(end))
    levels = wanted.levels or tuple(LogLevel)
    if entries_between(wanted.service_id, levels, wanted.since, end[0]) <= _WITHOUT_INDEX:
        return rows + _newest(conditions, wanted.levels, limit - len(rows))
    return rows + _from_blocks(wanted, present, end, limit - len(rows))


def _newest(
    conditions: Sequence[ColumnElement[bool]], levels: tuple[LogLevel, ...] | None, limit: int
) -> list[AnyRow]:
    """The newest that fulfil the conditions: of each level by its own index, then of these."""
    return list(db.session.execute(_ordered(conditions, levels, _COLUMNS, limit)).all())


def _ordered(
    conditions: Sequence[ColumnElement[bool]],
    levels: tuple[LogLevel, ...] | None,
    columns: Sequence[Any],
    limit: int,
) -> Select[Any]:
    if levels is None:
        return _sorted(select(*columns).where(*conditions), _ENTRIES, limit)
    if len(levels) == 1:
        only = select(*columns).where(*conditions, _ENTRIES.level == levels[0])
        return _sorted(only, _ENTRIES, limit)
    of_each = [
        _sorted(select(*columns).where(*conditions, _ENTRIES.level == level), _ENTRIES, limit)
        for level in levels
    ]
    merged = union_all(*(select(each.subquery()) for each in of_each)).subquery()
    return _sorted(select(merged), merged.c, limit)


def _sorted(query: Select[Any], columns: Any, limit: int) -> Select[Any]:
    return query.order_by(columns.at.desc(), columns.id.desc()).limit(limit)


def _position_after(wanted: Filter, before: Position | None, number: int) -> Position | None:
    """Where the newest `number` entries end, whatever words they have; None if there are fewer."""
    by_index = Filter(wanted.service_id, None, wanted.since, wanted.until)
    conditions = conditions_of(by_index)
    if before is not None:
        conditions.append(_is_before(before))
    columns = (_ENTRIES.at, _ENTRIES.id)
    ordered = _ordered(conditions, wanted.levels, columns, number)
    row = db.session.execute(ordered.limit(1).offset(number - 1)).one_or_none()
    return None if row is None else (row.at, row.id)


def _from_blocks(
    wanted: Filter,
    present: Sequence[Sought],
    end: Position,
    limit: int,
) -> list[AnyRow]:
    """The newest before `end` in blocks that have all the terms."""
    found: list[AnyRow] = []
    conditions = [*conditions_of(wanted, by_id=True), _is_before(end)]
    if wanted.levels is not None:
        conditions.append(_ENTRIES.level.in_(wanted.levels))
    for page in blocks_with(wanted.service_id, present, wanted.since, end[0]):
        within = or_(*(_ENTRIES.id.between(block.first_id, block.last_id) for block in page))
        rows = db.session.execute(select(*_COLUMNS).where(within, *conditions)).all()
        # Other blocks' entries may have ids in between.
        known = {row.id for row in found}
        found += [row for row in rows if row.id not in known]
        found.sort(key=_position, reverse=True)
        del found[limit:]
        if len(found) == limit and _position(found[-1])[0] > page[-1].last_at:
            break
    return found


def _is_before(position: Position) -> ColumnElement[bool]:
    at, number = position
    return and_(_ENTRIES.at <= at, or_(_ENTRIES.at < at, _ENTRIES.id < number))


def _is_from(position: Position) -> ColumnElement[bool]:
    at, number = position
    return and_(_ENTRIES.at >= at, or_(_ENTRIES.at > at, _ENTRIES.id >= number))


def _position(row: Any) -> Position:
    return row.at.replace(tzinfo=UTC), row.id
