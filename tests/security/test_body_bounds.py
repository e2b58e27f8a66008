"""Bodies and queries that are too large, too deep or too many, at both doors."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app

from tests.conftest import MakeApp
from tests.people import Person, data_of, error_of

MEBIBYTE = 1024 * 1024
TOO_DEEP = '{"a":' * 40 + "1" + "}" * 40
MUCH_TOO_DEEP = '{"a":' * 900 + "1" + "}" * 900
NEVER_ENDING = "[" * 100_000
WITH_NUL = ['{"a": "\\u0000"}', '{"a\\u0000": 1}', '["\\u0000"]', '{"a": [{"b": "x\\u0000"}]}']


@pytest.fixture
def client(make_bare_app: MakeApp) -> FlaskClient:
    return make_bare_app().test_client()


def create(person: Person, by_form: bool, **parameters: Any) -> TestResponse:
    """Create a service by services.php, with parameters that are texts."""
    given = {"createService": "1", "name": "x", "type": "api", "project": "p"} | parameters
    if by_form:
        return person.post("/services.php", data=given)
    return person.post("/services.php", json=given)


class TestJsonInATextOfServicesPhp:
    """It is held to what a JSON body is held to."""

    @pytest.mark.parametrize("by_form", [True, False], ids=["form", "json"])
    @pytest.mark.parametrize("parameter", ["configuration", "endpoints"])
    def test_it_may_be_no_deeper(self, alice: Person, by_form: bool, parameter: str) -> None:
        for text in (TOO_DEEP, MUCH_TOO_DEEP):
            answer = create(alice, by_form, **{parameter: text})
            error_of(answer, 400, "MALFORMED_BODY")
        answer = create(alice, by_form, **{parameter: NEVER_ENDING})
        assert parameter in error_of(answer, 400, "VALIDATION_ERROR")["details"]
        assert data_of(alice.get("/api/services")) == []

    @pytest.mark.parametrize("by_form", [True, False], ids=["form", "json"])
    @pytest.mark.parametrize("text", WITH_NUL)
    def test_it_holds_no_nul_character(self, alice: Person, by_form: bool, text: str) -> None:
        for parameter in ("configuration", "endpoints"):
            answer = create(alice, by_form, **{parameter: text})
            (field,) = error_of(answer, 400, "VALIDATION_ERROR")["details"]
            assert field.startswith(parameter)

    def test_it_may_be_as_deep_as_in_a_body(self, alice: Person) -> None:
        """On every database, with its versions and its audit entries."""
        text = '{"a":' * 27 + "1" + "}" * 27
        for given in (json.loads(text), text):
            fields = {"name": "x", "type": "api", "project": "p", "configuration": given}
            made = data_of(alice.act("createService", **fields))
            assert made["configuration"] == json.loads(text)
            path = f"/api/services/{made['id']}/config"
            data_of(alice.put(path, json={"a": json.loads(text)}))
            data_of(alice.put(path, json={"b": json.loads(text)}))


class TestQueries:
    def test_a_deep_one_is_refused(self, client: FlaskClient) -> None:
        for brackets in (33, 64, 65, 500):
            answer = client.get(f"/services.php?getServices=1&a{'[b]' * brackets}=1")
            assert answer.status_code == 400
            assert answer.json["success"] is False

    def test_one_of_very_many_parameters_is_refused(self, client: FlaskClient) -> None:
        many = "&".join(f"p{number}=1" for number in range(1001))
        error_of(client.get(f"/services.php?getServices=1&{many}"), 400, "VALIDATION_ERROR")
        many = "&".join("a[]=1" for _ in range(1001))
        error_of(client.get(f"/services.php?getServices=1&{many}"), 400, "VALIDATION_ERROR")

    def test_a_long_one_is_answered(self, alice: Person) -> None:
        for path in ("/api/services?q=", "/services.php?getServices=1&q="):
            answer = alice.get(path + "x" * 7000)
            assert "q" in error_of(answer, 400, "VALIDATION_ERROR")["details"]


class TestForms:
    def test_a_deep_one_is_refused(self, client: FlaskClient) -> None:
        for brackets in (33, 64, 65, 30_000):
            answer = client.post(
                "/services.php", data={"getServices": "1", "a" + "[b]" * brackets: 1}
            )
            assert answer.status_code == 400
            assert answer.json["success"] is False

    def test_one_of_very_many_fields_is_refused(self, client: FlaskClient) -> None:
        form = "&".join(f"p{number}=1" for number in range(100_000))
        answer = client.post(
            "/services.php", data=form, content_type="application/x-www-form-urlencoded"
        )
        error_of(answer, 400, "VALIDATION_ERROR")

    def test_a_part_of_many_headers_or_of_a_long_one_is_refused(self, client: FlaskClient) -> None:
        for head in (b"X: 1\r\n" * 100_000, b"X: " + b"x" * 500_000 + b"\r\n"):
            body = b"--b\r\n" + head + b'Content-Disposition: form-data; name="q"\r\n\r\nx\r\n--b--'
            answer = client.post(
                "/services.php", data=body, content_type="multipart/form-data; boundary=b"
            )
            assert answer.status_code in (400, 413)
            assert answer.json["success"] is False

    def test_a_file_is_no_parameter(self, alice: Person) -> None:
        boundary = "multipart/form-data; boundary=b"
        body = (
            b'--b\r\nContent-Disposition: form-data; name="getService"; filename="x.php"\r\n'
            b"Content-Type: application/x-php\r\n\r\n<?php\r\n--b--\r\n"
        )
        answer = alice.post("/services.php", data=body, content_type=boundary)
        error_of(answer, 400, "UNKNOWN_ACTION")


class TestNumbers:
    @pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 400, "1" + "0" * 5000, "NaN"])
    def test_one_beyond_every_range_is_answered(self, alice: Person, number: str) -> None:
        body = '{"name": "x", "type": "api", "configuration": {"n": 0}}'.replace("0", number)
        answer = alice.post("/api/services", data=body, content_type="application/json")
        assert answer.status_code in (201, 400), answer.text
        assert data_of(alice.get("/api/services")) is not None

    def test_a_limit_is_a_small_number(self, alice: Person) -> None:
        for value in ("9" * 400, "-1", "1e3", "0x10", "٣", "1.0", " 1", "+1", "1_0", "NaN", ""):
            for path in ("/api/services?", "/services.php?getServices=1&"):
                answer = alice.get(f"{path}limit={quote(value)}")
                assert answer.status_code in (200, 400), answer.text


class TestWholeBodies:
    def test_one_whose_length_is_not_told_is_never_cut(self, make_bare_app: MakeApp) -> None:
        """Half a form could be read as a whole one."""
        app = make_bare_app()
        for path in ("/services.php", "/api/auth/login"):
            for kind in ("application/x-www-form-urlencoded", "application/json"):
                environ = EnvironBuilder(path=path, method="POST", content_type=kind).get_environ()
                # As a server gives a body that it takes apart from its chunks.
                environ |= {"wsgi.input": Pieces(MEBIBYTE + 1), "wsgi.input_terminated": True}
                environ.pop("CONTENT_LENGTH", None)
                answer = run_wsgi_app(app, environ)
                assert answer[1].startswith("413 "), (path, kind)


class Pieces:
    """A body of so many bytes."""

    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, size: int = -1) -> bytes:
        given = self._left if size < 0 else min(size, self._left)
        self._left -= given
        return b"q" * given
