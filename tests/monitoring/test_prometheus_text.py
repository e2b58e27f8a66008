"""What is scraped in Prometheus' text format and in OpenMetrics."""

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cms_services.monitoring.batches import Stored
from cms_services.monitoring.metrics.scraping import store_scrape
from cms_services.monitoring.protocols.prometheus_text import decode_text
from cms_services.web.transactions import writing
from tests.monitoring.agents import Reporter
from tests.people import Person

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
TEXT = """\
# HELP jobs_total Jobs that ended.
# TYPE jobs_total counter
jobs_total{{queue="a \\"quoted\\" one"}} {jobs}
# TYPE fill gauge
fill 0.5
# TYPE wait_seconds histogram
wait_seconds_bucket{{le="0.1"}} {half}
wait_seconds_bucket{{le="0.2"}} {all}
wait_seconds_bucket{{le="+Inf"}} {all}
wait_seconds_sum {sum}
wait_seconds_count {all}
# TYPE wait_seconds_created gauge
wait_seconds_created 1700000000
# TYPE rpc summary
rpc{{quantile="0.99"}} 7
rpc_sum {sum}
rpc_count {all}
untold 3
"""


@pytest.fixture
def reporter(alice: Person) -> Reporter:
    return Reporter(alice)


def scrape(app: Flask, reporter: Reporter, text: str, ago: float = 0) -> Stored:
    with app.app_context(), writing():
        at = datetime.now(UTC) - timedelta(seconds=ago)
        return store_scrape(reporter.service["id"], decode_text(text, at))


def test_all_kinds_are_told_apart(app: Flask, reporter: Reporter) -> None:
    for ago, count in ((60, 10), (1, 30)):
        text = TEXT.format(jobs=count * 2, half=count / 2, all=count, sum=count * 0.1)
        assert scrape(app, reporter, text, ago).rejected == []
    totals, told = reporter.totals(), reporter.metrics()["summary"]
    assert totals["jobs_total"] == 40
    assert (totals["rpc_count"], totals["rpc_sum"]) == (20, pytest.approx(2))
    assert told["fill"]["avg"] == 0.5
    assert told["untold"]["last"] == 3
    assert told["rpc.p99"]["last"] == 7
    assert told["wait_seconds"]["avg"] == pytest.approx(0.1)
    assert told["wait_seconds"]["max"] == pytest.approx(0.2)
    assert "wait_seconds_created" not in told


def test_openmetrics_are_read_too(app: Flask, reporter: Reporter) -> None:
    text = (
        "# TYPE jobs counter\njobs_total {jobs}\njobs_created 1700000000\n"
        "# TYPE fill gauge\nfill 2\n# EOF\n"
    )
    scrape(app, reporter, text.format(jobs=10), 30)
    scrape(app, reporter, text.format(jobs=15), 1)
    assert reporter.totals()["jobs_total"] == 5
    assert set(reporter.metrics()["series"]) == {"jobs_total", "fill"}


@on_sqlite
def test_what_can_not_be_stored_is_named_and_the_rest_is_stored(
    app: Flask, reporter: Reporter
) -> None:
    stored = scrape(app, reporter, "good 1\nnothing NaN\nold 1 1500000000000\n")
    assert stored.accepted == 1
    assert [each.index for each in stored.rejected] == [1, 2]
    assert set(reporter.metrics()["series"]) == {"good"}


@pytest.mark.parametrize(
    "text",
    [
        "<!doctype html><html>",
        "a{b",
        'a{b="c} 1',
        "nothing of the kind\n# EOF",
        "a 1\n" * 10_001,
        '{"status": "ok"}',
    ],
)
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"It is not in Prometheus' text format|more than 10000"):
        decode_text(text, datetime.now(UTC))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('a{b="' + '\\"' * 2**19 + '"} 1\n', "longer than 16384"),
        ('a{b="' + '\\"' * 2**19 + '"} 1\n# EOF\n', "longer than 16384"),
        ("a{" + ",".join(f'b{n}=""' for n in range(2**17)) + "} 1\n", "longer than 16384"),
        ("# HELP a " + "x" * 2**20 + "\na 1\n", "longer than 16384"),
        ("a{" + ",".join(f'b{n}=""' for n in range(65)) + "} 1\n", "more than 64 labels"),
        ("a 1\n" * 49_999, "more than 10000 samples"),
        ("#\n" * 2**21, "more than 50000 lines"),
    ],
    ids=["escapes", "openmetrics", "label names", "help", "labels", "samples", "comments"],
)
def test_what_would_take_long_to_read_is_refused_before(text: str, reason: str) -> None:
    began = time.process_time()
    with pytest.raises(ValueError, match=reason):
        decode_text(text, datetime.now(UTC))
    assert time.process_time() - began < 1


def test_long_lines_and_many_labels_within_the_bounds_are_read() -> None:
    labels = ",".join(f'b{n}="' + "=" * 200 + '"' for n in range(20))
    (sample,) = decode_text(f"a{{{labels}}} 1\n", datetime.now(UTC)).samples
    assert len(sample.labels) == 20


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_mutated_texts_are_read_or_refused(data: st.DataObject) -> None:
    whole = TEXT.format(jobs=1, half=1, all=2, sum=3) + data.draw(st.sampled_from(["", "# EOF\n"]))
    place = data.draw(st.integers(0, len(whole) - 1))
    inserted = data.draw(st.text(max_size=5))
    text = whole[:place] + inserted + whole[place + data.draw(st.integers(0, 6)) :]
    # Anything else than a ValueError is a fault.
    with suppress(ValueError):
        assert decode_text(text, datetime.now(UTC)).points < 40
