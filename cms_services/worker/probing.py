"""Running the checks that are due: one asyncio loop, and one thread that talks to the database.

Fetched metrics have another thread, since they can take long to read and nobody waits for them.

Services are taken a moment before they are due and each is started at its own. What was found is
written for many services at once. As many of these processes as wanted work on one database.
"""

import asyncio
import os
import socket
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog
from flask import Flask
from prometheus_client import Counter, Histogram

from cms_services import clock as own_clock
from cms_services.database import begin_writing, is_outage
from cms_services.extensions import db
from cms_services.monitoring.health.database_clock import DatabaseClock
from cms_services.monitoring.health.preparing import Prepared, prepare
from cms_services.monitoring.health.recording import Finding, record
from cms_services.monitoring.health.schedule import claim_due, release
from cms_services.monitoring.health.set_back import bring_nearer
from cms_services.monitoring.health.synchronising import synchronise, synchronise_changed
from cms_services.monitoring.metrics.scraping import store_scrape
from cms_services.monitoring.probes.running import Scraped, run_checks, run_scrape
from cms_services.monitoring.protocols.measurements import Decoded
from cms_services.monitoring.protocols.prometheus_text import decode_text
from cms_services.outbound import AddressPolicy
from cms_services.settings import Settings
from cms_services.vocabulary import HealthStatus

log = structlog.get_logger()

_CHECKED = Counter("cms_services_checked_total", "Services whose checks a worker ran")
_RESULTS = Counter("cms_checks_total", "Checks that workers ran", ["type", "status"])
_LATENESS = Histogram(
    "cms_check_lateness_seconds",
    "How long after it was due a service's check began",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60),
)
_WRITTEN = Histogram(
    "cms_check_batch_size",
    "Services whose findings were written in one transaction",
    buckets=(1, 5, 10, 25, 50, 100, 250, 500, 1000),
)

_TICK_SECONDS = 0.5
# Services are taken this long before they are due: a tick, and what the database takes.
_AHEAD = timedelta(seconds=1)
_MOST_AT_ONCE = 1000
_MEASURE_SECONDS = 30.0
# So long after the database's clock was set back somebody may write by the clock as it was.
_SETTLING_SECONDS = 120.0
_CHANGES_SECONDS = 1.0
_ALL_SECONDS = 300.0
_LONGEST_PAUSE_SECONDS = 5.0
# A run that could not be finished before its lease ends belongs to somebody else.
_SPARE = timedelta(seconds=1)
# Of metrics that could not be stored so many characters are kept, and tried so often: an outage
# fails ticks before they come to it.
_MOST_SCRAPED_CHARACTERS = 64 * 1024**2
_MOST_TRIES = 20
# Of fetched metrics so many texts are stored before the next tick looks at what waits.
_MOST_STORED_AT_ONCE = 50

# Stores fetched metrics of a service, by its id; flushes.
StoreScrape = Callable[[str, Decoded], object]
T = TypeVar("T")


async def probe_until(
    app: Flask,
    stop: asyncio.Event,
    *,
    own: Callable[[], datetime] = own_clock.now,
    store_scrape: StoreScrape = store_scrape,
) -> None:
    """Run due checks until `stop` is set; then finish those that run, and write what they found.

    `own` is this machine's clock, which the database's corrects.
    """
    prober = _Prober(app, DatabaseClock(own), store_scrape)
    try:
        await prober.work_until(stop)
    finally:
        prober.close()


@dataclass(slots=True)
class _ToStore:
    """What was fetched of a service, and how often it could not be stored."""

    service_id: str
    scraped: Scraped
    tries: int = 0


