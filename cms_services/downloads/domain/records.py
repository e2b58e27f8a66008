"""The records of a DNS zone as a configuration lists them, each of them checked by itself.

A name is relative to the zone unless it ends in the zone's name. A target is relative where it has
no dot. What must hold among the records is in zone_checks.py.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from cms_services.downloads.configured import refused
from cms_services.downloads.configured_lists import Item
from cms_services.downloads.names import host_name
from cms_services.wording import worded

ROOT = "."
MAX_TTL = 2**31 - 1
_MAX_NUMBER = 65535
_LONGEST_NAME = 253
_LONGEST_TEXT = 32_000
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# Hosts have no underscore (RFC 1123, 2.1), and an address is no name of one.
_HOST = re.compile(r"(?:\*\.)?(?:[a-z0-9-]+\.)*[a-z0-9-]*[a-z-][a-z0-9-]*")
_ANY_TEXT = re.compile(r".*", re.DOTALL)
_CAA = re.compile(r'(\d{1,3})\s+([A-Za-z0-9]{1,15})\s+(?:"([^"]*)"|([^\s"]+))', re.ASCII)


@dataclass(frozen=True)
class Record:
    """A resource record. Names are absolute, without the last dot; ROOT stands for the root.

    Of `target`, `address` and `text` one is set; `numbers` and `tag` come before it.
    """

    path: str
    owner: str
    type: str
    ttl: int | None
    numbers: tuple[int, ...] = ()
    tag: str | None = None
    target: str | None = None
    address: str | None = None
    text: str | None = None

    @property
    def data(self) -> tuple[object, ...]:
        """What makes two records of one name and type the same one."""
        return (self.numbers, self.tag, self.target, self.address, self.text)


def record(item: Item, zone: str) -> Record:
    """Read a record. Raises ServiceConfigError, which names the path, for what can't be used."""
    stated = item.member("type")
    type_ = stated.value.upper() if isinstance(stated.value, str) else ""
    read = _READERS.get(type_)
    if read is None:
        raise refused(stated.path, worded("Takes %(choices)s.", choices=", ".join(_READERS)))
    ttl = item.member("ttl")
    owner = _owner(item.member("name"), zone, host=type_ in ("A", "AAAA", "MX"))
    return read(
        Record(
            item.path,
            owner,
            type_,
            None if ttl.value is None else ttl.number(1, MAX_TTL, 1),
        ),
        item,
        zone,
    )


def target_name(item: Item, zone: str, host: bool = True, root: bool = False) -> str:
    """The absolute name that a value stands for; with `host`, one that a host can have."""
    hint = worded("Takes the name of a host.") if host else worded("Takes a domain name.")
    text = item.text(_ANY_TEXT, hint)
    if text == "@":
        return zone
    if text == ROOT and root:
        return ROOT
    name = _ascii_name((text or "").removesuffix("."))
    if name is not None and "." not in name and not (text or "").endswith("."):
        name = f"{name}.{zone}"
    if name is None or len(name) > _LONGEST_NAME or (host and not _HOST.fullmatch(name)):
        raise refused(item.path, hint)
    return name


def is_within(name: str, zone: str) -> bool:
    return name == zone or name.endswith(f".{zone}")


def _owner(item: Item, zone: str, host: bool) -> str:
    hint = worded("Takes the name of a host.") if host else worded("Takes a name within the zone.")
    text = item.text(_ANY_TEXT, hint) or "@"
    if text == "@":
        return zone
    wildcard = text == "*" or text.startswith("*.")
    name = _ascii_name(text.removesuffix(".")[2 if wildcard else 0 :]) if text != "*" else ""
    if name is None:
        raise refused(item.path, hint)
    if not is_within(name, zone):
        if text.endswith("."):
            raise refused(item.path, worded("Stands outside the zone %(zone)s.", zone=zone))
        name = f"{name}.{zone}".removeprefix(".")
    name = f"*.{name}" if wildcard else name
    if len(name) > _LONGEST_NAME or (host and not _HOST.fullmatch(name)):
        raise refused(item.path, hint)
    return name


def _ascii_name(text: str) -> str | None:
    """The name in lower case, its labels in their ASCII form; an underscore may be in them."""
    labels = [_ascii_label(label) for label in text.split(".")]
    return ".".join(each or "" for each in labels) if all(labels) else None


def _ascii_label(text: str) -> str | None:
    if text.isascii():
        return text.lower() if _LABEL.fullmatch(text.lower()) else None
    host = host_name(f"{text}.example")
    # A full stop of another script would end a label of its own.
    return host.removesuffix(".example") if host and host.count(".") == 1 else None


def _with_address(version: type[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> "_Reader":
    name = "IPv4" if version is ipaddress.IPv4Address else "IPv6"

    def read(base: Record, item: Item, zone: str) -> Record:
        value = item.member("value")
        hint = worded("Takes an %(kind)s address.", kind=name)
        text = value.text(_ANY_TEXT, hint) or ""
        try:
            address = version(text)
        except ValueError:
            raise refused(value.path, hint) from None
        if "%" in text:
            raise refused(value.path, hint)
        return replace(base, address=str(address))

    return read


def _with_target(host: bool) -> "_Reader":
    def read(base: Record, item: Item, zone: str) -> Record:
        return replace(base, target=target_name(item.member("value"), zone, host))

    return read


def _mx(base: Record, item: Item, zone: str) -> Record:
    priority = item.member("priority").number(0, _MAX_NUMBER, 10)
    target = target_name(item.member("value"), zone, root=True)
    return replace(base, numbers=(priority,), target=target)


def _srv(base: Record, item: Item, zone: str) -> Record:
    port = item.member("port")
    if port.value is None:
        raise refused(
            port.path,
            worded("Takes a whole number from 0 to %(high)s.", high=_MAX_NUMBER),
        )
    numbers = (
        item.member("priority").number(0, _MAX_NUMBER, 0),
        item.member("weight").number(0, _MAX_NUMBER, 0),
        port.number(0, _MAX_NUMBER, 0),
    )
    return replace(base, numbers=numbers, target=target_name(item.member("value"), zone, root=True))


def _txt(base: Record, item: Item, zone: str) -> Record:
    hint = worded("Takes a text of at most %(most)s octets.", most=_LONGEST_TEXT)
    value = item.member("value")
    text = value.text(_ANY_TEXT, hint) or ""
    if len(text.encode()) > _LONGEST_TEXT:
        raise refused(value.path, hint)
    return replace(base, text=text)


def _caa(base: Record, item: Item, zone: str) -> Record:
    """RFC 8659, 4.1: flags, a tag, and a text, which may be in quotes."""
    hint = worded('Takes flags, a tag and a value, such as 0 issue "ca.example.net".')
    value = item.member("value")
    match = _CAA.fullmatch(value.text(_ANY_TEXT, hint) or "")
    text = (match[3] or match[4] or "") if match else ""
    if not match or int(match[1]) > 255 or not text.isprintable() or len(text.encode()) > 255:
        raise refused(value.path, hint)
    return replace(base, numbers=(int(match[1]),), tag=match[2].lower(), text=text)


_Reader = Callable[[Record, Item, str], Record]
_READERS: dict[str, _Reader] = {
    "A": _with_address(ipaddress.IPv4Address),
    "AAAA": _with_address(ipaddress.IPv6Address),
    "CNAME": _with_target(host=False),
    "MX": _mx,
    "TXT": _txt,
    "SRV": _srv,
    "CAA": _caa,
    "NS": _with_target(host=True),
    "PTR": _with_target(host=True),
}
