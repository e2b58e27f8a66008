"""The checks of `cms-services doctor`. None changes anything, and none needs another to pass."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from cms_services.database import sqlite_file
from cms_services.doctor.address import address
from cms_services.doctor.findings import Finding, Level, Seen
from cms_services.doctor.machine import data_folder, disk, limits
from cms_services.doctor.shared import redis
from cms_services.doctor.storage import database
from cms_services.doctor.work import backups, worker
from cms_services.settings import SettingError, Settings, load_settings


def diagnose(environment: Mapping[str, str], url: str | None = None) -> Iterator[Finding]:
    """Every finding. A bad setting is one; what it leads to is not looked at, all else is.

    With a URL it is asked too, as a client would.
    """
    settings, bad = _settings_without_bad(environment)
    for name, seen in bad.items():
        yield Finding("settings", Level.FAILURE, seen, f"Correct {name}.")
    if settings is None:
        return
    if not bad:
        yield Finding("settings", Level.OK, "all can be used")
    checks = dict(CHECKS)
    if url is not None:
        checks["address"] = (partial(address, url), frozenset({"TRUSTED_PROXIES"}))
    for name, (check, needed) in checks.items():
        missing = needed & frozenset(bad)
        # Without DATABASE_URL the database is a file in the data folder.
        if (
            "DATABASE_URL" in needed
            and "CMS_DATA_DIR" in bad
            and not environment.get("DATABASE_URL")
        ):
            missing = frozenset({"CMS_DATA_DIR"})
        if missing:
            what = ", ".join(sorted(missing))
            yield Finding(name, Level.WARNING, "was not looked at", f"Correct {what} first.")
            continue
        try:
            for level, seen, mend in check(settings):
                yield Finding(name, level, seen, mend)
        except Exception as error:  # the checks after it are still wanted
            seen = f"could not be looked at ({type(error).__name__})"
            yield Finding(name, Level.FAILURE, seen, "Mend what else is told, and look again.")


def _settings_without_bad(
    environment: Mapping[str, str],
) -> tuple[Settings | None, dict[str, str]]:
    """The settings with the default for each bad one, and what is said of those by their names."""
    left = dict(environment)
    bad: dict[str, str] = {}
    while True:
        try:
            return load_settings(left), bad
        except SettingError as error:
            name, _, _ = str(error).partition(":")
            bad[name] = str(error)
            dropped = [left.pop(key, None) for key in (name, f"{name}_FILE")]
            if dropped == [None, None]:
                return None, bad


def _serving(settings: Settings) -> Seen:
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


# By name: what looks, and the settings without which it would look at something else.
CHECKS: dict[str, tuple[Callable[[Settings], Seen], frozenset[str]]] = {
    "data folder": (data_folder, frozenset({"CMS_DATA_DIR"})),
    "disk": (disk, frozenset({"CMS_DATA_DIR"})),
    "limits": (limits, frozenset()),
    "database": (database, frozenset({"DATABASE_URL"})),
    "redis": (redis, frozenset({"REDIS_URL"})),
    "worker": (worker, frozenset({"DATABASE_URL"})),
    "backups": (backups, frozenset({"CMS_DATA_DIR"})),
    "settings for serving": (_serving, frozenset()),
}
