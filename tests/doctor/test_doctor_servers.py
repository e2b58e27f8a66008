"""The doctor's checks of the servers that the settings name, at servers that are not as wanted."""

import re
import socket
import sqlite3
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from redis import Redis
from sqlalchemy import make_url

from cms_services.doctor.storage import LEAST_VERSIONS
from tests.databases import SERVERS, fresh_server_database, need_redis
from tests.doctor.odd_servers import (
    an_earlier_hour,
    an_older_version,
    endless_answer,
    server_that_says,
    silent_port,
    web_server_of_the_year_2001,
)
from tests.doctor.telling import Told, told
from tests.downloads.servers import write_certificate
from tests.faults.engines import engine
from tests.local_servers import free_port
from tests.monitoring.prometheus_server import answering

DOCS = Path(__file__).parents[2] / "docs"
TABLE = "php: {php}\nflask: ['127.0.0.1:9']\nactions: {{getServices: php}}\n"


_PORTS = {"postgresql": 5432, "mariadb": 3306, "redis": 6379}


@contextmanager
def changed(change: Callable[[bytes], bytes], url: str) -> Iterator[str]:
    """The URL of a port that leads to a server of the tests, whose answers are changed there."""
    parts = make_url(url)
    port = parts.port or _PORTS[parts.drivername]
    with server_that_says(change, parts.host or "127.0.0.1", port) as between:
        # What is encrypted can't be changed.
        query = {"sslmode": "disable"} if parts.drivername == "postgresql" else {}
        other = parts.set(host="127.0.0.1", port=between, query=query)
        yield other.render_as_string(hide_password=False)


@pytest.mark.parametrize("database", ["postgresql", "mariadb"])
def test_servers_that_say_nothing_are_given_up_in_time(database: str, tmp_path: Path) -> None:
    with silent_port() as port, endless_answer() as endless:
        at = f"127.0.0.1:{port}"
        table = tmp_path / "routes.yaml"
        table.write_text(TABLE.format(php=f"http://{at}"))
        began = time.monotonic()
        found = told(
            *("--url", f"http://{at}", "--nodes", "2"),
            CMS_DATA_DIR=str(tmp_path),
            DATABASE_URL=f"{database}://me:hidden@{at}/none",
            REDIS_URL=f"redis://{at}",
            SMTP_HOST="127.0.0.1",
            SMTP_PORT=str(port),
            PHP_SESSIONS=f"redis://{at}",
            LEGACY_ROUTES=str(table),
            PROMETHEUS_URL=endless,
            LOG_OUTPUTS="external",
            LOG_EXTERNAL_URL=f"http://{at}",
        )
        took = time.monotonic() - began
    assert took < 10
    silent = ("database", "redis", "letters", "php sessions", "php", "external log", "address")
    for check in (*silent, "nodes"):
        assert found.of(check, "failure"), check
    # By itself it would have been waited for without end.
    assert found.of("prometheus", "failure") == ["was not done within 5 s"]


@pytest.mark.parametrize(("kind", "name"), [("postgresql", "PostgreSQL"), ("mariadb", "MariaDB")])
def test_a_server_that_is_too_old_is_told(kind: str, name: str, tmp_path: Path) -> None:
    shown = told(CMS_DATA_DIR=str(tmp_path), DATABASE_URL=SERVERS[kind]).of("database", "ok")
    assert [each for each in shown if each.startswith(f"the server is {name} ")]
    with changed(an_older_version, SERVERS[kind]) as url:
        found = told(CMS_DATA_DIR=str(tmp_path), DATABASE_URL=url)
    [seen] = [each for each in found.of("database", "warning") if "too old" in each]
    assert re.match(rf"the server is {name} (14|10\.6)\.", seen)
    assert found.mend("too old").startswith(f"Upgrade the server to {name} ")


def test_a_server_that_may_lose_writes_is_told(tmp_path: Path) -> None:
    url = fresh_server_database("postgresql", "cms_test_doctor")
    found = told(CMS_DATA_DIR=str(tmp_path), DATABASE_URL=url)
    assert found.mend("acknowledged writes can be lost").startswith("Set synchronous_commit = on")


def test_a_file_of_sqlite_without_its_log_is_told(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "cms-services.sqlite3")) as connection:
        connection.execute("CREATE TABLE any_table (id INTEGER)")
    found = told(CMS_DATA_DIR=str(tmp_path))
    assert "journal_mode is delete, not wal" in found.of("database", "warning")


def test_the_oldest_versions_are_those_of_the_docs() -> None:
    page = (DOCS / "deploying.md").read_text()
    for name, version in LEAST_VERSIONS.items():
        assert f"{name} {'.'.join(map(str, version))}+" in page


