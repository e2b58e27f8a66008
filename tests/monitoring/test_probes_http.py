"""Checks by HTTP, and scrapes, against a server that does as its path says."""

import asyncio
import html
import http.server
import json
import re
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from cms_services.clock import now
from cms_services.configuration.documents import Opened
from cms_services.monitoring.probes.declared import declared_scrapes
from cms_services.monitoring.probes.running import (
    MemoryUse,
    Scraped,
    Surroundings,
    overall_status,
    run_scrape,
)
from cms_services.outbound import AddressPolicy
from tests.monitoring.probing import LOCAL, Authority, run_all, run_one


class _Answers(http.server.BaseHTTPRequestHandler):
    server: "Target"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, self.path, dict(self.headers), body))
        said = {name: each[0] for name, each in parse_qs(urlsplit(self.path).query).items()}
        time.sleep(float(said.get("seconds", 0)))
        self.send_response(int(said.get("status", 200)))
        if "to" in said:
            self.send_header("Location", said["to"])
        text = said.get("body", "").encode() * int(said.get("times", 1))
        if said.get("body") == "authorization":
            text = self.headers["Authorization"].encode()
        text = self.server.answers.get(self.path, text)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_HEAD = do_PUT = answer

    def log_message(self, *_: Any) -> None:
        pass


class Target(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answers: dict[str, bytes] = {}
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_port}"
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)


def serve(target: Target) -> Iterator[Target]:
    threading.Thread(target=target.serve_forever, args=(0.05,), daemon=True).start()
    yield target
    target.shutdown()
    target.server_close()


@pytest.fixture(scope="module")
def shared() -> Iterator[Target]:
    yield from serve(Target())


@pytest.fixture
def other() -> Iterator[Target]:
    yield from serve(Target())


@pytest.fixture
def target(shared: Target) -> Target:
    shared.asked.clear()
    return shared


DOCUMENT = '{"status":"ok","n":1,"up":true,"parts":[{"name":"a"},{"name":"b"}]}'


@pytest.mark.parametrize(
    ("query", "options", "status", "message"),
    [
        ("", {}, "healthy", "HTTP 200"),
        ("?status=404", {}, "unhealthy", "HTTP 404"),
        ("?status=404", {"expectedStatus": 404}, "healthy", "HTTP 404"),
        ("?status=404", {"expectedStatus": ["2xx", "400-410"]}, "healthy", "HTTP 404"),
        ("?status=302&to=/", {"followRedirects": False}, "healthy", "HTTP 302"),
        ("?status=302&to=/%3Fstatus=500", {}, "unhealthy", "HTTP 500"),
        ("", {"expectedStatus": ["3xx"]}, "unhealthy", "HTTP 200"),
        ("?body=all+fine", {"keyword": "fine"}, "healthy", "HTTP 200"),
        ("?body=all+fine", {"keyword": "well"}, "unhealthy", "lacks the keyword"),
        ("?body=all+fine", {"absentKeyword": "fine"}, "unhealthy", "must be absent"),
        ("?body=all+fine", {"absentKeyword": "error"}, "healthy", "HTTP 200"),
        ("?seconds=0.1", {"maxResponseTime": "20ms"}, "degraded", "limit 20 ms"),
        ("?seconds=0.1&status=500", {"maxResponseTime": "20ms"}, "unhealthy", "HTTP 500"),
        ("", {"maxResponseTime": "5s"}, "healthy", "HTTP 200"),
        ("?seconds=2", {"timeout": "100ms"}, "unhealthy", "No answer within 0.1 s."),
    ],
)
def test_the_answer_decides(
    target: Target, query: str, options: dict[str, Any], status: str, message: str
) -> None:
    result = run_one("http", f"{target.url}/{query}", **options)
    assert result.status == status
    assert message in result.message


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("$.status", "healthy"),
        ("$.nothing", "unhealthy"),
        ({"path": "$.status", "equals": "ok"}, "healthy"),
        ({"path": "$.status", "equals": "down"}, "unhealthy"),
        ({"path": "$.n", "equals": 1}, "healthy"),
        ({"path": "$.n", "equals": True}, "unhealthy"),
        ({"path": "$.up", "equals": True}, "healthy"),
        ({"path": "$.parts[*].name", "equals": "b"}, "healthy"),
        ({"path": "$.status", "contains": "o"}, "healthy"),
        ({"path": "$.parts", "contains": {"name": "a"}}, "healthy"),
        ({"path": "$.parts[0]", "contains": "name"}, "healthy"),
        ({"path": "$.parts[0]", "contains": "a"}, "unhealthy"),
        ({"path": "$.error", "exists": False}, "healthy"),
        ({"path": "$.status", "exists": False}, "unhealthy"),
        ({"path": "$.parts[?@.name == 'b']"}, "healthy"),
        ({"path": "$.parts[?@.name == 'c']"}, "unhealthy"),
        ({"path": "$..name", "equals": "a"}, "healthy"),
    ],
    ids=str,
)
def test_a_condition_on_a_json_answer(target: Target, condition: Any, status: str) -> None:
    result = run_one("http", f"{target.url}/?body={DOCUMENT}", jsonPath=condition)
    assert result.status == status, result.message


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("?body=fine", "the answer is no JSON"),
        ("?body=1&times=100000", "no JSON (of which 64 KiB were read)"),
        (f"?body={'[' * 500}{']' * 500}", "nested too deep"),
        ("?body=[[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[0]]]", "$..a is not there"),
    ],
    ids=["text", "long", "deep", "fine"],
)
def test_what_a_condition_can_not_be_asked_of(target: Target, query: str, message: str) -> None:
    result = run_one("http", f"{target.url}/{query}", jsonPath="$..a")
    assert result.status == "unhealthy"
    assert message in result.message


