"""Starting the application and the bare view under the same gunicorn settings, and loading them."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_GUNICORN = [sys.executable, "-m", "gunicorn", "--no-control-socket"]


@dataclass(frozen=True)
class Load:
    """What wrk saw: requests a second, latencies in milliseconds, failed requests."""

    rate: float
    p50: float
    p99: float
    errors: int


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def gunicorn(
    target: str,
    ready: str,
    environment: dict[str, str],
    workers: int,
    threads: int,
    worker_class: str = "gthread",
) -> Iterator[str]:
    """Serve a WSGI target on a free port; gives its base URL."""
    base = f"http://127.0.0.1:{free_port()}"
    settings = ["--workers", str(workers), "--threads", str(threads)]
    settings += ["--worker-class", worker_class, "--worker-connections", "4000"]
    process = subprocess.Popen(
        [*_GUNICORN, *settings, "--bind", base.removeprefix("http://"), target],
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_for(base + ready)
        yield base
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        # Longer than gunicorn gives threads that go on.
        process.wait(60)


@contextlib.contextmanager
def installation(environment: dict[str, str]) -> Iterator[str]:
    """Serve the application as `cms-services run` does, on a free port; gives its base URL."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "cms_services", "run"],
        env=os.environ | environment | {"PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_for(f"http://127.0.0.1:{port}/readyz")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def wrk(
    url: str,
    seconds: int,
    connections: int,
    headers: dict[str, str] | None = None,
    script: Path | None = None,
) -> Load:
    """Load a URL with wrk for some seconds."""
    with wrk_beside(url, seconds, connections, headers, script) as result:
        return result()


@contextlib.contextmanager
def wrk_beside(
    url: str,
    seconds: int,
    connections: int,
    headers: dict[str, str] | None = None,
    script: Path | None = None,
) -> Iterator[Callable[[], Load]]:
    """Load a URL with wrk for some seconds while the block runs; the result waits for its end."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is needed: apt-get install wrk")
    command = ["wrk", "--latency", "--timeout", "60s", f"-d{seconds}s", f"-c{connections}", "-t1"]
    for name, value in (headers or {}).items():
        command += ["-H", f"{name}: {value}"]
    if script is not None:
        command += ["-s", str(script)]
    with subprocess.Popen([*command, url], stdout=subprocess.PIPE, text=True) as process:
        yield lambda: _read_load(process.communicate()[0])


def _read_load(text: str) -> Load:
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(
        r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text
    )
    return Load(
        rate=float(_found(r"Requests/sec:\s+([\d.]+)", text)),
        p50=_milliseconds(_found(r"\n\s+50%\s+(\S+)", text)),
        p99=_milliseconds(_found(r"\n\s+99%\s+(\S+)", text)),
        errors=(int(refused[1]) if refused else 0)
        + (sum(map(int, broken.groups())) if broken else 0),
    )


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        sys.exit(f"wrk printed nothing like {pattern}:\n{text}")
    return match[1]


def _milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def _wait_for(url: str) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(url)
            return
        time.sleep(0.1)
    sys.exit(f"{url} does not answer")
