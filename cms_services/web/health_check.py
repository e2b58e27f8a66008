"""The interactive health check, which both doors offer: read the plan, probe, record.

No transaction is open while a service is being called.
"""

from cms_services.actor import Actor
from cms_services.monitoring.checks import run_checks
from cms_services.monitoring.health import Health, plan_checks, record_report
from cms_services.outbound import AddressPolicy
from cms_services.settings import current_settings
from cms_services.web.transactions import reading, writing


def check_now(actor: Actor, service_id: str) -> Health:
    """Run a service's checks within their timeouts, store the report and return it."""
    with reading():
        checks = plan_checks(actor, service_id)
    results = run_checks(checks, AddressPolicy(current_settings().probe_allowed_networks))
    with writing():
        return record_report(actor, service_id, results)
