"""Keeping the secrets of a check out of what is told of it."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from cms_services.configuration.documents import MASK, Opened
from cms_services.monitoring.probes.declared import Check

# Shorter ones stand in every text by chance.
_SHORTEST = 4


def without_secrets(text: str, check: Check) -> str:
    """The text with MASK in the place of each secret of the check."""
    for secret in sorted(set(_secrets(check)), key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, MASK)
    return text


def _secrets(check: Check) -> Iterator[str]:
    if "@" in check.target:
        yield from _passwords(check.target)
    yield from _opened(check.options)


def _opened(value: Any) -> Iterator[str]:
    if isinstance(value, Opened):
        yield str(value)
        # The word alone of "Bearer ...", and the password alone of a URI.
        yield from value.split()[1:]
        yield from _passwords(value)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _opened(each)
    elif isinstance(value, list):
        for each in value:
            yield from _opened(each)


def _passwords(url: str) -> Iterator[str]:
    try:
        password = urlsplit(url).password
    except ValueError:
        return
    if password:
        yield password
        yield unquote(password)
