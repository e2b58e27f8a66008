"""What the hosting bundle holds, and that no value leaves its place in it."""

import json
import re
import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cms_services.configuration.documents import MASK, Opened
from cms_services.downloads.hosting.bundle import hosting_files
from cms_services.downloads.subject import Subject
from cms_services.errors import ServiceConfigError
from tests.downloads.samples import (
    GOOD_CONFIG,
    HOSTILE,
    a_service,
    a_subject,
    unicode_text,
    variable_values,
    without_comments,
)

# How a comment begins in each file that consists of anything else.
_MARKS = {
    **dict.fromkeys(("nginx/site.conf", ".htaccess", "logrotate.conf", "cron", "check.sh"), "#"),
    **dict.fromkeys((".env", ".env.example", "systemd/worker@.service"), "#"),
    **dict.fromkeys(("php-fpm/pool.conf", ".user.ini", "dns.zone"), ";"),
    **dict.fromkeys(("databases/mariadb.sql", "databases/postgresql.sql"), "-"),
}
_BOTH_DATABASES = GOOD_CONFIG | {"databases": [{"type": "mariadb"}, {"type": "postgresql"}]}


def environment_of(content: bytes) -> dict[str, str]:
    """The variables of a .env file, as a shell reads it."""
    script = content + b"\nenv -0"
    done = subprocess.run(
        ["/bin/sh", "-a"], input=script, capture_output=True, check=True, env={"PATH": "/usr/bin"}
    )
    pairs = (each.partition("=") for each in done.stdout.decode().split("\0") if each)
    return {name: value for name, _, value in pairs if name not in ("PATH", "PWD", "OLDPWD", "_")}


def test_every_file_of_text_is_known_to_these_tests() -> None:
    files = set(hosting_files(a_subject(_BOTH_DATABASES)))
    assert files - {"README.md", "SHA256SUMS", "manifest.json"} == set(_MARKS)


@settings(max_examples=60, deadline=None)
@given(name=unicode_text | st.sampled_from(HOSTILE))
def test_the_name_of_a_service_changes_nothing_but_comments(name: str) -> None:
    plain = hosting_files(a_subject(_BOTH_DATABASES))
    hostile = hosting_files(a_subject(_BOTH_DATABASES, name=name))
    for path, mark in _MARKS.items():
        assert without_comments(hostile[path], mark) == without_comments(plain[path], mark), path
    # Apache would take the line after it for a part of the comment.
    assert b"\\\n" not in hostile[".htaccess"]


