"""The server bundle: cloud-init's own schema takes it, and no value leaves its place in it."""

import json
import re
import subprocess
import zoneinfo
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cms_services.configuration.documents import Opened
from cms_services.downloads.archive import zip_bytes
from cms_services.downloads.server.bundle import server_files
from cms_services.downloads.server.settings import time_zones
from cms_services.errors import ServiceConfigError
from tests.downloads.samples import HOSTILE, opened_subject, program, unicode_text, variable_values

KEY = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1rZXkgb2YgYSBzYW1wbGUgdGhhdCBvcGVucw== jane@example.com"
)
GOOD: dict[str, Any] = {
    "hostname": "Shop-1.example.com",
    "timezone": "Europe/Berlin",
    "packages": ["nginx", "postgresql-15=15.4-1", "nginx"],
    "users": [
        {"name": "jane", "sshAuthorizedKeys": [KEY], "sudo": "true"},
        {"name": "deploy", "ssh_authorized_keys": KEY, "password": Opened("pa: 'ss' # \"w\"")},
    ],
    "commands": ["systemctl enable --now nginx", "echo 'a: b' > /etc/motd\necho done"],
    "openPorts": [80, "443", "53/udp", "8000-8010/TCP", "22"],
    "environment": {"APP_ENV": "it's on", "TOKEN": Opened("s3cret $x")},
    "addresses": {"ipv4": ["192.0.2.10/24"], "ipv6": "2001:DB8::10"},
}


def user_data(files: dict[str, bytes]) -> dict[str, Any]:
    assert files["user-data"].startswith(b"#cloud-config\n")
    read: dict[str, Any] = yaml.safe_load(files["user-data"])
    return read


def check_schema(files: dict[str, bytes], folder: Path) -> None:
    """cloud-init checks user-data by its schema, and has nothing to warn of."""
    (folder / "user-data").write_bytes(files["user-data"])
    command = [program("cloud-init"), "schema", "--config-file", str(folder / "user-data")]
    done = subprocess.run(command, capture_output=True, text=True)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "Valid" in output
    assert "deprecat" not in output.lower()


def in_a_shell(environment: bytes, *names: str) -> list[str]:
    """The variables as a shell reads them from the file."""
    script = environment + b"\n" + b"".join(b'printf "%%s\\0" "$%s"\n' % n.encode() for n in names)
    done = subprocess.run(["/bin/sh", "-s"], input=script, capture_output=True, check=True, env={})
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize("kind", ["vps", "cloud"])
@pytest.mark.parametrize(
    "config",
    [{}, GOOD, {"openPorts": ["443"]}, {"commands": HOSTILE[0], "users": [{"name": "a"}]}],
    ids=["empty", "whole", "ports", "commands"],
)
def test_cloud_init_takes_it(kind: str, config: dict[str, Any], tmp_path: Path) -> None:
    check_schema(server_files(opened_subject(config, type=kind)), tmp_path)


def test_it_sets_up_what_the_configuration_says() -> None:
    files = server_files(opened_subject(GOOD, type="vps"))
    data = user_data(files)
    (written,) = data.pop("write_files")
    assert data == {
        "hostname": "shop-1",
        "fqdn": "shop-1.example.com",
        "timezone": "Europe/Berlin",
        "ssh_pwauth": False,
        "disable_root": True,
        "users": [
            "default",
            {
                "name": "jane",
                "shell": "/bin/bash",
                "lock_passwd": True,
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "ssh_authorized_keys": [KEY],
            },
            {
                "name": "deploy",
                "shell": "/bin/bash",
                "lock_passwd": False,
                "plain_text_passwd": "pa: 'ss' # \"w\"",
                "ssh_authorized_keys": [KEY],
            },
        ],
        "package_update": True,
        "package_upgrade": True,
        "packages": ["nginx", "postgresql-15=15.4-1", "ufw"],
        "runcmd": [
            ["ufw", "allow", "22/tcp"],
            ["ufw", "allow", "80/tcp"],
            ["ufw", "allow", "443/tcp"],
            ["ufw", "allow", "53/udp"],
            ["ufw", "allow", "8000:8010/tcp"],
            ["ufw", "--force", "enable"],
            *GOOD["commands"],
        ],
    }
    content = written.pop("content").encode()
    assert written == {
        "path": "/etc/cms-services/482913749123.env",
        "owner": "root:root",
        "permissions": "0600",
    }
    assert in_a_shell(content, "APP_ENV", "TOKEN") == ["it's on", "s3cret $x"]
    assert "`192.0.2.10`, `2001:db8::10`" in files["README.md"].decode()
    assert yaml.safe_load(files["meta-data"]) == {
        "instance-id": "cms-services-482913749123",
        "local-hostname": "shop-1",
    }
    assert json.loads(files["manifest.json"])["maskedFields"] == []
    assert json.loads(files["manifest.json"])["kind"] == "vps"


