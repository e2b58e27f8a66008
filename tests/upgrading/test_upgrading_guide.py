"""The commands of docs/upgrading.md, in the order in which it gives them."""

import re
from pathlib import Path

from cms_services import create_app
from cms_services.extensions import db
from cms_services.schema import newest_revision, present_revision

DOCUMENT = Path(__file__).parents[2] / "docs" / "upgrading.md"


def test_its_commands_lead_to_the_new_schema_and_back(tmp_path: Path) -> None:
    blocks = re.findall(r"^ *```sh\n(.*?)```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    commands = [line.split() for block in blocks for line in block.splitlines() if line.strip()]
    assert all(command[0] == "cms-services" for command in commands)
    app = create_app({"CMS_DATA_DIR": str(tmp_path), "LOG_LEVEL": "warning"})
    revisions = []
    for command in commands:
        done = app.test_cli_runner().invoke(args=command[1:])
        assert done.exit_code == 0, done.output
        with app.app_context():
            revisions.append(present_revision())
            db.engine.dispose()
    assert revisions == [None, newest_revision(), "0011"]
