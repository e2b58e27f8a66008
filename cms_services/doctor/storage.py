"""What the doctor looks at in the database."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from cms_services.database import engine_options, sqlalchemy_url, sqlite_file
from cms_services.doctor.findings import Level, Seen, skew
from cms_services.installation import unreachable_database
from cms_services.schema import SchemaState, schema_state
from cms_services.settings import Settings

_SLOW_SECONDS = 0.1
_TIMEOUT_SECONDS = 3

# Settings of the servers with which an acknowledged write may be lost, and what they should be.
_DURABLE: dict[str, dict[str, tuple[str, ...]]] = {
    "postgresql": {"fsync": ("on",), "full_page_writes": ("on",)}
    | {"synchronous_commit": ("on", "local", "remote_write", "remote_apply")},
    "mysql": {"innodb_flush_log_at_trx_commit": ("1",)},
}
_SCHEMA: dict[SchemaState, tuple[Level, str, str | None]] = {
    SchemaState.NEWEST: (Level.OK, "the schema is this version's", None),
    SchemaState.OLDER: (
        Level.FAILURE,
        "the schema lacks migrations of this version",
        "Run: cms-services db upgrade",
    ),
    SchemaState.NEWER_BUT_COMPATIBLE: (
        Level.WARNING,
        "the schema is of a newer version, and this one can run on it",
        "Upgrade this node too.",
    ),
    SchemaState.TOO_NEW: (
        Level.FAILURE,
        "the schema is of a newer version, and this one can't run on it",
        "Start the newer version that made it.",
    ),
}


def database(settings: Settings) -> Seen:
    file = sqlite_file(settings.effective_database_url)
    # Connecting would make it.
    if file is not None and not file.exists():
        yield Level.FAILURE, f"{file} is not there", "Start once, or correct DATABASE_URL."
        return
    try:
        with connected(settings) as connection:
            yield from _reached(connection, settings)
    except DBAPIError as error:
        seen = str(unreachable_database(settings, error))
        yield Level.FAILURE, seen, "Start it, or correct DATABASE_URL."


@contextmanager
def connected(settings: Settings) -> Iterator[Connection]:
    url = sqlalchemy_url(settings.effective_database_url)
    options = engine_options(url)
    kind = make_url(url).get_backend_name()
    if kind != "sqlite":
        options["connect_args"]["connect_timeout"] = _TIMEOUT_SECONDS
    if kind == "mysql":
        # A server that takes the connection and says nothing would be waited for without end.
        options["connect_args"]["read_timeout"] = _TIMEOUT_SECONDS
    engine = create_engine(url, poolclass=NullPool, **options)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _reached(connection: Connection, settings: Settings) -> Seen:
    kind = connection.dialect.name
    began = time.monotonic()
    connection.execute(text("SELECT 1"))
    took = time.monotonic() - began
    is_slow = took >= _SLOW_SECONDS
    level = Level.WARNING if is_slow else Level.OK
    mend = "Move the nodes nearer to the database." if is_slow else None
    yield level, f"{kind} answered within {took * 1000:.1f} ms", mend
    yield _SCHEMA[schema_state(connection)]
    if kind == "sqlite":
        mode = _value(connection, "PRAGMA journal_mode")
        if mode != "wal":
            yield Level.WARNING, f"journal_mode is {mode}, not wal", "Start the application once."
        return
    for name, durable in _durable(connection):
        value = _setting(connection, name)
        if value not in durable:
            seen = f"{name} is {value}: acknowledged writes can be lost"
            yield Level.WARNING, seen, f"Set {name} = {durable[0]} in the server's configuration."
    yield _connections(connection, settings)
    now = "UNIX_TIMESTAMP(NOW(6))"
    if kind == "postgresql":
        now = "EXTRACT(EPOCH FROM clock_timestamp())"
    yield skew("the database", float(_value(connection, f"SELECT {now}")))


def _durable(connection: Connection) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield from _DURABLE[connection.dialect.name].items()
    # After a crash a binary log that was not synced lacks what the tables hold.
    if connection.dialect.name == "mysql" and _setting(connection, "log_bin") == "1":
        yield "sync_binlog", ("1",)


def _connections(connection: Connection, settings: Settings) -> tuple[Level, str, str | None]:
    options = engine_options(settings.effective_database_url, settings.web_threads)
    # The processes that answer, and the worker.
    processes = settings.web_concurrency + 1
    wanted = processes * (options["pool_size"] + options["max_overflow"])
    allowed = int(_setting(connection, "max_connections"))
    seen = f"this node can take {wanted} of {allowed} connections"
    if wanted < allowed:
        return Level.OK, seen, None
    return Level.WARNING, seen, "Raise max_connections, or lower WEB_CONCURRENCY or WEB_THREADS."


def _setting(connection: Connection, name: str) -> str:
    is_postgresql = connection.dialect.name == "postgresql"
    return _value(connection, f"SHOW {name}" if is_postgresql else f"SELECT @@{name}")


def _value(connection: Connection, query: str) -> str:
    return str(connection.execute(text(query)).scalar_one())
