"""An application on an empty database, and people who use it.

The database is SQLite in a temporary folder, or that of TEST_DATABASE_URL, which is emptied.
"""

import os

import pytest
from flask_migrate import downgrade, upgrade

from app import create_app
from app.accounts import create_user
from app.extensions import db
from app.tokens import tokens_for

PASSWORD = "a long password"


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    file = tmp_path_factory.mktemp("database") / "test.sqlite3"
    url = os.environ.get("TEST_DATABASE_URL") or f"sqlite:///{file}"
    return {"DATABASE_URL": url, "JWT_SECRET": "s" * 32}


@pytest.fixture(scope="session")
def migrated(environment):
    """The environment of a database whose tables were made, dropped and made by the migrations."""
    app = create_app(environment)
    with app.app_context():
        upgrade()
        downgrade(revision="base")
        upgrade()
        db.engine.dispose()
    return environment


@pytest.fixture
def make_app(migrated):
    made = []

    def make(**settings):
        app = create_app(migrated | settings)
        made.append(app)
        return app

    yield make
    for app in made:
        with app.app_context(), db.engine.begin() as connection:
            for table in reversed(db.metadata.sorted_tables):
                connection.execute(table.delete())
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def app(make_app):
    return make_app()


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def sign_in(app):
    """Make an account, and give the headers of its requests."""

    def sign(email, role="user"):
        with app.app_context():
            tokens = tokens_for(create_user(email, PASSWORD, role))
        return {"Authorization": f"Bearer {tokens['accessToken']}"}

    return sign


@pytest.fixture
def alice(sign_in):
    return sign_in("alice@example.com")


@pytest.fixture
def bob(sign_in):
    return sign_in("bob@example.com")


@pytest.fixture
def admin(sign_in):
    return sign_in("admin@example.com", "admin")
