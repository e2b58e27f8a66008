"""What samples of each kind come to, late and repeated ones, and how many series there may be."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from cms_services.actor import Actor
from cms_services.clock import fixed_at
from cms_services.durations import parse_timeframe
from cms_services.extensions import db
from cms_services.monitoring.batches import Stored
from cms_services.monitoring.metrics.ingest import store_samples
from cms_services.monitoring.metrics.models import MetricRollup, MetricSeries
from cms_services.monitoring.metrics.reading import newest_values, read_metrics
from cms_services.monitoring.metrics.retention import prune_metrics
from cms_services.monitoring.metrics.rollups import STEPS
from cms_services.monitoring.metrics.values import Buckets, NewSample
from cms_services.settings import current_settings
from cms_services.vocabulary import MetricKind, Role
from tests.conftest import MakeApp, NewPerson
from tests.people import Person, data_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
COUNT, COUNTER = MetricKind.COUNT, MetricKind.COUNTER
GAUGE, HISTOGRAM = MetricKind.GAUGE, MetricKind.HISTOGRAM
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

Store = Callable[..., Stored]


@pytest.fixture
def alice(new_person: NewPerson) -> Person:
    with fixed_at(NOON):
        return new_person("Alice")


@pytest.fixture
def service_id(alice: Person) -> str:
    with fixed_at(NOON):
        return str(alice.new_service()["id"])


@pytest.fixture
def store(app: Flask, service_id: str) -> Store:
    """Store samples, and commit."""

    def stored(*samples: NewSample, distinct: bool = True) -> Stored:
        for index, sample in enumerate(samples):
            sample.index = index
        with app.app_context(), fixed_at(NOON):
            result = store_samples(service_id, samples, distinct=distinct)
            db.session.commit()
            return result

    return stored


Read = Callable[..., Any]


@pytest.fixture
def read(app: Flask, alice: Person, service_id: str) -> Read:
    """Read a metric's values and summary."""
    owner = Actor(user_id=alice.user_id, role=Role.USER)

    def found(name: str, timeframe: str = "1h", at: datetime = NOON) -> tuple[list[float], Any]:
        with app.app_context(), fixed_at(at):
            span = parse_timeframe(timeframe)
            metrics = read_metrics(owner, service_id, timeframe, span, {name})
        values = [value for _, value in metrics.series.get(name, [])]
        return values, metrics.summary.get(name)

    return found


def at_once(call: Callable[[], Any], times: int) -> None:
    """Call from several threads, at the same moment for all that the tests' clock tells."""
    with fixed_at(NOON), ThreadPoolExecutor(times) as threads:
        for done in [threads.submit(call) for _ in range(times)]:
            done.result()


def before(minutes: float) -> datetime:
    return NOON - minutes * MINUTE


def counted(value: float, minutes: float, **more: Any) -> NewSample:
    return NewSample("sold", value, before(minutes), kind=COUNTER, **more)


def buckets(minutes: float, *counts: float, total: float, **more: Any) -> NewSample:
    given = Buckets((10.0, 20.0), counts, total)
    return NewSample("took", at=before(minutes), kind=HISTOGRAM, buckets=given, **more)


@on_sqlite
class TestCounters:
    def test_their_growth_is_added_up_and_a_reset_is_no_negative_rate(
        self, store: Store, read: Read
    ) -> None:
        store(counted(100, 9), counted(130, 8))
        store(counted(5, 7), counted(5, 6), counted(12, 5))
        values, summary = read("sold")
        assert values == [30, 5, 0, 7]
        assert (summary["min"], summary["max"], summary["last"]) == (0, 30, 7)

    def test_a_count_that_began_anew_is_told_by_its_beginning(
        self, store: Store, read: Read
    ) -> None:
        store(counted(10, 9, began_at=before(10)), counted(25, 5, began_at=before(6)))
        assert read("sold")[0] == [10, 25]

    def test_what_was_counted_before_anybody_listened_is_not_added(
        self, store: Store, read: Read
    ) -> None:
        store(counted(1000, 9, began_at=NOON - timedelta(days=9)), counted(1001, 8))
        assert read("sold")[0] == [1]

    def test_a_late_sample_changes_no_total(self, store: Store, read: Read) -> None:
        store(counted(100, 9), counted(130, 5))
        assert store(counted(110, 7)).accepted == 1
        store(counted(140, 4))
        assert read("sold")[0] == [30, 10]

    def test_series_are_added_up_each_by_its_own_growth(self, store: Store, read: Read) -> None:
        for minutes, east, west in ((9, 10, 500), (8, 12, 505), (7, 2, 505)):
            store(
                counted(east, minutes, labels={"shop": "east"}),
                counted(west, minutes, labels={"shop": "west"}),
            )
        assert read("sold")[0] == [7, 2]


