"""Whether a history can be explained by one change after another of each thing.

The audit trail says in which order the changes of a thing were made, so no order has to be searched
for (which would take exponential time): each call must stand somewhere in that order, between the
moments when it was sent and answered, where its answer is the right one. That is linearizability,
judged for each thing by itself.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from tests.consistency.history import Call, Entry, Event, History, State, Thing

# Of the contract, by type; on purpose not the application's own table.
_COMPONENTS = ("api", "data", "integration", "utility")
_LEGAL = {
    "component": {
        "active": {"inactive", "maintenance", "cancelled"},
        "inactive": {"active", "maintenance", "cancelled"},
        "maintenance": {"active", "inactive", "cancelled"},
        "cancelled": set[str](),
    },
    "subscription": {
        "active": {"suspended", "cancelled"},
        "suspended": {"active", "cancelled"},
        "cancelled": set[str](),
    },
}


class Refused(Exception):
    """The code of the refusal that a call deserves."""


@dataclass
class Chain:
    """The states that a thing had, one after each entry of the trail; `entries[0]` made it."""

    thing: Thing
    entries: list[Entry]
    states: list[State]

    def place_of(self) -> dict[str, int]:
        """By request, the place of the change that it made."""
        return {entry.request_id: place for place, entry in enumerate(self.entries)}


def violations(history: History) -> list[str]:
    """What can't be explained, each beginning with the name of the rule that it breaks."""
    found = list(_of_answers(history)) + list(_of_keys(history))
    entries, events, calls = defaultdict(list), defaultdict(list), defaultdict(list)
    creations = {call.request_id: call for call in history.calls if call.does == "create"}
    for entry in history.entries:
        entries[entry.target].append(entry)
    for event in history.events:
        events[event.subject].append(event)
    for call in history.calls:
        calls[call.target].append(call)
    for thing in history.things:
        chain, broken = _fold(thing, entries[thing.id])
        told = [
            *broken,
            *_of_events(chain, events[thing.id]),
            *_of_owed_entries(chain, calls[thing.id], creations),
            *_of_the_end(chain),
        ]
        # A chain that is broken explains nothing, and each further line would only say so again.
        if not told:
            told = [*_of_places(chain, calls[thing.id])]
        found += [f"{each} (of {thing.kind} {thing.id})" for each in told]
    return found


# Answers by themselves.


def _of_answers(history: History) -> Iterator[str]:
    for call in history.calls:
        if call.status is not None and call.status >= 500:
            yield f"server error: {call}"
        elif call.code == "CONFLICT" and "same moment" in call.message:
            yield f"lost race: {call}"
        elif call.does == "create" and call.code not in (None, "FORBIDDEN"):
            # That is for a project which somebody else made at the same moment.
            yield f"refused creation: {call}"


def _of_keys(history: History) -> Iterator[str]:
    """Of the requests that came with one key, one is done, and all are answered as that one is."""
    made = {entry.request_id: entry.target for entry in history.entries if _makes(entry)}
    of_keys: dict[str, list[Call]] = defaultdict(list)
    for call in history.calls:
        if call.key is not None:
            of_keys[call.key].append(call)
    for key, calls in of_keys.items():
        targets = {made[call.request_id] for call in calls if call.request_id in made}
        if len(targets) > 1:
            yield f"done twice: key {key} made {sorted(targets)}"
        for call in calls:
            if call.is_done and {call.target} != targets:
                yield f"wrong replay: {call} beside {sorted(targets)}"
            if call.is_replay and call.request_id in made:
                yield f"done twice: {call} says that it is a replay"


def _makes(entry: Entry) -> bool:
    return entry.action in ("service.created", "project.created")


# The audit trail of one thing.


def _fold(thing: Thing, entries: list[Entry]) -> tuple[Chain, list[str]]:
    """The states after each entry, and where an entry doesn't go on from the one before it."""
    problems: list[str] = []
    state: State = {}
    states: list[State] = []
    for place, entry in enumerate(entries):
        if _makes(entry) != (place == 0):
            problems.append(f"broken trail: {entry} is number {place}")
        before, after = _told(thing, state, entry)
        for name, value in before.items():
            if state.get(name) != value:
                problems.append(
                    f"lost update: {entry.action} of {entry.request_id} begins at "
                    f"{name}={value!r}, and the one before it left {state.get(name)!r}"
                )
        moved = {**state, **after}
        if thing.kind == "service":
            problems += _of_transition(state, moved, entry) if place else ()
            moved["version"] = place
            # Of the configuration, whose versions are numbered by themselves.
            documents = state.get("documents", [])
            is_new = not place or moved["configuration"] != state["configuration"]
            moved["documents"] = [*documents, moved["configuration"]] if is_new else documents
        else:
            moved["version"] = moved.get("description")
        state = moved
        states.append(state)
    return Chain(thing, entries, states), problems


