"""Telling those who follow events that there are new ones, so that they needn't wait for a look.

Within the process by itself, and over all nodes by Redis where that is set. Nothing depends on
it: followers look into the database every second anyway.
"""

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import structlog
from flask import current_app
from redis import Redis, RedisError
from sqlalchemy import event
from sqlalchemy.orm import Session

from cms_services.extensions import db

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
        self._redis = _connected(redis_url, _TIMEOUT_SECONDS) if redis_url else None
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
                hear = partial(self._hear, self._redis_url)
                threading.Thread(target=hear, name="events-bell", daemon=True).start()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    def _hear(self, redis_url: str) -> None:
        while True:
            try:
                with _connected(redis_url, None) as redis, redis.pubsub() as messages:
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


def _connected(redis_url: str, timeout: float | None) -> Redis:
    return Redis.from_url(
        redis_url, socket_timeout=timeout, socket_connect_timeout=_TIMEOUT_SECONDS
    )
