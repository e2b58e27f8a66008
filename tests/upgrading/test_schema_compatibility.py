"""Which code can run on which schema, as migrations declare it, and whether they tell the truth."""

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import alembic.command
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, inspect, text

from cms_services import create_app, schema
from cms_services.extensions import db
from cms_services.installation import InstallationError, prepare_database
from cms_services.schema import newest_revision, oldest_compatible, upgrade_schema
from cms_services.settings import current_settings
from tests.databases import DATABASES, fresh_server_database
from tests.processes.servers import eventually
from tests.upgrading.schema_changes import broken_promises, described

MIGRATIONS = Path(schema.__file__).parent / "migrations"
Scratch = Callable[..., Path]
# SQLite makes a table anew for most changes.
CONTRACTING = """
    always = "always" if op.get_bind().dialect.name == "sqlite" else "never"
    op.drop_column("users", "name")
    op.rename_table("import_positions", "positions")
    with op.batch_alter_table("job_claims", recreate=always) as batch:
        batch.add_column(sa.Column("n", sa.Integer(), nullable=False))
        batch.alter_column("job", type_=sa.String(3), existing_nullable=False)
        batch.create_unique_constraint("uq", ["period_start"])
        batch.create_check_constraint("ck", "length(job) > 3")
"""
EXPANDING = """
    op.add_column("users", sa.Column("age", sa.Integer(), nullable=True))
    op.add_column("users", sa.Column("size", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("ix_new", "projects", ["created_at"])
    op.create_table(
        "things",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(20), nullable=False, unique=True),
    )
"""


@pytest.fixture(params=DATABASES)
def engine_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def app(engine_kind: str, tmp_path: Path, worker_id: str) -> Iterator[Flask]:
    """An application on an empty database, with its context entered."""
    url = (
        f"sqlite:///{tmp_path}/empty.sqlite3"
        if engine_kind == "sqlite"
        else fresh_server_database(engine_kind, f"cms_upgrading_{worker_id}")
    )
    app = create_app({"DATABASE_URL": url, "CMS_DATA_DIR": str(tmp_path), "LOG_LEVEL": "warning"})
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    """Make a folder of our migrations with one more behind the last."""

    def make(upgrade: str, declaration: str = "oldest_compatible_revision = None") -> Path:
        folder = tmp_path / "migrations"
        shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "versions" / "9999_scratch.py").write_text(
            "import sqlalchemy as sa\nfrom alembic import op\n"
            f"revision = '9999'\ndown_revision = {newest_revision()!r}\n{declaration}\n"
            f"def upgrade():\n    {upgrade.strip()}\n"
            "def downgrade():\n    pass\n"
        )
        return folder

    return make


def migrate(folder: Path, revision: str) -> None:
    """Upgrade by the migrations of a folder, as `cms-services db upgrade` does by our own."""
    # flask_migrate would end the process for an error.
    configuration = Config(str(folder / "alembic.ini"))
    configuration.set_main_option("script_location", str(folder))
    alembic.command.upgrade(configuration, revision)


def declared_floors(folder: Path) -> list[tuple[str, str]]:
    """Each revision since 0011 with the oldest one whose code is said to run on its schema."""
    scripts = ScriptDirectory(str(folder))
    found = []
    for script in scripts.walk_revisions():
        oldest = oldest_compatible(scripts, script.revision)
        if oldest is not None:
            found.append((script.revision, oldest))
    return found[::-1]


def lies(folder: Path, engine: Engine) -> list[str]:
    """What the migrations of a folder take from code that they say can still run.

    The database is empty before, and has the newest schema after.
    """
    promised: dict[str, dict[str, Any]] = {}
    found = []
    for revision, oldest in declared_floors(folder):
        migrate(folder, revision)
        promised[revision] = described(engine)
        found += [
            f"{revision}: {each}" for each in broken_promises(promised[oldest], promised[revision])
        ]
    return found


class TestWhatMigrationsDeclare:
    def test_code_that_is_said_to_run_finds_all_that_it_needs(self, app: Flask) -> None:
        assert lies(MIGRATIONS, db.engine) == []

    def test_one_that_contracts_and_does_not_say_so_is_caught(
        self, app: Flask, scratch: Scratch
    ) -> None:
        found = lies(scratch(CONTRACTING), db.engine)
        assert all(each.startswith("9999: ") for each in found)
        told = "\n".join(found)
        for lie in (
            "the table import_positions is gone",
            "the column users.name is gone",
            "the new column job_claims.n needs a value",
            "job_claims.job was ",
            "job_claims has a new rule: unique",
            "job_claims has a new rule: check",
        ):
            assert lie in told
        assert len(found) == 6

    def test_one_that_contracts_and_says_so_is_not(self, app: Flask, scratch: Scratch) -> None:
        said = "oldest_compatible_revision = '9999'"
        assert lies(scratch(CONTRACTING, said), db.engine) == []

    def test_one_that_expands_is_not(self, app: Flask, scratch: Scratch) -> None:
        assert lies(scratch(EXPANDING), db.engine) == []

    def test_one_that_says_nothing_does_not_run(self, app: Flask, scratch: Scratch) -> None:
        upgrade_schema()
        folder = scratch("pass", declaration="")
        with pytest.raises(Exception, match=r"Migration 9999 does not set oldest_compatible"):
            migrate(folder, "head")


