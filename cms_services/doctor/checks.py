"""The checks of `cms-services doctor`. None changes anything, and none needs another to pass."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from cms_services.database import sqlite_file
from cms_services.doctor.address import address
from cms_services.doctor.engines import external_log, prometheus
from cms_services.doctor.findings import Finding, Level, Seen
from cms_services.doctor.keys import keys
from cms_services.doctor.letters import letters
from cms_services.doctor.machine import data_folder, disk, limits
from cms_services.doctor.nodes import keys_of_one_node, several_nodes
from cms_services.doctor.php import php, php_sessions
from cms_services.doctor.shared import redis
from cms_services.doctor.storage import database
from cms_services.doctor.work import backups, worker
from cms_services.settings import SettingError, Settings, load_settings

# For all of the checks together: longer than what each of them waits for by itself.
DEADLINE_SECONDS = 5.0
_OF_NODES = frozenset(
    {
        *("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ENCRYPTION_KEY"),
        *("WEB_CONCURRENCY", "WEB_THREADS", "WORKER_BESIDE_WEB"),
    }
)


def diagnose(
    environment: Mapping[str, str],
    url: str | None = None,
    nodes: int | None = None,
    workers: int | None = None,
) -> Iterator[Finding]:
    """Every finding. A bad setting is one; what it leads to is not looked at, all else is.

    With a URL it is asked too, as a client would. With a number of nodes (and of workers that run
    by themselves) it is told whether so many can share what they have to. It takes a few seconds
    at most, whoever does not answer.
    """
    settings, bad = _settings_without_bad(environment)
    for name, seen in bad.items():
        yield Finding("settings", Level.FAILURE, seen, f"Correct {name}.")
    if settings is None:
        return
    if not bad:
        yield Finding("settings", Level.OK, "all can be used")
    checks = dict(CHECKS)
    if nodes is not None:
        checks["nodes"] = (partial(several_nodes, nodes, workers), _OF_NODES)
    if url is not None:
        checks["address"] = (partial(address, url), frozenset({"TRUSTED_PROXIES"}))
    ends = time.monotonic() + DEADLINE_SECONDS
    looks = []
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
            check = partial(_not_looked_at, missing)
        looks.append(_Look(name, check, settings))
    for look in looks:
        look.join(max(0.0, ends - time.monotonic()))
        yield from look.findings()


class _Look(threading.Thread):
    """A check beside the others: each may have to wait for somebody who says nothing."""

    def __init__(self, check: str, look: Callable[[Settings], Seen], settings: Settings) -> None:
        # What can't be waited for, such as a dead file system, must not hold the end either.
        super().__init__(name=f"doctor: {check}", daemon=True)
        self._check, self._look, self._settings = check, look, settings
        self._found: list[Finding] = []
        self.start()

    def run(self) -> None:
        try:
            for level, seen, mend in self._look(self._settings):
                self._found.append(Finding(self._check, level, seen, mend))
        except Exception as error:  # what the others see is still wanted
            seen = f"could not be looked at ({type(error).__name__})"
            mend = "Mend what else is told, and look again."
            self._found.append(Finding(self._check, Level.FAILURE, seen, mend))

    def findings(self) -> list[Finding]:
        """What was found, if only until now."""
        is_unfinished = self.is_alive()
        found = list(self._found)
        if is_unfinished:
            seen = f"was not done within {DEADLINE_SECONDS:g} s"
            mend = "Look at what it waits for: the server, the network, or the name server."
            found.append(Finding(self._check, Level.FAILURE, seen, mend))
        return found


def _not_looked_at(missing: frozenset[str], _: Settings) -> Seen:
    what = ", ".join(sorted(missing))
    yield Level.WARNING, "was not looked at", f"Correct {what} first."


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
        for name in keys_of_one_node(settings):
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
    "keys": (keys, frozenset({"DATABASE_URL", "ENCRYPTION_KEY", "SECRET_KEY", "CMS_DATA_DIR"})),
    "redis": (redis, frozenset({"REDIS_URL"})),
    "worker": (worker, frozenset({"DATABASE_URL"})),
    "letters": (letters, frozenset({"SMTP_HOST", "SMTP_PORT", "SMTP_SECURITY", "SMTP_USER"})),
    "php sessions": (php_sessions, frozenset({"PHP_SESSIONS"})),
    "php": (php, frozenset({"LEGACY_ROUTES", "LEGACY_PROFILE"})),
    "prometheus": (prometheus, frozenset({"PROMETHEUS_URL", "PROMETHEUS_TOKEN"})),
    "external log": (external_log, frozenset({"LOG_EXTERNAL_URL", "LOG_OUTPUTS"})),
    "backups": (backups, frozenset({"CMS_DATA_DIR"})),
    "settings for serving": (_serving, frozenset()),
}
