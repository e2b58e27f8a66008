"""Many clients change the same few things at once, on several processes of several nodes.

CONSISTENCY_SEED and CONSISTENCY_SECONDS choose another run; docs/contributing.md says how.
"""

import json
import os
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cms_services import create_app
from cms_services.extensions import db
from tests.consistency.clients import World, run_clients
from tests.consistency.history import Call, Entry, Event, History, Thing
from tests.consistency.model import violations
from tests.databases import DATABASES
from tests.processes.servers import Server
from tests.upgrading.nodes import Node, installation

SECONDS = float(os.environ.get("CONSISTENCY_SECONDS", "8"))
SEED = os.environ.get("CONSISTENCY_SEED") or secrets.token_hex(4)

OWNER = {"email": "olga@example.com", "name": "Olga", "password": "Correct-horse-7", "role": "user"}


@dataclass(frozen=True)
class Nodes:
    servers: list[Server]
    settings: dict[str, str]
    token: str

    def get(self, path: str) -> Any:
        return self.servers[0].get(path, self.token).data

    def all_of(self, path: str) -> list[Any]:
        """The rows of all pages of a list."""
        rows, cursor = [], ""
        while True:
            answer = self.servers[0].get(f"{path}?limit=500{cursor}", self.token)
            rows += answer.data
            following = json.loads(answer.body)["meta"]["nextCursor"]
            if following is None:
                return rows
            cursor = f"&cursor={following}"


@pytest.fixture(scope="module", params=DATABASES)
def nodes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Iterator[Nodes]:
    """Two nodes of two processes each; with SQLite one node of two, over one file."""
    folder = tmp_path_factory.mktemp("consistency")
    settings = installation(request.param, worker_id, "consistency") | {
        "WEB_CONCURRENCY": "2",
        "WORKER_BESIDE_WEB": "off",
        "PASSWORD_HASH_MEMORY_MB": "12",
        "LOG_LEVEL": "warning",
    }
    if request.param == "sqlite":
        settings["DATABASE_URL"] = f"sqlite:///{folder}/shared.sqlite3"
    with ExitStack() as running:
        servers = [
            running.enter_context(Node(folder / name, settings).running())
            for name in ("a" if request.param == "sqlite" else "ab")
        ]
        yield Nodes(servers, settings, servers[0].token())


def test_whatever_many_clients_do_at_once_can_be_explained(nodes: Nodes, tmp_path: Path) -> None:
    print(f"CONSISTENCY_SEED={SEED} CONSISTENCY_SECONDS={SECONDS:g}")
    world, calls = new_world(nodes)
    calls += run_clients(world, SEED, SECONDS)
    history = history_of(nodes, calls)
    print(Counter((call.does, call.status) for call in calls))
    found = violations(history)
    assert not found, "\n".join(found[:40])
    # Else it would tell little.
    assert {call.status for call in calls} >= {200, 201, 409}
    for server in nodes.servers:
        assert "Traceback" not in server.stdout + server.stderr
    assert_chain_verifies(nodes, tmp_path)


def new_world(nodes: Nodes) -> tuple[World, list[Call]]:
    """What the clients share, and the calls that made it."""
    server, admin = nodes.servers[0], nodes.token
    server.post("/api/users", OWNER, admin)
    owner = server.sign_in(OWNER["email"], OWNER["password"]).data["accessToken"]
    people = [
        server.post("/api/users", OWNER | {"email": f"{name}@example.com"}, admin).data["id"]
        for name in ("pia", "paul", "per")
    ]
    calls: list[Call] = []

    def made(path: str, body: Any) -> Any:
        request_id = f"made-{len(calls)}"
        data = server.post(path, body, owner, X_Request_ID=request_id).data
        calls.append(Call("maker", request_id, "create", data["id"], responded=0.0, status=201))
        return data

    projects = [made("/api/projects", {"name": name}) for name in ("north", "south", "shared")]
    services = {
        kind: [
            made("/api/services", {"name": f"shared {kind} {n}", "type": kind, "project": "north"})
            for n in range(2)
        ]
        for kind in ("api", "vps")
    }
    return World(
        [each.port for each in nodes.servers],
        [admin, owner],
        components=[each["id"] for each in services["api"]],
        subscriptions=[each["id"] for each in services["vps"]],
        projects=["north", "south"],
        project=projects[2]["id"],
        people=people,
        first_versions={each["id"]: each["version"] for both in services.values() for each in both},
    ), calls


def history_of(nodes: Nodes, calls: list[Call]) -> History:
    """What there is in the end, when nothing that was asked for is still being done."""
    while True:
        number = newest_entry(nodes)
        entries = [
            Entry(
                int(row["id"]),
                row["action"],
                row["targetId"],
                row["requestId"],
                row["actorId"],
                row["changes"],
            )
            for row in reversed(nodes.all_of("/api/audit"))
            if row["targetType"] in ("service", "project")
        ]
        events = [
            Event(int(row["sequence"]), row["type"], row["subject"], row["data"])
            for row in nodes.all_of("/api/events")
        ]
        things = [*services_of(nodes, calls), *projects_of(nodes)]
        if newest_entry(nodes) == number:
            break
    made = {entry.request_id: entry.target for entry in entries if entry.action.endswith("created")}
    for call in calls:
        if call.does == "create" and not call.target:
            call.target = made.get(call.request_id, "")
    return History(calls, entries, events, things)


def newest_entry(nodes: Nodes) -> int:
    return int(nodes.get("/api/audit?limit=1")[0]["id"])


def services_of(nodes: Nodes, calls: list[Call]) -> Iterator[Thing]:
    shared = {call.target for call in calls if call.client == "maker"}
    for row in nodes.all_of("/api/services"):
        names = ("name", "description", "status", "type", "project", "tags", "configuration")
        # Of the many that were made and never changed, reading each one's would take too long.
        documents = documents_of(nodes, row["id"]) if row["id"] in shared else [{}]
        yield Thing(row["id"], "service", {name: row[name] for name in names}, documents)


def documents_of(nodes: Nodes, service_id: str) -> list[Any]:
    path = f"/api/services/{service_id}/config/versions"
    count = len(nodes.all_of(path))
    return [nodes.get(f"{path}/{number + 1}")["document"] for number in range(count)]


def projects_of(nodes: Nodes) -> Iterator[Thing]:
    for row in nodes.all_of("/api/projects"):
        members = nodes.get(f"/api/projects/{row['id']}/members")
        final = {"name": row["name"], "description": row["description"]}
        final["members"] = {each["userId"]: each["role"] for each in members}
        yield Thing(row["id"], "project", final)


def assert_chain_verifies(nodes: Nodes, folder: Path) -> None:
    app = create_app(nodes.settings | {"CMS_DATA_DIR": str(folder)})
    result = app.test_cli_runner().invoke(args=["audit", "verify"])
    assert result.exit_code == 0, result.output
    with app.app_context():
        db.engine.dispose()
