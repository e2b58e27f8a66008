"""Health, metrics, and how errors look."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app import create_app
from app.extensions import db


def samples(client, headers=None):
    families = text_string_to_metric_families(client.get("/metrics", headers=headers).text)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_it_is_healthy(client):
    answer = client.get("/health")
    assert (answer.status_code, answer.json) == (
        200,
        {"status": "healthy", "checks": {"database": "ok"}},
    )


@pytest.mark.parametrize("url", ["postgresql://127.0.0.1:9/x", "sqlite:///{}/without-tables"])
def test_without_its_database_it_is_not(tmp_path, url):
    environ = {"DATABASE_URL": url.format(tmp_path), "JWT_SECRET": "s" * 32}
    app = create_app(environ)
    answer = app.test_client().get("/health")
    assert (answer.status_code, answer.json["status"]) == (503, "unhealthy")
    with app.app_context():
        db.engine.dispose()


def test_requests_are_counted_by_route_and_never_by_path(client, alice):
    def count():
        labels = [("method", "GET"), ("route", "/api/data/<row:record_id>"), ("status", "404")]
        return samples(client).get(("http_requests_total", *labels), 0)

    before = count()
    for row in (1, 2, 3):
        client.get(f"/api/data/{row}", headers=alice)
    client.open("/nowhere/at/all", method="FROB")
    assert count() == before + 3
    found = samples(client)
    assert not any("nowhere" in str(labels) or "FROB" in str(labels) for labels in found)


def test_metrics_can_ask_for_a_token(make_app):
    client = make_app(METRICS_TOKEN="m" * 20).test_client()
    assert client.get("/metrics").status_code == 401
    assert samples(client, {"Authorization": f"Bearer {'m' * 20}"})


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "NOT_FOUND"),
        ("PUT", "/health", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/auth/login", 415, "UNSUPPORTED_MEDIA_TYPE"),
    ],
)
def test_errors_have_one_shape(client, method, path, status, code):
    answer = client.open(path, method=method)
    assert (answer.status_code, answer.json["error"]["code"]) == (status, code)
    assert ("Allow" in answer.headers) == (status == 405)


def test_a_crash_tells_no_detail(app):
    @app.get("/crash")
    def crash():
        raise RuntimeError("secret detail")

    answer = app.test_client().get("/crash")
    assert (answer.status_code, answer.json["error"]["code"]) == (500, "INTERNAL_SERVER_ERROR")
    assert "secret" not in answer.text


@pytest.mark.parametrize(("given", "kept"), [("abc-1", True), ("a b", False), ("x" * 65, False)])
def test_a_request_has_an_id(client, given, kept):
    answer = client.get("/health", headers={"X-Request-ID": given})
    assert (answer.headers["X-Request-ID"] == given) == kept
