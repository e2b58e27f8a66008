"""LEGACY_PROFILE: answers as a file says, and files that are refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask

from cms_services.legacy.profile import Profile, ProfileError, load_profile
from cms_services.settings import SettingError
from tests.conftest import MakeApp, NewPerson
from tests.people import Person

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
EXAMPLES = Path(__file__).parents[2] / "config_templates" / "legacy_profiles"

OLD = """
version: 1
envelope:
  shape: result
  actions: {getServices: services, getTemplates: bare}
  flag: {key: status, success: ok, failure: error}
  count: total
  add: {api: 2}
errors: {shape: message, key: message, messages: {SERVICE_NOT_FOUND: No such service}}
status: always-200
content_type: text/html; charset=iso-8859-1
headers: {Cache-Control: "private, max-age=0", X-Powered-By: PHP/5.3.29}
json: {flags: [], after: "\\n"}
dates: {format: "d.m.Y H:i", zone: Europe/Berlin}
ids: number
booleans: text
empty_object: "[]"
objects:
  service:
    rename: {serviceId: service_id, createdAt: created}
    omit: [updatedAt, icon]
    add: {source: cms}
    order: [name]
    values: {status: {active: 1, inactive: 0}}
    joined: {endpoints: "|"}
    json_text: [configuration]
    nulls: {project: ""}
