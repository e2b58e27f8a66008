"""Two nodes of the application behind nginx, beside php-fpm: where each request goes, and what is
refused, by whom, in which form."""

import http.client
import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cms_services.commands.cutover import cutover_group
from cms_services.web.errors import STATUS_OF_CODE
from tests.deploy.real_nginx import (
    CMS,
    DEPLOY,
    HOME,
    OFFICE,
    PAGES,
    Nginx,
    checked,
    logged,
    nginx_before,
    nginx_folder,
)
from tests.processes.servers import (
    Reply,
    Server,
    eventually,
    free_port,
    serving,
)

SHARED = {
    "SECRET_KEY": "one-key-for-all-nodes-of-this-installation",
    "ENCRYPTION_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
    "WORKER_BESIDE_WEB": "off",
    "TRUSTED_PROXIES": "1",
    "RATE_LIMITS": "off",
}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HSTS = "max-age=31536000"


@dataclass(frozen=True)
class Installation:
    """Two nodes over one database, a third address where nothing listens, and nginx."""

    nodes: tuple[Server, Server]
    nginx: Nginx
    token: str

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        return self.nginx.ask(method, path, body, Authorization=f"Bearer {self.token}", **headers)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("nodes")
    shared = SHARED | {"DATABASE_URL": f"sqlite:///{folder}/shared.sqlite3"}
    with (
        serving(folder / "one", **shared) as one,
        serving(folder / "two", **shared) as two,
        nginx_before([one.port, two.port], folder / "nginx") as nginx,
    ):
        yield Installation((one, two), nginx, one.token())


def refused(reply: Reply, status: int, code: str) -> dict[str, Any]:
    """The error of an answer that nginx itself gave, in the application's form."""
    assert reply.status == status, (reply.status, reply.body)
    assert reply.headers["Server"] == "nginx"
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Cache-Control"] == "no-store"
    assert len(reply.headers["X-Request-ID"]) == 32
    document = json.loads(reply.body)
    assert document["success"] is False
    assert document["error"]["code"] == code
    error: dict[str, Any] = document["error"]
    return error


class TestWhereRequestsGo:
    def test_nodes_share_the_work_and_no_worker_stands_beside_them(
        self, installation: Installation
    ) -> None:
        ids = [
            installation.ask("GET", "/api/service-types").headers["X-Request-ID"] for _ in range(4)
        ]
        for node in installation.nodes:
            eventually(
                lambda node=node: any(each in node.stdout for each in ids),  # type: ignore[misc]
                "each node has answered some of them",
            )
            assert "worker started" not in node.stdout

    def test_the_api_and_services_php_are_ours_and_other_scripts_php_s(
        self, installation: Installation
    ) -> None:
        nginx = installation.nginx
        assert nginx.ask("GET", "/services.php?getServiceTypes=1").data
        assert nginx.ask("GET", "/api/docs").status == 200
        told = json.loads(nginx.ask("GET", "/login.php?a=b", Proxy="http://evil.example").body)
        assert told == {"script": "/login.php", "query": "a=b", "address": HOME, "proxy": ""}
        assert nginx.ask("GET", "/style.css").body == b"body {}"
        for path in ("/.env", "/no.php", "/services.php/x", "/style.css/x.php"):
            reply = nginx.ask("GET", path)
            assert (reply.status, reply.headers["Server"]) == (404, "nginx"), path

    def test_headers_of_the_application_are_there_once(self, installation: Installation) -> None:
        for host, path in ((CMS, "/services.php?getServiceTypes=1"), (PAGES, "/login")):
            headers = installation.nginx.ask("GET", path, host=host).headers
            for name in ("Strict-Transport-Security", "X-Frame-Options", "X-Request-ID"):
                assert len(headers.get_all(name, [])) == 1, (path, name)
            assert headers["Strict-Transport-Security"] == HSTS
        assert installation.nginx.ask("GET", "/login.php").headers.get_all(
            "Strict-Transport-Security"
        ) == [HSTS]

    def test_what_only_machines_of_ours_ask_is_denied(self, installation: Installation) -> None:
        for path in ("/metrics", "/readyz"):
            refused(installation.nginx.ask("GET", path, host=PAGES), 403, "FORBIDDEN")
        assert installation.nginx.ask("GET", "/healthz", host=PAGES).status == 200

    def test_plain_http_leads_people_to_tls_and_refuses_programs(
        self, installation: Installation
    ) -> None:
        def plainly(path: str, host: str) -> Reply:
            connection = http.client.HTTPConnection(
                "127.0.0.1", installation.nginx.plain_port, timeout=20
            )
            connection.request("GET", path, headers={"Host": host})
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())

        for host in (CMS, PAGES):
            page = plainly("/services?q=1", host)
            assert (page.status, page.headers["Location"]) == (308, f"https://{host}/services?q=1")
            assert page.headers["Strict-Transport-Security"] is None
            assert plainly("/.well-known/acme-challenge/proof", host).body == b"proof"
            for path in ("/api/services", "/services.php?getServices=1"):
                refused(plainly(path, host), 403, "FORBIDDEN")


