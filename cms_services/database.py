"""What the three databases need to behave alike: URLs, connections, portable column types."""

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import orjson
from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    DateTime,
    Dialect,
    Engine,
    Integer,
    MetaData,
    Row,
    Select,
    String,
    Text,
    cast,
    event,
    make_url,
    type_coerce,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.sql.elements import KeyedColumnElement
from sqlalchemy.types import TypeDecorator

from cms_services.database_waits import POOL_SECONDS, connect_arguments, mariadb_session

# Compares case and trailing blanks, as SQLite and PostgreSQL do.
_MARIADB_TEXT = {"charset": "utf8mb4", "collation": "utf8mb4_nopad_bin"}

# Of a process, beside those of the threads that answer requests: for streams, for counting calls,
# and in a worker process for its jobs and checks.
_CONNECTIONS_BESIDE = 7

# Bytes of one list of values (arrays.py); beyond its default of 1 MiB MariaDB would cut it short.
_LONGEST_LIST = 2**28

_DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}


def bounded_text(length: int) -> String:
    """A text column of at most `length` characters that can be indexed and compared exactly."""
    return String(length).with_variant(
        mysql.VARCHAR(length, **_MARIADB_TEXT),
        "mysql",
    )


IDENTIFIER = bounded_text(255)
WORD = bounded_text(64)
LONG_TEXT = Text().with_variant(mysql.LONGTEXT(**_MARIADB_TEXT), "mysql")
DOCUMENT = JSON(none_as_null=True)
# SQLite numbers rows by itself only in a column of exactly the type INTEGER.
SEQUENCE = BigInteger().with_variant(Integer, "sqlite")


class Moment(TypeDecorator[datetime]):
    """An aware UTC time with microseconds, stored without its zone."""

    impl = DateTime
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        return datetime

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        if dialect.name == "mysql":
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


# Queries and rows whose columns vary with what is asked for.
AnySelect: TypeAlias = "Select[*tuple[Any, ...]]"
AnyRow: TypeAlias = "Row[*tuple[Any, ...]]"


def lean(column: KeyedColumnElement[Any]) -> ColumnElement[Any]:
    """A column as lists read it: JSON as the text it is stored as, moments without their zone.

    Parsing each document and dressing each time only to write them out again costs a list more
    than the query does.
    """
    if isinstance(column.type, JSON):
        return cast(column, Text).label(column.name)
    if isinstance(column.type, Moment):
        return type_coerce(column, DateTime()).label(column.name)
    return column


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def new_id() -> str:
    """A fresh primary key."""
    return str(uuid.uuid4())


def state_tag(changed_at: datetime) -> str:
    """A short text that is another one after every change of a row."""
    return f"{int(changed_at.timestamp() * 1_000_000):x}"


def sqlalchemy_url(url: str) -> str:
    """The URL as operators write it, with the driver that we ship filled in."""
    parsed = make_url(url)
    return parsed.set(
        drivername=_DRIVERS.get(parsed.drivername, parsed.drivername)
    ).render_as_string(hide_password=False)


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite URL; None for another database or one in memory."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    return Path(str(parsed.database))


def engine_options(
    url: str, threads: int | None = None, *, answers_requests: bool = False
) -> dict[str, Any]:
    """How the engine connects: JSON by orjson, no values in error texts, one isolation level.

    Where requests are answered no statement takes long (database_waits.py). The pool has a
    connection for each of so many threads that answer requests, and a few more, lest one that
    has a request to answer waits for one that answers another.
    """
    options: dict[str, Any] = {
        "json_serializer": lambda value: orjson.dumps(value).decode(),
        "json_deserializer": orjson.loads,
        # Parameters hold names, addresses and hashes; log lines must not.
        "hide_parameters": True,
    }
    if make_url(url).get_backend_name() == "sqlite":
        options["connect_args"] = {"timeout": 10, "isolation_level": None}
    else:
        backend = make_url(url).get_backend_name()
        connect = connect_arguments(backend, answers_requests=answers_requests)
        if backend == "mysql":
            variables = {"group_concat_max_len": _LONGEST_LIST}
            variables |= mariadb_session(answers_requests=answers_requests)
            told = ", ".join(f"SESSION {name} = {value}" for name, value in variables.items())
            connect["init_command"] = f"SET {told}"
        options |= {
            "isolation_level": "READ COMMITTED",
            "pool_pre_ping": True,
            "connect_args": connect,
        }
    is_in_memory = make_url(url).get_backend_name() == "sqlite" and sqlite_file(url) is None
    if threads is not None and not is_in_memory:
        options |= {"pool_size": threads, "max_overflow": _CONNECTIONS_BESIDE}
        if answers_requests:
            options["pool_timeout"] = POOL_SECONDS
    return options


def tune_sqlite(engine: Engine) -> None:
    """Make SQLite durable and concurrent: WAL, foreign keys, explicit and early write locks."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _: Any) -> None:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")
        # SQLite's own folds ASCII only; searching must treat É as the servers do.
        connection.create_function("lower", 1, _lower, deterministic=True)

    @event.listens_for(engine, "begin")
    def on_begin(connection: Any) -> None:
        # A transaction that reads first and writes later would fail when another wrote between.
        mode = "IMMEDIATE" if connection.get_execution_options().get("writes") else "DEFERRED"
        connection.connection.dbapi_connection.execute(f"BEGIN {mode}")


def begin_writing(session: Session) -> None:
    """Start a transaction that is going to write, before the session's first statement."""
    session.connection(execution_options={"writes": True})


def is_outage(error: Exception) -> bool:
    """Whether the database could not do its work just now, whatever it was asked to do."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    # PostgreSQL's "program limit exceeded" is of what was asked, and stays so.
    if str(getattr(getattr(error, "orig", None), "sqlstate", "")).startswith("54"):
        return False
    return isinstance(error, (OperationalError, InterfaceError, PoolTimeout))


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value
