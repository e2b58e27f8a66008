"""The database's clock, which the schedule goes by: workers' own clocks may differ."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from cms_services import clock
from cms_services.extensions import db

_NOW = {
    "postgresql": "SELECT clock_timestamp() AT TIME ZONE 'UTC'",
    "mysql": "SELECT UTC_TIMESTAMP(6)",
}


# How far a clock goes from the one that nobody sets, between measurements, without being set.
_NOTABLE = timedelta(seconds=1)


class DatabaseClock:
    """Our own clock, put right by how far it was from the database's when that was last asked.

    `monotonic` is a clock in seconds that nobody sets: it tells where the others were.
    """

    def __init__(
        self,
        own: Callable[[], datetime] = clock.now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._own = own
        self._monotonic = monotonic
        self._offset = timedelta(0)
        # When by either clock the monotonic one would have begun, at the last measurement.
        self._own_start: datetime | None = None
        self._start: datetime | None = None
        self.was_set_back = False

    def now(self) -> datetime:
        """The database's time, without asking it."""
        return self._own() + self._offset

    def own_was_set(self) -> bool:
        """Whether our own clock was set since the last measurement, so that another is needed."""
        if self._own_start is None:
            return False
        return abs(self._start_of(self._own()) - self._own_start) > _NOTABLE

    def measure(self) -> timedelta:
        """Ask the database for its time, in the session's transaction. Returns the difference.

        SQLite has no clock of its own: all who use it are on this machine. `was_set_back` tells
        whether the database's clock was, since the measurement before.
        """
        connection = db.session.connection()
        statement = _NOW.get(connection.dialect.name)
        if statement is not None:
            before = self._own()
            theirs = connection.scalar(text(statement)).replace(tzinfo=UTC)
            self._offset = theirs - (before + (self._own() - before) / 2)
        own = self._own()
        start = self._start_of(own + self._offset)
        self.was_set_back = self._start is not None and start < self._start - _NOTABLE
        self._own_start, self._start = self._start_of(own), start
        return self._offset

    def _start_of(self, moment: datetime) -> datetime:
        return moment - timedelta(seconds=self._monotonic())
