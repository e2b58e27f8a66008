"""The files for a database's clients: connection strings, client configuration and grants."""

from typing import Any
from urllib.parse import quote

from cms_services.downloads.database.accounts import Account
from cms_services.downloads.database.engines import (
    MARIADB,
    MONGODB,
    MYSQL,
    POSTGRESQL,
    REDIS,
    SQL_ENGINES,
)
from cms_services.downloads.database.settings import DatabaseSettings, database_settings
from cms_services.downloads.manifest import with_manifest
from cms_services.downloads.names import short_identity
from cms_services.downloads.rendering import render
from cms_services.downloads.subject import Subject

# The path in the bundle, and the template it is made from: packages leave hidden files out.
_POSTGRESQL_FILES = {
    "README.md": "postgresql/README.md.j2",
    ".pgpass": "postgresql/pgpass.j2",
    "pg_service.conf": "postgresql/pg_service.conf.j2",
    "create-database.sql": "postgresql/create-database.sql.j2",
    "grants.sql": "postgresql/grants.sql.j2",
}
_MYSQL_FILES = {
    "README.md": "mysql/README.md.j2",
    "my.cnf": "mysql/my.cnf.j2",
    "grants.sql": "mysql/grants.sql.j2",
}
_TEMPLATE_OF_FILE = {
    POSTGRESQL: _POSTGRESQL_FILES,
    MARIADB: _MYSQL_FILES,
    MYSQL: _MYSQL_FILES,
    REDIS: {"README.md": "other/README.md.j2"},
    MONGODB: {"README.md": "other/README.md.j2"},
}
_FILES_OF_ALL = {"connection.env": "connection.env.j2"}
_SCHEMES = {
    POSTGRESQL: ("postgresql", "postgresql"),
    MARIADB: ("mysql", "mysql"),
    MYSQL: ("mysql", "mysql"),
    REDIS: ("redis", "rediss"),
    MONGODB: ("mongodb", "mongodb"),
}
# How a driver is told to encrypt, where the scheme does not say it. Drivers for MariaDB and MySQL
# have no word in common.
_SSL_PARAMETER = {POSTGRESQL: "?sslmode=require", MONGODB: "?tls=true"}
_PLACEHOLDER = "REPLACE_ME"
_LABEL = {
    POSTGRESQL: "PostgreSQL",
    MARIADB: "MariaDB",
    MYSQL: "MySQL",
    REDIS: "Redis",
    MONGODB: "MongoDB",
}


def database_files(subject: Subject) -> dict[str, bytes]:
    """The files of the bundle, by path. Raises ServiceConfigError, DownloadGenerationFailed."""
    settings = database_settings(subject)
    values = _values(subject, settings)
    templates = _TEMPLATE_OF_FILE[settings.engine] | _FILES_OF_ALL
    files = {path: render(f"database/{template}", **values) for path, template in templates.items()}
    return with_manifest(files, "database", subject, _masked(settings))


def _masked(settings: DatabaseSettings) -> set[str]:
    """The paths of what is left out. A connection string stands for all that is in it."""
    accounts = settings.accounts
    paths = {each.password.path for each in accounts.listed if each.password.masked}
    paths |= {settings.masked_name} if settings.masked_name else set()
    paths |= {settings.uri.path} if settings.uri.masked else set()
    return paths.union(accounts.masked)


def _values(subject: Subject, settings: DatabaseSettings) -> dict[str, Any]:
    """What the templates can name."""
    accounts = settings.accounts
    return {
        "display_name": subject.service.name,
        "service_id": subject.service.service_id,
        "engine": settings.engine,
        "has_levels": settings.engine in SQL_ENGINES,
        "engine_name": _LABEL[settings.engine],
        "host": settings.host,
        "host_is_known": settings.host_is_known,
        "port": settings.port,
        "database": settings.database,
        "ssl": settings.ssl,
        "role_prefix": f"svc_{short_identity(subject.service.service_id)}",
        "client": "mysql" if settings.engine == MYSQL else "mariadb",
        "client_hosts": _client_hosts(settings),
        "accounts": [_account(settings, each, n) for n, each in enumerate(accounts.listed)],
        "accounts_are_known": accounts.named,
        "variable": accounts.variable,
        "passed_over": accounts.passed_over,
        "masked_uri": settings.uri.path if settings.uri.masked else None,
        "masked_names": [*accounts.masked, *filter(None, [settings.masked_name])],
    }


def _client_hosts(settings: DatabaseSettings) -> list[str]:
    """Where accounts of MariaDB and MySQL may come from: no farther than the clients are."""
    return ["localhost", "127.0.0.1", "::1"] if settings.is_local else ["%"]


def _account(settings: DatabaseSettings, account: Account, number: int) -> dict[str, Any]:
    password = account.password.value
    return {
        "name": account.name,
        "label": account.label,
        "level": account.level,
        "password": password or _PLACEHOLDER,
        "password_is_known": password is not None,
        "masked_password": account.password.path if account.password.masked else None,
        "variable": f"DATABASE_URL_{account.label.upper()}" if number else "DATABASE_URL",
        "url": _url(settings, account.name, password or _PLACEHOLDER),
    }


def _url(settings: DatabaseSettings, user: str, password: str) -> str:
    """The connection string, with everything percent-encoded (RFC 3986, 2.1)."""
    scheme = _SCHEMES[settings.engine][settings.ssl]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    account = f"{quote(user, safe='')}:{quote(password, safe='')}"
    address = f"{account}@{host}:{settings.port}/{quote(settings.database, safe='')}"
    return f"{scheme}://{address}{_SSL_PARAMETER.get(settings.engine, '') if settings.ssl else ''}"
