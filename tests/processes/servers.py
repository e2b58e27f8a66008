"""Starting the application as operators do, and talking to it over its socket."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.local_servers import free_port

COMMAND = (str(Path(sys.executable).with_name("cms-services")),)
EMAIL, PASSWORD = "ada@example.com", "Correct-horse-7"
_READY_SECONDS = 90.0


@dataclass(frozen=True)
class Reply:
    """What came back over the socket."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def data(self) -> Any:
        """The data of a successful JSON answer."""
        assert 200 <= self.status < 300, (self.status, self.body[:500])
        document = json.loads(self.body)
        assert document["success"] is True
        return document["data"]


class Server:
    """One running installation: the process that was started and all that it started."""

    def __init__(
        self, folder: Path, host: str, port: int, process: subprocess.Popen[bytes]
    ) -> None:
        self.folder = folder
        self.host = host
        self.port = port
        self.process = process

    @property
    def stdout(self) -> str:
        return (self.folder / "stdout").read_text()

    @property
    def stderr(self) -> str:
        return (self.folder / "stderr").read_text()

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str | None = None,
        timeout: float = 20,
        **headers: str,
    ) -> Reply:
        """Send one request on a connection of its own; `body` goes as JSON."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            sent["Content-Type"] = "application/json"
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, sent)
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path: str, token: str | None = None, **headers: str) -> Reply:
        return self.request("GET", path, token=token, **headers)

    def post(self, path: str, body: Any, token: str | None = None, **headers: str) -> Reply:
        return self.request("POST", path, body, token, **headers)

    def sign_in(self, email: str = EMAIL, password: str = PASSWORD) -> Reply:
        return self.post("/api/auth/login", {"email": email, "password": password})

    def token(self) -> str:
        """An access token of the first admin."""
        return str(self.sign_in().data["accessToken"])

    def is_ready(self) -> bool:
        try:
            return self.get("/readyz").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def wait_for_worker(self) -> None:
        """Wait until the background worker has begun."""
        eventually(lambda: "worker started" in self.stdout, "the worker says that it began")

    def web_processes(self) -> set[int]:
        """The processes of gunicorn that answer requests."""
        return self._children(b"gunicorn")

    def workers(self) -> set[int]:
        """The background workers that gunicorn keeps beside it: one, or none for a moment."""
        return self._children(b"--beside")

    def _children(self, said: bytes) -> set[int]:
        """The processes that the first one has started by a command with this in it."""
        return {
            int(each.name)
            for each in _processes()
            if _parent_of(int(each.name)) == self.process.pid and said in _command_of(each)
        }

    def signal_group(self, number: int) -> None:
        """Signal every process of this installation, as a terminal does."""
        os.killpg(self.process.pid, number)

    def wait_until_all_are_gone(self, seconds: float = 10) -> None:
        """Fail where any process of this installation is left after so long."""
        eventually(self._all_are_gone, "every process is gone", seconds)

    def _all_are_gone(self) -> bool:
        self.process.poll()
        return not any(_session_of(int(each.name)) == self.process.pid for each in _processes())


def _processes() -> list[Path]:
    return [each for each in Path("/proc").iterdir() if each.name.isdigit()]


def _command_of(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def _session_of(pid: int) -> int | None:
    """The session that a living process belongs to."""
    return _of_living(pid, 3)


def _parent_of(pid: int) -> int | None:
    """The process that started a living one."""
    return _of_living(pid, 1)


def _of_living(pid: int, number: int) -> int | None:
    """A field of a process that lives, behind its name: state, parent, group, session."""
    try:
        # The name may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[number])


def environment(home: Path, **settings: str) -> dict[str, str]:
    """The environment of an operator who has set nothing but these."""
    kept = ("PATH", "LANG", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | {
        "HOME": str(home),
        **settings,
    }


def run_command(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder to its end, with its data below it."""
    folder.mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(folder, CMS_DATA_DIR=str(folder / "data")),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@contextmanager
def start(
    folder: Path,
    *arguments: str,
    command: tuple[str, ...] = COMMAND,
    pass_fds: tuple[int, ...] = (),
    **settings: str,
) -> Iterator[Server]:
    """Start a command with its data, its home and its output below a folder; kill what is left.

    It has the open files of `pass_fds`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    home = folder / "home"
    home.mkdir(exist_ok=True)
    given = settings.setdefault("PORT", str(free_port()))
    port = int(given) if given.isdecimal() else 0
    settings.setdefault("CMS_DATA_DIR", str(folder / "data"))
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        process = subprocess.Popen(
            [*command, *arguments],
            cwd=folder,
            env=environment(home, **settings),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            pass_fds=pass_fds,
        )
    server = Server(folder, settings.get("HOST", "127.0.0.1"), port, process)
    try:
        yield server
    finally:
        with suppress(ProcessLookupError):
            server.signal_group(signal.SIGKILL)
        process.wait()


@contextmanager
def serving(
    folder: Path, *arguments: str, command: tuple[str, ...] = COMMAND, **settings: str
) -> Iterator[Server]:
    """A server that is ready, whose first admin is EMAIL with PASSWORD."""
    admin = {"CMS_ADMIN_EMAIL": EMAIL, "CMS_ADMIN_PASSWORD": PASSWORD}
    with start(folder, *(arguments or ("run",)), command=command, **(admin | settings)) as server:
        wait_until_ready(server)
        yield server


def wait_until_ready(server: Server) -> None:
    def ready_or_ended() -> bool:
        return server.is_ready() or server.process.poll() is not None

    eventually(ready_or_ended, "/readyz answers 200", _READY_SECONDS)
    assert server.process.poll() is None, server.stderr


def eventually(holds: Callable[[], bool], what: str, seconds: float = 45) -> None:
    """Wait until something holds. Fails where it doesn't within so many seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"after {seconds} s it is not so that {what}"
        time.sleep(0.05)
