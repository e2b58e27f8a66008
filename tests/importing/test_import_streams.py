"""Long tables: logs and metrics, each row once, whatever happens meanwhile."""

import re
import select as sockets
import signal
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, make_url, select

from cms_services.commands.importing import Lines
from cms_services.extensions import db
from cms_services.importing.mapping import read_mapping
from cms_services.importing.models import ImportPosition
from cms_services.importing.proposing import propose
from cms_services.importing.running import AnotherRun, Import, Options
from cms_services.importing.source import opened_source
from cms_services.monitoring.logs.models import LogEntry
from cms_services.monitoring.metrics.models import MetricRollup
from tests.importing.old_databases import OldDatabase, counts, report_of, run_import
from tests.importing.test_import_people_and_services import findings, sign_in
from tests.local_servers import listening
from tests.people import data_of
from tests.processes.servers import Server, eventually, start

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
ADMIN = ("admin@cms.example", "Correct-horse-7")
# Local times of the stand-in, of which none is older than what is kept.
_NOW = datetime.now(ZoneInfo("Europe/Berlin")).replace(microsecond=0, tzinfo=None)


def add_log_rows(old: OldDatabase, count: int, message: str = "request") -> None:
    """Rows of the last days, a second apart."""
    begin = _NOW - timedelta(days=2)
    old.run(
        "INSERT INTO service_log (service_id, severity, msg, ctx, logged_at)"
        f" SELECT 12, ELT(1 + MOD(seq, 4), 'debug', 'info', 'warning', 'error'),"
        f" CONCAT('{message} ', seq), IF(MOD(seq, 3), NULL, CONCAT('a:1:{{s:2:\"ms\";i:', seq,"
        f" ';}}')), '{begin}' + INTERVAL seq SECOND FROM seq_1_to_{count}"
    )


def entries_here(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(LogEntry)) or 0


def totals(client: FlaskClient, headers: dict[str, str]) -> dict[str, float]:
    """What the imported metrics of the service 12 come to."""
    asked = "/api/services/12/metrics?timeframe=90d"
    summary = data_of(client.get(asked, headers=headers))["summary"]
    return {name: each["max"] for name, each in summary.items()}


class TestLogs:
    def test_rows_come_over_with_their_times_levels_and_contexts(
        self, app: Flask, client: FlaskClient, old: OldDatabase
    ) -> None:
        old.run("DELETE FROM service_log")
        add_log_rows(old, 30)
        done = run_import(app, old, "--json")
        assert counts(done, "logs") == {"read": 30, "taken": 30, "here": 30}
        assert report_of(done)["entities"]["logs"]["equal"]
        headers = sign_in(client, *ADMIN)
        asked = "/api/services/12/logs?limit=1&q=request+30"
        (entry,) = data_of(client.get(asked, headers=headers))
        local = _NOW - timedelta(days=2) + timedelta(seconds=30)
        at = local.replace(tzinfo=ZoneInfo("Europe/Berlin")).astimezone(ZoneInfo("UTC"))
        assert entry["timestamp"] == at.isoformat().replace("+00:00", "Z")
        assert (entry["level"], entry["attributes"]) == ("warn", {"ms": 30})

    def test_a_second_run_compares_all_and_adds_what_is_new(
        self, app: Flask, old: OldDatabase, listed: Path
    ) -> None:
        old.run("DELETE FROM service_log")
        add_log_rows(old, 2500)
        run_import(app, old)
        add_log_rows(old, 5, "later")
        done = run_import(app, old, "--json")
        assert counts(done, "logs") == {
            "read": 2505, "taken": 5, "unchanged": 2500, "here": 2505,
        }  # fmt: skip
        old.run("UPDATE service_log SET msg = 'written anew' WHERE msg = 'request 7'")
        done = run_import(app, old, "--json", "--rejects", str(listed))
        assert counts(done, "logs")["conflicts"] == 1
        assert not report_of(done)["entities"]["logs"]["equal"]
        assert "what is logged here stays" in next(iter(findings(listed, "conflict").values()))
        assert entries_here(app) == 2505

    @on_sqlite
    def test_secrets_in_old_lines_are_masked_and_the_checksums_are_equal(
        self, app: Flask, client: FlaskClient, old: OldDatabase
    ) -> None:
        old.run(
            "DELETE FROM service_log",
            "INSERT INTO service_log (service_id, msg, logged_at)"
            f" VALUES (12, 'login with password=hunter2x', '{_NOW - timedelta(hours=1)}')",
        )
        done = run_import(app, old, "--json")
        assert report_of(done)["entities"]["logs"]["equal"]
        headers = sign_in(client, *ADMIN)
        (entry,) = data_of(client.get("/api/services/12/logs", headers=headers))
        assert entry["message"] == "login with password=[masked]"

    @on_sqlite
    def test_a_row_that_is_refused_holds_none_of_its_page_back(
        self, app: Flask, old: OldDatabase, listed: Path
    ) -> None:
        old.run("DELETE FROM service_log")
        add_log_rows(old, 20)
        ahead = _NOW + timedelta(days=400)
        old.run(f"UPDATE service_log SET logged_at = '{ahead}' WHERE msg = 'request 7'")
        done = run_import(app, old, "--json", "--rejects", str(listed))
        assert counts(done, "logs") == {"read": 20, "taken": 19, "rejected": 1, "here": 19}
        (reason,) = [
            each for key, each in findings(listed, "rejected").items() if "service_log" in key
        ]
        assert reason.startswith("timestamp: Takes a time")


