"""The one client for requests to addresses that users name.

A name is resolved once, and every address is checked once more where the socket to it is opened,
so that neither a configuration nor a DNS answer nor a redirect nor an odd spelling of an address
can make us call our own network.
"""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from cms_services.address_policy import (
    Address,
    AddressPolicy,
    AddressRefused,
    Unreachable,
    permitted_addresses,
)
from cms_services.outbound_tls import at_handshake, trusting

__all__ = [
    "AddressPolicy",
    "AddressRefused",
    "Answer",
    "Stream",
    "Timings",
    "Unreachable",
    "connect",
    "get",
    "open_stream",
    "reason_of",
    "request",
]

_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_REDIRECTS = 5
MAX_BODY_BYTES = 64 * 1024
_HEADERS = {
    "User-Agent": "cms-services-probe/1",
    # A few packed bytes can unpack to gigabytes; what comes packed all the same is left so.
    "Accept-Encoding": "identity",
}


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds of each step of the last request, and of all of it with its redirects.

    `first_byte` is from the request to the head of the answer; what was not needed is None.
    """

    dns: float | None
    connect: float | None
    tls: float | None
    first_byte: float
    total: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The last answer: its status, milliseconds, and the body as sent, cut where it is too long."""

    status: int
    elapsed_ms: float
    body: bytes
    cut: bool
    timings: Timings


class Stream:
    """A connection, and the milliseconds it took to get it. Closes itself in `async with`."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, elapsed_ms: float
    ) -> None:
        self.reader, self.writer, self.elapsed_ms = reader, writer, elapsed_ms

    async def __aenter__(self) -> "Stream":
        return self

    async def __aexit__(self, *_: object) -> None:
        # Nobody waits for the other side to agree.
        self.writer.transport.abort()


async def get(url: str, timeout_seconds: float, policy: AddressPolicy) -> Answer:
    """GET a URL, following a few redirects, each checked anew; at most 64 KiB of body are read.

    Raises AddressRefused, Unreachable, TimeoutError or ValueError (no HTTP URL).
    """
    return await request("GET", url, timeout_seconds, policy)


async def request(
    method: str,
    url: str,
    timeout_seconds: float,
    policy: AddressPolicy,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    follow_redirects: bool = True,
    max_body_bytes: int = MAX_BODY_BYTES,
    trust: ssl.SSLContext | None = None,
) -> Answer:
    """Send a request, following up to 5 redirects, each checked anew.

    `headers` and `body` go to the origin of `url` alone. `trust` says which certificates hold
    (outbound_tls.trusting), by default those of the system's authorities.
    Raises AddressRefused, Unreachable, TimeoutError or ValueError (no HTTP URL, too many
    redirects).
    """
    sending = _Sending(
        method, url, dict(headers or {}), body, follow_redirects, max_body_bytes, trust
    )
    try:
        async with asyncio.timeout(timeout_seconds):
            return await sending.answer(await _session(policy))
    except (TimeoutError, aiohttp.InvalidURL):  # which is a ValueError too
        raise
    except (OSError, aiohttp.ClientError) as error:
        raise Unreachable(reason_of(error)) from error


async def connect(host: str, port: int, timeout_seconds: float, policy: AddressPolicy) -> float:
    """Open and close a TCP connection. Returns milliseconds.

    Raises AddressRefused, Unreachable, TimeoutError or ValueError (no host name).
    """
    async with asyncio.timeout(timeout_seconds):
        async with await open_stream(host, port, policy) as stream:
            return stream.elapsed_ms


async def open_stream(
    host: str,
    port: int,
    policy: AddressPolicy,
    *,
    trust: ssl.SSLContext | None = None,
    server_name: str | None = None,
    limit: int = 2**16,
) -> Stream:
    """Connect to the first address of a name that answers; by TLS where `trust` is given.

    The caller sets the time limit. Raises AddressRefused, Unreachable (its cause is the OSError,
    such as an ssl.SSLError) or ValueError (no host name).
    """
    began = time.perf_counter()
    try:
        reader, writer = await _connect_to_any(
            await permitted_addresses(host, port, policy),
            limit,
            **({"ssl": trust, "server_hostname": server_name or host} if trust else {}),
        )
    except TimeoutError:
        raise
    except OSError as error:
        raise Unreachable(reason_of(error)) from error
    return Stream(reader, writer, _ms_since(began))


async def _connect_to_any(
    addresses: Sequence[Address], limit: int, **tls: Any
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    for number, each in enumerate(addresses, start=1):
        try:
            return await asyncio.open_connection(
                each.host,
                each.port,
                family=each.family,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                limit=limit,
                **tls,
            )
        except OSError:
            if number == len(addresses):
                raise
    raise AssertionError("there is an address")


@dataclass(slots=True)
class _Sending:
    """A request on its way along its redirects."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    follow_redirects: bool
    max_body_bytes: int
    trust: ssl.SSLContext | None

    async def answer(self, session: aiohttp.ClientSession) -> Answer:
        began = time.perf_counter()
        steps = _Steps()
        _STEPS.set(steps)
        at_handshake.set(steps.handshake_begins)
        for _ in range(_MAX_REDIRECTS + 1):
            secure = _require_http(self.url)
            steps.begin()
            async with session.request(
                self.method,
                self.url,
                headers=self.headers or None,
                data=self.body,
                allow_redirects=False,
                ssl=(self.trust or trusting()) if secure else True,
            ) as response:
                answered = time.perf_counter()
                location = response.headers.get("Location")
                if self.follow_redirects and response.status in _REDIRECTS and location:
                    self._go_on(response.status, urljoin(self.url, location))
                    continue
                body, cut = await _read_body(response.content, self.max_body_bytes)
                total = _ms_since(began)
                return Answer(response.status, total, body, cut, steps.timings(answered, total))
        raise ValueError(f"more than {_MAX_REDIRECTS} redirects")

    def _go_on(self, status: int, url: str) -> None:
        # As RFC 9110, 15.4 has it.
        if (status == 303 and self.method != "HEAD") or (
            status in (301, 302) and self.method == "POST"
        ):
            self.method, self.body = "GET", None
        if _origin(url) != _origin(self.url):
            if self.body is not None:
                raise ValueError("a redirect to another origin, where the body must not go")
            self.headers = {}
        self.url = url


