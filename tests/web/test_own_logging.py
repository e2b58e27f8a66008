"""The application's own log lines: their forms, the file, and the external outputs."""

import functools
import inspect
import json
import logging
import os
import socket
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import structlog

from cms_services.monitoring.protocols.syslog import read_message
from cms_services.own_log import external
from cms_services.own_log.files import RotatedFile
from cms_services.settings import SettingError, load_settings
from tests.conftest import MakeApp
from tests.local_servers import free_port
from tests.web.log_servers import SyslogServer, standing_in_for_loki, wait_until


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Put back how the test process logs."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def closed_port() -> int:
    return free_port()


def say(*messages: str) -> None:
    for message in messages:
        structlog.get_logger("tests").warning(message)


def numbered(count: int) -> list[str]:
    return [f"number {number}" for number in range(count)]


class TestTheConsole:
    def test_has_json_unless_told_otherwise(
        self, make_bare_app: MakeApp, capsys: pytest.CaptureFixture[str]
    ) -> None:
        client = make_bare_app(LOG_LEVEL="info").test_client()
        capsys.readouterr()
        client.get("/healthz", headers={"X-Request-ID": "abc"})
        line = json.loads(capsys.readouterr().out)
        assert (line["message"], line["request_id"], line["status"]) == ("request", "abc", 200)

    def test_in_the_form_for_people_has_neither_colours_nor_control_characters_of_others(
        self, make_bare_app: MakeApp, capsys: pytest.CaptureFixture[str]
    ) -> None:
        make_bare_app(LOG_LEVEL="info", LOG_FORMAT="console")
        capsys.readouterr()
        hostile = "a\x1b[2J\nb\x9b\ud800"
        structlog.get_logger().info(hostile, value=hostile, nested=[hostile])
        logging.getLogger("library").error("%s", hostile)
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[1] for line in lines] == ["[info", "[error"]
        assert "\\x1b[2J\\x0ab\\x9b\\ud800" in lines[0]
        assert not {
            character for line in lines for character in line if not character.isprintable()
        }
        try:
            raise ValueError(hostile)
        except ValueError:
            structlog.get_logger().exception("failed")
        told = capsys.readouterr().out
        assert "Traceback (most recent call last):\n" in told
        assert "\x1b" not in told


class TestTheFile:
    def test_is_private_and_has_what_the_console_has(
        self, make_bare_app: MakeApp, tmp_path: Path
    ) -> None:
        make_bare_app(LOG_OUTPUTS="file")
        say("hello")
        (path,) = (tmp_path / "logs").glob("*.log")
        assert path.name == "cms-services.log"
        assert json.loads(path.read_text())["message"] == "hello"
        assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    def test_that_cannot_be_written_is_heard_of_at_the_start(self, make_bare_app: MakeApp) -> None:
        with pytest.raises(SettingError, match=r"^LOG_PATH: /dev/null/x\.log can't be written"):
            make_bare_app(LOG_OUTPUTS="file", LOG_PATH="/dev/null/x.log")

    @pytest.mark.parametrize("name", ["cms-services.log", ".__cms-services.lock"])
    @pytest.mark.parametrize("link", [os.symlink, os.link])
    def test_leads_to_no_other_file(
        self,
        make_bare_app: MakeApp,
        tmp_path: Path,
        name: str,
        link: Callable[[Path, Path], None],
    ) -> None:
        """Who owns the folder must not have root write to, or give away, what is root's."""
        victim, folder = tmp_path / "victim", tmp_path / "logs"
        victim.write_text("secret\n")
        victim.chmod(0o640)
        folder.mkdir(0o700)
        if os.geteuid() == 0:
            os.chown(folder, 65534, 65534)
        link(victim, folder / name)
        with pytest.raises(SettingError, match=rf"^LOG_PATH: .*{name} is no file of one name"):
            make_bare_app(LOG_OUTPUTS="file")
        status = victim.stat()
        assert (victim.read_text(), status.st_uid) == ("secret\n", os.geteuid())
        assert stat.S_IMODE(status.st_mode) == 0o640

    def test_is_no_pipe_that_nobody_reads(self, make_bare_app: MakeApp, tmp_path: Path) -> None:
        (tmp_path / "logs").mkdir()
        os.mkfifo(tmp_path / "logs" / "cms-services.log")
        with pytest.raises(SettingError, match=r"^LOG_PATH: "):
            make_bare_app(LOG_OUTPUTS="file")

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
    def test_that_root_makes_belongs_to_whom_the_folder_does(
        self, make_bare_app: MakeApp, tmp_path: Path
    ) -> None:
        folder = tmp_path / "logs"
        folder.mkdir(0o700)
        os.chown(folder, 65534, 65534)
        make_bare_app(LOG_OUTPUTS="file")
        say("hello")
        owners = {each.name: each.stat().st_uid for each in folder.iterdir()}
        assert owners == {"cms-services.log": 65534, ".__cms-services.lock": 65534}

    def test_is_rotated_by_several_processes_without_losing_a_line(self, tmp_path: Path) -> None:
        path = tmp_path / "x.log"
        # Forked from a process that has the file open, as a web server's processes are.
        script = inspect.getsource(write_lines) + textwrap.dedent(f"""
            import os
            handler = RotatedFile(Path({str(path)!r}), 50_000, 100)
            write_lines(handler, 0, 1)
            for name in range(1, 4):
                if os.fork() == 0:
                    write_lines(handler, name, 1000)
                    os._exit(0)
            for name in range(1, 4):
                os.wait()
            """)
        imports = "import logging\nfrom pathlib import Path\n"
        own = "from cms_services.own_log.files import RotatedFile\n"
        command = [sys.executable, "-c", imports + own + script]
        subprocess.run(command, check=True, timeout=60)
        files = sorted(tmp_path.glob("x.log*"))
        assert len(files) > 3
        assert max(each.stat().st_size for each in files) <= 50_200
        lines = [line for each in files for line in each.read_text().splitlines()]
        expected = [
            f"{name} {number} {'x' * 100}" for name in range(1, 4) for number in range(1000)
        ]
        assert sorted(lines) == sorted([f"0 0 {'x' * 100}", *expected])

    def test_keeps_as_many_as_are_wanted(self, tmp_path: Path) -> None:
        handler = RotatedFile(tmp_path / "x.log", 50_000, 2)
        write_lines(handler, 0, 1500)
        handler.close()
        names = {each.name for each in tmp_path.iterdir()} - {".__x.lock"}
        assert names == {"x.log", "x.log.1", "x.log.2"}


