"""Refusing changes that another site's page makes with our cookie.

By Fetch Metadata (https://www.w3.org/TR/fetch-metadata/), else by Origin or Referer. No token
stands in any page, so the existing frontend needs no change.
"""

from urllib.parse import urlsplit

from flask import request

from cms_services.errors import Forbidden
from cms_services.settings import current_settings
from cms_services.web.caller import is_cookie_caller
from cms_services.wording import worded

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def refuse_cross_site_change() -> None:
    """Let no other site change anything by the method of this request; see refuse_other_site()."""
    if request.method not in _SAFE_METHODS:
        refuse_other_site()


def refuse_other_site() -> None:
    """Raise Forbidden for a request without an Authorization header that another site made.

    Where a client sends none of the three headers it is no browser, and is let through.
    """
    if not is_cookie_caller():
        return
    origin = _origin(request.headers.get("Origin") or request.headers.get("Referer"))
    if origin is not None and origin in current_settings().trusted_origins:
        return
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        allowed = site in ("same-origin", "none")
    else:
        allowed = origin is None or origin == f"{request.scheme}://{request.host}"
    if not allowed:
        raise Forbidden(
            worded(
                "This change came from another site. Its origin must be listed in TRUSTED_ORIGINS."
            )
        )


def _origin(url: str | None) -> str | None:
    if url is None:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        # As browsers word an origin that they don't tell.
        return "null"
    return f"{parts.scheme}://{parts.netloc}"
