"""A start that can't succeed says why in one line, and ends."""

import socket
from pathlib import Path

import pytest

from tests.local_servers import free_port
from tests.processes.servers import Server, start

SECRET = "geheim-7"


def refusal(server: Server) -> str:
    """The one line with which a command ended. Fails where it said more, or went on."""
    status = server.process.wait(timeout=30)
    assert status > 0, server.stderr
    assert server.stdout == ""
    lines = server.stderr.splitlines()
    assert len(lines) == 1, server.stderr
    assert SECRET not in lines[0]
    return lines[0]


class TestABadSetting:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("PORT", "x"),
            ("LEGACY_ENVELOPE", "success"),
            ("SECRET_KEY", "short"),
            ("SECRET_KEY_FILE", "/there/is/no/such/file"),
            ("CMS_ADMIN_PASSWORD", "weak"),
            ("CMS_DATA_DIR", "/dev/null"),
            ("DATABASE_URL", "foo"),
        ],
    )
    def test_is_named_in_one_line(self, tmp_path: Path, name: str, value: str) -> None:
        with start(tmp_path, "run", **{name: value}) as server:
            assert refusal(server).startswith(f"{name}: ")

    def test_a_taken_port_is_named_in_one_line(self, tmp_path: Path) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            port = str(listener.getsockname()[1])
            with start(tmp_path, "run", PORT=port) as server:
                line = refusal(server)
        assert line.startswith("PORT: ")
        assert port in line


class TestADatabaseThatDoesNotAnswer:
    @pytest.mark.parametrize(
        ("scheme", "command"), [("postgresql", ("run",)), ("mysql", ("db", "upgrade"))]
    )
    def test_is_named_in_one_line_without_its_password(
        self, tmp_path: Path, scheme: str, command: tuple[str, ...]
    ) -> None:
        url = f"{scheme}://cms:{SECRET}@127.0.0.1:{free_port()}/shop"
        with start(tmp_path, *command, DATABASE_URL=url) as server:
            line = refusal(server)
        assert line.startswith(f"DATABASE_URL: {scheme}://cms:***@127.0.0.1:")
        assert "/shop " in line
        assert "refused" in line

    def test_a_file_that_is_no_database_is_named_in_one_line(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("This is no database.\n" * 100)
        url = f"sqlite:///{tmp_path / 'notes.txt'}"
        with start(tmp_path, "run", DATABASE_URL=url) as server:
            assert refusal(server).startswith("DATABASE_URL: ")
