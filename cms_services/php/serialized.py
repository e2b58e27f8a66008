"""What PHP's serialize() wrote, as Python values.

No class is looked up, and nothing is made but None, bool, int, float, str and dict: an object
becomes the mapping of its properties. Reading is bounded by length, depth and number of values,
and fails by Unreadable alone.
"""

import re
from collections.abc import Callable
from typing import Any, TypeAlias

Value: TypeAlias = "bool | int | float | str | Mapping | None"
# An array, or an object's properties, in PHP's order.
Mapping: TypeAlias = dict[int | str, Value]

MOST_BYTES = 1024 * 1024
_MOST_DEPTH = 100
# Values that references repeat are counted each time: who writes them down writes all.
_MOST_VALUES = 1_000_000

# What a value begins with; scalars but texts are whole by this.
_BEGINNING = re.compile(
    rb"""N(?P<null>);
    |b:(?P<boolean>[01]);
    |i:(?P<integer>[+-]?[0-9]{1,20});
    |d:(?P<float>-?INF|NAN|[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,1100})?|\.[0-9]{1,1100})(?:[eE][+-]?[0-9]{1,5})?);
    |s:(?P<text>[0-9]{1,10}):"
    |S:(?P<escaped>[0-9]{1,10}):"
    |E:(?P<enum>[0-9]{1,10}):"
    |a:(?P<array>[0-9]{1,10}):{
    |O:(?P<object>[0-9]{1,10}):"
    |C:(?P<custom>[0-9]{1,10}):"
    |R:(?P<reference>[0-9]{1,10});
    |r:(?P<copy>[0-9]{1,10});""",
    re.VERBOSE,
)
_KEYS = frozenset({"integer", "text", "escaped"})
_LENGTH = re.compile(rb"([0-9]{1,10}):\{")
_ESCAPED = re.compile(rb"\\([0-9a-fA-F]{2})|[^\\]", re.DOTALL)
_INT64 = range(-(2**63), 2**63)

# A value, how many there are in it with itself, and in how many levels, repeated ones too.
_Measured: TypeAlias = tuple[Value, int, int]


class Unreadable(ValueError):
    """These bytes are not what serialize() writes, or are more than is read."""


def unserialize(data: bytes) -> Value:
    """One serialized value, with nothing before or behind it.

    Texts are read as UTF-8; a byte that isn't becomes a lone surrogate (PEP 383). Names of private
    and protected properties come without their class. A custom serialization (`C:`) becomes an
    empty mapping, an enum's case its name with its class, and a reference to a value that it stands
    in None. Raises Unreadable.
    """
    reader = Reader(data)
    value = reader.value()
    if not reader.is_at_end:
        raise Unreadable("Something follows the value.")
    return value


def with_lists(value: Value) -> object:
    """The value with each array that is a list in PHP (keys 0, 1, 2, …) as a list."""
    if not isinstance(value, dict):
        return value
    items = [with_lists(each) for each in value.values()]
    if list(value) == list(range(len(items))):
        return items
    return dict(zip(value, items, strict=True))


