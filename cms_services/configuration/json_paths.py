"""Paths by RFC 9535 that strangers write, followed in documents that strangers send."""

from collections.abc import Iterable
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from jsonpath import JSONPath, JSONPathEnvironment, JSONPathError, JSONPathMatch

from cms_services.wording import worded

_LONGEST_PATH = 255
# A step for one value takes some 50 microseconds, during which nothing else is checked.
_MOST_VALUES = 2000
_MOST_STEPS = 5000
# Without one of them a path leads to one place, however large the document is.
_SEARCHING = ("*", "?", "..", ":", ",")
_MOST_FOUND = 1000


class TooMuch(Exception):
    """A path can't be followed in a document: it is nested too deep, or has too many values."""


@lru_cache(maxsize=1024)
def json_path(text: str) -> JSONPath:
    """A compiled path. Raises ValueError.

    What can take much longer than the document is long is left out: the functions match() and
    search(), whose patterns can take for ever, and more than one of `..`, `?`, `,` and `$`.
    """
    if len(text) > _LONGEST_PATH:
        raise ValueError(worded("Takes at most %(most)s characters.", most=_LONGEST_PATH))
    if any(text.count(each) > 1 for each in ("..", "?", ",", "$")):
        raise ValueError(worded("Takes a path with one each of '..', '?', ',' and '$' at most."))
    try:
        compiled = _ENVIRONMENT.compile(text)
    except (JSONPathError, ValueError, RecursionError) as error:
        said = str(error).partition("\n")[0][:200]
        raise ValueError(worded("Takes a JSONPath (RFC 9535): %(said)s", said=said)) from error
    if not isinstance(compiled, JSONPath):
        raise ValueError(worded("Takes one JSONPath (RFC 9535)."))
    return compiled


def found_at(path: str, document: Any) -> list[Any]:
    """The values at a path, the first 1,000. Raises ValueError for no path, and TooMuch."""
    if any(each in path for each in _SEARCHING):
        _require_small(document)
    _LEFT.set([_MOST_STEPS])
    try:
        # The library's own root is not counted, and reads a text as a document once more.
        root = _Counted(
            filter_context={}, obj=document, parent=None, path="$", parts=(), root=document
        )
        matches: Iterable[JSONPathMatch] = [root]
        for segment in json_path(path).segments:
            matches = segment.resolve(matches)
        return [match.obj for match, _ in zip(matches, range(_MOST_FOUND), strict=False)]
    except (JSONPathError, RecursionError) as error:
        raise TooMuch("it is nested too deep") from error


def _require_small(document: Any) -> None:
    waiting, values = [document], 0
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        values += 1
        if values + len(waiting) > _MOST_VALUES:
            raise TooMuch(f"it has more than {_MOST_VALUES:,} values")


# How many more steps may be taken, in a list of one.
_LEFT: ContextVar[list[int]] = ContextVar("left")


class _Counted(JSONPathMatch):
    """A step to a value: some paths come to each many times."""

    __slots__ = ()

    def __init__(self, **known: Any) -> None:
        left = _LEFT.get()
        left[0] -= 1
        if left[0] < 0:
            raise TooMuch(f"it would take more than {_MOST_STEPS:,} steps")
        super().__init__(**known)


def _environment() -> JSONPathEnvironment:
    environment = JSONPathEnvironment(strict=True)
    for name in ("match", "search"):
        environment.function_extensions.pop(name, None)
    return environment


_ENVIRONMENT = _environment()
