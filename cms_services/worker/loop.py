"""The background worker: periodic jobs in threads, probes in one asyncio loop, until it is told to
stop.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import structlog
from flask import Flask

from cms_services.settings import current_settings
from cms_services.worker.jobs import JOBS, Job
from cms_services.worker.probing import probe_until
from cms_services.worker.queue import JobConsumer, add_periodic, new_queue
from cms_services.worker.running import run_if_due
from cms_services.worker.syslog import take_syslog_until

log = structlog.get_logger()

_LOOK_SECONDS = 0.2
_PAUSE_SECONDS = 5.0

# What goes on all the time, beside the jobs: each until the event is set.
Duty = Callable[[Flask, asyncio.Event], Coroutine[Any, Any, None]]
DUTIES: tuple[Duty, ...] = (probe_until, take_syslog_until)


def work_until_stopped(app: Flask, beside: int | None = None) -> None:
    """Do all work until SIGTERM or SIGINT, or until `beside` is not our parent any more.

    What has begun is ended first, within half a minute.
    """
    with app.app_context():
        queue = new_queue(current_settings())
    for job in JOBS:
        add_periodic(queue, job, partial(_run_in_thread, app, job))
    # A line for each job that it looks at, every few seconds.
    logging.getLogger("huey").setLevel(logging.WARNING)
    consumer = JobConsumer(queue)
    consumer.start()
    log.info("worker started")
    try:
        asyncio.run(_duties(app, beside))
    finally:
        consumer.stop(graceful=True)
        log.info("worker stopped")


def _run_in_thread(app: Flask, job: Job) -> bool:
    with app.app_context():
        return run_if_due(job)


async def _duties(app: Flask, beside: int | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as group:
        for duty in DUTIES:
            group.create_task(_kept_up(duty, app, stop))
        while beside in (None, os.getppid()) and not stop.is_set():
            await _wait(stop, _LOOK_SECONDS)
        stop.set()


async def _kept_up(duty: Duty, app: Flask, stop: asyncio.Event) -> None:
    """A duty that breaks down begins again; nothing else stops for it."""
    while not stop.is_set():
        try:
            await duty(app, stop)
        except Exception:
            log.exception("a duty broke down", duty=duty.__name__)
            await _wait(stop, _PAUSE_SECONDS)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
