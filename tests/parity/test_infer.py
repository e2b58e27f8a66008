"""Inferring: old scripts of several kinds, whose answers ours are equal to with the proposal."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask

from cms_services.legacy.profile import Profile, load_profile
from cms_services.parity.recording import Exchange, Message, read_recording, write_recording
from tests.conftest import MakeApp
from tests.parity.test_profile import EXAMPLES, OLD
from tests.parity.test_replay import run, serving_app
from tests.people import Person

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
QUERIES = (
    ("getServices", ""),
    ("getServices", "&type=data"),
    ("getServices", "&project=nowhere"),
    ("getService", "&serviceId={0}"),
    ("getService", "&serviceId={1}"),
    ("getService", "&serviceId={2}"),
    ("getService", "&serviceId=none"),
    ("getLogs", "&serviceId={0}"),
    ("getLogs", "&serviceId={1}"),
    ("getServiceTypes", ""),
    ("noAction", ""),
)


def fill(alice: Person) -> list[str]:
    """Make some services whose fields tell them apart, and return their ids."""
    made = [
        alice.new_service(
            name="Orders", description="d1", endpoints=["/a", "/b"], project="Shop",
            dependencies=["x"], configuration={"port": 3000, "tags": {}},
        ),
        alice.new_service(name="Stock/é", description="d2", type="data", icon="cube"),
        alice.new_service(name="Mail", description="d3", type="utility", endpoints=["/m"]),
    ]  # fmt: skip
    ids = [each["serviceId"] for each in made]
    alice.post(
        "/services.php", json={"updateService": 1, "serviceId": ids[1], "status": "inactive"}
    )
    entries = [
        {"level": level, "message": f"m{number}", "attributes": {"n": number}}
        for number, level in enumerate(("info", "warn", "error"))
    ]
    alice.post(f"/api/services/{ids[0]}/logs", json={"entries": entries})
    return ids


def record(alice: Person, ids: list[str], old: Profile, path: Path) -> None:
    """A recording of a script that answers as a profile says."""
    exchanges = []
    for action, rest in QUERIES:
        target = f"/services.php?{action}=1{rest.format(*ids)}"
        plain = alice.get(target)
        known = action if action != "noAction" else None
        told = old.adapt(known, plain.status_code, plain.data)
        headers = {name: value for name, value in told.headers.items() if value}
        headers |= {"Content-Type": told.content_type or "application/json"}
        headers.setdefault("Cache-Control", "no-store")
        answer = Message(list(headers.items()), told.body)
        request = Message([], b"")
        exchanges.append(Exchange("GET", target, request, told.status, answer, datetime.now(UTC)))
    write_recording(path, iter(exchanges))


OLD_SCRIPTS = {"of the tests": OLD} | {
    path.stem: path.read_text() for path in sorted(EXAMPLES.glob("*.yaml"))
}


@pytest.mark.parametrize("kind", OLD_SCRIPTS)
def test_the_proposal_makes_every_answer_equal(
    app: Flask, make_app: MakeApp, alice: Person, tmp_path: Path, kind: str
) -> None:
    recorded, profile = tmp_path / "recording.jsonl", tmp_path / "profile.yaml"
    record(alice, fill(alice), Profile(yaml.safe_load(OLD_SCRIPTS[kind])), recorded)
    shown = ("--header", f"Authorization: Bearer {alice.token}")
    with serving_app(app) as address:
        told = run(
            app, "infer", str(recorded), "--against", address, *shown, "--write", str(profile)
        )
    assert told.exit_code == 0, told.output
    assert "Not in the recording, so nothing is known of: createService" in told.output
    load_profile(profile)
    adapted = make_app(LEGACY_PROFILE=str(profile))
    with serving_app(adapted) as address:
        replayed = run(app, "replay", str(recorded), "--against", address, *shown)
    # A request that names no action isn't sent again, since nobody knows what it would do.
    assert replayed.exit_code == 0, replayed.output
    assert "all                    10     10          0" in replayed.output


def recorded_change(action: str, rest: str, told: Any) -> Exchange:
    form = [("Content-Type", "application/x-www-form-urlencoded")]
    answer = Message([("Content-Type", "application/json")], json.dumps(told).encode())
    request = Message(form, f"{action}=1&{rest}".encode())
    return Exchange("POST", "/services.php", request, 200, answer, datetime.now(UTC))


def test_where_changes_have_their_data_is_told_by_the_recording_and_nothing_is_changed(
    app: Flask, alice: Person, tmp_path: Path
) -> None:
    recorded, profile = tmp_path / "recording.jsonl", tmp_path / "profile.yaml"
    ids = fill(alice)
    old = Profile(yaml.safe_load(OLD))
    record(alice, ids, old, recorded)
    reads = list(read_recording(recorded))
    service = reads[0].response.body
    (first, *_) = json.loads(service or b"")["services"]
    changes = [
        recorded_change("createService", "name=X&type=api", {"status": "ok", "service": first}),
        recorded_change(
            "updateService", f"serviceId={ids[0]}&name=Y", {"status": "ok", "it": first}
        ),
        recorded_change("updateService", "serviceId=none", {"status": "error", "message": "no"}),
        recorded_change(
            "deleteService", f"serviceId={ids[0]}", {"status": "ok", "message": "gone"}
        ),
        recorded_change("updateConfig", f"serviceId={ids[0]}&configuration[port]=1", {"data": {}}),
        recorded_change("getServices", f"deleteService=1&serviceId={ids[0]}", {"data": []}),
        recorded_change("suspendService", f"serviceId={ids[0]}", {"status": "ok"} | first),
        recorded_change("resumeService", f"serviceId={ids[0]}", {"a b": first}),
    ]
    recorded.unlink()
    write_recording(recorded, iter([*reads, *changes]))
    before = alice.get("/services.php?getServices=1").data
    shown = ("--header", f"Authorization: Bearer {alice.token}")
    with serving_app(app) as address:
        told = run(
            app, "infer", str(recorded), "--against", address, *shown, "--write", str(profile)
        )
    assert alice.get("/services.php?getServices=1").data == before
    assert told.exit_code == 0, told.output
    actions = yaml.safe_load(profile.read_text())["envelope"]["actions"]
    assert actions["createService"] == "service" and actions["updateService"] == "it"
    assert actions["suspendService"] == "bare" and "deleteService" not in actions
    assert "updateService: data stand in it, as in 1 of 2 recorded." in told.output
    assert "resumeService: data stand in 'a b', and envelope.actions" in told.output
    assert "deleteService: no recorded answer has what ours has" in told.output


def test_what_the_import_has_mended_becomes_no_rule(
    app: Flask, alice: Person, tmp_path: Path
) -> None:
    recorded = tmp_path / "recording.jsonl"
    alice.new_service(name="Café", project="Über uns", icon="Ü")
    alice.new_service(name="Orders", project="Shop", icon="cube")
    record(alice, ["none"] * 3, Profile({"version": 1}), recorded)
    spoilt = recorded.read_text().replace("Café", "CafÃ©").replace("Über", "Ãœber")
    recorded.write_text(spoilt.replace("Ü", "Ãœ"))
    shown = ("--header", f"Authorization: Bearer {alice.token}")
    with serving_app(app) as address:
        told = run(app, "infer", str(recorded), "--against", address, *shown)
    assert "values" not in told.stdout and "Ã" not in told.stdout
    assert "texts that were encoded twice there, such as 'CafÃ©'" in told.stderr


def test_an_application_with_a_profile_is_refused(
    app: Flask, make_app: MakeApp, alice: Person, tmp_path: Path
) -> None:
    recorded = tmp_path / "recording.jsonl"
    record(alice, fill(alice), Profile({"version": 1}), recorded)
    shown = ("--header", f"Authorization: Bearer {alice.token}")
    with serving_app(make_app(LEGACY_ENVELOPE="bare")) as address:
        told = run(app, "infer", str(recorded), "--against", address, *shown)
    assert told.exit_code == 2 and "start it without LEGACY_PROFILE" in told.output
