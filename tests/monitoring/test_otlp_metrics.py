"""OTLP/HTTP /v1/metrics: real SDKs, and what is sent by hand."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from tests.monitoring.agents import Reporter, served
from tests.people import Person, error_of

PROTOBUF = "application/x-protobuf"
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
CUMULATIVE, DELTA = 2, 1


@pytest.fixture
def reporter(alice: Person) -> Reporter:
    return Reporter(alice)


def nanos(ago: float = 0) -> str:
    """A moment some seconds ago, in the JSON of OTLP."""
    moment = datetime.now(UTC) - timedelta(seconds=ago)
    return str(int(moment.timestamp() * 1_000_000) * 1000)


def request_of(*metrics: dict[str, Any], **resource: str) -> dict[str, Any]:
    attributes = [attribute(name.replace("_", "."), value) for name, value in resource.items()]
    return {
        "resourceMetrics": [
            {"resource": {"attributes": attributes}, "scopeMetrics": [{"metrics": list(metrics)}]}
        ]
    }


def attribute(name: str, value: str | int) -> dict[str, Any]:
    kind = {"stringValue": value} if isinstance(value, str) else {"intValue": str(value)}
    return {"key": name, "value": kind}


def point(value: float, ago: float = 0, **more: Any) -> dict[str, Any]:
    return {"asDouble": value, "timeUnixNano": nanos(ago)} | more


def total(name: str, *points: dict[str, Any], temporality: int = CUMULATIVE, grows: bool = True):  # type: ignore[no-untyped-def]
    data = {"dataPoints": points, "aggregationTemporality": temporality, "isMonotonic": grows}
    return {"name": name, "sum": data}


def gauge(name: str, *points: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "gauge": {"dataPoints": points}}


def as_protobuf(request: dict[str, Any]) -> bytes:
    from cms_services.monitoring.protocols.otlp import read_json

    return read_json(ExportMetricsServiceRequest, json.dumps(request).encode()).SerializeToString()


def rejected_of(answer: Any) -> tuple[int, str]:
    told = answer.json["partialSuccess"]
    return int(told["rejectedDataPoints"]), told["errorMessage"]


class Sdk:
    """A process with OpenTelemetry's SDK, which sends by OTLP over HTTP."""

    def __init__(self, url: str, reporter: Reporter, **kwargs: Any) -> None:
        exporter = OTLPMetricExporter(
            f"{url}/v1/metrics", headers=reporter.headers, timeout=10, **kwargs
        )
        reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
        aggregation = ExponentialBucketHistogramAggregation()
        views = [View(instrument_name="payload.*", aggregation=aggregation)]
        resource = Resource.create({"service.name": "shop", "service.instance.id": "shop-1"})
        self.provider = MeterProvider([reader], resource, views=views)
        self.meter = self.provider.get_meter("tests")


class TestTheSdk:
    @on_sqlite
    def test_all_kinds_of_instruments_arrive(self, app: Flask, reporter: Reporter) -> None:
        with served(app) as url:
            sdk = Sdk(url, reporter)
            orders = sdk.meter.create_counter("shop.orders")
            waiting = sdk.meter.create_up_down_counter("queue/waiting")
            sdk.meter.create_gauge("cache-fill").set(0.25)
            duration = sdk.meter.create_histogram("http.server.request.duration", unit="s")
            size = sdk.meter.create_histogram("payload.size", unit="By")
            waiting.add(5)
            waiting.add(-2)
            for number in range(1, 101):
                orders.add(2, {"kind": "gift"})
                status = 503 if number > 90 else 200
                duration.record(number / 1000, {"http.response.status_code": status})
                size.record(number * 10)
            assert sdk.provider.force_flush()
            # More of all: the second export tells the same totals and what came to them.
            orders.add(3, {"kind": "gift"})
            for number in range(101, 201):
                size.record(number * 1000)
            sdk.provider.shutdown()
        totals = reporter.totals()
        assert totals["shop.orders"] == 203
        assert (totals["requests"], totals["errors"]) == (100, 10)
        told = reporter.metrics()["summary"]
        assert told["queue_waiting"]["last"] == 3
        assert told["cache_fill"]["avg"] == 0.25
        assert told["responseTime"]["avg"] == pytest.approx(50.5)
        assert told["http.server.request.duration"]["avg"] == pytest.approx(0.0505)
        # Two hundred values, each counted once, though the bounds of the buckets changed.
        assert told["payload.size"]["avg"] == pytest.approx((50_500 + 15_050_000) / 200)
        assert told["payload.size"]["p50"] == pytest.approx(1000, rel=0.03)
        assert told["payload.size"]["p95"] == pytest.approx(190_000, rel=0.03)

    @on_sqlite
    def test_deltas_and_packed_bodies_arrive(self, app: Flask, reporter: Reporter) -> None:
        from opentelemetry.exporter.otlp.proto.http import Compression

        deltas = dict.fromkeys((Counter, Histogram), AggregationTemporality.DELTA)
        with served(app) as url:
            sdk = Sdk(url, reporter, preferred_temporality=deltas, compression=Compression.Gzip)
            orders = sdk.meter.create_counter("shop.orders")
            duration = sdk.meter.create_histogram("http.server.request.duration", unit="s")
            for _ in range(2):
                orders.add(4)
                duration.record(0.2, {"http.response.status_code": 200})
                assert sdk.provider.force_flush()
            sdk.provider.shutdown()
        totals = reporter.totals()
        assert (totals["shop.orders"], totals["requests"], totals["errorRate"]) == (8, 2, 0)
        assert "errors" not in totals