class TestTwoAtOnce:
    @on_sqlite
    def test_the_second_one_to_move_on_ends_and_nothing_doubles(
        self, app: Flask, old: OldDatabase
    ) -> None:
        class Meanwhile(Lines):
            """Somebody who starts another import while metrics are taken."""

            entity = ""

            def begin(self, entity: str, table: str, rows: int | None) -> None:
                self.entity = entity

            def advance(self, rows: int) -> None:
                if self.entity == "metrics":
                    Import(source, mapped, Options(), lambda _: None, Lines()).run()

        with app.app_context(), opened_source(old.url) as source:
            mapped = read_mapping(propose(source).as_yaml())
            outer = Import(source, mapped, Options(), lambda _: None, Meanwhile())
            with pytest.raises(AnotherRun):
                outer.run()
            rolled_up = select(func.sum(MetricRollup.count)).where(MetricRollup.step == 86_400)
            assert db.session.scalar(rolled_up) == 13


class TestMetrics:
    def test_a_column_each_becomes_a_metric_each_and_is_added_once(
        self, app: Flask, client: FlaskClient, old: OldDatabase
    ) -> None:
        first = run_import(app, old, "--json")
        assert counts(first, "metrics") == {"read": 4, "taken": 3, "rejected": 1, "here": 3}
        headers = sign_in(client, *ADMIN)
        before = totals(client, headers)
        assert before["cpu"] == 15.0
        assert before["memory"] == 260.5
        assert before["responseTime"] == 45.5
        second = run_import(app, old, "--json")
        assert counts(second, "metrics") == counts(first, "metrics")
        assert totals(client, headers) == before
        old.run(
            "INSERT INTO service_stats (service_id, hour_start, hits, errs, avg_ms, cpu)"
            f" VALUES (12, '{_NOW - timedelta(days=3)}', 7, 0, 1, 99)"
        )
        third = run_import(app, old, "--json")
        assert counts(third, "metrics") == {"read": 5, "taken": 4, "rejected": 1, "here": 4}
        assert report_of(third)["entities"]["metrics"]["equal"]
        assert totals(client, headers)["cpu"] == 99.0

    @on_sqlite
    def test_a_row_of_a_slower_transaction_is_found_behind_later_ones(
        self, app: Flask, old: OldDatabase
    ) -> None:
        old.run("DELETE FROM service_stats WHERE id = 2")
        run_import(app, old)
        old.run(
            "INSERT INTO service_stats (id, service_id, hour_start, hits)"
            " VALUES (2, 12, '2026-11-20 10:00:00', 7)"
        )
        done = run_import(app, old, "--json")
        assert counts(done, "metrics") == {"read": 4, "taken": 3, "rejected": 1, "here": 3}

    @on_sqlite
    def test_rows_with_a_name_and_a_value_are_taken_too(
        self, app: Flask, client: FlaskClient, old: OldDatabase
    ) -> None:
        old.run(
            "DROP TABLE service_stats",
            "CREATE TABLE metrics (id int PRIMARY KEY, service_id int, metric varchar(40),"
            " value varchar(20), ts int)",
            *(
                f"INSERT INTO metrics VALUES ({number}, 12, '{name}', '{value}', {seconds})"
                for number, (name, value, seconds) in enumerate(
                    (
                        ("cpu_usage", "12,5", (_NOW - timedelta(hours=1)).timestamp() // 1),
                        ("queue length", "1.234,00", (_NOW - timedelta(days=9)).timestamp() // 1),
                        ("odd!", "3", (_NOW - timedelta(days=9)).timestamp() // 1),
                        ("cpu", "many", (_NOW - timedelta(days=9)).timestamp() // 1),
                    )
                )
            ),
        )
        done = run_import(app, old, "--json")
        assert counts(done, "metrics") == {"read": 4, "taken": 2, "rejected": 2, "here": 2}
        found = totals(client, sign_in(client, *ADMIN))
        assert found == {"cpu": 12.5, "queue_length": 1234.0}


class Gate(socketserver.ThreadingTCPServer):
    """A way to the old database's server that can be shut."""

    daemon_threads = True

    def __init__(self, to: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.to = to
        self.shut = threading.Event()


class _Passing(socketserver.BaseRequestHandler):
    server: Gate

    def handle(self) -> None:
        with socket.create_connection(self.server.to) as other:
            ends = {self.request: other, other: self.request}
            while not self.server.shut.is_set():
                for each in sockets.select(list(ends), [], [], 0.05)[0]:
                    given = each.recv(65536)
                    if not given:
                        return
                    ends[each].sendall(given)


class TestKilled:
    @pytest.fixture
    def app(self, make_app: Any, tmp_path: Path) -> Flask:
        made: Flask = make_app(CMS_DATA_DIR=str(tmp_path / "data"))
        return made

    @contextmanager
    def importing(
        self, tmp_path: Path, database_url: str, old: OldDatabase, *options: str
    ) -> Iterator[Server]:
        settings = {
            "CMS_DATA_DIR": str(tmp_path / "data"),
            "DATABASE_URL": database_url,
            "LOG_LEVEL": "warning",
        }
        given = ("import", "--from", old.url, "--yes", "--zone", "Europe/Berlin", *options)
        with start(tmp_path / "import", *given, **settings) as command:
            yield command

    def test_after_kill_9_the_next_run_goes_on_and_nothing_doubles(
        self, app: Flask, old: OldDatabase, tmp_path: Path, database_url: str
    ) -> None:
        old.run("DELETE FROM service_log")
        add_log_rows(old, 30_000)
        with self.importing(tmp_path, database_url, old) as command:
            eventually(lambda: entries_here(app) >= 3000, "some rows are here", 120)
            command.signal_group(signal.SIGKILL)
            command.process.wait()
        there = entries_here(app)
        assert 3000 <= there < 30_000
        done = run_import(app, old, "--json")
        assert counts(done, "logs") == {"read": 30_000, "taken": 30_000, "here": 30_000}
        assert report_of(done)["entities"]["logs"]["equal"]
        assert entries_here(app) == 30_000

    @on_sqlite
    def test_an_interrupted_run_finishes_its_page_and_says_that_there_is_more(
        self, app: Flask, old: OldDatabase, tmp_path: Path, database_url: str
    ) -> None:
        old.run("DELETE FROM service_log")
        add_log_rows(old, 30_000)
        with self.importing(tmp_path, database_url, old) as command:
            eventually(lambda: entries_here(app) >= 2500, "some rows are here", 120)
            command.signal_group(signal.SIGINT)
            assert command.process.wait(60) == 1
            assert "It was stopped. Run it again to go on." in command.stdout
        with app.app_context():
            state = db.session.scalars(
                select(ImportPosition).where(ImportPosition.entity == "logs")
            ).one()
            assert state.state["tally"]["here"] == entries_here(app)

    def test_following_takes_what_is_new_and_changed_until_it_is_told_to_end(
        self, app: Flask, old: OldDatabase, tmp_path: Path, database_url: str
    ) -> None:
        options = ("--follow", "--every", "200ms")
        with self.importing(tmp_path, database_url, old, *options) as command:
            eventually(lambda: "metrics " in command.stdout, "a first run is through", 120)
            add_log_rows(old, 3, "while following")
            old.run(
                "UPDATE cms_services SET name = 'Renamed' WHERE id = 12",
                "INSERT INTO cms_services (id, user_id, name, svc_type, created_on)"
                " VALUES (40, 7, 'New', 'api', '2026-11-01')",
            )
            eventually(lambda: "New" in names_here(app), "the new one is here", 60)
            eventually(lambda: "Renamed" in names_here(app), "the new name is here", 60)
            eventually(lambda: entries_here(app) == 5, "the new entries are here", 60)
            command.signal_group(signal.SIGTERM)
            assert command.process.wait(60) == 1
        assert not re.search("Traceback", command.stderr)

    @on_sqlite
    def test_following_waits_for_an_old_database_that_goes_away(
        self, app: Flask, old: OldDatabase, tmp_path: Path, database_url: str
    ) -> None:
        url = make_url(old.url)
        gate = Gate((str(url.host), url.port or 3306))
        with listening(gate):
            through = url.set(port=gate.server_address[1])
            behind = OldDatabase(through.render_as_string(hide_password=False))
            options = ("--follow", "--every", "100ms")
            with self.importing(tmp_path, database_url, behind, *options) as command:
                eventually(lambda: "metrics " in command.stdout, "a first run is through", 120)
                gate.shut.set()
                eventually(lambda: "tried again in 2 s" in command.stderr, "it waits", 60)
                assert command.process.poll() is None
                old.run("UPDATE cms_services SET name = 'Meanwhile' WHERE id = 12")
                gate.shut.clear()
                eventually(lambda: "Meanwhile" in names_here(app), "it goes on", 60)
                command.signal_group(signal.SIGTERM)
                assert command.process.wait(60) == 1
        assert "can't be read" in command.stderr and "Traceback" not in command.stderr


def names_here(app: Flask) -> set[str]:
    from cms_services.catalogue.models import Service

    with app.app_context():
        return set(db.session.scalars(select(Service.name)))