class Reader:
    """Values that stand one behind the other and may refer to each other.

    `position` is the byte that is read next. All methods raise Unreadable.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) > MOST_BYTES:
            raise Unreadable("Too long.")
        self.data = data
        self.position = 0
        self._depth = 0
        # Values by their number, as references name them; None for one that is being read.
        self._numbered: list[_Measured | None] = []
        # How many numbers are certain: a custom serialization may have used up some.
        self._certain: int | None = None

    @property
    def is_at_end(self) -> bool:
        return self.position >= len(self.data)

    def take(self, count: int) -> bytes:
        """The next bytes, all of them."""
        taken = self.data[self.position : self.position + count]
        if len(taken) != count:
            raise Unreadable("It ends too early.")
        self.position += count
        return taken

    def value(self) -> Value:
        """The next value."""
        return self._next()[0]

    def _next(self) -> _Measured:
        kind, begun = self._begin()
        if kind in _SCALARS:
            measured = (_SCALARS[kind](self, begun), 1, 0)
            self._numbered.append(measured)
            return measured
        if kind == "reference":
            return self._referred(int(begun))
        if kind == "copy":
            copied = self._referred(int(begun))
            # Unlike with R, this place has a number too.
            self._numbered.append(copied)
            return copied
        number = len(self._numbered)
        self._numbered.append(None)
        if kind == "object":
            self._text(begun, b'":')
            begun = self._match(_LENGTH)
        nested = self._numbered[number] = self._nested(int(begun), kind == "object")
        return nested

    def _begin(self) -> tuple[str, bytes]:
        """The kind of the next value, and the number that it begins with."""
        match = _BEGINNING.match(self.data, self.position)
        if match is None or match.lastgroup is None:
            raise Unreadable("Not a value where one has to be.")
        self.position = match.end()
        return match.lastgroup, match[match.lastgroup]

    def _nested(self, length: int, is_object: bool) -> _Measured:
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise Unreadable("Nested too deeply.")
        found: Mapping = {}
        count, levels = 1, 0
        for _ in range(length):
            key = self._key()
            item, its_count, its_levels = self._next()
            found[_plain_name(key) if is_object else key] = item
            count += its_count
            levels = max(levels, its_levels)
            if count > _MOST_VALUES or levels >= _MOST_DEPTH:
                raise Unreadable("References repeat too much.")
        self._expect(b"}")
        self._depth -= 1
        return found, count, levels + 1

    def _key(self) -> int | str:
        kind, begun = self._begin()
        if kind not in _KEYS:
            raise Unreadable("A key is neither an integer nor a text.")
        key: int | str = _SCALARS[kind](self, begun)
        return key

    def _integer(self, digits: bytes) -> int:
        number = int(digits)
        if number not in _INT64:
            raise Unreadable("An integer has more than 64 bits.")
        return number

    def _text(self, length: bytes, end: bytes = b'";') -> str:
        text = self.take(int(length))
        self._expect(end)
        return text.decode("utf-8", "surrogateescape")

    def _escaped(self, length: bytes) -> str:
        text = bytearray()
        while len(text) < int(length):
            match = _ESCAPED.match(self.data, self.position)
            if match is None:
                raise Unreadable("An escape is not of two digits.")
            self.position = match.end()
            text += bytes.fromhex(match[1].decode()) if match[1] else match[0]
        self._expect(b'";')
        return text.decode("utf-8", "surrogateescape")

    def _custom(self, length: bytes) -> Value:
        self._text(length, b'":')
        self.take(int(self._match(_LENGTH)))
        self._expect(b"}")
        if self._certain is None:
            self._certain = len(self._numbered) + 1
        return {}

    def _referred(self, number: int) -> _Measured:
        known = len(self._numbered) if self._certain is None else self._certain
        if not 1 <= number <= known:
            raise Unreadable("A reference to nothing that is known.")
        return self._numbered[number - 1] or (None, 1, 0)

    def _expect(self, wanted: bytes) -> None:
        if not self.data.startswith(wanted, self.position):
            raise Unreadable(f"Not {wanted.decode()} where it has to be.")
        self.position += len(wanted)

    def _match(self, pattern: re.Pattern[bytes]) -> bytes:
        match = pattern.match(self.data, self.position)
        if match is None:
            raise Unreadable("Not a length where one has to be.")
        self.position = match.end()
        return match[1]


_SCALARS: dict[str, Callable[[Reader, bytes], Any]] = {
    "null": lambda _, __: None,
    "boolean": lambda _, digit: digit == b"1",
    "integer": Reader._integer,
    "float": lambda _, digits: float(digits),
    "text": Reader._text,
    "escaped": Reader._escaped,
    "enum": Reader._text,
    "custom": Reader._custom,
}


def _plain_name(name: int | str) -> int | str:
    """A property's name without the class that PHP writes before it."""
    if isinstance(name, str) and name.startswith("\0"):
        return name[1:].partition("\0")[2]
    return name
