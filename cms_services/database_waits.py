"""How long a process waits for its database, so that an outage holds no request for long.

A request waits seconds; commands and background workers, whose statements may take long, only give
up a server that is gone. What a server does not know by itself, such as that a node with open
transactions is gone, it is told here too, for each connection.
"""

import socket
import threading
from typing import Any

import psycopg
from psycopg.abc import PQGen
from psycopg.errors import _WaitTimeout
from sqlalchemy import Engine, event

# A server that swallows packets is given up after so long.
CONNECT_SECONDS = 3
# A connection from the pool has to show that it lives within this time.
_PING_SECONDS = 2
# Of one statement of a request, of which none takes as long unless it waits: first the server gives
# it up, then we the server.
_STATEMENT_SECONDS = 5
_REPLY_SECONDS = 6
# Of a request that waits for what another transaction holds.
_LOCK_SECONDS = 5
# An answer that is read slowly may read on within its transaction; no change takes so long.
_IDLE_READ_SECONDS, _IDLE_WRITE_SECONDS = 60, 10
# For a free connection of the pool. There is one for each thread, so none waits in good times.
POOL_SECONDS = 3

# What is sent is not acknowledged for so long: by those who answer requests, and by others.
_UNANSWERED_SECONDS, _PATIENT_SECONDS = 5, 30
_KEEPALIVE_IDLE, _KEEPALIVE_INTERVAL, _KEEPALIVE_COUNT = 5, 2, 3

# For all connections: a server that knows of a dead node only after hours keeps its locks so long.
_POSTGRESQL = {
    "tcp_keepalives_idle": f"{_KEEPALIVE_IDLE}s",
    "tcp_keepalives_interval": f"{_KEEPALIVE_INTERVAL}s",
    "tcp_keepalives_count": str(_KEEPALIVE_COUNT),
}
_POSTGRESQL_REQUESTS = {
    "tcp_user_timeout": f"{_UNANSWERED_SECONDS}s",
    "statement_timeout": f"{_STATEMENT_SECONDS}s",
    "lock_timeout": f"{_LOCK_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{_IDLE_READ_SECONDS}s",
}
_MARIADB_REQUESTS = {
    "max_statement_time": _STATEMENT_SECONDS,
    "innodb_lock_wait_timeout": _LOCK_SECONDS,
    "lock_wait_timeout": _LOCK_SECONDS,
    "idle_readonly_transaction_timeout": _IDLE_READ_SECONDS,
    "idle_write_transaction_timeout": _IDLE_WRITE_SECONDS,
}


class PostgreSQLConnection(psycopg.Connection[Any]):
    """One that is closed where the server does not answer in time, which libpq can't do.

    `reply_seconds` is for each statement; None waits as long as it takes.
    """

    reply_seconds: float | None = None

    def wait(self, gen: PQGen[Any], *args: Any, **options: Any) -> Any:
        options.setdefault("timeout", self.reply_seconds)
        try:
            return super().wait(gen, *args, **options)
        except _WaitTimeout:
            # A late answer would be taken for that of another statement.
            self.pgconn.finish()
            raise


class _Reconnecting:
    """While the database does not answer, one thread at a time finds out whether it does again.

    The others fail at once, or all threads would wait and none be left for what needs no database.
    """

    def __init__(self) -> None:
        self._is_lost = False
        self._trying = threading.Lock()

    def __call__(self, dialect: Any, _: Any, args: Any, options: Any) -> Any:
        if not self._is_lost:
            return self._connect(dialect, args, options)
        if not self._trying.acquire(blocking=False):
            raise dialect.loaded_dbapi.OperationalError("the database did not answer just before")
        try:
            return self._connect(dialect, args, options)
        finally:
            self._trying.release()

    def _connect(self, dialect: Any, args: Any, options: Any) -> Any:
        try:
            connection = _connected(dialect, args, options)
        except dialect.loaded_dbapi.Error:
            self._is_lost = True
            raise
        self._is_lost = False
        return connection


def connect_arguments(backend: str, *, answers_requests: bool) -> dict[str, Any]:
    """What the driver is given to connect with."""
    if backend == "mysql":
        return {
            "connect_timeout": CONNECT_SECONDS,
            # Of the handshake; limit_waits() sets the time for what comes then.
            "read_timeout": CONNECT_SECONDS,
            "write_timeout": _UNANSWERED_SECONDS if answers_requests else _PATIENT_SECONDS,
        }
    unanswered = _UNANSWERED_SECONDS if answers_requests else _PATIENT_SECONDS
    return {
        "connect_timeout": CONNECT_SECONDS,
        "tcp_user_timeout": unanswered * 1000,
        "keepalives_idle": _KEEPALIVE_IDLE,
        "keepalives_interval": _KEEPALIVE_INTERVAL,
        "keepalives_count": _KEEPALIVE_COUNT,
    }


def mariadb_session(*, answers_requests: bool) -> dict[str, int]:
    """Variables of a session at MariaDB."""
    return _MARIADB_REQUESTS if answers_requests else {}


def limit_waits(engine: Engine, *, answers_requests: bool) -> None:
    """Bound what connections of a server's database wait for. SQLite's are bounded otherwise."""
    backend = engine.dialect.name
    if backend == "sqlite":
        return
    connect = _Reconnecting() if answers_requests else _connect_anyway
    event.listen(engine, "do_connect", connect)
    reply = _REPLY_SECONDS if answers_requests else None
    unanswered = _UNANSWERED_SECONDS if answers_requests else _PATIENT_SECONDS

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _: Any) -> None:
        if backend == "postgresql":
            _set_session(connection, _POSTGRESQL_REQUESTS if answers_requests else {})
        else:
            _keep_alive(connection._sock, unanswered)
        _wait_at_most(connection, reply)

    @event.listens_for(engine, "checkin")
    def on_checkin(connection: Any, _: Any) -> None:
        # The pool's ping comes before the next checkout.
        if connection is not None:
            _wait_at_most(connection, _PING_SECONDS)

    @event.listens_for(engine, "checkout")
    def on_checkout(connection: Any, *_: Any) -> None:
        _wait_at_most(connection, reply)


def _connect_anyway(dialect: Any, _: Any, args: Any, options: Any) -> Any:
    return _connected(dialect, args, options)


def _connected(dialect: Any, args: Any, options: Any) -> Any:
    if dialect.name == "postgresql":
        return PostgreSQLConnection.connect(*args, **options)
    return dialect.connect(*args, **options)


def _set_session(connection: Any, more: dict[str, str]) -> None:
    # Not as libpq's `options`, which poolers between us and the server refuse.
    settings = _POSTGRESQL | more
    query = ", ".join("set_config(%s, %s, false)" for _ in settings)
    connection.autocommit = True
    connection.execute(f"SELECT {query}", [each for pair in settings.items() for each in pair])
    connection.autocommit = False


def _wait_at_most(connection: Any, seconds: float | None) -> None:
    if isinstance(connection, PostgreSQLConnection):
        connection.reply_seconds = seconds
    else:
        # PyMySQL has no public name for it after connecting.
        connection._read_timeout = seconds


def _keep_alive(sock: socket.socket, unanswered: int) -> None:
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    for name, value in (
        ("TCP_KEEPIDLE", _KEEPALIVE_IDLE),
        ("TCP_KEEPINTVL", _KEEPALIVE_INTERVAL),
        ("TCP_KEEPCNT", _KEEPALIVE_COUNT),
        ("TCP_USER_TIMEOUT", unanswered * 1000),
    ):
        # Systems differ in what they have.
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