def _of_transition(state: State, moved: State, entry: Entry) -> Iterator[str]:
    if entry.action == "service.restored":
        return
    if moved["status"] != state["status"] and not _may_become(state, moved):
        yield (
            f"illegal transition: from {state['status']} to {moved['status']} by {entry.request_id}"
        )
    elif state["status"] == "cancelled":
        yield f"changed when cancelled: {entry}"


def _told(thing: Thing, state: State, entry: Entry) -> tuple[State, State]:
    """What an entry says of the state before it and after it."""
    before, after = entry.changes.get("before") or {}, entry.changes.get("after") or {}
    if thing.kind == "service":
        if entry.action == "service.configured":
            return {"configuration": before}, {"configuration": after}
        return before, after
    if entry.action == "project.created":
        return {}, after | {"members": {entry.actor_id: "owner"}}
    members = dict(state.get("members", {}))
    if entry.action == "project.member_set":
        user = after["userId"]
        return {}, {"members": members | {user: after["role"]}}
    if entry.action == "project.member_removed":
        held = {"members": members | {before["userId"]: before["role"]}}
        members.pop(before["userId"], None)
        return held, {"members": members}
    return before, after


def _may_become(state: State, moved: State) -> bool:
    return moved["status"] in _LEGAL[_family(state)][state["status"]]


def _family(state: State) -> str:
    return "component" if state["type"] in _COMPONENTS else "subscription"


def _of_events(chain: Chain, events: list[Event]) -> Iterator[str]:
    wanted = [entry.action for entry in chain.entries]
    found = [event.type for event in events]
    if wanted != found:
        missing, extra = Counter(wanted) - Counter(found), Counter(found) - Counter(wanted)
        yield f"events unlike entries: missing {dict(missing)}, too many {dict(extra)}"
        return
    for event, state in zip(events, chain.states, strict=True):
        for name in ("name", "status"):
            if event.data.get(name, state.get(name)) != state.get(name):
                yield f"wrong event: {event} tells of {name}, which was {state.get(name)!r}"


def _of_owed_entries(chain: Chain, calls: list[Call], creations: dict[str, Call]) -> Iterator[str]:
    """Each entry is of one call that was not refused, and each call has one at most."""
    of_requests = {call.request_id: call for call in calls}
    # A service may bring its project along.
    maker = chain.entries[0].request_id if chain.entries else ""
    if maker in creations:
        of_requests[maker] = creations[maker]
    for request_id, number in Counter(entry.request_id for entry in chain.entries).items():
        if number > 1:
            yield f"done twice: {request_id} has {number} entries"
        call = of_requests.get(request_id)
        if call is None:
            yield f"unasked change: nobody sent {request_id}"
        elif call.does == "read":
            yield f"unasked change: {call} only reads"
        elif call.status is not None and not call.is_done:
            yield f"refused and done: {call}"


def _of_the_end(chain: Chain) -> Iterator[str]:
    if not chain.states:
        yield "no trail: it was made without an entry"
        return
    for difference in _differences(chain.thing.final, chain.states[-1]):
        yield f"wrong end: {difference}"
    if chain.thing.kind == "service":
        documents = chain.states[-1]["documents"]
        if documents != chain.thing.documents:
            yield f"wrong versions: {chain.thing.documents} of {documents}"


# Calls in the order of the trail.


