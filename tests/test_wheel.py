"""The wheel: what is in it, and that it serves on a machine without the checkout."""

import io
import shutil
import sys
import zipfile
from pathlib import Path

import flask
import pytest

from cms_services.schema import newest_revision
from tests.processes.servers import run_command, serving

CHECKOUT = Path(__file__).parents[1]
PACKAGE = "cms_services"
# The folders of the wheel by those of the checkout.
SHIPPED = {
    PACKAGE: PACKAGE,
    "templates": f"{PACKAGE}/_data/templates",
    "config_templates": f"{PACKAGE}/_data/config_templates",
}
SOURCES = (*SHIPPED, "tests", "setup.cfg", "pyproject.toml", "README.md", "wsgi.py")


def run(folder: Path, *command: str) -> str:
    """Run a command in a folder, with its data below it. Fails where the command does."""
    done = run_command(folder, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources that has no leftovers of earlier builds."""
    copy, built = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("built")
    for name in SOURCES:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy)
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check")
    run(copy, *pip, "--no-deps", "--no-index", "--no-build-isolation", "-w", str(built), ".")
    (found,) = built.iterdir()
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a fresh virtual environment that has the wheel, and our dependencies."""
    fresh = tmp_path_factory.mktemp("installed") / "venv"
    run(fresh.parent, sys.executable, "-m", "venv", "--without-pip", str(fresh))
    (packages,) = fresh.glob("lib/python*/site-packages")
    # A path that is named in a .pth file is searched last, and its own .pth files, such as that of
    # an editable installation, are not read.
    (packages / "dependencies.pth").write_text(f"{Path(flask.__file__).parents[1]}\n")
    pip = (sys.executable, "-m", "pip", "--python", str(fresh / "bin" / "python"), "install")
    run(fresh.parent, *pip, "--quiet", "--no-deps", "--no-index", str(wheel))
    return fresh / "bin"


class TestTheWheel:
    def test_it_has_every_file_of_the_package_and_its_templates_and_no_other(
        self, wheel: Path
    ) -> None:
        wanted = {
            f"{target}/{path.relative_to(CHECKOUT / source).as_posix()}"
            for source, target in SHIPPED.items()
            for path in (CHECKOUT / source).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        with zipfile.ZipFile(wheel) as archive:
            found = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert found == wanted
        for example in (
            "_data/templates/signing_in/login.html",
            "_data/config_templates/kubernetes/20-deployment.yaml.j2",
            "static/style.css",
            "migrations/script.py.mako",
        ):
            assert f"{PACKAGE}/{example}" in found

    def test_it_serves_pages_downloads_and_migrations_from_any_folder(
        self, installed: Path, tmp_path: Path
    ) -> None:
        command = str(installed / "cms-services")
        tell = f"import {PACKAGE}; print({PACKAGE}.__file__)"
        where = run(tmp_path, str(installed / "python"), "-c", tell)
        assert Path(where.strip()).is_relative_to(installed.parent)

        with serving(tmp_path, command=(command,)) as server:
            server.wait_for_worker()
            for page in ("/login", "/api/docs", "/static/style.css"):
                assert server.get(page).status == 200, page
            token = server.token()
            created = server.post("/api/services", {"name": "Site", "type": "hosting"}, token).data
            path = f"/api/services/download/hosting/{created['billingId']}"
            with zipfile.ZipFile(io.BytesIO(server.get(path, token).body)) as archive:
                assert archive.testzip() is None
                assert any("nginx" in name for name in archive.namelist())
            created = server.post("/api/services", {"name": "K", "type": "kubernetes"}, token).data
            path = f"/api/services/download/kubernetes/{created['clusterId']}?format=yaml"
            assert b"kind: Deployment" in server.get(path, token).body
            templates = server.get("/api/templates").data
            assert {each["id"] for each in templates} >= {"express-api", "flask-api"}
        assert run(tmp_path, command, "db", "current").strip() == f"{newest_revision()} (head)"
