"""What a database check connects to, read from its options or a URI."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from cms_services.monitoring.probes.parts import engine_of

_DEFAULT_PORTS = {"postgresql": 5432, "mysql": 3306, "redis": 6379, "mongodb": 27017}
_MOST_HOSTS = 5
# Of the words that drivers have for it, those that ask for encryption and for a certificate that
# holds, and those that ask for encryption alone.
_VERIFIED = {"verify-full", "verify-ca", "verify_identity", "verify_ca", "true", "1"}
_ENCRYPTED = {"require", "required"}


@dataclass(frozen=True, slots=True)
class Connection:
    """`srv` says that the only host is a name whose SRV records have the hosts."""

    engine: str
    hosts: tuple[tuple[str, int], ...]
    user: str
    password: str
    database: str
    tls: bool
    verify: bool
    ca: str | None
    srv: bool = False


def connection_of(options: dict[str, Any]) -> Connection:
    """Read a check's options. Raises ValueError for what names no database that we know."""
    uri = options.get("uri")
    if uri:
        return _of_uri(uri, options)
    engine = options.get("engine", "")
    port = options.get("port") or _default_port(engine)
    host = options.get("host")
    if not host:
        raise ValueError("the database has neither a host nor a uri")
    return Connection(
        engine,
        ((_host(host), int(port)),),
        options.get("user", ""),
        options.get("password", ""),
        options.get("database", ""),
        options.get("ssl", False),
        options.get("verify", True),
        options.get("ca"),
    )


def _of_uri(uri: str, options: dict[str, Any]) -> Connection:
    scheme, separator, rest = uri.partition("://")
    engine = engine_of(scheme)
    if not separator:
        raise ValueError("the uri takes a form such as postgresql://user@db.example.com/app")
    port = _default_port(engine)
    # Several hosts stand in MongoDB's and PostgreSQL's URIs, which no parser of URLs expects.
    before, _, query = rest.partition("?")
    authority, _, path = before.partition("/")
    credentials, _, hosts = authority.rpartition("@")
    user, _, password = credentials.partition(":")
    said = {name.lower(): value.lower() for name, value in parse_qsl(query)}
    srv = scheme.lower().endswith("+srv")
    word = next((said[n] for n in ("sslmode", "ssl-mode", "ssl", "tls") if n in said), "")
    secure_scheme = srv or scheme.lower() == "rediss"
    tls = options.get("ssl", secure_scheme or word in _VERIFIED | _ENCRYPTED)
    insecure = said.get("tlsinsecure") == "true" or said.get("ssl_cert_reqs") == "none"
    return Connection(
        engine,
        tuple(_host_and_port(each, port) for each in hosts.split(",")[:_MOST_HOSTS]),
        unquote(user) or options.get("user", ""),
        unquote(password) or options.get("password", ""),
        unquote(path) or options.get("database", ""),
        tls,
        options.get("verify", not insecure and word not in _ENCRYPTED),
        options.get("ca"),
        srv,
    )


def _default_port(engine: str) -> int:
    if engine not in _DEFAULT_PORTS:
        known = ", ".join(_DEFAULT_PORTS)
        raise ValueError(f"there is no check for the database {engine[:64]!r}, only for {known}")
    return _DEFAULT_PORTS[engine]


def _host_and_port(text: str, default: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("the uri names no host")
    return _host(parts.hostname), parts.port or default


def _host(text: str) -> str:
    # libpq would take a folder for a socket and a comma for a list.
    if not text or any(each in text for each in "/,@\\ \x00"):
        raise ValueError("the host is no name and no address")
    return text
