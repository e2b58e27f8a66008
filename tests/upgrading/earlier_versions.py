"""Earlier versions of the application, taken from the history of this repository, and run."""

import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from tests.databases import need_server
from tests.processes.servers import Server, environment, start, wait_until_ready

_ROOT = Path(__file__).parents[2]
_VERSIONS = "cms_services/migrations/versions"


class EarlierVersion:
    """The application as it was at a commit, in a folder of its own."""

    def __init__(self, commit: str, folder: Path) -> None:
        self.commit = commit
        self.folder = folder
        packed = _git_bytes("archive", commit, "cms_services", "templates", "config_templates")
        with tarfile.open(fileobj=BytesIO(packed)) as archive:
            archive.extractall(folder, filter="data")
        names = (file.name for file in (folder / _VERSIONS).glob("[0-9]*.py"))
        self.revisions = {name.partition("_")[0] for name in names}

    @property
    def command(self) -> tuple[str, ...]:
        """`cms-services` of that version, by our interpreter and its libraries."""
        program = f"import sys; sys.path.insert(0, {str(self.folder)!r}); "
        program += "from cms_services.cli import main; main()"
        return (sys.executable, "-c", program)

    @contextmanager
    def serving(self, folder: Path, **settings: str) -> Iterator[Server]:
        """This version, once it is ready."""
        # Its gunicorn and its worker are started by it, and find it by this path.
        with start(
            folder, "run", command=self.command, PYTHONPATH=str(self.folder), **settings
        ) as server:
            wait_until_ready(server)
            yield server

    def was_served(self) -> bool:
        """Whether a gunicorn has read this version's own code."""
        return any((self.folder / "cms_services/__pycache__").glob("gunicorn_conf.*.pyc"))

    def refusal(self, folder: Path, **settings: str) -> tuple[int, str]:
        """How a start ends that can't succeed: the exit code, and what it says."""
        folder.mkdir()
        ended = subprocess.run(
            [*self.command, "run"],
            cwd=folder,
            env=environment(folder, PYTHONPATH=str(self.folder), **settings),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return ended.returncode, ended.stderr


def commit_before() -> str:
    """The commit before the newest one."""
    return _commit("rev-parse", "--verify", "HEAD~1")


def commit_before_the_newest_migration() -> str:
    """The newest commit whose schema is another one."""
    newest = _commit("log", "-1", "--diff-filter=A", "--format=%H", "--", f"{_VERSIONS}/[0-9]*.py")
    return _commit("rev-parse", "--verify", f"{newest}~1")


def _commit(*command: str) -> str:
    try:
        found = _git_bytes(*command).decode().strip()
    except (OSError, subprocess.CalledProcessError):
        found = ""
    if not re.fullmatch(r"[0-9a-f]{40,64}", found):
        need_server("the history of this repository is not here")
    return found


def _git_bytes(*command: str) -> bytes:
    return subprocess.run(
        ["git", "-C", str(_ROOT), *command], capture_output=True, check=True
    ).stdout
