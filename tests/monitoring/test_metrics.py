"""Ingesting and reading metrics, and usage, by both doors."""

from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import pytest
from flask import Flask

from cms_services.clock import fixed_at, now, to_wire
from cms_services.extensions import db
from cms_services.monitoring.logs.models import LogVolume
from cms_services.monitoring.metrics.ingest import store_samples
from cms_services.monitoring.metrics.values import NewSample
from tests.people import Person, data_of, error_of


@pytest.fixture
def path(alice: Person) -> str:
    return f"/api/services/{alice.new_service()['id']}"


on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def ago(**span: float) -> str:
    return to_wire(now() - timedelta(**span))


def store(app: Flask, path: str, samples: list[NewSample]) -> None:
    """Store samples, oldest first, day by day as they would have been sent."""
    with app.app_context():
        for _, of_day in groupby(samples, key=lambda sample: sample.at and sample.at.date()):
            sent = list(of_day)
            with fixed_at(sent[-1].at or now()):
                stored = store_samples(path.rpartition("/")[2], sent, distinct=False)
            assert (stored.accepted, stored.rejected) == (len(sent), [])
        db.session.commit()


class TestMetrics:
    def send(self, person: Person, path: str, *samples: dict[str, Any]) -> Any:
        return data_of(person.post(f"{path}/metrics", json={"samples": list(samples)}), 202)

    def test_series_and_summary_are_made_of_the_samples(self, alice: Person, path: str) -> None:
        self.send(
            alice,
            path,
            *(
                {"name": "responseTime", "value": value, "timestamp": ago(minutes=100 - value)}
                for value in range(1, 101)
            ),
        )
        metrics = data_of(alice.get(f"{path}/metrics?timeframe=3h"))
        summary = metrics["summary"]["responseTime"]
        percentiles = [summary.pop(name) for name in ("p50", "p95", "p99")]
        assert summary == {"min": 1, "avg": 50.5, "max": 100, "last": 100}
        assert percentiles == pytest.approx([50, 95, 99], rel=0.01)
        series = metrics["series"]["responseTime"]
        assert [t for t, _ in series] == sorted(t for t, _ in series)
        assert all(t.endswith("Z") for t, _ in series)
        assert metrics["timeframe"] == "3h"
        span = datetime.fromisoformat(metrics["to"]) - datetime.fromisoformat(metrics["from"])
        assert timedelta(hours=3) <= span < timedelta(hours=3, minutes=1)
        assert metrics["from"].endswith(":00Z")

    def test_counts_add_up_and_levels_average_in_a_bucket(self, alice: Person, path: str) -> None:
        moment = now().replace(hour=0, minute=0, second=0, microsecond=0)
        for name in ("requests", "errors", "cpu"):
            self.send(
                alice,
                path,
                *(
                    {"name": name, "value": v, "timestamp": to_wire(moment + timedelta(seconds=v))}
                    for v in (1, 3)
                ),
            )
        metrics = data_of(alice.get(f"{path}/metrics?timeframe=2d"))
        values = {name: [v for _, v in points] for name, points in metrics["series"].items()}
        assert values == {"requests": [4], "errors": [4], "cpu": [2], "errorRate": [1]}

    @pytest.mark.parametrize("timeframe", ["1m", "59m", "24h", "90d"])
    def test_a_series_has_at_most_500_points_and_none_for_empty_buckets(
        self, app: Flask, alice: Person, path: str, timeframe: str
    ) -> None:
        seconds = {"1m": 60, "59m": 3540, "24h": 86400, "90d": 90 * 86400}[timeframe]
        ages = [timedelta(seconds=seconds * n / 1000) for n in range(1000) if not 400 < n < 600]
        store(app, path, [NewSample("cpu", 1, now() - age) for age in reversed(ages)])
        metrics = data_of(alice.get(f"{path}/metrics?timeframe={timeframe}"))
        points = metrics["series"]["cpu"]
        assert 0 < len(points) <= 500
        # A fifth of the time has no samples; a bucket may be cut at each end.
        assert len(points) <= 0.85 * seconds / metrics["step"] + 2

    def test_without_samples_there_is_nothing(self, alice: Person, path: str) -> None:
        metrics = data_of(alice.get(f"{path}/metrics"))
        assert (metrics["series"], metrics["summary"]) == ({}, {})

    @on_sqlite
    @pytest.mark.parametrize("timeframe", ["0h", "91d", "1w", "h", "", "-1h", "1e3h", "2200h"])
    def test_a_timeframe_out_of_range_is_refused(
        self, alice: Person, path: str, timeframe: str
    ) -> None:
        error_of(alice.get(f"{path}/metrics?timeframe={timeframe}"), 400, "VALIDATION_ERROR")
        service = path.rpartition("/")[2]
        php = f"/services.php?getMetrics=1&serviceId={service}&timeframe={timeframe}"
        error_of(alice.get(php), 400, "VALIDATION_ERROR")

    def test_bad_samples_are_named_and_good_ones_stored(self, alice: Person, path: str) -> None:
        answer = self.send(
            alice,
            path,
            {"name": "cpu", "value": 1},
            {"name": "9lives", "value": 1},
            {"name": "cpu", "value": "high"},
            {"name": "cpu", "value": 1e300},
            {"name": "cpu\n", "value": 1},
            {"name": "orders.paid", "value": 2, "labels": {"shop": "a"}},
        )
        assert answer["accepted"] == 2
        assert [each["index"] for each in answer["rejected"]] == [1, 2, 3, 4]

    @on_sqlite
    def test_bad_batches_get_a_defined_answer(self, alice: Person, path: str) -> None:
        sample = {"name": "cpu", "value": 1}
        for body in ({}, {"samples": {}}, {"samples": [sample] * 10_001}, {"sample": []}):
            error_of(alice.post(f"{path}/metrics", json=body), 400, "VALIDATION_ERROR")
        for batch_id in ("", "x" * 256, "a\nb", 7):
            body = {"batchId": batch_id, "samples": [sample]}
            error_of(alice.post(f"{path}/metrics", json=body), 400, "VALIDATION_ERROR")
        too_long = {"samples": [{"name": "x" * (10 * 1024 * 1024), "value": 1}]}
        error_of(alice.post(f"{path}/metrics", json=too_long), 413, "PAYLOAD_TOO_LARGE")
        nearly = {"samples": [{"name": "x" * (10 * 1024 * 1024 - 99), "value": 1}, sample]}
        answer = data_of(alice.post(f"{path}/metrics", json=nearly), 202)
        assert (answer["accepted"], answer["rejected"][0]["index"]) == (1, 0)

    @on_sqlite
    @pytest.mark.parametrize(
        ("fields", "told"),
        [
            ({"value": True}, "value: Takes a number."),
            ({"value": None}, "value: Takes a number."),
            ({"value": "nan"}, "value: Takes a finite number"),
            ({"timestamp": "2026-01-01T00:00:00"}, "timestamp: Say the time zone"),
            ({"timestamp": "yesterday"}, "timestamp: Takes a time such as"),
            ({"timestamp": 1_700_000_000}, "timestamp: Takes a time such as"),
            ({"timestamp": "0001-01-01T00:00:00+14:00"}, "timestamp: "),
            ({"timestamp": "2001-01-01T00:00:00Z"}, "timestamp: Is too old; takes times from "),
            ({"labels": {"a": 1}}, "labels: Takes an object of texts."),
            ({"labels": {str(n): "" for n in range(21)}}, "labels: Takes at most 20"),
            ({"labels": {"": "x"}}, "labels: A name takes 1 to 100 characters."),
            ({"type": "meter"}, "type: Takes one of gauge, count, counter, histogram."),
            ({"type": "histogram"}, "bounds: A histogram has bounds, counts and sum"),
            ({"sum": 1}, "bounds: A histogram has bounds, counts and sum"),
            ({"unit": "s"}, "unit: Unknown field."),
        ],
    )
    def test_a_bad_sample_is_told_what_is_wrong(
        self, alice: Person, path: str, fields: dict[str, Any], told: str
    ) -> None:
        answer = self.send(alice, path, {"name": "cpu", "value": 1} | fields)
        assert answer["accepted"] == 0
        assert answer["rejected"][0]["message"].startswith(told)

    @on_sqlite
    def test_a_batch_for_a_service_that_one_may_not_write_to_is_not_even_read(
        self, bob: Person, path: str
    ) -> None:
        for where, status in ((path, 403), ("/api/services/nobody", 404)):
            answer = bob.post(f"{where}/metrics", data=b"{no", content_type="application/json")
            assert answer.status_code == status

    @on_sqlite
    def test_names_narrow_what_is_read(self, alice: Person, path: str) -> None:
        for name in ("requests", "errors", "cpu"):
            self.send(alice, path, {"name": name, "value": 4})
        for names, found in (
            ("cpu", {"cpu"}),
            ("cpu,%20errors,none", {"cpu", "errors"}),
            ("errorRate", {"errorRate"}),
        ):
            metrics = data_of(alice.get(f"{path}/metrics?names={names}"))
            assert set(metrics["series"]) == set(metrics["summary"]) == found

    def test_both_doors_give_the_same(self, alice: Person, path: str) -> None:
        self.send(alice, path, {"name": "cpu", "value": 4})
        with fixed_at(now()):
            by_php = alice.get(f"/services.php?getMetrics=1&serviceId={path.rpartition('/')[2]}")
            assert data_of(by_php) == data_of(alice.get(f"{path}/metrics"))

    def test_usage_tells_totals(self, app: Flask, alice: Person, path: str) -> None:
        sent = [("requests", 10), ("requests", 30), ("errors", 4), ("responseTime", 50)]
        for name, value in sent:
            self.send(alice, path, {"name": name, "value": value})
        hour = int(now().timestamp()) // 3600 * 3600
        with app.app_context():
            service_id = path.rpartition("/")[2]
            volume = {"start": hour, "level": "warn", "entries": 1, "size": 9}
            db.session.add(LogVolume(service_id=service_id, **volume))
            db.session.commit()
        usage = data_of(alice.get(f"{path}/usage"))
        assert (usage["requests"], usage["errors"], usage["errorRate"]) == (40, 4, 0.1)
        assert (usage["averageResponseTime"], usage["logEntries"]) == (50, {"warn": 1})
