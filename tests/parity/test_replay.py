"""Replaying: what is sent, what is compared, and what is told."""

import json
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from werkzeug.serving import make_server

from cms_services.parity.comparison import (
    Answer,
    Comparison,
    Difference,
    RulesError,
    load_rules,
)
from cms_services.parity.recording import Exchange, Message, write_recording
from tests.conftest import MakeApp
from tests.local_servers import free_port, listening
from tests.people import Person

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
JSON_TYPE = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
FORM = ("Content-Type", "application/x-www-form-urlencoded")
SIGNED_IN = ("Cookie", "PHPSESSID=masked-0123456789abcdef")


def exchange(method: str, query: str, told: Any, status: int = 200, body: str = "") -> Exchange:
    headers = [FORM, SIGNED_IN] if body else [SIGNED_IN]
    target = f"/services.php?{query}" if query else "/services.php"
    answer = Message(JSON_TYPE, json.dumps(told).encode())
    request = Message(headers, body.encode())
    return Exchange(method, target, request, status, answer, datetime.now(UTC))


def serving_app(app: Flask) -> AbstractContextManager[str]:
    return listening(make_server("127.0.0.1", 0, app, threaded=True))


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["parity", *arguments])


def replay(app: Flask, alice: Person, folder: Path, recorded: list[Exchange], *more: str) -> Result:
    """Replay a recording against the application itself, signed in as Alice."""
    path = folder / "recording.jsonl"
    path.unlink(missing_ok=True)
    write_recording(path, iter(recorded))
    token = folder / "token"
    token.write_text(f"Authorization: Bearer {alice.token}\n")
    with serving_app(app) as address:
        given = [address if each == "ITSELF" else each for each in more]
        return run(app, "replay", str(path), "--against", address, "--header", f"@{token}", *given)


