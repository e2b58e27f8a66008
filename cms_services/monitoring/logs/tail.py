"""Entries of a service's log as they are stored, each once."""

import time
from collections import deque
from typing import Any

from sqlalchemy import func, select

from cms_services.database import AnyRow
from cms_services.extensions import db
from cms_services.monitoring.logs.models import LogEntry
from cms_services.monitoring.logs.search import Filter, conditions_of, entry_columns

_MOST_AT_ONCE = 500
# Two transactions may commit in another order than they took their ids in: so long an entry with
# a smaller id than those seen may still appear. SQLite has one writer at a time.
_LATE_SECONDS = 5.0
# As many ids back a new tail looks for those.
_LATE_IDS = 10_000


class Tail:
    """What came after an entry's id; by itself after those that are there now."""

    def __init__(self, wanted: Filter, after: int | None) -> None:
        self._wanted = wanted
        self._sent: set[int] = set()
        # The highest id of each look, and when that was.
        self._looks: deque[tuple[float, int]] = deque()
        self._late_seconds = 0.0 if db.engine.dialect.name == "sqlite" else _LATE_SECONDS
        if after is None:
            newest = _newest_id()
            self._floor = newest - (_LATE_IDS if self._late_seconds else 0)
            if self._late_seconds:
                table = LogEntry.__table__.c
                there = select(table.id).where(table.id > self._floor, *self._conditions())
                self._sent.update(db.session.scalars(there))
        else:
            self._floor = after

    def next_entries(self) -> list[AnyRow]:
        """The next of them in the order of their ids, as far as there are some."""
        if self._wanted.is_void:
            return []
        table = LogEntry.__table__.c
        conditions: list[Any] = [table.id > self._floor, *self._conditions()]
        if self._sent:
            conditions.append(table.id.not_in(self._sent))
        # Whatever is there now of others is not read again, or a tail of a quiet service would read
        # all that is written elsewhere at each look.
        newest = _newest_id()
        query = select(*entry_columns()).where(*conditions)
        rows = list(db.session.execute(query.order_by(table.id).limit(_MOST_AT_ONCE)).all())
        self._sent.update(row.id for row in rows)
        self._advance(rows[-1].id if len(rows) == _MOST_AT_ONCE else newest)
        return rows

    def _conditions(self) -> list[Any]:
        conditions = conditions_of(self._wanted, by_id=True)
        if self._wanted.levels is not None:
            conditions.append(LogEntry.__table__.c.level.in_(self._wanted.levels))
        return conditions

    def _advance(self, highest: int) -> None:
        """Look no longer below what was seen long enough ago."""
        moment = time.monotonic()
        self._looks.append((moment, highest))
        while self._looks and self._looks[0][0] <= moment - self._late_seconds:
            self._floor = max(self._floor, self._looks.popleft()[1])
        self._sent = {number for number in self._sent if number > self._floor}


def _newest_id() -> int:
    return db.session.scalar(select(func.max(LogEntry.id))) or 0
