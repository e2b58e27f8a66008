"""The compose file and the image: what they name exists, and fits together."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import make_url

from cms_services.settings import load_settings
from tests.deploy.real_nginx import DEPLOY, checked, nginx_folder
from tests.processes.servers import COMMAND, environment

COMPOSE = DEPLOY / "compose"
DOCKERFILE = DEPLOY / "docker" / "Dockerfile"
CHECKOUT = DEPLOY.parent
_VARIABLE = re.compile(r"\$\{(\w+)(?::?([-?])([^}]*))?\}")
OURS = ("upgrade", "web-1", "web-2", "worker-1", "worker-2")


def interpolated(value: str) -> str:
    """A value as compose has it, where the variables without a default are set to `x`."""
    return _VARIABLE.sub(lambda found: found[3] if found[2] == "-" else "x", value)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
    return document


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    services: dict[str, Any] = compose["services"]
    return services


def test_there_are_two_nodes_two_workers_and_what_they_stand_on(services: dict[str, Any]) -> None:
    assert set(services) == {*OURS, "nginx", "postgres", "redis"}
    assert [services[name]["command"] for name in OURS] == [
        ["db", "upgrade"],
        ["run"],
        ["run"],
        ["worker"],
        ["worker"],
    ]
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            needs_health = how["condition"] == "service_healthy"
            assert not needs_health or "healthcheck" in services[other], (name, other)
    # Nothing works on a schema of another version.
    for name in OURS[1:]:
        condition = services[name]["depends_on"]["upgrade"]["condition"]
        assert condition == "service_completed_successfully"


def test_every_network_volume_and_secret_is_declared(
    compose: dict[str, Any], services: dict[str, Any]
) -> None:
    used: dict[str, set[str]] = {"networks": set(), "secrets": set(), "volumes": set()}
    for service in services.values():
        used["networks"] |= set(service["networks"])
        used["secrets"] |= set(service.get("secrets", ()))
        for each in service.get("volumes", ()):
            source = interpolated(each).split(":")[0]
            if not source.startswith(("/", ".")):
                used["volumes"].add(source)
    for kind, names in used.items():
        assert names == set(compose[kind]), kind
    # No data folder, and so no log of jobs nor metrics, is shared by two processes.
    own = [services[name]["volumes"][0] for name in OURS]
    assert len(set(own)) == len(own)


def test_only_nginx_is_reached_from_outside_and_databases_reach_nobody(
    compose: dict[str, Any], services: dict[str, Any]
) -> None:
    assert [name for name, service in services.items() if "ports" in service] == ["nginx"]
    assert compose["networks"]["inside"]["internal"] is True
    for name in ("postgres", "redis"):
        assert services[name]["networks"] == ["inside"]
    for name in OURS:
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["user"] == "10001:10001"


def test_the_settings_are_settings_of_ours_and_take_the_secrets_that_are_made(
    compose: dict[str, Any], services: dict[str, Any], tmp_path: Path
) -> None:
    script = tmp_path / "make-secrets.sh"
    script.write_bytes((COMPOSE / "make-secrets.sh").read_bytes())
    made = subprocess.run(["sh", str(script)], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    for name, secret in compose["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}
        assert (tmp_path / "secrets" / name).read_text().strip(), name
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700

    for name in OURS:
        given = {
            key: interpolated(value).replace("/run/secrets", f"{tmp_path}/secrets")
            for key, value in services[name]["environment"].items()
        }
        mounted = {Path(value).name for key, value in given.items() if key.endswith("_FILE")}
        assert mounted <= set(services[name]["secrets"])
        settings = load_settings(given | {"PUBLIC_URL": "https://services.example.com"})
        assert settings.worker_beside_web is False and settings.trusted_proxies == 1
        url = make_url(str(settings.database_url))
        assert url.host in services
        told = services["postgres"]["environment"]
        assert (url.username, url.database) == (told["POSTGRES_USER"], told["POSTGRES_DB"])
        assert url.password == (tmp_path / "secrets" / "postgres_password").read_text()
        assert make_url(str(settings.redis_url)).host in services
    again = subprocess.run(["sh", str(script)], capture_output=True, text=True, check=False)
    assert again.returncode != 0, "it makes no secrets anew"


def test_nginx_has_the_configuration_of_deploy_nginx_with_these_nodes(
    services: dict[str, Any], tmp_path: Path
) -> None:
    volumes = [interpolated(each).split(":") for each in services["nginx"]["volumes"]]
    mounted = {target: (COMPOSE / source) for source, target, _ in volumes if source[0] == "."}
    assert all(path.exists() for path in mounted.values())
    assert {each[2] for each in volumes} == {"ro"}
    assert services["nginx"]["ports"] == ["80:80", "443:443"]

    folder = tmp_path / "nginx"
    nginx_folder(folder, [])
    (folder / "conf.d" / "cms.conf").unlink()
    parts = folder / "cms-services"
    nodes = mounted["/etc/nginx/cms-services/nodes.conf"].read_text()
    ports = {services[name]["environment"]["PORT"] for name in ("web-1", "web-2")}
    assert re.findall(r"^server (\S+):(\d+)", nodes, re.M) == [
        (name, *ports) for name in ("web-1", "web-2")
    ]
    # Those names are known within the compose network alone.
    (parts / "nodes.conf").write_text(re.sub(r"web-\d", "127.0.0.1", nodes))
    logs = mounted["/etc/nginx/cms-services/logs.conf"].read_text()
    (parts / "logs.conf").write_text(logs.replace("/dev/stdout", f"{folder}/out"))
    checked(folder)


def test_health_is_asked_where_the_application_listens(services: dict[str, Any]) -> None:
    command, *arguments = services["web-1"]["healthcheck"]["test"][1:]
    assert command == "python"
    port = services["web-1"]["environment"]["PORT"]
    assert f"http://127.0.0.1:{port}/readyz" in arguments[1]
    # Where nobody answers, it says so by its exit code.
    done = subprocess.run(
        [sys.executable, arguments[0], arguments[1].replace(f":{port}/", ":9/")],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1


class TestImage:
    def steps(self) -> list[tuple[str, str]]:
        text = DOCKERFILE.read_text().replace("\\\n", " ")
        lines = [line for line in text.splitlines() if line and line[0] != "#"]
        return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines]

    def test_what_it_copies_is_there_and_not_left_out(self) -> None:
        ignored = (DOCKERFILE.parent / "Dockerfile.dockerignore").read_text().splitlines()
        for step, arguments in self.steps():
            if step == "COPY" and not arguments.startswith("--from"):
                for source in arguments.split()[:-1]:
                    assert (CHECKOUT / source).exists(), source
                    assert f"!{source}" in ignored or f"!{source}runtime.lock" in ignored, source

    def test_it_runs_as_nobody_and_what_is_in_it_can_be_called(self, tmp_path: Path) -> None:
        steps = dict(self.steps())
        assert steps["USER"] == "10001:10001"
        assert steps["ENTRYPOINT"] == '["cms-services"]'
        settings = dict(re.findall(r"(\w+)=(\S+)", dict(self.steps())["ENV"]))
        assert settings["CMS_DATA_DIR"] == steps["VOLUME"]
        for command in (["--help"], ["db", "upgrade"]):
            done = subprocess.run(
                [*COMMAND, *command],
                env=environment(tmp_path, CMS_DATA_DIR=str(tmp_path / "data")),
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr

    def test_the_account_that_reads_secrets_is_that_of_compose(self, services: Any) -> None:
        assert "--uid 10001" in DOCKERFILE.read_text()
        assert services["web-1"]["user"].split(":")[0] == "10001"
        assert os.access(COMPOSE / "make-secrets.sh", os.X_OK)
