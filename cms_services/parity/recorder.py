"""A reverse proxy that records: requests pass through to the old script, whatever happens here."""

import asyncio
import signal
import sys
import time
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from cms_services.parity.masking import Masker
from cms_services.parity.recording import Exchange, Message, RecordingWriter

# RFC 9110, 7.6.1; and what belongs to a proxy alone.
_HOP_BY_HOP = {
    *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding"),
    *("upgrade", "proxy-authenticate", "proxy-authorization"),
}
_CHUNK = 64 * 1024
# Of what waits for being written; what more there is passes, and is lost.
_MOST_WAITING, _MOST_WAITING_BYTES = 1000, 128 * 1024**2
_LONGEST_LINE = 64 * 1024
_CONNECT_SECONDS = 10
# As nginx waits for what is behind it.
_SILENCE_SECONDS = 60
_CODINGS = frozenset({"gzip", "x-gzip", "deflate", "identity"})
_BOTH_HEADERS_OF_ZLIB = 32 + zlib.MAX_WBITS
_LEFT_TO_US = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


@dataclass(frozen=True)
class RecorderOptions:
    """`paths` are patterns of the paths that are recorded; all others pass unrecorded."""

    upstream: str
    host: str
    port: int
    paths: tuple[str, ...]
    most_bytes: int
    keep_host: bool


class _Copy:
    """What of a body is kept: all of it, or nothing where it is larger than the limit."""

    def __init__(self, most: int) -> None:
        self._most, self._kept, self._is_whole = most, bytearray(), True

    def add(self, chunk: bytes) -> None:
        if self._is_whole and len(self._kept) + len(chunk) <= self._most:
            self._kept += chunk
        else:
            self._is_whole = False
            self._kept.clear()

    def spoil(self) -> None:
        self._is_whole = False

    def body(self, encoding: str) -> bytes | None:
        """The body unpacked, or None."""
        if not self._is_whole:
            return None
        packed = bytes(self._kept)
        kind = encoding.strip().lower()
        if not packed or kind in ("", "identity"):
            return packed
        if kind not in _CODINGS:
            return None
        unpacker = zlib.decompressobj(_BOTH_HEADERS_OF_ZLIB)
        try:
            unpacked = unpacker.decompress(packed, self._most)
        except zlib.error:
            return None
        return unpacked if unpacker.eof else None


