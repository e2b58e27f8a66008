"""What every answer has in common: one error shape and a request id. Headers: test_headers.py."""

import dataclasses
import io
import re
import tracemalloc
import unicodedata
from collections.abc import Callable
from importlib import import_module
from typing import Any

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskClient
from psycopg.errors import ProgramLimitExceeded
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.test import TestResponse

from cms_services.legacy.actions import ACTIONS
from tests.conftest import MakeApp
from tests.people import Person, data_of, error_of

MEBIBYTE = 1024 * 1024
SECRET = "hunter2-never-shown"
NO_DATABASE = "postgresql://nobody@127.0.0.1:1/none"
PEOPLES_PAGES = ("/login", "/", "/nothing", "/services/1")
MACHINES_ADDRESSES = (
    "/api/service-types",
    "/api/nothing",
    "/api/auth/me",
    "/api/openapi.json",
    "/services.php",
    "/services.php?getServiceTypes=1",
    "/healthz",
    "/readyz",
    "/metrics",
)


@pytest.fixture
def client(make_bare_app: MakeApp) -> FlaskClient:
    """Somebody who is not signed in, at an application without tables."""
    return make_bare_app().test_client()


@pytest.fixture
def failing_with(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    """Let what services.php does for getServiceTypes fail with an exception."""

    def let_fail(error: Exception) -> None:
        def fail(*_: Any) -> None:
            raise error

        failing = dataclasses.replace(ACTIONS["getServiceTypes"], handler=fail)
        monkeypatch.setitem(ACTIONS, "getServiceTypes", failing)

    return let_fail


def ask(client: FlaskClient) -> TestResponse:
    return client.get("/services.php?getServiceTypes=1")


def post_json(client: FlaskClient, raw: bytes | str, path: str = "/api/auth/login") -> TestResponse:
    return client.post(path, data=raw, content_type="application/json")


class TestAddresses:
    @pytest.mark.parametrize(
        "path",
        [
            "/api",
            "/api/",
            "/api/nothing",
            "/api/services/",
            "/api//services",
            "/api/services//active",
            "/api/services/1/",
            "/api/auth/login/",
            "/services.php/",
            "/services.php/getServices",
            "/services.phpx",
            "/healthz/",
            "/readyz//",
            "/metrics/",
            "//api//services",
            "//api/nothing",
            "//services.php//",
            "/api/./services",
            "/api/../nothing/..",
            "/api/\xff",
            "/api/<script>",
            "/api/%2e%2e/x",
        ],
    )
    def test_an_unknown_one_is_told_in_json_and_never_redirected(
        self, client: FlaskClient, path: str
    ) -> None:
        for method in ("GET", "POST"):
            answer = client.open(method=method, environ_overrides={"PATH_INFO": path})
            error_of(answer, 404, "NOT_FOUND")
            assert answer.mimetype == "application/json"

    @pytest.mark.parametrize(
        ("path", "status"), [("//api/service-types", 200), ("//services.php", 400)]
    )
    def test_two_slashes_in_front_are_one(
        self, client: FlaskClient, path: str, status: int
    ) -> None:
        answer = client.get(environ_overrides={"PATH_INFO": path})
        assert (answer.status_code, answer.mimetype) == (status, "application/json")

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("DELETE", "/api/services", {"GET", "HEAD", "POST"}),
            ("POST", "/api/services/1", {"DELETE", "GET", "HEAD", "PATCH"}),
            ("GET", "/api/auth/login", {"POST"}),
            ("BREW", "/api/audit", {"GET", "HEAD"}),
            ("TRACE", "/api/templates", {"GET", "HEAD"}),
            ("POST", "/healthz", {"GET", "HEAD"}),
            ("OPTIONS", "/api/events", {"GET", "HEAD"}),
            ("PUT", "/services.php", {"GET", "HEAD", "POST"}),
            ("DELETE", "/services.php?deleteService=1", {"GET", "HEAD", "POST"}),
            ("GET", "/services.php?deleteService=1", {"POST"}),
        ],
    )
    def test_a_wrong_method_is_told_the_right_ones(
        self, client: FlaskClient, method: str, path: str, allowed: set[str]
    ) -> None:
        answer = client.open(path, method=method)
        error_of(answer, 405, "METHOD_NOT_ALLOWED")
        assert set(answer.headers["Allow"].split(", ")) == allowed

    def test_what_a_caller_accepts_changes_no_shape(self, client: FlaskClient) -> None:
        for accept in ("text/html", "application/xml", "*/*;q=0"):
            error_of(client.get("/api/nothing", headers={"Accept": accept}), 404, "NOT_FOUND")

    @pytest.mark.parametrize("host", ["a b", "<script>", "x/y", "x" * 300, "[", "localhost:port"])
    def test_a_strange_host_gets_an_answer_of_the_one_shape(
        self, client: FlaskClient, host: str
    ) -> None:
        for path in ("/api/nothing", "/services.php"):
            answer = client.get(path, headers={"Host": host})
            assert answer.status_code in (400, 404)
            assert answer.json["success"] is False
            assert "<script>" not in answer.text


