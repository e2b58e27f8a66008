"""Each action goes where its line in the table says, by real nginx, php-fpm and application."""

import json
import re
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner

from cms_services.commands.cutover import cutover_group
from cms_services.legacy.routes import read_table
from tests.cutover.rig import FORM, Front, cutover, side_of
from tests.php_cms.running import PhpCms
from tests.processes.servers import eventually

ACTIONS: dict[str, Any] = {
    "getServices": "flask",
    "createService": "flask",
    "getService": "php",
    "updateService": "php",
    "sendNewsletter": "php",
    "getTemplates": {"flask": "0%"},
    "getServiceTypes": {"flask": "100%"},
    "getLogs": {"flask": "25%"},
    "getMetrics": {"flask": {"projects": ["shop", "A & B"]}},
}
SIDES = {
    "getServices": "flask",
    "createService": "flask",
    "getServiceTypes": "flask",
    "getService": "php",
    "updateService": "php",
    "sendNewsletter": "php",
    "getTemplates": "php",
    "getConfig": "php",
    "unheardOf": "php",
}
MULTIPART = "multipart/form-data; boundary=xyz"


@pytest.fixture(scope="module")
def front(cms: PhpCms, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("front")
    with cutover(folder, cms, ACTIONS, table={"mirror": ["getServices", "getService"]}) as front:
        yield front


def parts(**fields: str) -> bytes:
    made = "".join(
        f'--xyz\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    return f"{made}--xyz--\r\n".encode()


class TestEachWayToNameAnAction:
    @pytest.mark.parametrize(("action", "side"), SIDES.items())
    def test_it_is_answered_by_the_side_of_its_line(
        self, front: Front, action: str, side: str
    ) -> None:
        fields = {action: action, "_": "1700000000"}
        query = f"/services.php?{urlencode(fields)}"
        form = {"Content-Type": FORM}
        asked = {
            "GET": front.send("GET", query),
            "POST by the query": front.send("POST", query),
            "form": front.send("POST", "/services.php", urlencode(fields).encode(), form),
            "JSON": front.send(
                "POST",
                "/services.php",
                json.dumps(fields).encode(),
                {"Content-Type": "application/json"},
            ),
            "JSON under a form's type": front.send(
                "POST", "/services.php", json.dumps(fields).encode(), form
            ),
            "parts": front.send(
                "POST", "/services.php", parts(**fields), {"Content-Type": MULTIPART}
            ),
        }
        assert {way: side_of(reply) for way, reply in asked.items()} == dict.fromkeys(asked, side)

    @pytest.mark.parametrize(
        ("query", "side"),
        [
            ("getServices", "flask"),
            ("getServices=", "flask"),
            ("getServices[]=1", "flask"),
            ("%67etServices=1", "flask"),
            ("get%53ervice=1", "php"),
            ("getService[x]=1", "php"),
            ("x=1&getServices=2&getServices=3", "flask"),
            # Not the name of an action at all, to PHP as to us.
            ("GETSERVICES=1", "php"),
            ("x=getServices", "php"),
            ("getServicesx=1", "php"),
            # One that is ours is refused beside one that is PHP's, lest both act.
            ("getService=1&getServices=1", "flask"),
            ("getService=1&getTemplates=1", "php"),
            ("", "php"),
            ("&&getServices&", "flask"),
            ("get.Services=1", "php"),
            ("caf%C3%A9=1&getServices=1", "flask"),
            ("caf%E9=1&getServices=1", "flask"),
            ("name=M%FCller&getService=1", "php"),
        ],
    )
    def test_odd_queries_find_their_way_as_the_check_says(
        self, front: Front, query: str, side: str
    ) -> None:
        reply = front.send("GET", f"/services.php?{query}")
        assert side_of(reply) == side
        told = CliRunner().invoke(cutover_group, ["check", str(front.table_file), "--query", query])
        assert told.exit_code == 0, told.output
        line = re.compile(rf'"GET /services\.php\?{re.escape(query)} HTTP.* side=(\w+)')
        # nginx writes it when the answer is on its way already.
        eventually(lambda: line.search("\n".join(front.log_lines())) is not None, "it is logged")
        by_nginx = line.search("\n".join(front.log_lines()))
        assert by_nginx is not None
        looks = "nginx sends it to the application" in told.stdout
        if looks:
            assert by_nginx[1] == "flask"
            verb = "answers it itself" if side == "flask" else "passes it on to php"
            assert verb in told.stdout
        else:
            assert by_nginx[1] == side
            assert f"nginx sends it to {side}" in told.stdout

    @pytest.mark.parametrize(
        "body",
        [
            b"getServices=1&sendNewsletter=1",
            b"createService=1&updateService=1&name=x",
            # The application sees one, PHP another.
            b'{"updateService": 1, "serviceId": 12, "name": "&createService=1"}',
        ],
    )
    def test_actions_of_both_sides_are_refused(self, front: Front, body: bytes) -> None:
        reply = front.send("POST", "/services.php", body, {"Content-Type": FORM})
        assert json.loads(reply.body)["error"]["code"] == "AMBIGUOUS_ACTION"
        query = f"/services.php?{body.decode()}" if body[:1] != b"{" else "/services.php"
        reply = front.send("POST", query, body, {"Content-Type": FORM})
        assert json.loads(reply.body)["error"]["code"] == "AMBIGUOUS_ACTION"

    def test_null_in_the_body_does_not_send_ours_to_php(self, front: Front) -> None:
        body, kind = b'{"createService": null}', {"Content-Type": "application/json"}
        assert side_of(front.send("POST", "/services.php?createService=1", body, kind)) == "flask"

    def test_other_scripts_stay_with_php(self, front: Front) -> None:
        assert side_of(front.send("GET", "/login.php")) == "php"
        assert side_of(front.send("GET", "/whoami.php?getServices=1")) == "php"


class TestShares:
    def test_a_browser_stays_on_one_side_and_shares_are_about_right(self, front: Front) -> None:
        table = read_table(front.table_file)
        ours = 0
        for number in range(120):
            session = f"s{number:025}"
            cookie = {"Cookie": f"lang=de; PHPSESSID={session}"}
            path = "/services.php?getLogs=1&serviceId=12"
            form = {"Content-Type": FORM} | cookie
            sides = {
                side_of(front.send("GET", path, None, cookie)),
                side_of(front.send("POST", "/services.php", b"getLogs=1&serviceId=12", form)),
            }
            assert len(sides) == 1
            assert sides == {table.decide(["getLogs"], None, session).side}
            ours += sides == {"flask"}
        # 30 are expected, and the same ones each time.
        assert 18 <= ours <= 42

    def test_without_a_session_the_address_decides(self, front: Front) -> None:
        sides = {}
        for last in range(2, 40):
            address = f"127.0.0.{last}"
            replies = [
                front.send("GET", "/services.php?getLogs=1", address=address),
                front.send(
                    "POST", "/services.php", b"getLogs=1", {"Content-Type": FORM}, address=address
                ),
            ]
            assert side_of(replies[0]) == side_of(replies[1])
            sides[address] = side_of(replies[0])
        assert set(sides.values()) == {"flask", "php"}


class TestProjects:
    @pytest.mark.parametrize(
        ("project", "side"),
        [
            ("shop", "flask"),
            ("A & B", "flask"),
            ("sho%70", "flask"),
            ("Shop", "php"),
            ("shop2", "php"),
            ("", "php"),
            ("other & more", "php"),
        ],
    )
    def test_a_project_decides_by_query_and_body(
        self, front: Front, project: str, side: str
    ) -> None:
        value = project if "%" in project else urlencode({"project": project})[8:]
        asked = f"getMetrics=1&project={value}"
        assert side_of(front.send("GET", f"/services.php?{asked}")) == side
        form = {"Content-Type": FORM}
        assert side_of(front.send("POST", "/services.php", asked.encode(), form)) == side
        split = front.send("POST", "/services.php?getMetrics=1", f"project={value}".encode(), form)
        assert side_of(split) == side

    def test_without_or_with_two_projects(self, front: Front) -> None:
        assert side_of(front.send("GET", "/services.php?getMetrics=1")) == "php"
        twice = "/services.php?getMetrics=1&project=x&project=shop"
        assert side_of(front.send("GET", twice)) == "flask"
        assert side_of(front.send("GET", twice.replace("shop", "y"))) == "php"


class TestMirror:
    def test_a_read_reaches_the_other_side_too(self, front: Front) -> None:
        def answered() -> int:
            return front.server.stdout.count('services.php getService"')

        before = answered()
        assert side_of(front.send("GET", "/services.php?getService=1&serviceId=12")) == "php"
        eventually(lambda: answered() == before + 1, "the application has the copy")
        reply = front.send("GET", "/services.php?getServices=1&_=77001")
        assert side_of(reply) == "flask"
        eventually(lambda: "_=77001" in front.php_log(), "PHP has the copy")

    def test_nobody_else_makes_a_copy_of_a_request(self, front: Front) -> None:
        # It would be answered here, though the action is PHP's.
        marked = {"X-CMS-Mirror": "1"}
        assert side_of(front.send("GET", "/services.php?get%53ervice=1", None, marked)) == "php"

    def test_changes_are_never_copied(self, front: Front) -> None:
        def answered() -> list[str]:
            return re.findall(r"services\.php \w+", front.server.stdout)

        before = len(answered())
        form = {"Content-Type": FORM}
        updating = "/services.php?updateService=1&_=77002"
        assert side_of(front.send("POST", updating, b"x=1", form)) == "php"
        assert side_of(front.send("POST", "/services.php?getService=1", b"", form)) == "php"
        creating = "/services.php?createService=1&_=77003"
        assert side_of(front.send("POST", creating, b"x=1", form)) == "flask"
        # What comes later is logged later.
        front.send("GET", "/services.php?getServices=1&_=77004")
        eventually(lambda: "_=77004" in front.php_log(), "PHP has the copy of the read")
        assert "_=77002" not in front.php_log() and "_=77003" not in front.php_log()
        eventually(lambda: answered()[-1] == "services.php getServices", "it is logged")
        assert answered()[before:] == ["services.php createService", "services.php getServices"]


class TestGoingBack:
    def test_no_request_fails_over_a_reload_under_load(self, front: Front) -> None:
        ended = threading.Event()
        statuses: list[int] = []
        failures: list[Exception] = []

        def ask() -> None:
            while not ended.is_set():
                try:
                    reply = front.send("GET", "/services.php?getServiceTypes=1")
                except OSError as error:
                    failures.append(error)
                else:
                    statuses.append(reply.status)

        def all_php() -> bool:
            form = {"Content-Type": FORM}
            return {
                side_of(front.send("GET", "/services.php?getServices=1")),
                side_of(front.send("POST", "/services.php", b"getServices=1", form)),
            } == {"php"}

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            written = front.write("--all-to", "php")
            assert written.returncode == 0, written.stderr
            assert front.test_configuration().returncode == 0
            front.reload()
            eventually(all_php, "PHP answers everything")
            assert front.write().returncode == 0
            front.reload()
            eventually(
                lambda: side_of(front.send("GET", "/services.php?getServices=1")) == "flask",
                "the table holds again",
            )
        finally:
            ended.set()
            for thread in threads:
                thread.join()
        assert failures == []
        assert set(statuses) == {200} and len(statuses) > 20
