"""Every variable that a file below deploy/ sets is a setting, or is another program's."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from cms_services.settings import Settings, load_settings
from tests.deploy.real_nginx import DEPLOY

SETTINGS = {each.metadata["name"] for each in fields(Settings)}
OF_OTHERS = {
    "PATH": "the image",
    "PYTHONUNBUFFERED": "Python",
    "PYTHONDONTWRITEBYTECODE": "Python",
    "POSTGRES_USER": "PostgreSQL's image",
    "POSTGRES_DB": "PostgreSQL's image",
    "POSTGRES_PASSWORD_FILE": "PostgreSQL's image",
    "CERTIFICATES": "compose.yaml's own",
    "ACME": "compose.yaml's own",
}
# NAME=value of environment files, units and Dockerfiles; NAME: value of YAML; ${NAME} of compose.
_SET = re.compile(
    r"^(?:#?|\s*|Environment=|ENV |\s*- )([A-Z][A-Z0-9_]{2,})(?:=|: )|\$\{([A-Z][A-Z0-9_]+)[}:]",
    re.MULTILINE,
)
FILES = sorted(
    path
    for path in DEPLOY.rglob("*")
    if path.is_file() and path.suffix != ".sh" and "nginx" not in path.relative_to(DEPLOY).parts
)


def names_in(text: str) -> set[str]:
    return {one or other for one, other in _SET.findall(text)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_every_variable_is_a_setting(path: Path) -> None:
    found = names_in(path.read_text())
    known = SETTINGS | {f"{name}_FILE" for name in SETTINGS} | OF_OTHERS.keys()
    assert found - known == set()


def test_those_that_nodes_need_are_found_at_all() -> None:
    env = names_in((DEPLOY / "cms-services.env.example").read_text())
    assert {"HOST", "TRUSTED_PROXIES", "WORKER_BESIDE_WEB", "LEGACY_ROUTES"} <= env
    assert "SECRET_KEY_FILE" in names_in((DEPLOY / "systemd/cms-services-web.service").read_text())
    assert "WEB_THREADS" in names_in((DEPLOY / "compose/compose.yaml").read_text())
    assert names_in("NONSENSE: 1") == {"NONSENSE"}


def test_the_example_for_nodes_has_values_that_can_be_used_and_no_secrets() -> None:
    lines = (DEPLOY / "cms-services.env.example").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if re.match("[A-Z]", line))
    # Those that are commented out too, but for files that are not here.
    more = dict(line[1:].split("=", 1) for line in lines if re.match("#[A-Z_]+=", line))
    settings = load_settings(given | {n: v for n, v in more.items() if not n.startswith("LEGACY")})
    assert settings.trusted_proxies == 1 and not settings.worker_beside_web
    secret = {"SECRET_KEY", "ENCRYPTION_KEY", "DATABASE_URL", "REDIS_URL", "SMTP_PASSWORD"}
    assert not secret & (given.keys() | more.keys())
