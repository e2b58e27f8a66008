"""The mapping: how it is guessed, asked about, written, read and refused."""

from pathlib import Path

import pytest
import yaml
from click.testing import Result
from flask import Flask
from sqlalchemy.exc import DBAPIError

from cms_services.catalogue.models import Service
from cms_services.extensions import db
from cms_services.importing.mapping import MappingError, read_mapping
from cms_services.importing.proposing import propose
from cms_services.importing.source import opened_source
from tests.databases import fresh_server_database
from tests.importing.old_databases import OldDatabase, counts, old_database, run_import

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

# As the schema that the services dashboard was planned with.
PLANNED = (
    "CREATE TABLE users (id VARCHAR(255) PRIMARY KEY, email VARCHAR(255) NOT NULL,"
    " password VARCHAR(255), name VARCHAR(255), role ENUM('admin', 'user', 'guest'),"
    " created_at DATETIME)",
    "CREATE TABLE services (id VARCHAR(255) PRIMARY KEY, user_id VARCHAR(255) NOT NULL,"
    " service_id VARCHAR(255) UNIQUE NOT NULL, billing_id VARCHAR(255), cluster_id VARCHAR(255),"
    " name VARCHAR(255) NOT NULL,"
    " type ENUM('hosting', 'kubernetes', 'database', 'domain', 'vps', 'cloud'),"
    " status ENUM('active', 'suspended', 'cancelled') DEFAULT 'active',"
    " start_date DATETIME NOT NULL, next_billing_date DATETIME, config JSON,"
    " created_at DATETIME DEFAULT CURRENT_TIMESTAMP,"
    " updated_at DATETIME DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,"
    " FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE)",
    "INSERT INTO users VALUES ('u-1', 'Ann@Example.com', '$2y$10$F8ay1esYzXH4jD5.aMyL2uvlc.LeVlwG"
    "7Cmc6W0fzSDGGwIHLV5cC', 'Ann', 'user', '2020-01-01')",
    "INSERT INTO services (id, user_id, service_id, billing_id, name, type, start_date, config)"
    " VALUES ('s-1', 'u-1', '4711', 'B-1', 'Plan', 'hosting', '2021-05-05', '{\"domain\": \"x\"}')",
)
# As nobody planned it.
ODD = (
    "CREATE TABLE kunden (kd_nr INT PRIMARY KEY, kd_mail VARCHAR(99), kd_kennwort VARCHAR(99),"
    " kd_status VARCHAR(20), kd_created VARCHAR(30), kd_UserType VARCHAR(9))",
    "CREATE TABLE dienste (di_id INT PRIMARY KEY, di_owner INT REFERENCES kunden(kd_nr),"
    " di_titel VARCHAR(99), di_bezeichnung VARCHAR(99), di_kind VARCHAR(20), di_state TINYINT,"
    " di_settings TEXT, di_price VARCHAR(20), di_remark TEXT,"
    " FOREIGN KEY (di_owner) REFERENCES kunden(kd_nr))",
    "INSERT INTO kunden VALUES"
    " (1, 'a@example.com', REPEAT('a', 32), 'active', '31.12.2015', 'boss'),"
    " (2, 'b@example.com', REPEAT('b', 32), 'banned', '01.02.2016', 'admin')",
    "INSERT INTO dienste VALUES (5, 1, 'T', 'Shop', 'webspace', 1, '', '9,99 EUR', 'x'),"
    " (6, 2, 'T', 'Cron', 'worker', 0, '', '0', 'y')",
)


def written(done: Result, path: Path) -> dict[str, dict[str, object]]:
    assert done.exit_code == 0, done.output
    return yaml.safe_load(path.read_text(encoding="utf-8"))["entities"]


