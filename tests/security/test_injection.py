"""Texts and objects that are meant for a database, and are only compared or stored."""

import base64
import json
from itertools import cycle
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from marshmallow import fields

from cms_services.legacy.actions import ACTIONS
from tests.conftest import MakeApp
from tests.people import PASSWORD, Person, data_of, error_of
from tests.security.hostile import (
    OBJECTS,
    SQL,
    Place,
    is_plain_answer,
    names_of,
    places,
)


@pytest.fixture
def rest(make_app: MakeApp) -> list[Place]:
    return list(places(make_app(REGISTRATION="open")))


@pytest.mark.usefixtures("endless_answers_end")
class TestDatabases:
    def test_every_query_parameter_is_only_compared(
        self, alice: Person, bob: Person, rest: list[Place]
    ) -> None:
        bob.new_service(name="Bob's own")
        service = alice.new_service()
        texts = cycle(SQL)
        asked = 0
        for place in rest:
            for name in names_of(place.operation.query, fields.String):
                path = place.with_ids(service["id"])
                answer = alice.open(place.method, path, query_string={name: next(texts)})
                is_plain_answer(answer)
                assert "Bob's own" not in answer.text and "$argon2" not in answer.text
                asked += 1
        assert asked > 20
        assert len(data_of(bob.get("/api/services"))) == 1

    def test_every_text_of_a_body_is_only_stored_or_refused(
        self, alice: Person, bob: Person, rest: list[Place]
    ) -> None:
        bob.new_service(name="Bob's own")
        for place, text in zip(rest, cycle(SQL), strict=False):
            body = dict.fromkeys(names_of(place.operation.body, fields.String), text)
            # These end what the test goes on with.
            if body and place.endpoint not in ("auth.logout", "auth.deactivate"):
                path = place.with_ids(alice.user_id)
                answer = alice.open(place.method, path, json=body)
                is_plain_answer(answer)
                assert "Bob's own" not in answer.text and "$argon2" not in answer.text
        assert len(data_of(bob.get("/api/services"))) == 1

    @pytest.mark.parametrize("text", SQL)
    def test_what_is_stored_comes_back_and_is_found(self, alice: Person, text: str) -> None:
        alice.new_service(name="another")
        service = alice.new_service(name=text, project=text, description=text)
        shown = data_of(alice.get(f"/api/services/{service['id']}"))
        assert (shown["name"], shown["project"], shown["description"]) == (text, text, text)
        for query in ({"q": text}, {"project": text}):
            for found in (
                data_of(alice.get("/api/services", query_string=query)),
                data_of(alice.get("/services.php", query_string={"getServices": "1"} | query)),
            ):
                assert [each["id"] for each in found] == [service["id"]]
        log = {"level": "info", "message": text, "source": text, "traceId": text[:64]}
        path = f"/api/services/{service['id']}/logs"
        data_of(alice.post(path, json={"entries": [log]}), 202)
        (entry,) = data_of(alice.get(path, query_string={"q": text}))
        assert entry["message"] == text

    def test_every_parameter_of_services_php_is_only_compared(
        self, alice: Person, bob: Person
    ) -> None:
        bob.new_service(name="Bob's own")
        texts = cycle(SQL)
        for name, action in ACTIONS.items():
            for parameter in names_of(action.parameters, fields.String):
                text = next(texts)
                form = {name: text, parameter: text}
                for answer in (
                    alice.post("/services.php", data=form),
                    alice.act(name, **{parameter: text}),
                    alice.get("/services.php", query_string=form),
                ):
                    is_plain_answer(answer)
                    assert "Bob's own" not in answer.text and "$argon2" not in answer.text

    def test_identifiers_sorts_and_cursors_are_only_compared(self, alice: Person) -> None:
        alice.new_service()
        for text in SQL:
            assert alice.get(f"/api/services/{quote(text)}").status_code == 404
            for parameter in ("sort", "cursor"):
                answer = alice.get("/api/services", query_string={parameter: text})
                assert parameter in error_of(answer, 400, "VALIDATION_ERROR")["details"]

    @pytest.mark.parametrize("text", SQL[:3])
    def test_credentials_are_only_compared(self, app: Flask, alice: Person, text: str) -> None:
        stranger = app.test_client()
        for token in (text, f"cms_{text}", f"cmsi_{text}", f"a.{text}.b"):
            header = {"Authorization": f"Bearer {token}"}
            error_of(stranger.get("/api/services", headers=header), 401, "UNAUTHENTICATED")
        stranger.set_cookie("cms_session", text)
        error_of(stranger.get("/api/services"), 401, "UNAUTHENTICATED")
        for given in (
            {"email": text, "password": PASSWORD},
            {"email": alice.email, "password": text},
        ):
            error_of(stranger.post("/api/auth/login", json=given), 401, "UNAUTHENTICATED")
            assert stranger.post("/login", data=given).status_code == 401


