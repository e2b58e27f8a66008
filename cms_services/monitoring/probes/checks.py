"""Which checks a service declares, and running them.

This version runs http, tcp and response_time; the other types of the contract are reported as
unknown, never as healthy.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from cms_services import outbound
from cms_services.clock import now, to_wire
from cms_services.durations import parse_duration
from cms_services.outbound import AddressPolicy, AddressRefused, Unreachable
from cms_services.vocabulary import HealthStatus

_DEFAULT_TIMEOUT = "5s"
_MAX_TIMEOUT_SECONDS = 15.0
_DEFAULT_RESPONSE_LIMIT = "1s"
# They run side by side, and a configuration has room for thousands.
_MAX_CHECKS = 20


@dataclass(frozen=True)
class Check:
    name: str
    type: str
    target: str
    timeout_seconds: float
    limit_ms: float = 0.0


@dataclass(frozen=True)
class CheckResult:
    name: str
    type: str
    status: HealthStatus
    message: str
    checked_at: str
    response_time_ms: float | None = None

    def to_document(self) -> dict[str, Any]:
        return asdict(self)


def declared_checks(configuration: dict[str, Any]) -> list[Check]:
    """The checks of a configuration: `healthChecks`, a list, and `healthCheck`, the seed's form.

    What can't be read becomes a check of the type "invalid", which reports why; so do those after
    the first 20.
    """
    checks = []
    several = configuration.get("healthChecks")
    for number, each in enumerate(several if isinstance(several, list) else []):
        checks.append(_declared(each, f"check {number + 1}", configuration))
    single = configuration.get("healthCheck")
    if isinstance(single, dict):
        checks += _seed_checks(single, configuration)
    if len(checks) > _MAX_CHECKS:
        left_out = Check("others", "invalid", f"a service has at most {_MAX_CHECKS} checks", 0.0)
        return [*checks[:_MAX_CHECKS], left_out]
    return checks


def run_checks(checks: Sequence[Check], policy: AddressPolicy) -> list[CheckResult]:
    """Run checks side by side, now. Takes no longer than the longest timeout among them."""
    return asyncio.run(_run_all(checks, policy)) if checks else []


def overall_status(results: Sequence[CheckResult]) -> HealthStatus:
    """The gravest status that any check found; unknown where none found out anything.

    A check says unhealthy when it can't reach the service or is answered with a failure, and
    degraded when the service answers but is over a limit.
    """
    found = {result.status for result in results}
    for status in (HealthStatus.UNHEALTHY, HealthStatus.DEGRADED, HealthStatus.HEALTHY):
        if status in found:
            return status
    return HealthStatus.UNKNOWN


def _seed_checks(declared: dict[str, Any], configuration: dict[str, Any]) -> list[Check]:
    checks = []
    target = declared.get("url") or declared.get("endpoint")
    if target:
        http = {"type": "http", "target": target, "timeout": declared.get("timeout")}
        checks.append(_declared(http, "http", configuration))
    names = declared.get("checks")
    for name in names if isinstance(names, list) else []:
        each = dict(name) if isinstance(name, dict) else {"type": name}
        each.setdefault("target", target)
        each.setdefault("timeout", declared.get("timeout"))
        checks.append(_declared(each, str(each.get("type")), configuration))
    return checks


def _declared(each: Any, name: str, configuration: dict[str, Any]) -> Check:
    try:
        if not isinstance(each, dict) or not isinstance(each.get("type"), str):
            raise ValueError("takes an object with a type")
        timeout = parse_duration(str(each.get("timeout") or _DEFAULT_TIMEOUT)).total_seconds()
        limit = parse_duration(str(each.get("limit") or _DEFAULT_RESPONSE_LIMIT))
        return Check(
            name=str(each.get("name") or name)[:255],
            type=each["type"][:64],
            target=_absolute(str(each.get("target") or ""), configuration),
            timeout_seconds=min(timeout, _MAX_TIMEOUT_SECONDS),
            limit_ms=limit.total_seconds() * 1000,
        )
    except ValueError as error:
        return Check(name, "invalid", str(error), 0.0)


def _absolute(target: str, configuration: dict[str, Any]) -> str:
    base = configuration.get("baseUrl")
    return urljoin(base, target) if isinstance(base, str) and target.startswith("/") else target


async def _run_all(checks: Sequence[Check], policy: AddressPolicy) -> list[CheckResult]:
    return list(await asyncio.gather(*(_run_one(check, policy) for check in checks)))


async def _run_one(check: Check, policy: AddressPolicy) -> CheckResult:
    runner = _RUNNERS.get(check.type, _not_run)
    elapsed: float | None = None
    try:
        status, message, elapsed = await runner(check, policy)
    except AddressRefused as error:
        status, message = HealthStatus.UNKNOWN, f"Not checked: {error}."
    except TimeoutError:
        status, message = HealthStatus.UNHEALTHY, f"No answer within {check.timeout_seconds:g} s."
    except ValueError as error:
        status, message = HealthStatus.UNKNOWN, f"Not checked: {error}."
    except Unreachable as error:
        status, message = HealthStatus.UNHEALTHY, f"No connection: {error}."
    return CheckResult(
        check.name,
        check.type,
        status,
        message,
        to_wire(now()),
        None if elapsed is None else round(elapsed, 2),
    )


_Outcome = tuple[HealthStatus, str, float | None]


async def _http(check: Check, policy: AddressPolicy) -> _Outcome:
    answer = await outbound.get(check.target, check.timeout_seconds, policy)
    good = 200 <= answer.status < 400
    status = HealthStatus.HEALTHY if good else HealthStatus.UNHEALTHY
    return status, f"HTTP {answer.status}", answer.elapsed_ms


async def _response_time(check: Check, policy: AddressPolicy) -> _Outcome:
    answer = await outbound.get(check.target, check.timeout_seconds, policy)
    fast = answer.elapsed_ms <= check.limit_ms
    message = f"{answer.elapsed_ms:.0f} ms, limit {check.limit_ms:.0f} ms"
    return HealthStatus.HEALTHY if fast else HealthStatus.DEGRADED, message, answer.elapsed_ms


async def _tcp(check: Check, policy: AddressPolicy) -> _Outcome:
    parts = urlsplit(f"//{check.target}" if "//" not in check.target else check.target)
    if not parts.hostname or not parts.port:
        raise ValueError("tcp takes a target such as db.example.com:5432")
    elapsed = await outbound.connect(parts.hostname, parts.port, check.timeout_seconds, policy)
    return HealthStatus.HEALTHY, "Connected", elapsed


async def _invalid(check: Check, policy: AddressPolicy) -> _Outcome:
    raise ValueError(check.target)


async def _not_run(check: Check, policy: AddressPolicy) -> _Outcome:
    raise ValueError(f"this version has no {check.type} check")


_RUNNERS: dict[str, Callable[[Check, AddressPolicy], Awaitable[_Outcome]]] = {
    "http": _http,
    "tcp": _tcp,
    "response_time": _response_time,
    "invalid": _invalid,
}
