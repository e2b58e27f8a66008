"""Answers that go on, as server-sent events, of which none holds a thread of the web server.

One thread of each process has a loop that writes to all of them. Below our gunicorn worker it has
the connection itself (intake.py); below another server a thread of that server passes each
piece on, and so stands for one connection.
"""

import asyncio
import resource
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import structlog
from flask import Response, request
from prometheus_client import Gauge

from cms_services.errors import NotReady
from cms_services.web.stopping import stopping
from cms_services.wording import worded

log = structlog.get_logger()

T = TypeVar("T")

EVENT_STREAM = "text/event-stream"
# In the environment of a request whose connection can be handed over.
CAN_HAND_OVER = "cms_services.can_hand_over"
# How soon a browser comes back after the connection was lost.
_RECONNECT_MILLISECONDS = 3000
# A reader that takes nothing for so long is gone, or as good as gone.
_WRITE_SECONDS = 30.0
_STOP_CHECK_SECONDS = 0.25
_MOST = 4000
# Open files that everything else in a process may need: requests on their way, databases.
_OTHER_FILES = 768
_LEAST = 16
_DATABASE_THREADS = 2

_OPEN = Gauge("cms_event_streams", "Event streams that are open", multiprocess_mode="livesum")


class HandedOver(OSError):
    """The connection belongs to the loop now: gunicorn passes such errors on, and writes no end."""


class Streams:
    """The loop of a process, and the connections that it writes to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Future[None]] = set()
        self._ended = asyncio.Event()
        self._database = ThreadPoolExecutor(_DATABASE_THREADS, "streams-database")

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop. It begins with the first stream, since a fork would leave it behind."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                run = partial(self._run, self._loop)
                threading.Thread(target=run, name="streams", daemon=True).start()
            return self._loop

    def wait_until_ended(self, seconds: float) -> None:
        """Give the streams of a process that stops the time to say so to their readers."""
        deadline = time.monotonic() + seconds
        while self._tasks and time.monotonic() < deadline:
            time.sleep(_STOP_CHECK_SECONDS / 5)

    def require_room(self) -> None:
        """Raise NotReady where this process has as many streams as it may."""
        if len(self._tasks) >= _most():
            raise NotReady(worded("As many streams as can be open at once are; try again shortly."))

    def adopt(self, sock: socket.socket, pieces: AsyncIterator[bytes], *, chunked: bool) -> None:
        """Write what is still to come to a connection, and close it after that."""
        self.loop.call_soon_threadsafe(self._begin, sock, pieces, chunked)

    def next_of(self, pieces: AsyncIterator[bytes]) -> bytes | None:
        """The next piece, for a thread that passes it on itself; None at the end."""

        async def one() -> bytes | None:
            return await anext(pieces, None)

        return asyncio.run_coroutine_threadsafe(one(), self.loop).result()

    def end(self, pieces: AsyncIterator[bytes]) -> None:
        """Let a stream that nobody reads any more end."""
        asyncio.run_coroutine_threadsafe(_close(pieces), self.loop).result()

    async def in_database(self, work: Callable[..., T], *arguments: object) -> T:
        """Do something that waits for the database in one of a few threads for that."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._database, work, *arguments)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.create_task(self._watch_for_the_end())
        loop.run_forever()

    async def _watch_for_the_end(self) -> None:
        while not stopping.is_set():
            await asyncio.sleep(_STOP_CHECK_SECONDS)
        self._ended.set()
        # What begins after this sees by itself that the process stops.
        self._ended.clear()

    def _begin(self, sock: socket.socket, pieces: AsyncIterator[bytes], chunked: bool) -> None:
        task = asyncio.ensure_future(_write_all(sock, pieces, self._ended, chunked))
        self._tasks.add(task)
        _OPEN.inc()
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: _OPEN.dec())


def _most() -> int:
    """How many streams a process may have, each of which is an open file."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        _MOST if files == resource.RLIM_INFINITY else min(_MOST, max(_LEAST, files - _OTHER_FILES))
    )


async def _write_all(
    sock: socket.socket, pieces: AsyncIterator[bytes], ended: asyncio.Event, chunked: bool
) -> None:
    """Write pieces to a connection until they, the reader or we end.

    It is told by an event that we do: a task that is cancelled before it has begun would leave the
    answer without its end.
    """
    sock.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=sock)
    writing = asyncio.ensure_future(_write_pieces(writer, pieces, chunked))
    gone = asyncio.ensure_future(_until_gone(reader))
    ending = asyncio.ensure_future(ended.wait())
    try:
        await asyncio.wait({writing, gone, ending}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        is_read = not gone.done()
        for each in (writing, gone, ending):
            each.cancel()
        (outcome, *_) = await asyncio.gather(writing, gone, ending, return_exceptions=True)
        if chunked and is_read:
            writer.write(b"0\r\n\r\n")
        writer.close()
        await _close(pieces)
    if isinstance(outcome, Exception) and not isinstance(outcome, OSError):
        log.error("an event stream broke off", exc_info=outcome)


async def _write_pieces(
    writer: asyncio.StreamWriter, pieces: AsyncIterator[bytes], chunked: bool
) -> None:
    async for piece in pieces:
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        await asyncio.wait_for(writer.drain(), _WRITE_SECONDS)


async def _until_gone(reader: asyncio.StreamReader) -> None:
    """Until the other side closes; it has nothing more to say."""
    with suppress(OSError):
        while await reader.read(4096):
            pass


async def _close(pieces: AsyncIterator[bytes]) -> None:
    close = getattr(pieces, "aclose", None)
    if close is not None:
        await close()


PROCESS_STREAMS = Streams()


class _Body:
    """The answer as WSGI wants it: after the first piece the connection is handed over."""

    def __init__(
        self, streams: Streams, pieces: AsyncIterator[bytes], place: str, environ: Any
    ) -> None:
        self._streams = streams
        self._pieces = pieces
        self._place = place
        self._environ = environ
        self._is_begun = self._is_handed_over = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self._is_begun:
            self._is_begun = True
            # Without data it is no event, but the reader keeps the id should the stream break off.
            begun = f": connected\nretry: {_RECONNECT_MILLISECONDS}\nid: {self._place}\n\n"
            return begun.encode()
        if self._environ.get(CAN_HAND_OVER):
            sock = self._environ["gunicorn.socket"]
            mine = socket.socket(fileno=sock.detach())
            self._is_handed_over = True
            chunked = self._environ["SERVER_PROTOCOL"] == "HTTP/1.1"
            self._streams.adopt(mine, self._pieces, chunked=chunked)
            raise HandedOver
        piece = self._streams.next_of(self._pieces)
        if piece is None:
            raise StopIteration
        return piece

    def close(self) -> None:
        if not self._is_handed_over:
            self._streams.end(self._pieces)


def current_streams() -> Streams:
    """The streams of this process. Raises NotReady where there is no room for one more."""
    PROCESS_STREAMS.require_room()
    return PROCESS_STREAMS


def event_stream(streams: Streams, pieces: AsyncIterator[bytes], place: str) -> Response:
    """An answer of pieces that are whole events, sent as they come.

    `place` is the Last-Event-ID of a reader that was told none of them.
    """
    response = Response(_Body(streams, pieces, place, request.environ), mimetype=EVENT_STREAM)
    response.headers["Cache-Control"] = "no-store"
    # nginx would hold events back until it has a buffer full of them.
    response.headers["X-Accel-Buffering"] = "no"
    return response