class TestBodies:
    @pytest.mark.parametrize(
        "raw",
        [
            "{",
            '{"email": "a"',
            '{"email": "a"} x',
            "{'email': 'a'}",
            '{"email": NaN}',
            "[]",
            "[1, 2]",
            '"text"',
            "7",
            "null",
            "true",
            " ",
            "email=a&password=b",
            b"\xff\xfe{\x00}\x00",
            b'{"email": "\xff"}',
            b'{"email": "\xed\xa0\x80"}',
            '{"email": "\\ud800"}',
            '{"\\udfff": 1}',
            '{"email": "\\ude00\\ud83d"}',
            "[" * 100_000,
            '{"a":' * 29 + "1" + "}" * 29,
            '{"a":' + "[" * 28 + "]" * 28 + "}",
        ],
    )
    def test_what_is_no_json_object_is_refused_by_both_apis(
        self, client: FlaskClient, raw: bytes | str
    ) -> None:
        for path in ("/api/auth/login", "/services.php"):
            error_of(post_json(client, raw, path), 400, "MALFORMED_BODY")

    def test_nesting_is_allowed_up_to_28_levels(self, client: FlaskClient) -> None:
        answer = post_json(client, '{"a":' * 28 + "1" + "}" * 28)
        assert "a" in error_of(answer, 400, "VALIDATION_ERROR")["details"]

    @pytest.mark.parametrize(
        "content_type",
        [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/xml",
            "application/jsonp",
            "nonsense",
            "",
        ],
    )
    def test_rest_takes_json_alone(self, client: FlaskClient, content_type: str) -> None:
        answer = client.post("/api/auth/login", data="{}", content_type=content_type)
        error_of(answer, 415, "UNSUPPORTED_MEDIA_TYPE")

    def test_services_php_takes_no_xml(self, client: FlaskClient) -> None:
        answer = client.post("/services.php", data="<x/>", content_type="application/xml")
        error_of(answer, 415, "UNSUPPORTED_MEDIA_TYPE")

    @pytest.mark.parametrize("path", ["/api/auth/login", "/services.php", "/api/services"])
    def test_a_body_of_more_than_a_mebibyte_is_too_large(
        self, app: Flask, alice: Person, path: str
    ) -> None:
        room = MEBIBYTE - len('{"x":""}')
        fits = alice.post(path, data='{"x":"%s"}' % ("x" * room), content_type="application/json")
        assert fits.status_code == 400
        too_large = alice.post(
            path, data='{"x":"%s"}' % ("x" * (room + 1)), content_type="application/json"
        )
        error_of(too_large, 413, "PAYLOAD_TOO_LARGE")

    @pytest.mark.parametrize(
        "content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b"]
    )
    def test_a_form_may_be_no_larger(self, client: FlaskClient, content_type: str) -> None:
        field = b'--b\r\nContent-Disposition: form-data; name="q"\r\n\r\n'
        body = (field if "multipart" in content_type else b"q=") + b"x" * MEBIBYTE
        for path in ("/services.php", "/login"):
            answer = client.post(path, data=body, content_type=content_type)
            assert answer.status_code == 413
            assert answer.is_json == (path == "/services.php")

    def test_a_body_without_a_length_may_be_no_larger(self, client: FlaskClient) -> None:
        for size, status in ((MEBIBYTE, 400), (MEBIBYTE + 1, 413)):
            answer = client.post(
                "/api/auth/login",
                input_stream=io.BytesIO(b" " * size),
                content_type="application/json",
                environ_overrides={"wsgi.input_terminated": True},
            )
            assert answer.status_code == status, answer.text

    def test_a_form_of_very_many_parts_is_refused(self, client: FlaskClient) -> None:
        parts = {f"field{number}": "x" for number in range(2000)}
        answer = client.post(
            "/services.php", data=parts, content_type="multipart/form-data; boundary=b"
        )
        assert answer.status_code in (400, 413)
        assert answer.json["success"] is False


