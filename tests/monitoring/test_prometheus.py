"""Prometheus finds our services, scrapes them, writes to us and answers for us: a real one."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tests.conftest import MakeApp, NewPerson
from tests.local_servers import free_port
from tests.monitoring.agents import Reporter, served
from tests.monitoring.prometheus_server import (
    answering,
    eventually,
    need_program,
    prometheus,
)
from tests.people import Person, data_of, error_of

TARGETS = "/api/monitoring/prometheus/targets"
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


class Target:
    """A program with the official client library, which has more to tell at each scrape."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        given: Any = {"registry": self.registry}
        self.requests = Counter("http_requests", "Requests", ["code"], **given)
        self.duration = Histogram("http_request_duration_seconds", "Duration", **given)
        self.fill = Gauge("cache_fill", "Level", **given)
        self.memory = Gauge("process_resident_memory_bytes", "Memory", **given)

    def answer(self, path: str) -> tuple[int, bytes]:
        if path != "/internal/metrics?all=1":
            return 404, b""
        self.requests.labels("200").inc(9)
        self.requests.labels("500").inc(1)
        for _ in range(10):
            self.duration.observe(0.02)
        self.fill.set(0.5)
        self.memory.set(64e6)
        return 200, generate_latest(self.registry)


def scraping(url: str, token: str, **more: Any) -> dict[str, Any]:
    """A configuration that finds its targets at the application."""
    discovery = {
        "url": f"{url}{TARGETS}",
        "refresh_interval": "1s",
        # Prometheus 2.42 forgets its default type here.
        "authorization": {"type": "Bearer", "credentials": token},
    }
    job = {"job_name": "services", "http_sd_configs": [discovery]}
    timing = {"scrape_interval": "1s", "scrape_timeout": "1s"}
    return {"global": timing, "scrape_configs": [job]} | more


@on_sqlite
def test_it_finds_scrapes_writes_and_answers(
    make_app: MakeApp, new_person: NewPerson, tmp_path: Path
) -> None:
    need_program("prometheus")
    port = free_port()
    app = make_app(PROBE_ALLOWED_NETWORKS="127.0.0.0/8")
    alice = new_person("Alice", of=app)
    asking = make_app(PROMETHEUS_URL=f"http://127.0.0.1:{port}")
    asker = Person(asking.test_client(), alice.user_id, alice.email, alice.token)
    with answering(Target().answer) as target, served(app) as url:
        declared = {"metrics": {"endpoint": "/internal/metrics?all=1"}, "baseUrl": target}
        reporter = Reporter(alice, name='The "shop"', configuration=declared)
        writing = {
            "url": f"{url}/api/v1/write",
            "authorization": {"credentials": reporter.token},
            "queue_config": {"batch_send_deadline": "1s"},
        }
        with prometheus(tmp_path, port, scraping(url, alice.token, remote_write=[writing])):

            def asked(timeframe: str = "1h") -> Any:
                path = f"{reporter.path}/metrics?timeframe={timeframe}"
                return data_of(asker.get(path))

            eventually(lambda: asked()["summary"].get("requests", {}).get("last", 0) > 0)
            eventually(lambda: "responseTime" in reporter.metrics()["series"])
            eventually(lambda: sum(v for _, v in reporter.metrics()["series"]["requests"]) > 0)
            told, by_php = (
                asked(),
                data_of(asker.act("getMetrics", serviceId=reporter.service["id"])),
            )
            short, long = asked("1m"), asked("90d")
            path = f"/api/services/{reporter.service['id']}/metrics/percentiles"
            spread = data_of(asker.get(f"{path}?timeframe=1h"))["percentiles"]

    # What Prometheus answered.
    assert told["serviceId"] == reporter.service["serviceId"]
    summary = told["summary"]
    assert summary["errorRate"]["last"] == pytest.approx(0.1)
    assert summary["responseTime"]["avg"] == pytest.approx(20)
    assert 10 <= summary["responseTime"]["p50"] <= 25
    assert set(spread) == {"responseTime", "http_request_duration_seconds"}
    assert all(10 <= value <= 25 for _, value in spread["responseTime"]["p50"])
    assert spread["responseTime"]["p99"]
    assert summary["memory"]["last"] == 64
    assert summary["cache_fill"]["last"] == 0.5
    assert summary["http_request_duration_seconds"]["avg"] == pytest.approx(0.02)
    assert "http_requests_total" in summary
    assert not [name for name in summary if name.endswith(("_bucket", "_created", "_sum"))]
    assert set(by_php["series"]) == set(told["series"])
    assert short["series"]["memory"]
    for metrics in (told, short, long):
        assert all(len(points) <= 500 for points in metrics["series"].values())
    # What it had written to us meanwhile.
    stored = reporter.metrics()["summary"]
    assert stored["errorRate"]["avg"] == pytest.approx(0.1)
    assert stored["responseTime"]["avg"] == pytest.approx(20)
    assert stored["memory"]["last"] == 64


