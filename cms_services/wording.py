"""Texts in English that know their wording, so that a page can say them in its own language.

Who reads one as the `str` that it is has the English, finished: the API, services.php, the logs
and the database. What joins or formats such texts makes a plain one of them, which no page can
translate; what is made of several takes them as its values.
"""

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any


class Worded(str):
    """A finished text, with the message of the catalogue and the values that it was made of."""

    __slots__ = ("is_clause", "message", "values")

    message: str
    values: Mapping[str, Any]
    is_clause: bool

    def __str__(self) -> str:
        # So that `str(error)` gives it as it was raised.
        return self

    def format(self, *_: object, **__: object) -> str:
        """Itself: marshmallow's validators call this, and there is nothing left to fill in."""
        return self


def worded(message: str, /, **values: Any) -> str:
    """A message as gettext writes it, filled in: `worded("Takes %(most)s.", most=3)`.

    `make messages` finds messages by the name of this function. Values may be worded too.
    """
    return _worded(message % values if values else message, message, values)


def reworded(text: str, message: str, /, **values: Any) -> str:
    """Somebody else's text, for which pages say a message of ours."""
    return _worded(text, message, values)


def term(word: str) -> str:
    """A word of the vocabulary; the catalogue has it by dashboard/words.py."""
    return _worded(str(word), str(word), {})


def either(choices: Iterable[str]) -> str:
    """Choices, such as `zip or tar.gz`."""
    return reduce(lambda some, last: worded("%(some)s or %(last)s", some=some, last=last), choices)


def listed(parts: Iterable[str]) -> str:
    """Parts, such as `zip, tar.gz`."""
    return reduce(lambda some, last: worded("%(some)s, %(last)s", some=some, last=last), parts)


def clause(sentence: str) -> str:
    """A sentence without its full stop, to go on after it."""
    text = sentence.rstrip(".")
    if not isinstance(sentence, Worded):
        return text
    return _worded(text, sentence.message, sentence.values, is_clause=True)


def _worded(
    text: str, message: str, values: Mapping[str, Any], *, is_clause: bool = False
) -> Worded:
    made = Worded(text)
    made.message, made.values, made.is_clause = message, values, is_clause
    return made