class TestProposal:
    @on_sqlite
    def test_the_stand_in_is_guessed_whole(
        self, app: Flask, old: OldDatabase, tmp_path: Path
    ) -> None:
        path = tmp_path / "mapping.yaml"
        found = written(run_import(app, old, "--write-map", str(path)), path)
        assert {name: each["table"] for name, each in found.items()} == {
            "users": "tbl_users",
            "projects": "cms_projects",
            "members": "cms_project_users",
            "services": "cms_services",
            "logs": "service_log",
            "metrics": "service_stats",
        }
        assert found["users"]["fields"] == {
            "id": "id",
            "email": "email",
            "name": "full_name",
            "password_hash": "passwd",
            "role": {"column": "is_admin", "values": {"0": "user", "1": "admin"}},
            "active": "active",
            "created_at": "reg_date",
        }
        assert found["metrics"]["series"] == {
            "requests": "hits",
            "errors": "errs",
            "responseTime": "avg_ms",
            "cpu": "cpu",
            "memory": "mem_mb",
        }

    @on_sqlite
    def test_the_planned_schema_needs_no_word_of_explanation(
        self, app: Flask, worker_id: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "mapping.yaml"
        with old_database(worker_id, PLANNED) as database:
            found = written(run_import(app, database, "--write-map", str(path)), path)
            done = run_import(app, database, "--json")
        assert done.exit_code == 0
        assert counts(done, "services") == {"read": 1, "taken": 1, "here": 1}
        fields = found["services"]["fields"]
        assert fields == {name: name for name in fields} | {"owner_id": "user_id"}
        assert len(fields) == 13

    @on_sqlite
    def test_columns_are_known_by_what_is_in_them_and_what_they_refer_to(
        self, app: Flask, worker_id: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "mapping.yaml"
        with old_database(worker_id, ODD) as database:
            found = written(run_import(app, database, "--write-map", str(path)), path)
        users, services = found["users"], found["services"]
        assert users["fields"]["password_hash"] == "kd_kennwort"
        assert users["fields"]["active"] == {"column": "kd_status", "values": {"banned": False}}
        assert users["fields"]["created_at"] == {"column": "kd_created", "format": "%d.%m.%Y"}
        assert users["fields"]["role"] == {"column": "kd_UserType", "otherwise": "user"}
        assert services["fields"]["owner_id"] == "di_owner"
        assert services["fields"]["type"] == {
            "column": "di_kind",
            "values": {"webspace": "hosting", "worker": "utility"},
        }
        assert services["fields"]["status"] == {
            "column": "di_state",
            "values": {"0": "inactive", "1": "active"},
        }
        assert set(services["keep"]) >= {"di_price", "di_remark"}
        assert "nobody knows what these mean: 'boss'" in path.read_text(encoding="utf-8")

    def test_each_guess_tells_how_sure_it_is_and_why(self, old: OldDatabase) -> None:
        with opened_source(old.url) as source:
            text = propose(source).as_yaml()
        assert "password_hash: passwd  # 96 %: 'passwd' is a usual name for it; 7 of 7" in text
        assert "# Not taken: tmp_backup_2015" in text

    @on_sqlite
    def test_nothing_is_imported_unless_somebody_agrees(self, app: Flask, old: OldDatabase) -> None:
        runner = app.test_cli_runner()
        done = runner.invoke(args=["import", "--from", old.url], input="n\n")
        assert done.exit_code == 2
        assert "Nothing was imported." in done.stderr
        done = runner.invoke(args=["import", "--from", old.url], input="y\n")
        assert done.exit_code == 1
        assert "services  " in done.stdout

    @on_sqlite
    def test_a_database_without_a_table_of_ours_is_refused(
        self, app: Flask, worker_id: str
    ) -> None:
        with old_database(worker_id, ["CREATE TABLE weather (day INT PRIMARY KEY)"]) as database:
            done = run_import(app, database)
        assert done.exit_code == 2
        assert "No table looks like one of ours." in done.stderr


class TestSource:
    def test_it_is_only_read(self, old: OldDatabase) -> None:
        with (
            opened_source(old.url) as source,
            source.engine.connect() as connection,
            pytest.raises(DBAPIError, match="READ ONLY"),
        ):
            connection.exec_driver_sql("DELETE FROM tbl_users")

    @on_sqlite
    @pytest.mark.parametrize(
        ("url", "told"),
        [
            ("nonsense", "is a URL such as mysql://"),
            ("oracle://x/y", "of the kind oracle"),
            ("mysql://nobody:secret@127.0.0.1:1/x", "can't be read"),
        ],
    )
    def test_one_that_can_not_be_read_ends_with_2(self, app: Flask, url: str, told: str) -> None:
        done = app.test_cli_runner().invoke(args=["import", "--from", url, "--yes"])
        assert done.exit_code == 2
        assert told in done.stderr
        assert "secret" not in done.stderr


PORTABLE = (
    "CREATE TABLE users (id INTEGER PRIMARY KEY, email VARCHAR(99), created_at TIMESTAMP)",
    "CREATE TABLE services (id INTEGER PRIMARY KEY, user_id INTEGER, name VARCHAR(99),"
    " type VARCHAR(20), config TEXT)",
    "INSERT INTO users VALUES (3, 'ann@example.com', '2020-07-01 12:00:00')",
    "INSERT INTO services VALUES (4, 3, 'One', 'api', 'a:1:{s:4:\"port\";i:80;}'),"
    " (5, 3, 'Two', 'data', '')",
)


class TestOtherSources:
    @on_sqlite
    @pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
    def test_they_are_read_too_and_gone_rows_are_told(
        self, app: Flask, tmp_path: Path, worker_id: str, kind: str
    ) -> None:
        url = f"sqlite:///{tmp_path / 'old.sqlite3'}"
        if kind == "postgresql":
            url = fresh_server_database(kind, f"cms_old_{worker_id}")
        source = OldDatabase(url)
        source.run(*PORTABLE)
        first = run_import(app, source, "--json")
        assert first.exit_code == 0, first.output
        assert counts(first, "services") == {"read": 2, "taken": 2, "here": 2}
        source.run("DELETE FROM services WHERE id = 5", "UPDATE services SET name = 'First'")
        second = run_import(app, source, "--json")
        assert counts(second, "services") == {"read": 1, "updated": 1, "gone": 1, "here": 1}
        with app.app_context():
            service = db.session.get_one(Service, "4")
            assert (service.name, service.config) == ("First", {"port": 80})


GOOD = """
entities:
  users:
    table: u
    fields: {id: id, email: mail}
"""


class TestReadingOne:
    def test_words_are_what_is_written(self) -> None:
        mapped = read_mapping(
            GOOD.replace(
                "email: mail", "email: mail, role: {column: r, values: {yes: admin, 0: user}}"
            )
        )
        assert mapped.entities["users"].fields["role"].values == {"yes": "admin", "0": "user"}
        assert mapped.entities["users"].key == ("id",)

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("a: [", "This is no YAML"),
            ("[]", "with `entities` in it"),
            ("entities: {}", "entities: "),
            ("entities: {cars: {}}", "entities.cars.key: Must be one of: users"),
            (
                GOOD.replace("mail}", "[]}"),
                "entities.users.fields.email.column: Takes",
            ),
            (GOOD.replace("mail}", "mail, mail: x}"), "entities.users.fields.mail: is no field"),
            (GOOD.replace(", email: mail", ""), "entities.users.fields.email: is needed."),
            (GOOD.replace("id: id, ", ""), "entities.users.key: is needed"),
            (GOOD + "source: {zone: Mars/Olympus}", "source.zone: Takes a time zone"),
            (GOOD + "source: {colour: red}", "source.colour: Unknown field."),
            (
                GOOD.replace("mail}", "mail, role: {column: r, values: {1: boss}}}"),
                "entities.users.fields.role: 'boss' is none of admin, user, guest.",
            ),
            (GOOD.replace("mail}", "mail, name: {format: x}}"), "Takes `column`"),
        ],
    )
    def test_what_is_wrong_is_named_with_its_place(self, text: str, told: str) -> None:
        with pytest.raises(MappingError) as refused:
            read_mapping(text)
        assert told in str(refused.value)

    @on_sqlite
    def test_a_column_that_is_not_there_is_named(
        self, app: Flask, old: OldDatabase, tmp_path: Path
    ) -> None:
        path = tmp_path / "mapping.yaml"
        path.write_text(GOOD.replace("table: u", "table: tbl_users"), encoding="utf-8")
        done = run_import(app, old, "--map", str(path))
        assert done.exit_code == 2
        assert "tbl_users has no column 'mail'; it has id, login, email" in done.stderr