@on_sqlite
class TestReplay:
    def test_equal_answers_end_with_0(self, app: Flask, alice: Person, tmp_path: Path) -> None:
        alice.new_service()
        told = alice.get("/services.php?getServices=1").json
        result = replay(app, alice, tmp_path, [exchange("GET", "getServices=1", told)])
        assert result.exit_code == 0, result.output
        assert result.output.splitlines()[1].split() == ["getServices", "1", "1", "0"]

    def test_a_difference_is_told_with_its_path_and_ends_with_1(
        self, app: Flask, alice: Person, tmp_path: Path
    ) -> None:
        made = alice.new_service(configuration={"environment": {"API_KEY": "k-live-1"}})
        told = alice.get("/services.php?getServices=1").json
        told["data"][0] |= {"name": "Other", "gone": 1}
        told["data"][0]["configuration"]["environment"]["API_KEY"] = "hunter2"
        recorded = [exchange("GET", f"getServices=1&n={made['id']}", told)] * 2
        result = replay(app, alice, tmp_path, recorded, "--report", "json")
        assert result.exit_code == 1, result.output
        found = json.loads(result.output)["actions"]["getServices"]
        assert (found["requests"], found["differing"]) == (2, 2)
        assert found["kinds"] == {"value": 4, "missing": 2}
        by_path = {each["path"]: each for each in found["differences"]}
        assert by_path["$.data[*].name"]["example"] == {
            "path": "$.data[0].name",
            "baseline": '"Other"',
            "candidate": '"Orders API"',
        }
        assert "hunter2" not in result.output and "k-live-1" not in result.output
        assert replay(app, alice, tmp_path, recorded, "--fail-over", "100").exit_code == 0

    def test_changes_are_not_sent_unless_asked_for(
        self, app: Flask, alice: Person, tmp_path: Path
    ) -> None:
        recorded = [
            exchange("POST", "", {}, body="createService=1&name=A&type=api&project=p"),
            exchange("GET", "healthCheck=1&serviceId=1", {}),
            exchange("GET", "dropEverything=1", {}),
            exchange("POST", "deleteService=1", {}, body="serviceId=1"),
        ]
        result = replay(app, alice, tmp_path, recorded)
        assert result.exit_code == 2 and "Nothing was sent" in result.output
        assert "createService (1): createService changes something" in result.output
        assert alice.get("/services.php?getServices=1").json["data"] == []

    def test_ids_of_what_was_created_are_followed(
        self, app: Flask, alice: Person, tmp_path: Path
    ) -> None:
        old = {
            "id": "12",
            "serviceId": "12",
            "name": "A",
            "description": "",
            "type": "api",
            "icon": "server-outline",
            "status": "active",
            "project": "p",
            "endpoints": [],
            "dependencies": [],
            "configuration": {},
            "createdAt": "2026-01-01T00:00:00Z",
            "updatedAt": "2026-01-01T00:00:00Z",
        }
        rules = tmp_path / "rules.yaml"
        rules.write_text("rules: [{path: \"$..['createdAt', 'updatedAt']\", ignore: true}]")
        success = {"success": True, "data": old}
        gone = {"id": "12", "serviceId": "12", "status": "cancelled"}
        recorded = [
            exchange("POST", "", success, body="createService=1&name=A&type=api&project=p"),
            exchange("GET", "getService=1&serviceId=12", success),
            exchange(
                "POST",
                "",
                {"success": True, "data": old | {"name": "B", "dependencies": ["12"]}},
                body="updateService=1&serviceId=12&name=B&dependencies%5B%5D=12",
            ),
            exchange(
                "POST", "deleteService=1", {"success": True, "data": gone}, body="serviceId=12"
            ),
        ]
        result = replay(app, alice, tmp_path, recorded, "--changes", "--ignore", str(rules))
        assert result.exit_code == 0, result.output

    def test_both_sides_may_be_asked_now(self, app: Flask, alice: Person, tmp_path: Path) -> None:
        alice.new_service()
        recorded = [exchange("GET", "getServices=1", "nothing"), exchange("GET", "getX=1", 1)]
        more = ("--baseline", "ITSELF", "--baseline-header", f"@{tmp_path / 'token'}")
        result = replay(app, alice, tmp_path, recorded, *more)
        assert result.exit_code == 0, result.output
        assert "(no known action) (1): what it does is not known" in result.output

    def test_a_profile_that_differs_is_seen(
        self, app: Flask, make_app: MakeApp, alice: Person, tmp_path: Path
    ) -> None:
        alice.new_service()
        told = alice.get("/services.php?getServices=1").json
        bare = make_app(LEGACY_ENVELOPE="bare")
        result = replay(bare, alice, tmp_path, [exchange("GET", "getServices=1", told)])
        assert result.exit_code == 1 and "type at $" in result.output

    def test_the_page_says_it_without_scripts_and_escaped(
        self, app: Flask, alice: Person, tmp_path: Path
    ) -> None:
        alice.new_service(name="<script>alert(1)</script>")
        told = alice.get("/services.php?getServices=1").json
        told["data"][0]["name"] = "<b>"
        out = tmp_path / "report.html"
        recorded = [exchange("GET", "getServices=1&x=<i>", told), exchange("GET", "getX=1", 1)]
        result = replay(app, alice, tmp_path, recorded, "--report", "html", "--out", str(out))
        assert result.exit_code == 1
        page = out.read_text()
        assert "1 of 1 answers differ" in page
        assert "$.data[0].name" in page
        assert "<script" not in page and "<b>" not in page and "<i>" not in page
        assert "http://" not in page and "src=" not in page

    def test_what_is_compared_without_bodies_is_counted(
        self, app: Flask, alice: Person, tmp_path: Path
    ) -> None:
        recorded = [exchange("GET", "getServices=1", {}), exchange("GET", "getServices=2", {})]
        recorded[0].response.body = None
        for form, told in (
            ("text", "1 without their bodies"),
            ("json", '"withoutBody": 1'),
            ("html", "1 without their bodies"),
        ):
            result = replay(app, alice, tmp_path, recorded, "--report", form)
            assert result.exit_code == 1 and told in result.output

    def test_a_server_that_is_asked_too_much_is_asked_again(
        self, make_app: MakeApp, alice: Person, tmp_path: Path
    ) -> None:
        told = alice.get("/services.php?getServices=1").json
        limited = make_app(RATE_LIMITS="on", RATE_LIMIT_SIGNED_IN="3 per 2 seconds")
        recorded = [exchange("GET", f"getServices=1&n={number}", told) for number in range(5)]
        result = replay(limited, alice, tmp_path, recorded, "--concurrency", "1")
        assert result.exit_code == 0, result.output

    def test_secrets_of_an_address_are_neither_compared_nor_told(
        self, app: Flask, alice: Person, tmp_path: Path
    ) -> None:
        recorded = exchange("GET", "getServices=1", alice.get("/services.php?getServices=1").json)
        recorded.response.headers = [*JSON_TYPE, ("Location", "/x?token=hunter2")]
        result = replay(app, alice, tmp_path, [recorded])
        assert result.exit_code == 1
        assert "header at location" in result.output and "hunter2" not in result.output

    def test_texts_that_the_import_has_mended_may_be_told_to_be_equal(
        self, app: Flask, alice: Person, tmp_path: Path
    ) -> None:
        alice.new_service(name="Café")
        told = alice.get("/services.php?getServices=1").json
        told["data"][0]["name"] = "CafÃ©"
        recorded = [exchange("GET", "getServices=1", told)]
        assert replay(app, alice, tmp_path, recorded).exit_code == 1
        assert replay(app, alice, tmp_path, recorded, "--mended-texts").exit_code == 0

    def test_nobody_who_answers_ends_with_2(self, app: Flask, tmp_path: Path) -> None:
        path = tmp_path / "recording.jsonl"
        write_recording(path, iter([exchange("GET", "getServices=1", {})]))
        result = run(app, "replay", str(path), "--against", f"http://127.0.0.1:{free_port()}")
        assert result.exit_code == 2 and "No request was answered" in result.output

    @pytest.mark.parametrize(
        "text", ["", "{}\n", '{"format":"cms-services-parity","version":9}\n', "GET / 200\n"]
    )
    def test_what_is_no_recording_is_refused(self, app: Flask, tmp_path: Path, text: str) -> None:
        path = tmp_path / "recording.jsonl"
        path.write_text(text)
        result = run(app, "replay", str(path), "--against", "http://127.0.0.1:1")
        assert result.exit_code == 2 and str(path) in result.output


