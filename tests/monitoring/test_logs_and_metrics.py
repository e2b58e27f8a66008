"""Ingesting and reading logs, metrics and usage, by both doors."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from cms_services.clock import now, to_wire
from tests.people import Person, data_of, error_of


@pytest.fixture
def service(alice: Person) -> dict[str, Any]:
    return alice.new_service()


@pytest.fixture
def path(service: dict[str, Any]) -> str:
    return f"/api/services/{service['id']}"


def ago(**span: float) -> str:
    return to_wire(now() - timedelta(**span))


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
        assert metrics["summary"]["responseTime"] == {
            "min": 1, "avg": 50.5, "max": 100, "p50": 50, "p95": 95, "p99": 99, "last": 100,
        }  # fmt: skip
        series = metrics["series"]["responseTime"]
        assert [t for t, _ in series] == sorted(t for t, _ in series)
        assert all(t.endswith("Z") for t, _ in series)
        assert metrics["timeframe"] == "3h"
        span = datetime.fromisoformat(metrics["to"]) - datetime.fromisoformat(metrics["from"])
        assert span == timedelta(hours=3)

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
        self, alice: Person, path: str, timeframe: str
    ) -> None:
        seconds = {"1m": 60, "59m": 3540, "24h": 86400, "90d": 90 * 86400}[timeframe]
        self.send(
            alice,
            path,
            *(
                {"name": "cpu", "value": 1, "timestamp": ago(seconds=seconds * n / 1000)}
                for n in range(1000)
                if not 400 < n < 600
            ),
        )
        metrics = data_of(alice.get(f"{path}/metrics?timeframe={timeframe}"))
        points = metrics["series"]["cpu"]
        assert 0 < len(points) <= 500
        # A fifth of the time has no samples; a bucket may be cut at each end.
        assert len(points) <= 0.85 * seconds / metrics["step"] + 2

    def test_without_samples_there_is_nothing(self, alice: Person, path: str) -> None:
        metrics = data_of(alice.get(f"{path}/metrics"))
        assert (metrics["series"], metrics["summary"]) == ({}, {})

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

    def test_usage_tells_totals(self, alice: Person, path: str) -> None:
        sent = [("requests", 10), ("requests", 30), ("errors", 4), ("responseTime", 50)]
        for name, value in sent:
            self.send(alice, path, {"name": name, "value": value})
        alice.post(f"{path}/logs", json={"entries": [{"level": "warn", "message": "x"}]})
        usage = data_of(alice.get(f"{path}/usage"))
        assert (usage["requests"], usage["errors"], usage["errorRate"]) == (40, 4, 0.1)
        assert (usage["averageResponseTime"], usage["logEntries"]) == (50, {"warn": 1})


@pytest.mark.parametrize(("kind", "key"), [("logs", "entries"), ("metrics", "samples")])
def test_a_batch_that_is_no_list_or_too_long_is_refused(
    alice: Person, path: str, kind: str, key: str
) -> None:
    for body in ({}, {key: {}}, {key: [{}] * 10_001}):
        error_of(alice.post(f"{path}/{kind}", json=body), 400, "VALIDATION_ERROR")
