"""Checks of databases: a query of PostgreSQL and MySQL or MariaDB, a PING of Redis, a hello of
MongoDB.

A driver never connects: it gets a relay (relays.py) to an address that the policy permitted.
"""

import asyncio
import ssl
import struct
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path

import bson
import psycopg
import pymysql
from psycopg.conninfo import make_conninfo
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn

from cms_services.address_policy import in_own_thread
from cms_services.monitoring.probes.connections import Connection, connection_of
from cms_services.monitoring.probes.declared import Check
from cms_services.monitoring.probes.dns_checks import srv_hosts
from cms_services.monitoring.probes.relays import relayed_port, relayed_socket
from cms_services.monitoring.probes.results import Outcome, healthy, unhealthy
from cms_services.monitoring.probes.surroundings import Surroundings
from cms_services.outbound import (
    AddressPolicy,
    AddressRefused,
    Stream,
    Unreachable,
    open_stream,
    reason_of,
)
from cms_services.outbound_tls import trusting

# Where Debian and Red Hat keep them.
_AUTHORITIES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
_OP_MSG = 2013
_LONGEST_REPLY = 1024 * 1024
# What MySQL's driver raises where a packet is none of MySQL's.
_ODD = (LookupError, ValueError, TypeError, AttributeError, AssertionError, struct.error)


class _Refused(Exception):
    """The database answers, and says no. The text is what it says."""


async def check_database(check: Check, surroundings: Surroundings) -> Outcome:
    """Healthy when the database takes the connection, with its user and password, and answers.

    MongoDB is asked for its hello alone, without signing in.
    """
    connection = connection_of(check.options)
    began = time.perf_counter()
    hosts = connection.hosts
    if connection.srv:
        hosts = tuple(await srv_hosts(f"_mongodb._tcp.{hosts[0][0]}", check.timeout))
    ask = _ASKING[connection.engine]
    for number, (host, port) in enumerate(hosts, start=1):
        try:
            said = await ask(connection, host, port, check.timeout, surroundings.policy)
        except _Refused as error:
            return unhealthy(f"The database refuses: {error}", _ms_since(began))
        except AddressRefused as error:
            if connection.srv:
                # Their names may be known to nobody but our own name servers.
                raise AddressRefused("a host of its SRV records has no public address") from error
            raise
        except Unreachable:
            if number == len(hosts):
                raise
        else:
            elapsed = _ms_since(began)
            return healthy(said, elapsed, timings={"total": round(elapsed, 2)})
    raise ValueError("the database has no host")


async def _postgresql(
    connection: Connection, host: str, port: int, timeout_seconds: float, policy: AddressPolicy
) -> str:
    async with (
        await open_stream(host, port, policy) as stream,
        relayed_port(stream) as relayed,
    ):
        await _query_postgresql(connection, host, relayed, timeout_seconds)
    return "PostgreSQL answers"


async def _query_postgresql(
    connection: Connection, host: str, relayed: int, timeout_seconds: float
) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as authorities:
        if connection.ca:
            authorities.write(connection.ca)
            authorities.flush()
        conninfo = make_conninfo(**_libpq_tls(connection, authorities.name))
        try:
            opened = await psycopg.AsyncConnection.connect(
                conninfo,
                # The name that a certificate must have.
                host=host,
                hostaddr="127.0.0.1",
                port=relayed,
                user=connection.user or "postgres",
                password=connection.password,
                dbname=connection.database or connection.user or "postgres",
                connect_timeout=max(2, int(timeout_seconds) + 1),
                application_name="cms-services-probe",
                autocommit=True,
                # What the environment or the home folder of this process has is not for others.
                passfile="/dev/null/none",
                options="",
                gssencmode="disable",
                sslcertmode="disable",
            )
            try:
                await _select_one(opened.pgconn)
            finally:
                await opened.close()
        except psycopg.OperationalError as error:
            raise _refusal(error) from error
        except psycopg.Error as error:
            raise _Refused(_line(error)) from error


