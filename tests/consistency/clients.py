"""Clients that share a few services and projects, and write down all that they see.

What a client does follows from the seed and its name alone, but for entity tags, which are those
that it read last. How the clients' requests fall between each other is up to chance.
"""

import http.client
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.consistency.history import Call, State

CLIENTS = 8
_SHOWN = ("name", "description", "status", "type", "project", "tags", "configuration", "version")
_JSON = "application/json"


@dataclass(frozen=True)
class World:
    """What the clients share. `tokens` are those of an admin and of the owner of all of it."""

    ports: list[int]
    tokens: list[str]
    components: list[str]
    subscriptions: list[str]
    # Services are moved among these, so they stay as they are: a service's tag tells of them too.
    projects: list[str]
    # And this one changes; by its id.
    project: str
    # People who take part in it now and then.
    people: list[str]
    # By service, what its version was when its creation had been answered.
    first_versions: dict[str, int]

    @property
    def services(self) -> list[str]:
        return self.components + self.subscriptions


@dataclass
class _Answer:
    status: int
    headers: http.client.HTTPMessage
    document: Any

    @property
    def data(self) -> Any:
        return self.document["data"]


@dataclass
class Client:
    """One that sends a request after the other, to the nodes by turns."""

    name: str
    world: World
    dice: random.Random
    calls: list[Call] = field(default_factory=list)
    _number: int = 0
    _connections: dict[int, http.client.HTTPConnection] = field(default_factory=dict)
    # By thing, the entity tag that was read last, and the version that it stands for.
    _tags: dict[str, tuple[str, Any]] = field(default_factory=dict)
    crash: BaseException | None = None

    def run(self, until: float) -> None:
        actions, weights = zip(*_ACTIONS, strict=True)
        try:
            while time.monotonic() < until:
                (action,) = self.dice.choices(actions, weights)
                action(self)
        except BaseException as error:
            self.crash = error
        finally:
            self.close()

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()

    # Sending.

    def fresh(self) -> str:
        """A text that nobody else has."""
        self._number += 1
        return f"{self.name}-{self._number}"

    def _send(
        self,
        calls: list[Call],
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        may_be_cut: bool = True,
        **headers: str,
    ) -> _Answer | None:
        """Send a request and note its calls. None where the connection was cut on purpose."""
        port = self.dice.choice(self.world.ports)
        token = token or self.dice.choice(self.world.tokens)
        is_cut = self.dice.random() < (0.5 if "Idempotency_Key" in headers else 0.04)
        is_cut = is_cut and may_be_cut and method != "GET"
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent |= {"Authorization": f"Bearer {token}", "Content-Type": _JSON}
        sent["X-Request-ID"] = calls[0].request_id
        self.calls += calls
        connection = self._connections.setdefault(
            port, http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        )
        invoked = time.monotonic()
        for call in calls:
            call.invoked = invoked
        connection.request(method, path, None if body is None else json.dumps(body), sent)
        if is_cut:
            connection.close()
            return None
        response = connection.getresponse()
        text = response.read()
        responded = time.monotonic()
        answer = _Answer(response.status, response.headers, json.loads(text) if text else None)
        for call in calls:
            call.responded, call.status = responded, answer.status
            if answer.status >= 400:
                error = answer.document["error"]
                call.code, call.message = error["code"], error["message"]
        return answer

    def _call(self, does: str, target: str, given: Any = None, **more: Any) -> Call:
        return Call(self.name, self.fresh(), does, target, given, **more)

    def _act(self, call: Call, method: str, path: str, body: Any = None, **more: Any) -> None:
        """Send what is answered with the whole service."""
        answer = self._send([call], method, path, body, **more)
        if answer is not None and call.is_done:
            call.shown = self._service(answer.data)

    def _php(self, call: Call, action: str, body: Any = None, *, reads: bool = False) -> None:
        by_post = self.dice.random() < 0.5 or not reads
        path = f"/services.php?{action}=1"
        if by_post:
            answer = self._send([call], "POST", path, {"serviceId": call.target} | (body or {}))
        else:
            answer = self._send([call], "GET", f"{path}&serviceId={call.target}")
        if answer is None or not call.is_done:
            return
        if action in ("getConfig", "updateConfig"):
            call.shown = {"configuration": answer.data}
        else:
            call.shown = self._service(answer.data)

    def _service(self, data: Any) -> State:
        """What an answer shows of a service; versions count from its creation."""
        shown = {name: data[name] for name in _SHOWN if name in data}
        if "version" in shown:
            shown["version"] -= self.world.first_versions.get(data["id"], 1)
        return shown

    def _matched(self, target: str) -> tuple[dict[str, str], Any]:
        """The header If-Match of what was read last, and the version that it names."""
        tag, version = self._tags[target]
        return {"If_Match": tag}, version

    # What it does.

    def _any(self) -> str:
        return self.dice.choice(self.world.services)

    def _component(self) -> str:
        return self.dice.choice(self.world.components)

    def read(self) -> None:
        target = self._any()
        call = self._call("read", target)
        known, version = self._tags.get(target, ("", None))
        headers = {"If_None_Match": known} if known and self.dice.random() < 0.3 else {}
        answer = self._send([call], "GET", f"/api/services/{target}", **headers)
        assert answer is not None
        if answer.status == 304:
            call.shown = {"version": version}
        elif call.is_done:
            call.shown = self._service(answer.data)
            tag = str(answer.headers["ETag"])
            told = int(tag.strip('"').partition("-")[0]) - self.world.first_versions[target]
            assert told == call.shown["version"], (tag, call)
            self._tags[target] = tag, told

    def read_by_php(self) -> None:
        target = self._component()
        action = self.dice.choice(["getService", "getConfig"])
        self._php(self._call("read", target), action, reads=True)

    def list_all(self) -> None:
        calls = self._calls_of_all(self.world.services)
        answer = self._send(calls, "GET", "/api/services?q=shared&limit=500")
        self._note_rows(calls, answer)

    def list_by_php(self) -> None:
        calls = self._calls_of_all(self.world.components)
        answer = self._send(calls, "GET", "/services.php?getServices=1&q=shared")
        self._note_rows(calls, answer)

    def list_own_subscriptions(self) -> None:
        calls = self._calls_of_all(self.world.subscriptions)
        answer = self._send(calls, "GET", "/api/services/active", token=self.world.tokens[1])
        self._note_rows(calls, answer)

    def _calls_of_all(
        self, targets: list[str], does: str = "read", given: Any = None
    ) -> list[Call]:
        request_id = self.fresh()
        return [Call(self.name, request_id, does, target, given) for target in targets]

    def _note_rows(self, calls: list[Call], answer: _Answer | None) -> None:
        if answer is None or answer.status >= 400:
            return
        rows = {row["id"]: row for row in answer.data}
        for call in calls:
            call.is_absent = call.target not in rows
            if not call.is_absent:
                call.shown = self._service(rows[call.target])

    def update(self, does: str = "change") -> None:
        """By what was read last, which is often too old by now."""
        target = self._any()
        if target not in self._tags:
            return
        headers, version = self._matched(target)
        match self.dice.randrange(4):
            case 0:
                fields: State = {"name": f"shared {self.fresh()}"}
            case 1:
                fields = {"description": self.fresh()}
            case 2:
                fields = {"name": f"shared {self.fresh()}", "description": self.fresh()}
            case _:
                fields = {"tags": sorted(self.dice.sample("abcdef", 3))}
        call = self._call(does, target, fields, named=version)
        self._act(call, "PATCH", f"/api/services/{target}", fields, **headers)

    def update_blindly(self) -> None:
        target = self._any()
        fields = {"description": self.fresh()}
        if target in self.world.components and self.dice.random() < 0.6:
            self._php(self._call("change", target, fields), "updateService", fields)
        else:
            self._act(
                self._call("change", target, fields), "PATCH", f"/api/services/{target}", fields
            )

    def move_to_project(self) -> None:
        target = self._any()
        fields = {"project": self.dice.choice([*self.world.projects, None])}
        self._patch(target, fields)

    def _patch(self, target: str, fields: State) -> None:
        self._act(self._call("change", target, fields), "PATCH", f"/api/services/{target}", fields)

    def merge_configuration(self) -> None:
        """Its own variable, so that no other client's may be lost by it."""
        target = self._component()
        value = self.fresh() if self.dice.random() < 0.9 else None
        given = {f"OF_{self.name.upper()}": value}
        body = {"environment": given}
        if self.dice.random() < 0.4:
            self._php(self._call("merge", target, given), "updateConfig", {"configuration": body})
            return
        headers, version = ({}, None)
        if self.dice.random() < 0.3 and target in self._tags:
            headers, version = self._matched(target)
        call = self._call("merge", target, given, named=version)
        self._configure(call, "POST", body, headers)

    def replace_configuration(self) -> None:
        target = self._component()
        if target in self._tags:
            headers, version = self._matched(target)
            document = {"environment": {"ALL": self.fresh()}}
            call = self._call("configure", target, document, named=version)
            self._configure(call, "PUT", document, headers)

    def restore_version(self) -> None:
        number = self.dice.randint(1, 20)
        call = self._call("restore version", self._component(), number)
        self._configure(call, "POST", None, {}, below=f"/versions/{number}/restore")

    def _configure(
        self, call: Call, method: str, body: Any, headers: dict[str, str], below: str = ""
    ) -> None:
        path = f"/api/services/{call.target}/config{below}"
        answer = self._send([call], method, path, body, **headers)
        if answer is not None and call.is_done:
            call.shown = {"configuration": answer.data}

    def suspend(self) -> None:
        self._verb("suspend", "suspendService", "suspend")

    def resume(self) -> None:
        self._verb("resume", "resumeService", "move to", "active")

    def _verb(self, verb: str, action: str, does: str, given: Any = None) -> None:
        target = self._any()
        call = self._call(does, target, given)
        if target in self.world.components and self.dice.random() < 0.5:
            self._php(call, action)
        else:
            self._act(call, "POST", f"/api/services/{target}/{verb}", {"reason": "for the test"})

    def set_status(self) -> None:
        target = self._any()
        to = self.dice.choice(["active", "inactive", "maintenance", "suspended"])
        call = self._call("move to", target, to)
        self._act(call, "PATCH", f"/api/services/{target}", {"status": to})

    def cancel(self) -> None:
        target = self._any()
        if target in self.world.components and self.dice.random() < 0.5:
            self._php(self._call("move to", target, "cancelled"), "deleteService")
            return
        headers, version = ({}, None)
        if self.dice.random() < 0.5 and target in self._tags:
            headers, version = self._matched(target)
        call = self._call("move to", target, "cancelled", named=version)
        self._act(call, "DELETE", f"/api/services/{target}", **headers)

    def restore(self) -> None:
        target = self._any()
        path, admin = f"/api/services/{target}/restore", self.world.tokens[0]
        self._act(self._call("restore", target), "POST", path, {}, token=admin)

    def change_many(self) -> None:
        action = self.dice.choice(["suspend", "resume", "tag", "untag"])
        targets = self.dice.sample(self.world.services, len(self.world.services))
        does, given, body = action, None, {"action": action, "serviceIds": targets}
        if action in ("tag", "untag"):
            given = body["tags"] = self.dice.sample("abcdef", 2)
        elif action == "resume":
            does, given = "move to", "active"
        calls = self._calls_of_all(targets, does, given)
        answer = self._send(calls, "POST", "/api/services/bulk", body)
        if answer is None or answer.status >= 400:
            return
        for call, result in zip(calls, answer.data["results"], strict=True):
            if result["ok"]:
                call.shown = {name: result[name] for name in ("status", "tags")}
            else:
                error = result["error"]
                call.status, call.code, call.message = 409, error["code"], error["message"]

    def create(self) -> None:
        """Once, or the same twice at once, or again after the connection was cut, or changed."""
        body: State = {"name": f"new {self.fresh()}", "type": self.dice.choice(["api", "vps"])}
        if self.dice.random() < 0.3:
            # So that two of them make the project at the same moment.
            body["project"] = f"made-{self._number // 40}"
        # A key is its account's own.
        token = self.dice.choice(self.world.tokens)
        match self.dice.randrange(4):
            case 0:
                self._create(body, token)
            case 1:
                twin = Client(f"{self.name}-twin-{self.fresh()}", self.world, random.Random(0))
                thread = threading.Thread(target=twin._create, args=(body, token))
                thread.start()
                self._create(body, token)
                thread.join()
                twin.close()
                self.calls += twin.calls
            case 2:
                self._create(body, token)
                self._create(body, token)
            case _:
                self._create(body, token, may_be_cut=True)
                self._create(body, token)

    def _create(self, body: State, token: str, *, may_be_cut: bool = False) -> None:
        call = self._call("create", "", key=body["name"])
        sent = {"token": token, "may_be_cut": may_be_cut, "Idempotency_Key": body["name"]}
        answer = self._send([call], "POST", "/api/services", body, **sent)
        if answer is not None and call.is_done:
            call.target, call.shown = answer.data["id"], self._service(answer.data)
            call.is_replay = "Idempotent-Replayed" in answer.headers

    # Projects.

    def read_project(self) -> None:
        target = self.world.project
        call = self._call("read", target)
        answer = self._send([call], "GET", f"/api/projects/{target}")
        if answer is not None and call.is_done:
            call.shown = {"description": answer.data["description"]}
            self._tags[target] = str(answer.headers["ETag"]), answer.data["description"]

    def read_members(self) -> None:
        call = self._call("read", self.world.project)
        answer = self._send([call], "GET", f"/api/projects/{call.target}/members")
        self._note_members(call, answer)

    def describe_project(self) -> None:
        target = self.world.project
        if target in self._tags:
            headers, version = self._matched(target)
            call = self._call("describe", target, self.fresh(), named=version)
            path, body = f"/api/projects/{target}", {"description": call.given}
            answer = self._send([call], "PATCH", path, body, **headers)
            if answer is not None and call.is_done:
                call.shown = {"description": answer.data["description"]}

    def change_member(self) -> None:
        person = self.dice.choice(self.world.people)
        path = f"/api/projects/{self.world.project}/members/{person}"
        if self.dice.random() < 0.4:
            call = self._call("remove member", self.world.project, person)
            answer = self._send([call], "DELETE", path)
        else:
            role = self.dice.choice(["viewer", "editor", "owner"])
            call = self._call("set member", self.world.project, {person: role})
            answer = self._send([call], "PUT", path, {"role": role})
        self._note_members(call, answer)

    def _note_members(self, call: Call, answer: _Answer | None) -> None:
        if answer is not None and call.is_done:
            call.shown = {"members": {each["userId"]: each["role"] for each in answer.data}}


