"""Who calls services.php, for the ledger: enough to find them, in few words."""

from typing import Any
from urllib.parse import urlsplit

from cms_services.ledger.counting import Caller
from cms_services.web.browsers import browser_words
from cms_services.web.limits import network_of

_LONGEST = 64


def caller_of(environ: dict[str, Any], user_id: str | None = None) -> Caller:
    """The account, address, program and site behind a request; user agents without versions."""
    told = environ.get("HTTP_ORIGIN") or environ.get("HTTP_REFERER") or ""
    return Caller(
        user_id,
        _printable(network_of(environ.get("REMOTE_ADDR"))),
        _printable(browser_words(environ.get("HTTP_USER_AGENT", ""))),
        _printable(_host_of(told)),
    )


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        return ""


def _printable(text: str) -> str:
    return "".join(each for each in text if each.isprintable())[:_LONGEST]
