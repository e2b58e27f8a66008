"""Cross-origin resource sharing: the pages of TRUSTED_ORIGINS may call both APIs, no others."""

import re

from flask import Flask, Response, request
from flask_cors import CORS

from cms_services.settings import Settings, current_settings

_SHARED = re.compile(r"/api/|/services\.php\Z")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_SENT = (
    "Authorization",
    "Content-Type",
    "If-Match",
    "If-None-Match",
    "If-Range",
    "Idempotency-Key",
    "Range",
    "X-Confirm-Name",
    "X-Request-ID",
)
_READ = (
    "Accept-Ranges",
    "Content-Digest",
    "Content-Disposition",
    "Content-Range",
    "Deprecation",
    "ETag",
    "Idempotent-Replayed",
    "Location",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Repr-Digest",
    "Retry-After",
    "Sunset",
    "X-Request-ID",
)
_PREFLIGHT_SECONDS = 600


def init_cors(app: Flask, settings: Settings) -> None:
    """Share both APIs with the trusted origins; without any, no answer says a word of it."""
    if not settings.trusted_origins:
        return
    CORS(
        app,
        resources=[_SHARED],
        # As patterns, since the library would take the brackets of an IPv6 address for one.
        origins=[re.compile(rf"{re.escape(origin)}\Z") for origin in settings.trusted_origins],
        supports_credentials=True,
        methods=_METHODS,
        allow_headers=_SENT,
        expose_headers=_READ,
        max_age=_PREFLIGHT_SECONDS,
        # Nothing for requests without an origin, which are no business of CORS.
        always_send=False,
        # Our error handlers' answers pass by its function anyway.
        intercept_exceptions=False,
        # It names the origin where it allows one; a cache has to tell the other answers apart too.
        vary_header=False,
    )
    app.before_request(_answer_preflight)
    app.after_request(_vary_by_origin)


def _answer_preflight() -> Response | None:
    """Answer a trusted page's question for permission, before anybody counts or signs in."""
    asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
    if not asks or not _SHARED.match(request.path):
        return None
    if request.headers.get("Origin") not in current_settings().trusted_origins:
        return None
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def _vary_by_origin(response: Response) -> Response:
    if _SHARED.match(request.path):
        response.vary.add("Origin")
    return response