@on_sqlite
class TestHistograms:
    def test_their_buckets_tell_averages_and_percentiles(self, store: Store, read: Read) -> None:
        store(buckets(5, 50, 50, 0, total=1000))
        values, summary = read("took")
        assert values == [10]
        assert (summary["min"], summary["avg"], summary["max"]) == (0, 10, 20)
        assert summary["p50"] == pytest.approx(10, rel=0.02)
        assert summary["p95"] == pytest.approx(19, rel=0.02)

    def test_cumulative_ones_count_by_what_was_added(self, store: Store, read: Read) -> None:
        store(buckets(9, 1000, 0, 0, total=5000, cumulative=True))
        store(buckets(8, 1000, 4, 0, total=5060, cumulative=True))
        # The process began anew.
        store(buckets(7, 2, 0, 0, total=8, cumulative=True))
        assert read("took")[0] == [15, 4]

    def test_ours_are_sent_with_bounds_counts_and_sum(
        self, alice: Person, service_id: str, read: Read
    ) -> None:
        sample = {"name": "took", "type": "histogram", "bounds": [1, 2], "counts": [0, 3, 1]}
        with fixed_at(NOON):
            path = f"/api/services/{service_id}/metrics"
            answer = alice.post(path, json={"samples": [sample | {"sum": 7}]})
        assert data_of(answer, 202) == {"accepted": 1, "rejected": []}
        values, summary = read("took")
        assert values == [1.75]
        assert summary["p50"] == pytest.approx(1.5, rel=0.02)


@on_sqlite
def test_a_metric_stays_of_its_kind(store: Store, read: Read) -> None:
    store(NewSample("cpu", 1.0), NewSample("requests", 2.0))
    answer = store(
        NewSample("cpu", 9.0, kind=COUNTER),
        NewSample("cpu", 3.0, kind=GAUGE, labels={"core": "1"}),
        NewSample("requests", 3.0, before(1)),
        NewSample("cpu", buckets=Buckets((1.0,), (1, 0), 1.0), kind=HISTOGRAM),
    )
    assert answer.accepted == 2
    assert [each.index for each in answer.rejected] == [0, 3]
    assert "cpu is a gauge of this service and takes no counter" in answer.rejected[0].message
    assert read("cpu")[0] == [2]
    assert read("requests")[0] == [3, 2]


@on_sqlite
class TestTimes:
    def test_late_samples_go_to_their_own_bucket(self, store: Store, read: Read) -> None:
        store(NewSample("cpu", 8.0, before(1)))
        store(NewSample("cpu", 2.0, before(30)), NewSample("cpu", 4.0, before(30.5)))
        values, summary = read("cpu")
        assert values == [4, 2, 8]
        assert summary["last"] == 8

    def test_ancient_and_future_ones_are_rejected_with_the_bounds(self, store: Store) -> None:
        answer = store(
            NewSample("cpu", 1.0, before(48 * 60 + 1)),
            NewSample("cpu", 1.0, before(48 * 60)),
            NewSample("cpu", 1.0, before(-10)),
            NewSample("cpu", 1.0, before(-11)),
        )
        assert (answer.accepted, [each.index for each in answer.rejected]) == (2, [0, 3])
        for each in answer.rejected:
            assert "2026-02-27T12:00:00Z to 2026-03-01T12:10:00Z" in each.message

    def test_the_cut_bucket_at_the_edge_holds_what_lies_within_alone(
        self, store: Store, read: Read
    ) -> None:
        inside, outside = before(24 * 60 - 3), before(24 * 60 + 3)
        store(NewSample("cpu", 100.0, outside), NewSample("cpu", 1.0, inside))
        later = NOON + 2 * MINUTE
        values, summary = read("cpu", "24h", later)
        assert values == [1]
        assert (summary["max"], summary["p99"]) == (1, 1)

    def test_repeated_samples_are_dropped_where_time_and_series_tell_them(
        self, store: Store, read: Read
    ) -> None:
        def batch() -> list[NewSample]:
            return [NewSample("requests", 5.0, before(minutes)) for minutes in (3, 2, 2)]

        for _ in range(3):
            assert store(*batch()).accepted == 3
        assert read("requests")[0] == [5, 5]
        store(*batch(), distinct=False)
        assert read("requests")[0] == [10, 15]


