"""Requests to services.php whose action is PHP's still: passed on before the application sees them.

Whether somebody may do what they ask is PHP's to say then, and so are sessions, limits and forged
requests. Only how long a body may be is ours.
"""

import re
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import Any

import structlog
from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.wsgi import get_input_stream

from cms_services.errors import AmbiguousAction, DomainError, UpstreamError
from cms_services.ledger.counting import Tally
from cms_services.legacy.actions import ACTIONS
from cms_services.legacy.callers import caller_of
from cms_services.legacy.naming import named_in
from cms_services.legacy.passing_on import PASSED_ON, pass_on
from cms_services.legacy.routes import (
    Decision,
    RoutesFile,
    RouteTable,
    RouteTableError,
    cookie_of,
)
from cms_services.settings import SettingError, Settings
from cms_services.web.request_log import note_passed_on, request_id_of

log = structlog.get_logger()

PATH = "/services.php"
# In the environment of a request that we can't pass on: the error to answer.
REFUSAL = "cms_services.legacy_refusal"
# What the ledger calls an action that is known to neither side.
UNKNOWN = "unknown"
_MIRROR = "HTTP_X_CMS_MIRROR"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def init_routing(app: Flask, settings: Settings) -> None:
    """Pass on what the table LEGACY_ROUTES leaves to PHP. Raises SettingError for a bad table."""
    if settings.legacy_routes is None:
        return
    routes = _routes_of(settings.legacy_routes)
    tally: Tally = app.extensions["cms_services.tally"]
    app.wsgi_app = Routing(  # type: ignore[method-assign]
        app.wsgi_app, routes, tally, float(settings.legacy_php_timeout)
    )


def longer_bodies_to_pass_on(settings: Settings) -> list[tuple[re.Pattern[bytes], int]]:
    """What the web server is to take for services.php; none where nothing is passed on.

    Raises SettingError for a bad table.
    """
    if settings.legacy_routes is None:
        return []
    limit = _routes_of(settings.legacy_routes).table.body_limit
    return [(re.compile(rb"[A-Z]+ /services\.php\Z"), limit)]


def _routes_of(path: Path) -> RoutesFile:
    try:
        return RoutesFile(path)
    except RouteTableError as error:
        raise SettingError(f"LEGACY_ROUTES: {str(error)[:200]}") from error


class Routing:
    """Stands before the application."""

    def __init__(self, app: Wsgi, routes: RoutesFile, tally: Tally, seconds: float) -> None:
        self._app, self._routes, self._tally, self._seconds = app, routes, tally, seconds

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != PATH:
            return self._app(environ, start_response)
        began = time.perf_counter()
        table = self._routes.table
        try:
            body = _read_body(environ, table.body_limit)
            decision = _decide(environ, body, table)
            if decision.side == "flask":
                return self._app(environ, start_response)
            if environ.get(f"HTTP_{PASSED_ON.upper().replace('-', '_')}"):
                raise UpstreamError("PHP's address in the table of actions leads back here.")
            request_id = request_id_of(environ.get("HTTP_X_REQUEST_ID", ""))
            # A failure is told by the same one.
            environ["HTTP_X_REQUEST_ID"] = request_id
            if environ["REQUEST_METHOD"] != "OPTIONS":
                self._tally.count(caller_of(environ), decision.action or UNKNOWN, "passed on")
            answer = pass_on(
                table.php_address, environ, body, _added(environ, request_id), self._seconds
            )
        except (DomainError, HTTPException) as error:
            environ[REFUSAL] = error
            return self._app(environ, start_response)
        note_passed_on(
            method=environ["REQUEST_METHOD"] if environ["REQUEST_METHOD"] in _METHODS else "ANY",
            operation=f"{PATH} {decision.action or 'another action'}",
            status=answer.status,
            seconds=time.perf_counter() - began,
            address=environ.get("REMOTE_ADDR"),
            request_id=request_id,
        )
        start_response(f"{answer.status} {answer.reason or _reason(answer.status)}", answer.headers)
        return answer.body


def _decide(environ: dict[str, Any], body: bytes, table: RouteTable) -> Decision:
    query = environ.get("QUERY_STRING", "").encode("latin-1", "replace")
    given = named_in(query, environ.get("CONTENT_TYPE", ""), body)
    client = cookie_of(environ.get("HTTP_COOKIE", ""), table.session_cookie)
    client = client or environ.get("REMOTE_ADDR") or ""
    decision = table.decide(given.keys(), given.get("project"), client)
    if decision.is_mixed:
        # The application may not see all of them, and would do the one that it sees.
        named = [name for name in table.known_actions if name in given]
        raise AmbiguousAction("Send one action at a time.", {"actions": named})
    action = ACTIONS.get(decision.action or "")
    if is_copy(environ) and action is not None and action.transaction == "read":
        # nginx has asked PHP already, and wants to compare.
        return Decision("flask", action.name, "a copy of a read")
    return decision


def is_copy(environ: dict[str, Any]) -> bool:
    """Whether nginx mirrors a read, whose answer nobody waits for."""
    return environ.get(_MIRROR) == "1" and environ["REQUEST_METHOD"] in ("GET", "HEAD")


def _read_body(environ: dict[str, Any], most: int) -> bytes:
    """The whole body, which whoever reads it next finds again. Raises RequestEntityTooLarge."""
    body = get_input_stream(environ, max_content_length=most).read()
    environ["wsgi.input"] = BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body)) if body else ""
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ.pop("wsgi.input_terminated", None)
    return body


def _added(environ: dict[str, Any], request_id: str) -> dict[str, str]:
    """What a proxy tells of the client (docs/cutover.md); whoever stands before us is added."""
    original = environ.get("werkzeug.proxy_fix.orig", {})
    peer = original.get("REMOTE_ADDR") or environ.get("REMOTE_ADDR") or ""
    chain = environ.get("HTTP_X_FORWARDED_FOR")
    return {
        "X-Forwarded-For": f"{chain}, {peer}" if chain else peer,
        "X-Forwarded-Proto": environ.get("HTTP_X_FORWARDED_PROTO") or environ["wsgi.url_scheme"],
        "X-Forwarded-Host": environ.get("HTTP_X_FORWARDED_HOST") or environ.get("HTTP_HOST", ""),
        "X-Request-ID": request_id,
        PASSED_ON: "1",
        "Connection": "close",
    }


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
