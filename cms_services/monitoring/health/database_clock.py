"""The database's clock, which the schedule goes by: workers' own clocks may differ."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from cms_services import clock
from cms_services.extensions import db

_NOW = {
    "postgresql": "SELECT clock_timestamp() AT TIME ZONE 'UTC'",
    "mysql": "SELECT UTC_TIMESTAMP(6)",
}


class DatabaseClock:
    """Our own clock, put right by how far it was from the database's when that was last asked."""

    def __init__(self, own: Callable[[], datetime] = clock.now) -> None:
        self._own = own
        self._offset = timedelta(0)

    def now(self) -> datetime:
        """The database's time, without asking it."""
        return self._own() + self._offset

    def measure(self) -> timedelta:
        """Ask the database for its time, in the session's transaction. Returns the difference.

        SQLite has no clock of its own: all who use it are on this machine.
        """
        connection = db.session.connection()
        statement = _NOW.get(connection.dialect.name)
        if statement is not None:
            before = self._own()
            theirs = connection.scalar(text(statement)).replace(tzinfo=UTC)
            self._offset = theirs - (before + (self._own() - before) / 2)
        return self._offset
