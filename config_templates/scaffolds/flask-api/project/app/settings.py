"""Every setting, read from the environment once, at the start. README.md explains them."""

import re
from collections.abc import Mapping
from typing import Any

_DEVELOPMENT_SECRET = "for-development-alone-" + "x" * 32
_LEAST_SECRET_BYTES = 32


class SettingError(Exception):
    """A setting that can't be used. The message names it, and never repeats a secret."""


def load_settings(environ: Mapping[str, str]) -> dict[str, Any]:
    """Flask's configuration from an environment, in which empty is the same as not set.

    Raises SettingError.
    """
    database = _database(environ)
    return {
        "SQLALCHEMY_DATABASE_URI": database,
        "SQLALCHEMY_ENGINE_OPTIONS": _engine_options(database),
        "MAX_CONTENT_LENGTH": 1024 * 1024,
        "JWT_SECRET": _jwt_secret(environ),
        "ACCESS_TOKEN_MINUTES": number(environ, "ACCESS_TOKEN_MINUTES", 15, 1, 24 * 60),
        "REFRESH_TOKEN_DAYS": number(environ, "REFRESH_TOKEN_DAYS", 7, 1, 90),
        "REGISTRATION": _word(environ, "REGISTRATION", ("open", "closed")),
        "METRICS_TOKEN": environ.get("METRICS_TOKEN") or None,
        "LOG_LEVEL": _word(environ, "LOG_LEVEL", ("info", "debug", "warning", "error")).upper(),
        "LOG_TARGET": _log_target(environ),
    }


def number(environ: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    """A setting that is a number, in these bounds. Raises SettingError."""
    text = environ.get(name) or str(default)
    if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
        raise SettingError(f"{name}: takes a number from {low} to {high}.")
    return int(text)


def _database(environ: Mapping[str, str]) -> str:
    """SQLite in the instance folder, unless DATABASE_URL says otherwise."""
    url = environ.get("DATABASE_URL") or "sqlite:///app.sqlite3"
    if "://" not in url:
        raise SettingError("DATABASE_URL: takes a URL such as postgresql://user@host/name.")
    # The short form of many hosts, which SQLAlchemy no longer reads; psycopg is the driver here.
    return re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url)


def _engine_options(database: str) -> dict[str, Any]:
    if not database.startswith("postgresql"):
        return {}
    return {
        "pool_pre_ping": True,
        "pool_timeout": 5,
        "connect_args": {"connect_timeout": 3},
    }


def _jwt_secret(environ: Mapping[str, str]) -> str:
    is_development = environ.get("FLASK_ENV") == "development"
    secret = environ.get("JWT_SECRET") or (_DEVELOPMENT_SECRET if is_development else "")
    if len(secret.encode()) < _LEAST_SECRET_BYTES:
        raise SettingError(
            f"JWT_SECRET: takes at least {_LEAST_SECRET_BYTES} bytes, such as those of"
            " `openssl rand -hex 32`. It may be left out only where FLASK_ENV=development."
        )
    return secret


def _log_target(environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Where logs are sent, and the token for it; None where no CMS is set."""
    names = ("CMS_URL", "CMS_SERVICE_ID", "CMS_INGEST_TOKEN")
    url, service, token = (environ.get(name, "") for name in names)
    if not (url and service and token):
        missing = [name for name in names if not environ.get(name)]
        if len(missing) < len(names):
            raise SettingError(f"{missing[0]}: is needed too; logs are sent with all three.")
        return None
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", url):
        raise SettingError("CMS_URL: takes a URL such as https://services.example.com.")
    if not re.fullmatch(r"[\w.~-]+", service, re.ASCII):
        raise SettingError("CMS_SERVICE_ID: takes letters, digits, '.', '_', '~' and '-'.")
    if not re.fullmatch(r"[!-~]+", token):
        raise SettingError("CMS_INGEST_TOKEN: takes printable ASCII without spaces.")
    return f"{url.rstrip('/')}/api/services/{service}/logs", token


def _word(environ: Mapping[str, str], name: str, words: tuple[str, ...]) -> str:
    """One of the words, the first where none is set."""
    value = environ.get(name) or words[0]
    if value not in words:
        raise SettingError(f"{name}: takes {', '.join(words)}.")
    return value
