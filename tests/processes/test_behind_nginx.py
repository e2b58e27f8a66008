"""Behind nginx, as docs/deploying.md says: the address is the client's own, whatever it claims."""

import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.databases import need_server
from tests.local_servers import free_port
from tests.processes.servers import EMAIL, PASSWORD, Reply, Server, eventually, serving

DOCUMENT = Path(__file__).parents[2] / "docs" / "deploying.md"
CMS, PAGES = "cms.example.com", "services.example.com"
# Addresses of this machine that are neither nginx's nor each other's.
HOME, OFFICE = "127.0.0.2", "127.0.0.3"
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


class Nginx:
    """A running nginx in front of the application, and a client that calls it by TLS."""

    def __init__(self, port: int, certificate: Path) -> None:
        self.port = port
        self._context = ssl.create_default_context(cafile=str(certificate))

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        address: str = HOME,
        host: str = CMS,
        **headers: str,
    ) -> Reply:
        """Send one request from an address of this machine, with a body as JSON."""
        plain = socket.create_connection(("127.0.0.1", self.port), 20, (address, 0))
        connection = http.client.HTTPConnection(host)
        connection.sock = self._context.wrap_socket(plain, server_hostname=host)
        sent = {"Content-Type": "application/json"} if body is not None else {}
        try:
            connection.request(method, path, json.dumps(body) if body else None, sent | headers)
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        finally:
            connection.close()


def documented_blocks() -> list[str]:
    """The nginx configuration that the document shows: the servers, and cms_proxy.conf."""
    return re.findall(r"```nginx\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)


def write_certificate(folder: Path) -> Path:
    """A certificate for both host names, with its key beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, CMS)])
    begin = datetime.now(UTC) - timedelta(days=1)
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in (CMS, PAGES)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=7))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


def write_configuration(folder: Path, port: int, application: int) -> Path:
    """The documented configuration, with ports and a certificate of the test's own."""
    servers, proxying = documented_blocks()
    for documented, ours in (
        ("server 127.0.0.1:8000;", f"server 127.0.0.1:{application};"),
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        (
            "# ssl_certificate …; ssl_certificate_key …;",
            "ssl_certificate certificate.pem; ssl_certificate_key key.pem;",
        ),
    ):
        assert documented in servers
        servers = servers.replace(documented, ours)
    (folder / "servers.conf").write_text(servers)
    (folder / "cms_proxy.conf").write_text(proxying)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    user = "user root;" if os.geteuid() == 0 else ""
    path = folder / "nginx.conf"
    path.write_text(
        f"daemon off; {user} worker_processes 1; pid {folder}/nginx.pid; error_log stderr;\n"
        "events {}\n"
        f"http {{ access_log off;\n{temporary}\ninclude servers.conf;\n}}\n"
    )
    return path


@contextmanager
def nginx_before(server: Server, folder: Path) -> Iterator[Nginx]:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        need_server("there is no nginx")
    folder.mkdir()
    certificate = write_certificate(folder)
    nginx = Nginx(free_port(), certificate)
    configuration = write_configuration(folder, nginx.port, server.port)
    with (folder / "stderr").open("wb") as errors:
        process = subprocess.Popen(
            [program, "-p", str(folder), "-c", str(configuration), "-e", "stderr"], stderr=errors
        )
    try:
        eventually(lambda: _listens(nginx.port), "nginx listens")
        yield nginx
    finally:
        process.terminate()
        process.wait(20)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


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
        nginx_before(server, folder / "nginx") as nginx,
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
