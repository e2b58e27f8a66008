"""Secrets of a configuration: sealed one by one, masked everywhere, shown only when asked for."""

from typing import Any

import pytest
from flask import Flask

from cms_services.catalogue.models import Service
from cms_services.extensions import db
from tests.people import Person, data_of, error_of

SECRETS = [f"s3cret-{n}" for n in range(7)]
DOCUMENT: dict[str, Any] = {
    "environment": {"KEY": {"value": SECRETS[0], "secret": True}, "MODE": "test"},
    "databases": [
        {"name": "main", "connection": {"host": "db", "password": SECRETS[1]}},
        {"name": "logs", "connection": {"uri": SECRETS[2]}},
    ],
    "externalApis": [{"name": "pay", "authentication": {"api_key": SECRETS[3]}}],
    "cluster": {"token": {"value": SECRETS[4], "secret": True}},
    "users": [{"name": "app", "password": SECRETS[5]}],
    "extra": {"licence": {"code": {"value": SECRETS[6], "secret": True}}},
}
_MARKED = {"name": "KEY", "value": "PLAIN-5", "secret": True}
PATHS = {
    "environment.KEY": SECRETS[0],
    "databases.main.connection.password": SECRETS[1],
    "databases.logs.connection.uri": SECRETS[2],
    "externalApis.pay.authentication.api_key": SECRETS[3],
    "cluster.token": SECRETS[4],
    "users.app.password": SECRETS[5],
    "extra.licence.code": SECRETS[6],
}


@pytest.fixture
def service(alice: Person) -> str:
    made = alice.new_service(type="kubernetes", project="shop", configuration=DOCUMENT)
    return str(made["id"])


def revealed(person: Person, service: str, path: str) -> Any:
    return person.post(f"/api/services/{service}/config/reveal", json={"path": path})


def stored(app: Flask, service: str) -> Any:
    with app.app_context():
        return db.session.get_one(Service, service).config


class TestEverySecret:
    def test_is_masked_wherever_the_configuration_shows(self, alice: Person, service: str) -> None:
        path = f"/api/services/{service}"
        shown = data_of(alice.get(f"{path}/config"))
        assert shown["databases"][0]["connection"] == {"host": "db", "password": "encrypted"}
        assert shown["users"] == [{"name": "app", "password": "encrypted"}]
        assert shown["extra"] == {"licence": {"code": "encrypted"}}
        alice.put(f"{path}/config", json={})
        for url in (
            path,
            f"{path}/config/versions",
            f"{path}/config/versions/1",
            f"{path}/config/versions/2/diff",
            "/api/services",
            "/api/audit",
            "/api/events",
            f"/services.php?getService=1&serviceId={service}",
        ):
            assert not [each for each in SECRETS if each in alice.get(url).text], url

    def test_is_sealed_where_it_is_stored(self, app: Flask, service: str) -> None:
        text = str(stored(app, service))
        assert not [each for each in SECRETS if each in text]
        assert text.count("v1:") == len(SECRETS)

    def test_is_kept_when_its_mask_comes_back_in_whatever_order(
        self, alice: Person, app: Flask, service: str
    ) -> None:
        before = stored(app, service)
        shown = data_of(alice.get(f"/api/services/{service}/config"))
        shown["databases"].reverse()
        data_of(alice.put(f"/api/services/{service}/config", json=shown))
        after = stored(app, service)
        assert after["databases"] == before["databases"][::-1]
        assert after | {"databases": []} == before | {"databases": []}

    def test_changes_by_a_new_value_and_stays_secret(self, alice: Person, service: str) -> None:
        patch = {"cluster": {"token": "another-one"}, "extra": {"licence": {"code": "free"}}}
        shown = data_of(alice.post(f"/api/services/{service}/config", json=patch))
        assert shown["cluster"] == {"token": "encrypted"}
        assert shown["extra"] == {"licence": {"code": "encrypted"}}
        assert data_of(revealed(alice, service, "cluster.token"))["value"] == "another-one"

    def test_that_is_a_password_or_token_can_not_be_made_plain(
        self, alice: Person, service: str
    ) -> None:
        patch = {"cluster": {"token": {"value": "x", "secret": False}}}
        answer = alice.post(f"/api/services/{service}/config", json=patch)
        assert list(error_of(answer, 400, "VALIDATION_ERROR")["details"]) == ["cluster.token"]

    @pytest.mark.parametrize("planted", [{"secret": True, "sealed": "v1:00000000:AAAA"}])
    def test_can_not_be_planted_in_its_sealed_form(
        self, alice: Person, service: str, planted: object
    ) -> None:
        for document in ({"cluster": {"token": planted}}, {"extra": {"a": planted}}):
            answer = alice.put(f"/api/services/{service}/config", json=document)
            error_of(answer, 400, "VALIDATION_ERROR")


