"""The codes of the audit chain: over an entry, over its place, and over the head.

An entry's code has two halves of 32 hex digits, each an HMAC-SHA-256 cut to 128 bits. The first is
over the entry's own columns; the second is over its place, which is its number and the whole code
before it. So an entry that was edited can be told from one that was moved.
"""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

_HALF = 32
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# What says where an entry stands, and not what it tells.
_OF_THE_PLACE = ("id", "mac")


def entry_code(key: bytes, entry: Mapping[str, Any], previous: str) -> str:
    """The code of an entry, all of whose columns but `mac` are set, behind the code `previous`."""
    content = content_half(key, entry)
    return content + place_half(key, entry["id"], content, previous)


def content_half(key: bytes, entry: Mapping[str, Any]) -> str:
    """Raises TypeError for a value that no entry can have been written with."""
    return _code(key, "entry", _canonical(entry))[:_HALF]


def place_half(key: bytes, number: int, content: str, previous: str) -> str:
    return _code(key, "place", f"{number} {content} {previous}".encode())[:_HALF]


def head_code(key: bytes, began_after: int, last_id: int, last_mac: str) -> str:
    return _code(key, "head", f"{began_after} {last_id} {last_mac}".encode())


def halves(code: str) -> tuple[str, str]:
    """A code's halves: of the content and of the place."""
    return code[:_HALF], code[_HALF:]


def is_same(one: str, other: str) -> bool:
    """Whether two codes are equal; how long that takes tells nothing of them."""
    return hmac.compare_digest(one.encode(), other.encode())


def _code(key: bytes, kind: str, message: bytes) -> str:
    return hmac.digest(key, f"cms-services {kind}\n".encode() + message, "sha256").hex()


def _canonical(entry: Mapping[str, Any]) -> bytes:
    """The same bytes at writing and after reading back, from each of the databases.

    Empty columns are left out, so that a column of a later version changes no code of before.
    """
    told = {
        name: _plain(value)
        for name, value in entry.items()
        if name not in _OF_THE_PLACE and value is not None
    }
    return orjson.dumps(told, option=orjson.OPT_SORT_KEYS)


def _plain(value: Any) -> Any:
    """Moments as whole microseconds, which all three databases keep."""
    return (value - _EPOCH) // _MICROSECOND if isinstance(value, datetime) else value