parameters: {id: serviceId}
parameter_values: {status: {"1": active}}
"""


def old_app(make_app: MakeApp, tmp_path: Path, text: str = OLD) -> Flask:
    path = tmp_path / "profile.yaml"
    path.write_text(text)
    return make_app(LEGACY_PROFILE=str(path))


@pytest.fixture
def app(make_app: MakeApp, tmp_path: Path) -> Flask:
    return old_app(make_app, tmp_path)


@on_sqlite
class TestAnswers:
    def new_service(self, alice: Person, **fields: Any) -> dict[str, Any]:
        return alice.new_service(name="Stück/1", endpoints=["/a", "/b"], **fields)

    def test_an_action_answers_as_the_file_says_to_the_byte(self, alice: Person) -> None:
        made = self.new_service(alice)
        answer = alice.get("/services.php?getServices=1&status=1")
        # What is no number stays a text.
        start = (
            '{"status":"ok","services":[{"name":"St\\u00fcck\\/1",'
            f'"id":"{made["id"]}","service_id":{made["serviceId"]},"description":"","status":1,'
            '"type":"api","project":"","endpoints":"\\/a|\\/b","dependencies":[],'
            '"configuration":"[]","created":"'
        )
        assert answer.text.startswith(start)
        assert answer.text.endswith('","source":"cms"}],"total":1,"api":2}\n')
        assert answer.content_type == "text/html; charset=iso-8859-1"
        assert answer.headers["Cache-Control"] == "private, max-age=0"
        assert answer.headers["X-Powered-By"] == "PHP/5.3.29"
        # What keeps browsers from running what users wrote is always there.
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]

    def test_parameters_have_their_old_names(self, alice: Person) -> None:
        made = self.new_service(alice)
        answer = alice.get(f"/services.php?getService=1&id={made['id']}")
        assert str(json.loads(answer.text)["result"]["service_id"]) == made["serviceId"]

    def test_a_bare_action(self, alice: Person) -> None:
        assert isinstance(json.loads(alice.get("/services.php?getTemplates=1").text), list)

    @pytest.mark.parametrize(
        ("method", "path", "message"),
        [
            ("GET", "getService=1&serviceId=9", "No such service"),
            ("GET", "nothing=1", "Name one action"),
            ("GET", "createService=1&name=x", "changes data"),
            ("DELETE", "", "does not answer this method"),
            ("GET", "getServices=1&limit=x", "Check these fields"),
        ],
    )
    def test_failures_of_every_kind(
        self, alice: Person, method: str, path: str, message: str
    ) -> None:
        answer = alice.open(method, f"/services.php?{path}")
        told = json.loads(answer.text)
        assert (answer.status_code, told["status"]) == (200, "error")
        assert message in told["message"] and set(told) == {"status", "message"}
        assert answer.content_type.startswith("text/html")

    def test_nobody_and_too_many(self, make_app: MakeApp, tmp_path: Path) -> None:
        path = tmp_path / "profile.yaml"
        path.write_text(OLD)
        app = make_app(
            LEGACY_PROFILE=str(path), RATE_LIMITS="on", RATE_LIMIT_ANONYMOUS="1 per hour"
        )
        client = app.test_client()
        for word in ("Sign in", "Too many requests"):
            answer = client.get("/services.php?getServices=1")
            assert (answer.status_code, json.loads(answer.text)["status"]) == (200, "error")
            assert word.lower() in json.loads(answer.text)["message"].lower()

    def test_the_rest_of_the_application_is_as_ever(self, alice: Person) -> None:
        answer = alice.get("/api/services/none")
        assert answer.status_code == 404 and answer.json["error"]["code"] == "SERVICE_NOT_FOUND"


@on_sqlite
def test_statuses_may_be_told_one_by_one(
    make_app: MakeApp, tmp_path: Path, new_person: NewPerson
) -> None:
    app = old_app(make_app, tmp_path, "{version: 1, status: {404: 200, UNAUTHENTICATED: 403}}")
    alice = new_person("Alice", of=app)
    assert alice.get("/services.php?getService=1&serviceId=9").status_code == 200
    assert app.test_client().get("/services.php?getServices=1").status_code == 403
    assert alice.get("/services.php?nothing=1").status_code == 400


@on_sqlite
def test_the_short_settings_beside_it_are_refused(make_app: MakeApp, tmp_path: Path) -> None:
    path = tmp_path / "profile.yaml"
    path.write_text("version: 1")
    for name, value in (("LEGACY_ENVELOPE", "bare"), ("LEGACY_STATUS", "always-200")):
        with pytest.raises(SettingError, match=f"^{name}: stands in the file of LEGACY_PROFILE"):
            make_app(LEGACY_PROFILE=str(path), **{name: value})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{}", "version: "),
        ("version: 2", "version: "),
        ("[]", "takes a mapping"),
        ("a: [", "is no YAML"),
        ("{version: 1, envelop: {}}", "envelop: Unknown field."),
        ("{version: 1, envelope: {shape: error}}", "envelope.shape: Takes wrapped, bare"),
        ("{version: 1, envelope: {actions: {getX: bare}}}", "envelope.actions.getX: there is no"),
        ("{version: 1, objects: {thing: {}}}", "objects.thing: takes one of service"),
        (
            "{version: 1, objects: {service: {rename: {nam: x}}}}",
            "objects.service.rename.nam: there is no such field",
        ),
        (
            "{version: 1, objects: {service: {rename: {name: id}}}}",
            "objects.service: two values would be called 'id'",
        ),
        ("{version: 1, dates: {zone: Europe/Bonn}}", "dates.zone: Takes the name of a time zone"),
        ("{version: 1, status: {404: 99}}", "status.404: Takes a status"),
        ("{version: 1, status: {200: 200}}", "status.200: Takes an error code"),
        ("{version: 1, json: {flags: [JSON_PRETTY]}}", "json.flags.0: Must be one of"),
        ("{version: 1, headers: {Set-Cookie: a=b}}", "headers.Set-Cookie"),
        ('{version: 1, headers: {Vary: "a\\nb"}}', "headers.Vary: Takes visible ASCII"),
        ("{version: 1, content_type: nonsense}", "content_type: Takes a content type"),
        ("{version: 1, errors: {messages: {NONE: x}}}", "errors.messages.NONE: There is no such"),
        ("{version: 1, envelope: {add: {a: [1]}}}", "envelope.add.a: Takes a text"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "profile.yaml"
    path.write_text(text)
    with pytest.raises(ProfileError) as caught:
        load_profile(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: {told}") and "\n" not in line


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_can_be_used(path: Path) -> None:
    assert (
        Profile(yaml.safe_load(path.read_text()))
        .adapt("getServices", 200, b'{"success":true,"data":[]}')
        .body.startswith(b"{")
    )


def test_there_are_examples() -> None:
    assert len(list(EXAMPLES.glob("*.yaml"))) == 2


def test_times_numbers_and_flags_of_other_kinds() -> None:
    profile = Profile(
        {
            "version": 1,
            "dates": {"format": "U"},
            "numbers": "text",
            "nulls": "leave out",
            "objects": {"check": {"dates": {"checkedAt": "H:i"}}},
        }
    )
    checks = [{"checkedAt": "2026-01-02T03:04:05Z", "responseTimeMs": 1.5, "message": None}]
    health = {"checkedAt": "2026-01-02T03:04:05Z", "responseTimeMs": 2.0, "checks": checks}
    told = profile.adapt("healthCheck", 200, json.dumps({"success": True, "data": health}).encode())
    assert told.value["data"] == {
        "checkedAt": "1767323045",
        "responseTimeMs": "2",
        "checks": [{"checkedAt": "03:04", "responseTimeMs": "1.5"}],
    }
    series = {"series": {"requests": [["2026-01-02T03:04:05Z", 7]]}, "from": None}
    told = profile.adapt("getMetrics", 200, json.dumps({"data": series}).encode())
    assert told.value["data"] == {"series": {"requests": [["1767323045", 7]]}}