class TestWhatMightGetLost:
    """A mask is never stored in the place of a secret that it does not stand for."""

    def test_a_mask_without_a_secret_is_refused(self, alice: Person, service: str) -> None:
        path = f"/api/services/{service}/config"
        shown = data_of(alice.get(path))
        shown["databases"][0]["name"] = "renamed"
        details = error_of(alice.put(path, json=shown), 400, "VALIDATION_ERROR")["details"]
        assert list(details) == ["databases.renamed.connection.password"]
        for path_, value in PATHS.items():
            assert data_of(revealed(alice, service, path_))["value"] == value

    def test_an_imported_secret_is_sealed_with_the_next_change(
        self, alice: Person, app: Flask, service: str
    ) -> None:
        with app.app_context():
            row = db.session.get_one(Service, service)
            row.config = {
                "databases": [{"name": "m", "connection": {"password": "PLAIN-1"}}],
                "environment": {"K": {"value": "PLAIN-2", "secret": True}, "L": ["PLAIN-3"]},
                "cluster": {"token": "PLAIN-4", "exec": {"env": [_MARKED]}},
            }
            db.session.commit()
        path = f"/api/services/{service}/config"
        assert "PLAIN" not in alice.get(path).text
        assert "PLAIN" not in alice.get("/api/services").text
        answer = alice.post(path, json={"port": 3000, "environment": {"L": None}})
        assert "PLAIN" not in str(data_of(answer))
        assert "PLAIN" not in str(stored(app, service))
        for place, value in {
            "databases.m.connection.password": "PLAIN-1",
            "environment.K": "PLAIN-2",
            "cluster.token": "PLAIN-4",
            "cluster.exec.env.KEY.value": "PLAIN-5",
        }.items():
            assert data_of(revealed(alice, service, place))["value"] == value

    def test_elements_without_names_keep_their_own(self, alice: Person, service: str) -> None:
        secrets = [{"value": f"own-{n}", "secret": True} for n in range(2)]
        listed = [{"x": secrets[0]}, {"name": "#0", "x": secrets[1]}]
        path = f"/api/services/{service}/config"
        data_of(alice.put(path, json={"list": listed}))
        data_of(alice.post(path, json={"port": 1}))
        assert data_of(revealed(alice, service, "extra.list.#0.x"))["value"] == "own-0"
        assert data_of(revealed(alice, service, "extra.list.##0.x"))["value"] == "own-1"

    def test_a_number_in_the_place_of_a_secret_is_one(self, alice: Person, service: str) -> None:
        path = f"/api/services/{service}/config"
        shown = data_of(alice.post(path, json={"environment": {"KEY": 12345}}))
        assert shown["environment"]["KEY"] == "encrypted"
        assert data_of(revealed(alice, service, "environment.KEY"))["value"] == "12345"

    def test_a_whole_section_is_no_secret(self, alice: Person, service: str) -> None:
        path = f"/api/services/{service}/config"
        form = {"value": "x", "secret": True}
        for document, place in ((form, "configuration"), ({"networking": form}, "networking")):
            details = error_of(alice.put(path, json=document), 400, "VALIDATION_ERROR")["details"]
            assert list(details) == [place]


def test_a_form_of_the_old_frontend_can_say_that_a_variable_is_secret(alice: Person) -> None:
    form = {"createService": 1, "name": "A", "type": "api", "project": "p"}
    form |= {"configuration[environment][K][value]": "s3cret"}
    form |= {"configuration[environment][K][secret]": "1"}
    made = data_of(alice.post("/services.php", data=form))
    assert made["configuration"] == {"environment": {"K": "encrypted"}}
    assert data_of(revealed(alice, made["id"], "environment.K"))["value"] == "s3cret"


def test_a_component_s_cluster_token_is_a_secret_though_it_has_no_cluster(alice: Person) -> None:
    made = alice.new_service(configuration={"cluster": {"token": "s3cret"}})
    assert made["configuration"] == {"extra": {"cluster": {"token": "encrypted"}}}
    assert "s3cret" not in alice.act("getServices").text


