"""Importing a second time: what changed there, what changed here, what is gone, and trying only."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from cms_services.accounts.models import User
from cms_services.catalogue.models import Service
from cms_services.extensions import db
from cms_services.projects.models import ProjectMember
from tests.conftest import empty, is_empty
from tests.importing.old_databases import OldDatabase, counts, report_of, run_import
from tests.importing.test_import_people_and_services import findings, services_of, sign_in
from tests.people import Person, data_of

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
ADMIN = ("admin@cms.example", "Correct-horse-7")


def rows_of_all_tables(app: Flask) -> dict[str, list[Any]]:
    with app.app_context():
        tables = {t.name: t for t in db.metadata.sorted_tables if t.name != "import_positions"}
        return {
            name: sorted(map(repr, db.session.execute(select(table)).all()))
            for name, table in tables.items()
        }


class TestSecondRun:
    def test_nothing_is_written_where_nothing_changed(self, app: Flask, old: OldDatabase) -> None:
        first = run_import(app, old, "--json")
        before = rows_of_all_tables(app)
        second = run_import(app, old, "--json")
        assert rows_of_all_tables(app) == before
        assert counts(second, "users") == {"read": 8, "unchanged": 6, "rejected": 2, "here": 6}
        assert counts(second, "services") == {"read": 9, "unchanged": 8, "rejected": 1, "here": 8}
        for name, each in report_of(second)["entities"].items():
            assert each["hereChecksum"] == report_of(first)["entities"][name]["hereChecksum"]

    def test_what_changed_there_is_changed_here_and_nothing_else(
        self, app: Flask, client: FlaskClient, old: OldDatabase
    ) -> None:
        run_import(app, old)
        old.run(
            "UPDATE cms_services SET status = 'inactive', config = '{\"port\":3001}' WHERE id = 12",
            "UPDATE tbl_users SET full_name = 'J. Müller' WHERE id = 7",
            "UPDATE cms_project_users SET access = 'write' WHERE user_id = 8 AND project_id = 1",
        )
        second = run_import(app, old, "--json")
        assert counts(second, "users")["updated"] == 1
        assert counts(second, "members")["updated"] == 1
        assert counts(second, "services") == {
            "read": 9, "updated": 1, "unchanged": 7, "rejected": 1, "here": 8,
        }  # fmt: skip
        assert all(each["equal"] for each in report_of(second)["entities"].values())
        headers = sign_in(client, *ADMIN)
        orders = services_of(client, headers)["12"]
        assert (orders["status"], orders["configuration"]) == ("inactive", {"port": 3001})
        versions = data_of(client.get("/api/services/12/config/versions", headers=headers))
        assert [each["number"] for each in versions] == [2, 1]
        entries = data_of(client.get("/api/audit?targetId=12", headers=headers))
        assert [each["action"] for each in entries] == [
            "service.updated", "service.deactivated", "service.created",
        ]  # fmt: skip

    @on_sqlite
    def test_a_password_that_was_changed_there_counts_and_ends_sign_ins(
        self, app: Flask, client: FlaskClient, old: OldDatabase
    ) -> None:
        run_import(app, old)
        headers = sign_in(client, "juergen@cms.example", "Correct-horse-7")
        old.run(
            "UPDATE tbl_users AS one, tbl_users AS other SET one.passwd = other.passwd"
            " WHERE one.id = 7 AND other.id = 10"
        )
        assert counts(run_import(app, old, "--json"), "users")["updated"] == 1
        assert client.get("/api/auth/me", headers=headers).status_code == 401
        sign_in(client, "juergen@cms.example", "Sommer-Regen-5")

    @on_sqlite
    def test_a_password_that_was_changed_here_stays(
        self, app: Flask, client: FlaskClient, old: OldDatabase, listed: Path
    ) -> None:
        run_import(app, old)
        headers = sign_in(client, "juergen@cms.example", "Correct-horse-7")
        given = {"currentPassword": "Correct-horse-7", "newPassword": "Tidepool-2031"}
        changed = client.post("/api/auth/password", json=given, headers=headers)
        assert changed.status_code == 200, changed.text
        assert "conflicts" not in counts(run_import(app, old, "--json"), "users")
        old.run("UPDATE tbl_users SET passwd = '$2y$10$another' WHERE id = 7")
        old.run(
            "UPDATE tbl_users AS one, tbl_users AS other SET one.passwd = other.passwd"
            " WHERE one.id = 7 AND other.id = 10"
        )
        third = run_import(app, old, "--json", "--rejects", str(listed))
        assert counts(third, "users")["conflicts"] == 1
        assert "password_hash" in findings(listed, "conflict")["tbl_users 7"]
        sign_in(client, "juergen@cms.example", "Tidepool-2031")


class TestConflicts:
    def test_a_field_that_changed_here_alone_stays_beside_one_that_changed_there(
        self, app: Flask, client: FlaskClient, old: OldDatabase
    ) -> None:
        run_import(app, old)
        headers = sign_in(client, *ADMIN)
        given = {"description": "Ours"}
        assert client.patch("/api/services/12", json=given, headers=headers).status_code == 200
        old.run("UPDATE cms_services SET name = 'Orders' WHERE id = 12")
        second = run_import(app, old, "--json")
        assert counts(second, "services")["updated"] == 1
        assert not report_of(second)["entities"]["services"]["equal"]
        orders = services_of(client, headers)["12"]
        assert (orders["name"], orders["description"]) == ("Orders", "Ours")
        assert counts(run_import(app, old, "--json"), "services")["kept"] == 1

    def test_one_that_changed_on_both_sides_is_told_until_somebody_decides(
        self, app: Flask, client: FlaskClient, old: OldDatabase, listed: Path
    ) -> None:
        run_import(app, old)
        headers = sign_in(client, *ADMIN)
        client.patch("/api/services/12", json={"name": "Ours"}, headers=headers)
        old.run("UPDATE cms_services SET name = 'Theirs' WHERE id = 12")
        for _ in range(2):
            done = run_import(app, old, "--json", "--rejects", str(listed))
            assert done.exit_code == 1
            assert counts(done, "services")["conflicts"] == 1
            told = findings(listed, "conflict")["cms_services 12"]
            assert told == "Changed there and here: name."
            assert services_of(client, headers)["12"]["name"] == "Ours"
        assert counts(run_import(app, old, "--json", "--overwrite"), "services")["updated"] == 1
        assert services_of(client, headers)["12"]["name"] == "Theirs"

    @on_sqlite
    def test_what_is_here_by_itself_is_not_taken_over(
        self, app: Flask, old: OldDatabase, listed: Path
    ) -> None:
        with app.app_context():
            user = User(id="8", email="other@example.com", name="Other", password_hash="x")
            db.session.add(user)
            db.session.commit()
        done = run_import(app, old, "--json", "--rejects", str(listed))
        assert counts(done, "users")["conflicts"] == 1
        assert "did not come from there" in findings(listed, "conflict")["tbl_users 8"]
        with app.app_context():
            assert db.session.get_one(User, "8").email == "other@example.com"

    @on_sqlite
    def test_an_account_here_of_the_same_address_can_be_named_as_the_same(
        self, app: Flask, alice: Person, old: OldDatabase, tmp_path: Path, listed: Path
    ) -> None:
        old.run(f"UPDATE tbl_users SET email = '{alice.email.upper()}' WHERE id = 7")
        mapping = tmp_path / "mapping.yaml"
        assert run_import(app, old, "--write-map", str(mapping)).exit_code == 0
        run_import(app, old, "--map", str(mapping), "--rejects", str(listed))
        assert f'same_as: {{"7": "{alice.user_id}"}}' in findings(listed, "rejected")["tbl_users 7"]
        text = mapping.read_text(encoding="utf-8").replace(
            "    table: tbl_users", f"    table: tbl_users\n    same_as: {{7: {alice.user_id}}}"
        )
        mapping.write_text(text, encoding="utf-8")
        run_import(app, old, "--map", str(mapping))
        assert "12" in {each["id"] for each in data_of(alice.get("/api/services"))}


class TestGone:
    def test_what_is_gone_there_is_told_and_stays(
        self, app: Flask, client: FlaskClient, old: OldDatabase, listed: Path
    ) -> None:
        run_import(app, old)
        old.run("DELETE FROM cms_services WHERE id = 15", "DELETE FROM cms_project_users")
        done = run_import(app, old, "--json", "--rejects", str(listed))
        assert done.exit_code == 1
        assert counts(done, "services")["gone"] == 1
        assert counts(done, "members")["gone"] == 5
        assert findings(listed, "gone").keys() >= {"cms_services 15", "cms_project_users 1|7"}
        assert "15" in services_of(client, sign_in(client, *ADMIN))

    @on_sqlite
    def test_it_is_ended_where_that_is_asked_for(
        self, app: Flask, client: FlaskClient, old: OldDatabase
    ) -> None:
        run_import(app, old)
        old.run(
            "DELETE FROM cms_services WHERE id = 15",
            "DELETE FROM cms_project_users WHERE user_id = 10",
            "DELETE FROM tbl_users WHERE id = 13",
        )
        done = run_import(app, old, "--json", "--end-missing")
        assert [counts(done, name)["updated"] for name in ("users", "members", "services")] == [
            1, 1, 1,
        ]  # fmt: skip
        with app.app_context():
            assert db.session.get_one(Service, "15").status == "cancelled"
            assert not db.session.get_one(User, "13").active
            assert db.session.get(ProjectMember, ("3", "10")) is None
        assert "updated" not in counts(run_import(app, old, "--json", "--end-missing"), "services")


class TestDryRun:
    def test_it_tells_what_would_be_and_leaves_nothing(self, app: Flask, old: OldDatabase) -> None:
        tried = run_import(app, old, "--json", "--dry-run")
        found = report_of(tried)
        assert found["dryRun"]
        assert is_empty(app)
        done = report_of(run_import(app, old, "--json"))
        assert done["entities"] == found["entities"]


class _Died(Exception):
    pass


@contextmanager
def dying_after(app: Flask, commits: int) -> Iterator[None]:
    """Let the application commit so often, and no more."""
    left = [commits]

    def die(session: Session) -> None:
        if session.in_nested_transaction():
            return
        if not left[0]:
            raise _Died
        left[0] -= 1

    event.listen(db.session, "before_commit", die)
    try:
        yield
    finally:
        event.remove(db.session, "before_commit", die)


class TestResuming:
    @on_sqlite
    @pytest.mark.parametrize("commits", [1, 3, 5, 7, 8])
    def test_after_an_end_at_any_commit_the_next_run_comes_to_the_same(
        self, app: Flask, old: OldDatabase, commits: int
    ) -> None:
        whole = report_of(run_import(app, old, "--json"))["entities"]
        empty(app)
        with dying_after(app, commits):
            assert isinstance(run_import(app, old).exception, _Died)
        resumed = report_of(run_import(app, old, "--json"))["entities"]
        for name, each in whole.items():
            assert resumed[name]["hereChecksum"] == each["hereChecksum"]
            assert resumed[name]["here"] == each["here"]