@pytest.mark.parametrize("kind", [*SERVERS, "redis"])
def test_a_clock_of_a_server_that_is_an_hour_behind_is_told(kind: str, tmp_path: Path) -> None:
    name, check = ("REDIS_URL", "redis") if kind == "redis" else ("DATABASE_URL", "database")
    with changed(an_earlier_hour, need_redis() if kind == "redis" else SERVERS[kind]) as url:
        found = told(CMS_DATA_DIR=str(tmp_path), **{name: url})
    [seen] = [each for each in found.of(check, "warning") if "clock" in each]
    assert 3590 < float(re.findall(r"[0-9.]+", seen)[0]) < 3610


def test_a_redis_that_evicts_is_told(tmp_path: Path) -> None:
    with engine("redis") as own:
        with Redis.from_url(own.url) as client:
            client.config_set("maxmemory", "50mb")
            client.config_set("maxmemory-policy", "allkeys-lru")
        found = told(CMS_DATA_DIR=str(tmp_path), REDIS_URL=own.url)
    assert found.mend("maxmemory-policy is allkeys-lru") == "Set maxmemory-policy noeviction."


def test_a_clock_of_the_address_that_is_wrong_is_told(tmp_path: Path) -> None:
    with web_server_of_the_year_2001() as url:
        found = told("--url", url, CMS_DATA_DIR=str(tmp_path))
    [seen] = [each for each in found.of("address", "warning") if "clock" in each]
    assert float(re.findall(r"[0-9.]+", seen)[0]) > 1e8
    assert "NTP" in found.mend("the clock of")


class TestLetters:
    @pytest.fixture
    def taken(self) -> list[str]:
        return []

    @pytest.fixture
    def port(self, taken: list[str]) -> Iterator[int]:
        """A mail server without TLS, where nobody's password is right."""

        class Handler:
            async def handle_MAIL(self, _: Any, __: Any, ___: Any, address: str, ____: Any) -> str:
                taken.append(address)
                return "250 taken"

        def nobody(*_: object) -> AuthResult:
            return AuthResult(success=False, handled=False)

        port = free_port()
        controller = Controller(
            Handler(),
            hostname="127.0.0.1",
            port=port,
            authenticator=nobody,
            auth_require_tls=False,
        )
        controller.start()
        yield port
        controller.stop()

    def told(self, folder: Path, port: int, **more: str) -> Told:
        settings = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(port), **more}
        return told(CMS_DATA_DIR=str(folder), **settings)

    def test_a_server_that_answers_is_sent_none(
        self, tmp_path: Path, port: int, taken: list[str]
    ) -> None:
        found = self.told(tmp_path, port, SMTP_SECURITY="none")
        assert found.of("letters") == [f"127.0.0.1:{port} answers"]
        assert taken == []

    def test_a_server_without_tls_is_told(self, tmp_path: Path, port: int) -> None:
        found = self.told(tmp_path, port)
        [seen] = found.of("letters", "failure")
        assert seen.endswith("does not offer what SMTP_SECURITY or SMTP_USER needs")
        [seen] = self.told(tmp_path, port, SMTP_SECURITY="tls").of("letters", "failure")
        assert "can't be spoken to by TLS" in seen

    def test_an_account_that_is_refused_is_told(self, tmp_path: Path, port: int) -> None:
        account = {"SMTP_USER": "me", "SMTP_PASSWORD": "hidden"}
        found = self.told(tmp_path, port, SMTP_SECURITY="none", **account)
        assert found.of("letters", "failure") == [f"127.0.0.1:{port} does not take SMTP_USER (535)"]
        assert "hidden" not in str(found.findings)

    def test_a_certificate_that_nobody_vouches_for_is_told(self, tmp_path: Path) -> None:
        write_certificate(tmp_path / "live", "mail.example.com")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "live/fullchain.pem", tmp_path / "live/privkey.pem")
        port = free_port()
        controller = Controller(object(), hostname="127.0.0.1", port=port, tls_context=context)
        controller.start()
        try:
            found = self.told(tmp_path, port)
        finally:
            controller.stop()
        [seen] = found.of("letters", "failure")
        assert "can't be spoken to by TLS" in seen

    def test_a_server_that_is_away_is_told(self, tmp_path: Path) -> None:
        found = self.told(tmp_path, 1)
        assert found.of("letters", "failure") == [
            "127.0.0.1:1 does not answer as a mail server (ConnectionRefusedError)"
        ]


