"""What the doctor looks at in the database."""

import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from cms_services.database import sqlite_file
from cms_services.doctor.connecting import connected, is_missing, setting_of, value_of
from cms_services.doctor.file_systems import place_of_sqlite
from cms_services.doctor.findings import Level, Seen, skew
from cms_services.doctor.nodes import one_node
from cms_services.installation import unreachable_database
from cms_services.schema import SchemaState, schema_state
from cms_services.settings import Settings

_SLOW_SECONDS = 0.1
_MOUNTS = Path("/proc/self/mountinfo")

# The oldest servers that we are tested with, as docs/deploying.md says.
LEAST_VERSIONS = {"PostgreSQL": (15,), "MariaDB": (10, 11)}

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
    SchemaState.HALF_RESTORED: (
        Level.FAILURE,
        "a restore into it has not ended",
        "Begin it anew: cms-services restore --again ARCHIVE",
    ),
}


def database(settings: Settings) -> Seen:
    file = sqlite_file(settings.effective_database_url)
    if is_missing(settings):
        yield Level.FAILURE, f"{file} is not there", "Start once, or correct DATABASE_URL."
        return
    # Other systems than Linux don't tell.
    if file is not None and _MOUNTS.exists():
        yield from place_of_sqlite(file, _MOUNTS.read_text(errors="replace"))
    try:
        with connected(settings) as connection:
            yield from _reached(connection, settings)
    except DBAPIError as error:
        seen = str(unreachable_database(settings, error))
        yield Level.FAILURE, seen, "Start it, or correct DATABASE_URL."


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
        mode = value_of(connection, "PRAGMA journal_mode")
        if mode != "wal":
            yield Level.WARNING, f"journal_mode is {mode}, not wal", "Start the application once."
        return
    yield _version(connection)
    for name, durable in _durable(connection):
        value = setting_of(connection, name)
        if value not in durable:
            seen = f"{name} is {value}: acknowledged writes can be lost"
            yield Level.WARNING, seen, f"Set {name} = {durable[0]} in the server's configuration."
    yield from one_node(connection, settings)
    now = "UNIX_TIMESTAMP(NOW(6))"
    if kind == "postgresql":
        now = "EXTRACT(EPOCH FROM clock_timestamp())"
    yield skew("the database", float(value_of(connection, f"SELECT {now}")))


def _version(connection: Connection) -> tuple[Level, str, str | None]:
    is_postgresql = connection.dialect.name == "postgresql"
    name = "PostgreSQL" if is_postgresql else "MariaDB"
    found, least = connection.dialect.server_version_info or (), LEAST_VERSIONS[name]
    seen = f"the server is {name} {_dotted(found)}"
    if not is_postgresql and not getattr(connection.dialect, "is_mariadb", False):
        return Level.WARNING, f"the server is MySQL {_dotted(found)}", "Take MariaDB."
    if tuple(found) >= least:
        return Level.OK, seen, None
    mend = f"Upgrade the server to {name} {_dotted(least)} or newer."
    return Level.WARNING, f"{seen}, which is too old", mend


def _dotted(version: tuple[object, ...]) -> str:
    return ".".join(str(part) for part in version if isinstance(part, int))


def _durable(connection: Connection) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield from _DURABLE[connection.dialect.name].items()
    # After a crash a binary log that was not synced lacks what the tables hold.
    if connection.dialect.name == "mysql" and setting_of(connection, "log_bin") == "1":
        yield "sync_binlog", ("1",)
