"""Telling those who follow events that there are new ones, so that they needn't wait for a look.

Within the process by itself, and over all nodes by Redis where that is set. Nothing depends on
it: followers look into the database every second anyway.
"""

import threading
from collections.abc import Callable
from typing import Any, cast

from flask import current_app
from sqlalchemy import event
from sqlalchemy.orm import Session

from cms_services.extensions import db
from cms_services.shared_redis import Heard, SharedRedis

_CHANNEL = "cms-services:events"
_MARK = "has_events"


class Bell:
    """Rung when events were committed. Whoever listens is called in some thread."""

    def __init__(self, redis: SharedRedis) -> None:
        self._listeners: list[Callable[[], None]] = []
        self._redis = redis
        self._lock = threading.Lock()
        self._hears_redis = False

    def ring(self) -> None:
        """Wake the listeners of this process, and by Redis those of all."""
        reached = self._redis.ask(lambda redis: redis.publish(_CHANNEL, b""))
        if reached is None or not self._hears_redis:
            self._tell()

    def listen(self, listener: Callable[[], None]) -> None:
        """Have something called whenever there are new events, from now on."""
        with self._lock:
            self._listeners.append(listener)
            if self._redis.url is not None and len(self._listeners) == 1:
                threading.Thread(target=self._hear, name="events-bell", daemon=True).start()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    def _hear(self) -> None:
        for heard in self._redis.hear(_CHANNEL):
            self._hears_redis = heard is not Heard.LOST
            if heard is Heard.MESSAGE:
                self._tell()


def current_bell() -> Bell:
    """The bell of the application whose context we are in."""
    return cast(Bell, current_app.extensions["cms_services.bell"])


def ring_after_commit() -> None:
    """Ring it once what the session is about to write is committed."""
    db.session().info[_MARK] = True


@event.listens_for(db.session, "after_commit")
def _ring(session: Session) -> None:
    if session.info.pop(_MARK, False):
        current_bell().ring()


@event.listens_for(db.session, "after_soft_rollback")
def _forget(session: Session, _: Any) -> None:
    session.info.pop(_MARK, None)
