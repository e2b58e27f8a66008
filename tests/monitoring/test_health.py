"""Health checks against real listeners, and the reports made of them."""

import http.server
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import MakeApp, NewPerson
from tests.people import Person, data_of, error_of


class _Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.seen.append(self.path)  # type: ignore[attr-defined]
        if self.path == "/slow":
            time.sleep(0.5)
        if self.path == "/wait":
            self.server.go_on.wait(10)  # type: ignore[attr-defined]
        status = {"/broken": 503, "/away": 302, "/inside": 302}.get(self.path, 200)
        self.send_response(status)
        if self.path == "/away":
            self.send_header("Location", "/health")
        if self.path == "/inside":
            self.send_header("Location", "http://169.254.169.254/latest/meta-data")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def target() -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    server.seen = []  # type: ignore[attr-defined]
    server.go_on = threading.Event()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def url(target: http.server.ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{target.server_port}"


@pytest.fixture
def prober(make_app: MakeApp, new_person: NewPerson) -> Person:
    """Somebody on an installation that may call this machine."""
    return new_person("Alice", of=make_app(PROBE_ALLOWED_NETWORKS="127.0.0.0/8"))


def check(person: Person, **configuration: Any) -> dict[str, Any]:
    service = person.new_service(configuration=configuration)
    report: dict[str, Any] = data_of(
        person.get(f"/services.php?healthCheck=true&serviceId={service['serviceId']}")
    )
    assert data_of(person.get(f"/api/services/{service['id']}/health")) == report
    return report


class TestReports:
    def test_a_service_that_answers_is_healthy(self, prober: Person, url: str) -> None:
        report = check(prober, baseUrl=url, healthCheck={"endpoint": "/health", "timeout": "5s"})
        assert report["status"] == "healthy"
        assert report["responseTimeMs"] > 0
        assert report["uptime"] == {"24h": 100, "7d": 100, "30d": 100}
        (http_check,) = report["checks"]
        assert (http_check["type"], http_check["status"]) == ("http", "healthy")
        assert http_check["message"] == "HTTP 200"
        assert set(report) == {
            "serviceId", "status", "checkedAt", "responseTimeMs", "checks", "uptime",
        }  # fmt: skip

    def test_without_checks_it_is_unknown(self, prober: Person) -> None:
        report = check(prober)
        assert (report["status"], report["checks"]) == ("unknown", [])
        assert report["uptime"] == {"24h": None, "7d": None, "30d": None}
        fresh = prober.new_service()
        never = data_of(prober.get(f"/api/services/{fresh['id']}/health"))
        assert (never["status"], never["checkedAt"]) == ("unknown", None)

    @pytest.mark.parametrize(
        ("checks", "status"),
        [
            ([{"type": "http", "target": "/health"}], "healthy"),
            ([{"type": "http", "target": "/away"}], "healthy"),
            ([{"type": "http", "target": "/broken"}], "unhealthy"),
            ([{"type": "http", "target": "/slow", "timeout": "100ms"}], "unhealthy"),
            ([{"type": "response_time", "target": "/slow", "limit": "50ms"}], "degraded"),
            ([{"type": "http", "target": "/health"}, {"type": "smell"}], "healthy"),
            ([{"type": "smell"}], "unknown"),
            ([{"type": "http", "target": "ftp://x"}], "unknown"),
            (["http"], "unknown"),
            ([{"type": "tcp", "target": "nonsense"}], "unknown"),
        ],
        ids=str,
    )
    def test_the_gravest_finding_decides(
        self, prober: Person, url: str, checks: list[Any], status: str
    ) -> None:
        report = check(prober, baseUrl=url, healthChecks=checks)
        assert report["status"] == status
        assert len(report["checks"]) == len(checks)
        assert all(each["message"] for each in report["checks"])

    def test_tcp_checks_connect(
        self, prober: Person, target: http.server.ThreadingHTTPServer
    ) -> None:
        address = f"127.0.0.1:{target.server_port}"
        open_port = check(prober, healthChecks=[{"type": "tcp", "target": address}])
        assert open_port["status"] == "healthy"
        closed = check(prober, healthChecks=[{"type": "tcp", "target": "127.0.0.1:1"}])
        assert closed["status"] == "unhealthy"

    def test_history_follows_the_reports(self, prober: Person, url: str) -> None:
        service = prober.new_service(configuration={"healthCheck": {"url": f"{url}/health"}})
        path = f"/api/services/{service['id']}"
        data_of(prober.post(f"{path}/health"))
        prober.put(f"{path}/config", json={"healthCheck": {"url": f"{url}/broken"}})
        data_of(prober.post(f"{path}/health"))
        history = data_of(prober.get(f"{path}/health/history"))
        assert [each["status"] for each in history] == ["unhealthy", "healthy"]

    def test_others_check_nothing(self, alice: Person, charlie: Person) -> None:
        path = f"/api/services/{alice.new_service()['id']}/health"
        error_of(charlie.post(path), 403, "FORBIDDEN")
        error_of(charlie.get(path), 403, "FORBIDDEN")


class TestAddresses:
    @pytest.mark.parametrize(
        "host",
        ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1",
         "0.0.0.0", "192.168.1.1", "[fe80::1]", "[fd00::1]", "224.0.0.1", "2130706433"],
    )  # fmt: skip
    def test_a_private_target_is_never_called(
        self, alice: Person, target: http.server.ThreadingHTTPServer, host: str
    ) -> None:
        target.seen.clear()  # type: ignore[attr-defined]
        address = f"{host}:{target.server_port}"
        report = check(
            alice,
            healthChecks=[
                {"type": "http", "target": f"http://{address}/x", "timeout": "2s"},
                {"type": "tcp", "target": address, "timeout": "2s"},
            ],
        )
        assert report["status"] == "unknown"
        assert target.seen == []  # type: ignore[attr-defined]

    def test_a_redirect_leads_no_further_than_the_address_itself(
        self, prober: Person, url: str
    ) -> None:
        report = check(prober, healthCheck={"url": f"{url}/inside"})
        assert report["status"] == "unknown"
        assert "169.254.169.254" in report["checks"][0]["message"]


class TestManyAtOnce:
    def test_some_threads_are_left_for_others(
        self,
        make_app: MakeApp,
        new_person: NewPerson,
        target: http.server.ThreadingHTTPServer,
        url: str,
    ) -> None:
        app = make_app(PROBE_ALLOWED_NETWORKS="127.0.0.0/8", WEB_THREADS="2")
        alice = new_person("Alice", of=app)
        slow, quick = (
            alice.new_service(configuration={"healthCheck": {"url": f"{url}{path}"}})
            for path in ("/wait", "/health")
        )
        answers: list[int] = []

        def check_slow() -> None:
            answers.append(alice.post(f"/api/services/{slow['id']}/health").status_code)

        waiting = threading.Thread(target=check_slow)
        waiting.start()
        while "/wait" not in target.seen:  # type: ignore[attr-defined]
            time.sleep(0.01)
        refused = alice.post(f"/api/services/{quick['id']}/health")
        error_of(refused, 503, "NOT_READY")
        assert int(refused.headers["Retry-After"]) > 0
        data_of(alice.get("/api/services"))
        target.go_on.set()  # type: ignore[attr-defined]
        waiting.join()
        target.go_on.clear()  # type: ignore[attr-defined]
        target.seen.clear()  # type: ignore[attr-defined]
        assert answers == [200]
        data_of(alice.post(f"/api/services/{quick['id']}/health"))
