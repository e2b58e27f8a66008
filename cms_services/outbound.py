"""The one client for requests to addresses that users name.

A name is resolved once and only its permitted addresses are connected to, so that neither a
configuration nor a DNS answer nor a redirect can make us call our own network.
"""

import asyncio
import ipaddress
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from cms_services.settings import Network

_MAX_REDIRECTS = 5
_MAX_BODY_BYTES = 64 * 1024
_USER_AGENT = "cms-services-probe/1"


class AddressRefused(Exception):
    """The target is on a network that we don't call."""


class AddressPolicy:
    """Public addresses, and those inside the networks that the operator allows."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed

    def permits(self, address: str) -> bool:
        ip = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        if any(ip in network for network in self._allowed):
            return True
        return ip.is_global and not ip.is_multicast

    def check_host(self, host: str) -> None:
        """Raises AddressRefused for a literal address that is not permitted."""
        try:
            permitted = self.permits(host)
        except ValueError:
            return  # A name; the resolver decides by its addresses.
        if not permitted:
            raise AddressRefused(f"{host} is not a public address")


class _GuardedResolver(AbstractResolver):
    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        permitted = [each for each in found if self._policy.permits(each["host"])]
        if not permitted:
            raise AddressRefused(f"{host} has no public address")
        return permitted

    async def close(self) -> None:
        await self._resolver.close()


@dataclass(frozen=True)
class Answer:
    status: int
    elapsed_ms: float
    body: bytes


async def get(url: str, timeout_seconds: float, policy: AddressPolicy) -> Answer:
    """GET a URL, following a few redirects, each checked anew; at most 64 KiB of body are kept.

    Raises AddressRefused, TimeoutError, ValueError (no HTTP URL), OSError, aiohttp.ClientError.
    """
    started = time.perf_counter()
    connector = aiohttp.TCPConnector(resolver=_GuardedResolver(policy), force_close=True)
    async with (
        asyncio.timeout(timeout_seconds),
        aiohttp.ClientSession(
            connector=connector, headers={"User-Agent": _USER_AGENT}, trust_env=False
        ) as session,
    ):
        for _ in range(_MAX_REDIRECTS + 1):
            _check_url(url, policy)
            async with session.get(url, allow_redirects=False) as response:
                location = response.headers.get("Location")
                if response.status in (301, 302, 303, 307, 308) and location:
                    url = urljoin(url, location)
                    continue
                body = await response.content.read(_MAX_BODY_BYTES)
                elapsed = (time.perf_counter() - started) * 1000
                return Answer(response.status, elapsed, body)
    raise ValueError(f"more than {_MAX_REDIRECTS} redirects")


async def connect(host: str, port: int, timeout_seconds: float, policy: AddressPolicy) -> float:
    """Open and close a TCP connection. Returns milliseconds.

    Raises AddressRefused, TimeoutError or OSError.
    """
    started = time.perf_counter()
    policy.check_host(host)
    async with asyncio.timeout(timeout_seconds):
        addresses = await _GuardedResolver(policy).resolve(host, port)
        _, writer = await asyncio.open_connection(addresses[0]["host"], port)
        writer.close()
        await writer.wait_closed()
    return (time.perf_counter() - started) * 1000


def _check_url(url: str, policy: AddressPolicy) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an http or https URL")
    policy.check_host(parts.hostname)
