"""PHP's sessions in its three formats, and who is signed in by one.

Which format it is can be told from how a session begins, and only that one is tried: what a format
holds of people's own words may look like a session in another.
"""

import re

from cms_services.php.serialized import Mapping, Reader, Unreadable, Value, unserialize

FORMATS = ("auto", "php", "php_serialize", "php_binary")
MOST_ID_CHARACTERS = 255

# Names that can't be a part of a value, so that no value can be taken for a name.
_PLAIN_NAME = re.compile(rb"[A-Za-z0-9_.\x80-\xff -]+\Z")
_LONGEST_BINARY_NAME = 127
_FIRST_PRINTABLE = 0x20


def read_session(data: bytes, session_format: str = "auto") -> Mapping:
    """The variables of a session, written with `session.serialize_handler` one of FORMATS.

    Raises Unreadable.
    """
    if session_format == "auto":
        return _read_any(data)
    return _READERS[session_format](data)


def user_id_in(session: Mapping, path: str) -> str | None:
    """The text of the user's id, at names that are separated by dots; None where there is none."""
    found: Value = session
    for name in path.split("."):
        if not isinstance(found, dict):
            return None
        # PHP makes an integer of a key that looks like one.
        found = found.get(name, found.get(int(name)) if _is_integer(name) else None)
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    return found if isinstance(found, str) and _may_be_an_id(found) else None


def _read_any(data: bytes) -> Mapping:
    if data.startswith(b"a:"):
        return _read_serialized(data)
    if data and data[0] < _FIRST_PRINTABLE:
        return _read_binary(data)
    return _read_php(data, _PLAIN_NAME)


def _read_php(data: bytes, names: re.Pattern[bytes] | None = None) -> Mapping:
    """Format `php`: a name, a bar and the value, one behind the other."""
    reader = Reader(data)
    found: Mapping = {}
    while not reader.is_at_end:
        bar = data.find(b"|", reader.position)
        if bar < 0:
            raise Unreadable("A name without a value.")
        name = reader.take(bar - reader.position)
        if names is not None and names.match(name) is None:
            raise Unreadable("Not the name of a variable.")
        reader.take(1)
        found[_text(name)] = reader.value()
    return found


def _read_binary(data: bytes) -> Mapping:
    """Format `php_binary`: the length of a name in one byte, the name and the value."""
    reader = Reader(data)
    found: Mapping = {}
    while not reader.is_at_end:
        length = reader.take(1)[0]
        if length > _LONGEST_BINARY_NAME:
            raise Unreadable("A name is too long.")
        name = reader.take(length)
        found[_text(name)] = reader.value()
    return found


def _read_serialized(data: bytes) -> Mapping:
    """Format `php_serialize`: one array."""
    found = unserialize(data)
    if not isinstance(found, dict) or not data.startswith(b"a:"):
        raise Unreadable("Not an array.")
    return found


_READERS = {"php": _read_php, "php_serialize": _read_serialized, "php_binary": _read_binary}


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _is_integer(name: str) -> bool:
    return re.fullmatch(r"0|-?[1-9][0-9]{0,18}", name) is not None


def _may_be_an_id(text: str) -> bool:
    return 0 < len(text) <= MOST_ID_CHARACTERS and text.isprintable()
