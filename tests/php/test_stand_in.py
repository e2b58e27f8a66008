"""The stand-in of the old CMS works, and answers in its own way."""

import json
from collections.abc import Iterator

import pytest

from tests.php_cms.running import PhpCms, php_cms


@pytest.fixture(scope="module", params=["files", "redis"])
def cms(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PhpCms]:
    with php_cms(tmp_path_factory.mktemp("cms"), request.param) as running:
        yield running


def test_people_sign_in_and_out(cms: PhpCms) -> None:
    for login, account in cms.accounts.items():
        if account.is_active:
            session = cms.sign_in(login)
            assert cms.open("/whoami.php", session=session).body.startswith(b"%d " % account.id)
    cms.open("/logout.php", session=session)
    assert cms.open("/whoami.php", session=session).body == b"nobody"


def test_services_need_a_sign_in_and_look_old(cms: PhpCms) -> None:
    anonymous = cms.open("/services.php?getServices=1")
    assert (anonymous.status, json.loads(anonymous.body)["success"]) == (200, False)
    answer = cms.open("/services.php?getServices=1", session=cms.sign_in("juergen"))
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert rb'"endpoints":["\/api\/orders"' in answer.body
    assert b'"desc":"Gr\\u00fc\\u00dfe an alle \\ud83d\\ude00"' in answer.body
    services = json.loads(answer.body)["services"]
    assert [service["id"] for service in services] == [12, 13, 14, 15, 19, 20]
    assert services[0]["config"]["cache"] == {"ttl": 1.5, "hosts": ["c1"]}
    assert services[0]["created_at"] == "2012-03-02 12:00:00"
    assert services[2]["config"] == []


def test_services_are_changed(cms: PhpCms) -> None:
    session = cms.sign_in("zoe")
    fields = {"name": "New", "project": "Fresh", "configuration[port]": "80"}
    made = cms.act(session, "createService", **fields)["service"]
    assert (made["project_name"], made["config"]) == ("Fresh", {"port": "80"})
    service = str(made["id"])
    changed = cms.act(session, "updateService", serviceId=service, description="x")["service"]
    assert changed["desc"] == "x"
    assert cms.act(session, "deleteService", serviceId=service)["service"]["status"] == "cancelled"
    assert cms.act(session, "getService", serviceId=service) == {
        "success": False,
        "error": "Service not found",
    }


def test_services_are_watched(cms: PhpCms) -> None:
    session = cms.sign_in("juergen")
    cms.add_log_rows(1000, service_id=14)
    logs = cms.act(session, "getLogs", serviceId="14", limit="5")["logs"]
    assert [line["message"] for line in logs][:1] == ["request 1000 to /api/orders"]
    assert logs[0]["context"] == {"ms": 1000}
    hours = cms.act(session, "getMetrics", serviceId="12")["metrics"]["hours"]
    assert [hour["requests"] for hour in hours] == [300, 200, 100]
    assert cms.act(session, "healthCheck", serviceId="12")["health"]["status"] == "healthy"
