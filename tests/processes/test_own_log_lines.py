"""Log lines of all processes of an installation, at every output."""

import json
import os
import signal
from pathlib import Path
from typing import Any

from tests.processes.servers import Server, eventually, serving
from tests.processes.test_serving import web_processes
from tests.web.log_servers import Loki, standing_in_for_loki


class TestTheOutputs:
    def test_every_line_of_every_process_is_at_each_and_the_last_ones_too(
        self, tmp_path: Path
    ) -> None:
        with standing_in_for_loki() as loki:
            outputs = {"LOG_OUTPUTS": "console,file,external", "LOG_EXTERNAL_URL": loki.url}
            with serving(tmp_path, WEB_CONCURRENCY="2", RATE_LIMITS="off", **outputs) as server:
                server.wait_for_worker()
                self._gunicorn_tells_of_a_process_that_was_killed(server)
                ids = {f"request-{number}" for number in range(100)}
                for each in ids:
                    assert server.get("/services.php?getTemplates=1", X_Request_ID=each).status
                server.process.terminate()
                assert server.process.wait(timeout=20) == 0
                server.wait_until_all_are_gone()
                self._each_has(server, loki, ids)

    def _gunicorn_tells_of_a_process_that_was_killed(self, server: Server) -> None:
        server.get("/services.php?getTemplates=1")
        os.kill(web_processes(server).pop(), signal.SIGKILL)
        eventually(lambda: "SIGKILL" in server.stdout, "gunicorn tells that a process was killed")
        assert server.stderr.count("\n") <= 3
        eventually(server.is_ready, "another process takes its place")

    def _each_has(self, server: Server, loki: Loki, ids: set[str]) -> None:
        written = (server.folder / "data" / "logs" / "cms-services.log").read_text()
        for lines in (_parsed(server.stdout), _parsed(written), loki.lines):
            told = [line["request_id"] for line in lines if line.get("request_id") in ids]
            assert sorted(told) == sorted(ids)
            messages = [line["message"] for line in lines]
            assert messages.count("worker started") == messages.count("worker stopped") == 1
            (gunicorn,) = [line for line in lines if line["logger"] == "gunicorn.error"]
            assert "SIGKILL" in gunicorn["message"]


def _parsed(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]