class _Steps:
    """When each step of a request began or ended; the connector's parts write it down."""

    __slots__ = ("_addresses", "began", "connected", "dns", "opened", "secured")

    def __init__(self) -> None:
        # A name keeps the addresses that were checked, however many redirects come back to it.
        self._addresses: dict[tuple[str, int], list[ResolveResult]] = {}
        self.begin()

    def begin(self) -> None:
        self.began = time.perf_counter()
        self.dns: float | None = None
        self.opened = self.secured = self.connected = 0.0

    async def addresses(
        self, host: str, port: int, look_up: Callable[[], Any]
    ) -> list[ResolveResult]:
        known = self._addresses.get((host, port))
        if known is None:
            began = time.perf_counter()
            known = self._addresses[host, port] = await look_up()
            self.dns = _ms_since(began)
        return known

    def handshake_begins(self) -> None:
        self.secured = time.perf_counter()

    def timings(self, answered: float, total: float) -> Timings:
        connected = self.connected or self.began
        opened = self.opened or connected
        return Timings(
            self.dns,
            ((self.secured or connected) - opened) * 1000,
            (connected - self.secured) * 1000 if self.secured else None,
            (answered - connected) * 1000,
            total,
        )


_STEPS: ContextVar[_Steps] = ContextVar("steps")


class _GuardedResolver(AbstractResolver):
    """Gives the permitted addresses of a name."""

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises AddressRefused where no address is left, OSError for an unknown name."""

        async def look_up() -> list[ResolveResult]:
            return [
                ResolveResult(
                    hostname=host,
                    host=each.host,
                    port=port,
                    family=each.family,
                    proto=socket.IPPROTO_TCP,
                    flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                )
                for each in await permitted_addresses(host, port, self._policy, family)
            ]

        return await _STEPS.get().addresses(host, port, look_up)

    async def close(self) -> None:
        pass


_kept: WeakKeyDictionary[
    asyncio.AbstractEventLoop,
    dict[AddressPolicy, tuple[aiohttp.ClientSession, AsyncGenerator[aiohttp.ClientSession]]],
] = WeakKeyDictionary()


async def _session(policy: AddressPolicy) -> aiohttp.ClientSession:
    """The loop's session under a policy: making one costs more than a request.

    An asyncio loop ends its asynchronous generators when it ends, and by that its sessions.
    """
    of_loop = _kept.setdefault(asyncio.get_running_loop(), {})
    if policy not in of_loop:
        keeper = _keep_session(policy)
        of_loop[policy] = await anext(keeper), keeper
    return of_loop[policy][0]


async def _keep_session(policy: AddressPolicy) -> AsyncGenerator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(
        resolver=_GuardedResolver(policy),
        # An address that stands in the URL itself is not looked up: this alone sees it.
        socket_factory=_guarded_socket(policy),
        use_dns_cache=False,
        force_close=True,
        limit=0,
    )
    tracing = aiohttp.TraceConfig()
    tracing.on_connection_create_end.append(_note_connected)
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=_HEADERS,
        auto_decompress=False,
        trust_env=False,
        timeout=aiohttp.ClientTimeout(),
        trace_configs=[tracing],
    )
    try:
        yield session
    finally:
        # A session knows its loop, which would be kept for ever.
        _kept.pop(asyncio.get_running_loop(), None)
        await session.close()


async def _note_connected(*_: Any) -> None:
    _STEPS.get().connected = time.perf_counter()


def _guarded_socket(policy: AddressPolicy) -> Callable[[Any], socket.socket]:
    def open_socket(address_info: Any) -> socket.socket:
        family, kind, protocol, _, address = address_info
        policy.require(str(address[0]))
        _STEPS.get().opened = time.perf_counter()
        return socket.socket(family, kind, protocol)

    return open_socket


async def _read_body(content: aiohttp.StreamReader, most: int) -> tuple[bytes, bool]:
    pieces: list[bytes] = []
    left = most
    while left:
        read = await content.read(left)
        if not read:
            return b"".join(pieces), False
        pieces.append(read)
        left -= len(read)
    return b"".join(pieces), not content.at_eof()


def _require_http(url: str) -> bool:
    """Whether the URL is an https one. Raises ValueError for another scheme than http."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an http or https URL")
    return parts.scheme == "https"


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port


def reason_of(error: Exception) -> str:
    """The kind of a failure, in words where there are some."""
    inner = getattr(error, "os_error", None) or error.__cause__ or error
    for each in (inner, error):
        if isinstance(each, ssl.SSLCertVerificationError):
            return (
                f"Certificate does not hold, {getattr(each, 'verify_message', 'no reason given')}"
            )
        if isinstance(each, ssl.SSLError):
            return f"TLS fails, {each.reason or 'no reason given'}"
        if isinstance(each, socket.gaierror):
            return "unknown name"
        if isinstance(each, ConnectionRefusedError):
            return "connection refused"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "closed without an answer"
    if isinstance(inner, OSError):
        return os.strerror(inner.errno).lower() if inner.errno else "no address answers"
    return type(error).__name__


def _ms_since(began: float) -> float:
    return (time.perf_counter() - began) * 1000
