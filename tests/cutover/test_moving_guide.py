"""docs/moving-from-php.md, followed from its first command to its last.

The commands and files are taken out of the page itself. Only what stands for an operator's own,
such as host names and folders, becomes the stand-in's by places_of().
"""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml
from sqlalchemy import create_engine, make_url, text

from cms_services.database import sqlalchemy_url
from tests.cutover.rig import FORM, send, side_of
from tests.databases import SERVERS
from tests.downloads.samples import program
from tests.downloads.servers import IS_ROOT, running
from tests.local_servers import free_port
from tests.php_cms.running import PhpCms, php_cms
from tests.processes.servers import (
    COMMAND,
    Reply,
    Server,
    environment,
    eventually,
    start,
    wait_until_ready,
)

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "moving-from-php.md"
# What ends with 1 while there is something that a person should look at.
MAY_TELL = ("cms-services import", "cms-services parity infer")
# What goes on until ^C.
GO_ON = ("cms-services parity record", "cms-services import .* --follow")
_NGINX = """
daemon off; {user} worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  include conf.d/*.conf;
}}
"""


@dataclass(frozen=True)
class Step:
    """A command, a file to write, or SQL for the old database, of a numbered section."""

    section: int
    kind: str
    text: str


def steps_of(page: str) -> Iterator[Step]:
    """The steps of a page in their order. Fails on a block that is neither of the kinds."""
    section = -1
    fences = r"^## (?P<number>\d+)\.|^(?P<indent> *)```(?P<kind>\w*)\n(?P<text>.*?)^(?P=indent)```$"
    for found in re.finditer(fences, page, re.M | re.S):
        if found["number"]:
            section = int(found["number"])
            continue
        block = dedent(found["text"])
        if found["kind"] == "sql":
            yield Step(section, "sql", block)
        elif found["kind"] == "console":
            for line in block.splitlines():
                assert line == "^C" or line.startswith("$ "), line
                yield Step(section, "command", line.removeprefix("$ "))
        else:
            assert re.match("# /etc/", block), block
            yield Step(section, "file", block)


