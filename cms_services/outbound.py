"""The one client for requests to addresses that users name.

A name is resolved once, and every address is checked once more where the socket to it is opened,
so that neither a configuration nor a DNS answer nor a redirect nor an odd spelling of an address
can make us call our own network.
"""

import asyncio
import ipaddress
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from cms_services.setting_types import Network

_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_REDIRECTS = 5
_MAX_BODY_BYTES = 64 * 1024
_HEADERS = {
    "User-Agent": "cms-services-probe/1",
    # A few packed bytes can unpack to gigabytes; what comes packed all the same is left so.
    "Accept-Encoding": "identity",
}
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
# What the registries call global although it leads to this machine's surroundings, to an IPv4
# address packed inside, or nowhere.
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(each)
    for each in (
        "168.63.129.16/32",  # Azure's metadata and DNS
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata
        "192.88.99.0/24",  # 6to4 relays
        "2001::/32",  # Teredo
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)
# Interface identifiers of ISATAP (RFC 5214), less the bit that says whether they are unique.
_ISATAP = 0x5EFE


class AddressRefused(Exception):
    """The target is on a network that we don't call."""


class Unreachable(Exception):
    """Nobody answers there, or not as HTTP asks. The text is the kind of failure."""


class AddressPolicy:
    """Public addresses, and those inside the networks that the operator allows."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed

    def permits(self, address: str) -> bool:
        """Whether an address may be connected to. Raises ValueError for what is none."""
        ip = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(ip, ipaddress.IPv6Address):
            ip = _reached_by(ip)
        return any(ip in network for network in self._allowed) or _is_public(ip)

    def require(self, address: str) -> None:
        """Raises AddressRefused for an address that is not permitted."""
        if not self.permits(address):
            raise AddressRefused(f"{address} is not a public address")


def _reached_by(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address that packets get to: an IPv4 address inside, where a translator takes it out."""
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip


def _is_public(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if not ip.is_global or ip.is_multicast or any(ip in network for network in _NOT_PUBLIC):
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return True
    return ip in _GLOBAL_UNICAST and (int(ip) >> 32) & 0xFDFFFFFF != _ISATAP


class _GuardedResolver(AbstractResolver):
    """Looks a name up and leaves out the addresses that are not permitted."""

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises AddressRefused where no address is left, OSError for an unknown name."""
        found = await _look_up(host, port, family)
        permitted = [each for each in found if self._policy.permits(each["host"])]
        if not permitted:
            raise AddressRefused(f"{host} has no public address")
        return permitted

    async def close(self) -> None:
        pass


async def _look_up(host: str, port: int, family: int) -> list[ResolveResult]:
    look_up = partial(
        socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    )
    # A thread of its own, which nobody waits for when a name server keeps us waiting: the loop's
    # own threads are waited for at its end.
    threads = ThreadPoolExecutor(1, "look-up")
    try:
        found = await asyncio.get_running_loop().run_in_executor(threads, look_up)
    finally:
        threads.shutdown(wait=False)
    return [
        ResolveResult(
            hostname=host,
            host=str(address[0]),
            port=port,
            family=family,
            proto=protocol,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for family, _, protocol, _, address in found
    ]


@dataclass(frozen=True)
class Answer:
    """The last answer: its status, how long it took, and the body as sent, cut at 64 KiB."""

    status: int
    elapsed_ms: float
    body: bytes


async def get(url: str, timeout_seconds: float, policy: AddressPolicy) -> Answer:
    """GET a URL, following a few redirects, each checked anew; at most 64 KiB of body are read.

    Raises AddressRefused, Unreachable, TimeoutError or ValueError (no HTTP URL).
    """
    try:
        async with asyncio.timeout(timeout_seconds), _session(policy) as session:
            return await _follow(session, url)
    except (TimeoutError, aiohttp.InvalidURL):  # which is a ValueError too
        raise
    except (OSError, aiohttp.ClientError) as error:
        raise Unreachable(type(error).__name__) from error


async def connect(host: str, port: int, timeout_seconds: float, policy: AddressPolicy) -> float:
    """Open and close a TCP connection. Returns milliseconds.

    Raises AddressRefused, Unreachable, TimeoutError or ValueError (no host name).
    """
    started = time.perf_counter()
    try:
        async with asyncio.timeout(timeout_seconds):
            await _connect_to_any(await _GuardedResolver(policy).resolve(host, port))
    except TimeoutError:
        raise
    except OSError as error:
        raise Unreachable(type(error).__name__) from error
    return (time.perf_counter() - started) * 1000


async def _follow(session: aiohttp.ClientSession, url: str) -> Answer:
    started = time.perf_counter()
    for _ in range(_MAX_REDIRECTS + 1):
        _require_http(url)
        async with session.get(url, allow_redirects=False) as response:
            location = response.headers.get("Location")
            if response.status in _REDIRECTS and location:
                url = urljoin(url, location)
                continue
            body = await _read_body(response.content)
            return Answer(response.status, (time.perf_counter() - started) * 1000, body)
    raise ValueError(f"more than {_MAX_REDIRECTS} redirects")


async def _connect_to_any(addresses: Sequence[ResolveResult]) -> None:
    for number, each in enumerate(addresses, start=1):
        try:
            _, writer = await asyncio.open_connection(
                each["host"], each["port"], family=each["family"], flags=each["flags"]
            )
        except OSError:
            if number == len(addresses):
                raise
            continue
        writer.close()
        return


def _session(policy: AddressPolicy) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        resolver=_GuardedResolver(policy),
        # An address that stands in the URL itself is not looked up: this alone sees it.
        socket_factory=_guarded_socket(policy),
        # A name keeps the addresses that were checked, however many redirects come back to it.
        ttl_dns_cache=None,
        force_close=True,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=_HEADERS,
        auto_decompress=False,
        trust_env=False,
    )


def _guarded_socket(policy: AddressPolicy) -> Callable[[Any], socket.socket]:
    def open_socket(address_info: Any) -> socket.socket:
        family, kind, protocol, _, address = address_info
        policy.require(str(address[0]))
        return socket.socket(family, kind, protocol)

    return open_socket


async def _read_body(content: aiohttp.StreamReader) -> bytes:
    body = b""
    while len(body) < _MAX_BODY_BYTES:
        read = await content.read(_MAX_BODY_BYTES - len(body))
        if not read:
            break
        body += read
    return body


def _require_http(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an http or https URL")
