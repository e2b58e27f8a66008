"""Variables that take what another service exports."""

import io
import json
import zipfile
from typing import Any

import pytest
import yaml
from flask import Flask

from cms_services.catalogue.models import Service
from cms_services.extensions import db
from tests.people import Person, data_of, error_of

SECRET = "s3cret-of-the-database"
EXPORTING = {
    "environment": {
        "HOST": "db.internal",
        "PASSWORD": {"value": SECRET, "secret": True},
        "OWN": "not exported",
    },
    "exports": ["HOST", "PASSWORD"],
}


@pytest.fixture
def store(alice: Person) -> dict[str, Any]:
    given = {"type": "data", "project": "shop", "configuration": EXPORTING}
    return alice.new_service(name="Order Store", **given)


def user_of(person: Person, environment: dict[str, Any], **fields: Any) -> Any:
    given: dict[str, Any] = {"name": "Cluster", "type": "kubernetes", "project": "shop"} | fields
    given["configuration"] = {"environment": environment}
    return person.post("/api/services", json=given)


def manifests(person: Person, service: dict[str, Any], more: str = "") -> dict[str, Any]:
    path = f"/api/services/download/kubernetes/{service['clusterId']}?format=yaml{more}"
    answer = person.get(path)
    assert answer.status_code == 200, answer.text
    return {each["kind"]: each for each in yaml.safe_load_all(answer.text)}


class TestTakingAValue:
    @pytest.mark.parametrize("named_by", ["id", "serviceId", "name"])
    def test_works_by_every_name_of_the_service(
        self, alice: Person, store: dict[str, Any], named_by: str
    ) -> None:
        environment = {"URL": f"https://${{{store[named_by]}.HOST}}:5432/$${{a.B}} ${{HOME}}"}
        service = data_of(user_of(alice, environment), 201)
        assert service["configuration"]["environment"] == environment
        found = manifests(alice, service)["ConfigMap"]["data"]
        assert found == {"URL": "https://db.internal:5432/${a.B} ${HOME}"}

    def test_a_value_that_takes_a_secret_is_one(self, alice: Person, store: dict[str, Any]) -> None:
        environment = {"URL": "db://app:${Order Store.PASSWORD}@${Order Store.HOST}/app"}
        service = data_of(user_of(alice, environment), 201)
        masked = manifests(alice, service)
        assert masked["ConfigMap"]["data"] == {}
        assert masked["Secret"]["stringData"] == {"URL": "REPLACE_ME"}
        included = manifests(alice, service, "&secrets=include")
        assert included["Secret"]["stringData"] == {"URL": f"db://app:{SECRET}@db.internal/app"}

    def test_a_secret_may_take_values_too_and_chains_are_followed(
        self, alice: Person, store: dict[str, Any]
    ) -> None:
        between = {
            "environment": {"DSN": {"value": "pg://${Order Store.HOST}", "secret": True}},
            "exports": ["DSN"],
        }
        alice.new_service(name="Gate", type="integration", project="shop", configuration=between)
        service = data_of(user_of(alice, {"DSN": "${Gate.DSN}"}), 201)
        found = manifests(alice, service, "&secrets=include")["Secret"]["stringData"]
        assert found == {"DSN": "pg://db.internal"}

    def test_it_follows_the_service_through_another_name_and_another_value(
        self, alice: Person, store: dict[str, Any]
    ) -> None:
        service = data_of(user_of(alice, {"A": "${Order Store.HOST}"}), 201)
        path = f"/api/services/{store['id']}"
        data_of(alice.patch(path, json={"name": "Orders"}))
        data_of(alice.post(f"{path}/config", json={"environment": {"HOST": "db2"}}))
        assert manifests(alice, service)["ConfigMap"]["data"] == {"A": "db2"}
        changed = alice.post(
            f"/api/services/{service['id']}/config", json={"environment": {"B": "1"}}
        )
        assert data_of(changed)["environment"] == {"A": "${Order Store.HOST}", "B": "1"}

    def test_secrets_of_another_service_take_who_may_change_that_too(
        self, alice: Person, bob: Person, store: dict[str, Any]
    ) -> None:
        """Bob edits a project of his own with a service that Alice made there of her store's."""
        shop = next(p for p in data_of(alice.get("/api/projects")) if p["name"] == "shop")
        member = f"/api/projects/{shop['id']}/members/{bob.user_id}"
        data_of(alice.put(member, json={"role": "viewer"}))
        environment = {"P": f"${{{store['id']}.PASSWORD}}", "H": f"${{{store['id']}.HOST}}"}
        service = data_of(user_of(bob, environment, project="bobs"), 201)
        found = manifests(bob, service, "&secrets=include")
        assert found["ConfigMap"]["data"] == {"H": "db.internal"}
        assert found["Secret"]["stringData"] == {"P": "REPLACE_ME"}


