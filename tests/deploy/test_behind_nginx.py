"""Behind nginx, as deploy/nginx has it: the address is the client's own, whatever it claims."""

import http.client
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.real_nginx import CMS, HOME, OFFICE, PAGES, Nginx, nginx_before
from tests.processes.servers import EMAIL, PASSWORD, Reply, Server, eventually, serving

FORGED = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "8080",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Protocol": "http",
    "X-Forwarded-Ssl": "off",
    "X-Real-IP": "203.0.113.9",
    "Forwarded": "for=203.0.113.9;proto=http;host=evil.example",
    "True-Client-IP": "203.0.113.9",
    "X_Forwarded_For": "203.0.113.9",
    "SCRIPT_NAME": "/evil",
    "REMOTE_ADDR": "203.0.113.9",
}
# What would make a plain request look like one by TLS from elsewhere.
FLATTERING = FORGED | {
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Protocol": "ssl",
    "X-Forwarded-Ssl": "on",
    "Forwarded": "for=203.0.113.9;proto=https;host=evil.example",
}


def addresses_logged(server: Server, request_ids: set[str]) -> list[str]:
    """The address of each of these requests, as the log lines have it."""

    def lines() -> list[dict[str, Any]]:
        told = [json.loads(line) for line in server.stdout.splitlines()]
        wanted = [line for line in told if line.get("request_id") in request_ids]
        return [line for line in wanted if line["message"] == "request"]

    eventually(lambda: len(lines()) == len(request_ids), "the requests are logged")
    return [line["address"] for line in lines()]


def remaining(reply: Reply) -> int:
    return int(reply.headers["RateLimit-Remaining"])


@pytest.fixture(scope="class")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Nginx]]:
    """The application, which trusts one proxy, and nginx before it."""
    folder = tmp_path_factory.mktemp("behind")
    with (
        serving(folder / "application", TRUSTED_PROXIES="1") as server,
        nginx_before([server.port], folder / "nginx") as nginx,
    ):
        yield server, nginx


class TestBehindNginx:
    def test_the_address_is_the_real_one_in_log_line_and_audit_entry(
        self, behind: tuple[Server, Nginx]
    ) -> None:
        server, nginx = behind
        given = {"email": EMAIL, "password": PASSWORD}
        signed_in = [
            nginx.ask("POST", "/api/auth/login", given, address=address, **FORGED)
            for address in (HOME, OFFICE)
        ]
        ids = {reply.headers["X-Request-ID"] for reply in signed_in}
        assert sorted(addresses_logged(server, ids)) == [HOME, OFFICE]
        token = signed_in[0].data["accessToken"]
        bearer = {"Authorization": f"Bearer {token}"}
        entries = nginx.ask("GET", "/api/audit?limit=10", **bearer, **FORGED).data
        noted = {each["requestId"]: each["address"] for each in entries if each["requestId"] in ids}
        assert sorted(noted.values()) == [HOME, OFFICE]
        sessions = nginx.ask("GET", "/api/auth/sessions", **bearer).data
        assert {each["address"] for each in sessions} == {HOME, OFFICE}

    def test_limits_are_counted_by_it(self, behind: tuple[Server, Nginx]) -> None:
        _, nginx = behind

        def left(number: int, address: str) -> int:
            claimed = FORGED | {"X-Forwarded-For": f"203.0.113.{number}"}
            return remaining(nginx.ask("GET", "/api/service-types", address=address, **claimed))

        # The minute that is counted in may end during one of them.
        counted = [[left(n, each) for n in range(3)] for each in ("127.0.0.4", "127.0.0.7")]
        assert [119, 118, 117] in counted
        assert left(1, "127.0.0.5") == 119

    def test_tls_is_told_and_cannot_be_talked_away(self, behind: tuple[Server, Nginx]) -> None:
        _, nginx = behind
        given = {"email": EMAIL, "password": PASSWORD}
        for headers in ({}, FORGED):
            reply = nginx.ask("POST", "/api/auth/login", given, address="127.0.0.6", **headers)
            assert "; Secure" in reply.headers["Set-Cookie"]
            assert reply.headers["Strict-Transport-Security"] == "max-age=31536000"

    def test_no_forged_host_is_our_own(self, behind: tuple[Server, Nginx]) -> None:
        _, nginx = behind
        evil = nginx.ask("POST", "/api/auth/logout", Origin="https://evil.example", **FORGED)
        assert evil.status == 403
        own = nginx.ask("POST", "/api/auth/logout", Origin=f"https://{CMS}", **FORGED)
        assert own.status == 401
        page = nginx.ask("GET", "/", host=PAGES, **FORGED)
        assert (page.status, page.headers["Location"]) == (303, "/login")

    def test_each_host_name_has_what_is_its_own(self, behind: tuple[Server, Nginx]) -> None:
        _, nginx = behind
        assert nginx.ask("GET", "/services.php?getServiceTypes=1").data
        assert nginx.ask("GET", "/api/docs").status == 200
        assert nginx.ask("GET", "/static/style.css").status == 200
        for path in ("/login", "/metrics", "/healthz", "/services.php/x"):
            assert nginx.ask("GET", path).headers["Server"].startswith("nginx")
            assert nginx.ask("GET", path).status == 404
        assert nginx.ask("GET", "/login", host=PAGES).status == 200
        assert nginx.ask("GET", "/metrics", host=PAGES).status == 403
        assert nginx.ask("GET", "/login", host=PAGES, Host="evil.example").status == 421


class TestWithoutATrustedProxy:
    def test_what_a_client_says_of_itself_is_ignored(self, tmp_path: Path) -> None:
        with serving(tmp_path) as server:
            reply = plainly(server, "/api/auth/login", {"email": EMAIL, "password": PASSWORD})
            assert reply.status == 200
            assert addresses_logged(server, {reply.headers["X-Request-ID"]}) == ["127.0.0.1"]
            assert "Secure" not in reply.headers["Set-Cookie"]
            assert reply.headers["Strict-Transport-Security"] is None
            first, second = (plainly(server, "/services.php?getServiceTypes=1") for _ in range(2))
            assert remaining(second) == remaining(first) - 1


def plainly(server: Server, path: str, body: Any = "") -> Reply:
    """Ask the application itself, with headers that flatter."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
    headers = FLATTERING | {"X-Forwarded-For": f"203.0.113.{os.urandom(1)[0]}"}
    try:
        connection.request(
            "POST", path, json.dumps(body or {}), headers | {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        return Reply(answer.status, answer.headers, answer.read())
    finally:
        connection.close()
