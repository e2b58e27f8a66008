"""Workers that run checks beside a test, and a target for them."""

import asyncio
import http.server
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from flask import Flask
from sqlalchemy import select, update

from cms_services import clock
from cms_services.extensions import db
from cms_services.monitoring.health.models import MonitoredService
from cms_services.monitoring.health.synchronising import synchronise
from cms_services.monitoring.metrics.scraping import store_scrape
from cms_services.worker.probing import StoreScrape, probe_until

LOCAL = "127.0.0.0/8"


class Target(http.server.ThreadingHTTPServer):
    """Answers 200, or what `statuses` says of a path, and counts calls by their paths."""

    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.calls: Counter[str] = Counter()
        self.at: dict[str, datetime] = {}
        self.statuses: dict[str, int] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.bodies: dict[str, bytes] = {}
        self.seconds = 0.0
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.lock = threading.Lock()
        # How many calls were being answered at one time, at most.
        self.at_once = self.most_at_once = 0


class _Answers(http.server.BaseHTTPRequestHandler):
    server: Target

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.calls[self.path] += 1
            self.server.at.setdefault(self.path, clock.now())
            self.server.headers[self.path] = dict(self.headers)
            self.server.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
        time.sleep(self.server.seconds)
        with self.server.lock:
            self.server.at_once -= 1
        self.send_response(self.server.statuses.get(self.path, 200))
        body = self.server.bodies.get(self.path, b"")
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def a_target() -> Iterator[Target]:
    server = Target()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def worker(
    app: Flask,
    own: Callable[[], datetime] = clock.now,
    store_scrape: StoreScrape = store_scrape,
) -> Iterator[Callable[[], None]]:
    """Run a worker's checks in a thread until the block ends; gives what stops it at once."""
    stop = asyncio.Event()
    started = threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def work() -> None:
        loops.append(asyncio.get_running_loop())
        started.set()
        await probe_until(app, stop, own=own, store_scrape=store_scrape)

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    assert started.wait(10)

    def end() -> None:
        if thread.is_alive():
            loops[0].call_soon_threadsafe(stop.set)
        thread.join(20)
        assert not thread.is_alive()

    try:
        yield end
    finally:
        end()


def schedule(app: Flask, due: datetime | None = None, scrapes: datetime | None = None) -> None:
    """Bring the schedule up to date; let all checks, or scrapes, be due at a moment given."""
    with app.app_context():
        synchronise(clock.now())
        moment = due or scrapes
        for row in db.session.scalars(select(MonitoredService)) if moment else ():
            states = row.states
            if due is not None:
                for state in states["checks"].values():
                    state["due"] = due.timestamp()
            if scrapes is not None:
                states["scrapes"] = dict.fromkeys(states["scrapes"], scrapes.timestamp())
            db.session.execute(
                update(MonitoredService)
                .where(MonitoredService.service_id == row.service_id)
                .values(states=dict(states), due_at=moment)
            )
        db.session.commit()


def rows(app: Flask) -> list[MonitoredService]:
    with app.app_context():
        found = list(db.session.scalars(select(MonitoredService)))
        db.session.expunge_all()
        return found


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for something to be so. Fails after some seconds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