class TestAnApplicationOnANewerSchema:
    @pytest.fixture
    def client(self, app: Flask) -> FlaskClient:
        return app.test_client()

    def test_it_serves_where_only_something_was_added(
        self, app: Flask, client: FlaskClient, scratch: Scratch
    ) -> None:
        upgrade_schema()
        add = "op.add_column('users', sa.Column('age', sa.Integer(), nullable=True))"
        migrate(scratch(add), "head")
        prepare_database(current_settings())
        assert client.get("/readyz").status_code == 200

    def test_it_does_not_where_something_it_needs_went(
        self, app: Flask, client: FlaskClient, scratch: Scratch
    ) -> None:
        upgrade_schema()
        contracts = "oldest_compatible_revision = '9999'"
        migrate(scratch("op.drop_column('users', 'name')", contracts), "head")
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert "newer version" in answer.json["error"]["details"]["database"]
        with pytest.raises(InstallationError, match="schema of a newer version; start that one"):
            prepare_database(current_settings())

    def test_it_does_not_where_nothing_says_that_it_can(
        self, app: Flask, client: FlaskClient
    ) -> None:
        upgrade_schema()
        for statement in (
            "UPDATE alembic_version SET version_num = '9999'",
            "DROP TABLE schema_compatibility",
        ):
            with db.engine.begin() as connection:
                connection.execute(text(statement))
        assert client.get("/readyz").status_code == 503
        with pytest.raises(InstallationError, match="newer version"):
            prepare_database(current_settings())

    def test_the_way_back_says_so_too(
        self, app: Flask, client: FlaskClient, scratch: Scratch
    ) -> None:
        upgrade_schema()
        folder = scratch("pass", "oldest_compatible_revision = '9999'")
        migrate(folder, "head")
        assert client.get("/readyz").status_code == 503
        configuration = Config(str(folder / "alembic.ini"))
        configuration.set_main_option("script_location", str(folder))
        alembic.command.downgrade(configuration, "-1")
        prepare_database(current_settings())
        assert client.get("/readyz").status_code == 200


class TestMigratingUnderLoad:
    @pytest.fixture
    def engine_kind(self) -> str:
        return "postgresql"

    def test_an_index_is_made_while_another_operator_waits(
        self, app: Flask, scratch: Scratch
    ) -> None:
        """CREATE INDEX CONCURRENTLY waits for all transactions that were there before it."""
        upgrade_schema()
        index = """
    with op.get_context().autocommit_block():
        op.create_index("ix_new", "projects", ["created_at"], postgresql_concurrently=True,
                        if_not_exists=True)
"""
        settings = current_settings()
        url = f"{settings.effective_database_url}?application_name=operator"
        given = (url, str(settings.data_dir), str(scratch(index)))
        operators = []
        with db.engine.connect().execution_options(isolation_level="REPEATABLE READ") as holder:
            # One waits for this one, the other one for the first.
            holder.execute(text("SELECT count(*) FROM projects"))
            try:
                for _ in range(2):
                    operators.append(
                        subprocess.Popen(
                            [sys.executable, "-c", _MIGRATE, *given],
                            stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT,
                            text=True,
                        )
                    )
                with waiting_for_a_lock(db.engine):
                    eventually(lambda: trying(db.engine), "the other operator waits")
                    holder.rollback()
                told = [each.communicate(timeout=60)[0] for each in operators]
            finally:
                for each in operators:
                    each.kill()
                    each.wait()
        assert [each.returncode for each in operators] == [0, 0], told
        assert "ix_new" in {each["name"] for each in inspect(db.engine).get_indexes("projects")}

    def test_readers_do_not_wait_behind_a_migration_that_waits(
        self, app: Flask, scratch: Scratch
    ) -> None:
        """Somebody has a table for long: the migration comes and goes, until it is its turn."""
        upgrade_schema()
        folder = scratch("op.add_column('users', sa.Column('age', sa.Integer(), nullable=True))")
        errors: list[BaseException] = []

        def upgrade() -> None:
            with app.app_context():
                try:
                    migrate(folder, "head")
                except BaseException as error:
                    errors.append(error)

        engine = db.engine
        with engine.connect() as holder:
            holder.execute(text("SELECT count(*) FROM users"))
            migrating = threading.Thread(target=upgrade)
            migrating.start()
            with waiting_for_a_lock(engine), engine.begin() as reader:
                # It gives up before this does.
                reader.execute(text("SET LOCAL lock_timeout = '10s'"))
                assert reader.scalar(text("SELECT count(*) FROM users")) == 0
        migrating.join(60)
        assert not migrating.is_alive()
        assert errors == []
        assert "age" in {each["name"] for each in inspect(engine).get_columns("users")}


_MIGRATE = """
import sys
from pathlib import Path
from cms_services import create_app
from tests.upgrading.test_schema_compatibility import migrate

with create_app({"DATABASE_URL": sys.argv[1], "CMS_DATA_DIR": sys.argv[2]}).app_context():
    migrate(Path(sys.argv[3]), "head")
"""


def trying(engine: Engine) -> bool:
    """Whether somebody has found that another one migrates, and asks again and again."""
    asking = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'operator' AND state = 'idle'"
    )
    with engine.connect() as connection:
        return bool(connection.scalar(asking))


@contextmanager
def waiting_for_a_lock(engine: Engine) -> Iterator[None]:
    """Begin when somebody waits for a lock in this database."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )

    def somebody_waits() -> bool:
        with engine.connect() as connection:
            return bool(connection.scalar(waiting))

    eventually(somebody_waits, "the migration waits")
    yield


def test_migrations_import_nothing_that_changes() -> None:
    """What an old migration does must not depend on the code of today."""
    allowed = re.compile(r"cms_services\.(database|migrations\.\w+_of_\d{4})\b")
    for file in [*MIGRATIONS.glob("versions/*.py"), *MIGRATIONS.glob("*_of_*.py")]:
        for module in re.findall(
            r"^\s*(?:from|import) (cms_services[\w.]*)", file.read_text(), re.M
        ):
            assert allowed.match(module), f"{file.name} imports {module}"