async def _select_one(connection: PGconn) -> None:
    """Ask for one row. Raises _Refused.

    Not by the driver's own execute(), which waits for the server when it is cancelled.
    """
    loop = asyncio.get_running_loop()
    connection.send_query(b"SELECT 1")
    while connection.is_busy():
        readable = asyncio.Event()
        loop.add_reader(connection.socket, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(connection.socket)
        connection.consume_input()
    result = connection.get_result()
    if result is not None and result.status == ExecStatus.FATAL_ERROR:
        raise _Refused(_line(result.error_message.decode(errors="replace")))


def _refusal(error: psycopg.OperationalError) -> Exception:
    text = str(error)
    # libpq has no other sign that the server itself spoke.
    if "FATAL:" in text:
        return _Refused(_line(text.partition("FATAL:")[2]))
    if "fe_sendauth" in text:
        return _Refused("it asks for a password")
    return Unreachable(_line(text).rpartition("failed: ")[2])


def _libpq_tls(connection: Connection, authorities: str) -> dict[str, str]:
    if not connection.tls:
        return {"sslmode": "prefer"}
    if not connection.verify:
        return {"sslmode": "require"}
    return {
        "sslmode": "verify-full",
        "sslrootcert": authorities if connection.ca else _system_authorities(),
    }


@cache
def _system_authorities() -> str:
    """The file of the system's authorities: libpq may come with a library that looks elsewhere."""
    known = (ssl.get_default_verify_paths().cafile, *_AUTHORITIES)
    return next((each for each in known if each and Path(each).exists()), "system")


async def _mysql(
    connection: Connection, host: str, port: int, timeout_seconds: float, policy: AddressPolicy
) -> str:
    driver = pymysql.Connection(
        host=host,
        port=port,
        user=connection.user or "root",
        password=connection.password,
        database=connection.database or None,
        ssl=trusting(connection.verify, connection.ca) if connection.tls else None,
        ssl_disabled=not connection.tls,
        connect_timeout=max(1, int(timeout_seconds)),
        read_timeout=max(1, int(timeout_seconds)),
        write_timeout=max(1, int(timeout_seconds)),
        local_infile=False,
        defer_connect=True,
    )
    async with (
        await open_stream(host, port, policy) as stream,
        relayed_socket(stream) as relayed,
    ):

        def ask() -> None:
            # It blocks, in a thread that ends with the relay at the latest.
            with relayed:
                driver.connect(relayed)
                driver.ping(reconnect=False)
                driver.close()

        await _ask_mysql(ask)
    return "MySQL answers"


async def _ask_mysql(ask: Callable[[], None]) -> None:
    try:
        await in_own_thread(ask, "mysql")
    except pymysql.err.OperationalError as error:
        code, text = (*error.args, "", "")[:2]
        # From 2000 on they are the driver's own.
        if isinstance(code, int) and 1000 <= code < 2000:
            raise _Refused(_line(text)) from error
        raise Unreachable(_line(text)) from error
    except (pymysql.err.MySQLError, RuntimeError) as error:
        raise _Refused(_line(error)) from error
    except OSError as error:
        raise Unreachable(reason_of(error)) from error
    except (
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
        AssertionError,
        struct.error,
    ) as odd:
        # What the driver's reading of a packet comes to that is none.
        raise Unreachable("what answers is no MySQL") from odd


async def _redis(
    connection: Connection, host: str, port: int, timeout_seconds: float, policy: AddressPolicy
) -> str:
    async with await _stream(connection, host, port, policy) as stream:
        if connection.password:
            words = [w for w in (connection.user, connection.password) if w]
            await _redis_says(stream, "AUTH", *words)
        said = await _redis_says(stream, "PING")
        return f"Redis answers {said}"


async def _redis_says(stream: Stream, *words: str) -> str:
    """Send a command and give its simple answer (RESP 2). Raises _Refused."""
    parts = [f"*{len(words)}\r\n".encode()]
    for word in words:
        parts.append(b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()))
    try:
        stream.writer.write(b"".join(parts))
        line = (await stream.reader.readline()).decode(errors="replace").strip()
    except OSError as error:
        raise Unreachable(reason_of(error)) from error
    except ValueError as error:  # a line without an end
        raise Unreachable("what answers is no Redis") from error
    if line.startswith("-"):
        raise _Refused(line[1:])
    if not line.startswith("+"):
        raise Unreachable("what answers is no Redis" if line else "closed without an answer")
    return line[1:]


async def _mongodb(
    connection: Connection, host: str, port: int, timeout_seconds: float, policy: AddressPolicy
) -> str:
    asked = bson.encode({"hello": 1, "$db": "admin"})
    body = struct.pack("<iB", 0, 0) + asked
    async with await _stream(connection, host, port, policy) as stream:
        try:
            stream.writer.write(struct.pack("<iiii", 16 + len(body), 1, 0, _OP_MSG) + body)
            length, _, _, code = struct.unpack("<iiii", await stream.reader.readexactly(16))
            if code != _OP_MSG or not 26 <= length <= _LONGEST_REPLY:
                raise Unreachable("what answers is no MongoDB")
            reply = await stream.reader.readexactly(length - 16)
            said = bson.decode(reply[5:])
        except EOFError as error:
            raise Unreachable("closed without an answer") from error
        except OSError as error:
            raise Unreachable(reason_of(error)) from error
        except bson.errors.BSONError as error:
            raise Unreachable("what answers is no MongoDB") from error
    if said.get("ok") != 1:
        raise _Refused(str(said.get("errmsg", "no reason given")))
    if said.get("isWritablePrimary"):
        return "MongoDB answers as the primary"
    return "MongoDB answers as a secondary" if said.get("secondary") else "MongoDB answers"


async def _stream(connection: Connection, host: str, port: int, policy: AddressPolicy) -> Stream:
    trust = trusting(connection.verify, connection.ca) if connection.tls else None
    return await open_stream(host, port, policy, trust=trust)


def _line(error: object) -> str:
    """The first line of what a driver or a server says."""
    lines = [each.strip() for each in str(error).splitlines() if each.strip()]
    return lines[0][:300] if lines else type(error).__name__


def _ms_since(began: float) -> float:
    return (time.perf_counter() - began) * 1000


_Ask = Callable[[Connection, str, int, float, AddressPolicy], Awaitable[str]]
_ASKING: dict[str, _Ask] = {
    "postgresql": _postgresql,
    "mysql": _mysql,
    "redis": _redis,
    "mongodb": _mongodb,
}
