"""Where PHP keeps its sessions: files in a folder, or Redis by phpredis.

Both are read as they are found and never waited for: PHP holds a session's lock for as long as it
answers a request.
"""

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import structlog
from redis import Redis, ResponseError

from cms_services.setting_types import SessionFiles, SessionRedis
from cms_services.shared_redis import SharedRedis

log = structlog.get_logger()

MOST_SESSION_BYTES = 256 * 1024
# Renewing writes, so not each request does.
_RENEWED_EVERY = timedelta(minutes=1)
# PHP writes a file within one system call, or two where it gets shorter.
_WRITING_SECONDS = 2.0
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# Debian's folder may be passed through, but not listed.
_PASS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True)
class StoredSession:
    data: bytes
    # Whether it was last renewed so long ago that a request should renew it.
    is_due: bool
    # Whether PHP may have been writing it just now.
    may_be_torn: bool = False


class SessionStore(Protocol):
    """Sessions by ids that were checked to be of letters, digits, commas and hyphens."""

    def read(self, session_id: str) -> StoredSession | None:
        """The session; None where there is none, it is too old or too long, or can't be read."""

    def renew(self, session_id: str) -> None:
        """Let a session last for its lifetime from now on, unless it has ended."""


def session_store(place: SessionFiles | SessionRedis, lifetime: timedelta) -> SessionStore:
    """The store at a place, whose sessions last so long after they were renewed."""
    if isinstance(place, SessionFiles):
        return _Files(place, lifetime)
    return _InRedis(place, lifetime)


class _Files:
    """Files `sess_<id>`, perhaps below folders named by the first characters of the id.

    A file's time of change is when it was last renewed, as PHP's own clearing away takes it. No
    link is followed.
    """

    def __init__(self, place: SessionFiles, lifetime: timedelta) -> None:
        self._place = place
        self._lifetime = lifetime.total_seconds()
        self._due = min(_RENEWED_EVERY, lifetime / 4).total_seconds()
        self._told: set[int | None] = set()

    def read(self, session_id: str) -> StoredSession | None:
        with self._opened(session_id) as file:
            if file is None:
                return None
            before = os.fstat(file)
            age = time.time() - before.st_mtime
            if not stat.S_ISREG(before.st_mode) or age >= self._lifetime:
                return None
            data = _read_up_to(file, MOST_SESSION_BYTES + 1)
            if len(data) > MOST_SESSION_BYTES:
                self._tell_once(errno.EFBIG)
                return None
            return StoredSession(data, is_due=age >= self._due, may_be_torn=age < _WRITING_SECONDS)

    def renew(self, session_id: str) -> None:
        with self._opened(session_id) as file:
            if file is not None:
                try:
                    os.utime(file)
                except OSError as error:
                    self._tell_once(error.errno)

    @contextmanager
    def _opened(self, session_id: str) -> Iterator[int | None]:
        """The session's file; None where it can't be opened."""
        opened: list[int] = []
        try:
            try:
                # The folder itself may be a link; that is up to the operator.
                opened.append(os.open(self._place.folder, _PASS))
                for name in session_id[: self._place.depth]:
                    opened.append(os.open(name, _PASS | os.O_NOFOLLOW, dir_fd=opened[-1]))
                opened.append(os.open(f"sess_{session_id}", _OPEN, dir_fd=opened[-1]))
            except OSError as error:
                if len(opened) == 0 or error.errno != errno.ENOENT:
                    self._tell_once(error.errno)
                yield None
            else:
                yield opened[-1]
        finally:
            for each in opened:
                os.close(each)

    def _tell_once(self, number: int | None) -> None:
        if number not in self._told:
            self._told.add(number)
            reason = os.strerror(number or 0)
            log.warning("a PHP session can't be read or renewed", reason=reason)


def _read_up_to(file: int, count: int) -> bytes:
    parts = []
    while count > 0 and (part := os.read(file, count)):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


class _InRedis:
    """Keys of phpredis, which Redis itself lets expire.

    What PHP gave a longer life than ours keeps it.
    """

    def __init__(self, place: SessionRedis, lifetime: timedelta) -> None:
        self._prefix = place.prefix
        self._lifetime = lifetime
        self._due = lifetime - min(_RENEWED_EVERY, lifetime / 4)
        self._redis = SharedRedis(place.url, without="nobody is signed in by a PHP session")

    def read(self, session_id: str) -> StoredSession | None:
        def read(redis: Redis) -> tuple[bytes, int]:
            with redis.pipeline(transaction=False) as pipeline:
                pipeline.getrange(self._prefix + session_id, 0, MOST_SESSION_BYTES)
                pipeline.pttl(self._prefix + session_id)
                data, milliseconds = pipeline.execute()
            return data, milliseconds

        found = self._ask(read)
        if found is None or not 0 < len(found[0]) <= MOST_SESSION_BYTES:
            return None
        data, milliseconds = found
        lasts = timedelta(milliseconds=milliseconds)
        return StoredSession(data, is_due=milliseconds > 0 and lasts <= self._due)

    def renew(self, session_id: str) -> None:
        self._ask(lambda redis: redis.expire(self._prefix + session_id, self._lifetime))

    def _ask(self, question: Callable[[Redis], Any]) -> Any:
        def ask(redis: Redis) -> Any:
            try:
                return question(redis)
            except ResponseError:
                # There is something else by this name.
                return None

        return self._redis.ask(ask)