@on_sqlite
def test_what_no_sum_can_take_is_rejected_by_index(store: Store) -> None:
    answer = store(
        *(NewSample("cpu", value) for value in (float("nan"), float("inf"), -1e19, 1.0)),
        NewSample("took", buckets=Buckets((2.0, 1.0), (1, 1, 1), 3.0)),
        NewSample("took", buckets=Buckets((1.0,), (1, 1, 1), 3.0)),
        NewSample("took", buckets=Buckets((1.0,), (1, float("nan")), 3.0)),
        NewSample("http:total", 1.0),
        NewSample("cpu", 1.0, labels={"a": "x" * 256}),
        NewSample("sold", -1.0, kind=COUNTER),
    )
    assert answer.accepted == 1
    assert [each.index for each in answer.rejected] == [0, 1, 2, 4, 5, 6, 7, 8, 9]


@on_sqlite
def test_a_count_takes_nothing_below_0_however_its_kind_is_known(store: Store, read: Read) -> None:
    store(NewSample("requests", 5.0, before(1)), NewSample("sold", 1.0, before(1), kind=COUNT))
    answer = store(
        NewSample("requests", -5.0, before(30)),
        NewSample("sold", -1.0, before(30)),
        NewSample("errors", -1.0, before(30), kind=COUNT),
        NewSample("degrees", -7.0, before(30)),
    )
    assert [each.index for each in answer.rejected] == [0, 1, 2]
    for each in answer.rejected:
        assert each.message == "value: A count takes 0 and more; send a gauge for what falls below."
    assert (read("requests")[0], read("degrees")[0], read("errors")[0]) == ([5], [-7], [])
    assert read("errorRate")[0] == [0]
    # A refused sample settles no kind.
    assert store(NewSample("errors", 1.0, kind=GAUGE)).rejected == []


@on_sqlite
def test_counts_below_0_that_were_stored_once_leave_an_error_rate(
    app: Flask, store: Store, read: Read
) -> None:
    store(NewSample("requests", 5.0, before(1)), NewSample("requests", 5.0, before(30)))
    store(NewSample("errors", 1.0, before(1)))
    with app.app_context():
        early = MetricRollup.start < int(before(10).timestamp())
        minutes = MetricRollup.step == 60
        db.session.execute(update(MetricRollup).where(early, minutes).values(total=-5))
        db.session.commit()
    values, summary = read("errorRate")
    assert (values, summary["avg"]) == ([0.2], 0.2)


def test_what_only_hours_are_kept_of_is_shown_by_hours(
    make_app: MakeApp, new_person: NewPerson
) -> None:
    app = make_app(METRIC_MINUTE_RETENTION_DAYS="1")
    alice = new_person("Alice", of=app)
    service = alice.new_service()
    with app.app_context():
        for hours in range(70, 0, -1):
            moment = NOON - timedelta(hours=hours)
            with fixed_at(moment):
                store_samples(service["id"], [NewSample("cpu", 1.0, moment)], distinct=True)
                db.session.commit()
        with fixed_at(NOON):
            prune_metrics(current_settings())
            owner = Actor(user_id=alice.user_id, role=Role.USER)
            found = read_metrics(owner, service["id"], "3d", timedelta(days=3))
    assert (found.step, len(found.series["cpu"])) == (3600, 70)


