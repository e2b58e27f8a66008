"""What one of each thing costs, for docs/capacity.md: python -m benchmarks.capacity [--database …].

A node of one process over a database of its own is asked for one thing after another, on one
connection. Prints milliseconds of processor time, of the application and of the database server,
for each; then what log entries, metric samples and services take on disk; and the memory of the
processes. Nothing else should use the database server meanwhile.
"""

import argparse
import http.client
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import create_engine, text

from benchmarks.load.installation import server_processes
from cms_services.database import engine_options, sqlalchemy_url
from tests.databases import drop_made_databases
from tests.processes.servers import EMAIL, PASSWORD, start
from tests.upgrading.nodes import Node, installation

_MIB = 1024 * 1024
_SERVICES = 200
_LINE = "GET /api/orders/{number} answered 200 in {number} ms for user {user}"
_SIZES = {
    "postgresql": "SELECT pg_database_size(current_database())",
    "mariadb": "SELECT SUM(data_length + index_length) FROM information_schema.tables"
    " WHERE table_schema = database()",
}


@dataclass(frozen=True)
class Cost:
    """Milliseconds for one: by the clock, and of processors."""

    clock: float
    application: float
    database: float


class Client:
    """One connection, whose answers must be successes."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.token: str | None = None

    def ask(self, method: str, path: str, body: Any = None, raw: bool = False) -> Any:
        headers = {"Content-Type": "application/json"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self._connection.getresponse()
        told = answer.read()
        if not 200 <= answer.status < 300:
            raise SystemExit(f"{method} {path}: {answer.status} {told[:300]!r}")
        return None if raw else json.loads(told)["data"]


def main() -> None:
    options = _options()
    kind = options.database
    shared = installation(kind, "capacity", "capacity")
    shared |= {"WORKER_BESIDE_WEB": "off", "LOG_LEVEL": "warning", "SHUTDOWN_DELAY": "0"}
    engine = create_engine(
        sqlalchemy_url(shared["DATABASE_URL"]),
        **(
            engine_options(sqlalchemy_url(shared["DATABASE_URL"]))
            | {"isolation_level": "AUTOCOMMIT"}
        ),
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            with (
                Node(place / "node", shared).running() as server,
                start(place / "worker", "worker", **shared) as worker,
            ):
                [web] = server.web_processes()
                database = server_processes(kind)[kind]
                client = Client(server.port)

                @contextmanager
                def sized(what: str, number: int) -> Iterator[None]:
                    before = _size(engine, kind)
                    yield
                    grown = _size(engine, kind) - before
                    print(f"{what:44}{grown / number:10.0f} bytes each")

                def measured(number: int, call: Callable[[int], Any]) -> Cost:
                    return _measured(web, database, number, call)

                _measure_requests(client, measured, sized)
                _measure_streams_of_rows(client, measured, sized)
                _tell_memory(server.process.pid, worker.process.pid)
    finally:
        engine.dispose()
        drop_made_databases()


Measure = Callable[[int, Callable[[int], Any]], Cost]
Sized = Callable[[str, int], Any]


def _measure_requests(client: Client, measured: Measure, sized: Sized) -> None:
    print(f"{'one':44}{'ms':>8}{'CPU ms':>8}{'database':>10}")
    sign_in = {"email": EMAIL, "password": PASSWORD, "session": False}
    _tell("sign in", measured(20, lambda _: client.ask("POST", "/api/auth/login", sign_in)))
    client.token = client.ask("POST", "/api/auth/login", sign_in)["accessToken"]
    made: list[dict[str, Any]] = []

    def make(number: int) -> None:
        kind = "kubernetes" if number % 10 == 0 else "api"
        body: dict[str, Any] = {"name": f"Service {number}", "type": kind}
        if kind == "api":
            body |= {
                "project": f"project-{number % 4}",
                "configuration": {"environment": {"A": "b"}},
            }
        made.append(client.ask("POST", "/api/services", body))

    with sized("  a service on disk, audit and event included", _SERVICES):
        _tell("create a service", measured(_SERVICES, make))
    components = [each["id"] for each in made if each["type"] == "api"]
    cluster = next(each["clusterId"] for each in made if each["type"] == "kubernetes")

    def one(number: int) -> str:
        return f"/api/services/{components[number % len(components)]}"

    project = "/services.php?getServices=1&project=project-1"
    reads: dict[str, Callable[[int], Any]] = {
        "GET one service": lambda n: client.ask("GET", one(n)),
        f"getServices, {_SERVICES // 4 - 5} services": lambda _: client.ask("GET", project),
        "GET /api/services, a page of 50": lambda _: client.ask("GET", "/api/services"),
        "PATCH a service": lambda n: client.ask("PATCH", one(n), {"description": f"at {n}"}),
        "POST a configuration": lambda n: client.ask(
            "POST", f"{one(n)}/config", {"environment": {"N": str(n)}}
        ),
        "GET metrics of 24h": lambda n: client.ask("GET", f"{one(n)}/metrics"),
        "GET logs, 100 entries": lambda n: client.ask("GET", f"{one(n)}/logs"),
        "download a Kubernetes bundle": lambda _: client.ask(
            "GET", f"/api/services/download/kubernetes/{cluster}", raw=True
        ),
    }
    for name, call in reads.items():
        _tell(name, measured(300, call))


def _measure_streams_of_rows(client: Client, measured: Measure, sized: Sized) -> None:
    service = client.ask("GET", "/api/services?limit=1")[0]["id"]

    def log(number: int) -> None:
        first = number * 1000
        entries = [
            {
                "level": "info",
                "message": _LINE.format(number=first + n, user=n % 97),
                "source": "web",
            }
            for n in range(1000)
        ]
        client.ask("POST", f"/api/services/{service}/logs", {"entries": entries})

    def sample(number: int) -> None:
        begun = time.time() - 3600
        samples = [
            {
                "name": f"metric{n % 8}",
                "value": float(n % 31),
                "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begun + number * 10)),
            }
            for n in range(8)
        ]
        client.ask("POST", f"/api/services/{service}/metrics", {"samples": samples})

    with sized("  a log entry of 60 characters on disk", 200_000):
        _tell("1,000 log entries in a batch", measured(200, log))
    with sized("  a metric sample on disk, roll-ups included", 300 * 8):
        _tell("8 metric samples in a batch", measured(300, sample))


def _measured(web: int, database: int, number: int, call: Callable[[int], Any]) -> Cost:
    # What is made once, at the first, is none of the cost of each.
    call(0)
    before = _seconds(web), _seconds(database, below=True)
    begin = time.monotonic()
    for each in range(1, number):
        call(each)
    clock = time.monotonic() - begin
    after = _seconds(web), _seconds(database, below=True)
    each_of = 1000 / (number - 1)
    return Cost(clock * each_of, (after[0] - before[0]) * each_of, (after[1] - before[1]) * each_of)


def _seconds(pid: int, *, below: bool = False) -> float:
    """Processor time of a process; with `below` of those that it has started too."""
    process = psutil.Process(pid)
    spent = process.cpu_times()
    seconds = float(spent.user + spent.system)
    if below:
        seconds += float(spent.children_user + spent.children_system)
        for child in process.children(recursive=True):
            with_child = child.cpu_times()
            seconds += float(with_child.user + with_child.system)
    return seconds


def _tell(name: str, cost: Cost) -> None:
    print(f"{name:44}{cost.clock:8.1f}{cost.application:8.1f}{cost.database:10.1f}", flush=True)


def _tell_memory(web: int, worker: int) -> None:
    print(f"\n{'memory, in MiB (shared pages counted once)':44}")
    for name, pid in (("web server, one process", web), ("worker", worker)):
        process = psutil.Process(pid)
        own = [process, *process.children(recursive=True)]
        print(f"{name:44}{sum(each.memory_full_info().pss for each in own) / _MIB:8.0f}")


def _size(engine: Any, kind: str) -> int:
    with engine.connect() as connection:
        if kind == "mariadb":
            tables = connection.scalars(text("SHOW TABLES")).all()
            connection.execute(text("ANALYZE TABLE " + ", ".join(tables)))
        return int(connection.scalar(text(_SIZES[kind])))


def _options() -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--database", choices=tuple(_SIZES), default="postgresql")
    return parser.parse_args()


if __name__ == "__main__":
    main()
