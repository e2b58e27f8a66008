"""The interactive health check, which both doors offer: take the lease, probe, record.

No transaction is open while a service is being called, and at most half of a process's threads
wait for services, so that the others can be answered.
"""

import time
from threading import BoundedSemaphore

from flask import Flask, current_app

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.errors import NotReady
from cms_services.monitoring.health import by_hand
from cms_services.monitoring.health.database_clock import DatabaseClock
from cms_services.monitoring.health.preparing import Prepared
from cms_services.monitoring.health.reports import Health
from cms_services.monitoring.health.schedule import release
from cms_services.monitoring.probes.running import run_checks_now
from cms_services.outbound import AddressPolicy
from cms_services.settings import Settings, current_settings
from cms_services.web.transactions import reading, writing
from cms_services.wording import worded

_WAITING = "cms_services.health_checks"
_LOOK_SECONDS = 0.05
# Longer than any lease lasts, so that a run which died is taken over within it.
_LONGEST_WAIT_SECONDS = 100.0


def init_health_checks(app: Flask, settings: Settings) -> None:
    app.extensions[_WAITING] = BoundedSemaphore(max(1, settings.web_threads // 2))


def check_now(actor: Actor, service_id: str) -> Health:
    """Run a service's checks within their timeouts, store the report and return it.

    While somebody else's run goes on, wait for it and return its report. Raises NotReady while too
    many others run or wait.
    """
    with reading():
        load_service(actor, service_id)
    waiting: BoundedSemaphore = current_app.extensions[_WAITING]
    if not waiting.acquire(blocking=False):
        raise NotReady(
            worded("As many health checks as can run at once are running; try again shortly.")
        )
    try:
        return _checked(actor, service_id)
    finally:
        waiting.release()


def _checked(actor: Actor, service_id: str) -> Health:
    policy = AddressPolicy(current_settings().probe_allowed_networks)
    clock = DatabaseClock()
    give_up = time.monotonic() + _LONGEST_WAIT_SECONDS
    while time.monotonic() < give_up:
        with writing():
            clock.measure()
            asked = by_hand.ask(actor, service_id, policy, clock.now())
        if asked.prepared is not None:
            return _run(actor, asked, asked.prepared, clock)
        while True:
            time.sleep(_LOOK_SECONDS)
            with reading():
                if by_hand.still_running(asked, clock.now()):
                    continue
                shared = by_hand.shared_answer(actor, asked)
            if shared is not None:
                return shared
            break
    raise NotReady(worded("The checks of this service are being run by others; try again shortly."))


def _run(actor: Actor, asked: by_hand.Asked, prepared: Prepared, clock: DatabaseClock) -> Health:
    try:
        at = clock.now()
        results = run_checks_now(list(prepared.checks.values()), prepared.surroundings)
        with writing():
            return by_hand.conclude(actor, asked, prepared.claimed, at, results)
    except BaseException:
        with writing():
            release(prepared.claimed.holder, [asked.service_id])
        raise
