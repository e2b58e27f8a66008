"""Checks of databases: real PostgreSQL, MariaDB and Redis, and a stand-in for MongoDB."""

import socket
import struct
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import chain, count, repeat
from pathlib import Path
from typing import Any

import bson
import pytest
from redis import Redis
from sqlalchemy import create_engine, make_url, text

from cms_services.clock import now
from cms_services.database import sqlalchemy_url
from cms_services.outbound import AddressPolicy
from tests.databases import SERVERS, fresh_server_database, need_redis
from tests.monitoring.probing import Authority, listening, run_all, run_one


def database(engine: str, host: str, port: int, **connection: Any) -> dict[str, Any]:
    known = {"host": host, "port": port} | connection
    return {
        "databases": [{"name": "app", "type": engine, "connection": known}],
        "healthCheck": {"checks": ["database_connection"]},
    }


@pytest.fixture(scope="module")
def postgresql() -> Any:
    return make_url(fresh_server_database("postgresql", "probed"))


@pytest.fixture(scope="module")
def mysql_account() -> Iterator[dict[str, Any]]:
    url = make_url(fresh_server_database("mariadb", "probed"))
    user = f"probe_{url.database[-20:]}" if url.database else "probe"
    engine = create_engine(sqlalchemy_url(SERVERS["mariadb"]), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE USER '{user}'@'%' IDENTIFIED BY 'geheim-77'"))
        connection.execute(text(f"GRANT ALL ON {url.database}.* TO '{user}'@'%'"))
        yield {
            "host": url.host,
            "port": url.port or 3306,
            "user": user,
            "password": "geheim-77",
            "database": url.database,
        }
        connection.execute(text(f"DROP USER '{user}'@'%'"))
    engine.dispose()


@pytest.fixture(scope="module")
def redis_account() -> Iterator[dict[str, Any]]:
    url = make_url(need_redis())
    user = f"probe-{time.monotonic_ns()}"
    with Redis(url.host or "127.0.0.1", url.port or 6379) as redis:
        redis.execute_command("ACL", "SETUSER", user, "on", ">geheim-77", "+ping")
        yield {
            "host": url.host,
            "port": url.port or 6379,
            "user": user,
            "password": "geheim-77",
        }
        redis.execute_command("ACL", "DELUSER", user)


def at(url: Any, **connection: Any) -> dict[str, Any]:
    return database("postgresql", url.host, url.port or 5432, **connection)


class TestPostgresql:
    def test_a_query_is_answered(self, postgresql: Any) -> None:
        (result,) = run_all(
            database(
                "postgresql",
                postgresql.host,
                postgresql.port or 5432,
                user=postgresql.username,
                database=postgresql.database,
            )
        )
        assert (result.status, result.message) == ("healthy", "PostgreSQL answers")
        assert result.name == "database_connection: app"
        uri = postgresql.set(drivername="postgresql", port=postgresql.port or 5432)
        assert run_one("database_connection", str(uri)).status == "healthy"

    def test_what_the_server_refuses_is_told_without_the_password(self, postgresql: Any) -> None:
        (result,) = run_all(
            database(
                "postgresql", postgresql.host, postgresql.port or 5432,
                user=postgresql.username, password="geheim-77", database="no_such_database",
            )
        )  # fmt: skip
        assert result.status == "unhealthy"
        assert 'database "no_such_database" does not exist' in result.message
        assert "geheim" not in str(result)

    def test_encryption_that_the_server_lacks_is_no_health(self, postgresql: Any) -> None:
        settings = database(
            "postgresql",
            postgresql.host,
            postgresql.port or 5432,
            user=postgresql.username,
            ssl=True,
        )
        (result,) = run_all(settings)
        assert result.status == "unhealthy"
        assert "SSL" in result.message


class TestMysql:
    @pytest.mark.parametrize("engine", ["mysql", "mariadb"])
    def test_a_query_is_answered(self, mysql_account: dict[str, Any], engine: str) -> None:
        (result,) = run_all(database(engine, **mysql_account))
        assert (result.status, result.message) == ("healthy", "MySQL answers")

    @pytest.mark.parametrize("change", [{"password": "wrong-88"}, {"database": "no_such"}])
    def test_what_the_server_refuses_is_told_without_the_password(
        self, mysql_account: dict[str, Any], change: dict[str, str]
    ) -> None:
        (result,) = run_all(database("mysql", **mysql_account | change))
        assert result.status == "unhealthy"
        assert "denied" in result.message
        assert "geheim" not in str(result)
        assert "wrong-88" not in str(result)

    def test_a_server_that_says_nothing_is_left_in_time(self) -> None:
        def silent(connection: socket.socket) -> None:
            connection.recv(1)

        with listening(silent) as port:
            began = time.monotonic()
            settings = database("mysql", "127.0.0.1", port)
            settings["healthCheck"]["timeout"] = "300ms"
            (result,) = run_all(settings)
            assert (result.status, result.message) == ("unhealthy", "No answer within 0.3 s.")
            assert time.monotonic() - began < 5

    @pytest.mark.parametrize(
        "answer",
        [b"", b"SSH-2.0-x\r\n", b"\x01\0\0\0\x0a", b"\x08\0\0\0\x0a5.5\0\x01\0\0", b"\0" * 4096],
    )
    def test_what_is_no_mysql_is_unhealthy(self, answer: bytes) -> None:
        with listening(lambda connection: connection.sendall(answer)) as port:
            (result,) = run_all(database("mysql", "127.0.0.1", port))
        assert result.status == "unhealthy", result.message


class TestRedis:
    def test_a_ping_is_answered(self, redis_account: dict[str, Any]) -> None:
        (result,) = run_all(database("redis", **redis_account))
        assert (result.status, result.message) == ("healthy", "Redis answers PONG")
        uri = f"redis://{redis_account['host']}:{redis_account['port']}/0"
        assert run_one("database_connection", uri=uri).status == "healthy"

    def test_a_wrong_password_is_told_without_it(self, redis_account: dict[str, Any]) -> None:
        (result,) = run_all(database("redis", **redis_account | {"password": "wrong-88"}))
        assert result.status == "unhealthy"
        assert "WRONGPASS" in result.message
        assert "wrong-88" not in str(result)

    def test_over_tls_the_certificate_must_hold(self, tmp_path: Path) -> None:
        def pong(connection: socket.socket) -> None:
            connection.recv(1000)
            connection.sendall(b"+PONG\r\n")

        authority = Authority(tmp_path)
        context = authority.server_context("127.0.0.1", now() + timedelta(days=9))
        with listening(pong, context) as port:
            uri = f"rediss://127.0.0.1:{port}"
            untrusted = run_one("database_connection", uri=uri)
            assert untrusted.status == "unhealthy"
            assert "Certificate does not hold" in untrusted.message
            trusted = run_one("database_connection", uri=uri, ca=authority.pem)
            assert trusted.status == "healthy", trusted.message

    @pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n", b"x" * 200_000])
    def test_what_is_no_redis_is_unhealthy(self, answer: bytes) -> None:
        def other(connection: socket.socket) -> None:
            connection.recv(1000)
            connection.sendall(answer)

        with listening(other) as port:
            (result,) = run_all(database("redis", "127.0.0.1", port))
        assert result.status == "unhealthy"
        assert result.message.startswith("No connection: ")


class TestMongodb:
    @staticmethod
    def answering(reply: dict[str, Any]) -> Any:
        """Speaks OP_MSG, as far as a hello goes."""

        def answer(connection: socket.socket) -> None:
            length, number, _, code = struct.unpack("<iiii", connection.recv(16))
            asked = bson.decode(connection.recv(length - 16)[5:])
            assert code == 2013
            assert asked["hello"] == 1
            body = struct.pack("<iB", 0, 0) + bson.encode(reply)
            connection.sendall(struct.pack("<iiii", 16 + len(body), 7, number, 2013) + body)

        return answer

    @pytest.mark.parametrize(
        ("reply", "status", "message"),
        [
            ({"ok": 1, "isWritablePrimary": True}, "healthy", "MongoDB answers as the primary"),
            ({"ok": 1.0, "secondary": True}, "healthy", "MongoDB answers as a secondary"),
            ({"ok": 0, "errmsg": "shutting down"}, "unhealthy", "shutting down"),
        ],
    )
    def test_its_hello_is_understood(
        self, reply: dict[str, Any], status: str, message: str
    ) -> None:
        with listening(self.answering(reply)) as port:
            (result,) = run_all(database("mongodb", "127.0.0.1", port))
        assert result.status == status
        assert message in result.message

    def test_of_several_hosts_one_that_answers_is_enough(self) -> None:
        with listening(self.answering({"ok": 1})) as port:
            uri = f"mongodb://ada:geheim@127.0.0.1:1,127.0.0.1:{port}/app?replicaSet=a"
            assert run_one("database_connection", uri=uri).status == "healthy"

    @pytest.mark.parametrize("reply", [b"", b"\xff" * 16, b"HTTP/1.1 400 Bad Request\r\n\r\n"])
    def test_what_is_no_mongodb_is_unhealthy(self, reply: bytes) -> None:
        def other(connection: socket.socket) -> None:
            connection.recv(1000)
            connection.sendall(reply)

        with listening(other) as port:
            (result,) = run_all(database("mongodb", "127.0.0.1", port))
        assert result.status == "unhealthy"
        assert result.message.startswith("No connection: ")


class Hostile:
    """Servers that say hello as theirs do and then answer without an end, or never.

    A few MiB more than what somebody reads fit into the buffers of the system.
    """

    MOST = 96 * 1024**2

    def __init__(self, endless: bool) -> None:
        self._endless = endless
        self.sent = 0

    def postgresql(self, connection: socket.socket) -> None:
        def message(kind: bytes, body: bytes) -> bytes:
            return kind + struct.pack(">i", len(body) + 4) + body

        (length,) = struct.unpack(">i", connection.recv(4))
        while struct.unpack(">i", connection.recv(length - 4)[:4])[0] in (80877103, 80877104):
            connection.sendall(b"N")
            (length,) = struct.unpack(">i", connection.recv(4))
        signed_in = message(b"R", struct.pack(">i", 0))
        said = message(b"S", b"server_version\x0016\x00") + message(
            b"S", b"client_encoding\0UTF8\0"
        )
        connection.sendall(signed_in + said + message(b"Z", b"I"))
        connection.recv(65536)
        column = b"a\0" + struct.pack(">ihihih", 0, 0, 25, -1, -1, 0)
        connection.sendall(message(b"T", struct.pack(">h", 1) + column))
        row = message(b"D", struct.pack(">hi", 1, 60_000) + b"x" * 60_000)
        self._go_on(connection, repeat(row))

    def mysql(self, connection: socket.socket) -> None:
        # Parts of one packet, none of which is the last.
        parts = (
            piece
            for number in count()
            for piece in (b"\xff\xff\xff" + bytes([number % 256]), *[b"x" * 0x10101] * 0xFF)
        )
        self._go_on(connection, parts)

    def redis(self, connection: socket.socket) -> None:
        connection.recv(1000)
        self._go_on(connection, chain([b"+"], repeat(b"x" * 65536)))

    def mongodb(self, connection: socket.socket) -> None:
        connection.recv(1000)
        longest = struct.pack("<iiii", 2**31 - 1, 1, 0, 2013)
        self._go_on(connection, chain([longest], repeat(b"x" * 65536)))

    def _go_on(self, connection: socket.socket, pieces: Iterable[bytes]) -> None:
        for piece in pieces if self._endless else ():
            connection.sendall(piece)
            self.sent += len(piece)
            if self.sent > self.MOST:
                break
        while connection.recv(65536):
            pass


@pytest.mark.parametrize("engine", ["postgresql", "mysql", "redis", "mongodb"])
class TestAny:
    @pytest.mark.parametrize("endless", [True, False])
    def test_a_hostile_server_costs_neither_memory_nor_more_than_the_timeout(
        self, engine: str, endless: bool
    ) -> None:
        hostile = Hostile(endless)
        with listening(getattr(hostile, engine)) as port:
            settings = database(engine, "127.0.0.1", port)
            settings["healthCheck"]["timeout"] = "1s"
            began = time.monotonic()
            (result,) = run_all(settings)
            assert time.monotonic() - began < 6
        assert result.status == "unhealthy"
        assert hostile.sent < 24 * 1024**2
        if not endless:
            assert result.message == "No answer within 1 s."
        elif engine in ("postgresql", "mysql"):
            assert result.message == "No connection: it sends more than 1 MiB."

    def test_a_private_address_is_never_connected_to(self, engine: str) -> None:
        connected = []
        with listening(lambda connection: connected.append(1)) as port:
            for host in ("127.0.0.1", "localhost", "127.1", "::ffff:127.0.0.1"):
                (result,) = run_all(database(engine, host, port), policy=AddressPolicy(()))
                assert result.status == "unknown"
                assert "no public address" in result.message
        assert connected == []

    def test_a_closed_port_is_unhealthy(self, engine: str) -> None:
        (result,) = run_all(database(engine, "127.0.0.1", 1))
        assert result.status == "unhealthy"
        assert "refused" in result.message

    @pytest.mark.parametrize("host", ["/var/run/postgresql", "127.0.0.1,8.8.8.8", "", "a b", "@x"])
    def test_what_is_no_host_is_not_connected_to(self, engine: str, host: str) -> None:
        (result,) = run_all(database(engine, host, 5432))
        assert result.status == "unknown"
