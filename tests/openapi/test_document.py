"""The OpenAPI document: valid by the standard, complete, and kept by every answer."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from tests.people import Person


def test_it_is_valid_openapi_3_1(client: FlaskClient) -> None:
    document = client.get("/api/openapi.json").json
    assert document["openapi"] == "3.1.0"
    validate(document)


def test_every_api_route_stands_in_it(app: Flask, client: FlaskClient) -> None:
    paths = client.get("/api/openapi.json").json["paths"]
    documented = {(path, method.upper()) for path, methods in paths.items() for method in methods}
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/api"):
            path = re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                assert (path, method) in documented


@pytest.mark.parametrize("path", ["/api/docs", "/login"])
def test_a_page_loads_nothing_from_another_host(client: FlaskClient, path: str) -> None:
    page = client.get(path)
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert links
    assert all(link.startswith(("/", "#")) for link in links)
    for link in links:
        if link.startswith("/static"):
            assert client.get(link).status_code == 200
    assert "'unsafe-inline'" not in page.headers["Content-Security-Policy"]
    assert not re.search(r"<script(?![^>]*src=)|style=|onclick=", page.text)


def test_success_answers_of_services_fit_the_document(alice: Person) -> None:
    from jsonschema import Draft202012Validator

    document = alice.get("/api/openapi.json").json
    created = alice.new_service(type="kubernetes")
    for path, template in (
        (f"/api/services/{created['id']}", "/api/services/{service_id}"),
        ("/api/services", "/api/services"),
        ("/api/services/active", "/api/services/active"),
        ("/api/audit", "/api/audit"),
        ("/api/events", "/api/events"),
    ):
        operation = document["paths"][template]["get"]
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        Draft202012Validator(schema | {"components": document["components"]}).validate(
            alice.get(path).json
        )
