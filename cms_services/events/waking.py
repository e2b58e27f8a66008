"""Telling those who follow events that there are new ones, so that they needn't wait for a look.

Within the process by itself, and over all nodes by Redis where that is set. Nothing depends on
it: followers look into the database every second anyway.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, cast

import structlog
from flask import current_app
from redis import Redis, RedisError
from sqlalchemy import event
from sqlalchemy.orm import Session

from cms_services.events.models import Event

log = structlog.get_logger()

_CHANNEL = "cms-services:events"
_TIMEOUT_SECONDS = 1
# After a failure Redis is left alone for so long.
_PAUSE_SECONDS = 5.0
_MARK = "has_events"


class Bell:
    """Rung when events were committed. Whoever listens is called in some thread."""

    def __init__(self, redis_url: str | None) -> None:
        self._listeners: list[Callable[[], None]] = []
        self._redis_url = redis_url
        self._redis = self._connected(_TIMEOUT_SECONDS) if redis_url else None
        self._quiet_until = 0.0
        self._lock = threading.Lock()
        self._hears_redis = False

    def ring(self) -> None:
        """Wake the listeners of this process, and by Redis those of all."""
        if self._redis is not None and time.monotonic() >= self._quiet_until:
            try:
                self._redis.publish(_CHANNEL, b"")
            except RedisError:
                self._quiet_until = time.monotonic() + _PAUSE_SECONDS
            else:
                if self._hears_redis:
                    return
        self._tell()

    def listen(self, listener: Callable[[], None]) -> None:
        """Have something called whenever there are new events, from now on."""
        with self._lock:
            self._listeners.append(listener)
            if self._redis_url is not None and len(self._listeners) == 1:
                threading.Thread(target=self._hear, name="events-bell", daemon=True).start()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    def _hear(self) -> None:
        while True:
            try:
                with self._connected(None) as redis, redis.pubsub() as messages:
                    messages.subscribe(_CHANNEL)
                    for message in messages.listen():
                        if message["type"] == "message":
                            self._tell()
                        else:
                            self._hears_redis = True
            except RedisError as error:
                self._hears_redis = False
                log.warning("redis does not answer; events are looked for", reason=str(error))
                time.sleep(_PAUSE_SECONDS)

    def _connected(self, timeout: float | None) -> Redis:
        assert self._redis_url is not None
        return Redis.from_url(
            self._redis_url, socket_timeout=timeout, socket_connect_timeout=_TIMEOUT_SECONDS
        )


def current_bell() -> Bell:
    """The bell of the application whose context we are in."""
    return cast(Bell, current_app.extensions["cms_services.bell"])


@event.listens_for(Session, "after_flush")
def _note_events(session: Session, _: Any) -> None:
    if any(isinstance(each, Event) for each in session.new):
        session.info[_MARK] = True


@event.listens_for(Session, "after_commit")
def _ring(session: Session) -> None:
    if session.info.pop(_MARK, False):
        current_bell().ring()


@event.listens_for(Session, "after_soft_rollback")
def _forget(session: Session, _: Any) -> None:
    session.info.pop(_MARK, None)
