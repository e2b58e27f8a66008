"""gunicorn's settings: `gunicorn -c python:cms_services.gunicorn_conf wsgi:app`."""

import gc
import os
import re
import signal
import subprocess
import sys
import threading
from functools import partial
from typing import Any

from gunicorn import util
from gunicorn.glogging import Logger
from prometheus_client import multiprocess

from cms_services.arriving import ArrivingRequest
from cms_services.intake import IntakeWorker
from cms_services.legacy.routing import longer_bodies_to_pass_on
from cms_services.own_log.configuration import configure_logging
from cms_services.server import (
    address_in_url,
    forget_metrics,
    ignore_new_connections,
    raise_open_files_limit,
    refuse,
)
from cms_services.settings import load_settings
from cms_services.web.stopping import begin_draining

_settings = load_settings(os.environ)
# For the first process itself; the others do it for themselves.
configure_logging(_settings)
raise_open_files_limit()
# gunicorn has no setting for the answers that it gives by itself.
util.write_error = refuse

bind = address_in_url(_settings)
workers = _settings.web_concurrency
threads = _settings.web_threads
worker_class = "cms_services.intake.IntakeWorker"
# Making a file is several times the work of answering a list.
IntakeWorker.taking_turns = re.compile(
    rb"(?:GET|HEAD|POST) /api/services/(?:download/|[^/]+/scaffold(?:/|\Z))"
)
_BATCHES = re.compile(
    rb"POST /(?:api/services/[^/]+/(?:logs|metrics)|v1/(?:logs|metrics)|api/v1/write"
    rb"|loki/api/v1/push)\Z"
)
ArrivingRequest.longer_bodies = (
    (_BATCHES, _settings.ingest_body_limit * 1024 * 1024),
    # Uploads to PHP; what is ours to answer is held to the usual limit later.
    *longer_bodies_to_pass_on(_settings),
)
IntakeWorker.request_seconds = float(_settings.request_timeout)
IntakeWorker.leaves_idle_connections = _settings.shutdown_delay > 0
# Those that send a request or wait for an answer; streams are let go (web/streams.py).
worker_connections = 512
# The highest that gunicorn takes: the old frontend puts whole forms into query strings.
limit_request_line = 8190
graceful_timeout = 30
timeout = 90
keepalive = 5
# It would open in the home folder, shared by every gunicorn of this user.
control_socket_disable = True
# By itself gunicorn believes these of whoever calls from this machine. The application decides, by
# TRUSTED_PROXIES.
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""


class OwnLogger(Logger):
    """Sends gunicorn's own lines where the application's go."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.propagate = True


logger_class = OwnLogger
# Requests are logged by the application.
accesslog = None
errorlog = None
# Its warnings quote requests that it could not read, secrets and all; refuse() logs those.
loglevel = "error"

_worker: subprocess.Popen[bytes] | None = None
_stopping = threading.Event()
_is_delayed = False
# One that can't even start must not take all of the machine.
_RESTART_SECONDS = 5.0


def when_ready(server: Any) -> None:
    """Let SIGINT stop gracefully too, and keep a worker beside the web processes where set so."""
    server.handle_int = server.handle_term = partial(_stop_when_drained, server)
    if _settings.worker_beside_web:
        _start_worker()
        threading.Thread(
            target=_keep_worker, args=(server,), name="keep-worker", daemon=True
        ).start()


def _stop_when_drained(server: Any) -> None:
    """Stop SHUTDOWN_DELAY after the first signal, or at the second one.

    Until then /readyz says that we stop, and requests are answered as before.
    """
    global _is_delayed
    if _settings.shutdown_delay and not _is_delayed:
        _is_delayed = True
        begin_draining()
        _stop_worker()
        later = (server.SIG_QUEUE.put_nowait, (signal.SIGTERM,))
        timer = threading.Timer(_settings.shutdown_delay, *later)
        timer.daemon = True
        timer.start()
        return
    # A socket that systemd or another gunicorn holds has to go on taking connections.
    if not server.systemd and server.reexec_pid == server.master_pid == 0:
        ignore_new_connections(server.LISTENERS)
    raise StopIteration


def _keep_worker(server: Any) -> None:
    """Start the worker again when it is gone: killed, or out of memory."""
    while not _stopping.wait(1.0):
        if _worker is not None and _worker.poll() is not None:
            server.log.error("The background worker is gone; starting it again.")
            _start_worker()
            _stopping.wait(_RESTART_SECONDS)


def _start_worker() -> None:
    global _worker
    _worker = subprocess.Popen(  # noqa: S603 - our own interpreter and package
        [sys.executable, "-m", "cms_services", "worker", "--beside", str(os.getpid())],
        # A terminal's Ctrl-C would reach it too, and end its imports with a traceback.
        process_group=0,
    )


def post_worker_init(worker: Any) -> None:
    """Let the first process alone answer a terminal's Ctrl-C, which reaches every process.

    Told twice to stop, a web process would drop the requests it is still answering.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    freeze_what_is_loaded()


def freeze_what_is_loaded() -> None:
    """Let the garbage collector pass over all that stays for the life of the process.

    Each look through it stops all threads for about a tenth of a second.
    """
    gc.collect()
    gc.freeze()


def on_exit(server: Any) -> None:
    """Stop the background worker with the web processes, and leave nothing in memory."""
    _stop_worker()
    if _worker is not None:
        try:
            _worker.wait(timeout=graceful_timeout)
        except subprocess.TimeoutExpired:
            _worker.kill()
    forget_metrics()


def _stop_worker() -> None:
    """Tell the background worker to finish, and start no other."""
    _stopping.set()
    if _worker is not None and _worker.poll() is None:
        _worker.terminate()


def child_exit(server: Any, worker: Any) -> None:
    """Let the metrics of a process that is gone no longer count as live."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
