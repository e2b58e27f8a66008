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
from cms_services.ledger.reading import prune_ledger
from cms_services.monitoring.batches import prune_batches
from cms_services.monitoring.health.reports import prune_health
from cms_services.monitoring.logs.retention import prune_logs
from cms_services.monitoring.metrics.retention import prune_metrics
from cms_services.settings import Settings
from cms_services.worker.audit_head import log_audit_head
from cms_services.worker.claims import prune_claims
from cms_services.worker.letters import send_due_letters

_SECOND, _MINUTE, _HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@dataclass(frozen=True)
class Job:
    """Work that is due once in each period. `run` returns how many items it dealt with.

    Its claim and its work are one transaction, so that what fails can be taken again. Long work
    commits by itself (`own_transactions`), after a claim that has been committed; work that shares
    itself out among those who do it needs no claim at all (`shared`).
    """

    name: str
    every: timedelta
    run: Callable[[Settings], int]
    own_transactions: bool = False
    shared: bool = False


JOBS = (
    Job("send letters", 5 * _SECOND, send_due_letters, own_transactions=True, shared=True),
    Job(
        "purge cancelled services",
        10 * _MINUTE,
        lambda settings: purge_cancelled(SYSTEM, settings.service_retention),
    ),
    Job("prune log entries", _MINUTE, prune_logs, own_transactions=True),
    Job("prune metrics", _MINUTE, prune_metrics, own_transactions=True),
    Job(
        "prune health reports",
        _MINUTE,
        lambda settings: prune_health(settings.health_retention),
        own_transactions=True,
    ),
    Job("prune ingested batches", _MINUTE, lambda settings: prune_batches(), own_transactions=True),
    Job("prune idempotency keys", _HOUR, lambda settings: prune_keys()),
    Job("prune ended sessions", _HOUR, lambda settings: prune_sessions()),
    Job("prune password resets", _HOUR, lambda settings: prune_resets()),
    Job("prune download links", 10 * _MINUTE, lambda settings: prune_links()),
    Job("prune invitations", _HOUR, lambda settings: prune_invitations()),
    Job(
        "prune the ledger of services.php",
        _HOUR,
        lambda settings: prune_ledger(settings.legacy_usage_retention),
    ),
    Job("log the audit head", _HOUR, lambda settings: log_audit_head()),
    Job("prune job claims", _HOUR, lambda settings: prune_claims()),
)
