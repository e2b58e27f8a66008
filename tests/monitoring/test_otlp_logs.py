"""/v1/logs, as OpenTelemetry's SDKs and collectors send to it."""

import gzip
import json
import logging
import time
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord as SdkRecord
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource

from tests.monitoring.agents import Reporter, served
from tests.people import Person, error_of

PROTOBUF = "application/x-protobuf"
TRACE = "5b8efff798038103d269b633813fc60c"
SPAN = "eee19b7ec3c1b174"
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def reporter(alice: Person) -> Reporter:
    return Reporter(alice)


def record(**fields: Any) -> LogRecord:
    made = LogRecord(time_unix_nano=time.time_ns(), **fields)
    made.body.string_value = made.body.string_value or "hello"
    return made


def export(*records: LogRecord, service: str = "checkout", scope: str = "") -> bytes:
    message = ExportLogsServiceRequest()
    of_resource = message.resource_logs.add()
    if service:
        of_resource.resource.attributes.add(key="service.name").value.string_value = service
    of_resource.resource.attributes.add(key="host.name").value.string_value = "web-1"
    of_scope = of_resource.scope_logs.add()
    of_scope.scope.name = scope
    of_scope.log_records.extend(records)
    return message.SerializeToString()


def in_json(**fields: Any) -> dict[str, Any]:
    told = {"timeUnixNano": str(time.time_ns()), "body": {"stringValue": "hello"}} | fields
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": [told]}]}]}


class TestProtobuf:
    def test_a_record_becomes_an_entry(self, reporter: Reporter) -> None:
        sent = record(severity_number=17, trace_id=bytes.fromhex(TRACE), span_id=b"\xee" * 8)
        sent.attributes.add(key="http.status").value.int_value = 500
        sent.attributes.add(key="tags").value.array_value.values.add().string_value = "a"
        body = export(sent, scope="payments")
        answer = reporter.post("/v1/logs", data=body, content_type=PROTOBUF)
        assert (answer.status_code, answer.mimetype, answer.data) == (200, PROTOBUF, b"")
        (entry,) = reporter.entries()
        assert (entry["level"], entry["message"], entry["source"]) == ("error", "hello", "checkout")
        assert entry["traceId"] == TRACE
        assert entry["attributes"] == {
            "spanId": "ee" * 8,
            "http.status": 500,
            "tags": ["a"],
            "scope.name": "payments",
            "resource.host.name": "web-1",
        }

    def test_a_packed_one_too(self, reporter: Reporter) -> None:
        body = gzip.compress(export(*[record() for _ in range(20)]))
        headers = {"Content-Encoding": "gzip"}
        answer = reporter.post("/v1/logs", data=body, content_type=PROTOBUF, headers=headers)
        assert answer.status_code == 200
        assert len(reporter.entries()) == 20

    @on_sqlite
    def test_the_severity_tells_the_level(self, reporter: Reporter) -> None:
        told = [
            *((1, "", "debug"), (8, "", "debug"), (9, "", "info"), (12, "", "info")),
            *((13, "", "warn"), (16, "", "warn"), (17, "", "error"), (24, "", "error")),
            *((0, "WARNING", "warn"), (0, "Fatal", "error"), (0, "loud", "info"), (0, "", "info")),
            *((9, "ERROR", "info"), (99, "error3", "error")),
        ]
        records = [
            record(
                severity_number=number, severity_text=text, body={"string_value": f"{number}{text}"}
            )
            for number, text, _ in told
        ]
        answer = reporter.post("/v1/logs", data=export(*records), content_type=PROTOBUF)
        assert answer.status_code == 200
        levels = {entry["message"]: entry["level"] for entry in reporter.entries()}
        assert levels == {f"{number}{text}" or "hello": level for number, text, level in told}

    @on_sqlite
    def test_bodies_of_every_kind_become_texts(self, reporter: Reporter) -> None:
        structured, number, empty = LogRecord(), LogRecord(), LogRecord()
        structured.body.kvlist_value.values.add(key="a").value.bool_value = True
        number.body.double_value = float("nan")
        records = [structured, number, empty, record(severity_text="x\0y")]
        for each in records:
            each.observed_time_unix_nano = time.time_ns()
        body = export(*records, service="", scope="lib")
        assert reporter.post("/v1/logs", data=body, content_type=PROTOBUF).status_code == 200
        entries = reporter.entries()
        assert {entry["message"] for entry in entries} == {'{"a":true}', "nan", "", "hello"}
        assert {entry["source"] for entry in entries} == {"lib"}

    @on_sqlite
    def test_what_is_too_long_or_deep_is_cut(self, reporter: Reporter) -> None:
        long = record(body={"string_value": "m" * 100_000})
        long.attributes.add(key="long").value.string_value = "v" * 100_000
        value = long.attributes.add(key="deep").value
        for _ in range(40):
            value = value.array_value.values.add()
        for number in range(100):
            long.attributes.add(key=f"a{number}").value.int_value = number
        body = export(long)
        assert reporter.post("/v1/logs", data=body, content_type=PROTOBUF).status_code == 200
        (entry,) = reporter.entries()
        assert (len(entry["message"]), len(entry["attributes"]["long"])) == (65_536, 8192)
        assert entry["attributes"]["deep"].startswith("[[[[")
        assert len(entry["attributes"]) == 64

    @on_sqlite
    def test_a_trace_id_of_another_length_or_of_zeros_is_left_out(self, reporter: Reporter) -> None:
        records = [record(trace_id=told) for told in (b"\x01", b"\x01" * 17, b"\x00" * 16)]
        answer = reporter.post("/v1/logs", data=export(*records), content_type=PROTOBUF)
        assert answer.status_code == 200
        entries = reporter.entries()
        assert len(entries) == 3
        assert not any("traceId" in entry for entry in entries)

    @on_sqlite
    def test_more_than_10000_of_anything_are_refused(self, reporter: Reporter) -> None:
        records, scopes, resources = (ExportLogsServiceRequest() for _ in range(3))
        records.resource_logs.add().scope_logs.add().log_records.extend([LogRecord()] * 10_001)
        scopes.resource_logs.add().scope_logs.extend([ScopeLogs()] * 10_001)
        resources.resource_logs.extend([ResourceLogs()] * 10_001)
        for message in (records, scopes, resources):
            body = message.SerializeToString()
            answer = reporter.post("/v1/logs", data=body, content_type=PROTOBUF)
            assert (answer.status_code, b"at most 10000" in answer.data) == (400, True)
        assert reporter.entries() == []

    @on_sqlite
    def test_of_a_resource_16_kib_go_with_each_record(self, reporter: Reporter) -> None:
        message = ExportLogsServiceRequest.FromString(export(record(), record()))
        for number in range(20):
            told = message.resource_logs[0].resource.attributes.add(key=f"a{number}")
            told.value.string_value = "v" * 8000
        body = message.SerializeToString()
        assert reporter.post("/v1/logs", data=body, content_type=PROTOBUF).status_code == 200
        for entry in reporter.entries():
            assert set(entry["attributes"]) == {
                "resource.host.name", "resource.a0", "resource.a1",
            }  # fmt: skip