class TestTargets:
    def test_services_that_run_and_declare_endpoints_are_told(self, alice: Person) -> None:
        base = {"baseUrl": "https://shop.example.com"}
        several = [
            {"url": "http://[2606:4700::1111]:9100/metrics", "interval": "5s"},
            {"endpoint": "/m"},
        ]
        shop = alice.new_service(
            name="Shop", project="Web", configuration=base | {"metrics": several}
        )
        plain = {"metrics": {"url": "http://1.1.1.1/a?b=c", "interval": "1m", "timeout": "5s"}}
        other = alice.new_service(type="hosting", name="Site", configuration=plain)
        alice.new_service(name="Silent", configuration=base)
        ended = alice.new_service(name="Ended", configuration=plain)
        data_of(alice.delete(f"/api/services/{ended['id']}"))
        answer = alice.get(TARGETS)
        assert answer.status_code == 200
        assert answer.mimetype == "application/json"

        def told(service: dict[str, Any], target: str, **labels: str) -> dict[str, Any]:
            own = {
                "service_id": service["serviceId"],
                "service_name": service["name"],
                "project": service.get("project") or "",
                "type": service["type"],
            }
            return {
                "targets": [target],
                "labels": own | {f"__{name}__": text for name, text in labels.items()},
            }

        site = told(
            other,
            "1.1.1.1:80",
            scheme="http",
            metrics_path="/a",
            scrape_interval="1m",
            scrape_timeout="5s",
        )
        site["labels"]["__param_b"] = "c"
        assert answer.json == [
            told(
                shop,
                "[2606:4700::1111]:9100",
                scheme="http",
                metrics_path="/metrics",
                scrape_interval="5s",
                scrape_timeout="5s",
            ),
            told(shop, "shop.example.com:443", scheme="https", metrics_path="/m"),
            site,
        ]

    @on_sqlite
    def test_what_one_service_writes_breaks_discovery_for_nobody(self, alice: Person) -> None:
        """Prometheus refuses a whole answer for the name of one label."""
        odd = {
            "url": "http://metrics.example.com/m?a-b=1&%C3%A9=2&__proto=3&good_1=4&x%0A=5",
            "interval": "1\u0660s",
        }
        alice.new_service(configuration={"metrics": odd})
        (told,) = alice.get(TARGETS).json
        assert {name for name in told["labels"] if name.startswith("__")} == {
            "__scheme__",
            "__metrics_path__",
            "__param___proto",
            "__param_good_1",
        }

    @on_sqlite
    def test_addresses_that_are_not_called_are_left_out(
        self, make_app: MakeApp, new_person: NewPerson
    ) -> None:
        """Names are not looked up."""
        own = new_person("Alice", of=make_app(PROBE_ALLOWED_NETWORKS="10.1.0.0/16"))
        public = ["1.1.1.1", "metrics.example.com"]
        private = ["10.0.0.1", "127.0.0.1", "[::1]", "169.254.169.254", "[::ffff:10.0.0.1]"]
        spelled = ["2130706433", "0x7f.1", "127.1"]
        hosts = ["10.1.0.1", *private, *spelled, *public]
        declared = [{"url": f"http://{host}/metrics"} for host in hosts]
        own.new_service(configuration={"metrics": declared})
        told = [each["targets"] for each in own.get(TARGETS).json]
        assert told == [["10.1.0.1:80"], ["1.1.1.1:80"], ["metrics.example.com:80"]]

    def test_callers_are_told_of_what_they_may_read(
        self, alice: Person, bob: Person, admin: Person
    ) -> None:
        declared = {"metrics": {"url": "http://1.1.1.1/metrics"}}
        alice.new_service(configuration=declared)
        bob.new_service(configuration=declared)
        counts = [len(person.get(TARGETS).json) for person in (alice, bob, admin)]
        assert counts == [1, 1, 2]

    @on_sqlite
    def test_promtool_finds_nothing_wrong(self, app: Flask, alice: Person, tmp_path: Path) -> None:
        promtool = need_program("promtool")
        declared = {"metrics": {"url": "http://1.1.1.1/metrics", "interval": "5s"}}
        service = alice.new_service(name='The "shop"', configuration=declared)
        with served(app) as url:
            file = tmp_path / "prometheus.yml"
            file.write_text(json.dumps(scraping(url, alice.token)))
            checked = subprocess.run(
                [promtool, "check", "config", str(file)], capture_output=True, check=False
            )
            assert checked.returncode == 0, checked.stderr
            found = subprocess.run(
                [promtool, "check", "service-discovery", "--timeout=2s", str(file), "services"],
                capture_output=True,
                check=False,
            )
        assert found.returncode == 0, found.stderr
        (target,) = json.loads(found.stdout)
        assert target["labels"]["instance"] == "1.1.1.1:80"
        assert target["labels"]["service_id"] == service["serviceId"]
        assert target["labels"]["__scrape_interval__"] == "5s"


