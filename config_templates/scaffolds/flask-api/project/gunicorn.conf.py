"""gunicorn's settings: `gunicorn wsgi:app` reads this file from the current folder."""

import os
import shutil
import tempfile

from gunicorn import glogging

# The workers write here, and any of them can answer for all. prometheus_client looks for it once,
# when the application imports it.
_metrics_folder = tempfile.mkdtemp(prefix="metrics-")
os.environ["PROMETHEUS_MULTIPROC_DIR"] = _metrics_folder

from app.logs import configure_logging
from app.settings import SettingError, load_settings, number

try:
    # Here it ends gunicorn once, and not each of its workers again and again.
    _settings = load_settings(os.environ)
except SettingError:
    os.rmdir(_metrics_folder)
    raise

bind = f"{os.environ.get('HOST') or '127.0.0.1'}:{number(os.environ, 'PORT', 5000, 1, 65535)}"
workers = number(os.environ, "WEB_CONCURRENCY", 1, 1, 64)
threads = number(os.environ, "WEB_THREADS", 8, 1, 64)
worker_class = "gthread"
timeout = 30
graceful_timeout = 20
# Heartbeats of workers belong in memory; containers often have no other writable place.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108
control_socket_disable = True
# The application logs requests itself, with their ids.
accesslog = None


class logger_class(glogging.Logger):
    """gunicorn's own lines, as JSON and to the same places as all others."""

    def setup(self, cfg):
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        configure_logging(_settings)


def child_exit(server, worker):
    """Take what a worker that is gone measured as live out of the sums."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)


def on_exit(server):
    shutil.rmtree(_metrics_folder, ignore_errors=True)