@pytest.mark.parametrize(
    ("path", "element", "times", "message"),
    [
        ("$..a", "[]", 20_000, "more than 2,000 values"),
        ("$..[?@.a]", "[]", 20_000, "more than 2,000 values"),
        ("$[*][*][*]", "[]", 20_000, "more than 2,000 values"),
        ("$..*[*][*][*][*][*][5]", "[[[[[[[[[0]]]]]]]]]", 190, "more than 5,000 steps"),
        ("$..[?count(@.*)>1]", "[]", 1500, "is not there"),
        ("$[0].a", "{}", 20_000, "is not there"),
    ],
)
def test_a_path_that_would_take_long_is_given_up(
    target: Target, path: str, element: str, times: int, message: str
) -> None:
    target.answers["/many"] = f"[{','.join([element] * times)}]".encode()
    result = run_one("http", f"{target.url}/many", jsonPath=path)
    assert result.status == "unhealthy"
    assert message in result.message


def test_method_headers_and_body_are_sent(target: Target) -> None:
    headers = {"X-Key": "a", "Host": "shop.example", "User-Agent": "mine"}
    run_one("http", f"{target.url}/a?b=c", method="POST", headers=headers, body={"a": [1]})
    run_one("http", f"{target.url}/d", method="PUT", body="zoë")
    run_one("http", f"{target.url}/e", method="HEAD")
    (post, put, head) = target.asked
    assert (post[0], post[1], json.loads(post[3])) == ("POST", "/a?b=c", {"a": [1]})
    assert headers.items() <= post[2].items()
    assert post[2]["Content-Type"] == "application/json"
    assert (put[0], put[3]) == ("PUT", "zoë".encode())
    assert (head[0], head[3]) == ("HEAD", b"")


def test_a_redirect_takes_headers_and_body_to_the_same_origin_alone(
    target: Target, other: Target
) -> None:
    sent = {"headers": {"Authorization": "Bearer geheim"}, "method": "POST", "body": "secret"}
    same = run_one("http", f"{target.url}/?status=307&to=/there", **sent)
    assert same.status == "healthy"
    assert target.asked[1][2]["Authorization"] == "Bearer geheim"
    assert target.asked[1][3] == b"secret"
    turned = run_one("http", f"{target.url}/?status=307&to={other.url}/", **sent)
    assert turned.status == "unknown"
    assert "another origin" in turned.message
    assert other.asked == []
    fetched = run_one("http", f"{target.url}/?status=303&to={other.url}/", **sent)
    assert fetched.status == "healthy"
    ((method, _, headers, body),) = other.asked
    assert (method, body) == ("GET", b"")
    assert "Authorization" not in headers


