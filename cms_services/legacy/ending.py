"""Saying in each answer of services.php that it will go: RFC 9745 and RFC 8594."""

from collections.abc import Callable

from flask import Flask, Response, request
from werkzeug.http import http_date

from cms_services.legacy.routing import PATH
from cms_services.settings import Settings


def announce_end(app: Flask) -> Callable[[Response], Response]:
    """What adds the headers to answers of services.php, where settings say since when, until when.

    The REST API is what comes after it, and its documentation the place to read about it.
    """
    headers = _headers(app.extensions["cms_services.settings"])

    def announce(response: Response) -> Response:
        if request.path == PATH:
            for name, value in headers:
                response.headers.add(name, value)
        return response

    return announce


def _headers(settings: Settings) -> list[tuple[str, str]]:
    headers = []
    since, sunset = settings.legacy_deprecated_since, settings.legacy_sunset
    if since is not None:
        headers.append(("Deprecation", f"@{int(since.timestamp())}"))
    if sunset is not None:
        headers.append(("Sunset", http_date(sunset)))
    if headers:
        headers.append(("Link", '</api/docs>; rel="successor-version"'))
        if settings.legacy_deprecation_link is not None:
            link = f'<{settings.legacy_deprecation_link}>; rel="deprecation"; type="text/html"'
            headers.append(("Link", link))
    return headers