class _Prober:
    def __init__(self, app: Flask, clock: DatabaseClock, store_scrape: StoreScrape) -> None:
        settings: Settings = app.extensions["cms_services.settings"]
        self._app = app
        self._clock = clock
        self._store_scrape = store_scrape
        self._holder = f"{socket.gethostname()[:20]}:{os.getpid()}:{uuid.uuid4().hex[:12]}"
        self._policy = AddressPolicy(settings.probe_allowed_networks)
        self._at_once = settings.probe_concurrency
        self._slots = asyncio.Semaphore(self._at_once)
        self._database = ThreadPoolExecutor(1, "checks-database")
        self._metrics = ThreadPoolExecutor(1, "checks-metrics")
        self._runs: dict[str, asyncio.Task[None]] = {}
        # Of the runs, those that wait for their moment or for a slot.
        self._waiting: set[str] = set()
        self._found: list[Finding] = []
        self._scraped: list[_ToStore] = []
        self._storing: asyncio.Task[None] | None = None
        self._newest_event: int | None = None
        # It may have been set back while nobody looked.
        self._settled = time.monotonic() + _SETTLING_SECONDS
        self._measured = self._changes = self._all = float("-inf")

    async def work_until(self, stop: asyncio.Event) -> None:
        log.info("checks started", holder=self._holder)
        pause = 0.0
        while not stop.is_set():
            begun = time.monotonic()
            try:
                await self._tick()
                pause = 0.0
            except Exception:
                pause = min(max(2 * pause, _TICK_SECONDS), _LONGEST_PAUSE_SECONDS)
                log.exception("checks wait for the database", seconds=pause)
            rest = max(pause, _TICK_SECONDS - (time.monotonic() - begun))
            await _first_of(stop, rest)
        await self._finish()
        log.info("checks stopped", holder=self._holder)

    def close(self) -> None:
        self._database.shutdown()
        self._metrics.shutdown()

    async def _tick(self) -> None:
        await self._keep_up()
        room = 2 * self._at_once + _MOST_AT_ONCE - len(self._runs)
        # Where those that are due wait for slots already, others may have time for more.
        if room > 0 and not (self._slots.locked() and len(self._waiting) > self._at_once):
            for each in await self._in_database(self._claim, min(room, _MOST_AT_ONCE)):
                name = each.claimed.service_id
                if name in self._runs:
                    # Our own lease of it ended while it ran: what that run finds is not written.
                    self._runs[name].cancel()
                task = asyncio.create_task(self._run(each))
                self._runs[name] = task
                task.add_done_callback(partial(self._forget, name))
        await self._write()
        self._begin_storing()

    def _forget(self, name: str, task: asyncio.Task[None]) -> None:
        if self._runs.get(name) is task:
            del self._runs[name]

    async def _keep_up(self) -> None:
        """Ask for the database's time, and bring the schedule up to date, where that is due."""
        present = time.monotonic()
        if present - self._measured >= _MEASURE_SECONDS or self._clock.own_was_set():
            await self._in_database(self._measure)
            self._measured = present
        if present - self._changes >= _CHANGES_SECONDS:
            await self._in_database(self._take_changes)
            self._changes = present
        if present - self._all >= _ALL_SECONDS:
            await self._in_database(lambda: synchronise(self._clock.now()))
            self._all = present

    async def _run(self, prepared: Prepared) -> None:
        claimed = prepared.claimed
        self._waiting.add(claimed.service_id)
        try:
            wait = (claimed.due_at - self._clock.now()).total_seconds() if claimed.due_at else 0
            if wait > 0:
                await asyncio.sleep(wait)
            async with self._slots:
                self._waiting.discard(claimed.service_id)
                at = self._clock.now()
                if claimed.due_at is not None:
                    at = max(at, claimed.due_at)
                    _LATENESS.observe((at - claimed.due_at).total_seconds())
                if not self._can_end(prepared, at):
                    return
                checks = [prepared.checks[each.name] for each in claimed.due_checks(at)]
                scrapes = [prepared.scrapes[each.name] for each in claimed.due_scrapes(at)]
                around = prepared.surroundings
                scraping = [asyncio.create_task(run_scrape(each, around)) for each in scrapes]
                results = await run_checks(checks, around)
                scraped = [await each for each in scraping]
                self._found.append(Finding(claimed, at, results))
                self._scraped += [_ToStore(claimed.service_id, each) for each in scraped]
        except Exception:
            # The lease ends by itself.
            log.exception("checks failed", service_id=claimed.service_id)
        finally:
            self._waiting.discard(claimed.service_id)

    def _can_end(self, prepared: Prepared, at: datetime) -> bool:
        longest = max(
            (each.timeout for each in (*prepared.checks.values(), *prepared.scrapes.values())),
            default=0.0,
        )
        return at + timedelta(seconds=longest) + _SPARE <= prepared.claimed.lease_until

    async def _write(self) -> None:
        if not self._found:
            return
        found, self._found = self._found, []
        try:
            await self._in_database(self._record, found)
        except Exception as error:
            self._found = found + self._found
            if is_outage(error):
                raise
            await self._write_one_by_one(len(found))
        else:
            _count_written(found)

    async def _write_one_by_one(self, number: int) -> None:
        """Write the oldest findings, and drop what the database refuses: one of them spoilt all."""
        for _ in range(number):
            finding = self._found[0]
            try:
                await self._in_database(self._record, [finding])
            except Exception as error:
                if is_outage(error):
                    raise
                # The service's lease ends by itself.
                log.exception("finding dropped", service_id=finding.claimed.service_id)
            else:
                _count_written([finding])
            self._found.pop(0)

    def _begin_storing(self) -> None:
        """Let what was fetched be stored meanwhile, unless the last lot still is."""
        self._drop_oldest_scraped()
        if self._scraped and (self._storing is None or self._storing.done()):
            self._storing = asyncio.create_task(self._store_some(_MOST_STORED_AT_ONCE))

    async def _store_some(self, most: int) -> None:
        """Store what was fetched. Where the database fails, the next lot begins with the others.

        A scrape is tried several times, since the failure may be its own.
        """
        for _ in range(min(most, len(self._scraped))):
            each = self._scraped.pop(0)
            service_id, scraped = each.service_id, each.scraped
            if scraped.status is not HealthStatus.HEALTHY:
                log.info("no metrics fetched", service_id=service_id, reason=scraped.message)
                continue
            try:
                await self._in_thread(
                    self._metrics, _keep_scraped, self._store_scrape, service_id, scraped
                )
            except Exception as error:
                each.tries += 1
                if not is_outage(error) or each.tries >= _MOST_TRIES:
                    # What one service answers must not keep others' from being stored.
                    log.exception("fetched metrics not stored", service_id=service_id)
                    continue
                log.warning("fetched metrics wait for the database", service_id=service_id)
                self._scraped.append(each)
                return

    def _drop_oldest_scraped(self) -> None:
        """Keep what waits for the database within what memory allows."""
        length = sum(len(each.scraped.text) for each in self._scraped)
        while length > _MOST_SCRAPED_CHARACTERS:
            oldest = self._scraped.pop(0)
            length -= len(oldest.scraped.text)
            log.error("fetched metrics dropped", service_id=oldest.service_id)

    async def _finish(self) -> None:
        """Give back what has not begun, and wait for what has."""
        waiting = [self._runs[name] for name in self._waiting]
        names = list(self._waiting)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*self._runs.values(), return_exceptions=True)
        if self._storing is not None:
            await self._storing
        try:
            await self._write()
            await self._store_some(len(self._scraped))
            await self._in_database(self._release, names)
        except Exception:
            log.exception("the last findings could not be written")

    async def _in_database(self, work: Callable[..., T], *arguments: object) -> T:
        """Do something within the application's context, in the checks' one thread for that."""
        return await self._in_thread(self._database, work, *arguments)

    async def _in_thread(
        self, thread: ThreadPoolExecutor, work: Callable[..., T], *arguments: object
    ) -> T:
        def do() -> T:
            with self._app.app_context():
                try:
                    return work(*arguments)
                except BaseException:
                    # Its connection may be broken, and then could not even roll back.
                    db.session().invalidate()
                    raise
                finally:
                    db.session.remove()

        return await asyncio.get_running_loop().run_in_executor(thread, do)

    def _measure(self) -> None:
        self._clock.measure()
        present = time.monotonic()
        if self._clock.was_set_back:
            self._settled = present + _SETTLING_SECONDS
            log.warning("the database's clock was set back")
        if present < self._settled:
            bring_nearer(self._clock.now())

    def _take_changes(self) -> None:
        self._newest_event = synchronise_changed(self._newest_event, self._clock.now())

    def _claim(self, limit: int) -> list[Prepared]:
        present = self._clock.now()
        begin_writing(db.session())
        claimed = claim_due(self._holder, present, present + _AHEAD, limit)
        db.session.commit()
        return prepare(claimed, self._policy, present) if claimed else []

    def _record(self, found: Sequence[Finding]) -> None:
        begin_writing(db.session())
        record(found)
        db.session.commit()

    def _release(self, names: Sequence[str]) -> None:
        begin_writing(db.session())
        release(self._holder, names)
        db.session.commit()


def _count_written(found: Sequence[Finding]) -> None:
    _WRITTEN.observe(len(found))
    _CHECKED.inc(len(found))
    for each in found:
        for result in each.results:
            _RESULTS.labels(result.type, result.status).inc()


def _keep_scraped(store: StoreScrape, service_id: str, scraped: Scraped) -> None:
    # Before the transaction, which others may wait for.
    decoded = decode_text(scraped.text, scraped.at)
    begin_writing(db.session())
    store(service_id, decoded)
    db.session.commit()


async def _first_of(stop: asyncio.Event, seconds: float) -> None:
    """Wait until the event is set, at most some seconds."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