def test_a_result_tells_each_step_and_how_a_bad_answer_begins(target: Target) -> None:
    result = run_one("http", f"{target.url}/?status=503&seconds=0.05&body=broken+&times=200")
    assert result.details["statusCode"] == 503
    assert result.details["excerpt"] == ("broken " * 200)[:500]
    timings = result.details["timings"]
    assert set(timings) == {"connect", "firstByte", "total"}
    assert timings["firstByte"] >= 50
    assert timings["connect"] + timings["firstByte"] <= timings["total"] + 1
    assert result.response_time_ms == timings["total"]
    named = run_one("http", f"http://localhost:{target.server_port}/")
    assert named.details["timings"]["dns"] > 0
    assert "excerpt" not in named.details


def test_no_secret_of_a_check_is_told(target: Target) -> None:
    authentication = {"token": {"value": "geheim-token", "secret": True}}
    # As an import may have stored it; an opened document marks it in the same way.
    apis = [{"baseUrl": f"{target.url}/?status=500&body=authorization"}]
    apis[0]["authentication"] = authentication  # type: ignore[assignment]
    (result,) = run_all({"externalApis": apis, "healthCheck": {"checks": ["external_apis"]}})
    assert target.asked[0][2]["Authorization"] == "Bearer geheim-token"
    assert result.status == "unhealthy"
    assert result.details["excerpt"] == "encrypted"
    assert "geheim" not in str(result)
    address = f"http://ada:geheim@127.0.0.1:{target.server_port}/?status=500&body=geheim"
    assert "geheim" not in str(run_one("http", address))


