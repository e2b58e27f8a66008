"""Reading a service's configuration, which may hold anything, as what a bundle needs of it.

All functions take the document of a Subject, in which no ciphertext is left, and raise
ServiceConfigError, which names the path, for a value that can't be used. Numbers may be strings:
that is what form bodies make of them. An empty list is an empty object: PHP has one word for both.
A dotted path in camelCase also finds what an older document wrote in snake_case.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import ceil
from typing import Any

import orjson

from cms_services.configuration.documents import MASK, Document, Opened
from cms_services.configuration.fields import MEMORY
from cms_services.downloads.names import host_name
from cms_services.errors import ServiceConfigError
from cms_services.wording import worded

_BYTES_OF_UNIT = {
    "M": 1000**2,
    "Mi": 1024**2,
    "G": 1000**3,
    "Gi": 1024**3,
    "T": 1000**4,
    "Ti": 1024**4,
}
_WHOLE_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) ?(ms|s|m|h)?", re.ASCII)
_SECONDS_OF_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_MAX_DOMAINS = 100


@dataclass(frozen=True)
class Memory:
    """An amount of memory: MB counts in thousands and MiB in powers of two, as Kubernetes does."""

    amount: int
    unit: str

    def __str__(self) -> str:
        return f"{self.amount}{self.unit}"

    @property
    def mebibytes(self) -> int:
        return self.amount * _BYTES_OF_UNIT[self.unit] // 1024**2


@dataclass(frozen=True)
class Variables:
    """The variables under `environment`, by name. The value of a masked secret is None."""

    plain: dict[str, str]
    secret: dict[str, str | None]

    @property
    def masked(self) -> list[str]:
        """The names of the secrets whose values are not here."""
        return [name for name, value in self.secret.items() if value is None]


def refused(path: str, message: str) -> ServiceConfigError:
    return ServiceConfigError(
        worded(
            "The configuration's %(path)s can't be used. %(message)s", path=path, message=message
        ),
        {path: [message]},
    )


def whole_number(
    document: Document, paths: tuple[str, ...], low: int, high: int, default: int
) -> int:
    """The first of the paths that is set."""
    path, value = first(document, paths)
    if value is None:
        return default
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise refused(
            path, worded("Takes a whole number from %(low)s to %(high)s.", low=low, high=high)
        )
    return value


def text(
    document: Document, path: str, pattern: re.Pattern[str], hint: str, numbers: bool = False
) -> re.Match[str] | None:
    """The match of the string at this path, or None where there is none.

    With `numbers`, a number counts as its digits: versions are often written so.
    """
    path, value = first(document, (path,))
    if value is None:
        return None
    if numbers and isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    match = pattern.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise refused(path, hint)
    return match


def seconds(document: Document, path: str, high: int, default: int) -> int:
    """The duration at this path, in whole seconds, rounded up. A bare number counts seconds."""
    hint = worded("Takes a time of at most %(high)s seconds, such as 30s.", high=high)
    match = text(document, path, _DURATION, hint, numbers=True)
    if match is None:
        return default
    value = ceil(float(match[1]) * _SECONDS_OF_UNIT[match[2] or "s"])
    if value > high:
        raise refused(path, hint)
    return value


def memory(document: Document, default: Memory) -> Memory:
    """What the service may use: `runtime.memory_limit`, or `memoryLimit`."""
    path, value = first(document, ("runtime.memory_limit", "runtime.memoryLimit"))
    if value is None:
        return default
    match = MEMORY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise refused(path, worded("Takes a size in M, G or T, such as 512MB or 1GiB."))
    return Memory(int(match[1]), match[2].upper() + match[3].lower())


def domains(document: Document, service_name: str, fallback: str) -> list[str]:
    """The service's host names, the main one first.

    They stand at `domain`, `host` and `domains`; else the service's own name is one, or the
    fallback takes their place.
    """
    found: dict[str, None] = {}
    for path in ("domain", "host", "domains"):
        value = document.get(path)
        if value is None or value == "":
            continue
        several = path == "domains" and isinstance(value, list)
        for number, each in enumerate(value if several else [value]):
            host = host_name(each) if isinstance(each, str) else None
            if host is None:
                raise refused(
                    f"{path}.{number}" if several else path, worded("Takes a domain name.")
                )
            found[host] = None
    if len(found) > _MAX_DOMAINS:
        raise refused("domains", worded("Takes at most %(most)s names.", most=_MAX_DOMAINS))
    return list(found) or [host_name(service_name) or fallback]


def variables(document: Document, is_name: Callable[[str], object], hint: str) -> Variables:
    """The variables under `environment`, sorted, with names that `is_name` accepts.

    A value may be any scalar; null is no variable. The bare word that masks a secret announces one
    that was never set, as in the documents of the old CMS. An environment that is a string, the
    name of a stage, has no variables.
    """
    environment = document.get("environment")
    if isinstance(environment, str):
        return Variables({}, {})
    plain: dict[str, str] = {}
    secret: dict[str, str | None] = {}
    for name, value in sorted(section(environment, "environment").items()):
        path = f"environment.{name[:64]}"
        if not is_name(name):
            raise refused(path, hint)
        if isinstance(value, Opened):
            secret[name] = scalar(value, path)
        elif is_masked(value):
            secret[name] = None
        elif value is not None:
            plain[name] = scalar(value, path)
    return Variables(plain, secret)


def is_masked(value: Any) -> bool:
    """Whether the value is a secret that must not be shown."""
    if isinstance(value, Opened):
        return False
    # An imported row can hold the form in which a secret is posted; it must not be shown either.
    return value == MASK or (isinstance(value, dict) and value.get("secret") is not False)


def scalar(value: Any, path: str) -> str:
    """A value that a process gets: of any scalar its text, and no NUL in it."""
    if isinstance(value, dict) and value.get("secret") is False:
        value = value.get("value") if value.keys() <= {"value", "secret"} else None
    if isinstance(value, bool | int | float):
        return orjson.dumps(value).decode()
    if not isinstance(value, str):
        raise refused(path, worded("Takes a string."))
    if "\x00" in value or not is_unicode(value):
        raise refused(path, worded("Holds a character that no environment variable can."))
    return str(value)


def is_unicode(value: str) -> bool:
    """Whether the text has no half of a surrogate pair, which no file can hold."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def first(document: Document, paths: tuple[str, ...]) -> tuple[str, Any]:
    """The first path that holds something, as the document spells it, and what it holds.

    Null and "" count as nothing.
    """
    for path in paths:
        spelled, value = _at(document, path)
        if value is not None and value != "":
            return spelled, value
    return paths[0], None


def section(value: Any, path: str) -> Document:
    """The object that the value is; nothing counts as an empty one."""
    if value is None or value == [] or value == "":
        return {}
    if not isinstance(value, dict):
        raise refused(path, worded("Takes an object."))
    return value


def _at(document: Document, path: str) -> tuple[str, Any]:
    value: Any = document
    spelled = ""
    for name in path.split("."):
        holder = section(value, spelled)
        if holder.get(name) in (None, "") and _snake_case(name) in holder:
            name = _snake_case(name)
        value = holder.get(name)
        spelled = f"{spelled}.{name}" if spelled else name
    return spelled, value


@cache
def _snake_case(name: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
