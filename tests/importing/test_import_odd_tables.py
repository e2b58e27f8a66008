"""Tables as nobody would make them: keys of all kinds or none, and values that are no use."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from cms_services.accounts.models import User
from cms_services.catalogue.models import Service
from cms_services.extensions import db
from cms_services.monitoring.logs.models import LogEntry
from cms_services.projects.models import Project, ProjectMember
from tests.databases import fresh_server_database
from tests.importing.old_databases import (
    OldDatabase,
    counts,
    old_database,
    report_of,
    run_import,
)
from tests.importing.test_import_again import dying_after
from tests.importing.test_import_people_and_services import findings

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
_NOW = datetime.now().replace(microsecond=0)
_RECENT = _NOW - timedelta(days=2)
USERS = (
    "CREATE TABLE users (id VARCHAR(99) PRIMARY KEY, email VARCHAR(99))",
    "INSERT INTO users VALUES ('u1', 'ann@example.com')",
)
SERVICES = (
    *USERS,
    "CREATE TABLE services (id VARCHAR(99) PRIMARY KEY, user_id VARCHAR(99), name VARCHAR(99),"
    " type VARCHAR(20), config TEXT)",
    "INSERT INTO services VALUES ('s1', 'u1', 'One', 'api', '')",
)
BASE = """
entities:
  users: {table: users, fields: {id: id, email: email}}
  services:
    table: services
    fields: {id: id, owner_id: user_id, name: name, type: type, config: config}