class TestLimits:
    def test_a_query_that_is_too_long_is_414_and_the_same_form_is_taken(
        self, installation: Installation
    ) -> None:
        nginx = installation.nginx
        form = "createService=1&type=api&project=shop&name=Long&description=" + "x" * 8500
        refused(nginx.ask("POST", f"/services.php?{form}"), 414, "URI_TOO_LONG")
        assert installation.ask("POST", "/services.php", form.encode(), **FORM).data["serviceId"]

    def test_at_every_length_it_is_answered_or_refused_in_our_form(
        self, installation: Installation
    ) -> None:
        found = set()
        for length in range(8150, 8200, 3):
            path = "/services.php?getServiceTypes=1&_="
            reply = installation.nginx.ask("GET", path + "x" * (length - len(path)))
            found.add(reply.status)
            if reply.status != 200:
                assert reply.status == 414
                assert json.loads(reply.body)["error"]["code"] == "URI_TOO_LONG"
        assert found == {200, 414}

    def test_a_body_that_is_too_long_is_413_but_for_batches(
        self, installation: Installation
    ) -> None:
        nginx = installation.nginx
        longer = b"x" * (1024 * 1024 + 1)
        for path in ("/services.php", "/api/services", "/api/auth/login"):
            refused(nginx.ask("POST", path, longer), 413, "PAYLOAD_TOO_LARGE")
        batches = (
            *("/api/services/1/logs", "/api/services/1/metrics", "/api/v1/write"),
            *("/v1/logs", "/v1/metrics", "/loki/api/v1/push"),
        )
        for path in batches:
            assert nginx.ask("POST", path, longer, host=PAGES).status == 401, path
            longest = b"x" * (10 * 1024 * 1024 + 1)
            refused(nginx.ask("POST", path, longest, host=PAGES), 413, "PAYLOAD_TOO_LARGE")

    def test_a_connection_outlives_a_body_that_nobody_reads(
        self, installation: Installation
    ) -> None:
        """nginx sends the next request on it, which would be lost."""
        node = installation.nodes[0]
        connection = http.client.HTTPConnection(node.host, node.port, timeout=20)
        connection.connect()
        connection.auto_open = 0
        for _ in range(2):
            connection.request("POST", "/v1/metrics", b"x" * 900_000)
            answer = connection.getresponse()
            assert (answer.status, answer.headers["Connection"]) == (401, "keep-alive")
            answer.read()
        connection.close()

    @pytest.mark.parametrize(
        ("sent", "status", "code"),
        [
            (b"GARBAGE\r\n\r\n", 400, "VALIDATION_ERROR"),
            (b"GET /api/services HTTP/1.1\r\n\r\n", 400, "VALIDATION_ERROR"),
            (
                b"GET /api/x HTTP/1.1\r\nHost: cms.example.com\r\nX: " + b"x" * 9000 + b"\r\n\r\n",
                431,
                "VALIDATION_ERROR",
            ),
            (
                b"GET /api/x HTTP/1.1\r\nHost: cms.example.com\r\nTransfer-Encoding: odd\r\n\r\n",
                501,
                "VALIDATION_ERROR",
            ),
            (
                b"TRACE /api/x HTTP/1.1\r\nHost: cms.example.com\r\nConnection: close\r\n\r\n",
                405,
                "METHOD_NOT_ALLOWED",
            ),
        ],
    )
    def test_what_is_no_request_is_refused_in_our_form(
        self, installation: Installation, sent: bytes, status: int, code: str
    ) -> None:
        head, _, body = installation.nginx.send(sent).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % status), head
        assert b"Content-Type: application/json" in head
        error = json.loads(body)["error"]
        assert error["code"] == code
        assert ("details" in error) == (code == "VALIDATION_ERROR")

    def test_plain_http_at_the_port_of_tls_is_led_to_it(self, installation: Installation) -> None:
        port = installation.nginx.port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/login", headers={"Host": PAGES})
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Location"]) == (308, f"https://{PAGES}/login")


