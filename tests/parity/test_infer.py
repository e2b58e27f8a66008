"""Inferring: old scripts of several kinds, whose answers ours are equal to with the proposal."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from flask import Flask

from cms_services.legacy.profile import Profile, load_profile
from cms_services.parity.recording import Exchange, Message, write_recording
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


def test_an_application_with_a_profile_is_refused(
    app: Flask, make_app: MakeApp, alice: Person, tmp_path: Path
) -> None:
    recorded = tmp_path / "recording.jsonl"
    record(alice, fill(alice), Profile({"version": 1}), recorded)
    shown = ("--header", f"Authorization: Bearer {alice.token}")
    with serving_app(make_app(LEGACY_ENVELOPE="bare")) as address:
        told = run(app, "infer", str(recorded), "--against", address, *shown)
    assert told.exit_code == 2 and "start it without LEGACY_PROFILE" in told.output
