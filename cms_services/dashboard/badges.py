"""Badges: a label and a word, as one small SVG."""

import unicodedata
from dataclasses import dataclass

from flask import render_template

# Verdana at 11 pixels, roughly: what reads a badge stretches the text to the width given.
_NARROW = frozenset("ijlI.,'!|:;()[]{} ")
_SMALL = frozenset('frtJ-/\\"*')
_WIDE = frozenset("mwMW@%")
_PADDING = 12
_LONGEST = 60

# White is read on each of them.
GOOD, WARN, BAD, INFO, REST = "#17633a", "#7a4b00", "#95231a", "#1f4f80", "#5a615d"
COLOUR_OF_STATE = {
    "healthy": GOOD,
    "degraded": WARN,
    "unhealthy": BAD,
    "maintenance": INFO,
    "unknown": REST,
}


@dataclass(frozen=True)
class _Part:
    text: str
    x: int
    width: int
    colour: str


def colour_of_percent(percent: float | None) -> str:
    if percent is None:
        return REST
    if percent >= 99.9:
        return GOOD
    return WARN if percent >= 99 else BAD


def badge(label: str, word: str, colour: str) -> str:
    """A badge that says `label: word`."""
    label = label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"
    first = _Part(label, 0, text_width(label) + _PADDING, "#3a423f")
    second = _Part(word, first.width, text_width(word) + _PADDING, colour)
    return render_template("status/badge.svg", parts=(first, second), padding=_PADDING)


def text_width(text: str) -> int:
    return round(sum(_width(each) for each in text))


def _width(letter: str) -> float:
    if unicodedata.combining(letter):
        return 0
    if unicodedata.east_asian_width(letter) in "WF":
        return 12
    if letter in _NARROW:
        return 4.2
    if letter in _SMALL:
        return 5
    if letter in _WIDE:
        return 10.8
    return 8 if letter.isupper() else 6.9