def test_the_files_of_a_cutover_take_the_place_of_services_php(tmp_path: Path) -> None:
    nginx_folder(tmp_path / "nginx", [free_port()])
    table = tmp_path / "routes.yaml"
    table.write_text(
        f"php: http://127.0.0.1:{free_port()}\nflask: ['127.0.0.1:{free_port()}']\n"
        "default: php\nactions: {getServices: flask}\n"
    )
    written = str(tmp_path / "nginx" / "conf.d" / "cms-cutover.conf")
    done = CliRunner().invoke(cutover_group, ["nginx", str(table), "--out", written])
    assert done.exit_code == 0, done.output
    cms = tmp_path / "nginx" / "conf.d" / "cms.conf"
    ours = "    include cms-services/services-php.conf;\n"
    assert ours in cms.read_text()
    assert "`include conf.d/cms-cutover.location;`" in cms.read_text()
    cms.write_text(cms.read_text().replace(ours, "    include conf.d/cms-cutover.location;\n"))
    checked(tmp_path / "nginx")


def test_each_code_has_the_status_that_the_application_gives_it() -> None:
    text = (DEPLOY / "nginx" / "conf.d" / "cms-services.conf").read_text()
    (codes,) = re.findall(r"map \$status \$cms_services_refusal_code \{\n(.*?)\}", text, re.DOTALL)
    told = {code: int(status) for status, code in re.findall(r"(\d+) (\w+);", codes)}
    # It is told before the application is asked: cms_services/server.py.
    assert told.pop("URI_TOO_LONG") == 414
    assert told.items() <= STATUS_OF_CODE.items()


class TestStreams:
    def test_the_first_event_arrives_at_once_and_so_does_each_after_it(
        self, installation: Installation
    ) -> None:
        created = installation.ask("POST", "/api/services", {"name": "Live", "type": "api"}).data
        service = created["serviceId"]
        entries = {"entries": [{"level": "info", "message": "told at once"}]}
        sent = {"Authorization": f"Bearer {installation.token}"}
        for path, change, told in (
            ("/api/events/stream", f"/api/services/{service}/config", b"data: "),
            (f"/api/services/{service}/logs/tail", f"/api/services/{service}/logs", b"at once"),
        ):
            with installation.nginx.connected() as connection:
                connection.request("GET", path, headers=sent)
                answer = connection.getresponse()
                assert answer.status == 200
                # By HTTP/1.1 each piece of the application is a chunk.
                assert answer.read1().startswith(b": connected")
                body = entries if change.endswith("logs") else {"port": 3000}
                assert installation.ask("POST", change, body).status < 300
                received = b""
                deadline = time.monotonic() + 10
                while told not in received and time.monotonic() < deadline:
                    received += answer.read1()
                assert told in received


class TestLog:
    def test_lines_have_the_request_id_and_no_secrets(self, installation: Installation) -> None:
        nginx = installation.nginx
        reply = nginx.ask("GET", "/services.php?getServiceTypes=1&key=s3cret", address=OFFICE)
        line = logged(nginx, reply.headers["X-Request-ID"])
        assert (line["path"], line["address"], line["status"]) == ("/services.php", OFFICE, "200")
        assert line["node"].startswith("127.0.0.1:")
        link = nginx.ask("GET", "/api/services/download/links/t0ken-s3cret")
        line = logged(nginx, link.headers["X-Request-ID"])
        assert line["path"] == "/api/services/download/links/-"
        long = nginx.ask("GET", f"/services.php?s3cret={'x' * 9000}")
        assert logged(nginx, long.headers["X-Request-ID"])["status"] == "414"
        nginx.ask("POST", "/services.php?key=s3cret", b"x" * (1024 * 1024 + 1))
        texts = [path.read_text() for path in nginx.folder.glob("*.log")]
        assert not any("s3cret" in text for text in texts)