class TestCursors:
    @pytest.mark.parametrize(
        "values",
        [
            [{"t": "0001-01-01T00:00:00+14:00"}, "x"],
            [{"t": "9999-12-31T23:59:59-14:00"}, "x"],
            [{"t": "2030-01-01T00:00:00"}, "x"],
            [{"t": 7}, "x"],
            [{"t": "2030-01-01T00:00:00+00:00"}, {"$gt": ""}],
            [{"t": "2030-01-01T00:00:00+00:00"}, "x" * 1000],
            [{"t": "2030-01-01T00:00:00+00:00"}, "\x00"],
            [None, None],
            ["x", "x"],
            [7, "x"],
            [[[]], {}],
            [1e308, -1],
        ],
        ids=str,
    )
    def test_one_that_somebody_made_up_is_refused_or_compared(
        self, alice: Person, values: list[Any]
    ) -> None:
        alice.new_service()
        alice.new_service()
        real = alice.get("/api/services?limit=1").json["meta"]["nextCursor"]
        signature = json.loads(base64.urlsafe_b64decode(real + "=="))[0]
        forged = base64.urlsafe_b64encode(json.dumps([signature, values]).encode())
        answer = alice.get("/api/services", query_string={"cursor": forged.decode().rstrip("=")})
        assert answer.status_code in (200, 400), answer.text
        is_plain_answer(answer)


class TestObjects:
    """An object or list in the place of a text is refused, and never a part of a query."""

    def test_no_text_of_a_body_takes_one(self, alice: Person, rest: list[Place]) -> None:
        asked = 0
        objects = cycle(OBJECTS)
        for place in rest:
            for name in names_of(place.operation.body, fields.String):
                path = place.with_ids(alice.user_id)
                answer = alice.open(place.method, path, json={name: next(objects)})
                # Some look for the service before they read a large body.
                assert answer.status_code in (400, 403, 404), (place, answer.text)
                if answer.status_code == 400:
                    assert name in error_of(answer, 400, "VALIDATION_ERROR")["details"], place
                asked += 1
        assert asked > 25

    @pytest.mark.parametrize("given", OBJECTS, ids=str)
    def test_no_text_of_services_php_takes_one(self, alice: Person, given: Any) -> None:
        alice.new_service()
        for name, parameter in (
            ("getService", "serviceId"),
            ("getServices", "project"),
            ("getServices", "q"),
            ("getServices", "type"),
            ("updateService", "serviceId"),
            ("createService", "name"),
            ("getLogs", "level"),
            ("getMetrics", "timeframe"),
        ):
            error = error_of(alice.act(name, **{parameter: given}), 400, "VALIDATION_ERROR")
            assert parameter in error["details"]

    @pytest.mark.parametrize("name", ["serviceId[$ne]", "serviceId[]", "serviceId[$regex]"])
    def test_nor_as_a_forms_brackets(self, alice: Person, name: str) -> None:
        alice.new_service()
        form = {"getService": "1", name: ".*"}
        for answer in (
            alice.post("/services.php", data=form),
            alice.get("/services.php", query_string=form),
        ):
            assert "serviceId" in error_of(answer, 400, "VALIDATION_ERROR")["details"]