_ACTIONS: list[tuple[Callable[[Client], None], int]] = [
    (Client.read, 14),
    (Client.read_by_php, 6),
    (Client.list_all, 4),
    (Client.list_by_php, 3),
    (Client.list_own_subscriptions, 3),
    (Client.update, 12),
    (Client.update_blindly, 8),
    (Client.move_to_project, 4),
    (Client.merge_configuration, 10),
    (Client.replace_configuration, 3),
    (Client.restore_version, 3),
    (Client.suspend, 5),
    (Client.resume, 6),
    (Client.set_status, 5),
    (Client.cancel, 3),
    (Client.restore, 9),
    (Client.change_many, 4),
    (Client.create, 4),
    (Client.read_project, 4),
    (Client.read_members, 3),
    (Client.describe_project, 4),
    (Client.change_member, 6),
]


def run_clients(world: World, seed: str, seconds: float) -> list[Call]:
    """All that clients saw who did as the seed says for so long."""
    until = time.monotonic() + seconds
    clients = [
        Client(f"c{number}", world, random.Random(f"{seed} {number}")) for number in range(CLIENTS)
    ]
    threads = [threading.Thread(target=client.run, args=(until,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 90)
        assert not thread.is_alive()
    for client in clients:
        if client.crash is not None:
            raise client.crash
    return [call for client in clients for call in client.calls]
