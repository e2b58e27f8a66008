"""Taking syslog messages (RFC 5424) by UDP and TCP, for the services whose tokens they carry.

By TCP both framings of RFC 6587 are read. What can't be stored at once waits in a bounded queue: a
sender by TCP then waits too, and datagrams are dropped, counted and told of.
"""

import asyncio
from collections import Counter as Counts
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

import structlog
from flask import Flask
from prometheus_client import Counter

from cms_services.monitoring.protocols.syslog import LONGEST_MESSAGE, Message, read_message
from cms_services.settings import Settings
from cms_services.worker.syslog_storing import Outcome, Storing, Unavailable

log = structlog.get_logger()

_MESSAGES = Counter("cms_syslog_messages", "Messages of syslog that arrived", ["outcome"])
_MOST_WAITING = 10_000
_MOST_WAITING_BYTES = 32 * 1024 * 1024
_MOST_AT_ONCE = 1000
_MOST_CONNECTIONS = 200
_BATCH_SECONDS = 1.0
_IDLE_SECONDS = 600.0
_LOOK_SECONDS = 0.2
_BIND_AGAIN_SECONDS = 5.0
_TELL_SECONDS = 30.0
# How often, once told to stop, to try again a database that does not answer.
_LAST_TRIES = 5
# How often a batch is tried that fails for another reason.
_MOST_FAILURES = 3
_LONGEST_LENGTH = 6


async def take_syslog_until(app: Flask, stop: asyncio.Event) -> None:
    """Listen where SYSLOG_LISTEN says, until told to stop; what has arrived is stored then.

    An address that can't be listened on is tried again and again: another worker may have it.
    """
    settings: Settings = app.extensions["cms_services.settings"]
    if not settings.syslog_listen:
        await stop.wait()
        return
    intake = _Intake()
    listening = [
        asyncio.create_task(_listen(address, intake, stop)) for address in settings.syslog_listen
    ]
    telling = asyncio.create_task(intake.tell_of_drops())
    await _store_until(app, intake, stop)
    telling.cancel()
    await asyncio.gather(*listening, telling, return_exceptions=True)
    intake.tell()


