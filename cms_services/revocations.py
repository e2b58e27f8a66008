"""The list of sessions that were ended before their tokens expired, as every node must know it.

The database's rows are that list, and decide. Where Redis is set, the list is kept there too, each
entry for as long as a token could be valid: an ended session is then refused without asking the
database, and at once by nodes that read from a replica of it. While Redis does not answer, or after
it lost its memory, the rows alone decide.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import cast

from flask import current_app
from redis import Redis

from cms_services.clock import now
from cms_services.shared_redis import SharedRedis

_PREFIX = "cms-services:ended-session:"


class Revocations:
    """The list in Redis, or nothing where no Redis is set."""

    def __init__(self, redis: SharedRedis) -> None:
        self._redis = redis

    def add(self, entries: Iterable[tuple[str, datetime]]) -> None:
        """Note ended sessions, each until the moment after which nothing of it could be valid."""

        def note(redis: Redis) -> None:
            with redis.pipeline(transaction=False) as pipeline:
                for session_id, until in entries:
                    seconds = int((until - now()).total_seconds()) + 1
                    if seconds > 0:
                        pipeline.set(_PREFIX + session_id, 1, ex=seconds)
                pipeline.execute()

        self._redis.ask(note, at_any_time=True)

    def holds(self, session_id: str) -> bool:
        """Whether the session is known here as ended; False leaves it to the database."""
        return bool(self._redis.ask(lambda redis: redis.exists(_PREFIX + session_id)))


def current_revocations() -> Revocations:
    """The list of the application whose context we are in."""
    return cast(Revocations, current_app.extensions["cms_services.revocations"])
