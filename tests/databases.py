"""The servers that tests use, and databases of their own there."""

import os
from typing import NoReturn

import pytest
from redis import Redis, RedisError
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from cms_services.database import engine_options, sqlalchemy_url

SERVERS = {
    "postgresql": os.environ.get("TEST_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1/postgres"),
    "mariadb": os.environ.get("TEST_MARIADB_URL", "mariadb://root@127.0.0.1/mysql"),
}
REDIS_URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379")
DATABASES = ("sqlite", *SERVERS)
REQUIRE_SERVERS = os.environ.get("REQUIRE_SERVERS") == "1"


def need_server(reason: str) -> NoReturn:
    """Skip for want of a server, or fail where all are required."""
    if REQUIRE_SERVERS:
        pytest.fail(reason)
    pytest.skip(reason)


def need_redis() -> str:
    """The URL of the Redis for tests."""
    try:
        with Redis.from_url(REDIS_URL, socket_connect_timeout=3) as redis:
            redis.ping()
    except RedisError:
        need_server("Redis does not answer")
    return REDIS_URL


_made_databases: set[tuple[str, str]] = set()


def fresh_server_database(kind: str, name: str) -> str:
    """Make an empty database on a server and return its URL. It goes when this process ends.

    Its name gets the process's number, so that two runs of the suite don't meet.
    """
    name = f"{name}_{os.getpid()}"
    made = [_dropping(kind, name), f"CREATE DATABASE {name}"]
    if kind == "postgresql":
        # What tests store need not outlive a power failure.
        made.append(f"ALTER DATABASE {name} SET synchronous_commit = off")
    try:
        _on_server(kind, *made)
    except OperationalError:
        need_server(f"{kind} does not answer")
    _made_databases.add((kind, name))
    return make_url(SERVERS[kind]).set(database=name).render_as_string(hide_password=False)


def drop_server_database(kind: str, name: str) -> None:
    """Remove at once what fresh_server_database() made by this name in this process."""
    made = (kind, f"{name}_{os.getpid()}")
    if made in _made_databases:
        _made_databases.remove(made)
        _on_server(kind, _dropping(*made))


def drop_made_databases() -> None:
    """Remove what fresh_server_database() made in this process."""
    while _made_databases:
        kind, name = _made_databases.pop()
        _on_server(kind, _dropping(kind, name))


def _dropping(kind: str, name: str) -> str:
    force = " WITH (FORCE)" if kind == "postgresql" else ""
    return f"DROP DATABASE IF EXISTS {name}{force}"


def _on_server(kind: str, *statements: str) -> None:
    url = sqlalchemy_url(SERVERS[kind])
    options = engine_options(url) | {"isolation_level": "AUTOCOMMIT"}
    engine = create_engine(url, **options)
    try:
        with engine.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))
    finally:
        engine.dispose()