class TestRefusals:
    @pytest.mark.parametrize(
        ("value", "told"),
        [
            ("${Order Store.OWN}", "does not list OWN under its exports"),
            ("${Order Store.NONE}", "does not list NONE under its exports"),
            ("${Nobody.HOST}", "There is no service 'Nobody'"),
        ],
    )
    def test_what_is_not_there_is_named(
        self, alice: Person, store: dict[str, Any], value: str, told: str
    ) -> None:
        answer = user_of(alice, {"A": value})
        details = error_of(answer, 400, "VALIDATION_ERROR")["details"]
        assert told in details["configuration.environment.A"][0]

    def test_somebody_elses_service_gives_nothing(
        self, charlie: Person, store: dict[str, Any]
    ) -> None:
        for named_by in ("id", "serviceId", "name"):
            answer = user_of(charlie, {"A": f"${{{store[named_by]}.HOST}}"}, project="other")
            error_of(answer, 400, "VALIDATION_ERROR")

    def test_of_two_services_of_one_name_neither_is_meant(
        self, alice: Person, store: dict[str, Any]
    ) -> None:
        alice.new_service(name="Order Store", type="data", project="shop")
        details = error_of(user_of(alice, {"A": "${Order Store.HOST}"}), 400, "VALIDATION_ERROR")
        assert "serviceId" in str(details["details"])

    @pytest.mark.parametrize("length", [1, 2, 3])
    def test_a_value_can_not_take_itself(self, alice: Person, length: int) -> None:
        services = [
            alice.new_service(
                name=f"S{n}",
                project="ring",
                configuration={"environment": {"A": "x", "B": "y"}, "exports": ["A", "B"]},
            )
            for n in range(length)
        ]
        for n in range(length - 1):
            patch = {"environment": {"A": f"${{S{n + 1}.A}}"}}
            data_of(alice.post(f"/api/services/{services[n]['id']}/config", json=patch))
        path = f"/api/services/{services[-1]['id']}/config"
        answer = alice.post(path, json={"environment": {"A": "<${S0.A}>"}})
        details = error_of(answer, 400, "VALIDATION_ERROR")["details"]
        assert list(details) == ["environment.A"]
        # Another variable is no ring.
        data_of(alice.post(path, json={"environment": {"A": "${S0.B}"}}))

    def test_a_reference_that_means_nothing_any_more_is_named(
        self, alice: Person, app: Flask, store: dict[str, Any]
    ) -> None:
        service = data_of(user_of(alice, {"A": "${Order Store.HOST}"}), 201)
        with app.app_context():
            db.session.delete(db.session.get_one(Service, store["id"]))
            db.session.commit()
        path = f"/api/services/download/kubernetes/{service['clusterId']}"
        details = error_of(alice.get(path), 500, "SERVICE_CONFIG_ERROR")["details"]
        assert list(details) == ["environment.A"]


class TestBounds:
    def test_values_that_double_at_each_step_are_refused(self, alice: Person) -> None:
        variables = {"X0": "x" * 100}
        service = alice.new_service(type="kubernetes", name="Laughs")
        own = service["serviceId"]
        variables |= {f"X{n + 1}": f"${{{own}.X{n}}}" * 2 for n in range(40)}
        document = {"environment": variables, "exports": list(variables)}
        data_of(alice.put(f"/api/services/{service['id']}/config", json=document))
        path = f"/api/services/download/kubernetes/{service['clusterId']}"
        error = error_of(alice.get(path), 500, "SERVICE_CONFIG_ERROR")
        assert "more than a variable can hold" in error["message"]

    def test_there_is_a_largest_number_of_them(self, alice: Person, store: dict[str, Any]) -> None:
        many = {f"V{n}": "${Order Store.HOST}" for n in range(201)}
        details = error_of(user_of(alice, many), 400, "VALIDATION_ERROR")["details"]
        assert list(details) == ["configuration.environment"]