class TestNodesThatAreAway:
    def test_with_one_node_away_everything_is_answered_by_the_other(self, tmp_path: Path) -> None:
        shared = SHARED | {"DATABASE_URL": f"sqlite:///{tmp_path}/shared.sqlite3"}
        gone = free_port()
        with (
            serving(tmp_path / "one", **shared) as one,
            nginx_before([one.port, gone], tmp_path / "nginx") as nginx,
        ):
            token = one.token()
            bearer = {"Authorization": f"Bearer {token}"}
            for number in range(6):
                assert nginx.ask("GET", "/services.php?getServiceTypes=1").data
                # Not even a change is lost, since it was never sent to the node that is away.
                made = {"name": f"S{number}", "type": "api"}
                assert nginx.ask("POST", "/api/services", made, **bearer).status == 201

            one.signal_group(signal.SIGKILL)
            one.process.wait()
            # A connection that is kept open is found to be dead first, and that is another answer.
            eventually(
                lambda: nginx.ask("GET", "/api/service-types").status == 503,
                "nginx knows that nobody is there",
            )
            for path in ("/services.php?getServiceTypes=1", "/api/service-types"):
                reply = nginx.ask("GET", path)
                refused(reply, 503, "NOT_READY")
                assert reply.headers.get_all("Retry-After") == ["5"]
                assert reply.headers.get_all("Strict-Transport-Security") == [HSTS]
            page = nginx.ask("GET", "/login", host=PAGES)
            assert (page.status, page.headers["Retry-After"]) == (503, "5")
            assert page.headers["Content-Type"].startswith("text/html")
            assert json.loads(nginx.ask("GET", "/login.php").body)["script"] == "/login.php"

    def test_one_that_is_silent_is_given_up_and_too_many_connections_are_refused(
        self, tmp_path: Path
    ) -> None:
        # Less of each than in earnest.
        less = {
            "proxy_read_timeout 90s;": "proxy_read_timeout 5s;",
            "limit_conn cms_services_addresses 200;": "limit_conn cms_services_addresses 1;",
        }
        with (
            socket.create_server(("127.0.0.1", 0)) as silent,
            nginx_before([silent.getsockname()[1]], tmp_path / "nginx", less) as nginx,
            ThreadPoolExecutor(2) as threads,
        ):
            asked = [threads.submit(nginx.ask, "POST", "/api/services", {}) for _ in range(2)]
            refusal, late = sorted((each.result() for each in asked), key=lambda r: r.status)
            refused(refusal, 429, "RATE_LIMIT_EXCEEDED")
            assert refusal.headers["Retry-After"] == "5"
            refused(late, 504, "UPSTREAM_TIMEOUT")

    def test_a_change_that_was_sent_is_not_sent_again(self, tmp_path: Path) -> None:
        """Two nodes that close each connection once they have read what was sent."""
        with (
            socket.create_server(("127.0.0.1", 0)) as one,
            socket.create_server(("127.0.0.1", 0)) as two,
        ):
            taken: list[bytes] = []

            def break_off(listener: socket.socket) -> None:
                while True:
                    try:
                        connection, _ = listener.accept()
                    except OSError:
                        return
                    with connection:
                        taken.append(connection.recv(65536).split(b" ")[0])

            with ThreadPoolExecutor(2) as threads:
                for listener in (one, two):
                    threads.submit(break_off, listener)
                try:
                    ports = [each.getsockname()[1] for each in (one, two)]
                    with nginx_before(ports, tmp_path / "nginx") as nginx:
                        refused(nginx.ask("POST", "/api/services", {}), 502, "UPSTREAM_ERROR")
                        assert taken == [b"POST"]
                        # Those are left alone for a second.
                        eventually(
                            lambda: nginx.ask("GET", "/api/services").status == 502,
                            "a read is tried at both",
                        )
                        assert taken.count(b"GET") >= 1
                finally:
                    for listener in (one, two):
                        listener.shutdown(socket.SHUT_RDWR)