@on_sqlite
class TestAnUpstreamThatFails:
    @pytest.fixture(autouse=True)
    def service(self, alice: Person) -> str:
        self.alice = alice
        self.path = f"/api/services/{alice.new_service()['id']}/metrics"
        return self.path

    def ask(self, make_app: MakeApp, url: str) -> Any:
        client = make_app(PROMETHEUS_URL=url, LOG_LEVEL="error").test_client()
        return Person(client, "", "", self.alice.token).get(self.path)

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (500, b"oops"),
            (200, b"<html>"),
            (200, b"[]"),
            (200, b'{"status": "success", "data": {}}'),
            (200, b'{"status": "success", "data": [1]}'),
            (422, b'{"status": "error", "errorType": "bad_data", "error": "no"}'),
            (302, b""),
            (200, b" " * (17 * 1024 * 1024)),
        ],
    )
    def test_it_is_told_as_such(self, make_app: MakeApp, status: int, body: bytes) -> None:
        with answering(lambda _: (status, body)) as url:
            error_of(self.ask(make_app, url), 502, "UPSTREAM_ERROR")

    def test_odd_results_too(self, make_app: MakeApp) -> None:
        names = b'{"status": "success", "data": ["http_requests_total", "fill"]}'
        odd = b'{"status": "success", "data": {"result": [{"metric": {}}]}}'
        with answering(lambda path: (200, names if "__name__" in path else odd)) as url:
            error_of(self.ask(make_app, url), 502, "UPSTREAM_ERROR")

    def test_nobody_there(self, make_app: MakeApp) -> None:
        error_of(self.ask(make_app, f"http://127.0.0.1:{free_port()}"), 502, "UPSTREAM_ERROR")

    def test_one_that_is_slow(self, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
        from threading import Event

        from cms_services.monitoring.metrics import prometheus_api

        monkeypatch.setattr(prometheus_api, "_SECONDS", 0.2)
        ended = Event()

        def slow(_: str) -> tuple[int, bytes]:
            ended.wait(5)
            return 200, b""

        with answering(slow) as url:
            error_of(self.ask(make_app, url), 504, "UPSTREAM_TIMEOUT")
            ended.set()

    def test_a_service_is_asked_for_only_by_who_may_read_it(
        self, make_app: MakeApp, charlie: Person
    ) -> None:
        asked = []
        with answering(lambda path: asked.append(path) or (500, b"")) as url:  # type: ignore[func-returns-value]
            client = make_app(PROMETHEUS_URL=url).test_client()
            stranger = Person(client, "", "", charlie.token)
            error_of(stranger.get(self.path), 403, "FORBIDDEN")
        assert asked == []


def test_labels_of_identifiers_are_escaped() -> None:
    from cms_services.monitoring.metrics.promql import Selector

    assert Selector('a"}\\\n')("up") == r'up{service_id="a\"}\\\n"}'
