"""The checks of `cms-services doctor`. None changes anything, and none needs another to pass."""

import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from redis import Redis, RedisError
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from cms_services.database import engine_options, sqlalchemy_url, sqlite_file
from cms_services.schema import SchemaState, newest_revision, schema_state
from cms_services.settings import SettingError, Settings, load_settings

_TIMEOUT_SECONDS = 3
_SLOW_SECONDS = 0.1
_SKEW_SECONDS = 2.0
_LOW_SPACE = 0.1

# Settings of the servers with which an acknowledged write may be lost, and what they should be.
_DURABLE: dict[str, dict[str, tuple[str, ...]]] = {
    "postgresql": {"fsync": ("on",), "full_page_writes": ("on",)}
    | {"synchronous_commit": ("on", "local", "remote_write", "remote_apply")},
    "mysql": {"innodb_flush_log_at_trx_commit": ("1",)},
}


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Finding:
    """What a check saw, and how it is mended where it should be."""

    check: str
    level: Level
    seen: str
    mend: str | None = None


def diagnose(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Every finding. A bad setting is one, and the others are looked at with its default."""
    settings, bad = _settings_without_bad(environment)
    yield from bad
    if settings is None:
        return
    if not bad:
        yield Finding("settings", Level.OK, "all can be used")
    for name, check in CHECKS.items():
        try:
            for level, seen, mend in check(settings):
                yield Finding(name, level, seen, mend)
        except Exception as error:  # the checks after it are still wanted
            seen = f"could not be looked at ({type(error).__name__})"
            yield Finding(name, Level.FAILURE, seen, "Mend what else is told, and look again.")


_Seen = Iterator[tuple[Level, str, str | None]]


def _settings_without_bad(
    environment: Mapping[str, str],
) -> tuple[Settings | None, list[Finding]]:
    left = dict(environment)
    bad: list[Finding] = []
    while True:
        try:
            return load_settings(left), bad
        except SettingError as error:
            name, _, _ = str(error).partition(":")
            bad.append(Finding("settings", Level.FAILURE, str(error), f"Correct {name}."))
            dropped = [left.pop(key, None) for key in (name, f"{name}_FILE")]
            if dropped == [None, None]:
                return None, bad


def _data_folder(settings: Settings) -> _Seen:
    folder = settings.data_dir
    if not folder.is_dir():
        yield Level.FAILURE, f"{folder} is no folder", "Start once, or correct CMS_DATA_DIR."
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Level.FAILURE, f"{folder} can't be written", f"chown it to user {os.getuid()}."
    private = [folder, *folder.glob("*.key"), *folder.glob("*.sqlite3")]
    for path in private:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            proper = "700" if path == folder else "600"
            yield Level.FAILURE, f"{path} has mode {mode:o}", f"chmod {proper} {path}"
    yield Level.OK, f"{folder} looked at: {len(private)} names that should be private", None


def _disk(settings: Settings) -> _Seen:
    usage = shutil.disk_usage(settings.data_dir)
    nodes = os.statvfs(settings.data_dir)
    mend = "Free space, or move the data folder."
    free = usage.free / usage.total
    yield (
        Level.OK if free >= _LOW_SPACE else Level.WARNING,
        f"{free:.0%} of the space is free",
        None if free >= _LOW_SPACE else mend,
    )
    # File systems without a fixed number of inodes tell none.
    if nodes.f_files and nodes.f_favail / nodes.f_files < _LOW_SPACE:
        yield Level.WARNING, f"{nodes.f_favail} inodes are free", mend


@contextmanager
def _database(settings: Settings) -> Iterator[Connection]:
    url = settings.effective_database_url
    engine = create_engine(sqlalchemy_url(url), poolclass=NullPool, **engine_options(url))
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _database_check(settings: Settings) -> _Seen:
    file = sqlite_file(settings.effective_database_url)
    # Connecting would make it.
    if file is not None and not file.exists():
        yield Level.FAILURE, f"{file} is not there", "Start once, or correct DATABASE_URL."
        return
    try:
        with _database(settings) as connection:
            yield from _reached(connection)
    except (SQLAlchemyError, ArgumentError) as error:
        reason = str(getattr(error, "orig", None) or type(error).__name__).partition("\n")[0]
        yield Level.FAILURE, f"can't be used ({reason})", "Start it, or correct DATABASE_URL."


def _reached(connection: Connection) -> _Seen:
    kind = connection.dialect.name
    began = time.monotonic()
    connection.execute(text("SELECT 1"))
    took = time.monotonic() - began
    level = Level.OK if took < _SLOW_SECONDS else Level.WARNING
    slow = None if level is Level.OK else "Move the nodes nearer to the database."
    yield level, f"{kind} answered within {took * 1000:.1f} ms", slow
    state = schema_state(connection)
    if state is SchemaState.TOO_NEW:
        mend = "Start the newer version that made it."
        yield Level.FAILURE, "the schema is of a newer version", mend
    elif state is SchemaState.OLDER:
        seen = f"the schema is older than this version's, {newest_revision()}"
        yield Level.FAILURE, seen, "Run: cms-services db upgrade"
    else:
        yield Level.OK, "the schema can be served", None
    for name, durable in _DURABLE.get(kind, {}).items():
        query = f"SHOW {name}" if kind == "postgresql" else f"SELECT @@{name}"
        value = str(connection.execute(text(query)).scalar_one())
        if value not in durable:
            seen = f"{name} is {value}: acknowledged writes can be lost"
            yield Level.WARNING, seen, f"Set {name} = {durable[0]} in the server's configuration."
    if kind != "sqlite":
        query = "UNIX_TIMESTAMP(NOW(6))"
        if kind == "postgresql":
            query = "EXTRACT(EPOCH FROM clock_timestamp())"
        theirs = float(connection.execute(text(f"SELECT {query}")).scalar_one())
        yield _skew("the database", theirs)


def _skew(whose: str, theirs: float) -> tuple[Level, str, str | None]:
    apart = abs(theirs - datetime.now(UTC).timestamp())
    seen = f"the clock of {whose} is {apart:.1f} s apart from ours"
    if apart < _SKEW_SECONDS:
        return Level.OK, seen, None
    return Level.WARNING, seen, "Run NTP (chrony, systemd-timesyncd) on both."


def _redis(settings: Settings) -> _Seen:
    if settings.redis_url is None:
        if settings.web_concurrency > 1:
            seen = f"none is set, yet WEB_CONCURRENCY is {settings.web_concurrency}"
            yield Level.WARNING, seen, "Set REDIS_URL, so that all processes share their limits."
        return
    redis = Redis.from_url(
        settings.redis_url,
        socket_timeout=_TIMEOUT_SECONDS,
        socket_connect_timeout=_TIMEOUT_SECONDS,
    )
    try:
        seconds, microseconds = redis.time()
        yield _skew("Redis", seconds + microseconds / 1_000_000)
    except RedisError as error:
        seen = f"does not answer ({type(error).__name__})"
        yield Level.FAILURE, seen, "Start it, or correct REDIS_URL."
    finally:
        redis.close()


def _several_nodes(settings: Settings) -> _Seen:
    if sqlite_file(settings.effective_database_url) is None:
        for name, value in (
            ("SECRET_KEY", settings.secret_key),
            ("ENCRYPTION_KEY", settings.encryption_keys),
        ):
            if not value:
                seen = f"{name} is kept in the data folder: another node would have another one"
                yield Level.WARNING, seen, f"Set {name} to the same on every node."
    if not settings.rate_limits:
        yield Level.WARNING, "RATE_LIMITS is off", "Set RATE_LIMITS=on."
    if settings.public_url is None:
        yield Level.WARNING, "PUBLIC_URL is not set", "Set it, so that letters hold right links."


CHECKS: dict[str, Callable[[Settings], _Seen]] = {
    "data folder": _data_folder,
    "disk": _disk,
    "database": _database_check,
    "redis": _redis,
    "settings for serving": _several_nodes,
}
