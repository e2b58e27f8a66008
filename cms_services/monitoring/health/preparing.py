"""What checks are run with: secrets, heartbeats and the use of memory, of many services at once."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from sqlalchemy import Table, select

from cms_services.catalogue.models import Service
from cms_services.configuration.secrets import opened
from cms_services.encryption import current_vault
from cms_services.errors import ServiceConfigError
from cms_services.extensions import db
from cms_services.monitoring.health.models import Heartbeat
from cms_services.monitoring.health.schedule import Claimed
from cms_services.monitoring.metrics.reading import newest_values
from cms_services.monitoring.probes.declared import Check, declared_checks, declared_scrapes
from cms_services.monitoring.probes.running import Beat, MemoryUse, Surroundings
from cms_services.outbound import AddressPolicy

log = structlog.get_logger()

_SERVICES: Table = Service.__table__  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A claimed service with its checks as they are run. Secrets are open in them: not stored."""

    claimed: Claimed
    checks: dict[str, Check]
    scrapes: dict[str, Check]
    surroundings: Surroundings


def prepare(claimed: Sequence[Claimed], policy: AddressPolicy, present: datetime) -> list[Prepared]:
    """Read what the checks of claimed services are run with, in the caller's transaction."""
    beats = _beats([each.service_id for each in claimed if _has(each, "heartbeat")])
    memory = _newest_memory([each.service_id for each in claimed if _has(each, "memory_usage")])
    documents = _opened_documents([each.service_id for each in claimed if _has_secrets(each)])
    prepared = []
    for each in claimed:
        checks, scrapes = each.checks, each.scrapes
        document = documents.get(each.service_id)
        if document is not None:
            checks, scrapes = declared_checks(document), declared_scrapes(document)
        surroundings = Surroundings(
            policy=policy,
            heartbeats=beats.get(each.service_id, {}),
            memory=memory.get(each.service_id),
            declared_at=_declared_at(each),
            now=present,
        )
        prepared.append(
            Prepared(
                each,
                {check.name: check for check in checks},
                {scrape.name: scrape for scrape in scrapes},
                surroundings,
            )
        )
    return prepared


def _has(claimed: Claimed, kind: str) -> bool:
    return any(check.type == kind for check in claimed.checks)


def _has_secrets(claimed: Claimed) -> bool:
    return any(check.has_secrets for check in (*claimed.checks, *claimed.scrapes))


def _declared_at(claimed: Claimed) -> dict[str, datetime]:
    """Since when each of the heartbeats is declared as it is, or was resumed."""
    known = {
        check.name: claimed.state.checks[check.name].declared
        for check in claimed.checks
        if check.type == "heartbeat"
    }
    return {
        name: datetime.fromtimestamp(declared, tz=UTC)
        for name, declared in known.items()
        if declared is not None
    }


def _newest_memory(service_ids: Sequence[str]) -> dict[str, MemoryUse]:
    """The newest values of the metric `memory`, by the services' ids."""
    found = newest_values(service_ids, "memory") if service_ids else {}
    return {service_id: MemoryUse(value, at) for service_id, (value, at) in found.items()}


def _beats(service_ids: Collection[str]) -> dict[str, dict[str, Beat]]:
    """The last calls of services, by their ids and the names of the checks."""
    found: dict[str, dict[str, Beat]] = {}
    if service_ids:
        query = select(Heartbeat).where(Heartbeat.service_id.in_(service_ids))
        for row in db.session.scalars(query):
            beat = Beat(row.at, row.failed, row.message, row.duration_ms)
            found.setdefault(row.service_id, {})[row.check] = beat
    return found


def _opened_documents(service_ids: Collection[str]) -> dict[str, dict[str, object]]:
    """The configurations of services with their secrets, but for those whose key is gone."""
    found: dict[str, dict[str, object]] = {}
    if service_ids:
        vault = current_vault()
        column = _SERVICES.c
        query = select(column.id, column.config).where(column.id.in_(service_ids))
        for row in db.session.execute(query):
            try:
                found[row.id] = opened(row.config, row.id, vault)
            except ServiceConfigError:
                # Its checks run with what is stored, and tell that they are refused.
                log.warning("secrets of checks can't be opened", service_id=row.id)
    return found
