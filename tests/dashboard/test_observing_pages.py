"""The tabs on which a service is observed, as a browser without JavaScript uses them."""

import html
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert

from cms_services.clock import fixed_at
from cms_services.extensions import db
from cms_services.monitoring.health.models import HealthPeriod
from cms_services.monitoring.metrics.ingest import store_samples
from cms_services.monitoring.metrics.values import Buckets, NewSample
from cms_services.vocabulary import MetricKind
from tests.conftest import MakeApp, NewPerson
from tests.dashboard.browsing import signed_in
from tests.local_servers import free_port
from tests.monitoring.workers import LOCAL, Target, a_target
from tests.people import Person, data_of, error_of

NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def shown(browser: FlaskClient, path: str, status: int = 200) -> str:
    answer = browser.get(path)
    assert answer.status_code == status, answer.text
    return answer.text


def text_of(page: str) -> str:
    """What a page says, without its tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def links_of(page: str) -> list[str]:
    return [html.unescape(each) for each in re.findall(r'<a\b[^>]*href="([^"]+)"', page)]


def let_in(owner: Person, service: dict[str, Any], person: Person, role: str = "viewer") -> None:
    """Let somebody into the project of a service."""
    projects = data_of(owner.get("/api/projects"))
    project = next(each for each in projects if each["name"] == service["project"])
    path = f"/api/projects/{project['id']}/members/{person.user_id}"
    assert owner.put(path, json={"role": role}).status_code in (200, 201)


class TestHealth:
    @pytest.fixture
    def target(self) -> Iterator[Target]:
        with a_target() as server:
            yield server

    @pytest.fixture
    def probing(self, make_app: MakeApp) -> Flask:
        return make_app(PROBE_ALLOWED_NETWORKS=LOCAL)

    @pytest.fixture
    def owner(self, probing: Flask, new_person: NewPerson) -> Person:
        return new_person("Alice", of=probing)

    @pytest.fixture
    def browser(self, probing: Flask, owner: Person) -> FlaskClient:
        return signed_in(probing.test_client(), owner)

    def test_a_check_now_is_shown_with_its_timing_excerpt_and_cause(
        self, browser: FlaskClient, owner: Person, target: Target
    ) -> None:
        check = {"name": "page", "type": "http", "target": f"{target.url}/health"}
        service = owner.new_service(configuration={"healthChecks": [check]})
        path = f"/services/{service['serviceId']}/health"
        said = text_of(shown(browser, path))
        assert "page unknown http" in said
        assert "Nothing was checked yet." in said
        target.statuses["/health"], target.bodies["/health"] = 503, b"<b>disk</b> is full"
        answer = browser.post(path)
        assert (answer.status_code, answer.headers["Location"]) == (303, path)
        page = shown(browser, path)
        said = text_of(page)
        assert "Checked: unhealthy, slowest answer" in said
        assert re.search(r"page unhealthy http \S+/health HTTP 503 Connect [\d.]+ ms", said)
        assert re.search(r"First byte [\d.]+ ms", said)
        assert "What it answered (HTTP 503)" in said
        assert "&lt;b&gt;disk&lt;/b&gt; is full" in page
        assert re.search(r"unknown → then unhealthy \S+ \S+ \S+ \S+ page : HTTP 503", said)
        target.statuses.clear()
        browser.post(path)
        said = text_of(shown(browser, path))
        assert "Checked: healthy" in said
        assert re.search(r"page healthy http \S+/health HTTP 200 Connect", said)
        assert "What it answered" not in said

    def test_heartbeats_tell_their_last_call(self, browser: FlaskClient, owner: Person) -> None:
        check = {"name": "night backup", "type": "heartbeat", "period": "24h"}
        service = owner.new_service(configuration={"healthChecks": [check]})
        path = f"/services/{service['serviceId']}/health"
        page = shown(browser, path)
        assert "No call has come yet" in page
        assert f"/api/services/{service['serviceId']}/heartbeats/night%20backup" in page
        told = {"status": "failed", "message": "disk full", "durationMs": 1234}
        beat = f"/api/services/{service['id']}/heartbeats/night%20backup"
        data_of(owner.post(beat, json=told), 202)
        browser.post(path)
        said = text_of(shown(browser, path))
        assert "it failed , 1,234 ms – disk full" in said
        assert "night backup unhealthy heartbeat" in said

    def test_uptime_by_hours_days_and_months(
        self, browser: FlaskClient, owner: Person, probing: Flask
    ) -> None:
        service = owner.new_service()
        february = datetime(2026, 2, 10, tzinfo=UTC)
        periods = [
            ("healthy", february, february + 3 * HOUR),
            ("unhealthy", february + 3 * HOUR, february + 4 * HOUR),
            ("healthy", NOON - 10 * HOUR, NOON - 9.5 * HOUR),
            ("unhealthy", NOON - 9.5 * HOUR, NOON - 9 * HOUR),
            ("degraded", NOON - 9 * HOUR, NOON - 8 * HOUR),
            ("maintenance", NOON - 8 * HOUR, NOON - 7 * HOUR),
        ]
        with probing.app_context():
            values = [
                {"service_id": service["id"], "status": status}
                | {"started_at": start, "ended_at": end}
                for status, start, end in periods
            ]
            db.session.execute(insert(HealthPeriod), values)
            db.session.commit()
        with fixed_at(NOON):
            page = shown(browser, f"/services/{service['serviceId']}/health")
        hours, days = re.findall(r'<svg viewBox[^>]*aria-label="([^"]+)"', page)
        assert "15 Mar, 02:00 unhealthy, 15 Mar, 03:00 degraded; 21 stretches" in hours
        assert "10 Feb" not in hours
        assert "15 Mar unhealthy; 29 stretches" in days
        bars = re.findall(r'<rect class="(\w+)"[^>]*><title>([^<]+)</title>', page)
        assert len(bars) == 24 + 30
        assert ("unhealthy", "15 Mar, 02:00: unhealthy, 50% up") in bars
        assert ("maintenance", "15 Mar, 04:00: maintenance") in bars
        said = text_of(page)
        assert "March 2026 75.00% 30 min 1 h 0 min 1 h 0 min CSV · JSON" in said
        assert "February 2026 75.00% 1 h 0 min – – CSV · JSON" in said
        assert "January 2026" not in said
        csv, json = [each for each in links_of(page) if "month=2026-02" in each]
        lines = shown(browser, csv).splitlines()
        assert lines[0] == "serviceId,status,from,to,seconds,percent"
        assert data_of(browser.get(json))["percent"] == 75

    def test_without_checks_it_says_how_to_declare_one(
        self, browser: FlaskClient, owner: Person
    ) -> None:
        service = owner.new_service()
        page = shown(browser, f"/services/{service['serviceId']}/health")
        assert "No check is declared" in page
        assert "Check now" not in page
        assert f"/services/{service['serviceId']}/configuration" in links_of(page)

    def test_older_changes_are_a_page_away(
        self, browser: FlaskClient, owner: Person, target: Target
    ) -> None:
        checks = [
            {"name": f"c{number}", "type": "http", "target": target.url} for number in range(14)
        ]
        service = owner.new_service(configuration={"healthChecks": checks})
        path = f"/services/{service['serviceId']}/health"
        browser.post(path)
        target.statuses["/"] = 500
        browser.post(path)
        first = shown(browser, path)
        (older,) = [each for each in links_of(first) if "cursor=" in each]
        second = shown(browser, older.partition("#")[0])
        assert first.count("→") == 25
        assert second.count("→") == 3
        assert path in links_of(second)


class TestMetrics:
    def test_numbers_have_units_and_charts_know_where_to_ask(
        self, browser: FlaskClient, alice: Person
    ) -> None:
        service = alice.new_service()
        samples = [
            {"name": "responseTime", "value": 84.25},
            {"name": "responseTime", "value": 1500},
            {"name": "requests", "value": 40},
            {"name": "errors", "value": 1},
            {"name": "queue_bytes", "value": 3},
        ]
        path = f"/api/services/{service['id']}/metrics"
        data_of(alice.post(path, json={"samples": samples}), 202)
        page = shown(browser, f"/services/{service['serviceId']}/metrics?timeframe=8h")
        said = text_of(page)
        assert re.search(r"Response time 1,500 ms 84.25 ms 792.1 ms 1,500 ms 84\.\d+ ms", said)
        assert "Error rate 2.5% 2.5%" in said
        assert "queue_bytes 3 B 3 B" in said
        # Those that people look at first stand first.
        assert re.findall(r'data-metric="(\w+)"', page) == [
            "requests",
            "errors",
            "errorRate",
            "responseTime",
            "queue_bytes",
        ]
        (url,) = re.findall(r'<metric-chart src="([^"]+)"', page)
        told = data_of(browser.get(html.unescape(url)))
        assert told["timeframe"] == "8h"
        assert set(told["series"]) == set(re.findall(r'data-metric="(\w+)"', page))
        assert "data-percentiles" not in page

    def test_names_narrow_what_is_shown(self, browser: FlaskClient, alice: Person) -> None:
        service = alice.new_service()
        samples = [{"name": f"gauge_{number}", "value": number} for number in range(40)]
        path = f"/api/services/{service['id']}/metrics"
        data_of(alice.post(path, json={"samples": samples}), 202)
        own = f"/services/{service['serviceId']}/metrics"
        page = shown(browser, own)
        assert "24 of 40 metrics are shown" in page
        assert page.count("<figure") == 24
        page = shown(browser, f"{own}?q=GAUGE_39")
        assert re.findall(r'data-metric="(\w+)"', page) == ["gauge_39"]
        assert "names=gauge_39" in page
        assert "Nothing matches" in shown(browser, f"{own}?q=none")

    def test_percentiles_of_histograms_over_time(
        self, browser: FlaskClient, alice: Person, bob: Person, app: Flask
    ) -> None:
        service = alice.new_service()
        kind = MetricKind.HISTOGRAM
        with fixed_at(NOON), app.app_context():
            samples = [
                NewSample("wait", at=NOON - 30 * timedelta(minutes=1), kind=kind,
                          buckets=Buckets([1, 2, 4], [90, 5, 5, 0], 120)),
                NewSample("wait", at=NOON - 5 * timedelta(minutes=1), kind=kind,
                          buckets=Buckets([1, 2, 4], [0, 0, 100, 0], 300)),
                NewSample("level", 3, at=NOON, kind=MetricKind.GAUGE),
            ]  # fmt: skip
            store_samples(service["id"], samples, distinct=True)
            db.session.commit()
            path = f"/api/services/{service['serviceId']}/metrics/percentiles"
            told = data_of(browser.get(f"{path}?timeframe=1h"))
            page = shown(browser, f"/services/{service['serviceId']}/metrics?timeframe=1h")
        assert (told["step"], set(told["percentiles"])) == (60, {"wait"})
        wait = told["percentiles"]["wait"]
        assert [at for at, _ in wait["p50"]] == ["2026-03-15T11:30:00Z", "2026-03-15T11:55:00Z"]
        first, second = ([points[n][1] for points in wait.values()] for n in (0, 1))
        assert first[0] <= 1 < first[2] <= 4
        assert all(2 <= value <= 4.05 for value in second)
        assert re.search(r'data-percentiles="[^"]+names=level,wait"', html.unescape(page))
        with fixed_at(NOON):
            other = data_of(browser.get(f"{path}?timeframe=1h&names=level"))
        assert other["percentiles"] == {}
        error_of(bob.get(path), 403, "FORBIDDEN")
        error_of(browser.get(f"{path}?timeframe=x"), 400, "VALIDATION_ERROR")

    def test_nothing_sent_yet_says_how(self, browser: FlaskClient, alice: Person) -> None:
        service = alice.new_service()
        page = shown(browser, f"/services/{service['serviceId']}/metrics")
        assert "No metrics in this time" in page
        assert f"/api/services/{service['serviceId']}/metrics" in page

    @pytest.mark.parametrize("timeframe", ["", "1", "91d", "-1h", "\x00"])
    def test_an_odd_timeframe_is_refused(
        self, browser: FlaskClient, alice: Person, timeframe: str
    ) -> None:
        path = f"/services/{alice.new_service()['serviceId']}/metrics"
        answer = browser.get(path, query_string={"timeframe": timeframe})
        assert answer.status_code == 400
        assert answer.headers["X-Request-ID"] in answer.text

    def test_a_prometheus_that_is_away_leaves_the_page(
        self, make_app: MakeApp, new_person: NewPerson
    ) -> None:
        app = make_app(PROMETHEUS_URL=f"http://127.0.0.1:{free_port()}")
        owner = new_person("Alice", of=app)
        path = f"/services/{owner.new_service()['serviceId']}/metrics"
        page = shown(signed_in(app.test_client(), owner), path)
        assert 'role="alert"' in page
        assert "Try again" in page


class TestLogs:
    @pytest.fixture
    def service(self, alice: Person) -> dict[str, Any]:
        return alice.new_service()

    @pytest.fixture
    def path(self, service: dict[str, Any]) -> str:
        return f"/services/{service['serviceId']}/logs"

    def log(self, person: Person, service: dict[str, Any], *entries: dict[str, Any]) -> None:
        answer = person.post(f"/api/services/{service['id']}/logs", json={"entries": entries})
        assert data_of(answer, 202)["rejected"] == []

    def messages(self, page: str) -> list[str]:
        found = re.findall(r'<span class="message">(.+?)</span>', page)
        return [html.unescape(each) for each in found]

    def test_entries_stand_newest_first_with_their_attributes(
        self, browser: FlaskClient, alice: Person, service: dict[str, Any], path: str
    ) -> None:
        now = datetime.now(UTC)
        self.log(
            alice,
            service,
            {"level": "info", "message": "first", "timestamp": (now - HOUR).isoformat()},
            {
                "level": "error",
                "message": "<script>alert(1)</script>",
                "source": "web",
                "traceId": "4bf92f35",
                "attributes": {"http": {"status": 504, "path": "/a b"}, "tags": ["x"]},
                "timestamp": now.isoformat(),
            },
        )
        page = shown(browser, path)
        assert self.messages(page) == ["<script>alert(1)</script>", "first"]
        assert "<script>alert" not in page
        said = text_of(page)
        assert 'http.status 504 only these http.path /a b only these tags ["x"]' in said
        for name in ("attribute=http.status%3A504", "attribute=http.path%3A%2Fa+b", "traceId="):
            (link,) = [each for each in links_of(page) if name in each]
            assert self.messages(shown(browser, link)) == ["<script>alert(1)</script>"]

    def test_filters_search_and_stay_in_the_form(
        self, browser: FlaskClient, alice: Person, service: dict[str, Any], path: str
    ) -> None:
        now = datetime.now(UTC)
        lines = [
            ("debug", "payment begun", 3 * HOUR),
            ("warn", "payment timed out slowly", 2 * HOUR),
            ("error", "payment slowly timed out", HOUR),
            ("error", "refund timed out", timedelta(0)),
        ]
        self.log(
            alice,
            service,
            *(
                {"level": level, "message": message, "timestamp": (now - ago).isoformat()}
                for level, message, ago in lines
            ),
        )
        cases = [
            ({"level": "error"}, 2),
            ({"level": "warn"}, 3),
            ({"q": "paym"}, 3),
            ({"q": '"slowly timed"'}, 1),
            ({"q": "timed -refund"}, 2),
            ({"q": "payment", "level": "error"}, 1),
            ({"since": (now - 1.5 * HOUR).strftime("%Y-%m-%dT%H:%M")}, 2),
            ({"until": (now - 1.5 * HOUR).strftime("%Y-%m-%dT%H:%M:%S")}, 2),
            ({"within": "1h"}, 2),
            ({"within": ""}, 4),
        ]
        for query, count in cases:
            answer = browser.get(path, query_string=query)
            assert (answer.status_code, len(self.messages(answer.text))) == (200, count), query
        page = browser.get(path, query_string={"q": '"slowly timed"', "level": "error"}).text
        assert 'value="&#34;slowly timed&#34;"' in page
        assert '<option value="error" selected>' in page
        (export,) = [each for each in links_of(page) if "/logs/export" in each]
        assert shown(browser, export).count("\n") == 1
        assert "Nothing matches" in shown(browser, f"{path}?q=none")

    def test_older_entries_are_a_page_away(
        self, browser: FlaskClient, alice: Person, service: dict[str, Any], path: str
    ) -> None:
        self.log(alice, service, *({"level": "info", "message": f"line {n}"} for n in range(130)))
        first = shown(browser, f"{path}?q=line")
        (older,) = [each for each in links_of(first) if "cursor=" in each]
        assert "q=line" in older
        second = shown(browser, older)
        together = self.messages(first) + self.messages(second)
        assert (len(self.messages(first)), len(set(together))) == (100, 130)
        # What follows the newest is no place where new ones appear.
        assert "data-tail" in first
        assert "data-tail" not in second
        assert f"{path}?q=line" in links_of(second)

    @pytest.mark.parametrize(
        ("query", "kept"),
        [
            ({"level": "loud"}, "Must be one of"),
            ({"since": "yesterday"}, 'value="yesterday"'),
            ({"attribute": "status"}, 'value="status"'),
            ({"cursor": "abc"}, "be searched for"),
            ({"within": "soon"}, "be searched for"),
            ({"q": "x" * 300}, "x" * 300),
            ({"traceId": "x" * 65}, "x" * 65),
            ({"since": "0001-01-01T00:00+14:00"}, "0001-01-01T00:00+14:00"),
            ({"until": "9999-12-31T23:59-14:00"}, "9999-12-31T23:59-14:00"),
        ],
    )
    def test_what_is_wrong_with_a_filter_is_said_and_kept(
        self, browser: FlaskClient, path: str, query: dict[str, str], kept: str
    ) -> None:
        answer = browser.get(path, query_string=query)
        assert answer.status_code == 200
        assert "be searched for" in answer.text
        assert kept in html.unescape(answer.text)
        assert "data-tail" not in answer.text

    @pytest.mark.parametrize("name", ["q", "traceId", "attribute", "since", "level", "cursor"])
    def test_what_no_database_stores_is_no_trouble(
        self, browser: FlaskClient, path: str, name: str
    ) -> None:
        answer = browser.get(f"{path}?{name}=a%00:b%ED%A0%80")
        assert answer.status_code == 200

    def test_nothing_logged_yet_says_how(self, browser: FlaskClient, path: str) -> None:
        page = shown(browser, path)
        assert "Nothing was logged yet" in page
        assert f"/api{path}" in page


class TestDownloads:
    def test_each_format_is_offered_with_what_is_inside(
        self, browser: FlaskClient, alice: Person
    ) -> None:
        service = alice.new_service(type="kubernetes")
        page = shown(browser, f"/services/{service['serviceId']}/downloads")
        said = text_of(page)
        assert "kubeconfig for the cluster" in said
        links = [each for each in links_of(page) if "/download/" in each]
        wanted = [("zip", False), ("yaml", False), ("zip", True), ("yaml", True)]
        assert [(re.findall("format=([a-z]+)", each)[0], "include" in each) for each in links] == (
            wanted
        )
        for link in links:
            answer = browser.get(link)
            assert answer.status_code == 200
            assert answer.headers["Content-Disposition"].startswith("attachment")

    def test_secrets_are_offered_to_those_who_may_have_them(
        self, app: Flask, alice: Person, bob: Person
    ) -> None:
        service = alice.new_service(type="database", project="Shop")
        let_in(alice, service, bob)
        client = signed_in(app.test_client(), bob)
        page = shown(client, f"/services/{service['serviceId']}/downloads")
        (link,) = [each for each in links_of(page) if "/download/" in each]
        assert "include" not in link
        assert "With secrets" not in page
        assert client.get(f"{link}&secrets=include").status_code == 403
        let_in(alice, service, bob, "editor")
        page = shown(client, f"/services/{service['serviceId']}/downloads")
        assert "With secrets" in page

    def test_a_template_gives_a_scaffold(self, browser: FlaskClient, alice: Person) -> None:
        service = alice.new_service(template="flask-api")
        page = shown(browser, f"/services/{service['serviceId']}/downloads")
        (link,) = [each for each in links_of(page) if each.endswith("scaffold?format=zip")]
        assert browser.get(link).data.startswith(b"PK")

    def test_without_any_it_says_which_have_some(self, browser: FlaskClient, alice: Person) -> None:
        service = alice.new_service()
        path = f"/services/{service['serviceId']}/downloads"
        assert "Nothing to download" in shown(browser, path)
        alice.delete(f"/api/services/{service['id']}")
        assert "A cancelled service has no downloads" in shown(browser, path)


@pytest.mark.parametrize("tab", ["health", "metrics", "logs", "downloads"])
def test_tabs_are_for_those_who_may_read_the_service(
    browser: FlaskClient, alice: Person, charlie: Person, tab: str
) -> None:
    path = f"/services/{alice.new_service()['serviceId']}/{tab}"
    assert f'href="{path}" aria-current="page"' in shown(browser, path)
    # Where nothing has changed, so says the entity tag.
    tag = browser.get(path).headers["ETag"]
    assert browser.get(path, headers={"If-None-Match": tag}).status_code == 304
    others = f"/services/{charlie.new_service()['serviceId']}/{tab}"
    assert browser.get(others).status_code == 403
    assert browser.get(f"/services/none/{tab}").status_code == 404
