"""The Flask scaffold: generated, installed, tested, started, probed, and used by HTTP."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from packaging.requirements import Requirement

from cms_services.downloads.scaffold import scaffold_files
from tests.downloads.samples import HOSTILE, a_subject, unicode_text
from tests.local_servers import free_port
from tests.processes.servers import Server, eventually, start
from tests.scaffolds.running import (
    HOSTILE_NAME,
    Listed,
    in_project,
    metrics_of,
    our_application,
    started,
    stopped,
    write_project,
)

TEMPLATE = "flask-api"
UV = str(Path(sys.executable).with_name("uv"))
ACCOUNT = {"email": "ada@example.com", "password": "a long password"}
# What a name that people chose may stand in.
NAMED = {"README.md", ".env.example", "pyproject.toml", "manifest.json"}


def generated(name: str = "Shop", **fields: Any) -> dict[str, bytes]:
    given = {"name": name, "description": name or "-", "type": "api", "template": TEMPLATE} | fields
    return scaffold_files(a_subject({"networking": {"port": 3000}}, **given))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose service has a hostile name, with its locked dependencies."""
    folder = tmp_path_factory.mktemp("flask")
    write_project(folder, TEMPLATE)
    in_project(folder, UV, "venv", "--quiet", ".venv", "--python", sys.executable)
    # What the machine trusts, as pip does: a company's own index may have a company's certificate.
    install = (UV, "pip", "install", "--quiet", "--system-certs", "--python", ".venv/bin/python")
    in_project(folder, *install, "--require-hashes", "-r", "requirements-test.txt")
    return folder


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def listed(tmp_path: Path, port: int) -> Iterator[Listed]:
    """The project's service in our running application, which expects it on the port."""
    with our_application(tmp_path / "cms") as cms:
        yield Listed.at(cms, TEMPLATE, port)


def test_its_own_checks_pass(project: Path) -> None:
    in_project(project, ".venv/bin/ruff", "check", ".")
    in_project(project, ".venv/bin/ruff", "format", "--check", ".")
    assert " passed" in in_project(project, ".venv/bin/python", "-m", "pytest", "-q")


def test_it_runs_beside_our_application(
    project: Path, listed: Listed, port: int, tmp_path: Path
) -> None:
    database = f"sqlite:///{tmp_path / 'shop.sqlite3'}"
    variables = {"DATABASE_URL": database, "JWT_SECRET": "s" * 32} | listed.settings
    flask, gunicorn = (str(project / ".venv/bin" / name) for name in ("flask", "gunicorn"))
    in_project(project, flask, "--app", "wsgi", "db", "upgrade", **variables)
    with started(project, gunicorn, "wsgi:app", port=port, WEB_CONCURRENCY="2", **variables) as api:
        assert listed.health()["status"] == "healthy"
        assert container_check(project, port) == 0
        token = sign_in(api)
        keep_a_record(api, token)
        worker = (flask, "--app", str(project / "wsgi.py"), "work")
        with start(tmp_path / "worker", command=worker, **variables) as process:
            assert b"first" in exported(api, token)
            assert stopped(process) == 0
        assert listed.log_entry("a task was tried")["attributes"]["status"] == "done"

        entry = listed.log_entry(r"^POST /api/data 201$")
        assert (entry["level"], entry["source"]) == ("info", "app.observability")
        assert entry["attributes"]["userId"] == 1
        # The line is the same where a collector of standard output reads it.
        assert entry["attributes"]["requestId"] in api.stdout
        lines = [json.loads(line) for line in (api.stdout + api.stderr).splitlines()]
        assert {"gunicorn.error", "app.observability"} <= {line["source"] for line in lines}

        # Both processes count into the same sums, whichever of them answers.
        created = {"method": "POST", "route": "/api/data", "status": "201"}
        for _ in range(4):
            assert (created, 1.0) in metrics_of(api)["http_requests_total"]

        api.get("/auth/me", token, X_Request_ID="the-last-one")
        assert stopped(api) == 0
    # Written while it ended, and sent before it was gone.
    assert listed.log_entry("GET /auth/me 200")["attributes"]["requestId"] == "the-last-one"
    assert listed.log_entry("Shutting down: Master")["source"] == "gunicorn.error"
    assert container_check(project, port) != 0
    assert listed.health()["status"] == "unhealthy"


def container_check(project: Path, port: int) -> int:
    """Run the image's HEALTHCHECK as Docker would; give its exit code."""
    dockerfile = (project / "Dockerfile").read_text().replace("\\\n", "")
    (check,) = (line for line in dockerfile.splitlines() if line.startswith("HEALTHCHECK"))
    command = json.loads(check.partition(" CMD ")[2])
    command[0] = str(project / ".venv/bin" / command[0])
    return subprocess.run(
        command, env={"PORT": str(port)}, stderr=subprocess.DEVNULL, check=False
    ).returncode


def sign_in(api: Server) -> str:
    """Make an account; give its access token."""
    assert api.post("/auth/register", ACCOUNT).status == 201
    assert api.get("/api/data").status == 401
    return str(json.loads(api.post("/auth/login", ACCOUNT).body)["accessToken"])


