"""/loki/api/v1/push, as Promtail, Grafana Alloy and other clients of Loki send to it."""

import base64
import gzip
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import cramjam
import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cms_services.errors import MalformedBody
from cms_services.monitoring.protocols.loki import read_labels
from cms_services.monitoring.protocols.loki_messages import PushRequest
from tests.monitoring.agents import Reporter
from tests.people import Person, error_of

PUSH = "/loki/api/v1/push"
PROTOBUF = "application/x-protobuf"
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def reporter(alice: Person) -> Reporter:
    return Reporter(alice)


def nanoseconds() -> str:
    return str(time.time_ns())


def stream(*values: Any, **labels: str) -> dict[str, Any]:
    return {"streams": [{"stream": labels, "values": list(values)}]}


def line(text: str, **metadata: str) -> list[Any]:
    return [nanoseconds(), text, metadata]


def packed(labels: str, *lines: str, **metadata: str) -> bytes:
    """Lines of one stream as Promtail sends them: protobuf in a block of snappy."""
    push: Any = PushRequest()
    made = push.streams.add(labels=labels)
    for text in lines:
        entry = made.entries.add(line=text)
        entry.timestamp.seconds, entry.timestamp.nanos = divmod(time.time_ns(), 1_000_000_000)
        for name, value in metadata.items():
            entry.structuredMetadata.add(name=name, value=value)
    return bytes(cramjam.snappy.compress_raw(push.SerializeToString()))


class TestJson:
    def test_lines_become_entries(self, reporter: Reporter) -> None:
        sent = stream(
            line("started"),
            line("it failed", level="Error", trace_id="abc123"),
            [nanoseconds(), "without metadata"],
            job="nginx",
            host="web-1",
        )
        answer = reporter.post(PUSH, json=sent)
        assert (answer.status_code, answer.data) == (204, b"")
        entries = {entry["message"]: entry for entry in reporter.entries()}
        assert set(entries) == {"started", "it failed", "without metadata"}
        assert {entry["source"] for entry in entries.values()} == {"nginx"}
        failed = entries["it failed"]
        assert (failed["level"], failed["traceId"]) == ("error", "abc123")
        told = {"level": "Error", "trace_id": "abc123", "job": "nginx", "host": "web-1"}
        assert failed["attributes"] == told
        assert "traceId" not in entries["started"]

    def test_packed_by_gzip_too(self, reporter: Reporter, app: Flask) -> None:
        body = gzip.compress(app.json.dumps(stream(line("x"), app="a")).encode())
        headers = {"Content-Encoding": "gzip"}
        answer = reporter.post(PUSH, data=body, content_type="application/json", headers=headers)
        assert answer.status_code == 204
        assert [entry["source"] for entry in reporter.entries()] == ["a"]

    @on_sqlite
    def test_the_line_tells_its_level_where_nothing_else_does(self, reporter: Reporter) -> None:
        told = {
            'ts=1 level=warn msg="slow"': "warn",
            'msg="x" level="ERROR"': "error",
            '{"level": "debug", "msg": "x"}': "debug",
            '{"severity": "CRITICAL"}': "error",
            '{"level": 40, "pid": 1}': "warn",
            '{"level": 60}': "error",
            '{"level": 30}': "info",
            '{"level": true}': "info",
            '{"level": {"a": 1}}': "info",
            "{level": "info",
            "a sublevel=error in words": "info",
            "level=unheard": "info",
            "": "info",
        }
        assert reporter.post(PUSH, json=stream(*map(line, told), job="x")).status_code == 204
        assert {entry["message"]: entry["level"] for entry in reporter.entries()} == told

    def test_the_same_lines_again_add_nothing(self, reporter: Reporter) -> None:
        sent = stream(line("a"), line("b"), job="x")
        other = stream(*sent["streams"][0]["values"], job="y")
        for body in (sent, sent, other):
            assert reporter.post(PUSH, json=body).status_code == 204
        assert len(reporter.entries()) == 4

    def test_the_same_lines_twice_at_once_add_nothing(self, app: Flask, alice: Person) -> None:
        sent = stream(*(line(f"line {number}") for number in range(200)), job="x")
        reporter = Reporter(alice)

        def push(_: int) -> int:
            client = app.test_client()
            return client.post(PUSH, json=sent, headers=reporter.headers).status_code

        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(push, range(2))) == [204, 204]
        assert len(reporter.entries()) == 200

    def test_bad_lines_are_named_and_the_others_stored(self, reporter: Reporter) -> None:
        bad: list[Any] = [
            ["soon", "x"],
            [1, "x"],
            [nanoseconds()],
            [nanoseconds(), "x", {"a": 1}],
            ["9" * 19, "x"],
            "x",
        ]
        answer = reporter.post(PUSH, json=stream(line("good"), *bad, line("too"), job="x"))
        error = error_of(answer, 400, "VALIDATION_ERROR")
        assert set(error["details"]) == {f"lines.{number}" for number in range(1, 7)}
        assert [entry["message"] for entry in reporter.entries()] == ["too", "good"]

    @pytest.mark.parametrize(
        "body",
        [
            *([], {}, {"streams": {}}, {"streams": [1]}, {"streams": [{"stream": {"a": 1}}]}),
            *({"streams": [{"stream": {}}]}, {"streams": [{"stream": 1, "values": []}]}),
        ],
    )
    @on_sqlite
    def test_what_is_no_push_is_refused_for_good(self, reporter: Reporter, body: Any) -> None:
        error_of(reporter.post(PUSH, json=body), 400, "MALFORMED_BODY")


