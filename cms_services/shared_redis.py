"""The operator's Redis, for what goes on without it while it does not answer.

It is given a second to answer, and after a failure it is left alone for a while, so that requests
don't each wait for it.
"""

import time
from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import TypeVar

import structlog
from redis import Redis, RedisError

log = structlog.get_logger()

_TIMEOUT_SECONDS = 1.0
_PAUSE_SECONDS = 5.0

T = TypeVar("T")


class Heard(Enum):
    """What there is to know for who listens to a channel."""

    READY = auto()
    MESSAGE = auto()
    LOST = auto()


class SharedRedis:
    """One Redis for all nodes, where one is set.

    `without` tells the log what is so while it does not answer.
    """

    def __init__(self, url: str | None, without: str = "the database alone is asked") -> None:
        self.url = url
        self._without = without
        self._redis = _connected(url, _TIMEOUT_SECONDS) if url else None
        self._quiet_until = 0.0
        self._is_lost = False

    def ask(self, question: Callable[[Redis], T], *, at_any_time: bool = False) -> T | None:
        """What Redis answers; None where it does not, or is none, or is left alone.

        `at_any_time` asks even where it would be left alone.
        """
        if self._redis is None or (time.monotonic() < self._quiet_until and not at_any_time):
            return None
        try:
            answer = question(self._redis)
        except RedisError as error:
            self._pause(error)
            return None
        self._is_lost = False
        return answer

    def hear(self, channel: str) -> Iterator[Heard]:
        """What comes by a channel, without end. Nothing comes where there is no Redis."""
        while self.url is not None:
            try:
                with _connected(self.url, None) as redis, redis.pubsub() as messages:
                    messages.subscribe(channel)
                    for message in messages.listen():
                        is_message = message["type"] == "message"
                        yield Heard.MESSAGE if is_message else Heard.READY
            except RedisError as error:
                self._pause(error)
                yield Heard.LOST
                time.sleep(_PAUSE_SECONDS)

    def _pause(self, error: RedisError) -> None:
        # Once, not after every pause.
        if not self._is_lost:
            log.warning(f"redis does not answer; {self._without}", reason=str(error))
        self._is_lost = True
        self._quiet_until = time.monotonic() + _PAUSE_SECONDS


def _connected(url: str, timeout: float | None) -> Redis:
    return Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=_TIMEOUT_SECONDS)
