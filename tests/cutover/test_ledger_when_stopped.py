"""What was counted just before a server is told to stop is written."""

from pathlib import Path

from tests.cutover.rig import run
from tests.processes.servers import serving


def test_stopping_writes_what_is_counted(tmp_path: Path) -> None:
    with serving(tmp_path / "app", RATE_LIMITS="off") as server:
        for _ in range(25):
            assert server.get("/services.php?getServiceTypes").status == 200
        server.process.terminate()
        assert server.process.wait(60) == 0
    told = run(tmp_path, "legacy", "usage", CMS_DATA_DIR=str(tmp_path / "app" / "data"))
    assert told.returncode == 0, told.stderr
    assert "getServiceTypes: 25 answered here, 0 passed on to PHP" in told.stdout
