"""Prometheus remote write /api/v1/write, by hand; test_prometheus.py has the real one."""

import struct
from datetime import UTC, datetime
from typing import Any

import cramjam
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from cms_services.monitoring.protocols.remote_write_messages import WriteRequest
from tests.monitoring.agents import Reporter
from tests.people import Person, error_of

PROTOBUF = "application/x-protobuf"
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]


@pytest.fixture
def reporter(alice: Person) -> Reporter:
    return Reporter(alice)


class Batch:
    """A WriteRequest in the making. Times are seconds ago."""

    def __init__(self) -> None:
        self.request: Any = WriteRequest()
        self.now = int(datetime.now(UTC).timestamp() * 1000)

    def add(self, name: str, *values: tuple[float, float], **labels: str) -> "Batch":
        """A series of `(seconds ago, value)`."""
        series = self._series(name, labels)
        for ago, value in values:
            series.samples.add(timestamp=self.now - int(ago * 1000), value=value)
        return self

    def native(self, name: str, ago: float, **histogram: Any) -> "Batch":
        spans = {key: histogram.pop(key) for key in list(histogram) if key.endswith("spans")}
        added = self._series(name, {}).histograms.add(
            timestamp=self.now - int(ago * 1000), **histogram
        )
        for key, each in spans.items():
            for offset, length in each:
                getattr(added, key).add(offset=offset, length=length)
        return self

    def histogram(self, name: str, ago: float, counts: dict[str, float], total: float) -> "Batch":
        for bound, count in counts.items():
            self.add(f"{name}_bucket", (ago, count), le=bound)
        self.add(f"{name}_sum", (ago, total))
        return self.add(f"{name}_count", (ago, max(counts.values())))

    def _series(self, name: str, labels: dict[str, str]) -> Any:
        series = self.request.timeseries.add()
        for key, value in sorted(({"__name__": name} | labels).items()):
            series.labels.add(name=key, value=value)
        return series

    def send(self, reporter: Reporter, **headers: str) -> TestResponse:
        return send(reporter, self.request.SerializeToString(), **headers)


def send(reporter: Reporter, body: bytes, kind: str = PROTOBUF, **headers: str) -> TestResponse:
    packed = bytes(cramjam.snappy.compress_raw(body))
    return reporter.post("/api/v1/write", data=packed, content_type=kind, headers=headers)


