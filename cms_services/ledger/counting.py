"""Counting calls of services.php in memory, and adding them up in the database now and then.

No request waits for it or fails by it. What a process has counted in the last seconds is lost when
it is killed; told to stop, it writes it first.
"""

import atexit
import hashlib
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Literal, cast
from weakref import WeakSet

import structlog
from sqlalchemy import Table
from sqlalchemy.exc import SQLAlchemyError

from cms_services.clock import now
from cms_services.extensions import db
from cms_services.ledger.models import LegacyCalls, LegacyClient
from cms_services.upserts import add_missing, add_up

log = structlog.get_logger()

Side = Literal["here", "passed on"]
_SECONDS = 3.0
# Different callers that a process tells apart on a day; all that come later are one.
_MOST_CLIENTS = 2000


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as far as it can be told: texts of at most 64 characters, `site` 255."""

    user_id: str | None
    address: str
    agent: str
    site: str

    @property
    def id(self) -> str:
        told = "\0".join((self.user_id or "", self.address, self.agent, self.site))
        return hashlib.sha256(told.encode(errors="replace")).hexdigest()[:32]


OTHERS = Caller(None, "", "", "")

_Key = tuple[date, Caller, str, str]


class Tally:
    """What an application has counted and not written yet."""

    def __init__(
        self, context: Callable[[], AbstractContextManager[object]], *, counts: bool
    ) -> None:
        """`context` is the application's, within which its database is found."""
        self._context, self._counts = context, counts
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._pending: dict[_Key, tuple[int, datetime]] = {}
        self._timer: threading.Timer | None = None
        self._day: date | None = None
        self._clients: set[Caller] = set()
        _tallies.add(self)

    def count(self, caller: Caller, action: str, side: Side) -> None:
        """Count one call."""
        if not self._counts:
            return
        moment = now()
        with self._lock:
            key = (moment.date(), self._told_apart(caller, moment.date()), action[:64], side)
            calls, _ = self._pending.get(key, (0, moment))
            self._pending[key] = calls + 1, moment
            if self._timer is None:
                self._timer = threading.Timer(_SECONDS, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Write what is counted; where the database does not answer, the next time."""
        with self._writing:
            with self._lock:
                pending, self._pending = self._pending, {}
                if self._timer is not None:
                    self._timer.cancel()
                    self._timer = None
            if not pending:
                return
            try:
                with self._context():
                    _write(pending)
            except SQLAlchemyError:
                log.warning("calls of services.php could not be counted yet", exc_info=True)
                self._take_back(pending)

    def _told_apart(self, caller: Caller, day: date) -> Caller:
        if day != self._day:
            self._day, self._clients = day, set()
        if caller not in self._clients:
            if len(self._clients) >= _MOST_CLIENTS:
                return OTHERS
            self._clients.add(caller)
        return caller

    def _take_back(self, pending: dict[_Key, tuple[int, datetime]]) -> None:
        with self._lock:
            for key, (calls, moment) in pending.items():
                more, later = self._pending.get(key, (0, moment))
                self._pending[key] = calls + more, max(moment, later)


def _write(pending: dict[_Key, tuple[int, datetime]]) -> None:
    callers = {caller.id: caller for _, caller, _, _ in pending}
    clients = [{"id": key, **asdict(callers[key])} for key in sorted(callers)]
    calls = sorted(
        (day, caller.id, action, side, count, moment)
        for (day, caller, action, side), (count, moment) in pending.items()
    )
    names = ("day", "client_id", "action", "side", "calls", "last_at")
    with db.engine.connect().execution_options(writes=True) as connection, connection.begin():
        add_missing(connection, cast(Table, LegacyClient.__table__), clients)
        add_up(
            connection,
            cast(Table, LegacyCalls.__table__),
            [dict(zip(names, row, strict=True)) for row in calls],
            greatest=("last_at",),
        )


_tallies: "WeakSet[Tally]" = WeakSet()


@atexit.register
def _flush_all() -> None:
    """A web process that stops ends its threads first, so that all is counted by now."""
    for tally in list(_tallies):
        with suppress(Exception):
            tally.flush()
