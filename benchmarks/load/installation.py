"""An installation of two web nodes and two workers behind nginx, on this machine alone."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.databases import drop_server_database
from tests.deploy.real_nginx import CMS, Nginx, nginx_before
from tests.processes.servers import eventually, start
from tests.upgrading.nodes import Node, database_name, installation

_NODES, _WORKERS = 2, 2
_NAME = "load"


@dataclass(frozen=True)
class Installation:
    """What runs: nginx, and the first process of each part by its name."""

    nginx: Nginx
    processes: dict[str, int]

    @property
    def base_url(self) -> str:
        return f"https://{CMS}:{self.nginx.port}"


@contextmanager
def installed(folder: Path, kind: str, **settings: str) -> Iterator[Installation]:
    """Serve by two nodes behind nginx, over a new database of a kind and Redis."""
    shared = installation(kind, _NAME, _NAME) | {
        "WORKER_BESIDE_WEB": "off",
        "LOG_LEVEL": "warning",
        **settings,
    }
    processes: dict[str, int] = {}
    nodes = [Node(folder / f"node{number}", shared) for number in range(1, _NODES + 1)]
    try:
        with ExitStack() as stack:
            # One after the other: the first one makes the schema.
            for number, node in enumerate(nodes, 1):
                processes[f"node {number}"] = stack.enter_context(node.running()).process.pid
            for number in range(1, _WORKERS + 1):
                place = folder / f"worker{number}"
                worker = stack.enter_context(start(place, "worker", **shared))
                processes[f"worker {number}"] = worker.process.pid
            nginx = stack.enter_context(
                nginx_before([node.port for node in nodes], folder / "nginx")
            )
            eventually(lambda: nginx.ask("GET", "/api/services/types").status < 500, "all answers")
            # It listens before it has written this.
            processes["nginx"] = int((folder / "nginx" / "nginx.pid").read_text())
            processes |= server_processes(kind)
            yield Installation(nginx, processes)
    finally:
        drop_server_database(kind, database_name(_NAME, _NAME))
        shutil.rmtree(folder, ignore_errors=True)


def server_processes(kind: str) -> dict[str, int]:
    """The database server and Redis, where they run on this machine."""
    programs = {
        "redis-server": "Redis",
        {"postgresql": "postgres", "mariadb": "mariadbd"}[kind]: kind,
    }
    found: dict[str, int] = {}
    for process in psutil.process_iter(["pid", "name", "ppid"]):
        name = programs.get(process.info["name"])
        parent = psutil.Process(process.info["ppid"]).name() if process.info["ppid"] else ""
        if name and parent != process.info["name"]:
            found.setdefault(name, process.info["pid"])
    return found
