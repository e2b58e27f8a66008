"""The migrations, on each database: up, down, beside each other, and alike to the models."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import Double, Engine, column, insert, inspect, table, text

from cms_services import create_app
from cms_services.accounts.models import User
from cms_services.actor import Actor
from cms_services.catalogue.models import Service
from cms_services.clock import now
from cms_services.database import DOCUMENT, IDENTIFIER, Moment
from cms_services.extensions import db
from cms_services.monitoring.metrics.ingest import store_samples
from cms_services.monitoring.metrics.reading import read_metrics
from cms_services.monitoring.metrics.values import NewSample
from cms_services.schema import newest_revision, present_revision, upgrade_schema
from cms_services.vocabulary import Role
from tests.databases import DATABASES, fresh_server_database

NewDatabase = Callable[..., str]


@pytest.fixture
def new_database(tmp_path: Path, worker_id: str) -> NewDatabase:
    """Make an empty database of a kind and return its URL."""

    def make(kind: str, name: str = "empty") -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / name}.sqlite3"
        return fresh_server_database(kind, f"cms_{name}_{worker_id}")

    return make


@pytest.fixture
def app_on(tmp_path: Path) -> Iterator[Callable[[str], Flask]]:
    """Make an application on a database, with its context entered."""
    contexts = []

    def make(url: str) -> Flask:
        app = create_app(
            {"DATABASE_URL": url, "CMS_DATA_DIR": str(tmp_path), "LOG_LEVEL": "warning"}
        )
        context = app.app_context()
        context.push()
        contexts.append(context)
        return app

    yield make
    for context in reversed(contexts):
        db.session.remove()
        db.engine.dispose()
        context.pop()


AppOn = Callable[[str], Flask]


def described(engine: Engine) -> dict[str, Any]:
    """All that the database says of its tables."""
    found = inspect(engine)
    tables = [name for name in found.get_table_names() if name != "alembic_version"]
    return {
        f"{table} {aspect}": sorted(map(repr, describe(table)))
        for table in tables
        for aspect, describe in {
            "columns": found.get_columns,
            "primary key": lambda table: [found.get_pk_constraint(table)],
            "foreign keys": found.get_foreign_keys,
            "indexes": found.get_indexes,
            "unique constraints": found.get_unique_constraints,
            "checks": found.get_check_constraints,
        }.items()
    }


def store_old_samples(samples: list[tuple[datetime, float]]) -> Actor:
    """Store samples of cpu of a service s1, as they were before revision 0004; gives its owner."""
    user = User(email="alice@example.com", name="Alice", password_hash="")
    db.session.add(user)
    db.session.flush()
    service = {"id": "s1", "service_id": "s1", "name": "S", "icon": "", "type": "vps"}
    db.session.add(Service(user_id=user.id, start_date=now(), **service))
    db.session.flush()
    columns: dict[str, Any] = {
        "service_id": IDENTIFIER,
        "name": IDENTIFIER,
        "at": Moment(),
        "value": Double(),
    }
    columns["labels"] = DOCUMENT
    samples_table = table("metric_samples", *(column(*each) for each in columns.items()))
    same = {"service_id": "s1", "name": "cpu", "labels": {}}
    rows = [same | {"at": at, "value": value} for at, value in samples]
    db.session.execute(insert(samples_table), rows)
    db.session.commit()
    return Actor(user_id=user.id, role=Role.USER)


@pytest.mark.parametrize("kind", DATABASES)
class TestTheSchema:
    def test_it_is_made_undone_and_made_again_just_as_the_models_say(
        self, kind: str, new_database: NewDatabase, app_on: AppOn
    ) -> None:
        app_on(new_database(kind, "models"))
        db.create_all()
        wanted = described(db.engine)
        assert wanted

        app_on(new_database(kind, "empty"))
        assert present_revision() is None
        upgrade_schema()
        assert present_revision() == newest_revision()
        assert described(db.engine) == wanted
        # Ends the process where Alembic finds a difference between models and schema.
        flask_migrate.check()

        flask_migrate.downgrade(revision="base")
        assert inspect(db.engine).get_table_names() == ["alembic_version"]
        assert present_revision() is None

        upgrade_schema()
        assert described(db.engine) == wanted

    def test_metrics_of_earlier_versions_stay_and_go_back(
        self, kind: str, new_database: NewDatabase, app_on: AppOn
    ) -> None:
        app = app_on(new_database(kind))
        flask_migrate.upgrade(revision="0003")
        old, recent = now() - timedelta(days=20), now() - timedelta(hours=1)
        alice = store_old_samples([(old, 1.5), (old, 2.5), (recent, 8.0), (recent, 2.0)])

        upgrade_schema()
        with app.app_context():
            sent = store_samples("s1", [NewSample("cpu", 4.0, recent)], distinct=True)
            assert (sent.accepted, sent.rejected) == (1, [])
            db.session.commit()
            found = read_metrics(alice, "s1", "30d", timedelta(days=30))
        assert [value for _, value in found.series["cpu"]] == [2.0, 5.0]
        assert found.summary["cpu"]["avg"] == 3.5
        assert found.summary["cpu"]["p50"] == pytest.approx(2.0, rel=0.01)
        assert found.summary["cpu"]["p95"] == pytest.approx(8.0, rel=0.01)

        db.session.remove()
        flask_migrate.downgrade(revision="0003")
        values = "SELECT value FROM metric_samples WHERE service_id = 's1' AND name = 'cpu'"
        with db.engine.connect() as connection:
            assert sorted(connection.execute(text(values)).scalars()) == [2.0, 8.0]

    def test_two_first_starts_at_once_make_one_schema_and_one_admin(
        self, kind: str, new_database: NewDatabase, app_on: AppOn, tmp_path: Path
    ) -> None:
        url = new_database(kind)
        starts = [
            subprocess.Popen(
                [sys.executable, "-c", _FIRST_START, url, str(tmp_path / "data")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        try:
            for start in starts:
                assert start.stdout
                assert start.stdout.readline() == "ready\n"
            for start in starts:
                assert start.stdin
                start.stdin.write("go\n")
                start.stdin.flush()
            outputs = [start.communicate(timeout=60) for start in starts]
        finally:
            for start in starts:
                start.kill()
                start.wait()
        assert [start.returncode for start in starts] == [0, 0], outputs
        assert sorted(out for out, _ in outputs) == ["found an admin\n", "made an admin\n"]
        app_on(url)
        assert present_revision() == newest_revision()
        flask_migrate.check()
        assert db.session.scalar(text("SELECT COUNT(*) FROM users")) == 1


@pytest.mark.parametrize(
    ("kind", "scheme"),
    [
        ("postgresql", "postgres"),
        ("postgresql", "postgresql"),
        ("mariadb", "mysql"),
        ("mariadb", "mariadb"),
    ],
)
def test_a_url_works_as_operators_write_it(
    kind: str, scheme: str, new_database: NewDatabase, app_on: AppOn
) -> None:
    url = new_database(kind)
    app = app_on(f"{scheme}://{url.partition('://')[2]}")
    upgrade_schema()
    assert app.test_client().get("/readyz").status_code == 200


_FIRST_START = """
import sys
from cms_services import create_app
from cms_services.installation import ensure_admin, prepare_database
from cms_services.settings import current_settings

app = create_app({"DATABASE_URL": sys.argv[1], "CMS_DATA_DIR": sys.argv[2]})
print("ready", flush=True)
sys.stdin.readline()
with app.app_context():
    prepare_database(current_settings())
    made = ensure_admin(current_settings())
print("made an admin" if made else "found an admin")
"""
