"""What a configuration says about a database: engine, address, name and accounts."""

import ipaddress
import re
from dataclasses import dataclass

from cms_services.downloads.configured import refused
from cms_services.downloads.configured_lists import Item, root
from cms_services.downloads.database.accounts import Accounts, accounts_of, variable
from cms_services.downloads.database.engines import (
    DEFAULT_PORT,
    ENGINE_HINT,
    MARIADB,
    MONGODB,
    MYSQL,
    POSTGRESQL,
    REDIS,
    engine_called,
    engine_name,
)
from cms_services.downloads.database.uri import ConnectionUri, connection_uri
from cms_services.downloads.names import host_name, kubernetes_name, short_identity
from cms_services.downloads.subject import Subject
from cms_services.wording import worded

_ENGINE = re.compile(r"[A-Za-z]{2,20}(?:[ :-]?v?\d[\w.-]{0,30})?", re.ASCII)
# Where images of these engines look for the name of their database.
_VARIABLES = {
    POSTGRESQL: ("POSTGRES_DB",),
    MARIADB: ("MARIADB_DATABASE", "MYSQL_DATABASE"),
    MYSQL: ("MYSQL_DATABASE",),
    MONGODB: ("MONGO_INITDB_DATABASE",),
}
_HOST_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"{_HOST_LABEL}(?:\.{_HOST_LABEL})*")
_ANY_TEXT = re.compile(r".*", re.DOTALL)
_LONGEST_DATABASE = {POSTGRESQL: 63, MARIADB: 64, MYSQL: 64, MONGODB: 63}
_MAX_REDIS_DATABASE = 9999
_NOT_IN_MONGODB_NAMES = frozenset('/\\. "$*<>:|?')
_SYSTEM_DATABASES = {
    POSTGRESQL: {"template0", "template1"},
    MARIADB: {"mysql", "information_schema", "performance_schema", "sys"},
    MYSQL: {"mysql", "information_schema", "performance_schema", "sys"},
}


@dataclass(frozen=True)
class DatabaseSettings:
    """A database to connect to. `database` is a number for Redis; `host` is not bracketed.

    `masked_name` is the path of the database's name where that must not be shown.
    """

    engine: str
    host: str
    port: int
    database: str
    ssl: bool
    accounts: Accounts
    uri: ConnectionUri
    host_is_known: bool
    masked_name: str | None

    @property
    def is_local(self) -> bool:
        """Whether clients run on the server itself."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def database_settings(subject: Subject) -> DatabaseSettings:
    """Read the settings. Raises ServiceConfigError for what can't be used."""
    document = root(subject.document)
    listed = document.member("databases").items()
    described = listed[0] if listed else Item("databases.0", {})
    connection, networking = described.section("connection"), document.section("networking")
    uri = connection_uri(connection.member("uri"))
    engine = _engine(document, described, uri)
    ports = [each.member("port") for each in (networking, connection, document)]
    hosts = [each.member("host") for each in (networking, connection, document)]
    encrypted = [each.member("ssl") for each in (networking, connection)]
    host = _host([*hosts, uri.part("host")])
    fallback = f"{short_identity(subject.service.service_id)}.example.invalid"
    slug = kubernetes_name(subject.service.name, "app").replace("-", "_")
    named = _first([connection.member("database"), uri.part("database")])
    in_environment = variable(subject.document, _VARIABLES.get(engine, ()))
    if named.value is None and engine != REDIS:
        named = Item(in_environment.path, in_environment.value)
    return DatabaseSettings(
        engine=engine,
        host=host or fallback,
        port=_first([*ports, uri.part("port")]).number(1, 65535, DEFAULT_PORT[engine]),
        database=_database(named, engine) or slug,
        ssl=_first([*encrypted, uri.part("ssl")]).switch(),
        accounts=accounts_of(document, connection, uri, engine, slug),
        uri=uri,
        host_is_known=host is not None,
        masked_name=named.path if named.value is None and in_environment.masked else None,
    )


def _first(items: list[Item]) -> Item:
    """The first that holds something."""
    return next((each for each in items if each.value is not None), items[0])


def _engine(document: Item, described: Item, uri: ConnectionUri) -> str:
    stated = _first([document.section("runtime").member("engine"), described.member("type")])
    text = stated.text(_ENGINE, ENGINE_HINT)
    if text is None:
        return uri.engine or POSTGRESQL
    engine = engine_called(text)
    if engine is None:
        raise refused(stated.path, ENGINE_HINT)
    # MariaDB's clients take the scheme of MySQL, too.
    if uri.engine and uri.engine != engine and {uri.engine, engine} != {MARIADB, MYSQL}:
        raise refused(
            uri.path, worded("Is for another engine than %(path)s says.", path=stated.path)
        )
    return engine


def _host(items: list[Item]) -> str | None:
    """The first that says where to connect to: 0.0.0.0 says only where a server listens."""
    for item in items:
        text = item.text(_ANY_TEXT, worded("Takes a host name or an address."))
        if text is None:
            continue
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return _named_host(text, item.path)
        if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
            raise refused(item.path, worded("Takes an address without a zone."))
        if not address.is_unspecified:
            return str(address)
    return None


def _named_host(text: str, path: str) -> str:
    if len(text) <= 253 and _HOST.fullmatch(text):
        return text
    host = host_name(text)
    if host is None:
        raise refused(path, worded("Takes a host name or an address."))
    return host


def _database(stated: Item, engine: str) -> str | None:
    if engine == REDIS:
        return str(stated.number(0, _MAX_REDIS_DATABASE, 0))
    named = engine_name(stated, engine, _LONGEST_DATABASE[engine])
    if named is None:
        return None
    if engine == MONGODB and _NOT_IN_MONGODB_NAMES & set(named):
        raise refused(
            stated.path, worded("Holds a character that no name of a MongoDB database can.")
        )
    if named.lower() in _SYSTEM_DATABASES.get(engine, ()):
        raise refused(stated.path, worded("Is a database of the server's own."))
    return named
