"""The demo: an empty installation becomes a company that people can try things on."""

import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from cms_services.accounts.models import User
from cms_services.audit.models import AuditEntry
from cms_services.catalogue.models import Service
from cms_services.cli import main
from cms_services.configuration.models import ConfigurationVersion
from cms_services.demo import company
from cms_services.demo.past import INVENTED
from cms_services.demo.people import PEOPLE
from cms_services.encryption import current_vault
from cms_services.events.models import Event
from cms_services.extensions import db
from cms_services.installation import InstallationError
from cms_services.projects.models import ProjectMember
from cms_services.vocabulary import TRANSITIONS, Family, HealthStatus, ProjectRole, ServiceType
from tests.people import Person, data_of

_EVERY_STATUS = {(family, status) for family in Family for status in TRANSITIONS[family]}


def test_the_company_can_be_used(app: Flask) -> None:
    with app.app_context():
        lines = list(company.fill())
    with app.app_context():
        assert_everything_occurs()
        assert_no_secret_is_readable()
    assert_a_second_one_is_refused(app)
    mara = somebody_named_in(lines, app.test_client())
    components = data_of(mara.get("/services.php?getServices"))
    assert {"Storefront API", "Payment Gateway"} <= {each["name"] for each in components}
    gateway = next(each for each in components if each["name"] == "Payment Gateway")
    assert gateway["configuration"]["environment"]["PROVIDER_TOKEN"] == "encrypted"
    assert_the_incident_shows(mara, gateway["serviceId"])


def assert_everything_occurs() -> None:
    services = db.session.scalars(select(Service)).all()
    assert {each.type for each in services} == set(ServiceType)
    assert {(each.family, each.status) for each in services} == _EVERY_STATUS
    assert set(db.session.scalars(select(ProjectMember.role))) == set(ProjectRole)
    named = {name for each in services for name in each.dependencies}
    assert named <= {each.name for each in services}
    created = db.session.scalars(select(AuditEntry.at).order_by(AuditEntry.id)).all()
    assert created == sorted(created)


def assert_no_secret_is_readable() -> None:
    """Invented secrets begin with a mark, which no table may show."""
    for model in (Service, ConfigurationVersion, AuditEntry, Event):
        assert INVENTED not in str(db.session.execute(select(model.__table__)).all())
    gateway = db.session.scalars(select(Service).where(Service.name == "Payment Gateway")).one()
    stored = gateway.config["environment"]["PROVIDER_TOKEN"]["sealed"]
    context = f"service:{gateway.id}:environment.PROVIDER_TOKEN"
    assert current_vault().open(stored, context).startswith(INVENTED)


def assert_a_second_one_is_refused(app: Flask) -> None:
    before = numbers_of_rows(app)
    with app.app_context(), pytest.raises(InstallationError, match="not empty"):
        list(company.fill())
    assert numbers_of_rows(app) == before


def somebody_named_in(lines: list[str], client: FlaskClient) -> Person:
    """Sign in as Mara with the password that was printed last: the first is the admin's."""
    password = re.findall(r"password: (\S+)", "\n".join(lines))[-1]
    email = next(word for word in " ".join(lines).split() if word.startswith("mara@"))
    signed_in = data_of(client.post("/api/auth/login", json={"email": email, "password": password}))
    return Person(client, "", email, signed_in["accessToken"])


def assert_the_incident_shows(person: Person, service_id: str) -> None:
    metrics = data_of(person.get(f"/services.php?getMetrics&serviceId={service_id}&timeframe=24h"))
    names = {"requests", "errors", "errorRate", "responseTime", "cpu", "memory"}
    assert set(metrics["series"]) == names
    slowest, usual = (metrics["summary"]["responseTime"][key] for key in ("max", "p50"))
    assert slowest > 3 * usual
    logs = data_of(person.get(f"/services.php?getLogs&serviceId={service_id}&level=error"))
    assert any("No answer from the provider" in each["message"] for each in logs)
    history = data_of(person.get(f"/api/services/{service_id}/health/history?limit=50"))
    assert {HealthStatus.HEALTHY, HealthStatus.UNHEALTHY} <= {each["status"] for each in history}
    health = data_of(person.get(f"/api/services/{service_id}/health"))
    assert health["status"] != HealthStatus.UNKNOWN
    assert 50 < health["uptime"]["7d"] < 100
    changes = data_of(person.get(f"/api/services/{service_id}/health/changes"))
    assert HealthStatus.UNHEALTHY in {each["to"] for each in changes}


def test_what_fails_half_way_leaves_the_admin_alone(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(company, "PEOPLE", PEOPLE[:1])
    monkeypatch.setattr(company, "PROJECTS", ())
    monkeypatch.setattr(company, "SERVICES", ())
    with app.app_context():
        with pytest.raises(KeyError):
            list(company.fill())
        assert db.session.scalars(select(User.role)).all() == ["admin"]


@pytest.mark.usefixtures("alice")
def test_the_command_refuses_an_installation_in_use_in_one_line(
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("CMS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("LOG_LEVEL", "warning")
    monkeypatch.setattr("sys.argv", ["cms-services", "demo"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert re.fullmatch(r".*not empty.*CMS_DATA_DIR.*\n", said.err)
    assert not said.out


def numbers_of_rows(app: Flask) -> dict[str, Any]:
    with app.app_context():
        return {
            table.name: db.session.scalar(select(func.count()).select_from(table))
            for table in db.metadata.sorted_tables
        }
