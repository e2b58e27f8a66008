"""Log lines for another machine: kept in memory until a thread of their own has sent them.

Logging itself never waits for the network. While the other end is away lines are kept, up to a
bound at which the oldest are dropped and counted.
"""

import itertools
import logging
import os
import threading
import weakref
from collections import deque
from typing import NamedTuple, Protocol

_MOST_KEPT = 10_000
_MOST_KEPT_CHARACTERS = 16 * 1024 * 1024
_MOST_AT_ONCE = 1000
# Lines are sent together with those of so long after the first of them.
_GATHER_SECONDS = 0.3
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 10.0
_LAST_SECONDS = 3.0

log = logging.getLogger(__name__)


class Line(NamedTuple):
    """A line as it is sent, with its time in nanoseconds since 1970, unlike that of any other."""

    nanoseconds: int
    level: int
    text: str


class NotSent(Exception):
    """The other end does not answer, or not now: the same lines may be sent again."""


class Refused(Exception):
    """The other end is never going to take these lines."""


class Sender(Protocol):
    """What sends lines in their order to one place."""

    def send(self, lines: list[Line]) -> None:
        """Raises NotSent or Refused."""

    def close(self) -> None:
        """Let go of what is open."""


class ExternalLog(logging.Handler):
    """Keeps lines until its thread, one in each process, has sent them."""

    _changed: threading.Condition
    _kept: deque[Line]
    _characters: int
    _dropped: int
    _last_time: int
    _closing: bool
    _thread: threading.Thread | None

    def __init__(self, sender: Sender) -> None:
        super().__init__()
        self._sender = sender
        self._begin_anew()
        _ALL.add(self)

    def createLock(self) -> None:
        """No lock of logging's, which shutdown() holds while what is left is sent."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line to be sent. What the sending thread logs of itself is not among them."""
        if self._thread is not None and threading.get_ident() == self._thread.ident:
            return
        try:
            text = self.format(record)
        except Exception:
            self.handleError(record)
            return
        with self._changed:
            if self._closing:
                return
            self._keep(record, text)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="external log", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(_LAST_SECONDS)
        _ALL.discard(self)
        super().close()

    def _begin_anew(self) -> None:
        """Begin with nothing: the lines before a fork are sent by the process that logged them."""
        self._changed = threading.Condition()
        self._kept = deque()
        self._characters = 0
        self._dropped = 0
        self._last_time = 0
        self._closing = False
        self._thread = None

    def _keep(self, record: logging.LogRecord, text: str) -> None:
        self._last_time = max(self._last_time + 1, int(record.created * 1_000_000) * 1000)
        self._kept.append(Line(self._last_time, record.levelno, text))
        self._characters += len(text)
        while len(self._kept) > _MOST_KEPT or self._characters > _MOST_KEPT_CHARACTERS:
            self._characters -= len(self._kept.popleft().text)
            self._dropped += 1

    def _run(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        away = False
        while lines := self._next():
            told = self._dropped
            try:
                self._sender.send([*self._line_about_drops(told, lines[0]), *lines])
            except NotSent as error:
                if not away:
                    log.warning("the external log is away: %s", error)
                away = True
                if self._closing:
                    break
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                continue
            except Refused as error:
                log.error("the external log refused %d lines: %s", len(lines), error)
            if away:
                log.warning("the external log is back")
            away, pause = False, _FIRST_PAUSE_SECONDS
            self._forget(lines[-1], told)
        self._sender.close()

    def _next(self) -> list[Line]:
        """The oldest lines that are kept; none once there are none left and it is closing."""
        with self._changed:
            self._changed.wait_for(lambda: self._kept or self._closing)
            self._changed.wait_for(
                lambda: self._closing or len(self._kept) >= _MOST_AT_ONCE, _GATHER_SECONDS
            )
            return list(itertools.islice(self._kept, _MOST_AT_ONCE))

    def _line_about_drops(self, count: int, before: Line) -> list[Line]:
        if not count:
            return []
        told = "%d log lines were dropped: the external log was away for too long"
        record = logging.LogRecord(__name__, logging.WARNING, __file__, 0, told, (count,), None)
        return [Line(before.nanoseconds - 1, record.levelno, self.format(record))]

    def _forget(self, last: Line, told: int) -> None:
        """Forget the lines up to the last that was sent, and the drops that it was told of."""
        with self._changed:
            self._dropped -= told
            while self._kept and self._kept[0].nanoseconds <= last.nanoseconds:
                self._characters -= len(self._kept.popleft().text)


_ALL: "weakref.WeakSet[ExternalLog]" = weakref.WeakSet()


def _after_fork() -> None:
    for each in tuple(_ALL):
        each._begin_anew()


os.register_at_fork(after_in_child=_after_fork)
