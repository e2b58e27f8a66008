"""Servers of a test's own, which it may stop, kill, freeze and start again."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pymysql
from psycopg import connect
from psycopg.errors import OperationalError
from redis import Redis as RedisClient
from redis import RedisError

from tests.databases import need_server
from tests.processes.servers import eventually, free_port

IS_ROOT = os.geteuid() == 0
_START_SECONDS = 60


class Engine:
    """A server on a port of its own, with its data in a folder that outlives its processes."""

    name = ""
    # Who it runs as where tests run as root, which these servers refuse to.
    user: str | None = None

    def __init__(self, folder: Path, address: str = "127.0.0.1") -> None:
        self.folder = folder
        self.address = address
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        if self.user and IS_ROOT:
            shutil.chown(folder, self.user)
        self.set_up()

    @property
    def url(self) -> str:
        raise NotImplementedError

    def set_up(self) -> None:
        """Make the data folder."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.begin()
        eventually(self.answers, f"{self.name} answers", _START_SECONDS)

    def begin(self) -> None:
        """Start it."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, cwd=self.folder, user=self._user()
            )

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Tell it to stop, and wait until it has."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(30)

    def kill(self) -> None:
        """`kill -9` of every process of it."""
        self._signal_all(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(30)

    def freeze(self) -> None:
        """Let its connections stay and nothing be answered."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: int) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        first = self._process.pid
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        for pid in (first, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _user(self) -> str | None:
        return self.user if IS_ROOT else None

    def _run(self, *command: str) -> None:
        subprocess.run(
            command, check=True, cwd=self.folder, user=self._user(), stdout=subprocess.DEVNULL
        )


class PostgreSQL(Engine):
    name = "postgresql"
    user = "postgres"

    @property
    def url(self) -> str:
        return f"postgresql://postgres@{self.address}:{self.port}/postgres"

    def set_up(self) -> None:
        # What is written outlives any process that is killed; a power failure is not tested.
        self._run(*self._program("initdb"), "-D", self._data, "--auth=trust", "-U", "postgres",
                  "--no-sync")  # fmt: skip
        with Path(self._data, "pg_hba.conf").open("a") as hosts:
            hosts.write("host all all all trust\n")

    def command(self) -> list[str]:
        return [
            *self._program("postgres"),
            *("-D", self._data, "-p", str(self.port), "-c", "fsync=off"),
            *("-c", f"listen_addresses={self.address}", "-c", "unix_socket_directories="),
        ]

    def answers(self) -> bool:
        try:
            with connect(self.url, connect_timeout=2):
                return True
        except OperationalError:
            return False

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    @staticmethod
    def _program(name: str) -> list[str]:
        found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
        if not found:
            need_server("PostgreSQL is not installed")
        return [str(found[-1])]


class MariaDB(Engine):
    name = "mariadb"
    user = "mysql"
    # A small machine's disk is enough.
    _LOG_SIZE = "--innodb-log-file-size=16M"

    @property
    def url(self) -> str:
        return f"mariadb://root@{self.address}:{self.port}/cms"

    def set_up(self) -> None:
        program = shutil.which("mariadb-install-db")
        if program is None:
            need_server("MariaDB is not installed")
        self._run(program, "--no-defaults", f"--datadir={self.folder / 'data'}",
                  "--auth-root-authentication-method=normal", "--skip-test-db",
                  self._LOG_SIZE)  # fmt: skip

    def command(self) -> list[str]:
        path = os.environ["PATH"] + ":/usr/sbin"
        return [
            str(shutil.which("mariadbd", path=path)),
            *("--no-defaults", f"--datadir={self.folder / 'data'}", f"--port={self.port}"),
            *(
                f"--socket={self.folder / 's'}",
                "--bind-address=" + ",".join(dict.fromkeys(("127.0.0.1", self.address))),
            ),
            # As with PostgreSQL, and a small machine is enough.
            *("--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=32M"),
            self._LOG_SIZE,
        ]

    def answers(self) -> bool:
        try:
            connection = pymysql.connect(
                host="127.0.0.1", port=self.port, user="root", connect_timeout=2, read_timeout=2
            )
        except pymysql.err.OperationalError:
            return False
        with connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE IF NOT EXISTS cms")
            # Whom it knows by the name of this machine alone is somebody else on a network.
            cursor.execute("CREATE USER IF NOT EXISTS 'root'@'%' IDENTIFIED BY ''")
            cursor.execute("GRANT ALL ON *.* TO 'root'@'%'")
        return True


class Redis(Engine):
    name = "redis"

    def __init__(self, folder: Path, address: str = "127.0.0.1", *, remembers: bool = True) -> None:
        super().__init__(folder, address)
        # Whether what it was told outlives its process: the queue of jobs is there.
        self._remembers = remembers

    @property
    def url(self) -> str:
        return f"redis://{self.address}:{self.port}"

    def command(self) -> list[str]:
        program = shutil.which("redis-server")
        if program is None:
            need_server("Redis is not installed")
        return [program, "--port", str(self.port), "--bind", self.address, "--save", "",
                "--appendonly", "yes" if self._remembers else "no",
                "--dir", str(self.folder)]  # fmt: skip

    def answers(self) -> bool:
        try:
            with RedisClient.from_url(self.url, socket_timeout=1) as client:
                return bool(client.ping())
        except RedisError:
            return False


ENGINES: dict[str, type[Engine]] = {each.name: each for each in (PostgreSQL, MariaDB, Redis)}


@contextmanager
def engine(name: str, disk: Path | None = None, **options: Any) -> Iterator[Engine]:
    """A server that answers, until the block ends; its data may be on a disk of its own."""
    # Not pytest's folder, which other users can't enter and whose length no socket's path allows.
    with tempfile.TemporaryDirectory(
        prefix=f"faults-{name}-", dir=disk, ignore_cleanup_errors=True
    ) as made:
        own = ENGINES[name](for_all(Path(made)), **options)
        try:
            own.start()
            yield own
        finally:
            own.kill()


def for_all(folder: Path) -> Path:
    """A folder that servers may enter who run as another user."""
    folder.chmod(0o755)
    return folder
