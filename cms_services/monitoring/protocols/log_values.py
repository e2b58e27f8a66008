"""What log protocols have in common: words for levels, and attributes that stay within bounds."""

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any

from cms_services.monitoring.protocols.otlp import attribute_text, storable
from cms_services.vocabulary import LogLevel

# In characters, as our own JSON takes them.
LONGEST_MESSAGE = 65_536
LONGEST_SOURCE = 255
# In one request, as our own JSON takes them.
MOST_ENTRIES = 10_000
_LONGEST_TRACE_ID = 64
_MOST_ATTRIBUTES = 64
_LONGEST_NAME = 255
_LONGEST_VALUE = 8192
_DEEPEST = 8
# What many entries share is stored with each of them.
_LONGEST_SHARED = 16 * 1024
_LONGEST_WORD = 32

# The words of syslog, of OpenTelemetry and of the usual logging libraries.
_WORDS = {
    LogLevel.DEBUG: ("trace", "trc", "debug", "dbg", "verbose", "fine", "finer", "finest"),
    LogLevel.INFO: ("info", "inf", "information", "informational", "notice", "log", "config"),
    LogLevel.WARN: ("warn", "warning", "wrn"),
    LogLevel.ERROR: (
        *("error", "err", "eror", "severe", "fatal", "critical", "crit"),
        *("alert", "emerg", "emergency", "panic"),
    ),
}
_LEVELS = {word: level for level, words in _WORDS.items() for word in words}
# OpenTelemetry numbers its severities within a word: DEBUG2, ERROR3.
_WORD = re.compile(r"([a-z]+)[1-4]?")


def level_of_word(word: str) -> LogLevel | None:
    """The level that a word in any spelling means; None for one that is no level's."""
    return _level_of_word(word) if 0 < len(word) <= _LONGEST_WORD else None


@functools.lru_cache(1000)
def _level_of_word(word: str) -> LogLevel | None:
    found = _WORD.fullmatch(word.strip().lower())
    return _LEVELS.get(found[1]) if found else None


def bounded_attributes(*groups: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of several groups, of which the first matter most.

    At most 64 with names of 255 characters; a value that is longer than 8,192 is cut, and one that
    is nested deeper than 8 levels becomes its JSON text.
    """
    bounded: dict[str, Any] = {}
    for group in groups:
        for name, value in group.items():
            if len(bounded) == _MOST_ATTRIBUTES:
                return bounded
            bounded.setdefault(storable(name)[:_LONGEST_NAME], _bounded(value))
    return bounded


def shared_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What all entries of a stream or a resource have: the first that are 16 KiB together."""
    shared: dict[str, Any] = {}
    left = _LONGEST_SHARED
    for name, value in bounded_attributes(attributes).items():
        size = len(name.encode()) + len(attribute_text(value).encode())
        if size <= left:
            shared[name] = value
            left -= size
    return shared


def bounded_message(text: str) -> str:
    """A message as long as one may be."""
    return storable(text)[:LONGEST_MESSAGE]


def bounded_source(text: str) -> str:
    """The name of a source as long as one may be."""
    return storable(text)[:LONGEST_SOURCE]


def trace_id_among(attributes: Mapping[str, Any]) -> str | None:
    """The trace id that attributes of any of the usual names hold."""
    for name in ("trace_id", "traceId", "traceID", "traceid"):
        value = attributes.get(name)
        if isinstance(value, str) and 0 < len(value) <= _LONGEST_TRACE_ID:
            return storable(value)
    return None


def _bounded(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)[:_LONGEST_VALUE]
    if not isinstance(value, dict | list):
        return value
    text = attribute_text(value)
    if len(text) > _LONGEST_VALUE or _depth(value, _DEEPEST + 1) > _DEEPEST:
        return text[:_LONGEST_VALUE]
    return value


def _depth(value: Any, most: int) -> int:
    """How deep a value is nested, counted up to `most`."""
    if not isinstance(value, dict | list) or most == 0:
        return 0
    children: Iterable[Any] = value.values() if isinstance(value, dict) else value
    return 1 + max((_depth(child, most - 1) for child in children), default=0)
