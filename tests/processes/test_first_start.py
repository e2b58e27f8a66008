"""`cms-services run` on an empty machine, and again on what the first start left."""

import re
import shutil
import socket
import subprocess
from pathlib import Path

from tests.processes.servers import (
    EMAIL,
    PASSWORD,
    Server,
    environment,
    start,
    wait_until_ready,
)


def mode(path: Path) -> str:
    return f"{path.stat().st_mode & 0o777:o}"


def paste(line: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a printed line as somebody who copies it into a shell."""
    return subprocess.run(
        ["sh", "-c", line],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )


def curl_line(server: Server) -> str:
    found = re.search(r"curl .*", server.stderr)
    assert found, server.stderr
    return found[0]


class TestTheFirstStart:
    def test_everything_that_is_missing_is_made_and_kept_for_the_second(
        self, tmp_path: Path
    ) -> None:
        data = tmp_path / "data"
        with start(tmp_path, "run", CMS_ADMIN_EMAIL="root@example.com") as first:
            wait_until_ready(first)
            assert f"http://127.0.0.1:{first.port}" in first.stderr
            if shutil.which("curl"):
                assert '"success":true' in paste(curl_line(first), tmp_path).stdout

            printed = re.findall(r"First admin: (\S+)  password: (\S+)", first.stderr)
            assert [email for email, _ in printed] == ["root@example.com"]
            password = printed[0][1]
            assert first.stderr.count(password) == 1
            assert password not in first.stdout
            signed_in = first.sign_in("root@example.com", password)
            token = signed_in.data["accessToken"]
            cookie = signed_in.headers["Set-Cookie"].partition(";")[0]
            me = first.get("/api/auth/me", token).data
            assert me["role"] == "admin"
            personal = first.post(
                "/api/auth/tokens", {"name": "ci", "scopes": ["account:read"]}, token
            ).data["token"]

            assert mode(data) == "700"
            first.wait_for_worker()
            made = {path.name for path in data.iterdir()}
            assert made >= {"cms-services.sqlite3", "jobs.sqlite3", "secret.key", "encryption.key"}
            assert [name for name in sorted(made) if mode(data / name) != "600"] == []
            assert not list(data.glob("*.key.*")), "drafts of keys are left"
            keys = {path.name: path.read_bytes() for path in data.glob("*.key")}
            first.process.terminate()
            assert first.process.wait(timeout=20) == 0

        with start(tmp_path, "run") as second:
            wait_until_ready(second)
            assert "password:" not in second.stderr
            assert {path.name: path.read_bytes() for path in data.glob("*.key")} == keys
            assert second.get("/api/auth/me", token).data == me
            assert second.get("/api/auth/me", Cookie=cookie).data == me
            assert second.get("/api/auth/me", personal).data["id"] == me["id"]
            assert second.sign_in("root@example.com", password).status == 200
            people = second.get("/api/users", token).data
            assert [each["email"] for each in people] == ["root@example.com"]

    def test_a_password_that_was_set_is_used_and_never_printed(self, tmp_path: Path) -> None:
        (tmp_path / "password").write_text(f"{PASSWORD}\n")
        settings = {
            "CMS_ADMIN_EMAIL": EMAIL,
            "CMS_ADMIN_PASSWORD_FILE": str(tmp_path / "password"),
        }
        if has_ipv6():
            settings["HOST"] = "::1"
        with start(tmp_path, "run", **settings) as server:
            wait_until_ready(server)
            assert server.sign_in().status == 200
            assert "password:" not in server.stderr
            assert PASSWORD not in server.stderr + server.stdout
            if "HOST" in settings:
                assert f"http://[::1]:{server.port}" in server.stderr
            if shutil.which("curl"):
                assert '"success":true' in paste(curl_line(server), tmp_path).stdout


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