class TestKinds:
    def test_names_tell_counters_from_gauges(self, reporter: Reporter) -> None:
        batch = (
            Batch()
            .add("jobs_total", (180, 10), (120, 25), (60, 4), (1, 5), queue="a")
            .add("jobs_total", (60, 100), (1, 101), queue="b")
            .add("fill:ratio", (60, 1), (1, 2), instance="x:1", job="shop")
        )
        answer = batch.send(reporter, **{"Content-Encoding": "snappy"})
        assert (answer.status_code, answer.data) == (204, b"")
        assert reporter.totals()["jobs_total"] == 15 + 4 + 1 + 1
        assert reporter.summary("fill_ratio")["avg"] == 1.5
        # Sent again, as Prometheus does when it got no answer: nothing is counted twice.
        assert batch.send(reporter).status_code == 204
        assert reporter.totals()["jobs_total"] == 21

    @on_sqlite
    def test_metadata_tell_where_names_do_not(self, reporter: Reporter) -> None:
        batch = Batch().add("jobs", (60, 5), (1, 7)).add("rows_total", (60, 5), (1, 3))
        batch.request.metadata.add(type=1, metric_family_name="jobs")
        batch.request.metadata.add(type=2, metric_family_name="rows_total")
        assert batch.send(reporter).status_code == 204
        assert reporter.totals()["jobs"] == 2
        assert reporter.summary("rows_total")["avg"] == 4

    def test_buckets_become_a_histogram(self, reporter: Reporter) -> None:
        name = "http_server_request_duration_seconds"
        first = {"0.1": 0, "0.2": 10, "+Inf": 10}
        second = {"0.1": 50, "0.2": 110, "+Inf": 110}
        batch = Batch().histogram(name, 60, first, 1.5).histogram(name, 1, second, 13.5)
        assert batch.send(reporter).status_code == 204
        told = reporter.metrics()["summary"]
        assert told[name]["avg"] == pytest.approx(0.12)
        assert told["responseTime"]["avg"] == pytest.approx(120)
        assert 0 < told["responseTime"]["p50"] <= 102
        assert 100 < told["responseTime"]["p95"] <= 200
        assert reporter.totals()["requests"] == 100
        assert not [each for each in told if each.endswith(("_bucket", "_sum", "_count"))]

    @on_sqlite
    def test_a_histogram_that_was_cut_in_two_is_counted_by_the_next_whole_one(
        self, reporter: Reporter
    ) -> None:
        def whole(ago: float, count: float) -> Batch:
            buckets = {"1": count / 2, "2": count, "+Inf": count}
            return Batch().histogram("wait", ago, buckets, count)

        assert whole(120, 10).send(reporter).status_code == 204
        cut = whole(60, 20)
        head, tail = WriteRequest(), WriteRequest()
        head.timeseries.extend(cut.request.timeseries[:2])
        tail.timeseries.extend(cut.request.timeseries[2:4])
        for part in (head, tail):
            assert send(reporter, part.SerializeToString()).status_code == 204
        assert whole(1, 50).send(reporter).status_code == 204
        told = reporter.summary("wait")
        assert told["avg"] == 1
        assert told["max"] <= 2

    @on_sqlite
    def test_errors_are_told_by_the_status(self, reporter: Reporter) -> None:
        batch = Batch()
        for code, growth in (("200", 90), ("404", 5), ("503", 4), ("5xx", 1)):
            batch.add("http_requests_total", (60, 7), (1, 7 + growth), code=code)
        batch.add("process_resident_memory_bytes", (1, 128e6))
        assert batch.send(reporter).status_code == 204
        totals = reporter.totals()
        assert (totals["requests"], totals["errors"]) == (100, 5)
        assert reporter.summary("errorRate")["avg"] == pytest.approx(0.05)
        assert reporter.summary("memory")["last"] == 128

    @on_sqlite
    def test_summaries_have_a_gauge_for_each_quantile(self, reporter: Reporter) -> None:
        batch = (
            Batch()
            .add("rpc_seconds", (1, 0.7), quantile="0.99")
            .add("rpc_seconds", (1, float("nan")), quantile="0.5")
            .add("rpc_seconds_sum", (60, 1), (1, 3))
            .add("rpc_seconds_count", (60, 10), (1, 30))
        )
        assert batch.send(reporter).status_code == 204
        totals = reporter.totals()
        assert (totals["rpc_seconds_sum"], totals["rpc_seconds_count"]) == (2, 20)
        assert totals["rpc_seconds.p99"] == 0.7
        assert "rpc_seconds.p50" not in totals

    @on_sqlite
    def test_native_histograms_too(self, reporter: Reporter) -> None:
        # At schema 0 bucket i ends at 2**i: 3, 4 and, after a gap, 6.
        spans = [(3, 2), (1, 1)]
        batch = Batch()
        for ago, deltas, total in ((60, [1, 0, 0], 60), (1, [21, -10, 40], 1700)):
            batch.native(
                "size",
                ago,
                schema=0,
                sum=total,
                count_int=0,
                positive_spans=spans,
                positive_deltas=deltas,
            )
        assert batch.send(reporter).status_code == 204
        told = reporter.summary("size")
        # 20 values of at most 8, 10 of at most 16 and 50 of at most 64 came to what was there.
        assert told["avg"] == pytest.approx(1640 / 80)
        assert 32 < told["p50"] <= told["max"] <= 64
        assert 4 <= told["min"] < 8

    @on_sqlite
    def test_the_mark_of_an_ended_series_is_no_value(self, reporter: Reporter) -> None:
        assert Batch().add("fill", (60, 5), (1, STALE)).send(reporter).status_code == 204
        assert reporter.summary("fill")["last"] == 5


