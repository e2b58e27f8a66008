"""The world in which permissions are tried, new for every test."""

from collections.abc import Iterator

import pytest
from argon2.profiles import CHEAPEST
from flask import Flask

from cms_services import create_app
from cms_services.accounts import passwords
from cms_services.commands.permissions import Row, actions, pages_of, routes_of
from cms_services.extensions import db
from tests.conftest import QUIET, MakeApp, empty
from tests.permissions.world import World


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords are hashed hundreds of times here, and how well is not what is tried."""
    cheap = passwords.Hashing(CHEAPEST)
    monkeypatch.setattr(passwords, "_hashing", lambda: cheap)


@pytest.fixture(scope="module")
def app(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """One application for all, since making one takes longer than most of these tests."""
    folder = str(tmp_path_factory.getbasetemp() / "data")
    environment = {"DATABASE_URL": database_url, "CMS_DATA_DIR": folder, "REGISTRATION": "open"}
    made = create_app(environment | QUIET)
    made.testing = True
    yield made
    with made.app_context():
        db.engine.dispose()


@pytest.fixture
def bare_app(make_bare_app: MakeApp) -> Flask:
    return make_bare_app()


@pytest.fixture
def world(app: Flask) -> World:
    empty(app)
    return World(app)


@pytest.fixture
def rows(app: Flask) -> dict[str, Row]:
    return {row.name: row for row in (*actions(), *routes_of(app), *pages_of(app))}