class TestRevealing:
    def test_gives_each_by_its_path_and_is_audited(self, alice: Person, service: str) -> None:
        for path, value in PATHS.items():
            assert data_of(revealed(alice, service, path)) == {"path": path, "value": value}
        trail = data_of(alice.get(f"/api/audit?targetId={service}"))
        told = [e["changes"] for e in trail if e["action"] == "service.secret_revealed"]
        assert told == [{"path": path} for path in reversed(PATHS)]

    @pytest.mark.parametrize("path", ["environment.MODE", "environment.NO", "cluster", "x" * 1024])
    def test_finds_nothing_but_secrets(self, alice: Person, service: str, path: str) -> None:
        error_of(revealed(alice, service, path), 404, "NOT_FOUND")

    def test_takes_an_editor_and_a_token_its_own_scope(
        self, alice: Person, bob: Person, service: str
    ) -> None:
        (project,) = data_of(alice.get("/api/projects"))
        member = f"/api/projects/{project['id']}/members/{bob.user_id}"
        for role, status in (("viewer", 403), ("editor", 200)):
            data_of(alice.put(member, json={"role": role}))
            assert revealed(bob, service, "cluster.token").status_code == status
        given = {"name": "t", "scopes": ["services:read", "services:write"]}
        narrow = data_of(alice.post("/api/auth/tokens", json=given), 201)["token"]
        answer = alice.client.post(
            f"/api/services/{service}/config/reveal",
            json={"path": "cluster.token"},
            headers={"Authorization": f"Bearer {narrow}"},
        )
        error_of(answer, 403, "FORBIDDEN")

    def test_an_announced_variable_that_was_never_set_has_no_value(
        self, alice: Person, service: str
    ) -> None:
        announced = {"environment": {"LATER": "encrypted"}}
        path = f"/api/services/{service}/config"
        assert data_of(alice.put(path, json=announced)) == announced
        error_of(revealed(alice, service, "environment.LATER"), 404, "NOT_FOUND")


class TestVersions:
    def test_each_tells_its_author_and_what_it_changed(self, alice: Person, service: str) -> None:
        path = f"/api/services/{service}/config"
        alice.post(path, json={"environment": {"KEY": "new", "MODE": None, "MORE": "1"}})
        newest, first = data_of(alice.get(f"{path}/versions"))
        assert newest["authorName"] == "Alice"
        assert newest["changes"] == [
            {
                "path": "environment.KEY",
                "change": "changed",
                "before": "encrypted",
                "after": "encrypted",
            },
            {"path": "environment.MODE", "change": "removed", "before": "test", "after": None},
            {"path": "environment.MORE", "change": "added", "before": None, "after": "1"},
        ]
        assert {each["path"] for each in first["changes"]} == set(DOCUMENT)
        assert {each["change"] for each in first["changes"]} == {"added"}
        only = data_of(alice.get(f"{path}/versions?limit=1"))
        assert only == [newest]

    def test_any_two_are_compared(self, alice: Person, service: str) -> None:
        path = f"/api/services/{service}/config"
        for port in (1, 2, 3):
            alice.put(path, json={"port": port})
        diff = f"{path}/versions/4/diff"
        assert data_of(alice.get(diff))["changes"][0]["before"] == 2
        compared = data_of(alice.get(f"{diff}?since=2"))
        change = {"path": "port", "change": "changed", "before": 1, "after": 3}
        assert compared == {"since": 2, "to": 4, "changes": [change]}
        assert data_of(alice.get(f"{diff}?since=4"))["changes"] == []
        assert data_of(alice.get(f"{diff}?since=0"))["changes"][0]["change"] == "added"
        error_of(alice.get(f"{diff}?since=9"), 404, "NOT_FOUND")

    def test_any_is_restored_with_all_its_secrets(self, alice: Person, service: str) -> None:
        path = f"/api/services/{service}/config"
        alice.put(path, json={})
        data_of(alice.post(f"{path}/versions/1/restore"))
        for place, value in PATHS.items():
            assert data_of(revealed(alice, service, place))["value"] == value

    def test_restoring_minds_who_saved_meanwhile(self, alice: Person, service: str) -> None:
        path = f"/api/services/{service}/config"
        tag = alice.get(path).headers["ETag"]
        alice.put(path, json={"port": 1})
        answer = alice.post(f"{path}/versions/1/restore", headers={"If-Match": tag})
        error_of(answer, 412, "VERSION_CONFLICT")
