"""Headers that make browsers careful: on every answer of every address, whatever it says."""

import http.client
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cms_services.server import refuse
from cms_services.shipped_files import shipped_folder
from tests.conftest import MakeApp, NewPerson
from tests.people import PASSWORD, Person, error_of

MEBIBYTE = 1024 * 1024
DENIED = ("camera", "microphone", "geolocation", "payment", "usb")
PLAIN = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "X-XSS-Protection": "1; mode=block",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
STRICT = {
    "default-src": ["'self'"],
    "base-uri": ["'none'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
    "object-src": ["'none'"],
}


def policy_of(text: str) -> dict[str, list[str]]:
    """The directives of a Content-Security-Policy."""
    words = [directive.split() for directive in text.split(";")]
    return {name: sources for name, *sources in words}


def require_careful(answer: TestResponse, over_tls: bool = False) -> None:
    """Fail unless an answer carries each header, once, with what it has to say."""
    headers = answer.headers
    for name, value in PLAIN.items():
        assert headers.getlist(name) == [value], (answer.request.path, name)
    (policy,) = headers.getlist("Content-Security-Policy")
    shows_document = answer.request.path == "/api/docs" and answer.status_code == 200
    icons = {"img-src": ["'self'", "data:"]} if shows_document else {}
    assert policy_of(policy) == STRICT | icons
    (permissions,) = headers.getlist("Permissions-Policy")
    assert {f"{feature}=()" for feature in DENIED} <= set(permissions.split(", "))
    wanted = ["max-age=31536000"] if over_tls else []
    assert headers.getlist("Strict-Transport-Security") == wanted
    if not answer.request.path.startswith("/static/"):
        assert "no-store" in headers["Cache-Control"], answer.request.path


def every_request(app: Flask) -> Iterator[tuple[str, str]]:
    """Each method of each route, with some value for each of its parts, and wrong methods."""
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<any\((\w+)[^>]*>", r"\1", rule.rule)
        path = re.sub(r"<path:[^>]+>", "style.css", path)
        path = re.sub(r"<[^>]+>", "1", path)
        for method in sorted((rule.methods or set()) | {"OPTIONS", "BREW"}):
            yield method, path


@pytest.fixture
def bare_app(make_bare_app: MakeApp) -> Flask:
    return make_bare_app(REGISTRATION="open", TRUSTED_ORIGINS="https://cms.example.com")


@pytest.fixture
def client(bare_app: Flask) -> FlaskClient:
    """Somebody who is not signed in, at an application without tables."""
    return bare_app.test_client()


class TestEveryAnswer:
    def test_every_route_and_method_makes_browsers_careful(
        self, bare_app: Flask, client: FlaskClient
    ) -> None:
        statuses = set()
        for method, path in every_request(bare_app):
            for scheme in ("http", "https"):
                answer = client.open(path, method=method, base_url=f"{scheme}://localhost")
                require_careful(answer, over_tls=scheme == "https")
                statuses.add(answer.status_code)
                answer.close()
        assert statuses >= {200, 303, 400, 401, 405}

    def test_somebody_who_is_signed_in_gets_them_too(
        self, make_app: MakeApp, new_person: NewPerson
    ) -> None:
        app = make_app()
        alice = new_person("Alice", of=app)
        service = alice.new_service(name="Shop", type="hosting")
        paths = ("/api/services", f"/api/services/{service['id']}", "/api/templates", "/api/events")
        for path in paths:
            read = alice.get(path)
            require_careful(read)
            known = alice.get(path, headers={"If-None-Match": read.headers["ETag"]})
            assert known.status_code == 304
            require_careful(known)
        require_careful(alice.get(f"/api/services/download/hosting/{service['billingId']}"))
        require_careful(alice.act("getServices"))
        require_careful(alice.get("/"))

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/nothing", 404),
            ("GET", "/api/nothing", 404),
            ("GET", "/services.php/nothing", 404),
            ("DELETE", "/login", 405),
            ("DELETE", "/api/services", 405),
            ("GET", "/static/nothing.css", 404),
            ("GET", "/", 303),
            ("GET", "/api/auth/me", 401),
            ("GET", "/services.php?getServices=1", 401),
            ("GET", "/readyz", 503),
        ],
    )
    def test_refusals_and_redirects_make_browsers_careful(
        self, client: FlaskClient, method: str, path: str, status: int
    ) -> None:
        answer = client.open(path, method=method)
        assert answer.status_code == status
        require_careful(answer)

    def test_so_do_bodies_that_are_too_large(self, client: FlaskClient) -> None:
        for path in ("/services.php", "/api/auth/login", "/login"):
            form = path == "/login"
            kind = "application/x-www-form-urlencoded" if form else "application/json"
            answer = client.post(path, data="x" * (MEBIBYTE + 1), content_type=kind)
            assert answer.status_code == 413
            require_careful(answer)

    def test_so_do_crashes(self, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise RuntimeError("no")

        monkeypatch.setattr("cms_services.web.cross_site.is_cookie_caller", fail)
        for path in ("/login", "/api/auth/login", "/services.php"):
            answer = client.post(path, data={})
            assert answer.status_code == 500
            require_careful(answer)

    def test_so_does_a_refused_site(self, client: FlaskClient) -> None:
        answer = client.post("/login", headers={"Origin": "https://evil.example"})
        assert answer.status_code == 403
        require_careful(answer)

    def test_so_does_somebody_who_asks_too_often(self, make_bare_app: MakeApp) -> None:
        app = make_bare_app(RATE_LIMITS="on", RATE_LIMIT_ANONYMOUS="1 per hour")
        client = app.test_client()
        client.get("/login")
        for path in ("/login", "/services.php", "/api/nothing", "/nothing"):
            answer = client.get(path)
            assert answer.status_code == 429
            require_careful(answer)

    def test_so_does_leave_given_to_a_trusted_page(self, client: FlaskClient) -> None:
        asked = {"Origin": "https://cms.example.com", "Access-Control-Request-Method": "PUT"}
        answer = client.options("/api/services", headers=asked)
        assert answer.status_code == 204
        require_careful(answer)

    def test_so_does_what_gunicorn_refuses_by_itself(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            refuse(ours, 400, "Bad Request", "password=s3cr3t")
            with http.client.HTTPResponse(theirs) as answer:
                answer.begin()
                for name, value in PLAIN.items():
                    assert answer.headers.get_all(name) == [value]
                assert policy_of(answer.headers["Content-Security-Policy"]) == STRICT
                assert "camera=()" in answer.headers["Permissions-Policy"]
                assert answer.headers["Cache-Control"] == "no-store"
                assert b"VALIDATION_ERROR" in answer.read()


class TestWhatIsPrivate:
    def test_is_kept_by_nobody_and_yet_revalidated(self, alice: Person) -> None:
        read = alice.get("/api/auth/me")
        assert read.headers["Cache-Control"] == "no-store"
        known = {"If-None-Match": read.headers["ETag"]}
        assert alice.get("/api/auth/me", headers=known).status_code == 304
        tokens = alice.post("/api/auth/tokens", json={"name": "x", "scopes": ["account:read"]})
        assert (tokens.status_code, tokens.headers["Cache-Control"]) == (201, "no-store")
        browser = alice.client
        given = {"email": alice.email, "password": PASSWORD}
        signed_in = browser.post("/api/auth/login", json=given)
        assert signed_in.headers["Cache-Control"] == "no-store"
        assert browser.get("/").headers["Cache-Control"] == "no-store"
        error_of(browser.get("/api/nothing"), 404, "NOT_FOUND")

    def test_what_is_not_is_revalidated_by_the_browser(self, client: FlaskClient) -> None:
        with client.get("/static/style.css") as answer:
            assert answer.headers["Cache-Control"] == "no-cache"
            tag = answer.headers["ETag"]
        again = client.get("/static/style.css", headers={"If-None-Match": tag})
        assert again.status_code == 304


class TestPages:
    """Content-Security-Policy without 'unsafe-inline' holds only while nothing stands in a page."""

    @pytest.mark.parametrize(
        "template", sorted(Path(shipped_folder("templates")).rglob("*.html")), ids=lambda p: p.name
    )
    def test_no_template_holds_a_script_or_a_style(self, template: Path) -> None:
        text = template.read_text()
        # Data that a script reads is nothing that a browser runs.
        assert not re.search(r'<script(?! type="application/json")(?![^>]*\bsrc=)', text)
        assert not re.search(r"<style|\sstyle\s*=|\son[a-z]+\s*=|javascript:", text, re.IGNORECASE)
        assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", text)
