"""The Express scaffold: what is generated is whole, runs, and is seen by our own checks."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cms_services.downloads.scaffold import scaffold_files
from cms_services.scaffolds.templates import get_template
from cms_services.shipped_files import shipped_folder
from tests.downloads.samples import HOSTILE, a_subject, program, unicode_text
from tests.local_servers import free_port
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

TEMPLATE = "express-api"
FILLED_IN = {
    "Dockerfile",
    "package.json",
    "package-lock.json",
    "service.json",
    "README.md",
    ".env.example",
}
SECRET = "a secret of thirty-two bytes or more"


def generated(config: dict[str, Any] | None = None, **fields: Any) -> dict[str, bytes]:
    return scaffold_files(a_subject(config, template=TEMPLATE, **fields))


class TestFiles:
    def test_it_has_the_structure_that_its_template_tells(self) -> None:
        files = generated()
        structure = get_template(TEMPLATE).structure
        assert structure["database"] == "mongodb"
        for kind, folder in (("routes", "routes"), ("middleware", "middleware")):
            for name in structure[kind]:
                assert f"src/{folder}/{name}.js" in files
        assert {
            ".dockerignore",
            ".env.example",
            ".github/workflows/ci.yml",
            ".gitignore",
            ".gitlab-ci.yml",
            "Dockerfile",
            "README.md",
            "package-lock.json",
        } <= files.keys()

    @settings(max_examples=60, deadline=None)
    @given(text=unicode_text | st.sampled_from(HOSTILE))
    def test_what_people_wrote_stays_in_its_place(self, text: str) -> None:
        plain = generated(description="Sells things.")
        hostile = generated(name=text, service_id=text, description=text or "Sells things.")
        assert hostile.keys() == plain.keys()
        for path in plain.keys() - FILLED_IN - {"manifest.json"}:
            assert hostile[path] == plain[path]
        assert hostile[".env.example"] == plain[".env.example"]
        known = json.loads(hostile["service.json"])
        assert (known["name"], known["serviceId"]) == (text, text)
        slug = json.loads(hostile["package.json"])["name"]
        assert re.fullmatch(r"[a-z][a-z0-9-]{0,62}", slug)
        for path in ("package.json", "package-lock.json"):
            assert hostile[path] == plain[path].replace(b'"shop"', json.dumps(slug).encode())

    @pytest.mark.parametrize("text", HOSTILE)
    def test_a_readme_keeps_its_form(self, text: str) -> None:
        plain, hostile = (
            generated(name=name, service_id=name, description=name or "x")["README.md"]
            for name in ("Shop", text)
        )
        pairs = zip(plain.decode().split("\n"), hostile.decode().split("\n"), strict=True)
        differing = [one for one, other in pairs if one != other]
        assert all(re.search(r"`Shop`|\bshop\b", line) for line in differing), differing

    def test_yaml_is_yaml(self) -> None:
        files = generated()
        for path in (".github/workflows/ci.yml", ".gitlab-ci.yml"):
            steps = json.dumps(yaml.safe_load(files[path]))
            assert "npm ci" in steps
            assert "npm test" in steps

    def test_the_lock_says_what_to_install_and_not_from_where(self) -> None:
        lock = json.loads(generated()["package-lock.json"])
        packages = {path: each for path, each in lock["packages"].items() if path}
        assert packages
        assert all(each["integrity"].startswith("sha512-") for each in packages.values())
        assert not any("resolved" in each for each in packages.values())

    def test_port_and_memory_are_those_of_the_service(self) -> None:
        config = {"networking": {"port": "8123"}, "runtime": {"memory_limit": "256MiB"}}
        files = generated(config)
        assert json.loads(files["service.json"])["port"] == 8123
        assert b"\nPORT=8123\n" in files[".env.example"]
        assert b"--memory 256m --publish 8123:8123" in files["README.md"]

    def test_no_template_is_left_in_it(self) -> None:
        folder = Path(shipped_folder("config_templates"), "scaffolds", TEMPLATE, "project")
        filled_in = {path.name.removesuffix(".j2") for path in folder.rglob("*.j2")}
        assert {name.replace("dot_", ".") for name in filled_in} == FILLED_IN
        assert not any(b"{{ " in generated()[path] for path in FILLED_IN)


# One test, so that it is installed once however many processes the suite has.
def test_it_installs_passes_its_tests_and_reports_to_us(tmp_path: Path) -> None:
    program("npm")
    project, port = tmp_path / "project", free_port()
    write_project(project, TEMPLATE)
    in_project(project, "npm", "ci")
    assert re.search(r"^. pass [1-9]", in_project(project, "npm", "test"), re.MULTILINE)

    with our_application(tmp_path / "cms") as cms:
        listed = Listed.at(cms, TEMPLATE, port)
        given = listed.settings | {"NODE_ENV": "production", "JWT_SECRET": SECRET}
        with started(project, "node", "src/server.js", port=port, **given) as service:
            assert listed.health()["status"] == "healthy"
            in_project(project, "node", "src/healthcheck.js", PORT=str(port), JWT_SECRET=SECRET)
            assert service.get("/data", X_Request_ID="asked-by-a-test").status == 401

            entry = listed.log_entry("GET /data 401")
            assert (entry["level"], entry["traceId"]) == ("info", "asked-by-a-test")
            assert entry["attributes"]["route"] == "/data"
            assert listed.log_entry("listening")["attributes"]["service"] == HOSTILE_NAME

            counts = metrics_of(service)["http_request_duration_seconds_count"]
            labels = {"method": "GET", "route": "/data", "status": "401"}
            assert (labels, 1.0) in counts

            assert stopped(service) == 0
            assert listed.log_entry("stopped")
            assert all(json.loads(line) for line in service.stdout.splitlines())
            assert service.stderr == ""
