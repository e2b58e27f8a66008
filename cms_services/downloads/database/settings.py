"""What a configuration says about a database: engine, address, name and accounts."""

import ipaddress
import re
from dataclasses import dataclass

from cms_services.configuration.documents import Document
from cms_services.downloads import configured
from cms_services.downloads.configured import refused
from cms_services.downloads.configured_lists import Item, Secret, root
from cms_services.downloads.names import host_name, kubernetes_name, short_identity
from cms_services.downloads.subject import Subject

POSTGRESQL, MARIADB, MYSQL, REDIS, MONGODB = "postgresql", "mariadb", "mysql", "redis", "mongodb"
SQL_ENGINES = (POSTGRESQL, MARIADB, MYSQL)

_DEFAULT_PORT = {POSTGRESQL: 5432, MARIADB: 3306, MYSQL: 3306, REDIS: 6379, MONGODB: 27017}
_OTHER_NAMES = {"postgres": POSTGRESQL, "pgsql": POSTGRESQL, "mongo": MONGODB}
_ENGINE = re.compile(r"[A-Za-z]{2,20}(?:[ :-]?v?\d[\w.-]{0,30})?", re.ASCII)
_ENGINE_HINT = "Takes postgresql, mariadb, mysql, redis or mongodb."
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
_LONGEST_ACCOUNT = {POSTGRESQL: 63, MARIADB: 80, MYSQL: 32, REDIS: 80, MONGODB: 80}
_LONGEST_PASSWORD = 250
_MAX_REDIS_DATABASE = 9999
_NOT_IN_MONGODB_NAMES = frozenset('/\\. "$*<>:|?')
_SYSTEM_DATABASES = {
    POSTGRESQL: {"template0", "template1"},
    MARIADB: {"mysql", "information_schema", "performance_schema", "sys"},
    MYSQL: {"mysql", "information_schema", "performance_schema", "sys"},
}
_SYSTEM_ACCOUNTS = {
    POSTGRESQL: {"postgres", "public", "none"},
    MARIADB: {"root", "mysql", "mariadb.sys", "PUBLIC"},
    MYSQL: {"root", "mysql.sys", "mysql.session", "mysql.infoschema"},
}
_LEVELS = {
    "read": ("read", "readonly", "read-only", "select"),
    "write": ("write", "readwrite", "read-write"),
    "owner": ("owner", "all"),
}
_PRIVILEGE = re.compile("|".join(word for words in _LEVELS.values() for word in words), re.I)
_RANKS = tuple(_LEVELS)


@dataclass(frozen=True)
class Account:
    """Somebody who connects. `label` stands for the name where only letters and digits may be."""

    name: str
    label: str
    level: str
    password: Secret


@dataclass(frozen=True)
class DatabaseSettings:
    """A database to connect to. `database` is a number for Redis; `host` is not bracketed."""

    engine: str
    host: str
    port: int
    database: str
    ssl: bool
    accounts: list[Account]
    host_is_known: bool
    accounts_are_known: bool

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
    described = listed[0] if listed else Item("databases[0]", {})
    connection, networking = described.section("connection"), document.section("networking")
    engine = _engine(document, described)
    host = _host([networking.member("host"), connection.member("host"), document.member("host")])
    ports = [each.member("port") for each in (networking, connection, document)]
    encrypted = [each.member("ssl") for each in (networking, connection)]
    fallback = f"{short_identity(subject.service.service_id)}.example.invalid"
    slug = kubernetes_name(subject.service.name, "app").replace("-", "_")
    accounts = _accounts(document, engine) or _account_of_connection(connection, engine)
    return DatabaseSettings(
        engine=engine,
        host=host or fallback,
        port=_first(ports).number(1, 65535, _DEFAULT_PORT[engine]),
        database=_database(subject.document, connection.member("database"), engine, slug),
        ssl=_first(encrypted).switch(),
        accounts=accounts or [_account_without_a_name(engine, slug)],
        host_is_known=host is not None,
        accounts_are_known=bool(accounts),
    )


def _first(items: list[Item]) -> Item:
    """The first that holds something."""
    return next((each for each in items if each.value is not None), items[0])


def _engine(document: Item, described: Item) -> str:
    stated = _first([document.section("runtime").member("engine"), described.member("type")])
    text = stated.text(_ENGINE, _ENGINE_HINT)
    if text is None:
        return POSTGRESQL
    word = re.split(r"[^a-z]", text.lower())[0]
    engine = _OTHER_NAMES.get(word, word)
    if engine not in _DEFAULT_PORT:
        raise refused(stated.path, _ENGINE_HINT)
    return engine


