"""The PHP project: it is whole for every name, passes its own tests, and runs beside us."""

import getpass
import http.client
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings

from cms_services.downloads.scaffold import scaffold_files
from tests.databases import fresh_server_database, need_server
from tests.downloads.samples import HOSTILE, a_subject, program, unicode_text
from tests.local_servers import free_port
from tests.processes.servers import Server, eventually, start
from tests.scaffolds.running import (
    Listed,
    in_project,
    metrics_of,
    our_application,
    started,
    stopped,
    write_project,
)

TEMPLATE = "php-backend"
DRIVERS = {"sqlite": "pdo_sqlite", "postgresql": "pdo_pgsql", "mariadb": "pdo_mysql"}
EMAIL, PASSWORD = "ada@example.com", "correct horse battery"


POOL = """
[global]
daemonize = no
error_log = /dev/stderr
[app]
user = {user}
listen = {folder}/fpm.sock
pm = static
pm.max_children = 2
clear_env = no
catch_workers_output = yes
decorate_workers_output = no
"""
NGINX = """
daemon off; {user} worker_processes 1; pid {folder}/nginx.pid; error_log stderr;
events {{}}
http {{
  access_log off; types {{ text/css css; }}
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{
    listen 127.0.0.1:{port};
    root {project}/public;
    location / {{ try_files $uri @app; }}
    location ~ \\.php$ {{ return 404; }}
    location @app {{
      include /etc/nginx/fastcgi_params;
      fastcgi_param SCRIPT_FILENAME $document_root/index.php;
      fastcgi_pass unix:{folder}/fpm.sock;
    }}
  }}
}}
"""


def php(*extensions: str) -> str:
    """The program, where it has these extensions."""
    found = program("php")
    loaded = subprocess.run([found, "-m"], capture_output=True, text=True, check=True).stdout
    missing = set(extensions) - set(loaded.split())
    return need_server(f"PHP has no {sorted(missing)[0]}") if missing else found


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    write_project(folder, TEMPLATE)
    return folder


class TestFiles:
    @pytest.mark.parametrize("text", HOSTILE)
    def test_every_document_can_be_read_whatever_people_wrote(self, text: str) -> None:
        self._check(text)

    @settings(max_examples=40, deadline=None)
    @given(unicode_text)
    def test_so_it_is_for_any_text(self, text: str) -> None:
        self._check(text)

    def _check(self, text: str) -> None:
        files = scaffold_files(
            a_subject(template=TEMPLATE, name=text, description=text, service_id=text)
        )
        usual = scaffold_files(a_subject(template=TEMPLATE))
        assert json.loads(files["service.json"]) == {
            "serviceId": text,
            "name": text,
            "description": text,
        }
        composer = json.loads(files["composer.json"])
        assert composer["description"] == text
        assert re.fullmatch(r"app/[a-z0-9]+(-[a-z0-9]+)*", composer["name"])
        for path in (".github/workflows/ci.yml", ".gitlab-ci.yml"):
            assert yaml.safe_load(files[path])
        # Values from people stand nowhere else.
        filled = {"service.json", "composer.json", "README.md", "manifest.json"}
        assert {path for path in files if files[path] != usual[path]} <= filled
        # In the README they don't leave their line.
        lines = [len(each["README.md"].decode().splitlines()) for each in (files, usual)]
        assert lines[0] - lines[1] == (2 if text else 0)

    def test_numbers_come_from_the_configuration(self) -> None:
        config = {"networking": {"port": "3001"}, "runtime": {"memory_limit": "1GiB"}}
        files = scaffold_files(a_subject(config, template=TEMPLATE))
        assert b"\nPORT=3001\n" in files[".env.example"]
        assert b"\nEXPOSE 3001\n" in files["Dockerfile"]
        assert b"\nMaxRequestWorkers 32\n" in files["docker/apache.conf"]

    def test_php_reads_every_file(self, project: Path) -> None:
        paths = sorted(str(path) for path in project.rglob("*.php"))
        assert len(paths) > 40
        # PHP 8.2 checks one file a call.
        checks = [
            subprocess.Popen([php(), "-n", "-l", path], stdout=subprocess.PIPE) for path in paths
        ]
        failed = [check.communicate()[0] for check in checks if check.wait() != 0]
        assert failed == []

    def test_every_php_file_declares_strict_types(self, project: Path) -> None:
        pages = project / "views" / "admin"
        loose = [
            path
            for path in project.rglob("*.php")
            if path.parent != pages and "declare(strict_types=1);" not in path.read_text()
        ]
        assert loose == []


