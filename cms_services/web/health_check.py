"""The interactive health check, which both doors offer: read the plan, probe, record.

No transaction is open while a service is being called, and at most half of a process's threads
wait for services, so that the others can be answered.
"""

from threading import BoundedSemaphore

from flask import Flask, current_app

from cms_services.actor import Actor
from cms_services.errors import NotReady
from cms_services.monitoring.health.reports import Health, plan_checks, record_report
from cms_services.monitoring.probes.running import Surroundings, run_checks_now
from cms_services.outbound import AddressPolicy
from cms_services.settings import Settings, current_settings
from cms_services.web.transactions import reading, writing

_WAITING = "cms_services.health_checks"


def init_health_checks(app: Flask, settings: Settings) -> None:
    app.extensions[_WAITING] = BoundedSemaphore(max(1, settings.web_threads // 2))


def check_now(actor: Actor, service_id: str) -> Health:
    """Run a service's checks within their timeouts, store the report and return it.

    Raises NotReady while too many others run.
    """
    with reading():
        checks = plan_checks(actor, service_id)
    waiting: BoundedSemaphore = current_app.extensions[_WAITING]
    if not waiting.acquire(blocking=False):
        raise NotReady("As many health checks as can run at once are running; try again shortly.")
    try:
        policy = AddressPolicy(current_settings().probe_allowed_networks)
        results = run_checks_now(checks, Surroundings(policy))
    finally:
        waiting.release()
    with writing():
        return record_report(actor, service_id, results)