class TestTheOldCms:
    def told(self, folder: Path, **settings: str) -> Told:
        return told(CMS_DATA_DIR=str(folder), **settings)

    def test_sessions_that_can_t_be_read_are_told(self, tmp_path: Path) -> None:
        folder = tmp_path / "sessions"
        place = {"PHP_SESSIONS": f"files:{folder}"}
        assert self.told(tmp_path, **place).of("php sessions", "failure") == [
            f"{folder} is no folder"
        ]
        folder.mkdir()
        assert self.told(tmp_path, **place).of("php sessions", "failure") == []
        # A link is never followed, whoever asks.
        (folder / "sess_0123456789abcdef012345").symlink_to(tmp_path / "elsewhere")
        found = self.told(tmp_path, **place)
        assert found.of("php sessions", "failure") == [f"no session in {folder} can be read"]
        assert "as PHP's user" in found.mend("no session in")
        (folder / "sess_0123456789abcdef012346").write_text("user|i:1;")
        assert self.told(tmp_path, **place).of("php sessions", "failure") == []

    def test_sessions_below_folders_are_looked_at(self, tmp_path: Path) -> None:
        below = tmp_path / "sessions" / "0" / "1"
        below.mkdir(parents=True)
        (below / "sess_0123456789abcdef012345").symlink_to(tmp_path / "elsewhere")
        found = self.told(tmp_path, PHP_SESSIONS=f"files:2;{tmp_path}/sessions")
        assert len(found.of("php sessions", "failure")) == 1

    def test_their_redis_is_asked(self, tmp_path: Path) -> None:
        found = self.told(tmp_path, PHP_SESSIONS="redis://:hidden@127.0.0.1:1/0")
        assert found.of("php sessions", "failure") == [
            "their Redis does not answer (ConnectionError)"
        ]
        assert "hidden" not in str(found.findings)
        found = self.told(tmp_path, PHP_SESSIONS=need_redis())
        assert found.of("php sessions") == ["their Redis answers"]

    def test_php_that_is_away_is_told(self, tmp_path: Path) -> None:
        table = tmp_path / "routes.yaml"
        table.write_text(TABLE.format(php="http://127.0.0.1:1"))
        found = self.told(tmp_path, LEGACY_ROUTES=str(table))
        assert found.of("php", "failure") == [
            "PHP at 127.0.0.1:1 does not answer (ConnectionRefusedError)"
        ]
        with answering(lambda _: (404, b"")) as url:
            table.write_text(TABLE.format(php=url))
            found = self.told(tmp_path, LEGACY_ROUTES=str(table))
        assert found.of("php", "failure") == []

    def test_files_that_can_t_be_used_are_told(self, tmp_path: Path) -> None:
        table, profile = tmp_path / "routes.yaml", tmp_path / "profile.yaml"
        table.write_text("actions: []")
        profile.write_text("version: 7")
        found = self.told(tmp_path, LEGACY_ROUTES=str(table), LEGACY_PROFILE=str(profile))
        first, second = found.of("php", "failure")
        assert first.startswith(str(profile))
        assert second.startswith(str(table))


class TestPrometheus:
    @pytest.mark.parametrize(
        ("status", "body", "seen"),
        [
            (401, b"", "it does not let us in (401)"),
            (200, b"<p>Hello</p>", "it does not answer a query as Prometheus does (200)"),
            (502, b"", "it does not answer a query as Prometheus does (502)"),
        ],
    )
    def test_what_answers_otherwise_is_told(
        self, tmp_path: Path, status: int, body: bytes, seen: str
    ) -> None:
        with answering(lambda _: (status, body)) as url:
            found = told(CMS_DATA_DIR=str(tmp_path), PROMETHEUS_URL=url)
        assert found.of("prometheus") == [seen]

    def test_an_answer_below_a_path_is_well(self, tmp_path: Path) -> None:
        def answer(path: str) -> tuple[int, bytes]:
            is_query = path.startswith("/prom/api/v1/query?")
            return (200, b'{"status": "success"}') if is_query else (404, b"")

        with answering(answer) as url:
            found = told(CMS_DATA_DIR=str(tmp_path), PROMETHEUS_URL=f"{url}/prom/")
        assert found.of("prometheus", "ok") == ["it answers a query"]


class TestTheExternalLog:
    def seen(self, folder: Path, url: str, *levels: str) -> list[str]:
        found = told(CMS_DATA_DIR=str(folder), LOG_OUTPUTS="external", LOG_EXTERNAL_URL=url)
        return found.of("external log", *levels)

    def test_what_is_away_is_told(self, tmp_path: Path) -> None:
        for scheme in ("http", "syslog+tcp"):
            [seen] = self.seen(tmp_path, f"{scheme}://127.0.0.1:1", "failure")
            assert seen == "LOG_EXTERNAL_URL does not answer (ConnectionRefusedError)"
        [seen] = self.seen(tmp_path, "syslog://no-such-host.invalid", "failure")
        assert seen == "LOG_EXTERNAL_URL does not answer (gaierror)"

    @pytest.mark.parametrize(
        ("status", "level", "told"),
        [(405, "ok", "Loki answers"), (401, "failure", "let us in"), (503, "failure", "503")],
    )
    def test_what_loki_says_is_told(
        self, tmp_path: Path, status: int, level: str, told: str
    ) -> None:
        with answering(lambda _: (status, b"")) as url:
            [seen] = self.seen(tmp_path, url, level)
        assert told in seen

    def test_what_takes_connections_is_well(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            assert self.seen(tmp_path, f"syslog+tcp://127.0.0.1:{port}", "ok")
        assert self.seen(tmp_path, f"syslog://127.0.0.1:{port}", "ok")
