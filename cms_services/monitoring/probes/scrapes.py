"""Collecting the Prometheus text of the endpoints that a service declares."""

from dataclasses import dataclass
from datetime import datetime

from cms_services import outbound
from cms_services.clock import now
from cms_services.monitoring.probes.declared import Check
from cms_services.monitoring.probes.results import LONGEST_MESSAGE
from cms_services.monitoring.probes.secrets_of_checks import without_secrets
from cms_services.monitoring.probes.surroundings import Surroundings
from cms_services.outbound import AddressRefused, Unreachable
from cms_services.outbound_tls import trusting
from cms_services.vocabulary import HealthStatus

LARGEST_SCRAPE_BYTES = 4 * 1024 * 1024
_ACCEPT = "text/plain;version=0.0.4"


@dataclass(frozen=True, slots=True)
class Scraped:
    """What an endpoint answered at a moment; `text` is empty unless the status is healthy."""

    name: str
    at: datetime
    status: HealthStatus
    text: str
    message: str


async def run_scrape(check: Check, surroundings: Surroundings) -> Scraped:
    """Ask an endpoint for its metrics. Never raises, and takes no longer than the timeout."""
    at = now()
    try:
        status, text, message = await _ask(check, surroundings)
    except AddressRefused as error:
        status, text, message = HealthStatus.UNKNOWN, "", f"Not collected: {error}."
    except TimeoutError:
        message = f"No answer within {check.timeout:g} s."
        status, text = HealthStatus.UNHEALTHY, ""
    except ValueError as error:
        status, text, message = HealthStatus.UNKNOWN, "", f"Not collected: {error}."
    except Unreachable as error:
        status, text, message = HealthStatus.UNHEALTHY, "", f"No connection: {error}."
    return Scraped(check.name, at, status, text, without_secrets(message, check)[:LONGEST_MESSAGE])


async def _ask(check: Check, surroundings: Surroundings) -> tuple[HealthStatus, str, str]:
    if check.problem is not None:
        raise ValueError(check.problem)
    if check.has_secrets:
        raise ValueError("its secrets were not opened")
    options = check.options
    own_trust = "ca" in options or options.get("verify") is False
    answer = await outbound.request(
        "GET",
        check.target,
        check.timeout,
        surroundings.policy,
        headers={"Accept": _ACCEPT} | options.get("headers", {}),
        max_body_bytes=LARGEST_SCRAPE_BYTES,
        trust=trusting(options.get("verify", True), options.get("ca")) if own_trust else None,
    )
    if answer.status != 200:
        return HealthStatus.UNHEALTHY, "", f"HTTP {answer.status}"
    if answer.cut:
        limit = LARGEST_SCRAPE_BYTES // 1024 // 1024
        return HealthStatus.UNHEALTHY, "", f"The answer is longer than {limit} MiB."
    try:
        return HealthStatus.HEALTHY, answer.body.decode(), f"HTTP 200, {len(answer.body)} bytes"
    except UnicodeDecodeError:
        return HealthStatus.UNHEALTHY, "", "The answer is no UTF-8 text."
