"""The model of test_consistency.py sees what must not happen, in histories with a fault each."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.consistency.history import Call, Entry, Event, History, State, Thing
from tests.consistency.model import violations

MADE = {
    "name": "shared",
    "description": "",
    "status": "active",
    "type": "api",
    "project": None,
    "tags": [],
    "configuration": {},
}


class Past:
    """A history that is written call by call, as an application without faults makes it."""

    def __init__(self) -> None:
        self.state: State = dict(MADE)
        self.calls: list[Call] = []
        self.entries: list[Entry] = []
        self.events: list[Event] = []
        self.documents: list[Any] = [{}]
        self._time = 0.0
        call = self.call("create", key="k", status=201)
        self.note(call, "service.created", {"after": dict(MADE)})
        call.shown = self.shown()

    def call(self, does: str, given: Any = None, *, status: int = 200, **more: Any) -> Call:
        """A call that is answered before the next one is sent."""
        self._time += 10
        call = Call("c", f"r{len(self.calls)}", does, "s", given, status=status, **more)
        call.invoked, call.responded = self._time, self._time + 1
        self.calls.append(call)
        return call

    def shown(self) -> State:
        return self.state | {"version": len(self.entries) - 1}

    def note(self, call: Call, action: str, changes: dict[str, Any]) -> None:
        number = len(self.entries)
        self.entries.append(Entry(number, action, "s", call.request_id, "u", changes))
        data = {"name": self.state["name"], "status": self.state["status"]}
        self.events.append(Event(number, action, "s", data))

    def changed(self, does: str, given: Any, action: str, after: State, **more: Any) -> Call:
        """A call that changes something and is answered with it."""
        call = self.call(does, given, **more)
        before = {name: self.state[name] for name in after}
        self.state = self.state | after
        self.note(call, action, {"before": before, "after": after})
        call.shown = self.shown()
        return call

    def renamed(self, name: str, **more: Any) -> Call:
        return self.changed("change", {"name": name}, "service.updated", {"name": name}, **more)

    def moved(self, to: str, action: str) -> Call:
        return self.changed("move to", to, action, {"status": to})

    def configured(self, variables: State) -> Call:
        call = self.call("merge", variables)
        before = self.state["configuration"]
        document = {"environment": before.get("environment", {}) | variables}
        self.state = self.state | {"configuration": document}
        self.documents.append(document)
        self.note(call, "service.configured", {"before": before, "after": document})
        call.shown = self.shown()
        return call

    def read(self) -> Call:
        return self.call("read", shown=self.shown())

    def history(self) -> History:
        thing = Thing("s", "service", dict(self.state), self.documents)
        return History(self.calls, self.entries, self.events, [thing])

    @property
    def rules(self) -> set[str]:
        """The rules that it breaks."""
        return {each.partition(":")[0] for each in violations(self.history())}


@pytest.fixture
def past() -> Past:
    """A rightful one with a bit of everything."""
    past = Past()
    past.read()
    past.renamed("one", named=0)
    past.configured({"A": "1"})
    past.call("restore version", 2, shown={"configuration": {"environment": {"A": "1"}}})
    past.call("restore version", 3, status=404, code="NOT_FOUND")
    past.moved("inactive", "service.suspended")
    past.call("suspend", shown={"status": "inactive"})
    past.call("move to", "suspended", status=409, code="INVALID_TRANSITION")
    past.call("change", {"name": "late"}, named=0, status=412, code="VERSION_CONFLICT")
    past.moved("cancelled", "service.cancelled")
    past.call("change", {"name": "late"}, status=409, code="CONFLICT")
    past.call("read", is_absent=True)
    past.changed("restore", None, "service.restored", {"status": "active"})
    past.call("create", key="k", status=201, is_replay=True, shown=MADE)
    past.read()
    return past


def cut(call: Call) -> None:
    call.status = call.responded = call.shown = None


def test_what_is_right_is_explained(past: Past) -> None:
    assert violations(past.history()) == []


def test_what_was_cut_may_be_done_or_not_and_late(past: Past) -> None:
    cut(past.call("change", {"name": "never"}))
    late = past.renamed("late")
    cut(late)
    late.invoked = past.calls[1].invoked
    past.read()
    assert violations(past.history()) == []


def test_reads_at_the_same_time_as_a_change_may_see_either_state(past: Past) -> None:
    before = past.shown()
    call = past.renamed("new")
    for shown in (past.shown(), before):
        past.calls.append(
            Call("d", "x", "read", "s", invoked=call.invoked, responded=call.responded, status=200)
        )
        past.calls[-1].shown = shown
    assert violations(past.history()) == []


def lost_update(past: Past) -> None:
    """Two that read the same version are both told that theirs was applied to it."""
    version = past.shown()["version"]
    past.renamed("first", named=version)
    past.renamed("second", named=version)


def lost_variable(past: Past) -> None:
    """A patch that began at what was there before another one."""
    past.configured({"B": "2"})
    past.state["configuration"] = {"environment": {"A": "1"}}
    past.configured({"C": "3"})


def lost_silently(past: Past) -> None:
    """What was answered as done is nowhere."""
    past.call("change", {"name": "gone"}, shown={"name": "gone"})


def doubled_event(past: Past) -> None:
    past.renamed("new")
    past.events.append(past.events[-1])


def missing_event(past: Past) -> None:
    past.renamed("new")
    past.events.pop()


def doubled_entry(past: Past) -> None:
    call = past.renamed("new")
    past.note(call, "service.updated", {})


def event_of_another_state(past: Past) -> None:
    past.moved("maintenance", "service.updated")
    past.events[-1].data["status"] = "active"


def illegal_transition(past: Past) -> None:
    past.moved("suspended", "service.suspended")


def change_of_what_is_cancelled(past: Past) -> None:
    past.moved("cancelled", "service.cancelled")
    past.renamed("new")


def stale_read(past: Past) -> None:
    before = past.shown()
    past.renamed("new")
    past.call("read", shown=before)


def read_that_goes_back(past: Past) -> None:
    """Two reads during one change, of which the later one sees the earlier state."""
    before = past.shown()
    call = past.renamed("new")
    call.responded = call.invoked + 100
    past.call("read", shown=past.shown())
    past.call("read", shown=before)


def read_from_the_future(past: Past) -> None:
    read = past.call("read")
    past.renamed("new")
    read.shown = past.shown()


def torn_read(past: Past) -> None:
    """The version of one moment with the name of another."""
    version = past.shown()["version"]
    past.renamed("new")
    past.call("read", shown={"name": "new", "version": version})


def absent_though_alive(past: Past) -> None:
    past.call("read", is_absent=True)


def needless_refusal(past: Past) -> None:
    version = past.shown()["version"]
    past.call("change", {"name": "x"}, named=version, status=412, code="VERSION_CONFLICT")


def refused_and_done(past: Past) -> None:
    call = past.renamed("new")
    call.status, call.code, call.shown = 409, "CONFLICT", None


def unasked_change(past: Past) -> None:
    past.renamed("new")
    past.calls.pop()


def other_change_than_asked(past: Past) -> None:
    past.renamed("new").given = {"name": "another"}


def answer_of_another_state(past: Past) -> None:
    past.renamed("new").shown = MADE


def key_done_twice(past: Past) -> None:
    call = past.call("create", key="k", status=201)
    call.target = "t"
    past.entries.append(Entry(99, "service.created", "t", call.request_id, "u", {}))


def replay_of_another(past: Past) -> None:
    past.call("create", key="k", status=201, is_replay=True).target = "t"


def other_end(past: Past) -> None:
    past.state["description"] = "from nowhere"


def version_too_many(past: Past) -> None:
    past.documents.append({})


def server_error(past: Past) -> None:
    past.call("read", status=500, code="INTERNAL_ERROR")


def lost_race(past: Past) -> None:
    told = "Somebody else changed this at the same moment; try again."
    past.call("change", {"name": "x"}, status=409, code="CONFLICT", message=told)


def refused_creation(past: Past) -> None:
    past.call("create", key="other", status=409, code="CONFLICT").target = ""


@pytest.mark.parametrize(
    ("spoil", "rules"),
    [
        (lost_update, {"lost update"}),
        (lost_variable, {"lost update"}),
        (lost_silently, {"impossible answer"}),
        (doubled_event, {"events unlike entries"}),
        (missing_event, {"events unlike entries"}),
        (doubled_entry, {"done twice"}),
        (event_of_another_state, {"wrong event"}),
        (illegal_transition, {"illegal transition"}),
        (change_of_what_is_cancelled, {"changed when cancelled"}),
        (stale_read, {"stale answer"}),
        (read_that_goes_back, {"stale answer"}),
        (read_from_the_future, {"out of order"}),
        (torn_read, {"impossible answer"}),
        (absent_though_alive, {"stale answer"}),
        (needless_refusal, {"stale answer"}),
        (refused_and_done, {"refused and done"}),
        (unasked_change, {"unasked change"}),
        (other_change_than_asked, {"wrong change"}),
        (answer_of_another_state, {"wrong answer"}),
        (key_done_twice, {"done twice", "wrong replay"}),
        (replay_of_another, {"wrong replay"}),
        (other_end, {"wrong end"}),
        (version_too_many, {"wrong versions"}),
        (server_error, {"server error", "impossible answer"}),
        (lost_race, {"lost race", "stale answer"}),
        (refused_creation, {"refused creation"}),
    ],
)
def test_it_names_what_is_wrong(past: Past, spoil: Callable[[Past], None], rules: set[str]) -> None:
    spoil(past)
    assert past.rules == rules
