"""Checks that somebody asks for now.

One of them at a time runs for a service, over all threads, processes and nodes: whoever asks while
one runs gets its answer. The lease of the schedule says who it is.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from cms_services.actor import Actor
from cms_services.catalogue.access import load_row, load_service
from cms_services.extensions import db
from cms_services.monitoring.health.models import HealthReport
from cms_services.monitoring.health.preparing import Prepared, prepare
from cms_services.monitoring.health.recording import Finding, record
from cms_services.monitoring.health.reporting import found_now, slowest
from cms_services.monitoring.health.reports import Health, report_after
from cms_services.monitoring.health.schedule import BY_HAND, Claimed, claim_one, lease_of
from cms_services.monitoring.health.synchronising import synchronise_services
from cms_services.monitoring.health.uptime import recent_uptime
from cms_services.monitoring.probes.results import CheckResult
from cms_services.outbound import AddressPolicy


@dataclass(frozen=True, slots=True)
class Asked:
    """A check that was asked for: ours to run where `prepared` is there, else to wait for.

    `holder` is who runs it, and `last_report` the newest report at that moment.
    """

    service_id: str
    prepared: Prepared | None
    holder: str | None
    last_report: int


def ask(actor: Actor, identifier: str, policy: AddressPolicy, present: datetime) -> Asked:
    """Take a service's lease to check it now, in the caller's transaction.

    The caller must be allowed to read the service.
    """
    service = load_service(actor, identifier)
    synchronise_services([service.id], present)
    claimed = claim_one(f"{BY_HAND}{uuid.uuid4()}", service.id, present)
    last = db.session.scalar(
        select(func.max(HealthReport.id)).where(HealthReport.service_id == service.id)
    )
    if claimed is not None:
        return Asked(service.id, prepare([claimed], policy, present)[0], claimed.holder, last or 0)
    return Asked(service.id, None, lease_of(service.id)[0], last or 0)


def still_running(asked: Asked, present: datetime) -> bool:
    """Whether the run that is waited for goes on, and is not overdue."""
    holder, until = lease_of(asked.service_id)
    return holder == asked.holder and until is not None and until > present


def shared_answer(actor: Actor, asked: Asked) -> Health | None:
    """The report of the run by hand that was waited for; None where it left none.

    A run of the schedule leaves none either: it may have run but some of the checks.
    """
    if asked.holder is None or not asked.holder.startswith(BY_HAND):
        return None
    service = load_row(actor, asked.service_id)
    return report_after(service.service_id, service.id, asked.last_report)


def conclude(
    actor: Actor, asked: Asked, claimed: Claimed, at: datetime, results: Sequence[CheckResult]
) -> Health:
    """Record a run of ours that began at a moment, in the caller's transaction, and report it."""
    record([Finding(claimed, at, results, by_hand=True)])
    service = load_row(actor, asked.service_id)
    stored = report_after(service.service_id, service.id, asked.last_report)
    if stored is not None:
        return stored
    # The lease ended before the run did, and whoever has it now writes.
    status, checks = found_now(results, (), at)
    times = slowest(each.response_time_ms for each in results)
    return Health(service.service_id, status, at, times, checks, recent_uptime(service.id))