class TestSeriesLimit:
    def test_series_beyond_it_are_rejected_by_index(
        self, make_app: MakeApp, new_person: NewPerson
    ) -> None:
        app = make_app(METRIC_SERIES_LIMIT="3")
        alice = new_person("Alice", of=app)
        path = f"/api/services/{alice.new_service()['id']}/metrics"
        shops = [{"name": "sold", "value": 1, "labels": {"shop": shop}} for shop in "abcda"]
        answer = data_of(alice.post(path, json={"samples": shops}), 202)
        assert answer["accepted"] == 4
        assert [each["index"] for each in answer["rejected"]] == [3]
        assert "all 3 that it may have (METRIC_SERIES_LIMIT)" in answer["rejected"][0]["message"]
        body = {"samples": [{"name": "cpu", "value": 1}, shops[0]]}
        answer = data_of(alice.post(path, json=body), 202)
        assert [each["index"] for each in answer["rejected"]] == [0]

    def test_those_that_have_fallen_silent_make_room(
        self, make_app: MakeApp, new_person: NewPerson
    ) -> None:
        """As instances do that get another name at each start. What they sent stays."""
        app = make_app(METRIC_SERIES_LIMIT="3")
        service = new_person("Alice", of=app).new_service()["id"]

        def send(moment: datetime, *shops: str) -> Stored:
            samples = [NewSample("sold", 2.0, labels={"shop": shop}) for shop in shops]
            with app.app_context(), fixed_at(moment):
                stored = store_samples(service, samples, distinct=True)
                db.session.commit()
            return stored

        assert send(NOON, "a", "b", "c").accepted == 3
        later = NOON + timedelta(hours=40)
        assert len(send(later, "c", "d").rejected) == 1
        assert send(later + timedelta(hours=20), "b", "d", "e").accepted == 2
        with app.app_context():
            assert db.session.scalar(select(func.count(MetricSeries.id))) == 3
            assert db.session.scalar(select(func.sum(MetricRollup.count))) == 6 * len(STEPS)


def test_concurrent_batches_lose_nothing(
    app: Flask, alice: Person, service_id: str, read: Read
) -> None:
    path = f"/api/services/{service_id}/metrics"
    present = {"samples": [{"name": name, "value": 1} for name in ("requests", "cpu")] * 5}

    def send() -> None:
        person = Person(app.test_client(), alice.user_id, alice.email, alice.token)
        for _ in range(3):
            assert data_of(person.post(path, json=present), 202)["accepted"] == 10

    at_once(send, 4)
    assert read("requests")[0] == [60]
    assert read("cpu")[1]["avg"] == 1


def test_a_batch_is_stored_once_by_its_id_also_when_sent_twice_at_once(
    app: Flask, alice: Person, service_id: str, read: Read
) -> None:
    path = f"/api/services/{service_id}/metrics"
    samples = [{"name": "requests", "value": 2}, {"name": "requests", "value": "many"}]
    answers = []

    def send() -> None:
        person = Person(app.test_client(), alice.user_id, alice.email, alice.token)
        body = {"batchId": "b-1", "samples": samples}
        answers.append(data_of(person.post(path, json=body), 202))

    at_once(send, 3)
    at_once(send, 1)
    assert answers == [answers[0]] * 4
    assert (answers[0]["accepted"], answers[0]["rejected"][0]["index"]) == (1, 1)
    assert read("requests")[0] == [2]


def test_the_newest_value_of_each_service_is_known(
    app: Flask, store: Store, service_id: str
) -> None:
    store(
        NewSample("memory", 5.0, before(2), labels={"pod": "a"}),
        NewSample("memory", 7.0, before(1), labels={"pod": "b"}),
        NewSample("memory", 6.0, before(3), labels={"pod": "b"}),
    )
    with app.app_context():
        assert newest_values([service_id, "other"], "memory") == {service_id: (7.0, before(1))}


def test_old_samples_and_roll_ups_go_by_their_retention_times(
    app: Flask, store: Store, read: Read
) -> None:
    store(NewSample("cpu", 3.0, before(1)))

    def prune(after: timedelta) -> int:
        with app.app_context(), fixed_at(NOON + after):
            gone = prune_metrics(current_settings())
            db.session.commit()
            return gone

    assert prune(timedelta(hours=47)) == 0
    assert prune(timedelta(hours=49)) == 1
    assert prune(timedelta(days=31)) == 2
    assert read("cpu", "40d", NOON + timedelta(days=31))[0] == [3]
    assert prune(timedelta(days=398)) == 3