@on_sqlite
class TestSources:
    def test_a_har_file(self, app: Flask, alice: Person, tmp_path: Path) -> None:
        told = alice.get("/services.php?getServices=1").text
        entry = {
            "startedDateTime": "2026-01-02T03:04:05.678Z",
            "time": 12.5,
            "request": {
                "method": "POST",
                "url": "https://cms.example.com/services.php?password=hunter2",
                "headers": [
                    {"name": ":authority", "value": "x"},
                    {"name": "Accept", "value": "*/*"},
                ],
                "postData": {
                    "mimeType": "application/x-www-form-urlencoded",
                    "params": [{"name": "getServices", "value": "1"}],
                },
            },
            "response": {
                "status": 200,
                "headers": [{"name": n, "value": v} for n, v in JSON_TYPE],
                "content": {"size": len(told), "text": told},
            },
        }
        har, path = tmp_path / "saved.har", tmp_path / "recording.jsonl"
        har.write_text(json.dumps({"log": {"version": "1.2", "entries": [entry]}}))
        result = run(app, "record", "--har", str(har), "--to", str(path))
        assert result.output == f"Recorded 1 requests to {path}.\n"
        assert "hunter2" not in path.read_text()
        token = f"Authorization: Bearer {alice.token}"
        with serving_app(app) as address:
            # Browsers leave cookies out, so credentials are shown with every request.
            result = run(app, "replay", str(path), "--against", address, "--header", token)
        assert result.exit_code == 0, result.output

    def test_an_access_log(self, app: Flask, alice: Person, tmp_path: Path) -> None:
        log, path = tmp_path / "access.log", tmp_path / "recording.jsonl"
        head = '192.0.2.1 - - [02/Jan/2026:03:04:05 +0100] "'
        lines = [
            f'{head}GET /services.php?getServices=1&token=hunter2 HTTP/1.1" 200 12 "-" "A \\x22b"',
            f'{head}POST /services.php HTTP/1.1" 200 12 "-" "-"',
            f'{head}GET /style.css HTTP/1.1" 200 12 "-" "-"',
            f'{head}\\x16\\x03" 400 0 "-" "-"',
            '{"time":"2026-01-02T03:04:05+01:00","method":"GET",'
            '"target":"/services.php?getService=1&serviceId=x","status":404,"duration":0.012}',
        ]
        log.write_text("\n".join(lines) + "\n")
        assert run(app, "record", "--access-log", str(log), "--to", str(path)).exit_code == 0
        assert "hunter2" not in path.read_text()
        token = f"Authorization: Bearer {alice.token}"
        with serving_app(app) as address:
            result = run(app, "replay", str(path), "--against", address, "--header", token)
        assert result.exit_code == 0, result.output
        assert "getService          1      1          0" in result.output

    def test_half_of_a_recording_is_none(self, app: Flask, tmp_path: Path) -> None:
        har, path = tmp_path / "saved.har", tmp_path / "recording.jsonl"
        request = {"method": "GET", "url": "http://x/services.php", "headers": []}
        entry = {
            "startedDateTime": "2026-01-02T03:04:05Z",
            "request": request,
            "response": {"status": 200, "headers": []},
        }
        har.write_text(json.dumps({"log": {"entries": [entry, {}]}}))
        result = run(app, "record", "--har", str(har), "--to", str(path))
        assert result.exit_code == 2 and not path.exists()

    @pytest.mark.parametrize("option", ["--har", "--access-log"])
    def test_another_file_is_refused(self, app: Flask, tmp_path: Path, option: str) -> None:
        other, path = tmp_path / "other", tmp_path / "recording.jsonl"
        other.write_text("[1, 2]\n")
        result = run(app, "record", option, str(other), "--to", str(path))
        assert result.exit_code == 2 and str(other) in result.output and not path.exists()