def keep_a_record(api: Server, token: str) -> None:
    made = api.post("/api/data", {"name": "first", "content": {"a": 1}}, token)
    assert made.status == 201
    kept = json.loads(api.get(made.headers["Location"], token).body)
    assert (kept["name"], kept["content"]) == ("first", {"a": 1})
    refused = api.post("/api/data", {"name": ""}, token)
    assert refused.status == 422
    error = json.loads(refused.body)["error"]
    assert (error["code"], sorted(error["details"])) == ("VALIDATION_FAILED", ["content", "name"])


def exported(api: Server, token: str) -> bytes:
    """The file of an export, once the worker made it."""
    begun = api.post("/api/exports", None, token)
    assert begun.status == 202
    place = begun.headers["Location"]
    eventually(
        lambda: json.loads(api.get(place, token).body)["status"] == "done", "the export is done"
    )
    return api.get(f"{place}/records.csv", token).body


class TestTheFiles:
    @pytest.mark.parametrize("name", [*HOSTILE, HOSTILE_NAME])
    def test_no_name_leaves_its_place(self, name: str) -> None:
        compare_with_plain(name)

    @settings(max_examples=40, deadline=None)
    @given(name=unicode_text)
    def test_no_text_at_all_does(self, name: str) -> None:
        compare_with_plain(name)

    def test_it_is_what_the_template_promises(self) -> None:
        files = generated()
        for kind, names in {
            "blueprints": ("auth", "api", "admin"),
            "models": ("user", "data"),
            "utilities": ("helpers", "validators"),
        }.items():
            assert {f"app/{kind}/{name}.py" for name in names} <= files.keys()
        for path, content in files.items():
            if path.endswith(".py"):
                compile(content, path, "exec")

    @pytest.mark.parametrize("path", [".github/workflows/ci.yml", ".gitlab-ci.yml"])
    def test_ci_runs_what_passes_here(self, path: str) -> None:
        text = generated()[path].decode()
        assert yaml.safe_load(text)
        for command in ("--require-hashes -r requirements-test.txt", "ruff check", "pytest"):
            assert command in text

    def test_the_image_listens_where_the_service_says(self) -> None:
        dockerfile = generated()["Dockerfile"].decode()
        assert "PORT=3000\n" in dockerfile
        assert "EXPOSE 3000\n" in dockerfile
        assert "\nUSER 10001\n" in dockerfile

    @pytest.mark.parametrize("path", ["requirements.txt", "requirements-test.txt"])
    def test_the_lock_has_a_hash_for_everything_and_no_registry(self, path: str) -> None:
        lock = generated()[path].decode()
        assert "://" not in lock
        pinned = lock.replace("\\\n", " ").splitlines()
        assert len(pinned) > 15
        assert all("==" in line and "--hash=sha256:" in line for line in pinned)

    def test_the_locks_agree_and_are_within_the_ranges(self) -> None:
        files = generated()
        versions = [
            dict(
                line.split(" ")[0].split("==")
                for line in files[path].decode().splitlines()
                if "==" in line
            )
            for path in ("requirements.txt", "requirements-test.txt")
        ]
        assert versions[0].items() <= versions[1].items()
        declared = tomllib.loads(files["pyproject.toml"].decode())["project"]
        for each in [*declared["dependencies"], *declared["optional-dependencies"]["test"]]:
            requirement = Requirement(each)
            assert requirement.specifier.contains(versions[1][requirement.name])


def compare_with_plain(name: str) -> None:
    """Fail where a service's name, description and id change more than what they may stand in."""
    plain, hostile = generated(), generated(name, service_id=name)
    assert hostile.keys() == plain.keys()
    assert {path for path in plain if plain[path] != hostile[path]} <= NAMED
    json.loads(hostile["manifest.json"])

    declared = tomllib.loads(hostile["pyproject.toml"].decode())
    slug = declared["project"].pop("name")
    assert re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", slug)
    expected = tomllib.loads(plain["pyproject.toml"].decode())
    assert expected["project"].pop("name") == "shop"
    assert declared == expected

    assert variables_of(hostile[".env.example"]) == variables_of(plain[".env.example"])
    pairs = zip(lines_of(plain["README.md"]), lines_of(hostile["README.md"]), strict=True)
    for before, after in pairs:
        place = before.partition("`Shop`" if "`Shop`" in before else "`482913749123`")
        if place[1]:
            assert after.startswith(place[0])
            assert after.endswith(place[2])
            assert is_one_code_span(after[len(place[0]) : len(after) - len(place[2])])
        else:
            assert after == before.replace(" shop", f" {slug}")


def is_one_code_span(markdown: str) -> bool:
    """Whether CommonMark reads the line as a code span and nothing beside it."""
    found = re.fullmatch(r"(`+)([^`].*[^`])\1", markdown) or re.fullmatch(r"(`+)([^`])\1", markdown)
    return found is not None and found[1] not in re.findall(r"`+", found[2])


def variables_of(content: bytes) -> dict[str, str]:
    """What a shell reads out of a .env file."""
    done = subprocess.run(
        ["/bin/sh", "-c", 'set -a; eval "$(cat)"; env'],
        input=content,
        capture_output=True,
        check=True,
        env={},
    )
    read = dict(line.partition("=")[::2] for line in done.stdout.decode().splitlines())
    return {name: value for name, value in read.items() if name not in ("PWD", "_", "SHLVL")}


def lines_of(content: bytes) -> list[str]:
    return content.decode().split("\n")
