"""An import of the whole old CMS: what comes over, and how it is here."""

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cms_services.accounts.models import User
from cms_services.audit.verification import Verification, unmoving_view
from cms_services.encryption import current_vault
from cms_services.extensions import db
from tests.importing.old_databases import OldDatabase, counts, report_of, run_import
from tests.people import data_of

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def sign_in(client: FlaskClient, email: str, password: str) -> dict[str, str]:
    given = {"email": email, "password": password}
    token = data_of(client.post("/api/auth/login", json=given))["accessToken"]
    return {"Authorization": f"Bearer {token}"}


def findings(listed: Path, about: str) -> dict[str, str]:
    """What is listed of rows, by table and key; only the last of each."""
    told = [json.loads(line) for line in listed.read_text(encoding="utf-8").splitlines()]
    return {f"{t['table']} {t['key']}": t["reason"] for t in told if t["about"] == about}


def services_of(client: FlaskClient, headers: dict[str, str], **parameters: str) -> dict[str, Any]:
    """What getServices answers, by id."""
    asked = {"getServices": "getServices"} | parameters
    listed = data_of(client.get("/services.php", query_string=asked, headers=headers))
    return {each["id"]: each for each in listed}


class TestWholeImport:
    def test_a_person_signs_in_by_the_old_password_and_finds_the_old_numbers(
        self, app: Flask, client: FlaskClient, old: OldDatabase, listed: Path
    ) -> None:
        done = run_import(app, old, "--json", "--rejects", str(listed))
        assert counts(done, "users") == {"read": 8, "taken": 6, "rejected": 2, "here": 6}
        assert counts(done, "projects") == {"read": 3, "taken": 3, "here": 3}
        assert counts(done, "services") == {"read": 9, "taken": 8, "rejected": 1, "here": 8}
        assert done.exit_code == 1
        assert all(each["equal"] for each in report_of(done)["entities"].values())

        headers = sign_in(client, "juergen@cms.example", "Correct-horse-7")
        with app.app_context():
            user = db.session.get_one(User, "7")
            assert (user.name, user.role) == ("Jürgen Müller", "user")
            assert user.password_hash.startswith("$argon2id$")
        mine = services_of(client, headers)
        assert list(mine) == ["12", "13", "14", "15", "20"]
        orders = mine["12"]
        assert orders["serviceId"] == "12"
        assert orders["project"] == "Shop"
        assert orders["endpoints"] == ["/api/orders", "/api/invoices"]
        assert orders["dependencies"] == ["13", "14"]
        assert orders["configuration"] == {
            "port": 3000,
            "debug": False,
            "cache": {"ttl": 1.5, "hosts": ["c1"]},
        }
        assert orders["createdAt"] == "2012-03-02T11:00:00Z"
        assert orders["updatedAt"] == "2021-06-30T13:20:25Z"
        assert list(services_of(client, headers, project="Shop")) == ["12", "13", "14"]

    @on_sqlite
    def test_each_kind_of_hash_goes_on_being_verified(
        self, app: Flask, client: FlaskClient, old: OldDatabase
    ) -> None:
        run_import(app, old)
        for email, password in (
            ("admin@cms.example", "Correct-horse-7"),
            ("zoe@cms.example", "Tidepool-2012"),
            ("ilse@cms.example", "Sommer-Regen-5"),
        ):
            sign_in(client, email, password)
        refused = {"email": "gone@cms.example", "password": "Correct-horse-7"}
        assert client.post("/api/auth/login", json=refused).status_code == 401

    @on_sqlite
    def test_a_hash_of_md5_is_not_taken_and_the_account_is(
        self, app: Flask, client: FlaskClient, old: OldDatabase, listed: Path
    ) -> None:
        run_import(app, old, "--rejects", str(listed))
        assert "nothing here can verify" in findings(listed, "note")["tbl_users 13"]
        given = {"email": "oldest@cms.example", "password": "password"}
        assert client.post("/api/auth/login", json=given).status_code == 401
        with app.app_context():
            assert db.session.get_one(User, "13").active

    @on_sqlite
    def test_what_can_not_be_taken_is_listed_with_the_reason_and_holds_nothing_back(
        self, app: Flask, old: OldDatabase, listed: Path
    ) -> None:
        run_import(app, old, "--rejects", str(listed))
        rejected = findings(listed, "rejected")
        assert rejected.keys() == {
            "tbl_users 11",
            "tbl_users 12",
            "cms_services 19",
            "service_log 4",
            "service_log 7",
            "service_stats 4",
        }
        assert "that of the account 7" in rejected["tbl_users 11"]
        assert rejected["tbl_users 12"] == "email: is empty."
        assert "no account 99" in rejected["cms_services 19"]
        assert rejected["service_log 7"] == "service_id: there is no service 999 here."

    @on_sqlite
    def test_what_was_encoded_twice_is_mended_and_nothing_else(
        self, app: Flask, client: FlaskClient, old: OldDatabase
    ) -> None:
        old.run(
            "INSERT INTO cms_projects VALUES (4, 'plain', 'He said “so” – ½ ﬁne…', 7, '2020-01-01')"
        )
        run_import(app, old)
        headers = sign_in(client, "admin@cms.example", "Correct-horse-7")
        projects = {
            each["id"]: each for each in data_of(client.get("/api/projects", headers=headers))
        }
        assert projects["2"]["name"] == "Café Blog"
        assert projects["2"]["description"] == "Für die Gäste – offen ab 8 Uhr"
        assert projects["3"]["description"] == "Müllabfuhr & Heizung"
        with app.app_context():
            assert db.session.get_one(User, "10").name == "Ilse Größer"

    @on_sqlite
    def test_odd_services_come_over_as_far_as_they_make_sense(
        self, app: Flask, client: FlaskClient, old: OldDatabase, listed: Path
    ) -> None:
        run_import(app, old, "--rejects", str(listed))
        headers = sign_in(client, "admin@cms.example", "Correct-horse-7")
        found = services_of(client, headers)
        assert "17" not in found  # It was deleted there, and is cancelled here.
        adrift, stock, scratch = found["20"], found["13"], found["18"]
        assert (adrift["project"], adrift["endpoints"]) == (None, ["broken"])
        assert adrift["configuration"] == {"text": 'a:1:{s:4:"port";i:30'}
        assert adrift["dependencies"] == ["12", "13"]
        assert stock["updatedAt"] == stock["createdAt"] == "2012-04-01T06:30:00Z"
        assert scratch["icon"] == "construct-outline"
        assert found["14"]["description"] == "Grüße an alle 😀"
        notes = findings(listed, "note")
        assert "no project 98" in notes["cms_services 20"]

    @on_sqlite
    def test_members_and_admins_are_what_they_were(
        self, app: Flask, client: FlaskClient, old: OldDatabase
    ) -> None:
        run_import(app, old)
        admin = sign_in(client, "admin@cms.example", "Correct-horse-7")
        members = data_of(client.get("/api/projects/1/members", headers=admin))
        parts = {each["userId"]: each["role"] for each in members}
        assert parts == {"7": "owner", "8": "viewer"}
        zoe = sign_in(client, "zoe@cms.example", "Tidepool-2012")
        assert {"12", "13", "16", "18"} <= services_of(client, zoe).keys()

    def test_the_trail_tells_of_each_row_and_of_the_run(
        self, app: Flask, client: FlaskClient, old: OldDatabase
    ) -> None:
        run_import(app, old)
        admin = sign_in(client, "admin@cms.example", "Correct-horse-7")
        made = data_of(client.get("/api/audit?action=service.created&limit=50", headers=admin))
        assert {each["targetId"] for each in made} >= {"12", "20"}
        assert {each["actorName"] for each in made} == {"import"}
        (run,) = data_of(client.get("/api/audit?action=data.imported", headers=admin))
        assert run["changes"]["entities"]["services"]["taken"] == 8
        with app.app_context(), unmoving_view() as connection:
            assert list(Verification(connection, current_vault()).findings()) == []