def _host(items: list[Item]) -> str | None:
    """The first that says where to connect to: 0.0.0.0 says only where a server listens."""
    for item in items:
        text = item.text(_ANY_TEXT, "Takes a host name or an address.")
        if text is None:
            continue
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return _named_host(text, item.path)
        if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
            raise refused(item.path, "Takes an address without a zone.")
        if not address.is_unspecified:
            return str(address)
    return None


def _named_host(text: str, path: str) -> str:
    if len(text) <= 253 and _HOST.fullmatch(text):
        return text
    host = host_name(text)
    if host is None:
        raise refused(path, "Takes a host name or an address.")
    return host


def _database(document: Document, stated: Item, engine: str, slug: str) -> str:
    if engine == REDIS:
        return str(stated.number(0, _MAX_REDIS_DATABASE, 0))
    if stated.value is None:
        variables = configured.variables(document, lambda name: True, "")
        for name in _VARIABLES[engine]:
            if variables.plain.get(name):
                stated = Item(f"environment.{name}", variables.plain[name])
                break
    named = _name(stated, engine, _LONGEST_DATABASE[engine])
    if named is None:
        return slug
    if engine == MONGODB and _NOT_IN_MONGODB_NAMES & set(named):
        raise refused(stated.path, "Holds a character that no name of a MongoDB database can.")
    if named.lower() in _SYSTEM_DATABASES.get(engine, ()):
        raise refused(stated.path, "Is a database of the server's own.")
    return named


def _name(item: Item, engine: str, longest: int) -> str | None:
    """A name that the engine can have, of a database or of an account."""
    hint = f"Takes a printable name of at most {longest} octets."
    text = item.text(_ANY_TEXT, hint)
    if text is None:
        return None
    if not text.isprintable() or text != text.strip() or len(text.encode()) > longest:
        raise refused(item.path, hint)
    if engine in (MARIADB, MYSQL) and any(ord(each) > 0xFFFF for each in text):
        raise refused(item.path, f"Holds a character that no name in {engine} can.")
    return text


def _accounts(document: Item, engine: str) -> list[Account]:
    accounts: dict[str, Account] = {}
    for number, item in enumerate(document.member("users").items(), 1):
        name = _account_name(item.member("name"), engine)
        if name is None or name in accounts:
            raise refused(item.member("name").path, "Takes a name that no other user has.")
        label = _label(name, number, {each.label for each in accounts.values()})
        password = item.member("password").secret(_LONGEST_PASSWORD)
        accounts[name] = Account(name, label, _level(item.member("privileges")), password)
    return list(accounts.values())


def _account_of_connection(connection: Item, engine: str) -> list[Account]:
    """The account that the connection names, which has to read and write."""
    name = _account_name(connection.member("user"), engine)
    password = connection.member("password").secret(_LONGEST_PASSWORD)
    if name is None and (password.value or password.masked) and engine == REDIS:
        name = "default"
    return [] if name is None else [Account(name, _label(name, 1, set()), "write", password)]


def _account_without_a_name(engine: str, slug: str) -> Account:
    name = "default" if engine == REDIS else slug[: _LONGEST_ACCOUNT[engine]]
    if name in _SYSTEM_ACCOUNTS.get(engine, ()) or name.startswith(("pg_", "svc_")):
        name = f"app_{name}"[: _LONGEST_ACCOUNT[engine]]
    return Account(name, _label(name, 1, set()), "owner", Secret("", None, False))


def _account_name(item: Item, engine: str) -> str | None:
    name = _name(item, engine, _LONGEST_ACCOUNT[engine])
    # svc_ begins the names of the roles that grants.sql makes.
    taken = engine == POSTGRESQL and (name or "").startswith(("pg_", "svc_"))
    if name in _SYSTEM_ACCOUNTS.get(engine, ()) or taken:
        raise refused(item.path, "Is a name that the server or this bundle keeps for itself.")
    return name


def _label(name: str, number: int, taken: set[str]) -> str:
    base = label = kubernetes_name(name, f"user-{number}").replace("-", "_")
    while label in taken:
        label = f"{base}_{number}"
        number += 1
    return label


def _level(item: Item) -> str:
    """The widest level that is asked for; nobody gets more than to read unasked."""
    hint = "Takes read, write or owner."
    ranks = [0]
    for each in item.items(single=True):
        word = each.text(_PRIVILEGE, hint)
        if word is None:
            raise refused(each.path, hint)
        ranks.append(next(n for n, level in enumerate(_RANKS) if word.lower() in _LEVELS[level]))
    return _RANKS[max(ranks)]
