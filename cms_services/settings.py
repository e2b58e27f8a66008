"""Every setting: its name, default, what it takes, and the refusal of a bad value.

A value comes from the environment variable of the setting's name or, where `<NAME>_FILE` is set,
from that file (for mounted secrets). docs/settings.md lists them; a test keeps the two alike.
"""

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from flask import current_app
from marshmallow import ValidationError
from marshmallow import fields as take
from marshmallow.validate import Length, OneOf, Range, Regexp

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingError(Exception):
    """A setting's value can't be used. The message is the one line that the operator reads."""


class _CommaList(take.Field[list[str]]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[str]:
        return [part.strip() for part in str(value).split(",") if part.strip()]


def _origins_of(host: str) -> tuple[str, str]:
    return f"http://{host}", f"https://{host}"


class _Origins(_CommaList):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> list[str]:
        origins = super()._deserialize(value, *args, **kwargs)
        for origin in origins:
            parts = urlsplit(origin)
            if not parts.netloc or origin not in _origins_of(parts.netloc):
                raise ValidationError("Not an origin.")
        return origins


class _Networks(_CommaList):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return tuple(
                ipaddress.ip_network(part) for part in super()._deserialize(value, *args, **kwargs)
            )
        except ValueError as error:
            raise ValidationError("Not a network.") from error


class _Days(take.Integer):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return timedelta(days=super()._deserialize(value, *args, **kwargs) or 0)


class _Key256(take.Field[bytes]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bytes:
        try:
            key = base64.b64decode(str(value), validate=True)
        except ValueError as error:
            raise ValidationError("Not base64.") from error
        if len(key) != 32:
            raise ValidationError("Not 32 bytes.")
        return key


class _Switch(take.Boolean):
    truthy = {"true", "on", "1", "yes"}
    falsy = {"false", "off", "0", "no"}


class _Folder(take.Field[Path]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Path:
        try:
            return Path(str(value)).expanduser().resolve()
        except RuntimeError as error:
            raise ValidationError("Nobody's home folder.") from error


def _port_of(url: str) -> int | None:
    """Raises ValueError for a port that is no number."""
    return urlsplit(url).port


_PORT = take.Integer(validate=Range(1, 65535))
_DATABASE_SCHEMES = r"^(sqlite|postgres|postgresql|mysql|mariadb)(\+[a-z0-9]+)?://.*"


def _setting(name: str, parser: take.Field[Any], default: Any, takes: str, about: str) -> Any:
    """One setting: environment name, parser, default, what it takes and what it is for."""
    return field(
        default=default, metadata={"name": name, "parser": parser, "takes": takes, "about": about}
    )


@dataclass(frozen=True)
class Settings:
    """The settings of one running application, parsed and checked."""

    host: str = _setting(
        "HOST",
        take.String(validate=Length(1, 255)),
        "127.0.0.1",
        "an address to listen on",
        "Address that the web server listens on.",
    )
    port: int = _setting(
        "PORT",
        _PORT,
        8000,
        "a number from 1 to 65535",
        "Port that the web server listens on.",
    )
    data_dir: Path = _setting(
        "CMS_DATA_DIR",
        _Folder(),
        Path("instance").resolve(),
        "a folder",
        "Private folder for the SQLite database and the generated keys.",
    )
    database_url: str | None = _setting(
        "DATABASE_URL",
        take.String(validate=Regexp(_DATABASE_SCHEMES)),
        None,
        "a URL that begins with sqlite://, postgresql:// (or postgres://), mysql:// or mariadb://",
        "Database. Default: SQLite in the data folder.",
    )
    redis_url: str | None = _setting(
        "REDIS_URL",
        take.String(validate=[Regexp(r"^(rediss?|unix)://.*"), _port_of]),
        None,
        "a URL that begins with redis://, rediss:// or unix://",
        "Redis for rate limits that several processes share. Default: each process by itself.",
    )
    secret_key: str | None = _setting(
        "SECRET_KEY",
        take.String(validate=Length(16)),
        None,
        "a random text of at least 16 characters, better 32",
        "Signs sessions and tokens. Default: generated into the data folder at the first start.",
    )
    encryption_key: bytes | None = _setting(
        "ENCRYPTION_KEY",
        _Key256(),
        None,
        "32 random bytes in base64, as `openssl rand -base64 32` prints",
        "Encrypts stored secrets. Default: generated into the data folder at the first start.",
    )
    admin_email: str = _setting(
        "CMS_ADMIN_EMAIL",
        take.Email(validate=Length(max=255)),
        "admin@example.com",
        "an e-mail address",
        "Account of the first admin, made when there is no account yet.",
    )
    admin_password: str | None = _setting(
        "CMS_ADMIN_PASSWORD",
        take.String(),
        None,
        "at least 8 characters with a lower case letter, an upper case letter and a digit",
        "Password of the first admin. Default: generated and printed once.",
    )
    web_concurrency: int = _setting(
        "WEB_CONCURRENCY",
        take.Integer(validate=Range(1, 256)),
        1,
        "a number from 1 to 256",
        "Web server processes. With several, set REDIS_URL so that they count limits together.",
    )
    web_threads: int = _setting(
        "WEB_THREADS",
        take.Integer(validate=Range(1, 256)),
        8,
        "a number from 1 to 256",
        "Threads of each web server process.",
    )
    trusted_origins: tuple[str, ...] = _setting(
        "TRUSTED_ORIGINS",
        _Origins(),
        (),
        "origins such as https://cms.example.com, separated by commas",
        "Other sites whose pages may change data with our session cookie.",
    )
    trusted_proxies: int = _setting(
        "TRUSTED_PROXIES",
        take.Integer(validate=Range(0, 10)),
        0,
        "a number from 0 to 10",
        "How many reverse proxies stand before us; their X-Forwarded-* headers are believed.",
    )
    probe_allowed_networks: tuple[Network, ...] = _setting(
        "PROBE_ALLOWED_NETWORKS",
        _Networks(),
        (),
        "networks such as 10.0.0.0/8,127.0.0.1/32, separated by commas",
        "Private networks that health checks may reach. Default: public addresses only.",
    )
    legacy_envelope: str = _setting(
        "LEGACY_ENVELOPE",
        take.String(validate=Regexp(r"^(?!success$|error$|meta$)[A-Za-z_][A-Za-z0-9_]{0,63}\Z")),
        "wrapped",
        "wrapped, bare, or a key name such as services (not success, error or meta)",
        "Shape of a successful services.php answer.",
    )
    legacy_status: str = _setting(
        "LEGACY_STATUS",
        take.String(validate=OneOf(["http", "always-200"])),
        "http",
        "http or always-200",
        "HTTP status of a services.php answer that reports an error.",
    )
    registration: str = _setting(
        "REGISTRATION",
        take.String(validate=OneOf(["open", "closed"])),
        "closed",
        "open or closed",
        "Whether anybody may make an account by /api/auth/register.",
    )
    rate_limits: bool = _setting(
        "RATE_LIMITS",
        _Switch(),
        True,
        "on or off",
        "Rate limits. Off is for load tests.",
    )
    confirm_delete: bool = _setting(
        "CONFIRM_DELETE",
        _Switch(),
        False,
        "true or false",
        "Whether cancelling by REST needs ?confirm=<name> or the header X-Confirm-Name.",
    )
    log_level: str = _setting(
        "LOG_LEVEL",
        take.String(validate=OneOf(["debug", "info", "warning", "error"])),
        "info",
        "debug, info, warning or error",
        "The least level of log lines on stdout.",
    )
    service_retention: timedelta = _setting(
        "SERVICE_RETENTION_DAYS",
        _Days(validate=Range(timedelta(0), timedelta(3650))),
        timedelta(days=30),
        "a number of days from 0 to 3650",
        "How long a cancelled service can be restored before it is purged.",
    )
    log_retention: timedelta = _setting(
        "LOG_RETENTION_DAYS",
        _Days(validate=Range(timedelta(1), timedelta(3650))),
        timedelta(days=30),
        "a number of days from 1 to 3650",
        "How long the services' log entries are kept.",
    )
    metric_retention: timedelta = _setting(
        "METRIC_RETENTION_DAYS",
        _Days(validate=Range(timedelta(1), timedelta(3650))),
        timedelta(days=90),
        "a number of days from 1 to 3650",
        "How long the services' metric samples and health reports are kept.",
    )

    @property
    def effective_database_url(self) -> str:
        """The database URL in force: the one set, else SQLite in the data folder."""
        return self.database_url or f"sqlite:///{self.data_dir / 'cms-services.sqlite3'}"


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings from an environment.

    Raises SettingError, whose message names the setting and says what it takes.
    """
    values: dict[str, Any] = {}
    for each in fields(Settings):
        name: str = each.metadata["name"]
        raw = _raw_value(name, environment)
        if raw is None:
            continue
        try:
            parsed = each.metadata["parser"].deserialize(raw)
        except (ValidationError, ValueError, OverflowError) as error:
            raise SettingError(f"{name}: takes {each.metadata['takes']}.") from error
        values[each.name] = tuple(parsed) if isinstance(parsed, list) else parsed
    return Settings(**values)


def current_settings() -> Settings:
    """The settings of the application whose context we are in."""
    return cast(Settings, current_app.extensions["cms_services.settings"])


def _raw_value(name: str, environment: Mapping[str, str]) -> str | None:
    file_name = environment.get(f"{name}_FILE")
    if file_name:
        if environment.get(name):
            raise SettingError(f"{name}: set either {name} or {name}_FILE, not both.")
        try:
            return Path(file_name).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(f"{name}_FILE: takes the path of a readable text file.") from error
    # An empty variable is how shells and compose files say "not set".
    return environment.get(name) or None
