"""A document's `databases`: the databases and accounts that a site's PHP connects with."""

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any

from cms_services.configuration.documents import Document, Opened
from cms_services.downloads.configured import refused
from cms_services.downloads.configured_lists import Item
from cms_services.downloads.hosting.site_records import Addresses
from cms_services.downloads.names import host_name
from cms_services.wording import worded

_MAX_DATABASES = 100
_MARIADB = "mariadb"
_POSTGRESQL = "postgresql"
_ENGINES = {
    "mysql": _MARIADB,
    "mariadb": _MARIADB,
    "postgresql": _POSTGRESQL,
    "postgres": _POSTGRESQL,
    "pgsql": _POSTGRESQL,
}
_DEFAULT_PORT = {_MARIADB: 3306, _POSTGRESQL: 5432}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# Names inside a network may be of one label, and hold an underscore.
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
# Whoever may write to these, or is one of these, owns the whole server.
_DATABASES_OF_SERVERS = frozenset(
    {"mysql", "sys", "information_schema", "performance_schema"}
    | {"postgres", "template0", "template1"}
)
_ACCOUNTS_OF_SERVERS = frozenset(
    {"root", "mysql", "mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema"}
    | {"debian-sys-maint", "postgres", "public", "none"}
)
# The least of what the servers allow: PostgreSQL 63 bytes, and MariaDB 64 characters for the
# database of a GRANT, in which `_` and `%` count twice.
_NAME_BYTES = 63
_MARIADB_NAME = 64


@dataclass(frozen=True)
class Account:
    """An account of a database server. `hosts` are where it connects from; only MariaDB asks.

    Without a password it is made so that nobody can sign in.
    """

    name: str
    hosts: tuple[str, ...]
    password: str | None


@dataclass(frozen=True)
class Server:
    """Where a server listens. None is what its clients take by themselves on the same machine."""

    host: str | None
    port: int | None


@dataclass
class Engine:
    """What one kind of server has to hold: accounts by name, and who may use which database."""

    servers: list[Server] = field(default_factory=list)
    accounts: dict[str, Account] = field(default_factory=dict)
    grants: list[tuple[str, Account]] = field(default_factory=list)


@dataclass
class Grants:
    """The engines by name, and the paths of passwords that are masked and of URIs in use.

    What a URI says is not read.
    """

    engines: dict[str, Engine] = field(default_factory=dict)
    masked: list[str] = field(default_factory=list)
    unread_uris: list[str] = field(default_factory=list)


def grants(document: Document, default_name: str, site: Addresses) -> Grants:
    """What the site connects to. Without any database, MariaDB gets one of the default name.

    Entries of servers other than MariaDB, MySQL and PostgreSQL are passed over. Raises
    ServiceConfigError, which names the path.
    """
    given = document.get("databases")
    if given is None or given == "" or given == {}:
        given = []
    if not isinstance(given, list) or len(given) > _MAX_DATABASES:
        raise refused(
            "databases",
            worded(
                "Takes a list of at most %(most)s connections.",
                most=_MAX_DATABASES,
            ),
        )
    found = Grants()
    for number, each in enumerate(given or [{}]):
        _add(found, each, f"databases.{number}", default_name, site)
    return found


def _add(found: Grants, given: Any, path: str, default_name: str, site: Addresses) -> None:
    if not isinstance(given, dict):
        raise refused(path, worded("Takes an object."))
    engine_name = _engine(given.get("type"), f"{path}.type")
    if engine_name is None:
        return
    connection = given.get("connection") or {}
    path = f"{path}.connection"
    if not isinstance(connection, dict):
        raise refused(path, worded("Takes an object."))
    label = given.get("name") or default_name
    database = _name(connection.get("database") or label, f"{path}.database", engine_name)
    if database.lower() in _DATABASES_OF_SERVERS:
        raise refused(f"{path}.database", worded("Names a database of the server itself."))
    user = _name(connection.get("user") or default_name, f"{path}.user", engine_name)
    if user.lower() in _ACCOUNTS_OF_SERVERS or user.lower().startswith("pg_"):
        raise refused(f"{path}.user", worded("Names an account of the server itself."))
    if connection.get("uri"):
        found.unread_uris.append(f"{path}.uri")
    host = _host(connection.get("host"), f"{path}.host")
    password = _password(connection, f"{path}.password", found)
    account = Account(user, _clients(host, site), password)
    engine = found.engines.setdefault(engine_name, Engine())
    server = _server(host, Item(path, connection).member("port"), _DEFAULT_PORT[engine_name])
    if server not in engine.servers:
        engine.servers.append(server)
    known = engine.accounts.setdefault(user, account)
    if known != account:
        raise refused(
            f"{path}.user", worded("Stands in another connection with a different password.")
        )
    if (database, known) not in engine.grants:
        engine.grants.append((database, known))


def _engine(given: Any, path: str) -> str | None:
    if given is None or given == "":
        return _MARIADB
    if not isinstance(given, str):
        raise refused(path, worded("Takes the name of a database server, such as mariadb."))
    return _ENGINES.get(given.lower())


def _name(given: Any, path: str, engine: str) -> str:
    fits = (
        isinstance(given, str)
        and given.isprintable()
        and given == given.strip()
        and "\\" not in given
        and len(given.encode()) <= _NAME_BYTES
    )
    if fits and engine == _MARIADB:
        doubled = given.count("_") + given.count("%")
        fits = len(given) + doubled <= _MARIADB_NAME and max(given) <= "\uffff"
    if not fits:
        raise refused(
            path,
            worded(
                "Takes a printable name of at most %(most)s bytes, without \\.",
                most=_NAME_BYTES,
            ),
        )
    return str(given)


def _host(given: Any, path: str) -> str | None:
    """What the site connects to: a name, an address, or "localhost" in any of its spellings."""
    if given is None or given == "":
        return None
    hint = worded("Takes a host name or an address.")
    if not isinstance(given, str):
        raise refused(path, hint)
    # A path is that of a socket.
    if given.startswith("/") or given.lower() == "localhost":
        return "localhost"
    try:
        address = ipaddress.ip_address(given)
    except ValueError:
        host = given if _HOST.fullmatch(given) else host_name(given)
        if host is None:
            raise refused(path, hint) from None
        return host
    if "%" in given:
        raise refused(path, worded("Takes an address without a zone."))
    # 0.0.0.0 says only that a server listens everywhere.
    return "localhost" if address.is_loopback or address.is_unspecified else str(address)


def _clients(host: str | None, site: Addresses) -> tuple[str, ...]:
    """Where the site connects from: the server itself, its addresses, or else anywhere."""
    if host is None:
        return ("localhost",)
    return _LOOPBACK if host == "localhost" else (*site.ipv4, *site.ipv6) or ("%",)


def _server(host: str | None, port: Item, default: int) -> Server:
    number = port.number(1, 65535, default)
    if host not in (None, "localhost"):
        return Server(host, None if number == default else number)
    # By "localhost" clients would mean a socket, and pass over the port.
    return Server(None, None) if number == default else Server("127.0.0.1", number)


def _password(connection: Document, path: str, found: Grants) -> str | None:
    """The opened password, or None where it is masked or there is none."""
    value = connection.get("password")
    if value is None or value == "":
        return None
    if not isinstance(value, Opened):
        found.masked.append(path)
        return None
    if "\0" in value or not value.isprintable():
        raise refused(path, worded("Holds a character that no password can."))
    return str(value)