class TestWhoMayTake:
    """Bob was a viewer of Alice's project, and still has a service there and one of his own."""

    @pytest.fixture
    def own(self, alice: Person, bob: Person, store: dict[str, Any]) -> dict[str, Any]:
        shop = next(p for p in data_of(alice.get("/api/projects")) if p["name"] == "shop")
        member = f"/api/projects/{shop['id']}/members/{bob.user_id}"
        data_of(alice.put(member, json={"role": "editor"}))
        taken = {"H": f"${{{store['id']}.HOST}}"}
        own: dict[str, Any] = data_of(user_of(bob, taken, name="Bobs"), 201)
        data_of(alice.delete(member))
        return own

    def test_what_was_taken_stays_and_nothing_more_is(
        self, bob: Person, store: dict[str, Any], own: dict[str, Any]
    ) -> None:
        path = f"/api/services/{own['id']}/config"
        data_of(bob.post(path, json={"port": 1}))
        for more in (f"${{{store['id']}.PASSWORD}}", "${Order Store.HOST}"):
            answer = bob.post(path, json={"environment": {"MORE": more}})
            details = error_of(answer, 400, "VALIDATION_ERROR")["details"]
            assert list(details) == ["environment.MORE"]

    def test_a_broken_one_leaves_other_changes_possible(
        self, alice: Person, store: dict[str, Any]
    ) -> None:
        service = data_of(user_of(alice, {"A": "${Order Store.HOST}"}), 201)
        path = f"/api/services/{store['id']}/config?allowBreaking=true"
        data_of(alice.post(path, json={"exports": None}))
        data_of(alice.post(f"/api/services/{service['id']}/config", json={"port": 1}))


class TestWhatOthersTake:
    @pytest.fixture
    def user(self, alice: Person, store: dict[str, Any]) -> dict[str, Any]:
        user: dict[str, Any] = data_of(user_of(alice, {"A": "${Order Store.HOST}"}), 201)
        return user

    @pytest.mark.parametrize(
        "change",
        [
            {"exports": ["PASSWORD"]},
            {"environment": {"HOST": None}, "exports": ["PASSWORD"]},
            {"exports": None},
        ],
    )
    def test_is_named_before_it_goes(
        self, alice: Person, store: dict[str, Any], user: dict[str, Any], change: dict[str, Any]
    ) -> None:
        path = f"/api/services/{store['id']}/config"
        before = data_of(alice.get(path))
        error = error_of(alice.post(path, json=change), 409, "CONFLICT")
        assert "Cluster (A)" in error["message"]
        assert error["details"]["dependents"] == [
            {"serviceId": user["serviceId"], "name": "Cluster", "variable": "A", "export": "HOST"}
        ]
        assert data_of(alice.get(path)) == before
        data_of(alice.post(f"{path}?allowBreaking=true", json=change))
        details = error_of(
            alice.get(f"/api/services/download/kubernetes/{user['clusterId']}"),
            500,
            "SERVICE_CONFIG_ERROR",
        )["details"]
        assert list(details) == ["environment.A"]

    def test_is_not_lost_by_restoring_or_by_services_php(
        self, alice: Person, store: dict[str, Any], user: dict[str, Any]
    ) -> None:
        path = f"/api/services/{store['id']}"
        for answer in (
            alice.act("updateService", serviceId=store["id"], configuration={}),
            alice.act("updateConfig", serviceId=store["id"], configuration={"exports": None}),
            alice.patch(path, json={"configuration": {}}),
        ):
            error_of(answer, 409, "CONFLICT")

    def test_can_be_listed_by_who_may_read_it(
        self, alice: Person, bob: Person, store: dict[str, Any], user: dict[str, Any]
    ) -> None:
        path = f"/api/services/{store['id']}/config/dependents"
        taken = {"serviceId": user["serviceId"], "name": "Cluster"}
        taken |= {"variable": "A", "export": "HOST"}
        assert data_of(alice.get(path)) == [taken]
        assert data_of(alice.get(f"/api/services/{user['id']}/config/dependents")) == []
        private = {"A": f"${{{store['id']}.HOST}}"}
        shop = next(p for p in data_of(alice.get("/api/projects")) if p["name"] == "shop")
        member = f"/api/projects/{shop['id']}/members/{bob.user_id}"
        data_of(alice.put(member, json={"role": "viewer"}))
        data_of(user_of(bob, private, name="Private", project="bobs"), 201)
        assert data_of(alice.get(path)) == [taken]
        answer = alice.post(f"/api/services/{store['id']}/config", json={"exports": None})
        error = error_of(answer, 409, "CONFLICT")
        assert error["details"]["others"] == 1
        assert "Private" not in json.dumps(error)


def test_a_zip_holds_resolved_values_too(alice: Person, store: dict[str, Any]) -> None:
    service = data_of(
        user_of(alice, {"A": "${Order Store.HOST}"}, type="hosting", name="a.example"), 201
    )
    answer = alice.get(f"/api/services/download/hosting/{service['billingId']}")
    archive = zipfile.ZipFile(io.BytesIO(answer.data))
    assert b"A='db.internal'" in archive.read(".env.example")
