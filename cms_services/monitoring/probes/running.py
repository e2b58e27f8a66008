"""Running checks side by side: nothing is raised, and none takes longer than its timeout."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from cms_services.clock import now
from cms_services.monitoring.probes.declared import Check
from cms_services.monitoring.probes.http_checks import check_http, check_response_time
from cms_services.monitoring.probes.reported_checks import check_heartbeat, check_memory
from cms_services.monitoring.probes.results import (
    LONGEST_MESSAGE,
    CheckResult,
    Outcome,
    overall_status,
    storable,
    unhealthy,
    unknown,
)
from cms_services.monitoring.probes.scrapes import Scraped, run_scrape
from cms_services.monitoring.probes.secrets_of_checks import without_secrets
from cms_services.monitoring.probes.socket_checks import check_tcp, check_tls
from cms_services.monitoring.probes.surroundings import Beat, MemoryUse, Surroundings
from cms_services.outbound import AddressRefused, Unreachable

__all__ = [
    "Beat",
    "CheckResult",
    "MemoryUse",
    "Scraped",
    "Surroundings",
    "overall_status",
    "run_checks",
    "run_checks_now",
    "run_scrape",
]

_log = logging.getLogger(__name__)
# Somebody waits for them, with a thread of the web server.
LONGEST_BY_HAND = 15.0


async def run_checks(
    checks: Sequence[Check], surroundings: Surroundings, longest: float = math.inf
) -> list[CheckResult]:
    """Run a service's checks side by side, and give their results in the same order.

    Takes no longer than the longest timeout among them, and cuts short what takes more than
    `longest` seconds. Whatever goes wrong is a result: unhealthy where the target fails, unknown
    where it can't be asked.
    """
    if len(checks) == 1:
        return [await _run(checks[0], surroundings, longest)]
    return list(await asyncio.gather(*(_run(check, surroundings, longest) for check in checks)))


def run_checks_now(checks: Sequence[Check], surroundings: Surroundings) -> list[CheckResult]:
    """Run checks in a loop of their own, for somebody who waits: 15 s at most."""
    if not checks:
        return []
    return asyncio.run(run_checks(checks, surroundings, LONGEST_BY_HAND))


async def _run(check: Check, surroundings: Surroundings, longest: float) -> CheckResult:
    outcome = await _outcome(check, surroundings, longest)
    elapsed = outcome.elapsed_ms
    return CheckResult(
        check.name,
        check.type,
        outcome.status,
        storable(without_secrets(outcome.message, check)[:LONGEST_MESSAGE]),
        now(),
        None if elapsed is None else round(elapsed, 2),
        outcome.details,
        outcome.cut_short,
    )


async def _outcome(check: Check, surroundings: Surroundings, longest: float) -> Outcome:
    limit = asyncio.timeout(min(check.timeout, longest))
    try:
        if check.problem is not None:
            raise ValueError(check.problem)
        if check.has_secrets:
            raise ValueError("its secrets were not opened")
        async with limit:
            return await _RUNNERS[check.type](check, surroundings)
    except AddressRefused as error:
        return unknown(f"Not checked: {error}.")
    except TimeoutError:
        if longest < check.timeout and limit.expired():
            return _cut_short(check, longest)
        return unhealthy(f"No answer within {check.timeout:g} s.")
    except ValueError as error:
        return unknown(f"Not checked: {str(error).rstrip('.')}.")
    except Unreachable as error:
        return unhealthy(f"No connection: {error}.")
    except Exception:
        # One odd target must not take the others' results along.
        _log.exception("A %s check could not be run", check.type)
        return unknown("Not checked: an error of ours, which the log has.")


def _cut_short(check: Check, seconds: float) -> Outcome:
    message = (
        f"Cut short: no answer within the {seconds:g} s that a check by hand has; "
        f"its timeout is {check.timeout:g} s."
    )
    return replace(unknown(message), cut_short=True)


# Loading the drivers of databases and name servers takes a start a fifth of a second, and most
# processes ask none.
async def _check_names(check: Check, surroundings: Surroundings) -> Outcome:
    from cms_services.monitoring.probes.dns_checks import check_names

    return await check_names(check, surroundings)


async def _check_database(check: Check, surroundings: Surroundings) -> Outcome:
    from cms_services.monitoring.probes.database_checks import check_database

    return await check_database(check, surroundings)


_RUNNERS: dict[str, Callable[[Check, Surroundings], Awaitable[Outcome]]] = {
    "http": check_http,
    "https": check_http,
    "external_apis": check_http,
    "response_time": check_response_time,
    "tcp": check_tcp,
    "tls": check_tls,
    "dns": _check_names,
    "database_connection": _check_database,
    "memory_usage": check_memory,
    "heartbeat": check_heartbeat,
}
