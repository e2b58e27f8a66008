"""Reading the lists and objects of a configuration, each value with the path it stands at.

As in configured.py, a value that can't be used raises ServiceConfigError, which names its path.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from cms_services.configuration.documents import Document, Opened
from cms_services.downloads.configured import is_unicode, refused
from cms_services.wording import worded

_MAX_ITEMS = 1000
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WHOLE_NUMBER = re.compile(r"\d{1,10}", re.ASCII)


@dataclass(frozen=True)
class Item:
    """A value inside a list or an object, and its path, such as `users[2].name`."""

    path: str
    value: Any

    def member(self, name: str) -> "Item":
        """A member of this object, which older documents may spell in snake_case.

        Null and "" count as nothing, for which the value is None.
        """
        if not isinstance(self.value, dict):
            raise refused(self.path, worded("Takes an object."))
        for spelling in (name, _WORD_START.sub("_", name).lower()):
            value = self.value.get(spelling)
            if value is not None and value != "":
                return Item(self._path_of(spelling), value)
        return Item(self._path_of(name), None)

    def section(self, name: str) -> "Item":
        """A member that is an object, empty where there is none."""
        member = self.member(name)
        if member.value is None or member.value == []:
            return Item(member.path, {})
        if not isinstance(member.value, dict):
            raise refused(member.path, worded("Takes an object."))
        return member

    def items(self, single: bool = False) -> list["Item"]:
        """What this list holds. With `single`, a text stands for a list of itself."""
        value = self.value
        if value is None or value == {}:
            return []
        if single and isinstance(value, str):
            return [self]
        if not isinstance(value, list) or len(value) > _MAX_ITEMS:
            raise refused(self.path, worded("Takes a list of at most %(most)s.", most=_MAX_ITEMS))
        return [Item(f"{self.path}.{number}", each) for number, each in enumerate(value)]

    def text(self, pattern: re.Pattern[str], hint: str, numbers: bool = False) -> str | None:
        """This text, which has to match. With `numbers`, a number counts as its digits."""
        if self.value is None:
            return None
        value = self.value
        if numbers and isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or not pattern.fullmatch(value) or not is_unicode(value):
            raise refused(self.path, hint)
        return str(value)

    def number(self, low: int, high: int, default: int) -> int:
        value = self.value
        if value is None:
            return default
        if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise refused(
                self.path,
                worded("Takes a whole number from %(low)s to %(high)s.", low=low, high=high),
            )
        return value

    def switch(self, default: bool = False) -> bool:
        value = self.value
        if isinstance(value, str):
            value = {"true": True, "1": True, "false": False, "0": False}.get(value.lower())
        elif value is None:
            return default
        elif type(value) is int and value in (0, 1):
            value = bool(value)
        if not isinstance(value, bool):
            raise refused(self.path, worded("Takes true or false."))
        return value

    def secret(self, longest: int) -> "Secret":
        """What this holds of a secret: one line of at most `longest` octets, or nothing."""
        if not isinstance(self.value, Opened) or self.value == "":
            return Secret(self.path, None, self.value is not None)
        value = str(self.value)
        if not is_line(value) or len(value.encode()) > longest:
            raise refused(
                self.path, worded("Takes one line of at most %(most)s octets.", most=longest)
            )
        return Secret(self.path, value, False)

    def _path_of(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


@dataclass(frozen=True)
class Secret:
    """A secret outside of `environment`. Its value is None where it is masked or not set."""

    path: str
    value: str | None
    masked: bool


def root(document: Document) -> Item:
    """The whole document, to read its members from."""
    return Item("", document)


def is_line(text: str) -> bool:
    """Whether the text is Unicode without control characters, which would end or hide a line."""
    return is_unicode(text) and not any(unicodedata.category(each) == "Cc" for each in text)
