"""The old CMS's stand-in, and this application with the same data, both running."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text

from cms_services import create_app
from cms_services.accounts.models import User
from cms_services.accounts.passwords import hash_password
from cms_services.catalogue.models import Service
from cms_services.extensions import db
from cms_services.monitoring.logs.models import LogEntry
from cms_services.projects.models import Project, ProjectMember
from cms_services.schema import upgrade_schema
from tests.people import PASSWORD
from tests.php_cms.running import ZONE, PhpCms
from tests.processes.servers import (
    Server,
    eventually,
    serving,
    start,
)

EMAIL = "juergen@cms.example"


def copy_data(cms: PhpCms, folder: Path) -> str:
    """Make a database of ours that has what juergen sees in the old CMS, and return its URL."""
    url = f"sqlite:///{folder / 'same.sqlite3'}"
    app = create_app({"DATABASE_URL": url, "CMS_DATA_DIR": str(folder / "data")})
    with app.app_context():
        upgrade_schema()
        user = User(id="7", email=EMAIL, name="Juergen", password_hash=hash_password(PASSWORD))
        db.session.add(user)
        db.session.flush()
        session = cms.sign_in("juergen")
        for old in cms.act(session, "getServices")["services"]:
            db.session.add(_service(old))
            db.session.flush()
            for line in cms.act(session, "getLogs", serviceId=str(old["id"]))["logs"]:
                db.session.add(_log_entry(old, line))
        db.session.commit()
        db.engine.dispose()
    return url


def _service(old: dict[str, Any]) -> Service:
    project = None
    if old["project_name"]:
        project = db.session.query(Project).filter_by(name=old["project_name"]).one_or_none()
        if project is None:
            project = Project(name=old["project_name"])
            db.session.add(project)
            db.session.flush()
            db.session.add(ProjectMember(project_id=project.id, user_id="7", role="editor"))
    return Service(
        id=str(old["id"]),
        service_id=str(old["serviceId"]),
        user_id="7",
        project=project,
        name=old["name"],
        description=old["desc"],
        icon=old["icon"],
        type=old["type"],
        status=old["status"],
        endpoints=old["endpoints"],
        dependencies=[str(each) for each in old["depends"]],
        config=old["config"] or {},
        start_date=_moment(old["created_at"]),
        created_at=_moment(old["created_at"]),
        updated_at=_moment(old["updated_at"]),
    )


def _log_entry(old: dict[str, Any], line: dict[str, Any]) -> LogEntry:
    return LogEntry(
        id=line["id"],
        service_id=str(old["id"]),
        at=_moment(line["time"]),
        level={"warning": "warn"}.get(line["level"], line["level"]),
        message=line["message"],
        attributes=line["context"] or {},
    )


def _moment(local: str) -> datetime:
    if local.startswith("0000"):
        return datetime(1970, 1, 1, tzinfo=UTC)
    return datetime.fromisoformat(local).replace(tzinfo=ZONE).astimezone(UTC)


@contextmanager
def new_application(folder: Path, url: str, **settings: str) -> Iterator[Server]:
    with serving(folder, DATABASE_URL=url, RATE_LIMITS="off", **settings) as server:
        yield server


@contextmanager
def recording(folder: Path, upstream: str, to: Path, *options: str) -> Iterator[str]:
    """The address of a recorder, which has ended when the block has."""
    arguments = ("parity", "record", "--upstream", upstream, "--to", str(to))
    with start(folder, *arguments, "--listen", "127.0.0.1:0", *options) as server:

        def listens() -> bool:
            assert server.process.poll() is None, server.stderr
            return "requests go to" in server.stderr

        eventually(listens, "the recorder listens")
        told = re.search(r"Recording on (http://127\.0\.0\.1:[0-9]+) ", server.stderr)
        assert told is not None
        yield told[1]
        server.process.terminate()
        server.process.wait(30)
        (folder / "told").write_text(server.stderr)


def lines_of(recorded: Path) -> list[dict[str, Any]]:
    """The exchanges of a recording."""
    return [json.loads(line) for line in recorded.read_text().splitlines()[1:]]


def rename_service(url: str, service_id: str, name: str) -> None:
    """Plant a difference in our database."""
    folder = Path(url.removeprefix("sqlite:///")).parent
    app = create_app({"DATABASE_URL": url, "CMS_DATA_DIR": str(folder / "data")})
    with app.app_context():
        db.session.execute(
            text("UPDATE services SET name = :name WHERE id = :id"),
            {"name": name, "id": service_id},
        )
        db.session.commit()
        db.engine.dispose()
