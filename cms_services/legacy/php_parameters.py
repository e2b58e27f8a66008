"""Request parameters read as PHP 8.2 reads them into ``$_GET`` and ``$_POST``.

The rules are those of php_register_variable_ex() and its callers in PHP's main/php_variables.c,
of ZEND_HANDLE_NUMERIC_STR for integer keys and of zend_hash_next_index_insert() for ``[]``.
"""

import re
from collections.abc import Iterable, Iterator
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

Value: TypeAlias = str | list["Value"] | dict[str, "Value"]

# The defaults of PHP's max_input_vars and max_input_nesting_level.
MAX_VARIABLES = 1000
MAX_NESTING = 64

_SHOWN_NAME_LENGTH = 100
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_INTEGER_KEY = re.compile(r"0|-?[1-9][0-9]{0,18}")
_APPENDING_KEYS = frozenset(["", *" \t\n\v\f\r"])
_NAME_MANGLING = str.maketrans(" .[", "___")
_COOKIE_PREFIXES = ("__Host-", "__Secure-")


class ParameterError(ValueError):
    """A parameter that PHP would mangle or drop in silence and that we refuse.

    ``name`` is the name of the parameter as far as it can be shown: shortened, and with U+FFFD
    for bytes that are not UTF-8.  The message says what the client has to change.
    """

    def __init__(self, name: str, problem: str) -> None:
        shortened = len(name) > _SHOWN_NAME_LENGTH
        self.name = name[:_SHOWN_NAME_LENGTH] + "…" if shortened else name
        super().__init__(f"parameter {self.name!r} {problem}")


def parse_urlencoded(raw: bytes) -> dict[str, Value]:
    """Return the parameters of a query string or of an application/x-www-form-urlencoded body.

    Raises ParameterError as parse_pairs() does.
    """
    return parse_pairs(urlencoded_pairs(raw))


def parse_pairs(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, Value]:
    """Return the parameters made of names and values that are decoded already.

    A PHP array whose keys are 0, 1, 2... in this order becomes a list, every other one a dict in
    PHP's order.  Parameters that PHP ignores, such as those without a name, are left out.  A name
    ends at its first NUL as in PHP, whereas NULs in values are kept.

    Raises ParameterError for a name or value that is not UTF-8, for more than MAX_VARIABLES pairs
    and for a name with more than MAX_NESTING brackets.
    """
    variables = _PhpArray()
    for count, (raw_name, raw_value) in enumerate(pairs, start=1):
        shown_name = raw_name.decode(errors="replace")
        if count > MAX_VARIABLES:
            problem = f"is number {count}: send at most {MAX_VARIABLES} parameters in a request"
            raise ParameterError(shown_name, problem)
        try:
            name, value = raw_name.decode(), raw_value.decode()
        except UnicodeDecodeError as error:
            problem = "is not valid UTF-8: send its name and value encoded as UTF-8"
            raise ParameterError(shown_name, problem) from error
        _register(variables, name, value)
    return {key: _to_value(item) for key, item in variables.items.items()}


class _PhpArray:
    """A PHP array: ordered items, and the index that the next ``[]`` gets.

    Keys are kept as text.  No integer key is confused with a string key that way, because PHP
    turns every string key that spells an integer into that integer.
    """

    def __init__(self) -> None:
        self.items: dict[str, str | _PhpArray] = {}
        self._next_index: int | None = None

    def put(self, key: str, item: "str | _PhpArray") -> None:
        """Store the item under the key; an item already there is replaced in its place."""
        self.items[key] = item
        index = _integer_key(key)
        if index is not None and (self._next_index is None or index >= self._next_index):
            self._next_index = min(index + 1, _INT64_MAX)

    def subarray(self, key: str) -> "_PhpArray":
        """Return the array stored under the key, first replacing anything else by a new array."""
        item = self.items.get(key)
        if not isinstance(item, _PhpArray):
            item = _PhpArray()
            self.put(key, item)
        return item

    def free_key(self) -> str | None:
        """Return the key an appended item gets, None when the highest index is taken."""
        key = str(self._next_index or 0)
        return None if key in self.items else key


def urlencoded_pairs(raw: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The decoded names and values of a query string or form."""
    for parameter in re.finditer(rb"[^&]+", raw):
        name, _, value = parameter[0].replace(b"+", b" ").partition(b"=")
        yield unquote_to_bytes(name), unquote_to_bytes(value)


def _register(variables: _PhpArray, full_name: str, value: str) -> None:
    """Add one parameter to the variables, or ignore it where PHP does.

    Raises ParameterError when the name is nested too deeply.
    """
    name = full_name.partition("\0")[0].lstrip(" ")
    if name and not name.startswith("["):
        _assign(variables, _split_name(name), value, name)


def _split_name(name: str) -> list[str | None]:
    """Return the keys that lead to the value, None standing for ``[]``.

    Raises ParameterError when there are more than MAX_NESTING brackets.
    """
    base, bracket, rest = name.partition("[")
    path: list[str | None] = [base.translate(_NAME_MANGLING)]
    is_open = bool(bracket)
    while is_open:
        if len(path) > MAX_NESTING:
            problem = f"is nested too deeply: use at most {MAX_NESTING} pairs of brackets"
            raise ParameterError(name, problem)
        key, closing, rest = rest.partition("]")
        if not closing:
            # Only a name without any complete pair of brackets keeps the text of the open one.
            return [name.translate(_NAME_MANGLING)] if len(path) == 1 else path
        path.append(None if key in _APPENDING_KEYS else key)
        is_open, rest = rest.startswith("["), rest[1:]
    return path


def _assign(array: _PhpArray, path: list[str | None], value: str, name: str) -> None:
    """Store the value where the path leads, creating the arrays on the way.

    PHP drops the value, and keeps the arrays created so far, when it meets a full array or a key
    that imitates a protected cookie name.
    """
    step, *remaining = path
    key = array.free_key() if step is None else step
    if key is None or _imitates_cookie_prefix(key, name):
        return
    if remaining:
        _assign(array.subarray(key), remaining, value, name)
    else:
        array.put(key, value)


def _imitates_cookie_prefix(key: str, name: str) -> bool:
    """Tell whether the key has a protected prefix that the name, as sent, does not begin with."""
    return any(
        key.startswith(prefix) and not name.startswith(prefix) for prefix in _COOKIE_PREFIXES
    )


def _integer_key(key: str) -> int | None:
    """Return the integer that PHP makes of the key, None for a key that stays a string."""
    if not _INTEGER_KEY.fullmatch(key):
        return None
    index = int(key)
    return index if _INT64_MIN <= index <= _INT64_MAX else None


def _to_value(item: str | _PhpArray) -> Value:
    if isinstance(item, str):
        return item
    values = {key: _to_value(nested) for key, nested in item.items.items()}
    if list(values) == [str(index) for index in range(len(values))]:
        return list(values.values())
    return values