class Recorder:
    """The proxy. `tell` is given lines for whoever runs it."""

    def __init__(
        self, options: RecorderOptions, writer: RecordingWriter, tell: Callable[[str], None]
    ) -> None:
        self._options, self._writer, self._tell = options, writer, tell
        self._masker = Masker()
        self._waiting: asyncio.Queue[Exchange] = asyncio.Queue(_MOST_WAITING)
        self._waiting_bytes = 0
        self._session: aiohttp.ClientSession

    async def run(self) -> None:
        """Serve until SIGINT or SIGTERM. Raises OSError where the address is taken."""
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS
        )
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=timeout,
            skip_auto_headers=_LEFT_TO_US,
            connector=aiohttp.TCPConnector(limit=0),
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
        )
        server = web.Server(
            self._answer,
            auto_decompress=False,
            access_log=None,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
        )
        runner = web.ServerRunner(server)
        await runner.setup()
        writing = asyncio.create_task(self._write_all())
        try:
            await web.TCPSite(runner, self._options.host, self._options.port).start()
            host = f"[{self._options.host}]" if ":" in self._options.host else self._options.host
            self._tell(
                f"Recording on http://{host}:{runner.addresses[0][1]} to {self._writer.path}; "
                f"requests go to {self._options.upstream}"
            )
            await stopped.wait()
        finally:
            await runner.cleanup()
            await self._session.close()
            await self._waiting.join()
            writing.cancel()
            with suppress(asyncio.CancelledError):
                await writing
        self._tell(f"Recorded {self._writer.written}, lost {self._writer.lost}.")

    async def _write_all(self) -> None:
        while True:
            exchange = await self._waiting.get()
            try:
                await asyncio.to_thread(self._write, exchange)
            finally:
                self._waiting_bytes -= _size(exchange)
                self._waiting.task_done()

    def _write(self, exchange: Exchange) -> None:
        try:
            masked = self._masker.exchange(exchange)
        except Exception as error:
            # What can't be masked is not written, and must not end the recording.
            self._writer.lost += 1
            self._tell(f"A request was not recorded: masking it failed by {type(error).__name__}.")
            return
        self._writer.write(masked)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        began, at = time.monotonic(), datetime.now(UTC)
        sent, received = _Copy(self._options.most_bytes), _Copy(self._options.most_bytes)
        target = request.raw_path
        if not target.startswith("/"):
            # A proxy's absolute form (RFC 9112, 3.2.2): the path is what counts.
            target = str(URL(target, encoded=True).raw_path_qs) if "://" in target else "/"
        try:
            upstream = await self._session.request(
                request.method,
                URL(self._options.upstream + target, encoded=True),
                headers=self._request_headers(request),
                data=_copied(request, sent) if request.body_exists else None,
                allow_redirects=False,
            )
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return self._unreachable(error)
        async with upstream:
            answer = web.StreamResponse(status=upstream.status, reason=upstream.reason)
            _copy_headers(upstream.headers, answer.headers)
            try:
                await self._pass_body(request, upstream, answer, received)
            finally:
                if self._is_recorded(target):
                    self._keep(
                        Exchange(
                            request.method,
                            target,
                            Message(
                                list(request.headers.items()),
                                sent.body(request.headers.get("Content-Encoding", "")),
                            ),
                            upstream.status,
                            Message(
                                list(upstream.headers.items()),
                                received.body(upstream.headers.get("Content-Encoding", "")),
                            ),
                            at,
                            time.monotonic() - began,
                        )
                    )
            return answer

    async def _pass_body(
        self,
        request: web.BaseRequest,
        upstream: aiohttp.ClientResponse,
        answer: web.StreamResponse,
        received: _Copy,
    ) -> None:
        try:
            await answer.prepare(request)
            async for chunk in upstream.content.iter_chunked(_CHUNK):
                received.add(chunk)
                await answer.write(chunk)
            await answer.write_eof()
        except BaseException as error:
            received.spoil()
            if isinstance(error, aiohttp.ClientError | TimeoutError):
                # The client must see that it has but a part.
                self._tell(f"The upstream broke off an answer: {type(error).__name__}.")
                if request.transport is not None:
                    request.transport.abort()
                return
            raise

    def _unreachable(self, error: Exception) -> web.Response:
        slow = isinstance(error, TimeoutError)
        self._tell(f"The upstream does not answer: {type(error).__name__}.")
        text = "The server behind this recorder does not answer.\n"
        return web.Response(status=504 if slow else 502, text=text)

    def _is_recorded(self, target: str) -> bool:
        path = target.partition("?")[0]
        return any(fnmatchcase(path, pattern) for pattern in self._options.paths)

    def _keep(self, exchange: Exchange) -> None:
        size = _size(exchange)
        is_room = not self._waiting_bytes or self._waiting_bytes + size <= _MOST_WAITING_BYTES
        if self._waiting.full() or not is_room:
            self._writer.lost += 1
            return
        self._waiting_bytes += size
        self._waiting.put_nowait(exchange)

    def _request_headers(self, request: web.BaseRequest) -> CIMultiDict[str]:
        headers: CIMultiDict[str] = CIMultiDict()
        _copy_headers(request.headers, headers)
        if not self._options.keep_host:
            headers.pop("Host", None)
        if "Accept-Encoding" in headers:
            # What is packed otherwise could not be recorded.
            accepted = headers.popall("Accept-Encoding")
            known = [each for each in ",".join(accepted).split(",") if _is_known_coding(each)]
            headers["Accept-Encoding"] = ",".join(known).strip() or "identity"
        if request.remote:
            before = request.headers.get("X-Forwarded-For")
            headers["X-Forwarded-For"] = f"{before}, {request.remote}" if before else request.remote
        headers.setdefault("X-Forwarded-Proto", request.scheme)
        if "Host" in request.headers:
            headers.setdefault("X-Forwarded-Host", request.headers["Host"])
        return headers


def _size(exchange: Exchange) -> int:
    return len(exchange.request.body or b"") + len(exchange.response.body or b"")


def _is_known_coding(accepted: str) -> bool:
    return accepted.partition(";")[0].strip().lower() in _CODINGS


def _copy_headers(given: CIMultiDictProxy[str], to: CIMultiDict[str]) -> None:
    """All but those that end at a proxy, among them what Connection names."""
    named = {
        name.strip().lower() for each in given.getall("Connection", []) for name in each.split(",")
    }
    for name, value in given.items():
        if name.lower() not in _HOP_BY_HOP | named:
            to.add(name, value)


async def _copied(request: web.BaseRequest, copy: _Copy) -> AsyncIterator[bytes]:
    is_read = False
    try:
        async for chunk in request.content.iter_chunked(_CHUNK):
            copy.add(chunk)
            yield chunk
        is_read = True
    finally:
        if not is_read:
            # The upstream has answered before it read all.
            copy.spoil()


def tell_on_stderr(line: str) -> None:
    """A recorder whose terminal is gone goes on."""
    with suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)