@settings(max_examples=60, deadline=None)
@given(name=unicode_text | st.sampled_from(HOSTILE))
def test_the_commands_of_the_readme_are_those_of_any_name(name: str) -> None:
    def commands(subject: Subject) -> list[str]:
        readme = hosting_files(subject)["README.md"].decode()
        return re.findall(r"^```sh\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)

    assert commands(a_subject(name=name)) == commands(a_subject())


@settings(max_examples=25, deadline=None)
@given(
    environment=st.dictionaries(
        st.from_regex(r"V[A-Za-z0-9_]{0,9}", fullmatch=True), variable_values, max_size=4
    ),
    opened=st.booleans(),
)
def test_any_value_that_stands_in_an_env_file_is_read_as_it_was(
    environment: dict[str, str], opened: bool
) -> None:
    given_values = {n: Opened(v) if opened else v for n, v in environment.items()}
    document = GOOD_CONFIG | {"environment": given_values}
    read = environment_of(hosting_files(Subject(a_service(), document))[".env"])
    assert read.items() <= environment.items()
    for name in environment.keys() - read.keys():
        assert not environment[name].isprintable() or "'" in environment[name]


def test_opened_secrets_stand_in_env_and_never_in_the_example() -> None:
    environment = {
        "PLAIN": "1",
        "OPEN": Opened("it's open"),
        "MASKED": MASK,
        "LONG": Opened("a\nb"),
    }
    files = hosting_files(Subject(a_service(), {"environment": environment}))
    assert environment_of(files[".env"]) == {
        "PLAIN": "1",
        "OPEN": "it's open",
        "MASKED": "REPLACE_ME",
    }
    assert b"\n#LONG=\n" in files[".env"]
    assert environment_of(files[".env.example"]) == {
        "PLAIN": "1",
        **dict.fromkeys(("OPEN", "MASKED", "LONG"), "REPLACE_ME"),
    }
    assert json.loads(files["manifest.json"])["maskedFields"] == ["environment.MASKED"]
    for path in files.keys() - {".env"}:
        assert b"it's open" not in files[path]
    assert "**This bundle holds secrets**" in files["README.md"].decode()


@pytest.mark.parametrize("value", [text for text in HOSTILE if len(text) < 200])
def test_env_values_mean_the_same_to_a_shell_or_are_left_out(value: str) -> None:
    environment = {"BEFORE": "1", "VALUE": value, "ZLAST": "2"}
    content = hosting_files(a_subject(GOOD_CONFIG | {"environment": environment}))[".env.example"]
    script = content + b'\nprintf %s "$BEFORE|${VALUE-left out}|$ZLAST"'
    done = subprocess.run(["/bin/sh"], input=script, capture_output=True, check=True, env={})
    left_out = not value.isprintable() or ("'" in value and '"' in value)
    expected = "left out" if left_out else value
    assert done.stdout.decode() == f"1|{expected}|2"
    assert (b"\n#VALUE=\n" in content) == left_out


@pytest.mark.parametrize(
    ("memory", "children", "each"), [("512MiB", 4, 128), ("64MiB", 2, 32), ("2GiB", 16, 128)]
)
def test_the_pool_never_takes_more_than_the_plan_has(memory: str, children: int, each: int) -> None:
    files = hosting_files(a_subject({"runtime": {"memory_limit": memory}}))
    pool = files["php-fpm/pool.conf"].decode()
    assert f"pm.max_children = {children}\n" in pool
    assert f"php_admin_value[memory_limit] = {each}M\n" in pool


@pytest.mark.parametrize(
    ("runtime", "used"),
    [
        ({"php_version": "8.3.x"}, "8.3"),
        ({"phpVersion": 8.4}, "8.4"),
        ({"php_version": None}, "8.2"),
        ({"version": "8.1", "engine": "php-fpm"}, "8.1"),
        ({"version": "8.3"}, "8.3"),
        ({"version": 8.1, "engine": ""}, "8.1"),
        ({"version": "18", "engine": "node"}, "8.2"),
        ({"version": "20.x"}, "8.2"),
        ({"version": 3.11}, "8.2"),
        (None, "8.2"),
    ],
)
def test_the_php_version_is_read_as_people_write_it(runtime: Any, used: str) -> None:
    files = hosting_files(a_subject({"runtime": runtime}))
    assert f"/etc/php/{used}/fpm/pool.d/" in files["README.md"].decode()


@pytest.mark.parametrize(
    ("timeout", "script", "pool", "nginx"),
    [
        *((None, 55, 60, 65), ("30s", 25, 30, 35), ("5m", 295, 300, 305), ("1h", 3595, 3600, 3605)),
        *((2, 1, 2, 7), ("500ms", 1, 1, 6)),
    ],
)
def test_every_server_follows_the_timeout(timeout: Any, script: int, pool: int, nginx: int) -> None:
    files = hosting_files(a_subject({"runtime": {"timeout": timeout}}))
    for path, line in {
        ".user.ini": f"max_execution_time = {script}",
        "php-fpm/pool.conf": f"request_terminate_timeout = {pool}s",
        "nginx/site.conf": f"        fastcgi_read_timeout {nginx}s;",
    }.items():
        assert line in files[path].decode().split("\n")
    assert f"`ProxyTimeout {nginx}`" in files["README.md"].decode()


@pytest.mark.parametrize(("concurrency", "children"), [(None, 4), (1, 1), ("3", 3), (5, 4)])
def test_concurrency_makes_the_pool_smaller_and_never_larger(
    concurrency: Any, children: int
) -> None:
    runtime = {"memoryLimit": "512MiB", "concurrency": concurrency}
    files = hosting_files(a_subject({"runtime": runtime}))
    assert f"pm.max_children = {children}\n" in files["php-fpm/pool.conf"].decode()
    readme = files["README.md"].decode()
    assert f"- {children} requests run at once" in readme
    assert ("as `runtime.concurrency` says" in readme) == (children < 4)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("version", "banana"), ("version", "8"), ("version", "8.2; evil"), ("version", [8])),
        *(("timeout", 0), ("timeout", "0ms"), ("timeout", "61m"), ("timeout", "-5s")),
        *(("timeout", "60s\nuser = root"), ("timeout", True)),
        *(("concurrency", 0), ("concurrency", 100_001), ("concurrency", "4\nuser = root")),
    ],
)
def test_a_runtime_that_cannot_be_used_is_refused_by_its_path(field: str, value: Any) -> None:
    with pytest.raises(ServiceConfigError) as refusal:
        hosting_files(a_subject({"runtime": {field: value}}))
    assert list(refusal.value.details) == [f"runtime.{field}"]


def test_the_readme_names_the_variables_that_env_lacks() -> None:
    environment = {"FITS": "1", "LONG": Opened("a\nb"), "LOUD": "a\x07", "MASKED": MASK}
    readme = hosting_files(Subject(a_service(), {"environment": environment}))["README.md"].decode()
    before, _, _ = readme.partition("## Install")
    assert "- **`.env` lacks `LOUD`, `LONG`.**" in before
    assert "a\nb" not in readme
    assert "lacks" not in hosting_files(a_subject())["README.md"].decode()


def test_the_readme_starts_nginx_where_certbot_had_to_stop_it() -> None:
    readme = hosting_files(a_subject())["README.md"].decode()
    assert "nginx -t && systemctl reload-or-restart nginx\n" in readme


@pytest.mark.parametrize(
    ("name", "domain"),
    [("blog.example.org", "blog.example.org"), ("Blog", "482913749123.example.invalid")],
)
def test_without_a_domain_the_name_of_the_service_may_be_one(name: str, domain: str) -> None:
    site = hosting_files(a_subject({}, name=name))["nginx/site.conf"].decode()
    assert f'server_name "{domain}";' in site


_KEYS = [
    *("version", "engine", "timeout", "concurrency", "port", "uri"),
    *("schedule", "command", "type", "name", "connection", "database", "user", "host"),
    *("password", "ipv4", "ipv6", "value", "secret"),
]
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(_KEYS),
            inner | st.sampled_from(["@daily", "mariadb", "postgres", "root", "192.0.2.1"]),
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(
    document=st.dictionaries(
        st.sampled_from(["cron", "databases", "addresses", "runtime"]),
        _ANYTHING | st.lists(_ANYTHING, max_size=3),
    )
)
def test_any_document_makes_a_bundle_or_is_refused_by_a_path(document: dict[str, Any]) -> None:
    try:
        files = hosting_files(Subject(a_service(), document))
    except ServiceConfigError as refusal:
        (path,) = refusal.details
        section = re.split(r"[.[]", path)[0]
    else:
        assert files["manifest.json"]
        return
    assert section in document