@on_sqlite
class TestBounds:
    def test_more_than_10000_lines_or_streams_are_refused(self, reporter: Reporter) -> None:
        at = nanoseconds()
        many = [[at, ""]] * 6000
        streams = {"streams": [{"stream": {}, "values": []}] * 10_001}
        lines = {"streams": [{"stream": {"a": name}, "values": many} for name in "xy"]}
        for body in (streams, lines):
            error_of(reporter.post(PUSH, json=body), 400, "VALIDATION_ERROR")
        body = packed('{job="x"}', *[""] * 10_001)
        answer = reporter.post(PUSH, data=body, content_type=PROTOBUF)
        error_of(answer, 400, "VALIDATION_ERROR")
        assert reporter.entries() == []

    def test_more_than_64_labels_are_refused(self, reporter: Reporter) -> None:
        labels = {f"l{number}": "x" for number in range(65)}
        error_of(reporter.post(PUSH, json=stream(line("x"), **labels)), 400, "MALFORMED_BODY")
        told = ",".join(f'{name}="x"' for name in labels)
        body = packed(f"{{{told}}}", "x")
        answer = reporter.post(PUSH, data=body, content_type=PROTOBUF)
        error_of(answer, 400, "MALFORMED_BODY")

    def test_of_the_labels_16_kib_go_with_each_line(self, reporter: Reporter) -> None:
        labels = {f"l{number}": "v" * 8000 for number in range(10)}
        assert reporter.post(PUSH, json=stream(line("x"), **labels)).status_code == 204
        (entry,) = reporter.entries()
        assert set(entry["attributes"]) == {"l0", "l1"}


class TestProtobuf:
    def test_lines_become_entries(self, reporter: Reporter) -> None:
        body = packed('{service_name="shop", path="a\\"b\\\\c"}', "one", detected_level="warn")
        assert reporter.post(PUSH, data=body, content_type=PROTOBUF).status_code == 204
        (entry,) = reporter.entries()
        assert (entry["level"], entry["message"], entry["source"]) == ("warn", "one", "shop")
        assert entry["attributes"]["path"] == 'a"b\\c'

    @on_sqlite
    @settings(
        max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(noise=st.binary(max_size=40), at=st.integers(0, 80))
    def test_no_body_brings_it_down(self, reporter: Reporter, noise: bytes, at: int) -> None:
        whole = packed('{job="x"}', "one", level="info")
        plain = bytes(cramjam.snappy.decompress_raw(whole))
        mutated = plain[:at] + noise + plain[at + len(noise) :]
        for body in (noise, bytes(cramjam.snappy.compress_raw(mutated))):
            answer = reporter.post(PUSH, data=body, content_type=PROTOBUF)
            assert answer.status_code in (204, 400, 413)


class TestLabels:
    @pytest.mark.parametrize(
        ("text", "labels"),
        [
            ("{}", {}),
            ('{a="b"}', {"a": "b"}),
            (' { a = "b" , c="d, e=f}" } ', {"a": "b", "c": "d, e=f}"}),
            ('{a="x\\n\\t\\u00e9\\x41\\U0001f600\\ud800"}', {"a": "x\n\té" + "A😀\ufffd"}),
            ("{a=`b\\n`}", {"a": "b\\n"}),
        ],
    )
    def test_are_read_as_go_quotes_them(self, text: str, labels: dict[str, str]) -> None:
        assert read_labels(text) == labels

    @pytest.mark.parametrize("text", ["", "a", "{a}", "{a=b}", '{a="b}', '{a="b" c="d"}', '{="b"}'])
    def test_that_cannot_be_read_are_refused(self, text: str) -> None:
        with pytest.raises(MalformedBody):
            read_labels(text)

    @given(st.text(alphabet='{}="\\,a`x1\n', max_size=60))
    def test_no_text_brings_it_down(self, text: str) -> None:
        with suppress(MalformedBody):
            read_labels(text)


@on_sqlite
class TestCallers:
    def test_the_token_may_be_the_password_of_basic_authentication(
        self, client: FlaskClient, reporter: Reporter
    ) -> None:
        told = base64.b64encode(f"promtail:{reporter.token}".encode()).decode()
        headers = {"Authorization": f"Basic {told}", "X-Scope-OrgID": "tenant"}
        answer = client.post(PUSH, json=stream(line("x"), job="x"), headers=headers)
        assert answer.status_code == 204
        assert len(reporter.entries()) == 1

    def test_no_other_password_is_taken(self, client: FlaskClient, alice: Person) -> None:
        for password in (alice.token, "cms_ingest_wrong", "", "Correct-horse-7"):
            told = base64.b64encode(f"{alice.email}:{password}".encode()).decode()
            headers = {"Authorization": f"Basic {told}"}
            error_of(client.post(PUSH, json={}, headers=headers), 401, "UNAUTHENTICATED")

    def test_an_account_is_told_what_to_send(self, alice: Person) -> None:
        error = error_of(alice.post(PUSH, json=stream()), 403, "FORBIDDEN")
        assert "ingest-tokens" in error["message"]

    def test_another_type_of_body_is_refused(self, reporter: Reporter) -> None:
        answer = reporter.post(PUSH, data="x", content_type="text/plain")
        error_of(answer, 415, "UNSUPPORTED_MEDIA_TYPE")