class TestJson:
    def test_identifiers_are_hexadecimal_and_numbers_may_be_texts(self, reporter: Reporter) -> None:
        sent = in_json(traceId=TRACE, spanId=SPAN, severityNumber=13, unheardOf=[1])
        answer = reporter.post("/v1/logs", json=sent)
        assert (answer.status_code, answer.json) == (200, {})
        (entry,) = reporter.entries()
        assert (entry["level"], entry["traceId"]) == ("warn", TRACE)
        assert entry["attributes"] == {"spanId": SPAN}

    @pytest.mark.parametrize(
        "body", [b"{", b"[]", b'{"resourceLogs": 1}', json.dumps(in_json(traceId="xyz")).encode()]
    )
    @on_sqlite
    def test_what_is_no_export_is_refused(self, reporter: Reporter, body: bytes) -> None:
        answer = reporter.post("/v1/logs", data=body, content_type="application/json")
        assert error_of(answer, 400, "MALFORMED_BODY")["message"]
        assert reporter.entries() == []


class TestCallers:
    @on_sqlite
    def test_an_account_is_told_what_to_send(self, alice: Person) -> None:
        error = error_of(alice.post("/v1/logs", json=in_json()), 403, "FORBIDDEN")
        assert "ingest-tokens" in error["message"]

    @on_sqlite
    def test_a_stranger_is_not_let_in(self, client: FlaskClient) -> None:
        error_of(client.post("/v1/logs", json=in_json()), 401, "UNAUTHENTICATED")

    @on_sqlite
    def test_another_type_of_body_is_refused(self, reporter: Reporter) -> None:
        answer = reporter.post("/v1/logs", data="hello", content_type="text/plain")
        error_of(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


class TestAnything:
    @on_sqlite
    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(
        noise=st.binary(max_size=60),
        at=st.integers(0, 200),
    )
    def test_no_body_brings_it_down(self, reporter: Reporter, noise: bytes, at: int) -> None:
        whole = export(record(severity_number=9, trace_id=b"\x01" * 16))
        for body in (noise, whole[:at] + noise + whole[at + len(noise) :]):
            answer = reporter.post("/v1/logs", data=body, content_type=PROTOBUF)
            assert answer.status_code in (200, 400)


@on_sqlite
class TestTheRealSdk:
    @pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
    def test_what_it_exports_is_there(
        self, app: Flask, reporter: Reporter, compression: Compression
    ) -> None:
        with served(app) as address:
            exporter = OTLPLogExporter(
                f"{address}/v1/logs", headers=reporter.headers, compression=compression
            )
            resource = Resource.create({"service.name": "billing", "service.version": "1.2"})
            provider = LoggerProvider(resource, shutdown_on_exit=False)
            provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
            logger = provider.get_logger("billing.invoices")
            for severity in (SeverityNumber.DEBUG, SeverityNumber.ERROR2):
                logger.emit(
                    SdkRecord(
                        timestamp=time.time_ns(),
                        severity_number=severity,
                        severity_text=severity.name,
                        body=f"at {severity.name}",
                        attributes={"invoice": 7, "lines": ["a", "b"]},
                    )
                )
            provider.shutdown()
        entries = reporter.entries()
        assert [entry["level"] for entry in entries] == ["error", "debug"]
        newest = entries[0]
        assert (newest["message"], newest["source"]) == ("at ERROR2", "billing")
        assert newest["attributes"]["lines"] == ["a", "b"]
        assert newest["attributes"]["resource.service.version"] == "1.2"

    def test_it_does_not_try_again_what_is_refused(
        self, app: Flask, caplog: pytest.LogCaptureFixture
    ) -> None:
        with served(app) as address, caplog.at_level(logging.ERROR):
            exporter = OTLPLogExporter(f"{address}/v1/logs", timeout=20)
            provider = LoggerProvider(shutdown_on_exit=False)
            provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
            began = time.monotonic()
            provider.get_logger("x").emit(SdkRecord(body="hello"))
            provider.shutdown()
            assert time.monotonic() - began < 5
        assert "401" in caplog.text
