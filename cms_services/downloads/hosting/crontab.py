"""A document's `cron`: what a site runs by itself, as a crontab can say it."""

import re
from dataclasses import dataclass
from typing import Any

from cms_services.configuration.documents import MASK, Document
from cms_services.downloads.configured import refused
from cms_services.downloads.quoting import fits_crontab
from cms_services.wording import worded

_MAX_JOBS = 100
_NAMED = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# Of each field its lowest and highest number and the names that stand for numbers (crontab(5)).
_FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    (0, 7, {name: number for number, name in enumerate(_DAYS)}),
)
_PART = re.compile(r"(?:\*|(\w{1,3})(?:-(\w{1,3}))?)(?:/(\d{1,2}))?", re.ASCII)


@dataclass(frozen=True)
class Job:
    """One line of a crontab. A masked command is None."""

    schedule: str
    command: str | None
    path: str


def jobs(document: Document) -> list[Job]:
    """The jobs in their order. Raises ServiceConfigError, which names the path."""
    given = document.get("cron")
    if given is None or given == "" or given == {}:
        return []
    if not isinstance(given, list) or len(given) > _MAX_JOBS:
        raise refused("cron", worded("Takes a list of at most %(most)s jobs.", most=_MAX_JOBS))
    return [_job(each, f"cron.{number}") for number, each in enumerate(given)]


def _job(given: Any, path: str) -> Job:
    if not isinstance(given, dict):
        raise refused(path, worded("Takes an object with 'schedule' and 'command'."))
    schedule = _schedule(given.get("schedule"))
    if schedule is None:
        raise refused(
            f"{path}.schedule", worded("Takes five fields, as in '*/5 * * * *', or '@daily'.")
        )
    command = given.get("command")
    if command == MASK or isinstance(command, dict):
        return Job(schedule, None, f"{path}.command")
    if not isinstance(command, str) or not fits_crontab(command):
        hint = worded(
            "Takes one line of at most 900 bytes, with no backslash before another or before %."
        )
        raise refused(f"{path}.command", hint)
    return Job(schedule, command, f"{path}.command")


def _schedule(given: Any) -> str | None:
    """The schedule in its shortest form, or None where cron would not read it."""
    if not isinstance(given, str) or not given.isascii():
        return None
    fields = given.lower().split()
    if len(fields) == 1 and (fields[0] in _NAMED or fields[0] == "@reboot"):
        return fields[0]
    if len(fields) != len(_FIELDS):
        return None
    fit = all(_fits(field, *limits) for field, limits in zip(fields, _FIELDS, strict=True))
    return " ".join(fields) if fit else None


def _fits(field: str, low: int, high: int, names: dict[str, int]) -> bool:
    return len(field) < 100 and all(_part_fits(part, low, high, names) for part in field.split(","))


def _part_fits(part: str, low: int, high: int, names: dict[str, int]) -> bool:
    match = _PART.fullmatch(part)
    if match is None:
        return False
    first, last, step = match.groups()
    if step is not None and not (1 <= int(step) <= high and (first is None or last is not None)):
        return False
    if first is None:
        return True
    start, end = _number(first, names), _number(last or first, names)
    return start is not None and end is not None and low <= start <= end <= high


def _number(text: str, names: dict[str, int]) -> int | None:
    return int(text) if text.isdecimal() else names.get(text)