class TestCharacters:
    """What no database could store, or not every one, is refused before it gets there."""

    @pytest.mark.parametrize(
        ("raw", "field"),
        [
            ('{"email": "a\\u0000b", "password": "x"}', "email"),
            ('{"email": "a", "password": "\\u0000"}', "password"),
            ('{"a\\u0000b": 1}', "body"),
            ('{"a": {"b": ["x", "\\u0000"]}}', "a.b.1"),
            ('{"a": {"b\\u0000": 1}}', "a"),
        ],
    )
    def test_a_nul_in_json_is_named_by_field(
        self, client: FlaskClient, raw: str, field: str
    ) -> None:
        for path in ("/api/auth/login", "/services.php"):
            error = error_of(post_json(client, raw, path), 400, "VALIDATION_ERROR")
            assert list(error["details"]) == [field]

    @pytest.mark.parametrize(
        "query",
        ["q=%00", "q=a%00b", "%00=q", "q=%ff", "q=%ed%a0%80", "%ff=q", "q=%f0%9f", "q=%", "q=%zz"],
    )
    def test_a_query_gets_an_answer_on_every_database(self, alice: Person, query: str) -> None:
        for path in ("/api/services", "/services.php", "/api/projects"):
            action = "getServices=1&" if path == "/services.php" else ""
            answer = alice.get(f"{path}?{action}{query}")
            assert answer.status_code in (200, 400), answer.text
            if answer.status_code == 400:
                error_of(answer, 400, "VALIDATION_ERROR")
            # PHP leaves out a parameter whose name begins with a NUL.
            if "%00" in query and not (path == "/services.php" and query.startswith("%00")):
                assert answer.status_code == 400

    @pytest.mark.parametrize("raw", [b"\xff", b"a\x00b", b"\xed\xa0\x80", "😀".encode()])
    def test_a_path_gets_an_answer_on_every_database(self, alice: Person, raw: bytes) -> None:
        identifier = raw.decode("latin-1")
        for method, rest in (("GET", ""), ("DELETE", ""), ("GET", "/config"), ("POST", "/suspend")):
            answer = alice.open(
                method, "/", environ_overrides={"PATH_INFO": f"/api/services/{identifier}{rest}"}
            )
            assert answer.status_code == 404
            assert answer.json["success"] is False

    @pytest.mark.parametrize("email", ["a%00b", "%ff", "%ed%a0%80", "😀@example.com"])
    def test_the_sign_in_page_gets_an_answer_on_every_database(
        self, client: FlaskClient, app: Flask, email: str
    ) -> None:
        answer = app.test_client().post(
            "/login",
            data=f"email={email}&password=x%00",
            content_type="application/x-www-form-urlencoded",
        )
        assert (answer.status_code, answer.mimetype) == (401, "text/html")

    def test_every_character_that_can_be_stored_comes_back(self, alice: Person) -> None:
        name = "Zo\u00eb \U0001f680 \u0639 \u2028 \\ ' \" % _ \x01 \x7f \ufffd \uffff e\u0301"
        service = alice.new_service(name=name, configuration={name: [name]})
        assert data_of(alice.get(f"/api/services/{service['id']}"))["name"] == name
        assert service["configuration"] == {"extra": {name: [name]}}
        found = data_of(alice.get("/api/services", query_string={"q": "\U0001f680"}))
        assert [each["name"] for each in found] == [name]