class TestItsOwnTests:
    @pytest.mark.parametrize("kind", DRIVERS)
    def test_they_pass(self, project: Path, kind: str) -> None:
        php(DRIVERS[kind])
        command, given = [program("phpunit")], {}
        if kind != "sqlite":
            given["TEST_DATABASE_URL"] = fresh_server_database(kind, "php_scaffold")
            # Those that a database can make a difference to.
            command += ["--filter", "DatabaseTest|DataTest|testGuessing"]
        printed = in_project(project, *command, **given)
        passed = re.search(r"OK \((\d+) tests, \d+ assertions\)", printed)
        assert passed and int(passed[1]) >= 15, printed


@pytest.fixture(scope="module")
def listed(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Listed, int]]:
    """A service of our real application, and the port that it expects the project on."""
    port = free_port()
    with our_application(tmp_path_factory.mktemp("cms")) as cms:
        yield Listed.at(cms, TEMPLATE, port), port


@pytest.fixture(scope="module")
def running(project: Path, listed: tuple[Listed, int]) -> Iterator[tuple[Server, Listed]]:
    """The project, started as its README says, shipping its logs to our application."""
    service, port = listed
    php_program = php(DRIVERS["sqlite"])
    in_project(project, php_program, "bin/migrate.php")
    made = subprocess.run(
        [php_program, "bin/create-user.php", EMAIL],
        cwd=project,
        input=PASSWORD.encode(),
        capture_output=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    serve = (php_program, "-q", "-S", f"127.0.0.1:{port}", "-t", "public", "public/index.php")
    with started(project, *serve, port=port, APP_ENV="development", **service.settings) as server:
        yield server, service


class _Browser:
    """A person's browser: it keeps the cookie and reads forms."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.cookie = ""

    def send(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[http.client.HTTPResponse, bytes]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        connection.request(method, path, body, sent | {"Cookie": self.cookie})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if cookie := answer.getheader("Set-Cookie"):
            self.cookie = cookie.split(";")[0]
        return answer, content

    def form_token(self, path: str) -> str:
        """The CSRF token of the page's forms."""
        return _Inputs.of(self.send("GET", path)[1])["csrf"]

    def submit(self, path: str, **fields: str) -> tuple[http.client.HTTPResponse, bytes]:
        """Send a form as browsers send one with a file; the field `file` is one."""
        parts = b""
        for name, value in fields.items():
            named = f'name="{name}"' + ('; filename="../a b.txt"' if name == "file" else "")
            parts += f"--b\r\nContent-Disposition: form-data; {named}\r\n\r\n{value}\r\n".encode()
        kind = "multipart/form-data; boundary=b"
        return self.send("POST", path, parts + b"--b--\r\n", Content_Type=kind)


class _Inputs(HTMLParser):
    """The values of a page's input fields, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, str] = {}

    @classmethod
    def of(cls, page: bytes) -> dict[str, str]:
        reader = cls()
        reader.feed(page.decode())
        return reader.values

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        if tag == "input" and found.get("name"):
            self.values[str(found["name"])] = found.get("value") or ""


class TestBesideOurApplication:
    def test_our_health_check_says_healthy(self, running: tuple[Server, Listed]) -> None:
        server, service = running
        assert json.loads(server.get("/health").body)["status"] == "ok"
        found = service.health()
        assert found["status"] == "healthy", found

    def test_the_containers_health_check_says_so_too(
        self, project: Path, running: tuple[Server, Listed]
    ) -> None:
        for port, code in ((running[0].port, 0), (free_port(), 1)):
            command = [php(), "bin/health.php"]
            environment = os.environ | {"PORT": str(port)}
            assert subprocess.run(command, cwd=project, env=environment).returncode == code

    def test_its_log_arrives_with_the_id_of_the_request(
        self, running: tuple[Server, Listed]
    ) -> None:
        server, service = running
        assert server.get("/api/data/7?q=1", X_Request_Id="trace-of-php").status == 401
        entry = service.log_entry("^GET /api/data/7 401$")
        assert entry["level"] == "info"
        assert entry["traceId"] == "trace-of-php"
        assert entry["source"] == "php-backend"
        assert entry["attributes"]["route"] == "/api/data/{id}"

    def test_its_metrics_can_be_read(self, running: tuple[Server, Listed]) -> None:
        server, _ = running
        server.get("/api/users/1")
        found = metrics_of(server)
        wanted = {"method": "GET", "route": "/api/users/{id}", "status": "401"}
        assert (wanted, 1.0) in found["http_requests_total"]
        buckets = [
            value
            for labels, value in found["http_request_duration_seconds_bucket"]
            if labels["route"] == "/api/users/{id}"
        ]
        assert buckets == sorted(buckets) and buckets[-1] == 1.0

    def test_a_person_signs_in_uploads_and_downloads(self, running: tuple[Server, Listed]) -> None:
        browser = _Browser(running[0])
        answer, page = browser.send("GET", "/admin/sign-in")
        assert answer.status == 200
        assert b"</b>" not in page and b"K\xc3\xa4se" in page
        before = browser.cookie
        csrf = _Inputs.of(page)["csrf"]
        refused, _ = browser.submit("/admin/sign-in", email=EMAIL, password=PASSWORD)
        assert refused.status == 403
        answer, _ = browser.submit("/admin/sign-in", email=EMAIL, password=PASSWORD, csrf=csrf)
        assert (answer.status, answer.getheader("Location")) == (303, "/admin")
        assert browser.cookie != before

        csrf = browser.form_token("/admin")
        answer, _ = browser.submit("/admin/data", title="<i>Notes", file="käse", csrf=csrf)
        assert answer.status == 303
        _, page = browser.send("GET", "/admin")
        assert b"&lt;i&gt;Notes" in page and b"a b.txt" in page
        (path,) = re.findall(rb'href="(/api/data/\d+/file)"', page)
        answer, content = browser.send("GET", path.decode())
        assert content.decode() == "käse"
        assert str(answer.getheader("Content-Disposition")).startswith("attachment; ")
        assert answer.getheader("X-Content-Type-Options") == "nosniff"
        stranger = _Browser(running[0])
        assert stranger.send("GET", path.decode())[0].status == 401

    def test_every_line_that_it_prints_is_json(self, running: tuple[Server, Listed]) -> None:
        server, _ = running
        server.get("/nowhere")
        lines = [line for line in server.stderr.splitlines() if "Development Server" not in line]
        entries: list[dict[str, Any]] = [json.loads(line) for line in lines]
        assert "GET /nowhere 404" in [entry["message"] for entry in entries]
        assert all(entry["level"] in ("info", "warn") for entry in entries)


def test_what_is_logged_while_we_are_away_arrives_later(
    project: Path, listed: tuple[Listed, int], tmp_path: Path
) -> None:
    service, _ = listed
    php(DRIVERS["sqlite"])
    port, away = free_port(), free_port()
    serve = (php(), "-q", "-S", f"127.0.0.1:{port}", "-t", "public", "public/index.php")
    own = {"VAR_DIR": str(tmp_path / "var"), "APP_ENV": "development"}
    migrated = {**own, "CMS_URL": "", "CMS_INGEST_TOKEN": ""}
    in_project(project, php(), "bin/migrate.php", **migrated)
    gone = service.settings | {"CMS_URL": f"http://127.0.0.1:{away}"}
    with started(project, *serve, port=port, **own, **gone) as server:
        server.get("/said-while-away")
        stopped(server)
    # A failure stops shipping for some seconds; here nobody waits for them.
    (tmp_path / "var" / "log-spool.pause").unlink()
    with started(project, *serve, port=port, **own, **service.settings) as server:
        server.get("/said-when-back")
        service.log_entry("^GET /said-when-back 404$")
        assert service.log_entry("^GET /said-while-away 404$")["level"] == "info"


@contextmanager
def behind_nginx(project: Path, folder: Path, **settings: str) -> Iterator[tuple[Server, Server]]:
    """The project in php-fpm behind nginx, as in production: nginx, and php-fpm."""
    fpm = program("php-fpm", "php-fpm8.2", "php-fpm8.3", "php-fpm8.4")
    nginx = program("nginx")
    port, user = free_port(), getpass.getuser()
    as_user = f"user {user};" if os.geteuid() == 0 else ""
    (folder / "pool.conf").write_text(POOL.format(user=user, folder=folder))
    (folder / "nginx.conf").write_text(
        NGINX.format(user=as_user, folder=folder, project=project, port=port)
    )
    # -R: the pool may belong to root, who runs the tests in CI.
    pool = (fpm, "-R", "-y", str(folder / "pool.conf"))
    with start(folder / "fpm", command=pool, **settings) as workers:
        eventually((folder / "fpm.sock").exists, "php-fpm listens")
        before = (nginx, "-e", "stderr", "-c", str(folder / "nginx.conf"))
        with started(folder, *before, port=port, ready="/style.css") as server:
            yield server, workers


def test_behind_php_fpm_nobody_waits_for_an_ingest_that_hangs(
    project: Path, tmp_path: Path
) -> None:
    var = tmp_path / "var"
    own = {"VAR_DIR": str(var), "CMS_SERVICE_ID": "1", "CMS_INGEST_TOKEN": "token"}
    in_project(project, php(DRIVERS["sqlite"]), "bin/migrate.php", VAR_DIR=str(var))
    with socket.create_server(("127.0.0.1", 0)) as never_answers:
        own["CMS_URL"] = f"http://127.0.0.1:{never_answers.getsockname()[1]}"
        with behind_nginx(project, tmp_path, **own) as (server, workers):
            began = time.monotonic()
            answer = server.get("/api/session")
            took = time.monotonic() - began
            assert answer.status == 200 and took < 1
            cookie = str(answer.headers["Set-Cookie"])
            assert cookie.startswith("__Host-session=")
            assert "; secure;" in cookie and "; HttpOnly; SameSite=Lax" in cookie
            assert server.get("/style.css").headers["Content-Type"] == "text/css"
            assert server.get("/index.php").status == 404
            spool = var / "log-spool.jsonl"
            eventually(spool.exists, "the entry waits in the spool", 5)
            (line,) = spool.read_text().splitlines()
            assert json.loads(line)["message"] == "GET /api/session 200"
            # What php-fpm prints of the application is the same line.
            assert line in workers.stderr


def test_requests_side_by_side_are_all_counted(project: Path, tmp_path: Path) -> None:
    own = {"VAR_DIR": str(tmp_path / "var"), "LOG_LEVEL": "error"}
    in_project(project, php(DRIVERS["sqlite"]), "bin/migrate.php", **own)
    with behind_nginx(project, tmp_path, **own) as (server, _):
        with ThreadPoolExecutor(8) as people:
            answers = list(people.map(lambda _: server.get("/nowhere").status, range(100)))
        assert answers == [404] * 100

        def counted() -> bool:
            found = metrics_of(server).get("http_requests_total", [])
            return ({"method": "GET", "route": "unmatched", "status": "404"}, 100.0) in found

        # The last are counted after they were answered.
        eventually(counted, "all are counted", 5)