def differences(
    one: Any, other: Any, rules: str = "[]", tmp_path: Path | None = None, **options: Any
) -> list[tuple[str, str]]:
    loaded = []
    if tmp_path is not None:
        path = tmp_path / "rules.yaml"
        path.write_text(f"rules: {rules}")
        loaded = load_rules(path)
    sides = [
        Answer(
            200, Message(JSON_TYPE, each if isinstance(each, bytes) else json.dumps(each).encode())
        )
        for each in (one, other)
    ]
    found: list[Difference] = Comparison(loaded, **options).differences("getLogs", *sides)
    return [(each.kind, each.path) for each in found]


class TestComparison:
    @pytest.mark.parametrize(
        ("one", "other", "told"),
        [
            ({"a": 1}, {"a": 1.0}, []),
            ({"a": 1}, {"a": "1"}, [("type", "$.a")]),
            ({"a": None}, {}, [("missing", "$.a")]),
            ({}, {"a b": 1}, [("extra", '$["a b"]')]),
            ([], {}, [("type", "$")]),
            ([1, 2], [2, 1], [("order", "$")]),
            ([1, 2], [1], [("length", "$")]),
            ([{"a": True}], [{"a": 1}], [("type", "$[0].a")]),
            ({"a": {"b": [1, {"c": 2}]}}, {"a": {"b": [1, {"c": 3}]}}, [("value", "$.a.b[1].c")]),
            ({"password": "masked-0123456789abcdef"}, {"password": "x"}, []),
            ({"pin": "masked-0123456789abcdef"}, {"pin": 1234}, []),
            ({"m": "a [masked] c"}, {"m": "a b c"}, []),
            ({"m": "a [masked] c"}, {"m": "b b c"}, [("value", "$.m")]),
            ({"j": '{"pwd":"masked-0123456789abcdef"}'}, {"j": '{"pwd": "x"}'}, []),
            (b"[" * 400 + b"]" * 400, b"[" * 400 + b"1" + b"]" * 400, [("body", "$")]),
            (b"<html>", b"<html>", []),
            (b"<html>", {"a": 1}, [("body", "$")]),
            (b"<p>token=[masked]</p>", b"<p>token=x</p>", []),
            (b"\xef\xbb\xbf[1]", [1], []),
        ],
    )
    def test_what_differs(self, one: Any, other: Any, told: list[tuple[str, str]]) -> None:
        assert differences(one, other) == told

    def test_order_of_keys_and_bytes_count_where_asked(self) -> None:
        one, other = b'{"a":"\\/","b":1}', b'{"b":1,"a":"/"}'
        assert differences(one, other) == []
        assert differences(one, other, key_order=True) == [("key order", "$")]
        assert differences(b'["\\/"]', b'["/"]', exact_bytes=True) == [("bytes", "byte 2")]

    @pytest.mark.parametrize(
        "rule",
        [
            '{path: "$[*].t", time_within: 5}',
            '{action: getLogs, path: "$[*].t", ignore: true}',
            '{path: "$[?@.n > 1].t", ignore: true}',
            "{kind: value, ignore: true}",
        ],
    )
    def test_rules_say_what_may_differ(self, tmp_path: Path, rule: str) -> None:
        one = [{"n": 2, "t": "2026-01-02 03:04:05"}]
        other = [{"n": 2, "t": "2026-01-02T03:04:09Z"}]
        assert differences(one, other) == [("value", "$[0].t")]
        assert differences(one, other, f"[{rule}]", tmp_path) == []

    def test_a_rule_of_another_action_or_too_little_changes_nothing(self, tmp_path: Path) -> None:
        one, other = [{"t": "2026-01-02 03:04:05"}], [{"t": "2026-01-02T03:04:09Z"}]
        rules = (
            '[{action: getService, path: "$[*].t", ignore: true}, {path: "$[*].t", time_within: 3}]'
        )
        assert differences(one, other, rules, tmp_path) == [("value", "$[0].t")]

    def test_numbers_and_orders(self, tmp_path: Path) -> None:
        one = [{"id": 1, "v": 100}, {"id": 2, "v": 50}]
        other = [{"id": 2, "v": 50.4}, {"id": 1, "v": 101}]
        rules = '[{path: "$", any_order: id}, {path: "$[*].v", number_within: 1%}]'
        assert differences(one, other, rules, tmp_path) == []
        tight = rules.replace("1%", "0.5")
        assert differences(one, other, tight, tmp_path) == [("value", "$[0].v")]

    @pytest.mark.parametrize(
        "rules",
        [
            "{}",
            "[{}]",
            "[{path: '$['}]",
            "[{path: '$[', ignore: true}]",
            "[{ignore: true}]",
            "[{path: $.a, ignore: true, time_within: 5}]",
            "[{path: $.a, number_within: some}]",
            "[{path: $.a, nonsense: 1}]",
            "[{time_within: 5}]",
        ],
    )
    def test_bad_rules_are_refused(self, tmp_path: Path, rules: str) -> None:
        path = tmp_path / "rules.yaml"
        path.write_text(f"rules: {rules}")
        with pytest.raises(RulesError) as caught:
            load_rules(path)
        assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
