"""Other ways to start it than `cms-services run`: a WSGI server, the package, other commands."""

import sys
from pathlib import Path

from tests.local_servers import free_port
from tests.processes.servers import (
    COMMAND,
    run_command,
    start,
    wait_until_ready,
)

CHECKOUT = Path(__file__).parents[2]


class TestOtherWaysToStart:
    def test_any_gunicorn_serves_wsgi_app_from_the_checkout(self, tmp_path: Path) -> None:
        upgraded = run_command(tmp_path, *COMMAND, "db", "upgrade")
        assert upgraded.returncode == 0, upgraded.stderr
        port = free_port()
        gunicorn = (sys.executable, "-m", "gunicorn", "--chdir", str(CHECKOUT))
        arguments = ("--bind", f"127.0.0.1:{port}", "wsgi:app")
        with start(tmp_path, *arguments, command=gunicorn, PORT=str(port)) as server:
            wait_until_ready(server)
            assert server.get("/services.php?getServiceTypes=1").data
            assert server.get("/metrics").status == 200
            assert "Traceback" not in server.stderr

    def test_the_package_runs_as_the_command_and_lists_its_commands(self, tmp_path: Path) -> None:
        shown = run_command(tmp_path, sys.executable, "-W", "error", "-m", "cms_services", "--help")
        assert (shown.returncode, shown.stderr) == (0, "")
        for command in ("run", "worker", "demo", "db"):
            assert f"\n  {command} " in shown.stdout
