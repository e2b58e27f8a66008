"""What tests share: an application on each database, and the people who use it.

The same suite runs on SQLite, PostgreSQL and MariaDB. The servers are found by TEST_POSTGRESQL_URL
and TEST_MARIADB_URL; a test that needs one which does not answer is skipped, or fails where
REQUIRE_SERVERS=1.
"""

import atexit
import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Table, TextClause, text

from cms_services import create_app
from cms_services.accounts.models import User
from cms_services.accounts.passwords import hash_password
from cms_services.accounts.sessions import begin_session
from cms_services.accounts.tokens import Lifetimes, issue_tokens
from cms_services.actor import ANONYMOUS
from cms_services.extensions import db
from cms_services.schema import SchemaCompatibility, upgrade_schema
from cms_services.signing import current_signing_keys
from cms_services.tables import metadata
from cms_services.vocabulary import Role
from cms_services.web.stopping import stopping
from tests.databases import (
    DATABASES,
    drop_made_databases,
    fresh_server_database,
    need_redis,
)
from tests.people import PASSWORD, Person

# Some systems set it. Every process that a test starts would compile all of the application again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_xdist_auto_num_workers() -> int:
    """Twice as many as processors: for half of their time tests wait for processes and intervals.

    No more where there are many processors, since database servers grant so many connections.
    """
    processors = len(os.sched_getaffinity(0))
    return min(2 * processors, max(processors, 8))


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over all that was loaded, which no test gives back."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    for app in _apps.values():
        with app.app_context():
            db.engine.dispose()
    drop_made_databases()


@pytest.fixture(scope="session", params=DATABASES)
def database_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def database_url(
    database_kind: str, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> str:
    """The URL of a database of this kind, with the schema, for this test process alone."""
    if database_kind == "sqlite":
        url = f"sqlite:///{_quick_folder(tmp_path_factory) / 'test.sqlite3'}"
    else:
        url = fresh_server_database(database_kind, f"cms_test_{worker_id}")
    app = create_app({"DATABASE_URL": url, "CMS_DATA_DIR": str(tmp_path_factory.mktemp("migrate"))})
    with app.app_context():
        upgrade_schema()
        db.engine.dispose()
    return url


def _quick_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in memory where the system has one: what is stored there need not be durable."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        return tmp_path_factory.mktemp("sqlite")
    folder = Path(tempfile.mkdtemp(prefix="cms-tests-", dir=memory))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


MakeApp = Callable[..., Flask]
_apps: dict[str, Flask] = {}


@pytest.fixture
def default_app(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """The application with its default settings, on the test's emptied database.

    One for all tests of a process and database, since making one takes as long as many a test.
    """
    if database_url not in _apps:
        _apps[database_url] = create_app(_environment(database_url, tmp_path_factory))
        _apps[database_url].testing = True
    app = _apps[database_url]
    empty(app)
    return app


@pytest.fixture
def app(default_app: Flask) -> Flask:
    return default_app


@pytest.fixture
def make_app(
    default_app: Flask, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeApp]:
    """Make an application with settings of its own, on the test's emptied database."""
    made: list[Flask] = []

    def make(**settings: str) -> Flask:
        made.append(create_app(_environment(database_url, tmp_path_factory) | settings))
        made[-1].testing = True
        return made[-1]

    yield make
    for each in made:
        with each.app_context():
            db.engine.dispose()


# What an application is set to where a test does not ask for it.
QUIET = {
    "RATE_LIMITS": "off",
    # It is written later, by a thread, and would be among what another test sees.
    "LEGACY_USAGE_RETENTION_DAYS": "0",
    # The least there is. The default takes longer than many a test.
    "PASSWORD_HASH_MEMORY_MB": "12",
    # Logging is process-wide; a test that reads log lines asks for them.
    "LOG_LEVEL": "warning",
}


def _environment(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "CMS_DATA_DIR": str(tmp_path_factory.getbasetemp() / "data"),
    } | QUIET


def empty(app: Flask) -> None:
    """Delete all rows of an application's database, but what it says of its schema."""
    with app.app_context(), db.engine.begin() as connection:
        tables = {table.name: table for table in reversed(_tables())}
        # Most are empty, and a statement for each takes longer than many a test.
        filled = connection.scalars(_filled(tuple(tables))).all()
        for name, table in tables.items():
            if name in filled:
                connection.execute(table.delete())


def is_empty(app: Flask) -> bool:
    """Whether an application's database has no rows, but what it says of its schema."""
    with app.app_context(), db.engine.connect() as connection:
        names = tuple(table.name for table in _tables())
        return not connection.scalars(_filled(names)).all()


def _tables() -> list[Table]:
    return [each for each in metadata.sorted_tables if each is not SchemaCompatibility.__table__]


@cache
def _filled(names: tuple[str, ...]) -> TextClause:
    """A query for those of the tables that have rows."""
    return text(
        " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {name})" for name in names)
    )


@pytest.fixture
def make_bare_app(tmp_path: Path) -> Iterator[MakeApp]:
    """Make an application whose database has no tables, for answers that need none."""
    made: list[Flask] = []

    def make(**settings: str) -> Flask:
        made.append(create_app({"CMS_DATA_DIR": str(tmp_path)} | QUIET | settings))
        made[-1].testing = True
        return made[-1]

    yield make
    for app in made:
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Somebody who is not signed in."""
    return app.test_client()


def new_access_token(user: User) -> str:
    """Sign an account in, within an application's context, and return its access token."""
    day = timedelta(days=1)
    session = begin_session(ANONYMOUS, user, day)
    token = issue_tokens(session, current_signing_keys(), Lifetimes(day, day, day)).access_token
    db.session.commit()
    return token


NewPerson = Callable[..., Person]


@pytest.fixture
def new_person(app: Flask) -> NewPerson:
    """Make an account and somebody signed in to it by JWT."""

    def make(name: str, role: Role = Role.USER, of: Flask = app) -> Person:
        email = f"{name.lower()}@example.com"
        with of.app_context():
            user = User(email=email, name=name, password_hash=_hash_of_password(), role=role)
            db.session.add(user)
            db.session.commit()
            token = new_access_token(user)
            return Person(of.test_client(), user.id, email, token)

    return make


@cache
def _hash_of_password() -> str:
    return hash_password(PASSWORD)


@pytest.fixture
def alice(new_person: NewPerson) -> Person:
    """An owner of services."""
    return new_person("Alice")


@pytest.fixture
def bob(new_person: NewPerson) -> Person:
    """Somebody whom Alice may let into a project."""
    return new_person("Bob")


@pytest.fixture
def charlie(new_person: NewPerson) -> Person:
    """An outsider."""
    return new_person("Charlie")


@pytest.fixture
def admin(new_person: NewPerson) -> Person:
    return new_person("Ada", Role.ADMIN)


@pytest.fixture
def endless_answers_end() -> Iterator[None]:
    """As where the server is about to stop: no answer goes on for long."""
    stopping.set()
    yield
    stopping.clear()


@pytest.fixture
def redis_url() -> str:
    """A real Redis. What tests keep there, they name so that no other test meets it."""
    return need_redis()


@pytest.fixture
def statements(app: Flask) -> Iterator[list[str]]:
    """The SQL statements that the application runs while the test does."""
    from sqlalchemy import event

    seen: list[str] = []

    def remember(_: Any, __: Any, statement: str, *___: Any) -> None:
        seen.append(statement)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", remember)
    yield seen
    event.remove(engine, "before_cursor_execute", remember)
