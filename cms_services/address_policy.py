"""Which addresses are called when a user names them, and looking names up under that rule."""

import asyncio
import ipaddress
import os
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import NamedTuple, TypeVar

from cms_services.setting_types import Network

_T = TypeVar("_T")

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

_MOST_LOOK_UPS = 512


class AddressRefused(Exception):
    """The target is on a network that we don't call."""


class Unreachable(Exception):
    """Nobody answers there, or not as HTTP asks. The text is the kind of failure."""


class AddressPolicy:
    """Public addresses, and those inside the networks that the operator allows."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = tuple(allowed)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AddressPolicy) and self._allowed == other._allowed

    def __hash__(self) -> int:
        return hash(self._allowed)

    def permits(self, address: str) -> bool:
        """Whether an address may be connected to. Raises ValueError for what is none."""
        return _permitted(address, self._allowed)

    def require(self, address: str) -> None:
        """Raises AddressRefused for an address that is not permitted."""
        if not self.permits(address):
            raise AddressRefused(f"{address} is not a public address")


# Checks come back to the same addresses, and each asks twice.
@lru_cache(maxsize=16_384)
def _permitted(address: str, allowed: tuple[Network, ...]) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        ip = _reached_by(ip)
    return any(ip in network for network in allowed) or _is_public(ip)


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


class Address(NamedTuple):
    """An address that a policy permits, and the port there."""

    host: str
    port: int
    family: socket.AddressFamily


async def permitted_addresses(
    host: str,
    port: int,
    policy: AddressPolicy,
    family: socket.AddressFamily = socket.AF_UNSPEC,
) -> list[Address]:
    """Look a name up and leave out the addresses that are not permitted.

    Raises AddressRefused where no address is left, OSError for an unknown name.
    """
    literal = _literal(host, port)
    found = [literal] if literal else await _look_up(host, port, family)
    permitted = [each for each in found if policy.permits(each.host)]
    if not permitted:
        raise AddressRefused(f"{host} has no public address")
    return permitted


async def in_own_thread(work: Callable[[], _T], name: str) -> _T:
    """Run what blocks in a thread that nobody waits for at the end.

    The loop's own threads are waited for, and there are only so many of them: who keeps one
    waiting must hold up nobody else.
    """
    threads = ThreadPoolExecutor(1, name)
    try:
        return await asyncio.get_running_loop().run_in_executor(threads, work)
    finally:
        threads.shutdown(wait=False)


def _literal(host: str, port: int) -> Address | None:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address) and ip.scope_id is not None:
        return None
    return Address(str(ip), port, socket.AF_INET if ip.version == 4 else socket.AF_INET6)


@lru_cache(maxsize=1)
def _look_up_threads(process_id: int) -> ThreadPoolExecutor:
    """Threads that wait for name servers: so many that some which keep silent hold up nobody.

    They are not the loop's own, which are waited for at its end. A child of this process has none
    of its parent's threads, and gets others.
    """
    return ThreadPoolExecutor(_MOST_LOOK_UPS, "look-up")


async def _look_up(host: str, port: int, family: int) -> list[Address]:
    look_up = partial(
        socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    )
    loop, threads = asyncio.get_running_loop(), _look_up_threads(os.getpid())
    return [
        Address(str(address[0]), port, found)
        for found, _, _, _, address in await loop.run_in_executor(threads, look_up)
    ]
