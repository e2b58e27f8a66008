"""`cms-services audit`, and the head that the worker logs."""

import re
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from click.testing import Result
from flask import Flask

from cms_services.clock import fixed_at
from cms_services.extensions import db
from cms_services.worker.running import run_due_jobs
from tests.audit.trails import entry, note, set_entry, spoil, write
from tests.conftest import MakeApp

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)


def command(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["audit", *arguments])


class TestVerify:
    def test_an_unspoiled_trail_ends_with_0_and_tells_the_head(self, app: Flask) -> None:
        write(app, 3)
        done = command(app, "verify")
        assert done.exit_code == 0
        assert done.output == (
            f"Checked: 3. Older than the chain: 0.\nHead: 3:{entry(app, 3)['mac']}\n"
        )

    def test_a_spoiled_one_ends_with_1_and_names_the_entries(self, app: Flask) -> None:
        write(app, 4)
        spoil(app, set_entry(2, action="x"), set_entry(3, action="x"), set_entry(4, id=5))
        done = command(app, "verify")
        assert done.exit_code == 1
        assert done.stdout.startswith(
            "entries 2 to 3: edited\n"
            "entry 4: removed\n"
            "entry 5: behind the head: added by somebody else, or the head was set back\n"
        )
        assert "docs/audit.md" in done.stderr

    def test_the_head_of_before_is_expected(self, app: Flask) -> None:
        write(app, 2)
        head = re.findall(r"Head: (.*)", command(app, "verify").output)[0]
        write(app)
        assert command(app, "verify", "--expect", head).exit_code == 0
        other = f"2:{'0' * 64}"
        done = command(app, "verify", "--expect", head, "--expect", other)
        assert done.exit_code == 1
        assert "entry 2: not the entry that was noted" in done.stdout

    def test_a_missing_key_is_named(self, app: Flask) -> None:
        write(app)
        spoil(app, set_entry(1, key_id="0badcafe"))
        done = command(app, "verify")
        assert done.exit_code == 1
        assert "Keys that are not configured: 0badcafe." in done.stdout

    def test_an_empty_trail_has_no_head(self, app: Flask) -> None:
        done = command(app, "verify")
        assert (done.exit_code, done.output.splitlines()[-1]) == (0, "Head: none yet")

    @pytest.mark.parametrize("head", ["1", "1:abc", f"x:{'0' * 64}", f"-1:{'0' * 64}"])
    def test_what_is_no_head_is_refused(self, app: Flask, head: str) -> None:
        done = command(app, "verify", f"--expect={head}")
        assert done.exit_code == 2
        assert "is not a head" in done.stderr


class TestExport:
    def test_all_entries_go_out_oldest_first_with_their_codes(self, app: Flask) -> None:
        with app.app_context(), fixed_at(NOON):
            note(3)
            db.session.commit()
        lines = [orjson.loads(line) for line in command(app, "export").stdout.splitlines()]
        assert [line["id"] for line in lines] == ["1", "2", "3"]
        assert [line["mac"] for line in lines] == [entry(app, n)["mac"] for n in (1, 2, 3)]
        assert {line["address"] for line in lines} == {"203.0.113.7"}
        assert lines[0]["at"] == "2030-01-31T12:00:00Z"

    def test_times_narrow_it(self, app: Flask) -> None:
        for hour in (10, 11, 12):
            with fixed_at(NOON.replace(hour=hour)):
                write(app)
        given = ("--since", "2030-01-31T12:00:00+01:00", "--until", "2030-01-31T12:00:00")
        lines = command(app, "export", *given).stdout.splitlines()
        assert [orjson.loads(line)["id"] for line in lines] == ["2"]
        assert command(app, "export", "--since=noon").exit_code == 2


class TestWorker:
    def heads(self, app: Flask, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
        """What two rounds of the worker log of the head."""
        capsys.readouterr()
        with app.app_context(), fixed_at(NOON):
            run_due_jobs()
            run_due_jobs()
        lines = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert "job failed" not in {line["message"] for line in lines}
        return [line for line in lines if line["message"] == "audit head"]

    def test_it_logs_the_head_once_an_hour(
        self, make_app: MakeApp, capsys: pytest.CaptureFixture[str]
    ) -> None:
        app = make_app(LOG_LEVEL="info")
        write(app, 3)
        (line,) = self.heads(app, capsys)
        assert (line["entry"], line["mac"]) == (3, entry(app, 3)["mac"])
        assert line["level"] == "info"
        write(app)
        assert command(app, "verify", "--expect", line["head"]).exit_code == 0

    def test_without_entries_there_is_none(
        self, make_app: MakeApp, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.heads(make_app(LOG_LEVEL="info"), capsys) == []