class _Intake:
    """What has arrived and waits to be stored, and what was dropped since that was last told."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[tuple[Message, int]] = asyncio.Queue(_MOST_WAITING)
        self._bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._dropped: Counts[str] = Counts()

    def offer(self, raw: bytes) -> None:
        """Take a message where there is room for it."""
        if self._bytes > _MOST_WAITING_BYTES or self.waiting.full():
            self.drop("queue full")
            return
        message = self._read(raw)
        if message is not None:
            self.waiting.put_nowait((message, len(raw)))
            self._bytes += len(raw)

    async def take(self, raw: bytes) -> None:
        """Take a message, after waiting for room."""
        message = self._read(raw)
        if message is None:
            return
        while self._bytes > _MOST_WAITING_BYTES:
            self._room.clear()
            await self._room.wait()
        self._bytes += len(raw)
        await self.waiting.put((message, len(raw)))

    async def next_batch(self, stop: asyncio.Event) -> list[Message]:
        """The messages of a second, or as many as are stored at once; none where none come."""
        batch: list[Message] = []
        due: float | None = None
        while len(batch) < _MOST_AT_ONCE:
            seconds = _LOOK_SECONDS if due is None else due - asyncio.get_running_loop().time()
            try:
                message, size = self.waiting.get_nowait()
            except asyncio.QueueEmpty:
                if seconds <= 0 or stop.is_set():
                    break
                try:
                    async with asyncio.timeout(min(seconds, _LOOK_SECONDS)):
                        message, size = await self.waiting.get()
                except TimeoutError:
                    if due is None:
                        break
                    continue
            if due is None:
                due = asyncio.get_running_loop().time() + _BATCH_SECONDS
            batch.append(message)
            self._bytes -= size
            self._room.set()
        return batch

    def drop(self, reason: str, count: int = 1) -> None:
        if count:
            _MESSAGES.labels(reason).inc(count)
            self._dropped[reason] += count

    async def tell_of_drops(self) -> None:
        while True:
            await asyncio.sleep(_TELL_SECONDS)
            self.tell()

    def tell(self) -> None:
        """Say in one line what was dropped since the last one."""
        if self._dropped:
            log.warning("syslog messages dropped", reasons=dict(self._dropped))
            self._dropped.clear()

    def _read(self, raw: bytes) -> Message | None:
        try:
            message = read_message(raw)
        except ValueError:
            self.drop("unreadable")
            return None
        if message.token is None:
            self.drop("without token")
            return None
        return message


async def _store_until(app: Flask, intake: _Intake, stop: asyncio.Event) -> None:
    storing = Storing(app)
    while not (stop.is_set() and intake.waiting.empty()):
        batch = await intake.next_batch(stop)
        if not batch:
            continue
        outcome = Outcome()
        tries_since_stop = failures = 0
        while batch:
            try:
                await asyncio.to_thread(storing.store, batch, outcome)
            except Unavailable:
                tries_since_stop += stop.is_set()
                if tries_since_stop > _LAST_TRIES:
                    intake.drop("database unavailable", len(batch) + intake.waiting.qsize())
                    return
                await asyncio.sleep(1)
            except Exception:
                # No outage, which this would wait for: the next messages must not wait for these.
                log.exception("syslog messages can't be stored", messages=len(batch))
                failures += 1
                if failures == _MOST_FAILURES or stop.is_set():
                    intake.drop("not storable", len(batch))
                    batch.clear()
                else:
                    await asyncio.sleep(1)
        _MESSAGES.labels("stored").inc(outcome.stored)
        intake.drop("wrong token", outcome.without_service)
        intake.drop("rejected", outcome.rejected)


async def _listen(address: str, intake: _Intake, stop: asyncio.Event) -> None:
    """Take what comes to an address, until told to stop."""
    parts = urlsplit(address)
    place = (parts.hostname or "", parts.port or 0)
    serve = _serve_datagrams if parts.scheme == "udp" else _serve_connections
    told = False
    while not stop.is_set():
        try:
            await serve(place, intake, stop, lambda: log.info("syslog listens", address=address))
        except OSError as error:
            if not told:
                log.error("syslog can't listen", address=address, reason=error.strerror)
                told = True
            with suppress(TimeoutError):
                async with asyncio.timeout(_BIND_AGAIN_SECONDS):
                    await stop.wait()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, intake: _Intake) -> None:
        self._intake = intake

    def datagram_received(self, data: bytes, _: object) -> None:
        self._intake.offer(data)


async def _serve_datagrams(
    place: tuple[str, int], intake: _Intake, stop: asyncio.Event, begun: Callable[[], None]
) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(intake), local_addr=place)
    begun()
    try:
        await stop.wait()
    finally:
        transport.close()


async def _serve_connections(
    place: tuple[str, int], intake: _Intake, stop: asyncio.Event, begun: Callable[[], None]
) -> None:
    open_ones: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own = asyncio.current_task()
        if own is None or len(open_ones) >= _MOST_CONNECTIONS:
            intake.drop("too many connections")
            writer.close()
            return
        open_ones.add(own)
        try:
            await _read_connection(reader, intake)
        finally:
            open_ones.discard(own)
            writer.close()

    server = await asyncio.start_server(serve, *place, limit=LONGEST_MESSAGE)
    begun()
    try:
        await stop.wait()
    finally:
        server.close()
        for connection in tuple(open_ones):
            connection.cancel()
        await asyncio.gather(*open_ones, return_exceptions=True)


async def _read_connection(reader: asyncio.StreamReader, intake: _Intake) -> None:
    """Take the messages of a connection until it ends, says nothing for long or breaks a rule."""
    try:
        while True:
            async with asyncio.timeout(_IDLE_SECONDS):
                message = await read_frame(reader)
            if message is None:
                return
            await intake.take(message)
    except (TimeoutError, OSError):
        return
    except (ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        # Where the next message begins can't be told any more.
        intake.drop("bad frame")


async def read_frame(reader: asyncio.StreamReader) -> bytes | None:
    """The next message, framed by its length or by a line end (RFC 6587); None at the end.

    Raises ValueError, IncompleteReadError or LimitOverrunError for one that is broken or too long.
    """
    first = await reader.read(1)
    while first in (b"\n", b"\r", b"\x00"):
        first = await reader.read(1)
    if not first:
        return None
    if first.isdigit():
        length = first + await reader.readuntil(b" ")
        if len(length) > _LONGEST_LENGTH or int(length) > LONGEST_MESSAGE:
            raise ValueError("It is too long.")
        return await reader.readexactly(int(length))
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        line = error.partial
    return first + line.rstrip(b"\r\n\x00")
