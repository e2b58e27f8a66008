"""Which checks and scrapes a service's configuration declares.

They are read alike from a stored document, whose secrets are sealed, and from an opened one: the
same checks by the same names. Nothing here raises for what can't be read: it becomes a check with a
`problem`, which reports it.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from urllib.parse import urljoin

from cms_services.configuration.checks import CHECK_TYPES, read_check
from cms_services.configuration.secrets import is_sealed
from cms_services.monitoring.probes.parts import (
    databases_of,
    external_apis_of,
    memory_limit_of,
    section,
    text_of,
)

MOST_CHECKS = 20
DEFAULT_INTERVAL = 30.0
DEFAULT_TIMEOUT = 5.0
LONGEST_TIMEOUT = 60.0
# How often it is looked whether a heartbeat is late.
_HEARTBEAT_INTERVAL = 60.0
_COMMON = (
    "name",
    "type",
    "target",
    "interval",
    "timeout",
    "retryInterval",
    "failureThreshold",
    "successThreshold",
)


@dataclass(frozen=True, slots=True)
class Check:
    """A check that a service declares; times are in seconds.

    `name` is unique in its service. A `problem` says why it can't be run. With `has_secrets` some
    of `options` are sealed until the document is opened and declared anew.
    """

    name: str
    type: str
    target: str = ""
    interval: float = DEFAULT_INTERVAL
    timeout: float = DEFAULT_TIMEOUT
    retry_interval: float = DEFAULT_TIMEOUT
    failure_threshold: int = 1
    success_threshold: int = 1
    options: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None
    has_secrets: bool = False

    def to_document(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> "Check":
        """The check that to_document() wrote."""
        return cls(**document)


def declared_checks(configuration: dict[str, Any]) -> list[Check]:
    """The checks of a configuration: `healthChecks`, a list, and `healthCheck`, the seed's form.

    Of more than 20, one check with a problem stands for the rest.
    """
    found = [
        check
        for number, each in enumerate(_listed(section(configuration, "healthChecks")), start=1)
        for check in _checks(each, f"check {number}", configuration)
    ]
    single = section(configuration, "healthCheck")
    if isinstance(single, dict):
        found += _seed_checks(single, configuration)
    if len(found) > MOST_CHECKS:
        problem = f"a service has at most {MOST_CHECKS} checks, this one has {len(found)}"
        found = [*found[:MOST_CHECKS], Check("others", "invalid", problem=problem)]
    return _own_names(found)


def declared_scrapes(configuration: dict[str, Any]) -> list[Check]:
    """The Prometheus endpoints of `configuration.metrics`, an object or a list of them."""
    declared = section(configuration, "metrics")
    found = []
    for number, each in enumerate(_listed(declared), start=1):
        if isinstance(each, dict) and (each.get("url") or each.get("endpoint")):
            target = each.get("url") or each.get("endpoint")
            scrape = {"interval": "60s"} | _flat(each) | {"type": "scrape", "target": target}
            name = "metrics" if isinstance(declared, dict) else f"metrics {number}"
            found.append(_check(scrape, name, "scrape", configuration))
    return _own_names(found[:MOST_CHECKS])


def _listed(declared: Any) -> list[Any]:
    if isinstance(declared, dict):
        return [declared]
    return declared if isinstance(declared, list) else []


def _seed_checks(declared: dict[str, Any], configuration: dict[str, Any]) -> Iterator[Check]:
    target = declared.get("url") or declared.get("endpoint")
    shared = {name: declared.get(name) for name in ("interval", "timeout")}
    if target:
        # Whatever else it says, such as expectedStatus, is of this check.
        http = _flat(declared) | {"type": "http", "target": target}
        yield _check(http, "http", "http", configuration)
    for each in _listed(declared.get("checks")):
        named = dict(each) if isinstance(each, dict) else {"type": each}
        if named.get("type") in ("http", "https", "response_time"):
            named.setdefault("target", target)
        given = {name: value for name, value in shared.items() if value not in (None, "")}
        yield from _checks(given | named, str(named.get("type"))[:64], configuration)


def _flat(declared: dict[str, Any]) -> dict[str, Any]:
    extra = declared.get("extra")
    return extra | declared if isinstance(extra, dict) else declared


def _checks(each: Any, name: str, configuration: dict[str, Any]) -> Iterator[Check]:
    """The checks that one element stands for: one, or one for each database or API."""
    check_type = each.get("type") if isinstance(each, dict) else None
    if not isinstance(check_type, str):
        yield Check(name, "invalid", problem="takes an object with a type")
        return
    name = str(each.get("name") or name)[:200]
    if check_type not in CHECK_TYPES:
        problem = f"there is no {check_type[:64]} check; the types are {', '.join(CHECK_TYPES)}"
        yield Check(name, check_type[:64], problem=problem)
    elif check_type == "database_connection":
        yield from _expanded(each, name, databases_of(each, configuration), configuration)
    elif check_type == "external_apis":
        yield from _expanded(each, name, external_apis_of(each, configuration), configuration)
    elif check_type == "memory_usage":
        known = memory_limit_of(configuration)
        check = _check(each, name, check_type, configuration)
        yield replace(check, options=check.options | ({"memoryLimit": known} if known else {}))
    else:
        yield _check(each, name, check_type, configuration)


def _expanded(
    each: dict[str, Any],
    name: str,
    parts: list[tuple[str, dict[str, Any]]],
    configuration: dict[str, Any],
) -> Iterator[Check]:
    if not parts:
        missing = {
            "database_connection": "the configuration has no database that it names",
            "external_apis": "the configuration has no external API with a baseUrl that it names",
        }[each["type"]]
        yield Check(name, each["type"], problem=missing)
    for part_name, part in parts:
        full_name = f"{name}: {part_name}"[:255] if part_name else name
        yield _check(each | part, full_name, each["type"], configuration)


def _check(
    declared: dict[str, Any], name: str, check_type: str, configuration: dict[str, Any]
) -> Check:
    name = (name if check_type in _EXPANDED else text_of(declared.get("name")) or name)[:255]
    target = _absolute(text_of(declared.get("target"))[:2048], configuration)
    try:
        read = read_check(declared | {"name": None}, check_type)
        times = _times(read, check_type)
    except ValueError as error:
        return Check(name, check_type, target, problem=str(error))
    options = {name: value for name, value in read.items() if name not in _COMMON}
    return Check(
        name,
        check_type,
        target,
        interval=times["interval"],
        timeout=times["timeout"],
        retry_interval=times["retry_interval"],
        failure_threshold=int(read.get("failureThreshold", 1)),
        success_threshold=int(read.get("successThreshold", 1)),
        options=options,
        has_secrets=_has_sealed(options),
    )


_EXPANDED = ("database_connection", "external_apis")


def _times(read: dict[str, Any], check_type: str) -> dict[str, float]:
    """Raises ValueError for a timeout that is not below the interval."""
    default = DEFAULT_INTERVAL
    if check_type == "heartbeat":
        default = min(read.setdefault("period", read.get("interval", 300.0)), _HEARTBEAT_INTERVAL)
        read["interval"] = min(read.get("interval", default), default)
    interval = read.get("interval", default)
    timeout = read.get("timeout", min(DEFAULT_TIMEOUT, 0.8 * interval))
    if timeout >= interval:
        raise ValueError(f"timeout: must be shorter than the interval, which is {interval:g} s")
    timeout = min(timeout, LONGEST_TIMEOUT)
    retry = read.get("retryInterval", max(DEFAULT_TIMEOUT, timeout))
    return {"interval": interval, "timeout": timeout, "retry_interval": min(retry, interval)}


def _absolute(target: str, configuration: dict[str, Any]) -> str:
    base = section(configuration, "baseUrl")
    if not isinstance(base, str) or not target.startswith("/"):
        return target
    try:
        return urljoin(base, target)
    except ValueError:  # a base that is no URL
        return target


def _has_sealed(value: Any) -> bool:
    if is_sealed(value):
        return True
    if isinstance(value, dict):
        return any(map(_has_sealed, value.values()))
    return isinstance(value, list) and any(map(_has_sealed, value))


def _own_names(checks: list[Check]) -> list[Check]:
    """The checks with a number behind each name that another one has already."""
    taken: set[str] = set()
    named = []
    for check in checks:
        name, number = check.name, 1
        while name in taken:
            number += 1
            name = f"{check.name[:240]} {number}"
        taken.add(name)
        named.append(replace(check, name=name))
    return named