class Move:
    """An operator who follows the guide."""

    def __init__(self, folder: Path, cms: PhpCms, places: dict[str, str], stack: ExitStack) -> None:
        self.folder = folder
        self.cms = cms
        self.steps = list(steps_of(GUIDE.read_text(encoding="utf-8")))
        self.editors: dict[tuple[int, str], Callable[[Path], None]] = {}
        self.stop_php: Callable[[], None] = stack.close
        self.session = cms.sign_in("juergen")
        self.server: Server | None = None
        self._places = places | {"0123456789abcdefghijklmnop": self.session}
        self._application = ExitStack()
        self._shell: list[str] = []
        self._going_on: subprocess.Popen[bytes] | None = None

    def follow(self, section: int, until: str | None = None) -> str:
        """Take the steps of a section, or those before the one that begins like this.

        Returns what the last of them printed to stdout.
        """
        told = ""
        assert self.steps and self.steps[0].section == section
        while self.steps and self.steps[0].section == section:
            if until is not None and self.steps[0].text.startswith(until):
                return told
            step = self.steps.pop(0)
            given = self._placed(step.text)
            if step.kind == "file":
                path = Path(given.splitlines()[0].removeprefix("# "))
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(given)
            elif step.kind == "sql":
                run_sql(given)
            else:
                told = self._command(step, given)
        assert until is None, f"there is no {until} in {section}"
        return told

    def _placed(self, given: str) -> str:
        for place, own in self._places.items():
            given = given.replace(place, own)
        return re.sub(r"\bnginx (?=-)", f"{' '.join(nginx_command(self.folder))} ", given)

    def _command(self, step: Step, given: str) -> str:
        if given == "^C":
            self._interrupt()
        elif given.startswith("$EDITOR "):
            name = given.removeprefix("$EDITOR ")
            self.editors[step.section, Path(name).name](self.work / name)
        elif given == "systemctl restart cms-services":
            self._restart()
        elif given == "systemctl stop php8.2-fpm":
            self.stop_php()
        elif any(re.match(each, given) for each in GO_ON):
            self._begin(given)
        else:
            workers = nginx_workers(self.folder) if "nginx -s reload" in step.text else set()
            told = self._run(given)
            # nginx's old workers take requests, too, for a tenth of a second.
            eventually(lambda: not workers & nginx_workers(self.folder), "the old workers ended")
            return told
        return ""

    def _run(self, given: str) -> str:
        if given.startswith(("cd ", "set -a; ")):
            self._shell.append(given)
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", "\n".join([*self._shell, given])],
            cwd=ROOT,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        codes = {0, 1} if given.startswith(MAY_TELL) else {0}
        assert done.returncode in codes, (given, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def _environment(self) -> dict[str, str]:
        given = environment(self.folder)
        return given | {"PATH": f"{Path(COMMAND[0]).parent}:{given['PATH']}:/usr/sbin"}

    def _begin(self, given: str) -> None:
        assert self._going_on is None
        self.told = self.folder / "going-on"
        with self.told.open("wb") as file:
            self._going_on = subprocess.Popen(
                ["bash", "-c", "\n".join([*self._shell, f"exec {given}"])],
                cwd=ROOT,
                env=self._environment(),
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        eventually(
            lambda: bool(re.search("requests go to|it is there|Not all", self.told.read_text())),
            "it has begun",
            seconds=90,
        )

    def _interrupt(self) -> None:
        assert self._going_on is not None
        self._going_on.send_signal(signal.SIGINT)
        assert self._going_on.wait(60) in (0, 1), self.told.read_text()
        self._going_on = None

    def end(self) -> None:
        """End what goes on still, after a failure."""
        self._application.close()
        if self._going_on is not None:
            self._going_on.kill()
            self._going_on.wait()

    def _restart(self) -> None:
        if self.server is not None:
            self.server.process.terminate()
            self.server.process.wait(60)
        self._application.close()
        lines = (self.folder / "etc/cms-services/env").read_text().splitlines()
        settings = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
        self.server = self._application.enter_context(
            start(self.folder / "application", "run", **settings)
        )
        wait_until_ready(self.server)

    # What the frontend does, at the address that it always had.

    def ask(self, query: str) -> Reply:
        """A GET of services.php, signed in to PHP."""
        cookie = {"Cookie": f"PHPSESSID={self.session}"}
        return send(self.port, "GET", f"/services.php?{query}", None, cookie)

    def post(self, form: str) -> Any:
        sent = {"Cookie": f"PHPSESSID={self.session}", "Content-Type": FORM}
        return json.loads(send(self.port, "POST", "/services.php", form.encode(), sent).body)

    def names(self, side: str) -> list[str]:
        """The names of services that the frontend shows. Fails where not this side answers."""
        reply = self.ask("getServices=1")
        assert side_of(reply) == side
        return [each["name"] for each in json.loads(reply.body)["services"]]

    def log_lines(self) -> list[str]:
        return (self.folder / "cutover.log").read_text().splitlines()

    @property
    def port(self) -> int:
        return int(self._places["listen 80;"].rpartition(":")[2].rstrip(";"))

    @property
    def work(self) -> Path:
        return self.folder / "etc/cms-services/move"


def nginx_command(folder: Path) -> list[str]:
    where = folder / "etc/nginx/nginx.conf"
    return [program("nginx"), "-p", str(folder), "-c", str(where), "-e", "stderr"]


def nginx_workers(folder: Path) -> set[str]:
    """The processes that nginx answers by."""
    file = folder / "nginx.pid"
    if not file.exists():
        return set()
    master = file.read_text().strip()
    return set(Path(f"/proc/{master}/task/{master}/children").read_text().split())


def run_sql(statements: str) -> None:
    """Run statements as the old database's administrator."""
    engine = create_engine(sqlalchemy_url(SERVERS["mariadb"]), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            for statement in filter(str.strip, statements.split(";\n")):
                connection.execute(text(statement))
    finally:
        engine.dispose()


def places_of(cms: PhpCms, folder: Path, reader: str) -> dict[str, str]:
    """What stands in the guide for an operator's own, and what it is here."""
    url = make_url(cms.database_url)
    ours, recorder, front = free_port(), free_port(), free_port()
    return {
        "mysql://reader@old-host/cms?": f"mysql://{reader}@{url.host}:{url.port}/{url.database}?",
        "host = old-host": f"host = {url.host}",
        "port = 3306": f"port = {url.port}",
        "user = reader": f"user = {reader}",
        "'reader'@": f"'{reader}'@",
        "ON cms.*": f"ON {url.database}.*",
        "--no-tablespaces cms ": f"--no-tablespaces {url.database} ",
        "http://127.0.0.1:8080": cms.url,
        "127.0.0.1:8000": f"127.0.0.1:{ours}",
        "PORT=8000": f"PORT={ours}",
        "127.0.0.1:9000": f"127.0.0.1:{recorder}",
        "https://cms.example.com": f"http://127.0.0.1:{front}",
        "listen 80;": f"listen 127.0.0.1:{front};",
        "ada@example.com": cms.accounts["juergen"].email,
        "/var/lib/php/sessions": str(cms.session_folder),
        "/var/lib/cms-services": str(folder / "data"),
        "/var/log/nginx": str(folder),
        "/etc/": f"{folder}/etc/",
        # It installs for minutes; that its target is there is what can be told here.
        "make install": "make -n install",
    }


def people_work(move: Move) -> None:
    """What juergen does with the frontend while it is recorded."""
    for query in (
        "getServices=getServices",
        "getServices=1&project=Shop&_=1700000000",
        "getServices=1&type=data",
        "getServices=1&project=nowhere",
        *(f"getService=1&serviceId={number}" for number in (12, 13, 14, 15, 99999)),
        *(f"getLogs=1&serviceId={number}" for number in (12, 13, 14, 99999)),
        "getLogs=1&serviceId=12&limit=2",
        "nothing=1",
    ):
        assert side_of(move.ask(query)) == "php"
    move.post("getServices=1&status=active")
    # Nobody sees it in the lists, before or after.
    made = move.post("createService=1&name=Trial&type=api")["service"]["id"]
    move.post(f"updateService=1&serviceId={made}&name=Trial+2")
    move.post(f"deleteService=1&serviceId={made}")


def decide(move: Move) -> Callable[[Path], None]:
    """What an operator decides about what the dry run listed."""

    def edit(mapping: Path) -> None:
        chosen = yaml.safe_load(mapping.read_text())
        chosen["entities"]["users"]["same_as"] = {"11": "7"}
        chosen["entities"]["services"]["owner"] = "1"
        mapping.write_text(yaml.safe_dump(chosen))
        with move.cms.connected() as connection:
            connection.exec_driver_sql("UPDATE service_log SET ctx = NULL WHERE id = 5")
            # Within what is kept here.
            connection.exec_driver_sql(
                "UPDATE service_log SET logged_at = UTC_TIMESTAMP() - INTERVAL id HOUR"
            )

    return edit


def only_users(mapping: Path) -> None:
    chosen = yaml.safe_load(mapping.read_text())
    chosen["entities"] = {"users": chosen["entities"]["users"]}
    mapping.write_text(yaml.safe_dump(chosen))


@pytest.fixture
def move(tmp_path: Path) -> Iterator[Move]:
    reader = f"reader_{os.getpid()}_{time.monotonic_ns() % 10**9}"
    folder = tmp_path / "host"
    with ExitStack() as stack:
        cms = stack.enter_context(php_cms(tmp_path / "php"))
        try:
            made = Move(folder, cms, places_of(cms, folder, reader), stack)
            yield made
        finally:
            made.end()
            run_sql(f"DROP USER IF EXISTS '{reader}'@'%'")


def test_the_guide_is_followed_from_its_first_command_to_its_last(move: Move) -> None:
    move.editors = {
        (1, "mapping.yaml"): lambda mapping: None,
        (2, "mapping.yaml"): decide(move),
        (6, "password"): lambda path: _write(path, move.cms.accounts["juergen"].password),
        (12, "accounts.yaml"): only_users,
    }
    move.follow(0)
    assert "INSERT INTO `tbl_users`" in (move.work / "before.sql").read_text()
    configuration = move.folder / "etc/nginx/nginx.conf"
    user = "user root;" if IS_ROOT else ""
    configuration.write_text(_NGINX.format(folder=move.folder, user=user))
    with running(nginx_command(move.folder), move.port):
        data_carries_over(move)
        answers_are_equal(move)
        actions_move_and_go_back(move)
        changes_move_and_go_back(move)
        php_goes(move)
    assert move.steps == []


def data_carries_over(move: Move) -> None:
    move.follow(1)
    assert "tbl_users" in (move.work / "mapping.yaml").read_text()
    move.follow(2, until="$EDITOR")
    assert ("cms_services", "19") in rejected_rows(move)
    move.follow(2)
    move.follow(3)
    report = json.loads(move.follow(4, until="cut"))
    users, services = report["entities"]["users"], report["entities"]["services"]
    assert (users["read"], users["taken"], users["equal"]) == (8, 6, True)
    assert (services["read"], services["taken"], services["equal"]) == (9, 9, True)
    move.follow(4)
    # The same person once more, who has no address, and what belonged to a service that is gone.
    assert rejected_rows(move) == {
        ("tbl_users", "11"),
        ("tbl_users", "12"),
        ("service_log", "7"),
        ("service_stats", "4"),
    }


def rejected_rows(move: Move) -> set[tuple[str, str]]:
    """The rows that the last import left behind, by table and key."""
    told = map(json.loads, (move.work / "rejects.jsonl").read_text().splitlines())
    return {(each["table"], each["key"]) for each in told if each["about"] == "rejected"}


def answers_are_equal(move: Move) -> None:
    move.follow(5, until="rm ")
    people_work(move)
    move.follow(5)
    assert len((move.work / "old.jsonl").read_text().splitlines()) == 20
    move.follow(6)
    profile = yaml.safe_load((move.folder / "etc/cms-services/profile.yaml").read_text())
    assert profile["dates"]["format"] == "Y-m-d H:i:s"
    assert profile["envelope"]["actions"]["createService"] == "service"
    # It ended with 0, as every command does.
    assert "getServices" in move.follow(7, until="rm ")
    move.follow(7)
    assert json.loads(move.follow(8))["data"]["id"] == "7"


def actions_move_and_go_back(move: Move) -> None:
    move.follow(9, until="cms-services cutover nginx /etc/cms-services/routes.yaml --all-to")
    assert "Stock" in move.names("php")
    # Only a body tells what this is, so that it goes by way of the application.
    assert move.post("getService=1&serviceId=13")["service"]["name"] == "Stock"
    assert "side=flask" in move.log_lines()[-1]
    move.follow(9)
    assert move.post("getService=1&serviceId=13")["service"]["name"] == "Stock"
    assert "side=php" in move.log_lines()[-1]

    move.follow(10)
    move.follow(11, until="grep")
    assert "Stock" in move.names("flask")
    assert side_of(move.ask("getLogs=1&serviceId=12")) == "php"
    # By PHP, and followed from there.
    assert move.post("updateService=1&serviceId=13&name=Shelves")["service"]["name"] == "Shelves"
    eventually(lambda: "Shelves" in move.names("flask"), "what PHP changed is here")
    assert int(move.follow(11)) > 0


def changes_move_and_go_back(move: Move) -> None:
    move.follow(12, until="^C")
    assert side_of(move.ask("getLogs=1&serviceId=12")) == "flask"
    created = move.post("createService=1&name=Returns&type=api&project=Shop")
    assert created["success"], created
    assert created["service"]["name"] == "Returns"
    assert "Returns" not in names_at_php(move)
    move.follow(12, until="cms-services audit")
    # PHP answers, and does not have it; it is told what that is.
    assert "Returns" not in move.names("php")
    move.follow(12, until="cms-services import")
    changed = map(json.loads, (move.work / "changed-here.jsonl").read_text().splitlines())
    assert {"service.created"} == {
        each["action"] for each in changed if each["targetId"] == created["service"]["id"]
    }
    move.follow(12)
    assert "Returns" in move.names("flask")


def names_at_php(move: Move) -> list[str]:
    services = move.cms.act(move.session, "getServices")["services"]
    return [each["name"] for each in services]


def php_goes(move: Move) -> None:
    told = move.follow(13, until="cms-services legacy")
    assert "\nDeprecation: @" in told and "\nSunset: " in told
    assert re.search(r"^createService: 1 answered here", move.follow(13, until="grep"), re.M)
    assert "side=php action=a:getServices" in move.follow(13)
    move.follow(14, until="sed")
    assert "Returns" in move.names("flask")
    assert side_of(move.ask("unheardOf=1")) == "flask"
    move.follow(14)
    # PHP's sessions are over; the passwords are those of before.
    assert json.loads(move.ask("getServices=1").body)["success"] is False
    juergen = move.cms.accounts["juergen"]
    assert move.server is not None
    token = move.server.sign_in(juergen.email, juergen.password).data["accessToken"]
    reply = move.server.get("/services.php?getService=1&serviceId=13", token)
    assert json.loads(reply.body)["service"]["name"] == "Shelves"


def _write(path: Path, content: str) -> None:
    path.write_text(content)
