"""A document's `databases`: the databases and accounts that a site's PHP connects with."""

from dataclasses import dataclass, field
from typing import Any

from cms_services.configuration.documents import Document, Opened
from cms_services.downloads.configured import refused
from cms_services.downloads.hosting.site_records import Addresses

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
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
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
    """An account of a database server. `hosts` are where it connects from; only MariaDB asks."""

    name: str
    hosts: tuple[str, ...]
    password: str | None


@dataclass
class Engine:
    """What one kind of server has to hold: accounts by name, and who may use which database."""

    accounts: dict[str, Account] = field(default_factory=dict)
    grants: list[tuple[str, Account]] = field(default_factory=list)


@dataclass
class Grants:
    """The engines by name, and the paths of the passwords that are masked."""

    engines: dict[str, Engine] = field(default_factory=dict)
    masked: list[str] = field(default_factory=list)


def grants(document: Document, default_name: str, site: Addresses) -> Grants:
    """What the site connects to. Without any database, MariaDB gets one of the default name.

    Entries of servers other than MariaDB, MySQL and PostgreSQL are passed over. Raises
    ServiceConfigError, which names the path.
    """
    given = document.get("databases")
    if given is None or given == "" or given == {}:
        given = []
    if not isinstance(given, list) or len(given) > _MAX_DATABASES:
        raise refused("databases", f"Takes a list of at most {_MAX_DATABASES} connections.")
    found = Grants()
    for number, each in enumerate(given or [{}]):
        _add(found, each, f"databases[{number}]", default_name, site)
    return found


def _add(found: Grants, given: Any, path: str, default_name: str, site: Addresses) -> None:
    if not isinstance(given, dict):
        raise refused(path, "Takes an object.")
    engine_name = _engine(given.get("type"), f"{path}.type")
    if engine_name is None:
        return
    connection = given.get("connection") or {}
    path = f"{path}.connection"
    if not isinstance(connection, dict):
        raise refused(path, "Takes an object.")
    label = given.get("name") or default_name
    database = _name(connection.get("database") or label, f"{path}.database", engine_name)
    if database.lower() in _DATABASES_OF_SERVERS:
        raise refused(f"{path}.database", "Names a database of the server itself.")
    user = _name(connection.get("user") or default_name, f"{path}.user", engine_name)
    if user.lower() in _ACCOUNTS_OF_SERVERS or user.lower().startswith("pg_"):
        raise refused(f"{path}.user", "Names an account of the server itself.")
    account = Account(
        user,
        _hosts(connection.get("host"), f"{path}.host", site),
        _password(connection, f"{path}.password", found),
    )
    engine = found.engines.setdefault(engine_name, Engine())
    known = engine.accounts.setdefault(user, account)
    if known != account:
        raise refused(f"{path}.user", "Stands in another connection with a different password.")
    if (database, known) not in engine.grants:
        engine.grants.append((database, known))


def _engine(given: Any, path: str) -> str | None:
    if given is None or given == "":
        return _MARIADB
    if not isinstance(given, str):
        raise refused(path, "Takes the name of a database server, such as mariadb.")
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
        raise refused(path, f"Takes a printable name of at most {_NAME_BYTES} bytes, without \\.")
    return str(given)


def _hosts(given: Any, path: str, site: Addresses) -> tuple[str, ...]:
    """Where the site connects from: the server itself, its addresses, or else anywhere."""
    if given is None or given == "":
        return ("localhost",)
    if not isinstance(given, str):
        raise refused(path, "Takes a host name.")
    if given.lower() in _LOOPBACK or given.startswith("/"):
        return _LOOPBACK
    return (*site.ipv4, *site.ipv6) or ("%",)


def _password(connection: Document, path: str, found: Grants) -> str | None:
    """The opened password, or None where it is masked or there is none."""
    value = connection.get("password")
    if value is None or value == "":
        return None
    if not isinstance(value, Opened):
        found.masked.append(path)
        return None
    if "\0" in value or not value.isprintable():
        raise refused(path, "Holds a character that no password can.")
    return str(value)