def _of_places(chain: Chain, calls: list[Call]) -> Iterator[str]:
    """Give each call the earliest place that its answer and the calls before it allow.

    The calls before it are those that were answered before it was sent. Since each has the earliest
    place there is, a call that finds none could not have found one in any other arrangement.
    """
    place_of = chain.place_of()
    answered: list[tuple[float, int]] = []
    earliest = 0
    for call in sorted(calls, key=lambda each: each.invoked):
        while answered and answered[0][0] < call.invoked:
            earliest = max(earliest, heapq.heappop(answered)[1])
        place = place_of.get(call.request_id)
        if place is not None:
            problem = _problem_of_change(chain, call, place)
            if problem is not None:
                yield problem
            elif place <= earliest and (place, earliest) != (0, 0):
                yield f"out of order: {call} is change {place}, and {earliest} was seen before"
        elif call.status is None:
            continue
        elif call.is_replay:
            # The first answer again, however old it is by now.
            problem = _problem_of_answer(chain.states[0], call)
            if problem is not None:
                yield problem
        else:
            place = _place_from(earliest, chain, call)
            if place is None:
                places = [n for n in range(earliest) if _explains(chain.states[n], call)]
                rule = "stale answer" if places else "impossible answer"
                told = f"{rule}: {call} fits {places}, and {earliest} was seen before"
                version = (call.shown or {}).get("version")
                if isinstance(version, int) and version < len(chain.states):
                    told += f": {'; '.join(_differences(call.shown or {}, chain.states[version]))}"
                yield told
        if place is not None and call.responded is not None:
            heapq.heappush(answered, (call.responded, place))


def _place_from(earliest: int, chain: Chain, call: Call) -> int | None:
    places = range(earliest, len(chain.states))
    return next((place for place in places if _explains(chain.states[place], call)), None)


def _problem_of_change(chain: Chain, call: Call, place: int) -> str | None:
    """Where a change is not what was asked for, or its answer not what it made."""
    state = chain.states[place]
    if place:
        before = chain.states[place - 1]
        try:
            wanted = after(before, call)
        except Refused as refusal:
            rule = "lost update" if str(refusal) == "VERSION_CONFLICT" else "wrong change"
            return f"{rule}: {call} should have been refused with {refusal} at {before}"
        counted = {name: wanted[name] for name in ("version", "documents") if name in wanted}
        differences = list(_differences(wanted, state | counted))
        if differences:
            return f"wrong change: {call}: {'; '.join(differences)}"
    return _problem_of_answer(state, call)


def _problem_of_answer(state: State, call: Call) -> str | None:
    differences = list(_differences(call.shown or {}, state))
    return f"wrong answer: {call}: {'; '.join(differences)}" if differences else None


def _explains(state: State, call: Call) -> bool:
    """Whether a call that changed nothing is answered rightly in a state."""
    if call.is_absent:
        return bool(state["status"] == "cancelled")
    try:
        unchanged = after(state, call)
    except Refused as refusal:
        return call.code == str(refusal)
    if not call.is_done or any(_differences(unchanged, state)):
        return False
    return call.shown is None or not any(_differences(call.shown, state))


def after(state: State, call: Call) -> State:
    """The state that a call makes of another one. Raises Refused."""
    if call.named is not None and call.named != state["version"]:
        raise Refused("VERSION_CONFLICT")
    match call.does:
        case "read":
            return state
        case "restore":
            return state | ({"status": "active"} if state["status"] == "cancelled" else {})
        case "move to":
            return _moved_to(state, call.given)
        case "suspend":
            to = "inactive" if _family(state) == "component" else "suspended"
            return _moved_to(state, to)
        case "describe":
            return state | {"description": call.given}
        case "set member":
            return state | {"members": state["members"] | call.given}
        case "remove member":
            if call.given not in state["members"]:
                raise Refused("NOT_FOUND")
            return state | {
                "members": {u: r for u, r in state["members"].items() if u != call.given}
            }
    if call.does == "restore version" and call.given > len(state["documents"]):
        raise Refused("NOT_FOUND")
    if state["status"] == "cancelled":
        raise Refused("CONFLICT")
    match call.does:
        case "change":
            return state | call.given
        case "tag":
            return state | {"tags": sorted({*state["tags"], *call.given})}
        case "untag":
            return state | {"tags": sorted({*state["tags"]}.difference(call.given))}
        case "configure":
            return state | {"configuration": call.given}
        case "restore version":
            return state | {"configuration": state["documents"][call.given - 1]}
        case "merge":
            variables = state["configuration"].get("environment", {}) | call.given
            variables = {name: value for name, value in variables.items() if value is not None}
            return state | {"configuration": state["configuration"] | {"environment": variables}}
    raise ValueError(call.does)


def _moved_to(state: State, to: str) -> State:
    moved = state | {"status": to}
    if state["status"] != to and not _may_become(state, moved):
        raise Refused("INVALID_TRANSITION")
    return moved


def _differences(shown: State, state: State) -> Iterator[str]:
    for name, value in shown.items():
        if state.get(name) != value:
            yield f"{name} is {value!r} and not {state.get(name)!r}"
