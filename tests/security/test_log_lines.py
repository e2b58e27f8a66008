"""Texts that are meant for the log, whose every line stays one JSON object."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.conftest import MakeApp, NewPerson

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def log_lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """The lines on stdout since the last call; ask for it before the application is made."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def read() -> list[dict[str, Any]]:
        written = capsys.readouterr()
        assert written.err == ""
        lines = written.out.removesuffix("\n").split("\n") if written.out else []
        assert not {character for line in lines for character in line if ord(character) < 32}
        return [json.loads(line) for line in lines]

    yield read
    root.handlers[:] = handlers
    root.setLevel(level)


class TestLogs:
    FORGED = '\r\n{"level": "info", "message": "request", "user": "admin"}\x1b[2J\x1b]0;x\x07\x00'

    def test_whatever_a_request_says_it_leaves_one_line(
        self, log_lines: Lines, make_app: MakeApp, new_person: NewPerson
    ) -> None:
        alice = new_person("Alice", of=make_app(LOG_LEVEL="info", TRUSTED_PROXIES="1"))
        log_lines()
        quoted = quote(self.FORGED)
        requests: list[tuple[str, str, dict[str, Any]]] = [
            ("GET", f"/api/services/{quoted}", {}),
            ("GET", f"/nothing/{quoted}?{quoted}={quoted}", {}),
            ("GET", f"/services.php?{quoted}={quoted}", {}),
            ("GET", f"/services.php?getService=1&serviceId={quoted}", {}),
            ("POST", "/api/services", {"json": {"name": self.FORGED[:-1], "type": "api"}}),
            ("POST", "/api/auth/login", {"json": {"email": self.FORGED[:-1], "password": "x"}}),
            ("POST", "/login", {"data": {"email": self.FORGED, "password": self.FORGED}}),
            ("GET", "/api/services", {"headers": {"X-Request-ID": "x\x1b[2J"}}),
            ("GET", "/api/services", {"headers": {"X-Forwarded-For": "1.2.3.4\x1b[2J\x85\xff"}}),
            ("GET", "/api/services", {"headers": {"User-Agent": "x\x1b[2J\xff"}}),
            ("GET", "/api/services", {"headers": {"Authorization": "Bearer x\x1b[2J"}}),
            ("GET\x1b[2J", "/api/services", {}),
        ]
        for method, path, given in requests:
            alice.open(method, path, **given)
            lines = log_lines()
            assert [line["message"] for line in lines].count("request") == 1, (method, path)
            assert all(line.get("user") != "admin" for line in lines)

    @pytest.mark.parametrize("value", ["\ud800", FORGED, "\u2028\u2029\x85", 2**70], ids=ascii)
    def test_whatever_is_logged_is_one_line(
        self, log_lines: Lines, make_bare_app: MakeApp, value: object
    ) -> None:
        import structlog

        make_bare_app(LOG_LEVEL="info")
        log_lines()
        structlog.get_logger().warning("something", value=value, nested={"a": [value]})
        logging.getLogger("some.library").error("%s", value)
        try:
            raise ValueError(value)
        except ValueError:
            logging.getLogger("some.library").exception("failed")
        assert len(log_lines()) == 3