class TestWhatIsNotTaken:
    def test_the_good_part_is_stored_and_nothing_is_to_be_sent_again(
        self, reporter: Reporter
    ) -> None:
        batch = (
            Batch()
            .add("good", (1, 5))
            .add("nothing", (1, float("nan")))
            .add("endless", (1, float("inf")))
            .add("ancient", (30 * 86_400, 1))
            .add("labelled", (1, 1), **{f"label{number}": "a" for number in range(21)})
            .add("n" * 101, (1, 1))
            .add("", (1, 1))
        )
        error = error_of(batch.send(reporter), 400, "VALIDATION_ERROR")
        assert set(error["details"]) == {f"timeseries.{number}" for number in range(1, 7)}
        assert "6 series" in error["message"]
        assert set(reporter.metrics()["series"]) == {"good"}

    @on_sqlite
    def test_times_beyond_all_years_are_named(self, reporter: Reporter) -> None:
        batch = Batch().add("good", (1, 5))
        for moment in (2**63 - 1, -(2**63)):
            series = batch.request.timeseries.add()
            series.labels.add(name="__name__", value="odd")
            series.samples.add(timestamp=moment, value=1)
        assert len(error_of(batch.send(reporter), 400, "VALIDATION_ERROR")["details"]) == 2
        assert set(reporter.metrics()["series"]) == {"good"}

    @pytest.mark.parametrize(
        ("kind", "told"),
        [
            (f"{PROTOBUF};proto=io.prometheus.write.v2.Request", "1.0"),
            ("application/json", PROTOBUF),
        ],
    )
    @on_sqlite
    def test_other_messages_are_refused(self, reporter: Reporter, kind: str, told: str) -> None:
        error = error_of(send(reporter, b"", kind), 415, "UNSUPPORTED_MEDIA_TYPE")
        assert told in error["message"]
        assert send(reporter, b"", f"{PROTOBUF};proto=prometheus.WriteRequest").status_code == 204

    @on_sqlite
    def test_bodies_that_are_none_are_refused(self, reporter: Reporter) -> None:
        error_of(send(reporter, b"\xff\xff"), 400, "MALFORMED_BODY")
        unpacked = reporter.post("/api/v1/write", data=b"\x05abc", content_type=PROTOBUF)
        error_of(unpacked, 400, "MALFORMED_BODY")
        # Says that it unpacks to two gigabytes.
        bomb = reporter.post(
            "/api/v1/write", data=b"\xff\xff\xff\xff\x07" + b"\x00" * 20, content_type=PROTOBUF
        )
        error_of(bomb, 413, "PAYLOAD_TOO_LARGE")

    @on_sqlite
    def test_it_takes_an_ingest_token(self, alice: Person, client: FlaskClient) -> None:
        error = error_of(alice.post("/api/v1/write", data=b""), 403, "FORBIDDEN")
        assert "ingest-tokens" in error["message"]
        error_of(client.post("/api/v1/write", data=b""), 401, "UNAUTHENTICATED")

    @on_sqlite
    def test_more_than_a_request_may_hold_costs_no_time(self, reporter: Reporter) -> None:
        error = error_of(send(reporter, b"\x0a\x00" * 20_001), 400, "VALIDATION_ERROR")
        assert "smaller batches" in error["details"]["timeseries"][0]

    @on_sqlite
    def test_spans_without_buckets_cost_nothing(self, reporter: Reporter) -> None:
        batch = Batch()
        for _ in range(100):
            spans = [(-(2**31), 2**32 - 1), (2**31 - 1, 2**32 - 1)]
            batch.native("size", 1, sum=1, positive_spans=spans, positive_deltas=[1, 1, 1])
        assert batch.send(reporter).status_code in (204, 400)


class TestFuzz:
    @on_sqlite
    @settings(
        max_examples=80,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(data=st.data())
    def test_mutated_messages_are_answered(self, reporter: Reporter, data: st.DataObject) -> None:
        spans = [(3, 2), (1, 1)]
        whole = (
            Batch()
            .add("jobs_total", (60, 5), (1, 7), code="200")
            .histogram("wait", 1, {"1": 5, "2": 10, "+Inf": 10}, 5)
            .add("rpc", (1, 7), quantile="0.5")
            .native("size", 1, sum=1, positive_spans=spans, positive_deltas=[1, 2, -1])
            .request.SerializeToString()
        )
        place = data.draw(st.integers(0, len(whole) - 1))
        inserted = data.draw(st.binary(max_size=6))
        cut = data.draw(st.integers(0, 6))
        body = whole[:place] + inserted + whole[place + cut :]
        assert send(reporter, body).status_code in (204, 400)
        raw = reporter.post("/api/v1/write", data=inserted + body, content_type=PROTOBUF)
        assert raw.status_code in (204, 400, 413)
