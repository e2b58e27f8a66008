"""The log entries of the last days."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from string import Formatter
from typing import Any

from cms_services.demo.days import Incident, busyness, reproducible
from cms_services.demo.log_lines import INCIDENT_LINES, VALUES, VOICES, Lines, Voice
from cms_services.monitoring.logs.values import NewLogEntry

_HOURS = 72
_HOUR = timedelta(hours=1)
# Of these, so many are written as the incident is severe.
_MOST_INCIDENT_ENTRIES = 90
# Sources that act on somebody's request, which has a trace; the others work by themselves.
_TRACED = frozenset({"http", "auth", "basket", "checkout", "orders", "provider", "webhook"})


def entries(service: str, present: datetime, incident: Incident) -> list[NewLogEntry]:
    """What a service logged up to now, the oldest first."""
    chance = reproducible(f"log of {service}")
    found = list(_ordinary(VOICES[service], present, chance))
    if service in INCIDENT_LINES:
        found += _in_trouble(service, incident, chance)
    return sorted(found, key=lambda entry: entry.at or present)


def _ordinary(voice: Voice, present: datetime, chance: Random) -> Iterator[NewLogEntry]:
    for number in range(_HOURS):
        begin = present - (number + 1) * _HOUR
        # Twice the mean at the height of the day, a fifth of it at night.
        for _ in range(round(voice.an_hour * 2 * busyness(begin) * chance.uniform(0.7, 1.3))):
            yield _entry(voice.lines, voice.paths, begin + _HOUR * chance.random(), chance)


def _in_trouble(service: str, incident: Incident, chance: Random) -> Iterator[NewLogEntry]:
    for _ in range(_MOST_INCIDENT_ENTRIES):
        at = incident.begin + (incident.end - incident.begin) * chance.random()
        if chance.random() < incident.severity(service, at):
            yield _entry(INCIDENT_LINES[service], VOICES[service].paths, at, chance)


def _entry(lines: Lines, paths: tuple[str, ...], at: datetime, chance: Random) -> NewLogEntry:
    line = chance.choices(lines, weights=[line.weight for line in lines])[0]
    attributes: dict[str, Any] = {
        name: _path(paths, chance) if name == "path" else VALUES[name](chance)
        for _, name, _, _ in Formatter().parse(line.message)
        if name
    }
    return NewLogEntry(
        level=line.level,
        message=line.message.format(**attributes),
        at=at,
        source=line.source,
        attributes=attributes,
        trace_id=f"{chance.getrandbits(128):032x}" if line.source in _TRACED else None,
    )


def _path(paths: tuple[str, ...], chance: Random) -> str:
    return chance.choice(paths).format(chance.randint(100, 999))