def test_a_server_never_sees_the_credentials_of_the_account() -> None:
    files = server_files(opened_subject(GOOD, type="cloud"))
    assert "write_files" not in user_data(files)
    assert b"s3cret" not in files["user-data"] + files["README.md"]
    assert in_a_shell(files["cloud.env"], "APP_ENV", "TOKEN") == ["it's on", "s3cret $x"]
    assert json.loads(files["manifest.json"])["kind"] == "cloud"


@pytest.mark.parametrize(
    ("kind", "config", "read"),
    [
        ("cloud", GOOD, "passwords and commands"),
        ("vps", GOOD, "passwords, commands and variables"),
        ("vps", {}, "passwords and commands"),
    ],
)
def test_the_notes_say_what_programs_on_the_server_can_read(
    kind: str, config: dict[str, Any], read: str
) -> None:
    readme = server_files(opened_subject(config, type=kind))["README.md"].decode()
    assert f"from the provider, {read}\n  included." in readme


def test_a_time_zone_passes_where_there_is_nothing_to_look_it_up_in() -> None:
    zoneinfo.reset_tzpath(to=())
    time_zones.cache_clear()
    try:
        data = user_data(server_files(opened_subject({"timezone": "Some/Where"})))
    finally:
        zoneinfo.reset_tzpath()
        time_zones.cache_clear()
    assert data["timezone"] == "Some/Where"


def test_what_is_masked_is_named_and_sets_no_password() -> None:
    config = {
        "environment": {"TOKEN": "encrypted"},
        "users": [{"name": "jane", "password": {"secret": True, "value": "PLAINTEXT"}}],
    }
    files = server_files(opened_subject(config, type="vps"))
    data = user_data(files)
    assert data["users"][1] == {"name": "jane", "shell": "/bin/bash", "lock_passwd": True}
    assert in_a_shell(data["write_files"][0]["content"].encode(), "TOKEN") == ["REPLACE_ME"]
    masked = json.loads(files["manifest.json"])["maskedFields"]
    assert masked == ["environment.TOKEN", "users.0.password"]
    assert b"PLAINTEXT" not in b"".join(files.values())


@settings(max_examples=60, deadline=None)
@given(
    name=unicode_text | st.sampled_from(HOSTILE),
    command=unicode_text | st.sampled_from(HOSTILE),
    value=variable_values | st.sampled_from(HOSTILE),
    comment=unicode_text | st.sampled_from(HOSTILE),
    password=unicode_text | st.sampled_from(HOSTILE),
)
def test_hostile_values_mean_themselves(
    name: str, command: str, value: str, comment: str, password: str
) -> None:
    plain = user_data(server_files(opened_subject({}, type="vps")))
    user = {
        "name": "jane",
        "sshAuthorizedKeys": [f"{KEY} {comment}"[:400]],
        "password": Opened(password),
    }
    config = {
        "hostname": "shop",
        "users": [user],
        "commands": [command],
        "environment": {"VALUE": value, "ZLAST": "z"},
    }
    try:
        files = server_files(opened_subject(config, type="vps", name=name))
    except ServiceConfigError as refusal:
        (path,) = refusal.details
    else:
        data = user_data(files)
        (written,), (_, jane) = data.pop("write_files"), data.pop("users")
        assert jane["ssh_authorized_keys"] == user["sshAuthorizedKeys"]
        assert jane.get("plain_text_passwd", "") == password
        assert data.pop("runcmd") == [command]
        assert data == plain
        (found, last) = in_a_shell(written["content"].encode(), "VALUE", "ZLAST")
        assert (found, last) in ((value, "z"), ("", "z"))
        assert yaml.safe_load(files["meta-data"])["local-hostname"] == "shop"
        return
    assert path in ("users.0.sshAuthorizedKeys.0", "users.0.password", "commands.0")