class TestFailures:
    def test_a_crash_tells_nothing_but_the_request_id(
        self, client: FlaskClient, failing_with: Callable[[Exception], None]
    ) -> None:
        failing_with(RuntimeError(SECRET))
        answer = ask(client)
        error = error_of(answer, 500, "INTERNAL_ERROR")
        assert answer.headers["X-Request-ID"] in error["message"]
        assert SECRET not in answer.text and "Traceback" not in answer.text
        assert "details" not in error

    def test_a_crash_of_a_view_is_told_alike(
        self, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise KeyError(SECRET)

        monkeypatch.setattr("cms_services.projects.sharing.list_projects", fail)
        answer = alice.get("/api/projects")
        error_of(answer, 500, "INTERNAL_ERROR")
        assert SECRET not in answer.text
        # It spoils nothing for the next request.
        data_of(alice.get("/api/services"))

    def test_a_crash_of_a_page_is_told_by_a_page(
        self, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise RuntimeError(SECRET)

        pages = import_module("cms_services.dashboard.signing_in_pages")
        monkeypatch.setattr(pages, "check_password_of", fail)
        answer = client.post("/login", data={"email": "a", "password": "b"})
        assert (answer.status_code, answer.mimetype) == (500, "text/html")
        assert answer.headers["X-Request-ID"] in answer.text
        assert SECRET not in answer.text and "Traceback" not in answer.text

    @pytest.mark.parametrize(
        ("error", "status", "code"),
        [
            (IntegrityError("INSERT", {}, Exception(SECRET)), 409, "CONFLICT"),
            (StaleDataError(SECRET), 409, "CONFLICT"),
            (DataError("INSERT", {}, Exception(SECRET)), 400, "VALIDATION_ERROR"),
            (OperationalError("SELECT", {}, Exception(SECRET)), 503, "NOT_READY"),
            (InterfaceError("SELECT", {}, Exception(SECRET)), 503, "NOT_READY"),
            (PoolTimeout(SECRET), 503, "NOT_READY"),
            # PostgreSQL was asked for too much, and would be again.
            (OperationalError("", {}, ProgramLimitExceeded(SECRET)), 500, "INTERNAL_ERROR"),
        ],
    )
    def test_what_the_database_says_is_worded_for_callers(
        self,
        client: FlaskClient,
        failing_with: Callable[[Exception], None],
        error: Exception,
        status: int,
        code: str,
    ) -> None:
        failing_with(error)
        answer = ask(client)
        error_of(answer, status, code)
        assert SECRET not in answer.text
        assert ("Retry-After" in answer.headers) == (status == 503)

    def test_while_the_database_is_away_callers_are_told_to_come_back(
        self, make_bare_app: MakeApp
    ) -> None:
        app = make_bare_app(DATABASE_URL=NO_DATABASE)
        headers = {"Authorization": "Bearer cms_any"}
        client = app.test_client()
        for answer in (
            client.get("/api/services", headers=headers),
            client.get("/services.php?getServices=1", headers=headers),
            client.post("/api/auth/login", json={"email": "a", "password": "b"}),
        ):
            error_of(answer, 503, "NOT_READY")
            assert int(answer.headers["Retry-After"]) > 0
            assert "nobody" not in answer.text
        data_of(client.get("/api/service-types"))

    def test_while_the_database_is_away_people_get_a_page(self, make_bare_app: MakeApp) -> None:
        client = make_bare_app(DATABASE_URL=NO_DATABASE).test_client()
        with client.session_transaction() as session:
            session["_user_id"] = "1"
        answer = client.get("/")
        assert (answer.status_code, answer.mimetype) == (503, "text/html")
        assert answer.headers["Retry-After"]
        assert client.get("/login").status_code == 200
        assert client.get("/nothing").status_code == 404


class TestPages:
    @pytest.mark.parametrize(
        ("method", "path", "status", "code"),
        [
            ("GET", "/nothing", 404, "NOT_FOUND"),
            ("GET", "/login/", 404, "NOT_FOUND"),
            ("DELETE", "/login", 405, "METHOD_NOT_ALLOWED"),
            ("GET", "/logout", 405, "METHOD_NOT_ALLOWED"),
            ("POST", "/services/1/explode", 404, "NOT_FOUND"),
            ("POST", "/services/1/suspend", 401, "UNAUTHENTICATED"),
        ],
    )
    def test_people_are_told_by_a_page(
        self, client: FlaskClient, method: str, path: str, status: int, code: str
    ) -> None:
        answer = client.open(path, method=method)
        assert (answer.status_code, answer.mimetype) == (status, "text/html")
        assert code in answer.text
        assert answer.headers["X-Request-ID"] in answer.text

    def test_a_page_repeats_nothing_that_could_run(self, client: FlaskClient) -> None:
        script = "<script>alert(1)</script>"
        for answer in (
            client.get(f"/nothing/{script}?x={script}"),
            client.post("/login", data={"email": script}, headers={"Origin": script}),
            client.get("/nothing", headers={"X-Request-ID": script}),
        ):
            assert "<script>" not in answer.text


class TestRequestId:
    @pytest.mark.parametrize("path", [*PEOPLES_PAGES, *MACHINES_ADDRESSES])
    def test_every_answer_has_one_of_its_own(self, client: FlaskClient, path: str) -> None:
        ids = {client.get(path).headers["X-Request-ID"] for _ in range(3)}
        assert len(ids) == 3
        assert all(re.fullmatch(r"[0-9a-f]{32}", each) for each in ids)

    @pytest.mark.parametrize("given", ["deploy-7.a_B", "x" * 128, "0"])
    def test_a_callers_own_comes_back(self, client: FlaskClient, given: str) -> None:
        for path in ("/api/nothing", "/login", "/healthz"):
            answer = client.get(path, headers={"X-Request-ID": given})
            assert answer.headers["X-Request-ID"] == given

    @pytest.mark.parametrize(
        "given", ["", " ", "a b", "x" * 129, "é", "a\tb", "<script>", "a;b", '"', "a,b", "{}"]
    )
    def test_a_weird_one_is_replaced(self, client: FlaskClient, given: str) -> None:
        answer = client.get("/healthz", headers={"X-Request-ID": given})
        assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-ID"])


class TestExpensiveBodies:
    """What a caller sends costs no more than it is long. The work is counted, not timed."""

    def test_a_long_name_over_many_values_is_not_copied_for_each(self, client: FlaskClient) -> None:
        body = orjson.dumps({"n" * 300_000: [0] * 100_000})
        tracemalloc.start()
        answer = client.post("/api/auth/login", data=body, content_type="application/json")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        error_of(answer, 400, "VALIDATION_ERROR")
        assert len(answer.data) < 10_000
        assert peak < 20 * len(body)

    def test_many_unknown_fields_are_told_by_the_first_hundred(self, client: FlaskClient) -> None:
        body = {f"field-{number}": 1 for number in range(20_000)}
        details = error_of(client.post("/api/auth/login", json=body), 400, "VALIDATION_ERROR")
        assert len(details["details"]) == 100

    @pytest.mark.parametrize("path", ["/login", "/password/forgot"])
    def test_a_field_of_combining_characters_is_not_normalised(
        self, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, path: str
    ) -> None:
        """Which takes a time that grows with the square of their number."""
        addresses = import_module("cms_services.accounts.addresses")
        longest, normalize = 0, unicodedata.normalize

        def normalised(form: str, text: str) -> str:
            nonlocal longest
            longest = max(longest, len(text))
            return normalize(form, text)  # type: ignore[arg-type]

        monkeypatch.setattr(addresses.unicodedata, "normalize", normalised)
        client.post(path, data={"email": "\u0300\u0316" * 40_000, "password": "x"})
        client.post(path, data={"email": "a@example.com", "password": "x"})
        assert 0 < longest <= 1024
