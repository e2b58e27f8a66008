"""Running checks."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cms_services.clock import now
from cms_services.monitoring.probes import checks as interim
from cms_services.monitoring.probes.declared import Check
from cms_services.monitoring.probes.results import CheckResult
from cms_services.outbound import AddressPolicy
from cms_services.vocabulary import HealthStatus


@dataclass(frozen=True, slots=True)
class Beat:
    at: datetime
    failed: bool
    message: str
    duration_ms: float | None


@dataclass(frozen=True, slots=True)
class MemoryUse:
    megabytes: float
    at: datetime


@dataclass
class Surroundings:
    policy: AddressPolicy
    heartbeats: Mapping[str, Beat] = field(default_factory=dict)
    memory: MemoryUse | None = None
    now: datetime | None = None


@dataclass(frozen=True, slots=True)
class Scraped:
    name: str
    at: datetime
    status: HealthStatus
    text: str
    message: str


async def run_checks(checks: Sequence[Check], surroundings: Surroundings) -> list[CheckResult]:
    return list(await asyncio.gather(*(_run(check, surroundings) for check in checks)))


def run_checks_now(checks: Sequence[Check], surroundings: Surroundings) -> list[CheckResult]:
    return asyncio.run(run_checks(checks, surroundings)) if checks else []


async def run_scrape(check: Check, surroundings: Surroundings) -> Scraped:
    raise NotImplementedError


async def _run(check: Check, surroundings: Surroundings) -> CheckResult:
    if check.type == "heartbeat":
        beat = surroundings.heartbeats.get(check.name)
        if beat is None:
            return CheckResult(check.name, check.type, HealthStatus.UNKNOWN, "Never.", now(), None)
        bad = beat.failed or (now() - beat.at).total_seconds() > check.interval
        status = HealthStatus.UNHEALTHY if bad else HealthStatus.HEALTHY
        return CheckResult(check.name, check.type, status, beat.message or "Beat", now(), None)
    old = interim.Check(
        check.name, check.type, check.target, check.timeout, check.options.get("limit_ms", 0.0)
    )
    result = await interim._run_one(old, surroundings.policy)
    return CheckResult(
        result.name, result.type, result.status, result.message, now(), result.response_time_ms
    )