PASSWORD = 'g"ehe/im\\&<ä+77%'
FORMS = {
    "plain": PASSWORD,
    "JSON": json.dumps(PASSWORD)[1:-1],
    "JSON in UTF-8": json.dumps(PASSWORD, ensure_ascii=False)[1:-1],
    "PHP's JSON": json.dumps(PASSWORD)[1:-1].replace("/", "\\/"),
    "URL": quote(PASSWORD, safe=""),
    "URL in small letters": re.sub("%..", lambda found: found[0].lower(), quote(PASSWORD)),
    "HTML": html.escape(PASSWORD),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
class TestSecretsInOtherForms:
    @staticmethod
    def told(form: str) -> str:
        return f"/?status=500&body={quote(f'[{form}]', safe='')}"

    def test_of_basic_authentication(self, target: Target, form: str) -> None:
        password = {"value": PASSWORD, "secret": True}
        authentication = {"type": "basic", "username": "ada", "password": password}
        apis = [{"baseUrl": target.url + self.told(form), "authentication": authentication}]
        (result,) = run_all({"externalApis": apis, "healthCheck": {"checks": ["external_apis"]}})
        assert result.details["excerpt"] == "[encrypted]"

    def test_of_a_header(self, target: Target, form: str) -> None:
        headers = {"Authorization": Opened(f"Token {PASSWORD}")}
        result = run_one("http", target.url + self.told(form), headers=headers)
        assert result.details["excerpt"] == "[encrypted]"

    def test_of_an_address(self, target: Target, form: str) -> None:
        address = f"http://ada:{quote(PASSWORD, safe='')}@127.0.0.1:{target.server_port}"
        result = run_one("http", address + self.told(form))
        assert result.details["excerpt"] == "[encrypted]"


def test_a_long_secret_that_an_answer_lacks_is_not_told_in_part(target: Target) -> None:
    wanted = {"path": "$.key", "equals": Opened("geheim" * 30)}
    result = run_one("http", f"{target.url}/?body=%7B%7D", jsonPath=wanted)
    assert result.message == 'HTTP 200, but $.key is not "encrypted"'


def test_external_apis_are_asked_with_their_authentication(target: Target) -> None:
    def api(name: str, **authentication: str) -> dict[str, Any]:
        return {"name": name, "baseUrl": f"{target.url}/{name}", "authentication": authentication}

    results = run_all(
        {
            "externalApis": [
                api("basic", type="basic", username="ada", password="pw"),
                api("key", type="api_key", apiKey="k7"),
                api("none"),
            ],
            "healthChecks": [
                {"type": "external_apis", "name": "all", "expectedStatus": "2xx"},
                {"type": "external_apis", "name": "one", "target": "key"},
            ],
        }
    )
    assert [each.name for each in results] == ["all: basic", "all: key", "all: none", "one: key"]
    assert {each.status for each in results} == {"healthy"}
    sent = {path: headers for _, path, headers, _ in target.asked}
    assert sent["/basic"]["Authorization"] == "Basic YWRhOnB3"
    assert sent["/key"]["X-API-Key"] == "k7"


def test_only_limits_make_a_service_degraded(target: Target) -> None:
    slow = {"type": "response_time", "target": f"{target.url}/?seconds=0.1", "limit": "20ms"}
    results = run_all(
        {
            "runtime": {"memoryLimit": "100MB"},
            "healthChecks": [slow, {"type": "memory_usage"}, {"type": "smell"}],
        },
        memory=MemoryUse(95, now()),
    )
    assert [each.status for each in results] == ["degraded", "degraded", "unknown"]
    assert results[1].message == "95 MB, limit 90 MB"
    assert overall_status(results) == "degraded"
    gone = run_one("http", "http://127.0.0.1:1/")
    assert (gone.status, gone.message) == ("unhealthy", "No connection: connection refused.")
    assert overall_status([*results, gone]) == "unhealthy"
    assert overall_status(results[2:]) == overall_status([]) == "unknown"


@pytest.mark.parametrize(
    ("limit", "used", "minutes", "status"),
    [
        (None, 460, 0, "healthy"),
        (None, 461, 0, "degraded"),
        ("50%", 257, 0, "degraded"),
        ("1GiB", 1073, 0, "healthy"),
        ("1GiB", 1074, 0, "degraded"),
        ("400MB", 10, 6, "unknown"),
    ],
)
def test_memory_is_judged_by_the_newest_value(
    limit: str | None, used: float, minutes: int, status: str
) -> None:
    check = {"type": "memory_usage", "limit": limit}
    (result,) = run_all(
        {"runtime": {"memoryLimit": "512MB"}, "healthChecks": [check]},
        memory=MemoryUse(used, now() - timedelta(minutes=minutes)),
    )
    assert result.status == status, result.message


def test_checks_run_side_by_side(target: Target) -> None:
    slow = {"type": "http", "target": f"{target.url}/?seconds=1"}
    began = time.monotonic()
    results = run_all({"healthChecks": [slow] * 10})
    assert {each.status for each in results} == {"healthy"}
    assert time.monotonic() - began < 6


def test_a_private_certificate_holds_by_its_own_authority(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = authority.server_context("127.0.0.1", now() + timedelta(days=90))
    for target in serve(Target(context)):
        refused = run_one("https", target.url)
        assert refused.status == "unhealthy"
        assert "Certificate does not hold" in refused.message
        trusted = run_one("http", target.url, ca=authority.pem)
        assert trusted.status == "healthy"
        assert trusted.details["timings"]["tls"] > 0
        assert run_one("http", target.url, verify=False).status == "healthy"
        assert "ca holds no certificate" in run_one("http", target.url, ca="x").message


class TestScrapes:
    def test_the_text_of_an_endpoint(self, target: Target) -> None:
        scraped = scrape({"endpoint": "/m?body=a+1", "headers": {"X-A": "b"}}, target)
        assert (scraped.status, scraped.text, scraped.name) == ("healthy", "a 1", "metrics")
        headers = target.asked[0][2]
        assert headers["X-A"] == "b"
        assert headers["Accept"].startswith("text/plain")

    @pytest.mark.parametrize(
        ("query", "options", "status", "message"),
        [
            ("?status=500", {}, "unhealthy", "HTTP 500"),
            ("?body=0123456789&times=420000", {}, "unhealthy", "longer than 4 MiB"),
            ("?seconds=2", {"timeout": "100ms"}, "unhealthy", "No answer within 0.1 s."),
            ("", {"interval": "1s"}, "unknown", "interval"),
        ],
    )
    def test_what_is_no_text(
        self, target: Target, query: str, options: dict[str, Any], status: str, message: str
    ) -> None:
        scraped = scrape({"endpoint": f"/{query}"} | options, target)
        assert (scraped.status, scraped.text) == (status, "")
        assert message in scraped.message

    def test_a_private_address_is_not_asked(self, target: Target) -> None:
        scraped = scrape({"endpoint": "/"}, target, AddressPolicy(()))
        assert scraped.status == "unknown"
        assert target.asked == []


def scrape(declared: dict[str, Any], target: Target, policy: AddressPolicy = LOCAL) -> Scraped:
    (check,) = declared_scrapes({"baseUrl": target.url, "metrics": declared})
    return asyncio.run(run_scrape(check, Surroundings(policy)))
