"""Running a generated project beside our real application, as its owner would."""

import http.client
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from cms_services.downloads.scaffold import scaffold_files
from tests.downloads.samples import a_subject
from tests.processes.servers import Server, environment, eventually, serving, start

# Breaks whatever writes it somewhere without quoting it.
HOSTILE_NAME = "Käse's \"Shop\" </b> ${HOME} $(id) `id` {{ 7 * 7 }} \\ # : '''\n- evil: true\n"
_READY_SECONDS = 20.0
_INSTALL_SECONDS = 300


def write_project(
    folder: Path, template: str, config: dict[str, Any] | None = None, **fields: Any
) -> dict[str, bytes]:
    """Write the scaffold of a service that has this template below the folder; give its files.

    The service is called HOSTILE_NAME unless `fields` say otherwise.
    """
    given = {"name": HOSTILE_NAME, "description": HOSTILE_NAME, "type": "api"} | fields
    files = scaffold_files(a_subject(config, template=template, **given))
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return files


def in_project(folder: Path, *command: str, **settings: str) -> str:
    """Run a command in a project to its end, and give all that it printed.

    Fails with that where the command does. Our own environment counts too, since it tells package
    managers which registry and cache to use.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_INSTALL_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


@contextmanager
def started(
    folder: Path, *command: str, port: int, ready: str = "/health", **settings: str
) -> Iterator[Server]:
    """The project as a process of its own, once `ready` answers 200 on the port.

    It sees PORT and the settings. What it prints stands in the `.stdout` and `.stderr` of the
    Server; its processes are killed at the end.
    """
    program = shutil.which(command[0], path=f"{folder}:{environment(folder)['PATH']}")
    assert program, f"there is no {command[0]}"
    with start(folder, command=(program, *command[1:]), PORT=str(port), **settings) as project:
        eventually(
            lambda: _answers(project, ready) or project.process.poll() is not None,
            f"{ready} answers 200",
            _READY_SECONDS,
        )
        assert project.process.poll() is None, project.stdout + project.stderr
        yield project


def stopped(project: Server, seconds: float = 10) -> int:
    """Stop a project by SIGTERM, as platforms do; give its exit code once all of it is gone."""
    project.process.terminate()
    code = project.process.wait(seconds)
    project.wait_until_all_are_gone(seconds)
    return code


@contextmanager
def our_application(folder: Path) -> Iterator[Server]:
    """Our server with its own data below a folder, which may probe addresses of this machine."""
    with serving(folder, PROBE_ALLOWED_NETWORKS="127.0.0.0/8") as server:
        yield server


@dataclass(frozen=True)
class Listed:
    """A service in our application, which a project on this machine runs for."""

    cms: Server
    token: str
    service_id: str
    settings: dict[str, str]

    @classmethod
    def at(cls, cms: Server, template: str, port: int, **fields: Any) -> "Listed":
        """Create the service from the template, and a token for its logs.

        `settings` are the variables by which the project finds its service: CMS_URL,
        CMS_SERVICE_ID and CMS_INGEST_TOKEN.
        """
        token = cms.token()
        asked = {
            "name": "Shop",
            "type": "api",
            "template": template,
            "configuration": {"baseUrl": f"http://127.0.0.1:{port}"},
        }
        service = cms.post("/api/services", asked | fields, token).data
        path = f"/api/services/{service['id']}/ingest-tokens"
        ingest = cms.post(path, {"name": "project"}, token).data["token"]
        settings = {
            "CMS_URL": f"http://{cms.host}:{cms.port}",
            "CMS_SERVICE_ID": service["serviceId"],
            "CMS_INGEST_TOKEN": ingest,
        }
        return cls(cms, token, service["serviceId"], settings)

    def health(self) -> Any:
        """What our own check finds now; its `status` is the word."""
        return self.cms.post(f"/api/services/{self.service_id}/health", None, self.token).data

    def logs(self) -> list[dict[str, Any]]:
        """The entries that arrived, newest first."""
        path = f"/api/services/{self.service_id}/logs?limit=500"
        found: list[dict[str, Any]] = self.cms.get(path, self.token).data
        return found

    def log_entry(self, message: str, seconds: float = 10) -> dict[str, Any]:
        """The entry whose message matches this pattern, once it arrived."""

        def matching() -> list[dict[str, Any]]:
            return [entry for entry in self.logs() if re.search(message, entry["message"])]

        eventually(lambda: bool(matching()), f"a log entry like {message!r} arrives", seconds)
        return matching()[0]


def metrics_of(project: Server, path: str = "/metrics") -> dict[str, list[tuple[Any, float]]]:
    """What the project measures: by name of sample, its labels and value, read as Prometheus does.

    Fails where the answer is not of the Prometheus text format or is empty.
    """
    answer = project.get(path)
    assert answer.status == 200, answer.body
    assert (answer.headers["Content-Type"] or "").startswith("text/plain")
    found: dict[str, list[tuple[Any, float]]] = {}
    for family in text_string_to_metric_families(answer.body.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    assert found
    return found


def _answers(project: Server, path: str) -> bool:
    try:
        return project.get(path).status == 200
    except (OSError, http.client.HTTPException):
        return False
