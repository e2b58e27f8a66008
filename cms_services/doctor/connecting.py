"""The database as the doctor asks it: for seconds at most, and without making anything."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from cms_services.database import engine_options, sqlalchemy_url, sqlite_file
from cms_services.database_waits import limit_waits
from cms_services.extensions import db
from cms_services.settings import Settings

# The least that libpq takes.
_CONNECT_SECONDS = 2


def is_missing(settings: Settings) -> bool:
    """Whether the database is a file that is not there: connecting would make it."""
    file = sqlite_file(settings.effective_database_url)
    return file is not None and not file.exists()


@contextmanager
def connected(settings: Settings) -> Iterator[Connection]:
    """A connection whose statements wait no longer than a request's. Raises DBAPIError."""
    url = sqlalchemy_url(settings.effective_database_url)
    engine = create_engine(url, **_options(url))
    limit_waits(engine, answers_requests=True)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


@contextmanager
def session(settings: Settings) -> Iterator[None]:
    """Let functions of the application ask the database by the session, as connected() does."""
    # create_base_app() would make the data folder, its keys and a database.
    app = Flask(__name__)
    url = sqlalchemy_url(settings.effective_database_url)
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = _options(url)
    db.init_app(app)
    with app.app_context():
        limit_waits(db.engine, answers_requests=True)
        try:
            yield
        finally:
            db.session.remove()
            db.engine.dispose()


def _options(url: str) -> dict[str, Any]:
    options = engine_options(url, answers_requests=True) | {"poolclass": NullPool}
    kind = make_url(url).get_backend_name()
    if kind != "sqlite":
        options["connect_args"]["connect_timeout"] = _CONNECT_SECONDS
    if kind == "mysql":
        # Of the handshake.
        options["connect_args"]["read_timeout"] = _CONNECT_SECONDS
    return options


def setting_of(connection: Connection, name: str) -> str:
    """What a variable of the server is set to."""
    is_postgresql = connection.dialect.name == "postgresql"
    return value_of(connection, f"SHOW {name}" if is_postgresql else f"SELECT @@{name}")


def value_of(connection: Connection, query: str) -> str:
    """The one value that a query finds."""
    return str(connection.execute(text(query)).scalar_one())
