"""The parts of a configuration that checks are about: databases, external APIs, the memory limit.

Names may be spelled in snake_case, and what the schema does not know stands under `extra`.
"""

from base64 import b64encode
from typing import Any
from urllib.parse import urlsplit

from cms_services.configuration.check_fields import megabytes
from cms_services.configuration.documents import Opened
from cms_services.configuration.paths import camel_case
from cms_services.configuration.secrets import is_sealed, is_secret_form

_ENGINES = {
    "postgres": "postgresql",
    "postgresql": "postgresql",
    "pgsql": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
    "redis": "redis",
    "rediss": "redis",
    "valkey": "redis",
    "mongo": "mongodb",
    "mongodb": "mongodb",
    "mongodb+srv": "mongodb",
}
_CONNECTION = ("host", "port", "database", "user", "password", "uri", "ssl", "verify", "ca")


def section(document: Any, name: str) -> Any:
    """What stands in an object under a name, in either spelling, or under `extra`; else None."""
    if not isinstance(document, dict):
        return None
    for given, value in document.items():
        if camel_case(given) == name:
            return value
    extra = document.get("extra")
    return section(extra, name) if isinstance(extra, dict) else None


def text_of(value: Any) -> str:
    """A text, or an empty one for anything else."""
    return value if isinstance(value, str) else ""


def engine_of(word: str) -> str:
    """The name by which we know a kind of database; the word itself for an unknown one."""
    word = word.strip().lower().split("://", maxsplit=1)[0].split("+psycopg", maxsplit=1)[0]
    return _ENGINES.get(word, _ENGINES.get(word.partition("+")[0], word))


def databases_of(
    declared: dict[str, Any], configuration: dict[str, Any]
) -> list[tuple[str, dict[str, Any]]]:
    """Names and options of the databases that a check is about.

    It may have a connection of its own: `uri`, `host` or `connection`, or a URI as its target.
    Otherwise its target names one of `configuration.databases`, and without one it is all of them.
    """
    target = text_of(declared.get("target"))
    own = section(declared, "connection")
    if "://" in target:
        return [("", _database(declared.get("engine"), {"uri": target}) | {"target": ""})]
    if isinstance(own, dict) or declared.get("uri") or declared.get("host"):
        return [("", _database(declared.get("engine"), own if isinstance(own, dict) else declared))]
    databases = section(configuration, "databases")
    listed = databases if isinstance(databases, list) else [databases]
    found = []
    for each in listed:
        if isinstance(each, dict):
            name = text_of(each.get("name"))
            if not target or target == name:
                found.append((name, _database(each.get("type"), section(each, "connection"))))
    return found


def external_apis_of(
    declared: dict[str, Any], configuration: dict[str, Any]
) -> list[tuple[str, dict[str, Any]]]:
    """Names and options of the external APIs with an address that a check is about."""
    wanted = text_of(declared.get("target"))
    found = []
    apis = section(configuration, "externalApis")
    for each in apis if isinstance(apis, list) else []:
        base = text_of(section(each, "baseUrl"))
        name = text_of(each.get("name")) if isinstance(each, dict) else ""
        if base and wanted in ("", name):
            given = declared.get("headers")
            headers = _credentials(section(each, "authentication"))
            own = given if isinstance(given, dict) else {}
            found.append((name, {"target": base, "headers": headers | own}))
    return found


def memory_limit_of(configuration: dict[str, Any]) -> float | None:
    """`runtime.memoryLimit` in megabytes."""
    return megabytes(text_of(section(section(configuration, "runtime"), "memoryLimit")))


def _database(engine: Any, connection: Any) -> dict[str, Any]:
    known = {
        name: value
        for name in _CONNECTION
        if (value := section(connection, name)) not in (None, "")
    }
    if isinstance(options := section(connection, "options"), dict):
        known |= {n: options[n] for n in ("verify", "ca") if n in options}
    uri = known.get("uri")
    word = text_of(engine) or (uri if isinstance(uri, str) else "")
    return known | {"engine": engine_of(word) if word else None, "target": _shown(known)}


def _shown(connection: dict[str, Any]) -> str:
    """Where a database is, without what nobody else may see."""
    host, uri = connection.get("host"), connection.get("uri")
    if isinstance(uri, str):
        try:
            host = urlsplit(uri).hostname
        except ValueError:
            host = None
    return host if isinstance(host, str) else ""


def _credentials(authentication: Any) -> dict[str, Any]:
    """Header fields by an external API's `authentication`; a sealed secret stays sealed."""
    if not isinstance(authentication, dict):
        return {}
    kind = text_of(authentication.get("type")).lower()
    token, password = section(authentication, "token"), section(authentication, "password")
    key = section(authentication, "apiKey")
    user = section(authentication, "username")
    if password and isinstance(user, str):
        return {"Authorization": _put_together("basic", password, user)}
    if token and "api" not in kind:
        return {"Authorization": _put_together("bearer", token, "")}
    if key or token:
        header = text_of(section(authentication, "header")) or "X-API-Key"
        return {header: _inner(key or token)}
    return {}


def _inner(value: Any) -> Any:
    return value["value"] if is_secret_form(value) else value


def _put_together(scheme: str, secret: Any, user: str) -> Any:
    secret = _inner(secret)
    if is_sealed(secret) or not isinstance(secret, str):
        return secret
    if scheme == "bearer":
        return Opened(f"Bearer {secret}")
    return Opened("Basic " + b64encode(f"{user}:{secret}".encode()).decode())
