"""Keeping the secrets of a check out of what is told of it."""

import html
import json
import re
from base64 import b64decode
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

from cms_services.configuration.documents import MASK, Opened
from cms_services.monitoring.probes.declared import Check

# Shorter ones stand in every text by chance.
_SHORTEST = 4


def without_secrets(text: str, check: Check) -> str:
    """The text with MASK in the place of each secret of the check, in whatever form it stands."""
    forms = {
        form
        for secret in set(_secrets(check))
        if len(secret) >= _SHORTEST
        for form in _forms(secret)
    }
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, MASK)
    return text


def _forms(secret: str) -> Iterator[str]:
    """How a secret may come back: as it is, or escaped for JSON, a URL or HTML."""
    yield secret
    for ascii_only in (True, False):
        escaped = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        yield escaped
        # As PHP does.
        yield escaped.replace("/", "\\/")
    # A text that no URL can have (half a surrogate pair) is left as it is.
    whole = secret.encode(errors="replace").decode()
    for escaped in (quote(whole), quote(whole, safe=""), quote_plus(whole)):
        yield escaped
        yield re.sub("%..", lambda found: found[0].lower(), escaped)
    yield html.escape(secret)
    yield html.escape(secret, quote=False)


def _secrets(check: Check) -> Iterator[str]:
    if "@" in check.target:
        yield from _passwords(check.target)
    yield from _opened(check.options)


def _opened(value: Any) -> Iterator[str]:
    if isinstance(value, Opened):
        yield str(value)
        # The word alone of "Bearer ...", and the password alone of a URI or of "Basic ...".
        kind, _, word = value.partition(" ")
        yield from value.split()[1:]
        yield from _passwords(value)
        if kind.lower() == "basic":
            yield from _of_basic(word)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _opened(each)
    elif isinstance(value, list):
        for each in value:
            yield from _opened(each)


def _of_basic(packed: str) -> Iterator[str]:
    """User and password, and the password alone."""
    try:
        both = b64decode(packed).decode()
    except ValueError:
        return
    yield both
    yield both.partition(":")[2]


def _passwords(url: str) -> Iterator[str]:
    try:
        password = urlsplit(url).password
    except ValueError:
        return
    if password:
        yield password
        yield unquote(password)