@pytest.mark.parametrize("kind", ["vps", "cloud"])
def test_the_name_of_a_service_makes_at_most_the_host_s_name(kind: str) -> None:
    plain = server_files(opened_subject(GOOD, type=kind))
    for name in HOSTILE:
        hostile = server_files(opened_subject(GOOD, type=kind, name=name))
        assert plain.keys() == hostile.keys()
        assert hostile["README.md"].count(b"\n") == plain["README.md"].count(b"\n")
        assert yaml.safe_load(hostile["meta-data"]) == yaml.safe_load(plain["meta-data"])
        assert without_the_heading(hostile) == without_the_heading(plain)
        made = user_data(server_files(opened_subject({}, type=kind, name=name)))
        assert re.fullmatch("[a-z0-9-]{1,63}", made["hostname"])


def without_the_heading(files: dict[str, bytes]) -> list[Any]:
    data = user_data(files)
    written = data.pop("write_files", [{"content": ""}])[0]["content"]
    outside = files.get("cloud.env", b"").decode()
    return [data, written.split("\n")[1:], outside.split("\n")[1:]]


@pytest.mark.parametrize("field", ["hostname", "timezone", "packages", "openPorts"])
def test_a_hostile_setting_is_written_whole_or_refused_by_its_path(field: str) -> None:
    for value in filter(None, HOSTILE):
        try:
            files = server_files(opened_subject({field: value}))
        except ServiceConfigError as refusal:
            paths = list(refusal.details)
        else:
            assert user_data(files)[field] in (value.lower(), value, [value])
            continue
        assert paths == [field]


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"hostname": "a_b"}, "hostname"),
        ({"hostname": ["a"]}, "hostname"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"timezone": "Mars/Phobos"}, "timezone"),
        ({"timezone": "europe/berlin"}, "timezone"),
        ({"packages": "a; b"}, "packages"),
        ({"packages": ["nginx", None]}, "packages.1"),
        ({"packages": {"a": "b"}}, "packages"),
        ({"users": [{"name": "root"}]}, "users.0.name"),
        ({"users": [{"name": "Jane"}]}, "users.0.name"),
        ({"users": [{"name": "a"}, {"name": "a"}]}, "users.1.name"),
        ({"users": [{"name": "a", "sudo": "ALL"}]}, "users.0.sudo"),
        ({"users": [{"name": "a", "sshAuthorizedKeys": ["x"]}]}, "users.0.sshAuthorizedKeys.0"),
        (
            {"users": [{"name": "a", "ssh_authorized_keys": f"{KEY}\nssh-rsa"}]},
            "users.0.ssh_authorized_keys",
        ),
        ({"users": [{"name": "a", "password": Opened("x\n")}]}, "users.0.password"),
        ({"commands": [""]}, "commands.0"),
        ({"commands": ["x\0"]}, "commands.0"),
        ({"commands": [["ls", "-l"]]}, "commands.0"),
        ({"openPorts": [0]}, "openPorts.0"),
        ({"openPorts": ["65536"]}, "openPorts.0"),
        ({"openPorts": ["90:80"]}, "openPorts.0"),
        ({"open_ports": ["http"]}, "open_ports.0"),
        ({"openPorts": [True]}, "openPorts.0"),
        ({"addresses": {"ipv4": ["2001:db8::1"]}}, "addresses.ipv4.0"),
        ({"addresses": ["192.0.2.1"]}, "addresses"),
        ({"environment": {"A-B": "x"}}, "environment.A-B"),
        ({"environment": {"A": ["x"]}}, "environment.A"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_by_its_path(
    config: dict[str, Any], path: str
) -> None:
    with pytest.raises(ServiceConfigError) as refusal:
        server_files(opened_subject(config, type="vps"))
    assert list(refusal.value.details) == [path]


@pytest.mark.parametrize("kind", ["vps", "cloud"])
def test_equal_services_give_equal_archives_that_unpack_in_their_folder(kind: str) -> None:
    for identity in HOSTILE:
        archives = {
            zip_bytes(server_files(opened_subject(GOOD, type=kind, service_id=identity)))
            for _ in range(2)
        }
        assert len(archives) == 1