class TestKinds:
    def test_json_and_protobuf_say_the_same(self, reporter: Reporter) -> None:
        request = request_of(gauge("fill", point(0.5, 30)), gauge("depth", point(3, 30)))
        answer = reporter.post("/v1/metrics", json=request)
        assert (answer.status_code, answer.json) == (200, {})
        packed = gzip.compress(as_protobuf(request_of(gauge("fill", point(1.5)))))
        headers = {"Content-Encoding": "gzip"}
        answer = reporter.post("/v1/metrics", data=packed, content_type=PROTOBUF, headers=headers)
        assert (answer.status_code, answer.mimetype) == (200, PROTOBUF)
        assert ExportMetricsServiceResponse.FromString(answer.data) == (
            ExportMetricsServiceResponse()
        )
        assert reporter.summary("fill")["avg"] == 1.0
        assert reporter.summary("depth")["last"] == 3

    def test_a_counter_grows_and_begins_anew(self, reporter: Reporter) -> None:
        began = {"startTimeUnixNano": nanos(600)}
        again = {"startTimeUnixNano": nanos(200)}
        request = request_of(
            total(
                "jobs",
                point(10, 500, **began),
                point(25, 300, **began),
                point(4, 100, **again),
            )
        )
        for _ in range(2):
            # Sent again, as exporters do without an answer, it adds nothing.
            assert reporter.post("/v1/metrics", json=request).json == {}
        assert reporter.totals()["jobs"] == 29

    def test_what_also_falls_is_a_level_and_deltas_are_counts(self, reporter: Reporter) -> None:
        request = request_of(
            total("open", point(8, 50), point(2, 10), grows=False),
            total("done", point(8, 50), point(2, 10), temporality=DELTA),
        )
        assert reporter.post("/v1/metrics", json=request).json == {}
        assert reporter.summary("open")["avg"] == 5
        assert reporter.totals()["done"] == 10

    def test_what_a_level_changed_by_is_refused(self, reporter: Reporter) -> None:
        """No count falls, and the level itself isn't known."""
        moved = total("moved", point(3, 50), point(-2, 10), temporality=DELTA, grows=False)
        answer = reporter.post("/v1/metrics", json=request_of(moved, gauge("open", point(1))))
        rejected, told = rejected_of(answer)
        assert rejected == 2
        assert "moved" in told and "cumulative" in told
        assert reporter.summary("open")["avg"] == 1

    def test_histograms_tell_percentiles(self, reporter: Reporter) -> None:
        buckets = {
            "explicitBounds": [10, 20, 30],
            "bucketCounts": ["0", "90", "10", "0"],
            "count": "100",
            "sum": 1600,
            "timeUnixNano": nanos(5),
        }
        data = {"dataPoints": [buckets], "aggregationTemporality": DELTA}
        assert (
            reporter.post("/v1/metrics", json=request_of({"name": "wait", "histogram": data})).json
            == {}
        )
        told = reporter.summary("wait")
        assert told["avg"] == 16
        assert 10 < told["p50"] < 20 < told["p95"] < 30

    def test_exponential_histograms_have_negative_values_and_zeros_too(
        self, reporter: Reporter
    ) -> None:
        # At scale 0 bucket i holds what is above 2**i and at most 2**(i+1).
        buckets = {
            "scale": 0,
            "zeroCount": "10",
            "positive": {"offset": 3, "bucketCounts": ["60", "10"]},
            "negative": {"offset": 1, "bucketCounts": ["20"]},
            "count": "100",
            "sum": 900,
            "timeUnixNano": nanos(5),
        }
        data = {"dataPoints": [buckets], "aggregationTemporality": DELTA}
        request = request_of({"name": "drift", "exponentialHistogram": data})
        assert reporter.post("/v1/metrics", json=request).json == {}
        told = reporter.summary("drift")
        assert told["avg"] == 9
        assert -4 <= told["min"] < -2
        assert 8 <= told["p50"] <= 16 <= told["p95"] <= told["max"] <= 32

    def test_summaries_become_counters_and_a_gauge_for_each_quantile(
        self, reporter: Reporter
    ) -> None:
        began = nanos(500)
        quantiles = [{"quantile": 0.5, "value": 3}, {"quantile": 0.99, "value": 9}]
        points = [
            {
                "startTimeUnixNano": began,
                "timeUnixNano": nanos(ago),
                "count": count,
                "sum": 4 * int(count),
                "quantileValues": quantiles,
            }
            for ago, count in ((60, "10"), (1, "30"))
        ]
        request = request_of({"name": "rpc", "summary": {"dataPoints": points}})
        assert reporter.post("/v1/metrics", json=request).json == {}
        totals = reporter.totals()
        assert (totals["rpc.count"], totals["rpc.sum"]) == (30, 120)
        assert reporter.summary("rpc.p99")["last"] == 9
        assert reporter.summary("rpc.p50")["last"] == 3

    def test_levels_of_the_conventions_become_built_in_ones(self, reporter: Reporter) -> None:
        when = nanos(3)

        def part(mode: str, value: float) -> dict[str, Any]:
            return point(value, attributes=[attribute("cpu.mode", mode)]) | {"timeUnixNano": when}

        request = request_of(
            gauge("process.cpu.utilization", part("user", 0.3), part("system", 0.1)),
            total("process.memory.usage", point(64_000_000), grows=False),
        )
        assert reporter.post("/v1/metrics", json=request).json == {}
        assert reporter.summary("cpu")["avg"] == pytest.approx(40)
        assert reporter.summary("memory")["last"] == 64
        assert reporter.summary("process.memory.usage")["last"] == 64_000_000

    def test_processes_are_told_apart_by_their_instance(self, reporter: Reporter) -> None:
        began = {"startTimeUnixNano": nanos(600)}
        for instance, value in (("a", 10), ("b", 7), ("a", 12), ("b", 8)):
            counter = total("jobs", point(value, 0, **began))
            request = request_of(counter, service_instance_id=instance)
            assert reporter.post("/v1/metrics", json=request).json == {}
        assert reporter.totals()["jobs"] == 20


