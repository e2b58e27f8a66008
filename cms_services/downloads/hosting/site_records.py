"""A site's host names and addresses, and the DNS records that lead from the ones to the others."""

import ipaddress
from dataclasses import dataclass
from typing import Any

from cms_services.configuration.documents import Document
from cms_services.downloads.configured import refused
from cms_services.wording import worded

_MAX_ADDRESSES = 50
_EXAMPLE = "192.0.2.1"


@dataclass(frozen=True)
class Addresses:
    """The host's own addresses in their shortest forms (RFC 5952 for IPv6)."""

    ipv4: tuple[str, ...]
    ipv6: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    """A DNS record whose value needs no quoting."""

    name: str
    type: str
    value: str


def addresses(document: Document) -> Addresses:
    """What stands at `addresses`. Raises ServiceConfigError, which names the path."""
    given = document.get("addresses")
    if given is None or given == "" or given == []:
        given = {}
    if not isinstance(given, dict):
        raise refused("addresses", worded("Takes an object with 'ipv4' and 'ipv6'."))
    return Addresses(
        _of_version(given.get("ipv4"), "addresses.ipv4", ipaddress.IPv4Address),
        _of_version(given.get("ipv6"), "addresses.ipv6", ipaddress.IPv6Address),
    )


def _of_version(
    given: Any, path: str, version: type[ipaddress.IPv4Address] | type[ipaddress.IPv6Address]
) -> tuple[str, ...]:
    if given is None or given == "" or given == {}:
        return ()
    values = [given] if isinstance(given, str) else given
    if not isinstance(values, list) or len(values) > _MAX_ADDRESSES:
        raise refused(
            path,
            worded("Takes a list of at most %(most)s addresses.", most=_MAX_ADDRESSES),
        )
    found: dict[str, None] = {}
    for number, each in enumerate(values):
        # The class would take a number for an address as well, and a zone for a part of one.
        if not isinstance(each, str) or "%" in each:
            raise refused(f"{path}.{number}", worded("Takes an address."))
        try:
            found[str(version(each))] = None
        except ValueError:
            raise refused(f"{path}.{number}", worded("Takes an address.")) from None
    return tuple(found)


def site_records(hosts: list[str], site: Addresses) -> list[Record]:
    """The records of all host names, the main one first.

    A name below the main one leads to it by CNAME. Any other may be the top of its zone, where no
    CNAME may stand (RFC 1034, 3.6.2), and gets the addresses themselves. Without an address
    there is an example in its place (RFC 5737).
    """
    main = hosts[0]
    found: list[Record] = []
    for host in hosts:
        if host.endswith(f".{main}"):
            found.append(Record(host, "CNAME", f"{main}."))
            continue
        found.extend(Record(host, "A", each) for each in site.ipv4)
        found.extend(Record(host, "AAAA", each) for each in site.ipv6)
        if not (site.ipv4 or site.ipv6):
            found.append(Record(host, "A", _EXAMPLE))
    return found