"""


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    return tmp_path / "mapping.yaml"


def run(app: Flask, old: OldDatabase, mapping: Path, text: str, *options: str) -> Result:
    """An import by a mapping of its own, with its report as JSON."""
    mapping.write_text(text, encoding="utf-8")
    listed = mapping.with_name("rejects.jsonl")
    return run_import(app, old, "--map", str(mapping), "--json", "--rejects", str(listed), *options)


def told(mapping: Path, about: str = "rejected") -> dict[str, str]:
    return findings(mapping.with_name("rejects.jsonl"), about)


def made_of(statements: Sequence[str], worker_id: str) -> Any:
    return old_database(worker_id, statements)


class TestKeys:
    BINARY = (
        "CREATE TABLE users (id BINARY(16) PRIMARY KEY, email VARCHAR(99))",
        "INSERT INTO users VALUES (0x8A00FF127C5C41C0B13F0A0D00090009, 'ann@example.com')",
        "CREATE TABLE services (id BINARY(16) PRIMARY KEY, user_id BINARY(16), name VARCHAR(99),"
        " type VARCHAR(20), config TEXT)",
        "INSERT INTO services VALUES (0x9A00FF127C5C41C0B13F0A0D00090009,"
        " 0x8A00FF127C5C41C0B13F0A0D00090009, 'One', 'api', '')",
        "CREATE TABLE stats (id BINARY(16) PRIMARY KEY, sid BINARY(16), at DATETIME, cpu INT)",
        *(
            f"INSERT INTO stats VALUES (0x{number}000000000000000000000000000000,"
            f" 0x9A00FF127C5C41C0B13F0A0D00090009, '{_RECENT}', 5)"
            for number in ("00", "FF", "80")
        ),
    )

    def test_binary_ones_are_known_again(self, app: Flask, worker_id: str, mapping: Path) -> None:
        text = BASE + "  metrics:\n    table: stats\n    key: [id]\n"
        text += "    fields: {service_id: sid, at: at}\n    series: {cpu: cpu}\n"
        with made_of(self.BINARY, worker_id) as old:
            assert run(app, old, mapping, text).exit_code == 0
            old.run(
                "INSERT INTO stats VALUES (0xFFFF0000000000000000000000000000,"
                f" 0x9A00FF127C5C41C0B13F0A0D00090009, '{_RECENT}', 5)"
            )
            again = run(app, old, mapping, text, "--end-missing")
        assert again.exit_code == 0, again.output
        assert counts(again, "services") == {"read": 1, "unchanged": 1, "here": 1}
        assert counts(again, "metrics") == {"read": 4, "taken": 4, "here": 4}
        with app.app_context():
            service = db.session.scalars(select(Service)).one()
            assert service.id == "9a00ff127c5c41c0b13f0a0d00090009"

    @on_sqlite
    def test_padded_ones_of_postgresql_are_known_again(
        self, app: Flask, worker_id: str, mapping: Path
    ) -> None:
        old = OldDatabase(fresh_server_database("postgresql", f"cms_odd_{worker_id}"))
        old.run(*(each.replace("VARCHAR(99) PRIMARY", "CHAR(9) PRIMARY") for each in SERVICES))
        assert run(app, old, mapping, BASE).exit_code == 0
        assert run(app, old, mapping, BASE, "--end-missing").exit_code == 0

    @on_sqlite
    def test_a_separator_in_one_is_a_part_of_it(
        self, app: Flask, worker_id: str, mapping: Path
    ) -> None:
        members = (
            "CREATE TABLE projects (id VARCHAR(9) PRIMARY KEY, name VARCHAR(9))",
            "INSERT INTO projects VALUES ('p|1', 'One'), ('p', 'Two')",
            "CREATE TABLE rights (pid VARCHAR(9), uid VARCHAR(9), PRIMARY KEY (pid, uid))",
            "INSERT INTO rights VALUES ('p|1', 'u1'), ('p', 'u1')",
        )
        text = BASE + "  projects: {table: projects, fields: {id: id, name: name}}\n"
        text += "  members: {table: rights, key: [pid, uid], fields: {project_id: pid,"
        text += " user_id: uid}}\n"
        with made_of((*SERVICES, *members), worker_id) as old:
            old.run("INSERT INTO services VALUES ('a|b%%', 'u1', 'Two', 'api', '')")
            assert run(app, old, mapping, text).exit_code == 0
            again = run(app, old, mapping, text)
            assert again.exit_code == 0, again.output
            assert counts(again, "members")["unchanged"] == 2
            old.run(
                "DELETE FROM services WHERE id = 'a|b%%'", "DELETE FROM rights WHERE pid = 'p|1'"
            )
            run(app, old, mapping, text)
        assert told(mapping, "gone").keys() == {"services a|b%", "rights p%7C1|u1"}

    def test_rows_that_share_one_or_have_none_are_listed_and_no_other_is_held_back(
        self, app: Flask, worker_id: str, mapping: Path
    ) -> None:
        odd = (
            "CREATE TABLE things (nr INT NULL, owner VARCHAR(9), title VARCHAR(99))",
            "INSERT INTO things SELECT seq, 'u1', CONCAT('n', seq) FROM seq_1_to_450",
            "INSERT INTO things VALUES (NULL, 'u1', 'none'), (NULL, 'u1', 'none'),"
            " (200, 'u1', 'twice'), (200, 'u1', 'thrice')",
            "CREATE TABLE log (sid INT, t DATETIME NULL, msg VARCHAR(99))",
            f"INSERT INTO log SELECT 1, '{_RECENT}' + INTERVAL seq SECOND, 'm' FROM seq_1_to_2600",
            f"INSERT INTO log SELECT 1, '{_RECENT}' + INTERVAL 2500 SECOND, 'more'"
            " FROM seq_1_to_3000",
            "INSERT INTO log VALUES (1, NULL, 'm')",
        )
        text = BASE.partition("  services:")[0] + (
            "  services: {table: things, key: [nr], fields: {id: nr, owner_id: owner,"
            " name: title, type: {default: api}}}\n"
            "  logs: {table: log, key: [sid, t], fields: {service_id: sid, at: t, message: msg}}\n"
        )
        with made_of((*USERS, *odd), worker_id) as old:
            done = run(app, old, mapping, text)
            assert counts(done, "services") == {
                "read": 454, "taken": 450, "rejected": 4, "here": 450,
            }  # fmt: skip
            assert counts(done, "logs") == {
                "read": 5601, "taken": 2600, "rejected": 3001, "here": 2600,
            }  # fmt: skip
            again = run(app, old, mapping, text)
        assert counts(again, "logs")["rejected"] == 3001
        rejected = told(mapping)
        assert rejected["things "] == "2 rows have nothing in nr."
        assert rejected["things 200"] == "Another row has the same key."

    @on_sqlite
    def test_an_enum_in_one_is_in_the_order_that_it_is_compared_in(
        self, app: Flask, worker_id: str, mapping: Path
    ) -> None:
        log = (
            "CREATE TABLE log (sid VARCHAR(9), kind ENUM('z', 'm', 'a'), n INT, t DATETIME,"
            " PRIMARY KEY (sid, kind, n))",
            *(
                f"INSERT INTO log SELECT 's1', '{kind}', seq, '{_RECENT}' FROM seq_1_to_1900"
                for kind in "zma"
            ),
        )
        text = BASE + "  logs: {table: log, key: [sid, kind, n], fields: {service_id: sid, at: t,"
        text += " message: kind}}\n"
        with made_of((*SERVICES, *log), worker_id) as old:
            done = run(app, old, mapping, text)
        assert counts(done, "logs") == {"read": 5700, "taken": 5700, "here": 5700}

    @on_sqlite
    def test_long_ones_of_log_rows_stay_apart(
        self, app: Flask, worker_id: str, mapping: Path
    ) -> None:
        log = (
            "CREATE TABLE log (sid VARCHAR(9), t DATETIME, msg VARCHAR(400), PRIMARY KEY (msg))",
            f"INSERT INTO log VALUES ('s1', '{_RECENT}', CONCAT(REPEAT('x', 300), 'a')),"
            f" ('s1', '{_RECENT}', CONCAT(REPEAT('x', 300), 'b'))",
        )
        text = BASE + "  logs: {table: log, key: [msg], fields: {service_id: sid, at: t,"
        text += " message: msg}}\n"
        with made_of((*SERVICES, *log), worker_id) as old:
            for _ in range(2):
                done = run(app, old, mapping, text)
                assert done.exit_code == 0, done.output
        with app.app_context():
            assert db.session.scalar(select(func.count()).select_from(LogEntry)) == 2

    def test_one_too_long_to_be_remembered_holds_nothing_back(
        self, app: Flask, worker_id: str, mapping: Path
    ) -> None:
        odd = (
            "CREATE TABLE things (nr VARCHAR(400) PRIMARY KEY, id INT, owner VARCHAR(9))",
            "INSERT INTO things VALUES (REPEAT('x', 300), 1, 'u1'), ('y', 2, 'u1')",
        )
        text = BASE.partition("  services:")[0] + (
            "  services: {table: things, key: [nr], fields: {id: id, owner_id: owner,"
            " name: {default: N}, type: {default: api}}}\n"
        )
        with made_of((*USERS, *odd), worker_id) as old:
            done = run(app, old, mapping, text)
        assert counts(done, "services") == {"read": 2, "taken": 1, "rejected": 1, "here": 1}


class TestValues:
    @on_sqlite
    def test_columns_of_unknown_types_do_not_matter(
        self, app: Flask, worker_id: str, tmp_path: Path
    ) -> None:
        odd = (
            "CREATE TABLE places (id INT PRIMARY KEY, at POINT)",
            "ALTER TABLE users ADD g POINT",
        )
        with made_of((*SERVICES, *odd), worker_id) as old:
            path = tmp_path / "proposed.yaml"
            done = run_import(app, old, "--write-map", str(path))
            assert done.exit_code == 0, done.output
            assert run_import(app, old, "--json").exit_code == 0

    def test_numbers_and_depths_that_nothing_of_ours_holds_keep_no_other_row_back(
        self, app: Flask, worker_id: str, mapping: Path
    ) -> None:
        deep = "[" * 400 + "]" * 400
        log = (
            "CREATE TABLE log (id INT PRIMARY KEY, sid VARCHAR(9), t DATETIME, msg TEXT, ctx TEXT)",
            f"INSERT INTO log VALUES (1, 's1', '{_RECENT}', 'm', '{{\"n\": 1e30, \"b\":"
            f" {'9' * 30}}}'), (2, 's1', '{_RECENT}', 'm', '{{\"d\": {deep}}}')",
            f"INSERT INTO services VALUES ('s2', 'u1', 'Two', 'api', '{{\"big\": {'7' * 25}}}'),"
            f" ('s3', 'u1', 'Three', 'api', '{{\"d\": {deep}}}'), ('s4', 'u1', 'F', 'api', '')",
        )
        text = BASE + "  logs: {table: log, key: [id], fields: {service_id: sid, at: t,"
        text += " message: msg, attributes: ctx}}\n"
        with made_of((*SERVICES, *log), worker_id) as old:
            done = run(app, old, mapping, text)
        assert counts(done, "services")["taken"] == 4, done.output
        assert counts(done, "logs") == {"read": 2, "taken": 2, "here": 2}
        assert all(each["equal"] for each in report_of(done)["entities"].values())
        assert "nested too deeply" in told(mapping, "note")["services s3"]
        with app.app_context():
            assert db.session.get_one(Service, "s2").config["extra"]["big"] == "7" * 25

    def test_a_nul_in_a_text_that_is_looked_up_holds_nothing_back(
        self, app: Flask, worker_id: str, mapping: Path
    ) -> None:
        with made_of(SERVICES, worker_id) as old:
            old.run(
                "INSERT INTO services VALUES ('s2', CONCAT('u', CHAR(0), '1'), 'Two', 'api', ''),"
                " ('s3', CONCAT('q', CHAR(0), 'x'), 'Three', 'api', ''),"
                " ('s4', 'u1', 'F', 'api', '')"
            )
            done = run(app, old, mapping, BASE)
        assert counts(done, "services") == {"read": 4, "taken": 3, "rejected": 1, "here": 3}
        assert "There is no account qx here" in told(mapping)["services s3"]

    @on_sqlite
    @pytest.mark.parametrize(
        ("state", "active"), [("0", False), ("1", True), ("2", False), ("NULL", False)]
    )
    def test_a_flag_of_more_than_two_values_lets_in_whom_it_is_known_to_let_in(
        self, app: Flask, worker_id: str, state: str, active: bool
    ) -> None:
        statements = (
            "CREATE TABLE users (id INT PRIMARY KEY, email VARCHAR(99), status TINYINT)",
            f"INSERT INTO users VALUES (1, 'a@example.com', 1), (2, 'b@example.com', 0),"
            f" (3, 'c@example.com', 2), (4, 'd@example.com', {state})",
            "CREATE TABLE services (id INT PRIMARY KEY, user_id INT, name CHAR(9), type CHAR(9))",
        )
        with made_of(statements, worker_id) as old:
            done = run_import(app, old, "--json")
        assert done.exit_code == 0, done.output
        with app.app_context():
            assert db.session.get_one(User, "4").active is active

    @on_sqlite
    def test_otherwise_is_for_words_that_say_neither_yes_nor_no(
        self, app: Flask, worker_id: str, mapping: Path
    ) -> None:
        statements = (
            "CREATE TABLE users (id INT PRIMARY KEY, email VARCHAR(99), state VARCHAR(9))",
            "INSERT INTO users VALUES (1, 'a@example.com', 'N'), (2, 'b@example.com', 'banned'),"
            " (3, 'c@example.com', 'gold')",
        )
        text = "entities:\n  users: {table: users, fields: {id: id, email: email, active:"
        text += " {column: state, values: {banned: 'false'}, otherwise: 'true'}}}\n"
        with made_of(statements, worker_id) as old:
            assert run(app, old, mapping, text).exit_code == 0
        with app.app_context():
            found = {user.id: user.active for user in db.session.scalars(select(User))}
        assert found == {"1": False, "2": False, "3": True}

    @on_sqlite
    def test_a_hash_that_was_cut_is_told(self, app: Flask, worker_id: str, mapping: Path) -> None:
        statements = (
            "CREATE TABLE users (id INT PRIMARY KEY, email VARCHAR(99), pw VARCHAR(50))",
            "INSERT INTO users VALUES (1, 'a@example.com',"
            " '$2y$10$F8ay1esYzXH4jD5.aMyL2uvlc.LeVlwG7Cmc6W0fzSDGGwIHLV5cC')",
        )
        text = "entities:\n  users: {table: users, fields: {id: id, email: email,"
        text += " password_hash: pw}}\n"
        with made_of(statements, worker_id) as old:
            run(app, old, mapping, text)
        assert "nothing here can verify" in told(mapping, "note")["users 1"]

    @on_sqlite
    def test_times_in_numbers_and_in_two_columns(
        self, app: Flask, worker_id: str, mapping: Path
    ) -> None:
        statements = (
            "CREATE TABLE users (id INT PRIMARY KEY, email VARCHAR(99), a BIGINT, d DATE, t TIME,"
            " n INT)",
            "INSERT INTO users VALUES (1, 'a@example.com', 20151231235959, '2016-02-03', '4:05:06',"
            " 20170304)",
        )
        for fields, found in (
            ("a", "2015-12-31T23:59:59"),
            ("[d, t]", "2016-02-03T04:05:06"),
            ('{column: n, format: "%Y%m%d"}', "2017-03-04T00:00:00"),
        ):
            text = "entities:\n  users: {table: users, fields: {id: id, email: email,"
            text += f" created_at: {fields}}}}}\n"
            with made_of(statements, worker_id) as old:
                done = run(app, old, mapping, text, "--overwrite")
            assert done.exit_code == 0, done.output
            with app.app_context():
                made = db.session.get_one(User, "1").created_at
                assert made.isoformat() == f"{found}+00:00"

    @on_sqlite
    def test_two_accounts_that_are_one_have_one_part_in_a_project(
        self, app: Flask, worker_id: str, mapping: Path
    ) -> None:
        statements = (
            *USERS,
            "INSERT INTO users VALUES ('u2', 'ann2@example.com')",
            "CREATE TABLE projects (id INT PRIMARY KEY, name VARCHAR(9))",
            "INSERT INTO projects VALUES (1, 'One')",
            "CREATE TABLE rights (pid INT, uid CHAR(9), part CHAR(9), PRIMARY KEY (pid, uid))",
            "INSERT INTO rights VALUES (1, 'u1', 'editor'), (1, 'u2', 'viewer')",
        )
        text = BASE.partition("  services:")[0].replace(
            "{table: users", "{same_as: {u2: u1}, table: users"
        )
        text += "  projects: {table: projects, fields: {id: id, name: name}}\n"
        text += "  members: {table: rights, key: [pid, uid], fields: {project_id: pid,"
        text += " user_id: uid, role: part}}\n"
        with made_of(statements, worker_id) as old:
            done = run(app, old, mapping, text)
        assert counts(done, "members")["conflicts"] == 1
        assert "differs in role" in told(mapping, "conflict")["rights 1|u2"]
        with app.app_context():
            assert db.session.get_one(ProjectMember, ("1", "u1")).role == "editor"

    @on_sqlite
    def test_lists_that_are_broken_are_kept_as_texts(
        self, app: Flask, client: FlaskClient, worker_id: str, mapping: Path
    ) -> None:
        with made_of(SERVICES, worker_id) as old:
            old.run("UPDATE services SET config = '[\"/a\", '")
            text = BASE.replace("config: config", "endpoints: config")
            run(app, old, mapping, text)
        assert "broken JSON" in told(mapping, "note")["services s1"]
        with app.app_context():
            assert db.session.get_one(Service, "s1").endpoints == ['["/a",']


class TestProjectsKnownByName:
    def test_one_that_was_renamed_here_stays_the_one(
        self, app: Flask, worker_id: str, mapping: Path
    ) -> None:
        text = BASE.replace("config: config", "project: config")
        with made_of(SERVICES, worker_id) as old:
            old.run(
                "UPDATE services SET config = 'Shop'",
                "INSERT INTO services VALUES ('s2', 'u1', 'Two', 'api', 'Shop')",
            )
            run(app, old, mapping, text)
            with app.app_context():
                (project,) = db.session.scalars(select(Project))
                project.name = "Store"
                db.session.commit()
            done = run(app, old, mapping, text)
        assert done.exit_code == 0, done.output
        assert counts(done, "services") == {"read": 2, "unchanged": 2, "here": 2}
        with app.app_context():
            assert db.session.scalars(select(Project.name)).all() == ["Store"]


class TestServicesThatComeLater:
    TABLES = (
        *SERVICES,
        "CREATE TABLE stats (id INT AUTO_INCREMENT PRIMARY KEY, sid VARCHAR(9), at DATETIME,"
        " cpu VARCHAR(9))",
        "INSERT INTO stats (sid, at, cpu) SELECT IF(MOD(seq, 2), 's1', 's9'),"
        f" '{_RECENT}' + INTERVAL seq SECOND, IF(seq = 4, 'odd', seq) FROM seq_1_to_3000",
    )
    MAPPING = BASE + (
        "  metrics: {table: stats, key: [id], fields: {service_id: sid, at: at},"
        " series: {cpu: cpu}}\n"
    )

    def test_their_metrics_are_taken_once_when_they_are_there(
        self, app: Flask, worker_id: str, mapping: Path
    ) -> None:
        with made_of(self.TABLES, worker_id) as old:
            first = run(app, old, mapping, self.MAPPING)
            assert counts(first, "metrics") == {
                "read": 3000, "taken": 1500, "rejected": 1500, "here": 1500,
            }  # fmt: skip
            old.run("INSERT INTO services VALUES ('s9', 'u1', 'Late', 'api', '')")
            for _ in range(2):
                done = run(app, old, mapping, self.MAPPING)
                assert counts(done, "metrics") == {
                    "read": 3000, "taken": 2999, "rejected": 1, "here": 2999,
                }  # fmt: skip
                assert report_of(done)["entities"]["metrics"]["equal"]
        assert told(mapping) == {}

    @on_sqlite
    @pytest.mark.parametrize("commits", [4, 5, 6, 7])
    def test_they_are_taken_once_also_where_the_run_ends_meanwhile(
        self, app: Flask, worker_id: str, mapping: Path, commits: int
    ) -> None:
        with made_of(self.TABLES, worker_id) as old:
            old.run(
                "INSERT INTO stats (sid, at, cpu) SELECT IF(MOD(seq, 2), 's1', 's9'),"
                f" '{_RECENT}', seq FROM seq_1_to_3000"
            )
            run(app, old, mapping, self.MAPPING)
            old.run("INSERT INTO services VALUES ('s9', 'u1', 'Late', 'api', '')")
            with dying_after(app, commits):
                run(app, old, mapping, self.MAPPING)
            done = run(app, old, mapping, self.MAPPING)
        assert counts(done, "metrics") == {
            "read": 6000, "taken": 5999, "rejected": 1, "here": 5999,
        }  # fmt: skip
        assert report_of(done)["entities"]["metrics"]["equal"]


class TestFiles:
    @on_sqlite
    def test_sqlite_with_latin1_in_its_texts(
        self, app: Flask, tmp_path: Path, mapping: Path
    ) -> None:
        old = OldDatabase(f"sqlite:///{tmp_path / 'old.sqlite3'}")
        old.run(*SERVICES, "UPDATE services SET name = CAST(x'4a98fc72' AS TEXT)")
        assert run(app, old, mapping, BASE).exit_code == 0
        with app.app_context():
            assert db.session.get_one(Service, "s1").name == "J˜ür"

    @on_sqlite
    def test_the_address_may_say_in_which_characters_it_speaks(
        self, app: Flask, worker_id: str, mapping: Path
    ) -> None:
        with made_of(SERVICES, worker_id) as old:
            old.run("ALTER TABLE services CONVERT TO CHARACTER SET utf8mb4")
            old.run("UPDATE services SET name = 'x😀'")
            older = OldDatabase(f"{old.url}?charset=utf8mb3")
            assert run(app, older, mapping, BASE).exit_code == 0
        with app.app_context():
            assert db.session.get_one(Service, "s1").name == "x?"

    @on_sqlite
    def test_a_file_that_is_not_there_is_not_made(self, app: Flask, tmp_path: Path) -> None:
        path = tmp_path / "mistyped.sqlite3"
        done = run_import(app, OldDatabase(f"sqlite:///{path}"))
        assert done.exit_code == 2 and f"There is no file {path}" in done.stderr
        assert not path.exists()

    @on_sqlite
    def test_a_mapping_that_somebody_has_edited_is_not_written_over(
        self, app: Flask, worker_id: str, mapping: Path
    ) -> None:
        mapping.write_text("mine")
        with made_of(SERVICES, worker_id) as old:
            done = run_import(app, old, "--write-map", str(mapping))
            assert done.exit_code == 2 and "can't be written" in done.stderr
            assert mapping.read_text() == "mine"
            wrong = app.test_cli_runner().invoke(
                args=["import", "--from", old.url, "--zone", "Mars/Olympus", "--yes"]
            )
        assert wrong.exit_code == 2 and "takes a time zone" in wrong.stderr

    @on_sqlite
    def test_a_mapping_that_was_proposed_knows_the_database_by_any_address(
        self, app: Flask, worker_id: str, mapping: Path
    ) -> None:
        log = (
            "CREATE TABLE logs (id INT PRIMARY KEY, service_id VARCHAR(9), created_at DATETIME,"
            " message TEXT)",
            f"INSERT INTO logs VALUES (1, 's1', '{_RECENT}', 'once')",
        )
        with made_of((*SERVICES, *log), worker_id) as old:
            assert run_import(app, old, "--write-map", str(mapping)).exit_code == 0
            run_import(app, old, "--map", str(mapping))
            elsewhere = OldDatabase(old.url.replace("127.0.0.1", "localhost"))
            done = run_import(app, elsewhere, "--map", str(mapping), "--json")
        assert counts(done, "logs") == {"read": 1, "unchanged": 1, "here": 1}