class TestWhatIsNotTaken:
    def test_the_good_part_is_stored_and_the_rest_named(self, reporter: Reporter) -> None:
        many = [attribute(f"label{number}", "a") for number in range(21)]
        request = request_of(
            gauge("good", point(1)),
            gauge("n" * 101, point(1)),
            gauge("labelled", point(1, attributes=many)),
            gauge("empty", {"timeUnixNano": nanos()}),
            gauge("infinite", point(1) | {"asDouble": "Infinity"}),
            gauge("ancient", point(1, 30 * 86_400)),
            total("undecided", point(1), temporality=0),
            # Says itself that it knows no value, which is nothing wrong.
            gauge("silent", {"timeUnixNano": nanos(), "flags": 1}),
        )
        answer = reporter.post("/v1/metrics", json=request)
        assert answer.status_code == 200
        count, message = rejected_of(answer)
        assert count == 6
        for index in range(1, 7):
            assert f"[{index}] " in message
        assert set(reporter.metrics()["series"]) == {"good"}

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"bucketCounts": ["1", "2"]}, "one bucket more"),
            ({"explicitBounds": [3, 2, 1]}, "grow"),
        ],
    )
    @on_sqlite
    def test_broken_histograms_are_named(
        self, reporter: Reporter, change: dict[str, Any], told: str
    ) -> None:
        whole = {"explicitBounds": [1, 2, 3], "bucketCounts": ["1", "1", "1", "1"], "sum": 5}
        points = [whole | change | {"timeUnixNano": nanos()}]
        data = {"dataPoints": points, "aggregationTemporality": DELTA}
        request = request_of({"name": "wait", "histogram": data})
        assert told in rejected_of(reporter.post("/v1/metrics", json=request))[1]

    @pytest.mark.parametrize(
        "data",
        [
            {"scale": 40, "positive": {"bucketCounts": ["1"]}},
            {"scale": -10, "positive": {"offset": 5, "bucketCounts": ["1"]}},
            {"scale": 0, "positive": {"offset": 2_000_000_000, "bucketCounts": ["1"]}},
            {"scale": 8, "positive": {"bucketCounts": ["1"] * 501}},
        ],
    )
    @on_sqlite
    def test_exponential_histograms_beyond_all_numbers_are_named(
        self, reporter: Reporter, data: dict[str, Any]
    ) -> None:
        points = [data | {"timeUnixNano": nanos(), "count": "1", "sum": 1}]
        histogram = {"dataPoints": points, "aggregationTemporality": DELTA}
        request = request_of({"name": "wait", "exponentialHistogram": histogram})
        assert rejected_of(reporter.post("/v1/metrics", json=request))[0] == 1

    @on_sqlite
    def test_other_callers_are_told_to_use_an_ingest_token(
        self, alice: Person, client: FlaskClient
    ) -> None:
        answer = alice.post("/v1/metrics", json={})
        error = error_of(answer, 403, "FORBIDDEN")
        assert "ingest-tokens" in error["message"]
        # As OTLP says it: a google.rpc.Status, whose code for this is 7.
        assert (answer.json["code"], answer.json["message"]) == (7, error["message"])
        answer = client.post("/v1/metrics", data=b"", content_type=PROTOBUF)
        assert (answer.status_code, answer.mimetype) == (401, PROTOBUF)
        assert b"Sign in" in answer.data

    @pytest.mark.parametrize(
        ("body", "kind", "status"),
        [
            (b"{", "application/json", 400),
            (b"[]", "application/json", 400),
            (b'{"resourceMetrics": 5}', "application/json", 400),
            (b"[" * 500 + b"]" * 500, "application/json", 400),
            (b'{"resourceMetrics":' + b"[" * 200 + b"]" * 200 + b"}", "application/json", 400),
            (b"\xff\xff\xff", PROTOBUF, 400),
            (b"a,b", "text/csv", 415),
        ],
    )
    @on_sqlite
    def test_bodies_that_are_none_are_refused(
        self, reporter: Reporter, body: bytes, kind: str, status: int
    ) -> None:
        answer = reporter.post("/v1/metrics", data=body, content_type=kind)
        assert answer.status_code == status, answer.text

    @on_sqlite
    def test_unknown_fields_and_hexadecimal_identifiers_are_no_error(
        self, reporter: Reporter
    ) -> None:
        exemplar = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174"}
        request = request_of(gauge("fill", point(1, exemplars=[exemplar], newField={"a": 1})))
        assert reporter.post("/v1/metrics", json=request).json == {}
        exemplar["traceId"] = "not hexadecimal"
        error_of(reporter.post("/v1/metrics", json=request), 400, "MALFORMED_BODY")

    @on_sqlite
    def test_a_bomb_is_refused_before_it_unpacks(self, reporter: Reporter) -> None:
        packed = gzip.compress(b"\x00" * (11 * 1024 * 1024))
        headers = {"Content-Encoding": "gzip"}
        answer = reporter.post("/v1/metrics", data=packed, content_type=PROTOBUF, headers=headers)
        assert answer.status_code == 413

    @pytest.mark.parametrize(
        ("body", "kind", "told"),
        [
            # Empty messages: of two bytes each in protobuf, and of three in JSON.
            (b"\x0a\x00" * 20_001, PROTOBUF, "smaller batches"),
            (b'{"resourceMetrics":[' + b"{}," * 400_000 + b"{}]}", "application/json", "400000"),
        ],
    )
    @on_sqlite
    def test_more_than_a_request_may_hold_costs_no_time(
        self, reporter: Reporter, body: bytes, kind: str, told: str
    ) -> None:
        answer = reporter.post("/v1/metrics", data=body, content_type=kind)
        assert answer.status_code == 400
        assert told in answer.get_data(as_text=True)


