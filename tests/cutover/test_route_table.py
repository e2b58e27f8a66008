"""The table of actions: what it takes, what it refuses, and that nothing in it escapes."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cms_services.cutover.nginx import http_configuration, server_configuration
from cms_services.legacy.naming import named_in
from cms_services.legacy.routes import RouteTable, RouteTableError, is_within, read_table
from tests.downloads.samples import program

GOOD: dict[str, Any] = {
    "php": "http://127.0.0.1:8080",
    "flask": ["127.0.0.1:8000", "[::1]:8000"],
    "default": "php",
    "actions": {
        "getServices": "flask",
        "createService": "php",
        "sendNewsletter": "php",
        "getLogs": {"flask": "12.5%"},
        "getMetrics": {"flask": {"projects": ["shop", "Müller & Söhne; }", "$x"]}},
    },
    "mirror": ["getServices", "getLogs"],
}
HOSTILE = ["a; }", "a b", "$host", 'a"', "a\\", "a\n", "a.*", "(", "ü", "", "a" * 65, "a{1}", "#"]
BAD: list[tuple[dict[str, Any], str]] = [
    *(({"actions": {name: "php"}}, "actions") for name in HOSTILE),
    ({"actions": {"getLogs": "PHP"}}, "actions.getLogs"),
    ({"actions": {"getLogs": 25}}, "actions.getLogs"),
    ({"actions": {"getLogs": {"flask": 25}}}, "actions.getLogs"),
    ({"actions": {"getLogs": {"flask": "101%"}}}, "actions.getLogs"),
    ({"actions": {"getLogs": {"flask": "-1%"}}}, "actions.getLogs"),
    ({"actions": {"getLogs": {"php": "25%"}}}, "actions.getLogs"),
    ({"actions": {"getLogs": {"flask": {"projects": []}}}}, "actions.getLogs"),
    ({"actions": {"getLogs": {"flask": {"projects": [1]}}}}, "actions.getLogs"),
    ({"actions": {"getLogs": ["flask"]}}, "actions.getLogs"),
    ({"actions": {True: "flask"}}, "actions"),
    ({"actions": {"sendNewsletter": "flask"}}, "flask has no such action"),
    ({"actions": {"sendNewsletter": {"flask": "5%"}}}, "flask has no such action"),
    ({"actions": []}, "actions"),
    ({"default": "nobody"}, "default"),
    ({"mirror": ["createService"]}, "mirror"),
    ({"mirror": ["healthCheck"]}, "mirror"),
    ({"mirror": ["sendNewsletter"]}, "mirror"),
    ({"php": "127.0.0.1:8080"}, "php"),
    ({"php": "https://127.0.0.1:8080"}, "php"),
    ({"php": "http://127.0.0.1:8080/x"}, "php"),
    ({"php": "http://127.0.0.1:80800"}, "php"),
    ({"php": "http://a;b:80"}, "php"),
    ({"php": "http://a:80;}\n"}, "php"),
    ({"php": 8080}, "php"),
    ({"php": "http://127.0.0.1:8000"}, "circle"),
    ({"flask": []}, "flask"),
    ({"flask": ["127.0.0.1"]}, "flask"),
    ({"flask": ["a b:80"]}, "flask"),
    ({"flask": "127.0.0.1:8000"}, "flask"),
    ({"fastcgi": "unix:/run/php.sock"}, "fastcgi"),
    ({"fastcgi": "unix:/run/a;b", "script_filename": "/x.php"}, "fastcgi"),
    ({"fastcgi": "unix:/x", "script_filename": '/x";}'}, "script_filename"),
    ({"fastcgi": "unix:/x", "script_filename": "/x.php", "php": "http://cms.example"}, "php"),
    ({"session_cookie": "a-b"}, "session_cookie"),
    ({"session_cookie": "a;b"}, "session_cookie"),
    ({"body_limit_mb": 0}, "body_limit_mb"),
    ({"body_limit_mb": "16;"}, "body_limit_mb"),
    ({"acctions": {}}, "acctions"),
]


def read(folder: Path, **changed: Any) -> RouteTable:
    file = folder / "routes.yaml"
    file.write_text(yaml.safe_dump(GOOD | changed))
    return read_table(file)


class TestTable:
    @pytest.mark.parametrize(("changed", "told"), BAD)
    def test_what_is_wrong_is_told_in_one_line(
        self, tmp_path: Path, changed: dict[str, Any], told: str
    ) -> None:
        with pytest.raises(RouteTableError) as caught:
            read(tmp_path, **changed)
        assert told in str(caught.value)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "[",
            "php: [",
            "- x",
            "\xff",
            "a: 1\na: 2",
            "? [a]\n: 1",
            "actions: {x: php, x: flask}",
            "!!python/x y",
        ],
    )
    def test_what_is_no_table_is_refused(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "routes.yaml"
        file.write_bytes(text.encode("latin-1"))
        with pytest.raises(RouteTableError):
            read_table(file)

    @pytest.mark.parametrize(
        "changed",
        [
            {},
            {"default": "flask", "mirror": []},
            {"actions": {}},
            {"fastcgi": "unix:/run/php.sock", "script_filename": "/srv/my site/services.php"},
            {"fastcgi": "127.0.0.1:9000", "script_filename": "/srv/services.php"},
            {"session_cookie": "cms_sid", "body_limit_mb": 64},
        ],
    )
    @pytest.mark.parametrize("all_to_php", [False, True])
    def test_nginx_takes_what_is_written(
        self, tmp_path: Path, changed: dict[str, Any], all_to_php: bool
    ) -> None:
        table = read(tmp_path, **changed)
        (tmp_path / "http.conf").write_bytes(http_configuration(table, all_to_php=all_to_php))
        (tmp_path / "server.location").write_bytes(server_configuration(table))
        conf = tmp_path / "nginx.conf"
        conf.write_text(
            f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off;"
            + "".join(
                f" {name}_temp_path {tmp_path}/{name};"
                for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            )
            + f" include {tmp_path}/http.conf; server {{ listen 127.0.0.1:1;"
            f" include {tmp_path}/server.location; }} }}"
        )
        tested = subprocess.run(
            [program("nginx"), "-t", "-p", str(tmp_path), "-c", str(conf), "-e", "stderr"],
            capture_output=True,
            text=True,
            check=False,
        )
        # Only the words of a refusal: not that this account may not listen there.
        assert "[emerg]" not in tested.stderr or "bind()" in tested.stderr, tested.stderr

    def test_names_of_projects_never_reach_nginx_unless_they_are_plain(
        self, tmp_path: Path
    ) -> None:
        written = http_configuration(read(tmp_path)).decode()
        assert "project=shop" in written
        assert "Söhne" not in written and "$x" not in written


class TestNames:
    @given(st.binary(max_size=200), st.binary(max_size=200), st.sampled_from([
        "", "application/json", "application/x-www-form-urlencoded", "text/plain; charset=x",
        "multipart/form-data; boundary=x", "multipart/form-data", "image/png", "\xff",
    ]))  # fmt: skip
    def test_no_bytes_make_it_fail(self, query: bytes, body: bytes, kind: str) -> None:
        named = named_in(query, kind, body)
        assert all(isinstance(name, str) for name in named)

    def test_null_is_not_set(self) -> None:
        assert named_in(b"a=1", "application/json", b'{"getServices": null, "b": 0}') == {
            "a": "1",
            "b": "0",
        }
        # A script that reads the query alone sees it.
        assert named_in(b"getLogs=1", "", b'{"getLogs": null}') == {"getLogs": "1"}

    @pytest.mark.parametrize(
        "kind",
        ["application/x-www-form-urlencoded", "text/plain", "", "application/csp-report"],
    )
    @pytest.mark.parametrize(
        "body",
        [
            b' {"getLogs": 1}',
            b'\xef\xbb\xbf{"getLogs": 1}',
            b'{"getLogs": 1, "x": 1e999}',
            b'{"getLogs": 1, "x": ' + b"1" * 5000 + b"}",
        ],
        ids=["blank", "mark", "infinite", "long"],
    )
    def test_json_that_php_reads_is_read_under_any_type(self, kind: str, body: bytes) -> None:
        assert "getLogs" in named_in(b"", kind, body)

    def test_a_form_that_is_json_too_is_read_both_ways(self) -> None:
        form = "application/x-www-form-urlencoded,x"
        named = named_in(b"", form, b'{"getServices": "&getLogs=1&"}')
        assert {"getServices", "getLogs"} <= named.keys()

    def test_what_we_would_refuse_is_read_all_the_same(self) -> None:
        form = "application/x-www-form-urlencoded"
        deep = b"x" + b"[a]" * 100 + b"=1"
        assert "getLogs" in named_in(b"", form, b"name=M\xfcller&" + deep + b"&getLogs=1")
        many = b"&".join(b"p%d=1" % number for number in range(1000))
        assert "getLogs" not in named_in(b"", form, many + b"&getLogs=1")
        part = b'\r\n--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n1'
        parts, last = part % b"a" * 1000, part % b"getLogs"
        kind = "multipart/form-data; boundary=x"
        assert "getLogs" in named_in(b"", kind, last + parts + b"\r\n--x--")
        assert "getLogs" in named_in(b"", kind, last + parts * 2 + b"\r\n--x--")
        assert "getLogs" not in named_in(b"", kind, parts * 2 + last + b"\r\n--x--")


class TestShares:
    def test_they_contain_one_another(self) -> None:
        for number in range(300):
            client = b"client %d" % number
            inside = [is_within(client, share) for share in (0, 500, 2500, 9900, 10_000)]
            assert inside == sorted(inside)
            assert not inside[0]

    def test_a_whole_table_takes_everybody(self) -> None:
        share = sum(is_within(b"client %d" % number, 2500) for number in range(4000))
        assert 900 < share < 1100
