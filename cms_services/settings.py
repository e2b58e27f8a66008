"""Every setting: its name, default, what it takes, and the refusal of a bad value.

A value comes from the environment variable of the setting's name or, where `<NAME>_FILE` is set,
from that file (for mounted secrets). docs/settings.md lists them; a test keeps the two alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from flask import current_app
from marshmallow import ValidationError
from marshmallow import fields as take
from marshmallow.validate import Length, OneOf, Range, Regexp

from cms_services.setting_types import (
    LEAST_SECRET_LENGTH,
    Days,
    Duration,
    FilePath,
    Folder,
    Instant,
    Keys256,
    Listeners,
    Network,
    Networks,
    Origins,
    RateLimits,
    Recipients,
    Secrets,
    SessionFiles,
    SessionPlace,
    SessionRedis,
    SiteUrl,
    Switch,
    Words,
    port_of,
    require_redis_url,
)


class SettingError(Exception):
    """A setting's value can't be used. The message is the one line that the operator reads."""


_PORT = take.Integer(validate=Range(1, 65535))
_DURATION = "a number with a unit, such as 30m, 24h or 7d, from 1m to 3650d"
# The time of a session's last request is noted once a minute; with less it would end too early.
_LEAST_IDLE = timedelta(minutes=5)
_DAYS = "a number of days from 1 to 3650"
_LIMITS = "limits such as 10 per minute; 100 per 2 hours"
# RFC 6265, section 4.1.1, save for what PHP would change in a name.
_COOKIE_NAME = r"(?!(?:__Host-)?cms_session\Z)[A-Za-z0-9!#$%&'*+^`|~_-]{1,100}\Z"
_PATH_IN_SESSION = r"(?=.{1,200}\Z)[^.\s]+(?:\.[^.\s]+)*\Z"
_PAGE = r"(?:https?://[^\s/?#\\]+(?:[/?#][!-~]*)?|/(?![/\\])[!-~]*)\Z"
_HOST_NAME = r"(?:[A-Za-z0-9_.-]{1,255}|[0-9A-Fa-f:.]{2,45})\Z"
_VISIBLE = r"[!-~]+\Z"
_LINK = r"[!#-;=?-~]+\Z"
_INSTANT = "a day such as 2030-01-31, or a time such as 2030-01-31T12:00:00Z"
_LOG_TARGETS = r"(?:https?|syslog|syslog\+tcp)://[^\s/?#]+"
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
        Folder(),
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
        take.String(validate=[Regexp(r"^(rediss?|unix)://.*"), require_redis_url]),
        None,
        "a URL that begins with redis://, rediss:// or unix://",
        "Redis for what several processes share: rate limits, ended sessions. Default: none.",
    )
    secret_key: str | None = _setting(
        "SECRET_KEY",
        take.String(validate=Length(LEAST_SECRET_LENGTH)),
        None,
        "a random text of at least 16 characters, better 32",
        "Signs sessions and tokens. Default: generated into the data folder at the first start.",
    )
    secret_key_previous: tuple[str, ...] = _setting(
        "SECRET_KEY_PREVIOUS",
        Secrets(),
        (),
        "earlier values of SECRET_KEY of 16 characters or more, separated by blanks or line ends",
        "What they signed stays valid, so that a new SECRET_KEY signs nobody out.",
    )
    encryption_keys: tuple[bytes, ...] = _setting(
        "ENCRYPTION_KEY",
        Keys256(),
        (),
        "32 random bytes in base64, as `openssl rand -base64 32` prints; or several, with commas",
        "Encrypts stored secrets: the first key seals, all open. Default: made at the first start.",
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
    # The OWASP cheat sheet's least for three passes is 12 MiB, RFC 9106's second choice 64.
    password_hash_memory: int = _setting(
        "PASSWORD_HASH_MEMORY_MB",
        take.Integer(validate=Range(12, 4096)),
        64,
        "a number from 12 to 4096",
        "MiB that hashing a password takes (argon2id), for as long as it takes.",
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
    worker_beside_web: bool = _setting(
        "WORKER_BESIDE_WEB",
        Switch(),
        True,
        "on or off",
        "Whether a worker process is kept beside the web server. Off: workers run by themselves.",
    )
    request_timeout: int = _setting(
        "REQUEST_TIMEOUT",
        take.Integer(validate=Range(1, 600)),
        30,
        "a number of seconds from 1 to 600",
        "How long a client may take to send a request.",
    )
    shutdown_delay: int = _setting(
        "SHUTDOWN_DELAY",
        take.Integer(validate=Range(0, 300)),
        0,
        "a number of seconds from 0 to 300",
        "How long, before it stops, the server still answers while /readyz says that it will.",
    )
    trusted_origins: tuple[str, ...] = _setting(
        "TRUSTED_ORIGINS",
        Origins(),
        (),
        "origins such as https://cms.example.com, separated by commas",
        "Other sites whose pages may call us, with our session cookie too (CORS).",
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
        Networks(),
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
    php_sessions: SessionFiles | SessionRedis | None = _setting(
        "PHP_SESSIONS",
        SessionPlace(),
        None,
        "files:<folder>, files:<depth>;<folder> or a URL that begins with redis://, rediss:// or "
        "unix://",
        "Sessions of the PHP CMS: who is signed in there is here too. Default: none.",
    )
    php_session_cookie: str = _setting(
        "PHP_SESSION_COOKIE",
        take.String(validate=Regexp(_COOKIE_NAME)),
        "PHPSESSID",
        "the name of a cookie, but not cms_session",
        "Cookie of PHP_SESSIONS, as session.name says it to PHP.",
    )
    php_session_user: str = _setting(
        "PHP_SESSION_USER",
        take.String(validate=Regexp(_PATH_IN_SESSION)),
        "user.id",
        "names separated by dots",
        "Where the id of the account stands within a PHP session.",
    )
    php_session_lifetime: timedelta = _setting(
        "PHP_SESSION_LIFETIME",
        Duration(),
        timedelta(minutes=24),
        _DURATION,
        "How long a PHP session lasts without a request, as session.gc_maxlifetime says it to PHP.",
    )
    php_session_format: str = _setting(
        "PHP_SESSION_FORMAT",
        take.String(validate=OneOf(["auto", "php", "php_serialize", "php_binary"])),
        "auto",
        "auto, php, php_serialize or php_binary",
        "How PHP writes sessions: its session.serialize_handler.",
    )
    php_logout_url: str | None = _setting(
        "PHP_LOGOUT_URL",
        take.String(validate=Regexp(_PAGE)),
        None,
        "a URL, or a path such as /logout.php",
        "Page of the PHP CMS for signing out, where Sign out leads whom its session brought.",
    )
    legacy_routes: Path | None = _setting(
        "LEGACY_ROUTES",
        FilePath(),
        None,
        "the path of a table of actions in YAML",
        "Which actions of services.php are passed on to PHP. Default: none.",
    )
    legacy_php_timeout: int = _setting(
        "LEGACY_PHP_TIMEOUT",
        take.Integer(validate=Range(1, 600)),
        30,
        "a number of seconds from 1 to 600",
        "How long PHP may be silent while it answers what is passed on.",
    )
    legacy_usage_retention: timedelta = _setting(
        "LEGACY_USAGE_RETENTION_DAYS",
        Days(validate=Range(timedelta(0), timedelta(3650))),
        timedelta(days=396),
        "a number of days from 0 to 3650",
        "How long it is kept who called services.php. With 0 it is not counted.",
    )
    legacy_deprecated_since: datetime | None = _setting(
        "LEGACY_DEPRECATED_SINCE",
        Instant(),
        None,
        _INSTANT,
        "Since when services.php is deprecated, as its answers say. Default: it isn't.",
    )
    legacy_sunset: datetime | None = _setting(
        "LEGACY_SUNSET",
        Instant(),
        None,
        _INSTANT,
        "When services.php will go, as its answers say. Default: they don't.",
    )
    legacy_deprecation_link: str | None = _setting(
        "LEGACY_DEPRECATION_LINK",
        take.Url(schemes={"http", "https"}, require_tld=False, validate=Regexp(_LINK)),
        None,
        "a URL such as https://intranet.example.com/services-php",
        "Where it is written what to call instead of services.php. Default: nowhere.",
    )
    legacy_profile: Path | None = _setting(
        "LEGACY_PROFILE",
        FilePath(),
        None,
        "a file as docs/parity.md describes it",
        "How services.php answers look, in full; instead of the two above. Default: our own way.",
    )
    registration: str = _setting(
        "REGISTRATION",
        take.String(validate=OneOf(["open", "invite", "closed"])),
        "closed",
        "open, invite or closed",
        "Who may make an account by /api/auth/register: anybody, whom an admin invited, nobody.",
    )
    second_factor: str = _setting(
        "SECOND_FACTOR",
        take.String(validate=OneOf(["optional", "admins", "everybody"])),
        "optional",
        "optional, admins or everybody",
        "Who can do nothing but set up a second factor until they have one.",
    )
    access_token_lifetime: timedelta = _setting(
        "ACCESS_TOKEN_LIFETIME",
        Duration(),
        timedelta(hours=24),
        _DURATION,
        "How long an access token is valid.",
    )
    refresh_token_lifetime: timedelta = _setting(
        "REFRESH_TOKEN_LIFETIME",
        Duration(),
        timedelta(days=7),
        _DURATION,
        "How long a refresh token can be spent.",
    )
    session_lifetime: timedelta = _setting(
        "SESSION_LIFETIME",
        Duration(),
        timedelta(days=7),
        _DURATION,
        "How long after signing in a browser has to sign in again.",
    )
    session_idle: timedelta = _setting(
        "SESSION_IDLE",
        Duration(validate=Range(min=_LEAST_IDLE)),
        timedelta(hours=12),
        "a number with a unit, such as 30m, 24h or 7d, from 5m to 3650d",
        "How long a browser's session lasts without a request.",
    )
    client_session_lifetime: timedelta = _setting(
        "CLIENT_SESSION_LIFETIME",
        Duration(),
        timedelta(days=90),
        _DURATION,
        "How long after signing in a client can go on refreshing its tokens.",
    )
    public_url: str | None = _setting(
        "PUBLIC_URL",
        SiteUrl(),
        None,
        "a URL such as https://services.example.com, without a path",
        "Where people reach us; links in letters begin with it. Default: http://HOST:PORT.",
    )
    smtp_host: str | None = _setting(
        "SMTP_HOST",
        take.String(validate=Regexp(_HOST_NAME)),
        None,
        "a host name or an address",
        "Mail server. Default: letters are printed on the worker's stderr.",
    )
    smtp_port: int = _setting(
        "SMTP_PORT",
        _PORT,
        587,
        "a number from 1 to 65535",
        "Port of the mail server.",
    )
    smtp_security: str = _setting(
        "SMTP_SECURITY",
        take.String(validate=OneOf(["starttls", "tls", "none"])),
        "starttls",
        "starttls, tls or none",
        "How the connection to the mail server is encrypted.",
    )
    smtp_user: str | None = _setting(
        "SMTP_USER",
        take.String(),
        None,
        "a user name",
        "Account on the mail server, with SMTP_PASSWORD. Default: none is shown.",
    )
    smtp_password: str | None = _setting(
        "SMTP_PASSWORD",
        take.String(),
        None,
        "a password",
        "Password of SMTP_USER.",
    )
    mail_from: str = _setting(
        "MAIL_FROM",
        take.Email(validate=[Length(max=255), Regexp(_VISIBLE)]),
        "cms-services@example.com",
        "an e-mail address in ASCII",
        "Sender of letters.",
    )
    rate_limits: bool = _setting(
        "RATE_LIMITS",
        Switch(),
        True,
        "on or off",
        "Rate limits. Off is for load tests.",
    )
    rate_limit_anonymous: str = _setting(
        "RATE_LIMIT_ANONYMOUS",
        RateLimits(),
        "120 per minute; 1000 per 10 minutes",
        _LIMITS,
        "Requests of an address without an account: 100 a minute with a burst of 20.",
    )
    rate_limit_signed_in: str = _setting(
        "RATE_LIMIT_SIGNED_IN",
        RateLimits(),
        "600 per minute",
        _LIMITS,
        "Requests of an account.",
    )
    rate_limit_sign_in: str = _setting(
        "RATE_LIMIT_SIGN_IN",
        RateLimits(),
        "10 per minute",
        _LIMITS,
        "Attempts to sign in, for an address and an account together.",
    )
    rate_limit_sign_in_failures: str = _setting(
        "RATE_LIMIT_SIGN_IN_FAILURES",
        RateLimits(),
        "100 per hour",
        _LIMITS,
        "Failed attempts to sign in to an account, from whatever address.",
    )
    rate_limit_letters: str = _setting(
        "RATE_LIMIT_LETTERS",
        RateLimits(),
        "5 per hour",
        _LIMITS,
        "Letters that people ask us to send to an e-mail address.",
    )
    rate_limit_download: str = _setting(
        "RATE_LIMIT_DOWNLOAD",
        RateLimits(),
        "10 per minute",
        _LIMITS,
        "Downloads of an account.",
    )
    rate_limit_health_check: str = _setting(
        "RATE_LIMIT_HEALTH_CHECK",
        RateLimits(),
        "30 per minute",
        _LIMITS,
        "Health checks that an account has run by hand.",
    )
    rate_limit_ingest: str = _setting(
        "RATE_LIMIT_INGEST",
        RateLimits(),
        "600 per minute",
        _LIMITS,
        "Batches of logs and metrics of a service.",
    )
    confirm_delete: bool = _setting(
        "CONFIRM_DELETE",
        Switch(),
        False,
        "true or false",
        "Whether cancelling by REST needs ?confirm=<name> or the header X-Confirm-Name.",
    )
    metrics_token: str | None = _setting(
        "METRICS_TOKEN",
        take.String(validate=[Length(LEAST_SECRET_LENGTH, 1024), Regexp(_VISIBLE)]),
        None,
        "a random text of at least 16 ASCII characters without blanks",
        "What /metrics asks for as a bearer token. Default: anybody may read it.",
    )
    log_level: str = _setting(
        "LOG_LEVEL",
        take.String(validate=OneOf(["debug", "info", "warning", "error"])),
        "info",
        "debug, info, warning or error",
        "The least level of log lines, at every output.",
    )
    service_retention: timedelta = _setting(
        "SERVICE_RETENTION_DAYS",
        Days(validate=Range(timedelta(0), timedelta(3650))),
        timedelta(days=30),
        "a number of days from 0 to 3650",
        "How long a cancelled service can be restored before it is purged.",
    )
    log_retention: timedelta = _setting(
        "LOG_RETENTION_DAYS",
        Days(validate=Range(timedelta(1), timedelta(3650))),
        timedelta(days=30),
        _DAYS,
        "How long log entries are kept of services that don't say it themselves.",
    )
    metric_sample_retention: timedelta = _setting(
        "METRIC_SAMPLE_RETENTION",
        Duration(),
        timedelta(hours=48),
        _DURATION,
        "How long raw metric samples are kept, and how old one may be when it arrives.",
    )
    metric_minute_retention: timedelta = _setting(
        "METRIC_MINUTE_RETENTION_DAYS",
        Days(validate=Range(timedelta(1), timedelta(3650))),
        timedelta(days=30),
        _DAYS,
        "How long metrics are kept by minutes.",
    )
    metric_hour_retention: timedelta = _setting(
        "METRIC_HOUR_RETENTION_DAYS",
        Days(validate=Range(timedelta(1), timedelta(3650))),
        timedelta(days=396),
        _DAYS,
        "How long metrics are kept by hours.",
    )
    metric_series_limit: int = _setting(
        "METRIC_SERIES_LIMIT",
        take.Integer(validate=Range(1, 100_000)),
        1000,
        "a number from 1 to 100000",
        "How many series (a name with one set of labels) a service may have.",
    )
    health_retention: timedelta = _setting(
        "HEALTH_RETENTION_DAYS",
        Days(validate=Range(timedelta(1), timedelta(3650))),
        timedelta(days=396),
        _DAYS,
        "How long health reports, changes and what uptime is made of are kept.",
    )
    probe_concurrency: int = _setting(
        "PROBE_CONCURRENCY",
        take.Integer(validate=Range(1, 2000)),
        200,
        "a number from 1 to 2000",
        "How many services a worker checks at once.",
    )
    prometheus_url: str | None = _setting(
        "PROMETHEUS_URL",
        take.Url(schemes={"http", "https"}, require_tld=False),
        None,
        "a URL such as http://prometheus:9090",
        "Prometheus that answers for metrics. Default: none, we keep them ourselves.",
    )
    prometheus_token: str | None = _setting(
        "PROMETHEUS_TOKEN",
        take.String(validate=[Length(max=4096), Regexp(_VISIBLE)]),
        None,
        "a token in ASCII without blanks",
        "Bearer token for PROMETHEUS_URL.",
    )
    ingest_body_limit: int = _setting(
        "INGEST_BODY_LIMIT_MB",
        take.Integer(validate=Range(1, 64)),
        10,
        "a number from 1 to 64",
        "The longest batch of logs or metrics in MiB, packed and unpacked.",
    )
    log_masking: bool = _setting(
        "LOG_MASKING",
        Switch(),
        True,
        "on or off",
        "Whether what looks like a secret is masked in log entries that arrive.",
    )
    log_size_limit: int = _setting(
        "LOG_SIZE_LIMIT_MB",
        take.Integer(validate=Range(1, 1_000_000)),
        1024,
        "a number from 1 to 1000000",
        "How many MiB of log entries a service may have; the oldest go first.",
    )
    syslog_listen: tuple[str, ...] = _setting(
        "SYSLOG_LISTEN",
        Listeners(),
        (),
        "addresses such as udp://127.0.0.1:5514,tcp://0.0.0.0:5514",
        "Where the worker takes syslog messages (RFC 5424). Default: nowhere.",
    )
    log_format: str = _setting(
        "LOG_FORMAT",
        take.String(validate=OneOf(["json", "console"])),
        "json",
        "json or console",
        "Form of the application's own log lines.",
    )
    log_outputs: tuple[str, ...] = _setting(
        "LOG_OUTPUTS",
        Words(["console", "file", "external"]),
        ("console",),
        "one or more of console, file and external, separated by commas",
        "Where the application's own log lines go.",
    )
    log_path: Path | None = _setting(
        "LOG_PATH",
        FilePath(),
        None,
        "a path",
        "File of the output `file`. Default: logs/cms-services.log in the data folder.",
    )
    log_file_size: int = _setting(
        "LOG_FILE_SIZE_MB",
        take.Integer(validate=Range(1, 10_000)),
        10,
        "a number from 1 to 10000",
        "MiB after which the log file is rotated.",
    )
    log_file_count: int = _setting(
        "LOG_FILE_COUNT",
        take.Integer(validate=Range(1, 1000)),
        5,
        "a number from 1 to 1000",
        "How many rotated log files are kept.",
    )
    log_external_url: str | None = _setting(
        "LOG_EXTERNAL_URL",
        take.String(validate=[Regexp(_LOG_TARGETS), port_of]),
        None,
        "a URL that begins with http:// or https:// (Loki), syslog:// or syslog+tcp://",
        "Where the output `external` sends: Loki's address, or a syslog server.",
    )
    backup_recipients: tuple[str, ...] = _setting(
        "BACKUP_RECIPIENTS",
        Recipients(),
        (),
        "public keys such as age1... or ssh-ed25519 AAAA..., one a line or separated by commas",
        "Whose identities open backups, so that this machine needs no secret. Default: none.",
    )
    backup_passphrase: str | None = _setting(
        "BACKUP_PASSPHRASE",
        take.String(validate=Length(LEAST_SECRET_LENGTH)),
        None,
        "a text of at least 16 characters",
        "Opens backups. Default: none; the commands ask for one where there is no recipient.",
    )

    @property
    def effective_public_url(self) -> str:
        """Where people reach us, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"http://{host}:{self.port}"

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
    settings = Settings(**values)
    _require_both_or_neither(settings)
    return settings


def current_settings() -> Settings:
    """The settings of the application whose context we are in."""
    return cast(Settings, current_app.extensions["cms_services.settings"])


def _require_both_or_neither(settings: Settings) -> None:
    """Raise SettingError where a user of the mail server has no password, or the other way.

    And where the log goes to an external place that is not told, or something is to go before it
    is deprecated.
    """
    if settings.smtp_user is not None and settings.smtp_password is None:
        raise SettingError("SMTP_USER: needs SMTP_PASSWORD beside it.")
    if settings.smtp_password is not None and settings.smtp_user is None:
        raise SettingError("SMTP_PASSWORD: needs SMTP_USER beside it.")
    since, sunset = settings.legacy_deprecated_since, settings.legacy_sunset
    if since is not None and sunset is not None and sunset < since:
        raise SettingError("LEGACY_SUNSET: takes no time before LEGACY_DEPRECATED_SINCE.")
    if "external" in settings.log_outputs and settings.log_external_url is None:
        raise SettingError("LOG_OUTPUTS: external needs LOG_EXTERNAL_URL beside it.")


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
