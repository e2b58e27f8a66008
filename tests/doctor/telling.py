"""What `cms-services doctor` tells of an installation that is given by its settings."""

import json
from dataclasses import dataclass
from typing import Any

from click.testing import CliRunner

from cms_services.commands.doctor import doctor_command


@dataclass(frozen=True)
class Told:
    """How the command ended, and its findings."""

    code: int
    findings: list[dict[str, Any]]

    def of(self, check: str, *levels: str) -> list[str]:
        """What a check saw: at these levels, or at any. Each that is not well says how to mend."""
        found = [each for each in self.findings if each["check"] == check]
        assert all(bool(each["mend"]) == (each["level"] != "ok") for each in found), found
        return [each["seen"] for each in found if not levels or each["level"] in levels]

    def mend(self, seen: str) -> str:
        """How that is mended of which one finding alone tells with these words."""
        [found] = [each for each in self.findings if seen in each["seen"]]
        return str(found["mend"])


def told(*arguments: str, **environment: str) -> Told:
    result = CliRunner().invoke(doctor_command, ["--json", *arguments], env=environment)
    return Told(result.exit_code, json.loads(result.stdout))
