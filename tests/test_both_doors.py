"""What services.php and REST both offer is one behaviour: each does the same, seen by the other."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.people import Person, data_of

Act = Callable[[Person, dict[str, Any]], Any]

# Name -> how it is done by services.php, how by REST.
PAIRS: dict[str, tuple[Act, Act]] = {
    "update": (
        lambda p, s: p.act("updateService", serviceId=s["serviceId"], name="New", type="data"),
        lambda p, s: p.patch(f"/api/services/{s['id']}", json={"name": "New", "type": "data"}),
    ),
    "suspend": (
        lambda p, s: p.act("suspendService", serviceId=s["id"], reason="why"),
        lambda p, s: p.post(f"/api/services/{s['id']}/suspend", json={"reason": "why"}),
    ),
    "resume": (
        lambda p, s: p.act("resumeService", serviceId=s["serviceId"]),
        lambda p, s: p.post(f"/api/services/{s['serviceId']}/resume"),
    ),
    "cancel": (
        lambda p, s: p.act("deleteService", serviceId=s["serviceId"]),
        lambda p, s: p.delete(f"/api/services/{s['serviceId']}"),
    ),
    "configure": (
        lambda p, s: p.act("updateConfig", serviceId=s["id"], configuration={"port": 1}),
        lambda p, s: p.post(f"/api/services/{s['id']}/config", json={"port": 1}),
    ),
}

READINGS: dict[str, tuple[Act, Act]] = {
    "configuration": (
        lambda p, s: p.get(f"/services.php?getConfig=1&serviceId={s['id']}"),
        lambda p, s: p.get(f"/api/services/{s['id']}/config"),
    ),
    "logs": (
        lambda p, s: p.get(f"/services.php?getLogs=true&serviceId={s['id']}"),
        lambda p, s: p.get(f"/api/services/{s['id']}/logs"),
    ),
    "types": (
        lambda p, s: p.get("/services.php?getServiceTypes=1"),
        lambda p, s: p.get("/api/service-types"),
    ),
    "templates": (
        lambda p, s: p.get("/services.php?getTemplates=1"),
        lambda p, s: p.get("/api/templates"),
    ),
}


def state(person: Person, service: dict[str, Any]) -> dict[str, Any]:
    """What remains of a change: the service, less what differs from one to the next; its trail."""
    shown = data_of(person.get(f"/api/services/{service['id']}"))
    for name in ("id", "serviceId", "createdAt", "updatedAt", "startDate", "cancelledAt"):
        del shown[name]
    trail = data_of(person.get(f"/api/audit?targetId={service['id']}"))
    events = data_of(person.get(f"/api/events?subject={service['id']}"))
    return {
        "service": shown,
        "audit": [(entry["action"], entry["changes"]) for entry in trail],
        "events": [event["type"] for event in events],
    }


@pytest.mark.parametrize("name", PAIRS)
def test_a_change_leaves_the_same_state_and_trail_by_either_door(alice: Person, name: str) -> None:
    left = []
    for act in PAIRS[name]:
        service = alice.new_service(configuration={"old": 1})
        start = state(alice, service)
        data_of(act(alice, service))
        left.append(state(alice, service))
        assert left[-1] != start or name == "resume"
    # Creation times stand in the first entry of each trail.
    for each in left:
        each["audit"].pop()
    assert left[0] == left[1]


@pytest.mark.parametrize("name", READINGS)
def test_reading_gives_the_same_data_by_either_door(alice: Person, name: str) -> None:
    service = alice.new_service(configuration={"port": 3000})
    path = f"/api/services/{service['id']}/logs"
    alice.post(path, json={"entries": [{"level": "info", "message": "started"}]})
    by_php, by_rest = READINGS[name]
    found = data_of(by_php(alice, service))
    assert found
    assert found == data_of(by_rest(alice, service))


def test_creating_makes_the_same_component_by_either_door(alice: Person) -> None:
    fields = {
        "name": "Orders",
        "type": "api",
        "project": "shop",
        "description": "takes orders",
        "endpoints": ["/api/orders"],
        "dependencies": ["database"],
        "configuration": {"port": 3000},
        "template": "flask-api",
    }
    by_php = data_of(alice.act("createService", **fields))
    by_rest = data_of(alice.post("/api/services", json=fields), 201)
    for name, value in by_php.items():
        if name not in ("id", "serviceId", "createdAt", "updatedAt"):
            assert by_rest[name] == value, name


@pytest.mark.parametrize("kind", ["api", "kubernetes"])
def test_a_listed_service_looks_like_the_service_itself(alice: Person, kind: str) -> None:
    secret = {"environment": {"KEY": {"value": "x", "secret": True}}, "list": [1, {"a": None}]}
    service = alice.new_service(type=kind, configuration=secret, endpoints=["/a"], project="p")
    (listed,) = data_of(alice.get("/api/services"))
    assert listed == service
    assert list(listed) == list(service)
