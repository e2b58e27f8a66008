"""Requests while they arrive: how much is here, and whether anything is still to be waited for."""

import re
from enum import Enum, auto
from urllib.parse import unquote_to_bytes

# The application refuses longer bodies, before it reads them where their length is told; batches of
# logs and metrics alone may be longer, and what is passed on to PHP.
_LONGEST_BODY = 1024 * 1024
_LONGEST_HEAD = 64 * 1024
_LONGEST_LINE = 8190

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length[ \t]*:[ \t]*([0-9]+)[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding[ \t]*:", re.IGNORECASE)
_EXPECTS_CONTINUE = re.compile(rb"\r\nexpect[ \t]*:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE)


class State(Enum):
    """How far a request has arrived."""

    PARTIAL = auto()
    # A thread has to wait for nothing more, be it to answer the request or to refuse it.
    READY = auto()
    BROKEN_OFF = auto()
    HEAD_TOO_LONG = auto()
    BODY_TOO_LONG = auto()


class ArrivingRequest:
    """The bytes of a request as far as they are here, and how many are still to come.

    Only says when to wait no longer. What the bytes mean is gunicorn's parser's to say.
    """

    # What is sent to some paths may be longer: how they begin, and how many bytes.
    longer_bodies: tuple[tuple[re.Pattern[bytes], int], ...] = ()

    def __init__(self) -> None:
        self.received = bytearray()
        self._longest_body = _LONGEST_BODY
        self.expects_continue = False
        self._body_at = 0
        self._end = 0
        self._chunk_at = 0
        self._length_of_chunks = 0

    @property
    def method_and_path(self) -> bytes:
        """The beginning of the request line, with the path decoded and without a query."""
        method, _, target = bytes(self.received[: _LONGEST_LINE + 2]).partition(b" ")
        path = target.split(b" ", 1)[0].split(b"?", 1)[0]
        # A target may be a whole URL (RFC 9112, section 3.2.2).
        path = re.sub(rb"\A[a-z]+://[^/]*", b"", path, flags=re.IGNORECASE)
        return method + b" " + unquote_to_bytes(path)

    def add(self, data: bytes) -> State:
        self.received += data
        if not self._body_at:
            # Three bytes of the end may have come before.
            found = self.received.find(b"\r\n\r\n", max(0, len(self.received) - len(data) - 3))
            if found < 0:
                return self._state_of_head()
            self._body_at = found + 4
            self._read_head(bytes(self.received[: found + 2]))
        if self._chunk_at:
            return self._state_of_chunks()
        return State.READY if len(self.received) >= self._end else State.PARTIAL

    def _state_of_head(self) -> State:
        if self.received.count(b"\n") != self.received.count(b"\r\n"):
            return State.READY
        if len(self.received) > _LONGEST_LINE + 2:
            if self.received.find(b"\r\n", 0, _LONGEST_LINE + 2) < 0:
                return State.READY
            if len(self.received) > _LONGEST_HEAD:
                return State.HEAD_TOO_LONG
        return State.PARTIAL

    def _read_head(self, head: bytes) -> None:
        for paths, longest in self.longer_bodies:
            if paths.match(self.method_and_path):
                self._longest_body = longest
        if _CHUNKED.search(head):
            self._chunk_at = self._body_at
        elif told := _CONTENT_LENGTH.search(head):
            # What has more digits is too large in any case.
            length = int(told[1].lstrip(b"0")[:20] or 0)
            self._end = self._body_at + (length if length <= self._longest_body else 0)
        self.expects_continue = bool(_EXPECTS_CONTINUE.search(head))

    def _state_of_chunks(self) -> State:
        """Goes on at the chunk that was not whole the last time (RFC 9112, section 7.1)."""
        while True:
            end = self.received.find(b"\r\n", self._chunk_at)
            if end < 0:
                too_long = len(self.received) - self._chunk_at > _LONGEST_LINE
                return State.READY if too_long else self._within_bounds()
            try:
                size = int(self.received[self._chunk_at : end].partition(b";")[0], 16)
            except ValueError:
                return State.READY
            if size <= 0:
                ended = self.received.find(b"\r\n\r\n", end) >= 0
                return State.READY if ended else self._within_bounds()
            following = end + 2 + size + 2
            if self._length_of_chunks + size > self._longest_body:
                return State.BODY_TOO_LONG
            if following > len(self.received):
                return self._within_bounds()
            self._length_of_chunks += size
            self._chunk_at = following

    def _within_bounds(self) -> State:
        # Twice as long, for the sake of what stands around the chunks.
        too_long = len(self.received) - self._body_at > 2 * self._longest_body
        return State.BODY_TOO_LONG if too_long else State.PARTIAL