class TestFuzz:
    """Whatever the bytes, the answer is one of OTLP's, and never a fault of ours."""

    @on_sqlite
    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(data=st.data())
    def test_mutated_messages_are_answered(self, reporter: Reporter, data: st.DataObject) -> None:
        histogram = {"scale": 2, "positive": {"offset": 3, "bucketCounts": ["1", "2"]}}
        whole = as_protobuf(
            request_of(
                gauge("fill", point(1, attributes=[attribute("a", "b")])),
                total("jobs", point(1)),
                {"name": "e", "exponentialHistogram": {"dataPoints": [histogram]}},
                {"name": "s", "summary": {"dataPoints": [{"count": "1"}]}},
            )
        )
        place = data.draw(st.integers(0, len(whole) - 1))
        inserted = data.draw(st.binary(max_size=6))
        cut = data.draw(st.integers(0, 6))
        body = whole[:place] + inserted + whole[place + cut :]
        answer = reporter.post("/v1/metrics", data=body, content_type=PROTOBUF)
        assert answer.status_code in (200, 400), answer.data

    @on_sqlite
    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(
        mutated=st.recursive(
            st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["dataPoints", "asInt", "name", "sum", "gauge", "attributes"]),
                    inner,
                    max_size=3,
                )
            ),
            max_leaves=12,
        )
    )
    def test_odd_json_is_answered(self, reporter: Reporter, mutated: Any) -> None:
        for request in (
            {"resourceMetrics": mutated},
            request_of({"name": "fill", "gauge": mutated}),
            request_of(gauge("fill", {"asDouble": mutated, "timeUnixNano": mutated})),
        ):
            answer = reporter.post(
                "/v1/metrics",
                data=json.dumps(request).encode(errors="ignore"),
                content_type="application/json",
            )
            assert answer.status_code in (200, 400), answer.text