def write_lines(handler: RotatedFile, name: int, count: int) -> None:
    logger = logging.Logger("rotating")
    logger.addHandler(handler)
    for number in range(count):
        logger.warning("%d %d %s", name, number, "x" * 100)


class TestLoki:
    def test_gets_the_lines_in_streams_by_level(self, make_bare_app: MakeApp) -> None:
        with standing_in_for_loki() as loki:
            url = loki.url.replace("//", "//tenant:secret%21@")
            app = make_bare_app(LOG_OUTPUTS="external", LOG_EXTERNAL_URL=url, LOG_LEVEL="info")
            app.test_client().get("/healthz", headers={"X-Request-ID": "abc"})
            logging.getLogger("library").error("broken")
            wait_until(lambda: len(loki.lines) == 2)
        assert [line["message"] for line in loki.lines] == ["request", "broken"]
        assert loki.lines[0]["request_id"] == "abc"
        assert [stream["stream"]["level"] for stream in loki.streams] == ["info", "error"]
        assert {stream["stream"]["service_name"] for stream in loki.streams} == {"cms-services"}
        assert loki.headers["Authorization"] == "Basic dGVuYW50OnNlY3JldCE="

    def test_that_is_down_loses_nothing_within_the_bound(
        self, make_bare_app: MakeApp, closed_port: int
    ) -> None:
        url = f"http://127.0.0.1:{closed_port}"
        make_bare_app(LOG_OUTPUTS="external", LOG_EXTERNAL_URL=url)
        say(*numbered(1500))
        time.sleep(0.5)
        with standing_in_for_loki(closed_port) as loki:
            wait_until(lambda: len(loki.lines) >= 1500)
            # What it says of the outage goes to the other outputs alone.
            assert loki.messages == numbered(1500)

    def test_that_answers_500_and_then_again_loses_nothing(
        self, make_bare_app: MakeApp, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with standing_in_for_loki() as loki:
            loki.status = 500
            make_bare_app(LOG_OUTPUTS="console,external", LOG_EXTERNAL_URL=loki.url)
            say(*numbered(20))
            wait_until(lambda: loki.asked >= 3)
            say("later")
            loki.status = 204
            wait_until(lambda: len(loki.lines) >= 21)
            assert loki.messages == [*numbered(20), "later"]
        told = [json.loads(line)["message"] for line in capsys.readouterr().out.splitlines()]
        about = [message for message in told if "external log" in message]
        assert about == ["the external log is away: it answered 500", "the external log is back"]

    def test_that_is_slow_slows_no_request(self, make_bare_app: MakeApp) -> None:
        """Of a request as of many that are logged while a push hangs."""
        with standing_in_for_loki() as loki:
            loki.seconds = 2.0
            settings = {"LOG_OUTPUTS": "external", "LOG_EXTERNAL_URL": loki.url}
            client = make_bare_app(LOG_LEVEL="info", **settings).test_client()
            client.get("/healthz")
            wait_until(lambda: loki.asked == 1)
            longest = max(_timed(lambda: client.get("/healthz")) for _ in range(50))
            assert loki.pushes == []
            assert longest < 1.0
            loki.seconds = 0.0
            wait_until(lambda: len(loki.lines) == 51)

    def test_that_refuses_lines_is_not_asked_again(
        self, make_bare_app: MakeApp, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with standing_in_for_loki() as loki:
            loki.status = 400
            make_bare_app(LOG_OUTPUTS="external,console", LOG_EXTERNAL_URL=loki.url)
            say("bad")
            wait_until(lambda: "refused 1 lines: it answered 400" in capsys.readouterr().out)
            loki.status = 204
            say("good")
            wait_until(lambda: bool(loki.lines))
            assert loki.messages == ["good"]

    def test_that_is_away_for_too_long_is_told_how_many_were_dropped(
        self, make_bare_app: MakeApp, closed_port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(external, "_MOST_KEPT", 100)
        url = f"http://127.0.0.1:{closed_port}"
        make_bare_app(LOG_OUTPUTS="external", LOG_EXTERNAL_URL=url)
        for part in range(5):
            say(*(f"{part}.{number}" for number in range(50)))
            time.sleep(0.1)
        with standing_in_for_loki(closed_port) as loki:
            wait_until(lambda: len(loki.lines) >= 101)
        told, *rest = loki.messages
        assert told == "150 log lines were dropped: the external log was away for too long"
        assert rest == [f"{part}.{number}" for part in (3, 4) for number in range(50)]

    def test_gets_what_is_left_at_the_end(self, make_bare_app: MakeApp) -> None:
        with standing_in_for_loki() as loki:
            make_bare_app(LOG_OUTPUTS="external", LOG_EXTERNAL_URL=loki.url)
            say(*numbered(2500))
            (handler,) = logging.getLogger().handlers
            handler.close()
            assert loki.messages == numbered(2500)

    def test_that_is_away_holds_up_the_end_for_a_few_seconds_at_most(
        self, make_bare_app: MakeApp, closed_port: int
    ) -> None:
        url = f"http://127.0.0.1:{closed_port}"
        make_bare_app(LOG_OUTPUTS="external", LOG_EXTERNAL_URL=url)
        say("hello")
        (handler,) = logging.getLogger().handlers
        assert _timed(handler.close) < 4


class TestSyslog:
    def test_by_udp(self, make_bare_app: MakeApp) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            server.settimeout(20)
            url = f"syslog://127.0.0.1:{server.getsockname()[1]}"
            make_bare_app(LOG_OUTPUTS="external", LOG_EXTERNAL_URL=url)
            say("über")
            entry = read_message(server.recv(65_536)).entry
        assert (entry.source, entry.level) == ("cms-services", "warn")
        assert entry.attributes["facility"] == "local0"
        assert json.loads(entry.message)["message"] == "über"

    def test_by_tcp_and_again_after_the_other_end_was_away(
        self, make_bare_app: MakeApp, closed_port: int
    ) -> None:
        url = f"syslog+tcp://127.0.0.1:{closed_port}"
        make_bare_app(LOG_OUTPUTS="external", LOG_EXTERNAL_URL=url)
        say("before")
        received = []
        for message in ("first", "second"):
            say(message)
            server = SyslogServer(closed_port)
            wait_until(functools.partial(server.has, message))
            received += [read_message(each).entry for each in server.messages()]
            server.stop()
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", closed_port)).close()
        told = [json.loads(entry.message)["message"] for entry in received]
        assert told == ["before", "first", "second"]


def test_the_external_output_needs_an_address() -> None:
    with pytest.raises(SettingError, match=r"^LOG_OUTPUTS: external needs LOG_EXTERNAL_URL"):
        load_settings({"LOG_OUTPUTS": "console,external"})


def _timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began
