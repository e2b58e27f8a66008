"""The list of sessions that were ended before their tokens expired, as every node must know it.

The database's rows are that list, and decide. Where Redis is set, the list is kept there too, each
entry for as long as a token could be valid: an ended session is then refused without asking the
database, and at once by nodes that read from a replica of it. While Redis does not answer, or after
it lost its memory, the rows alone decide.
"""

import time
from collections.abc import Iterable
from datetime import datetime
from typing import cast

import structlog
from flask import current_app
from redis import Redis, RedisError

from cms_services.clock import now

log = structlog.get_logger()

_PREFIX = "cms-services:ended-session:"
_TIMEOUT_SECONDS = 1
# After a failure Redis is not asked again for so long, so that requests don't each wait for it.
_PAUSE_SECONDS = 5.0


class Revocations:
    """The list in Redis, or nothing where no Redis is set."""

    def __init__(self, redis_url: str | None) -> None:
        self._redis = (
            Redis.from_url(
                redis_url,
                socket_timeout=_TIMEOUT_SECONDS,
                socket_connect_timeout=_TIMEOUT_SECONDS,
            )
            if redis_url
            else None
        )
        self._quiet_until = 0.0

    def add(self, entries: Iterable[tuple[str, datetime]]) -> None:
        """Note ended sessions, each until the moment after which nothing of it could be valid."""
        if self._redis is None:
            return
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                for session_id, until in entries:
                    seconds = int((until - now()).total_seconds()) + 1
                    if seconds > 0:
                        pipeline.set(_PREFIX + session_id, 1, ex=seconds)
                pipeline.execute()
        except RedisError as error:
            self._pause(error)

    def holds(self, session_id: str) -> bool:
        """Whether the session is known here as ended; False leaves it to the database."""
        if self._redis is None or time.monotonic() < self._quiet_until:
            return False
        try:
            return bool(self._redis.exists(_PREFIX + session_id))
        except RedisError as error:
            self._pause(error)
            return False

    def _pause(self, error: RedisError) -> None:
        log.warning("redis does not answer; the database tells ended sessions", reason=str(error))
        self._quiet_until = time.monotonic() + _PAUSE_SECONDS


def current_revocations() -> Revocations:
    """The list of the application whose context we are in."""
    return cast(Revocations, current_app.extensions["cms_services.revocations"])
