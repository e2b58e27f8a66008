"""The table of periodic work."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from cms_services.accounts.invitations import prune_invitations
from cms_services.accounts.recovery import prune_resets
from cms_services.accounts.sessions import prune_sessions
from cms_services.actor import SYSTEM
from cms_services.catalogue.lifecycle import purge_cancelled
from cms_services.downloads.links import prune_links
from cms_services.idempotency.keys import prune_keys
from cms_services.monitoring.health.reports import prune_health
from cms_services.monitoring.logs.entries import prune_entries
from cms_services.monitoring.metrics.samples import prune_samples
from cms_services.settings import Settings
from cms_services.worker.audit_head import log_audit_head
from cms_services.worker.claims import prune_claims


@dataclass(frozen=True)
class Job:
    """Work that is due once in each period. `run` returns how many items it dealt with."""

    name: str
    every: timedelta
    run: Callable[[Settings], int]


JOBS = (
    Job(
        "purge cancelled services",
        timedelta(minutes=10),
        lambda settings: purge_cancelled(SYSTEM, settings.service_retention),
    ),
    Job(
        "prune log entries",
        timedelta(minutes=1),
        lambda settings: prune_entries(settings.log_retention),
    ),
    Job(
        "prune metric samples",
        timedelta(minutes=1),
        lambda settings: prune_samples(settings.metric_sample_retention),
    ),
    Job(
        "prune health reports",
        timedelta(minutes=1),
        lambda settings: prune_health(settings.health_retention),
    ),
    Job("prune idempotency keys", timedelta(hours=1), lambda settings: prune_keys()),
    Job("prune ended sessions", timedelta(hours=1), lambda settings: prune_sessions()),
    Job("prune password resets", timedelta(hours=1), lambda settings: prune_resets()),
    Job("prune download links", timedelta(minutes=10), lambda settings: prune_links()),
    Job("prune invitations", timedelta(hours=1), lambda settings: prune_invitations()),
    Job("log the audit head", timedelta(hours=1), lambda settings: log_audit_head()),
    Job("prune job claims", timedelta(hours=1), lambda settings: prune_claims()),
)
