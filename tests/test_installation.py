"""The first start: the data folder, its keys and its database."""

import base64
import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import inspect

from cms_services import create_app
from cms_services.accounts.models import User
from cms_services.accounts.sign_in import check_password
from cms_services.data_folder import encryption_keys, prepare_data_folder, secret_keys
from cms_services.extensions import db
from cms_services.installation import InstallationError, ensure_admin, prepare_database
from cms_services.settings import SettingError, current_settings, load_settings
from tests.conftest import MakeApp
from tests.schema_versions import schema_said_to_be

SECRET = "geheim-7"


def refusal(**environment: str) -> str:
    """The one line with which an application can't be made from an environment."""
    with pytest.raises(SettingError) as caught:
        create_app(environment)
    line = str(caught.value)
    assert "\n" not in line
    assert SECRET not in line
    return line


class TestKeys:
    def test_a_key_that_is_set_leaves_no_file(self, tmp_path: Path) -> None:
        key = base64.b64encode(b"k" * 32).decode()
        settings = load_settings(
            {"CMS_DATA_DIR": str(tmp_path), "SECRET_KEY": "s" * 32, "ENCRYPTION_KEY": key}
        )
        assert secret_keys(settings) == ("s" * 32,)
        assert encryption_keys(settings) == (b"k" * 32,)
        assert list(tmp_path.iterdir()) == []

    def test_a_generated_key_is_private_long_and_kept(self, tmp_path: Path) -> None:
        settings = load_settings({"CMS_DATA_DIR": str(tmp_path)})
        old_mask = os.umask(0)
        try:
            (key,), (encryption,) = secret_keys(settings), encryption_keys(settings)
        finally:
            os.umask(old_mask)
        assert len(key) >= 64
        assert len(encryption) == 32
        assert (secret_keys(settings), encryption_keys(settings)) == ((key,), (encryption,))
        files = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        assert files == {"secret.key": 0o600, "encryption.key": 0o600}

    def test_first_starts_at_once_agree_on_one_key(self, tmp_path: Path) -> None:
        settings = load_settings({"CMS_DATA_DIR": str(tmp_path)})
        with ThreadPoolExecutor(16) as pool:
            keys = set(pool.map(lambda _: secret_keys(settings), range(64)))
        assert keys == {((tmp_path / "secret.key").read_text().strip(),)}
        assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]

    def test_processes_that_start_at_once_agree_on_one_key(self, tmp_path: Path) -> None:
        go = tmp_path / "go"
        data = tmp_path / "data"
        starts = [
            subprocess.Popen(
                [sys.executable, "-c", _MAKE_KEY, str(go), str(data)],
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        try:
            for start in starts:
                assert start.stdout
                assert start.stdout.readline() == "ready\n"
            go.touch()
            keys = {start.communicate(timeout=30)[0].removeprefix("ready\n") for start in starts}
        finally:
            for start in starts:
                start.kill()
                start.wait()
        assert keys == {(data / "secret.key").read_text().strip()}

    @pytest.mark.parametrize("content", ["", "short", "\x00" * 64, "ä" * 8])
    @pytest.mark.parametrize(
        ("file", "setting"), [("secret.key", "SECRET_KEY"), ("encryption.key", "ENCRYPTION_KEY")]
    )
    def test_a_damaged_one_is_named_and_never_replaced(
        self, tmp_path: Path, file: str, setting: str, content: str
    ) -> None:
        (tmp_path / file).write_text(content)
        line = refusal(CMS_DATA_DIR=str(tmp_path))
        assert line.startswith(f"{setting}: ")
        assert file in line
        assert (tmp_path / file).read_text() == content


class TestTheDataFolder:
    def test_the_database_is_private_and_has_its_write_ahead_log(self, tmp_path: Path) -> None:
        data = tmp_path / "new" / "data"
        settings = load_settings({"CMS_DATA_DIR": str(data)})
        old_mask = os.umask(0)
        try:
            prepare_data_folder(settings)
        finally:
            os.umask(old_mask)
        database = data / "cms-services.sqlite3"
        assert data.stat().st_mode & 0o777 == 0o700
        assert [path.name for path in data.iterdir()] == [database.name]
        assert database.stat().st_mode & 0o777 == 0o600
        with sqlite3.connect(database) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)

    def test_a_database_that_is_there_is_not_touched(self, tmp_path: Path) -> None:
        database = tmp_path / "cms-services.sqlite3"
        database.write_bytes(b"what was there")
        prepare_data_folder(load_settings({"CMS_DATA_DIR": str(tmp_path)}))
        assert database.read_bytes() == b"what was there"

    def test_a_folder_that_cannot_be_written_is_named(self) -> None:
        url = f"postgresql://cms:{SECRET}@127.0.0.1/cms"
        assert refusal(CMS_DATA_DIR="/proc/self").startswith("CMS_DATA_DIR: ")
        assert refusal(CMS_DATA_DIR="/proc/self/new").startswith("CMS_DATA_DIR: ")
        assert refusal(CMS_DATA_DIR="/proc/self", DATABASE_URL=url).startswith("CMS_DATA_DIR: ")


class TestTheDatabaseUrl:
    @pytest.mark.parametrize(
        "url",
        [
            "foo",
            "oracle://cms@host/cms",
            f"postgresql://cms:{SECRET}@[::1/cms",
            f"postgresql://cms:{SECRET}@host:port/cms",
            f"postgresql+psycopg2://cms:{SECRET}@host/cms",
            f"mysql+nothing://cms:{SECRET}@host/cms",
            "sqlite:////there/is/no/such/folder/cms.sqlite3",
        ],
    )
    def test_one_that_can_never_work_is_named(self, tmp_path: Path, url: str) -> None:
        line = refusal(CMS_DATA_DIR=str(tmp_path), DATABASE_URL=url)
        assert line.startswith("DATABASE_URL: ")


class TestTheSchemaAtTheStart:
    def test_a_newer_one_is_refused(self, app: Flask) -> None:
        newer = pytest.raises(InstallationError, match="newer version")
        with app.app_context(), schema_said_to_be("9999", "9998"), newer:
            prepare_database(current_settings())

    def test_tables_of_another_application_are_left_alone(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path / 'other.sqlite3'}"
        app = create_app({"CMS_DATA_DIR": str(tmp_path), "DATABASE_URL": url})
        with app.app_context():
            with db.engine.begin() as connection:
                connection.exec_driver_sql("CREATE TABLE users (id INTEGER)")
            with pytest.raises(InstallationError, match="another version"):
                prepare_database(current_settings())
            assert inspect(db.engine).get_table_names() == ["users"]
            db.engine.dispose()


class TestTheFirstAdmin:
    def test_is_made_once_with_the_password_that_was_set(self, make_app: MakeApp) -> None:
        app = make_app(CMS_ADMIN_EMAIL="Ada@Example.com", CMS_ADMIN_PASSWORD="Correct-horse-7")
        with app.app_context():
            assert ensure_admin(current_settings()) is None
            ada = check_password("ada@example.com", "Correct-horse-7").user_id
            assert db.session.get_one(User, ada).role == "admin"
            db.session.rollback()
            assert ensure_admin(current_settings()) is None
            assert db.session.query(User).count() == 1

    def test_a_generated_password_is_told_once_and_works(self, make_app: MakeApp) -> None:
        with make_app().app_context():
            password = ensure_admin(current_settings())
            assert password is not None
            assert check_password("admin@example.com", password)
            db.session.rollback()
            assert ensure_admin(current_settings()) is None

    def test_a_weak_password_makes_nobody(self, make_app: MakeApp) -> None:
        with make_app(CMS_ADMIN_PASSWORD="weak").app_context():
            with pytest.raises(SettingError, match=r"^CMS_ADMIN_PASSWORD: "):
                ensure_admin(current_settings())
            db.session.rollback()
            assert db.session.query(User).count() == 0


_MAKE_KEY = """
import sys
from pathlib import Path
from cms_services.data_folder import prepare_data_folder, secret_keys
from cms_services.settings import load_settings

settings = load_settings({"CMS_DATA_DIR": sys.argv[2]})
print("ready", flush=True)
while not Path(sys.argv[1]).exists():
    pass
prepare_data_folder(settings)
sys.stdout.write(*secret_keys(settings))
"""
