"""A start that can't succeed says why in one line, and ends."""

import socket
from pathlib import Path

import pytest

from tests.processes.servers import Server, free_port, start

SECRET = "geheim-7"
NOBODY_LISTENS = free_port()


def refusal(server: Server) -> str:
    """The one line with which a start ended. Fails where it said more, or went on."""
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
            ("CMS_ADMIN_PASSWORD", "weak"),
            ("SECRET_KEY_FILE", "/there/is/no/such/file"),
            ("CMS_DATA_DIR", "/proc/self/cms"),
            ("CMS_DATA_DIR", "/dev/null"),
            ("DATABASE_URL", "foo"),
            ("DATABASE_URL", f"postgresql://cms:{SECRET}@[::1/cms"),
            ("DATABASE_URL", f"postgresql+psycopg2://cms:{SECRET}@127.0.0.1/cms"),
            ("DATABASE_URL", f"postgresql+nothing://cms:{SECRET}@127.0.0.1/cms"),
        ],
    )
    def test_is_named_in_one_line(self, tmp_path: Path, name: str, value: str) -> None:
        with start(tmp_path, "run", **{name: value}) as server:
            assert refusal(server).startswith(f"{name}: ")

    @pytest.mark.parametrize("command", ["run", "worker", "demo"])
    ...
