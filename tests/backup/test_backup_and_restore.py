"""`cms-services backup`, `restore`, `drill`: all that is stored, on and between all databases."""

import base64
import datetime
import gzip
import hashlib
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pyrage
import pytest
from click.testing import Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from flask import Flask
from sqlalchemy import (
    JSON,
    Boolean,
    Connection,
    Date,
    Double,
    Integer,
    LargeBinary,
    Table,
    func,
    insert,
    inspect,
    select,
)

from cms_services import create_app
from cms_services.database import Moment
from cms_services.extensions import db
from cms_services.schema import is_being_restored, upgrade_schema
from tests.conftest import QUIET
from tests.databases import drop_server_database, fresh_server_database
from tests.keys.stored import new_service, secrets_of
from tests.keys.stored import rows as all_rows
from tests.people import Person

IDENTITY = pyrage.x25519.Identity.generate()
RECIPIENT = str(IDENTITY.to_public())
NOT_IN_IT = {"schema_compatibility"}
# What the database itself judges.
CHECKED = {"services.type": "api", "services.status": "active", "log_blocks.terms": "abc def"}


def rows(app: Flask) -> dict[str, list[dict[str, Any]]]:
    """Every row by its table, but for what migrations write."""
    return {table: held for table, held in all_rows(app).items() if table not in NOT_IN_IT}


@pytest.fixture
def identity(tmp_path: Path) -> str:
    path = tmp_path / "identity.txt"
    path.write_text(f"# made for this test\n{IDENTITY}\n")
    return str(path)


class Installations:
    """Makes applications on databases that have nothing yet, each with a data folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: list[Flask] = []

    def make(self, kind: str, **settings: str) -> Flask:
        name = f"cms_backup_{len(self._made)}"
        if kind != "sqlite":
            settings["DATABASE_URL"] = fresh_server_database(kind, self._unique(name))
        settings["CMS_DATA_DIR"] = str(self._folder / name)
        app = create_app(QUIET | settings)
        app.extensions["environment"] = settings
        self._made.append(app)
        return app

    def end(self) -> None:
        for number, app in enumerate(self._made):
            with app.app_context():
                kind = {"mysql": "mariadb"}.get(db.engine.dialect.name, db.engine.dialect.name)
                db.engine.dispose()
            drop_server_database(kind, self._unique(f"cms_backup_{number}"))

    def _unique(self, name: str) -> str:
        return f"{name}_{hashlib.sha256(str(self._folder).encode()).hexdigest()[:8]}"


@pytest.fixture
def installations(tmp_path: Path) -> Iterator[Installations]:
    made = Installations(tmp_path)
    yield made
    made.end()


def run(app: Flask, *arguments: object) -> Result:
    return app.test_cli_runner().invoke(args=[str(each) for each in arguments])


def done(app: Flask, *arguments: object) -> str:
    """What a command prints that has to succeed."""
    result = run(app, *arguments)
    assert result.exception is None, result.output + repr(result.exception)
    return result.output


def refusal(app: Flask, *arguments: object) -> str:
    """The line with which a command is refused; main() prints it and ends with 2."""
    result = run(app, *arguments)
    assert type(result.exception).__name__ == "BackupError", (result.output, result.exception)
    return str(result.exception)


def backed_up(app: Flask, path: Path, *more: str) -> Path:
    done(app, "backup", path, "--recipient", RECIPIENT, *more)
    return path


def fill_every_table(connection: Connection) -> None:
    """Two rows in each table, with values at the edges of what each column can hold."""
    written: dict[str, list[dict[str, Any]]] = {}
    for table in db.metadata.sorted_tables:
        if table.name not in NOT_IN_IT:
            written[table.name] = [_row(table, at, written) for at in range(2)]
            connection.execute(insert(table), written[table.name])


def _row(table: Table, at: int, written: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for column in table.columns:
        if column.foreign_keys:
            parent = next(iter(column.foreign_keys)).column
            row[column.name] = written[parent.table.name][at][parent.name]
        elif str(column) in CHECKED:
            row[column.name] = CHECKED[str(column)]
        elif column.nullable and at:
            row[column.name] = None
        else:
            row[column.name] = _value(column.type, at, is_key=column.primary_key)
    return row


def _value(kind: Any, at: int, *, is_key: bool) -> Any:
    if isinstance(kind, Boolean):
        return bool(at)
    if isinstance(kind, Integer):
        return at + 1 if is_key or at else 7
    if isinstance(kind, Moment):
        return datetime.datetime(2026, 3, 29, 1, 59, 59, 999_999 - at, datetime.UTC)
    if isinstance(kind, Date):
        return datetime.date(2026, 2, 28 - at)
    if isinstance(kind, Double):
        return (0.1 + 0.2, -1.5e300)[at]
    if isinstance(kind, JSON):
        return {"ü": ["\\", '"', "😀", None, 1.0, 2**53], "at": at}
    if isinstance(kind, LargeBinary):
        return bytes(range(256)) + bytes([at])
    length = getattr(kind, "length", None)
    text = f"{at}ä 😀'\"\\\n%s :x "
    return text[: length or None] if length else text * 1000


class TestEveryTable:
    @pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
    def test_goes_around_all_databases_and_comes_back_the_same(
        self, app: Flask, installations: Installations, tmp_path: Path, identity: str
    ) -> None:
        with app.app_context(), db.engine.begin() as connection:
            fill_every_table(connection)
        before = rows(app)
        assert all(len(held) == 2 for held in before.values())
        archive = backed_up(app, tmp_path / "0.cmsbackup")
        checks = []
        for number, kind in enumerate(("postgresql", "mariadb", "sqlite"), 1):
            other = installations.make(kind)
            done(other, "restore", archive, "--identity-file", identity)
            archive = backed_up(other, tmp_path / f"{number}.cmsbackup")
            checks.append(_row_lines(archive))
            assert _next_number(other) > 2
        after = rows(other)
        assert after == before
        assert checks == [_row_lines(tmp_path / "0.cmsbackup")] * 3


def _row_lines(archive: Path) -> list[bytes]:
    """All lines of an archive but the first, by the public tools' means."""
    return gzip.decompress(pyrage.decrypt(archive.read_bytes(), [IDENTITY])).splitlines()[1:]


def _next_number(app: Flask) -> int:
    """What the database itself numbers the next event with."""
    with app.app_context(), db.engine.begin() as connection:
        events = db.metadata.tables["events"]
        row = {
            "id": "next",
            "at": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
            "type": "t",
            "subject": "s",
            "data": {},
        }
        connection.execute(insert(events).values(row))
        number = connection.scalar(select(func.max(events.c.sequence)))
        connection.execute(events.delete().where(events.c.id == "next"))
        return int(number or 0)


class TestOnEachDatabase:
    def test_secrets_and_sessions_are_there_after_a_restore(
        self,
        app: Flask,
        alice: Person,
        database_kind: str,
        installations: Installations,
        tmp_path: Path,
        identity: str,
    ) -> None:
        service = new_service(alice, API_KEY="geheim-7")
        backups = tmp_path / "backups"
        backups.mkdir()
        said = done(app, "backup", backups, "--recipient", RECIPIENT)
        (archive,) = backups.glob("*.cmsbackup")
        assert str(archive) in said
        assert stat.S_IMODE(archive.stat().st_mode) == 0o600
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        noted = archive.with_name(f"{archive.name}.sha256")
        assert noted.read_text() == f"{digest}  {archive.name}\n"
        assert sorted(backups.iterdir()) == [archive, noted]

        other = installations.make(database_kind)
        done(other, "restore", archive, "--identity-file", identity)
        assert rows(other) == rows(app)
        # Its processes read the keys anew when they start.
        restarted = create_app(QUIET | other.extensions["environment"])
        assert list(secrets_of(restarted, service).values()) == ["geheim-7"]
        me = restarted.test_client().get(
            "/api/auth/me", headers={"Authorization": f"Bearer {alice.token}"}
        )
        assert me.status_code == 200
        assert restarted.test_client().get("/readyz").status_code == 200
        with restarted.app_context():
            db.engine.dispose()
        assert "not empty" in refusal(other, "restore", archive, "--identity-file", identity)

    def test_is_of_one_moment_while_others_write(
        self, app: Flask, tmp_path: Path, database_kind: str
    ) -> None:
        tables = db.metadata.tables
        first, second = tables["legacy_clients"], tables["job_claims"]
        stop = threading.Event()
        written = threading.Event()
        failures: list[BaseException] = []

        def write() -> None:
            number = 0
            try:
                while not stop.is_set():
                    number += 1
                    row = {"id": f"{number:06}", "user_id": "", "address": "", "agent": "x"}
                    at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
                    claim = {"job": f"{number:06}", "period_start": at}
                    with (
                        app.app_context(),
                        db.engine.execution_options(writes=True).begin() as connection,
                    ):
                        connection.execute(insert(second).values(claim))
                        connection.execute(insert(first).values(row | {"site": ""}))
                    if number == 50:
                        written.set()
            except BaseException as error:
                failures.append(error)
                written.set()

        writers = [threading.Thread(target=write)]
        for writer in writers:
            writer.start()
        try:
            assert written.wait(60)
            archives = [backed_up(app, tmp_path / f"{at}.cmsbackup") for at in range(3)]
        finally:
            stop.set()
            for writer in writers:
                writer.join()
        assert not failures
        counts = []
        for archive in archives:
            held = _tables(_row_lines(archive))
            assert [row[0] for row in held["legacy_clients"]] == [
                row[0] for row in held["job_claims"]
            ]
            counts.append(len(held["job_claims"]))
        assert 50 <= counts[0] < counts[1] < counts[2]

    def test_a_drill_compares_all_and_notes_it(
        self, make_app: Any, new_person: Any, tmp_path: Path, identity: str
    ) -> None:
        app = make_app(CMS_DATA_DIR=str(tmp_path / "of-drill"))
        new_service(new_person("Dora", of=app), API_KEY="geheim-7")
        archive = backed_up(app, tmp_path / "drilled.cmsbackup")
        said = done(app, "drill", archive, "--identity-file", identity)
        assert "DIFFERS" not in said
        # In the service, and in the first version of its configuration.
        assert "Secrets: 2." in said
        noted = orjson.loads((tmp_path / "of-drill" / "backups.json").read_bytes())
        assert noted["backup"]["archive"] == noted["drill"]["archive"] == archive.name
        assert noted["drill"]["passed"] is True

        with app.app_context(), db.engine.begin() as connection:
            users = db.metadata.tables["audit_entries"]
            connection.execute(users.update().values(actor_name="somebody else"))
        archive = backed_up(app, tmp_path / "edited.cmsbackup")
        result = run(app, "drill", archive, "--identity-file", identity)
        assert result.exit_code == 1
        assert "edited" in result.output
        noted = orjson.loads((tmp_path / "of-drill" / "backups.json").read_bytes())
        assert noted["drill"]["passed"] is False

    def test_an_interrupted_restore_is_not_served_and_can_begin_anew(
        self,
        app: Flask,
        alice: Person,
        database_kind: str,
        installations: Installations,
        tmp_path: Path,
        identity: str,
    ) -> None:
        new_service(alice, API_KEY="geheim-7")
        archive = backed_up(app, tmp_path / "whole.cmsbackup")
        other = installations.make(database_kind)
        restore = [*_MAIN, "restore", str(archive), "--identity-file", identity]
        environment = os.environ | QUIET | other.extensions["environment"]
        with subprocess.Popen([sys.executable, "-c", *restore], env=environment) as process:
            _wait_until_begun(other)
            process.kill()
        assert process.returncode == -signal.SIGKILL
        assert other.test_client().get("/readyz").status_code == 503
        # At the last moment before it would be done.
        dying = f"{_DIE_AT_THE_END}; {_MAIN[0]}"
        command = [sys.executable, "-c", dying, *restore[1:], "--again"]
        assert subprocess.run(command, env=environment, check=False).returncode == 9

        answer = other.test_client().get("/readyz")
        assert answer.status_code == 503
        assert "restore" in answer.text
        assert "has not ended" in str(run(other, "audit", "verify").exception)
        assert "not ended" in refusal(other, "restore", archive, "--identity-file", identity)
        assert "half restored" in refusal(other, "backup", tmp_path / "x", "--recipient", RECIPIENT)
        done(other, "restore", archive, "--again", "--identity-file", identity)
        assert rows(other) == rows(app)
        assert other.test_client().get("/readyz").status_code == 200
        with other.app_context():
            assert not inspect(db.engine).has_table("restoring_version")


_MAIN = ["from cms_services.cli import main; main()"]
_DIE_AT_THE_END = (
    "import os; from cms_services.backup import restoring;"
    " restoring.end_restoring = lambda _: os._exit(9)"
)


def _wait_until_begun(app: Flask) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with app.app_context(), db.engine.connect() as connection:
            if is_being_restored(connection):
                return
        time.sleep(0.01)
    pytest.fail("the restore does not begin")


def _tables(lines: list[bytes]) -> dict[str, list[Any]]:
    """The rows of an archive by their tables."""
    found: dict[str, list[Any]] = {}
    name = ""
    for line in map(orjson.loads, lines):
        if isinstance(line, list):
            found[name].append(line)
        elif "table" in line:
            name = line["table"]
            found[name] = []
    return found


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
class TestRefusals:
    def test_each_is_one_line_and_leaves_nothing_behind(
        self,
        app: Flask,
        alice: Person,
        installations: Installations,
        tmp_path: Path,
        identity: str,
    ) -> None:
        new_service(alice, API_KEY="geheim-7")
        archive = backed_up(app, tmp_path / "good.cmsbackup")
        whole = archive.read_bytes()
        other = installations.make("sqlite")

        def refused(content: bytes, name: str, with_identity: str = identity) -> str:
            path = tmp_path / f"{name}.cmsbackup"
            path.write_bytes(content)
            line = refusal(other, "restore", path, "--identity-file", with_identity)
            assert "\n" not in line
            with other.app_context():
                assert not inspect(db.engine).get_table_names()
            return line

        for cut in (10, 100, len(whole) // 2, len(whole) - 1):
            line = refused(whole[:cut], f"cut-{cut}")
            assert "ends too early" in line or "is no backup" in line
        flipped = bytearray(whole)
        flipped[len(whole) // 2] ^= 1
        assert "damaged" in refused(bytes(flipped), "flipped")
        assert "is no backup" in refused(b"PK\x03\x04" + whole, "zip")
        wrong = tmp_path / "wrong.txt"
        wrong.write_text(f"{pyrage.x25519.Identity.generate()}\n")
        assert "does not open by this identity" in refused(whole, "wrong", str(wrong))
        noted = tmp_path / "summed.cmsbackup.sha256"
        noted.write_text(f"{'0' * 64}  summed.cmsbackup\n")
        assert "differs from its checksum" in refused(whole, "summed")

        def changed(old: bytes, new: bytes) -> bytes:
            """The archive as somebody would make it who has the identity."""
            plain = gzip.decompress(pyrage.decrypt(whole, [IDENTITY]))
            assert old in plain
            return pyrage.encrypt(gzip.compress(plain.replace(old, new)), [IDENTITY.to_public()])

        assert "a part is missing" in refused(changed(b"Alice", b"Eve"), "edited")
        newer = changed(b'"revision":"', b'"revision":"9')
        assert "newer version" in refused(newer, "newer")
        other_format = changed(b'"format":1', b'"format":2')
        assert "format of another version" in refused(other_format, "format")
        no_end = zlib.compressobj(wbits=31)
        plain = gzip.decompress(pyrage.decrypt(whole, [IDENTITY]))
        unended = no_end.compress(plain) + no_end.flush(zlib.Z_SYNC_FLUSH)
        assert "ends too early" in refused(
            pyrage.encrypt(unended, [IDENTITY.to_public()]), "unended"
        )

    def test_a_passphrase_opens_what_it_locked(
        self, make_app: Any, alice: Person, installations: Installations, tmp_path: Path
    ) -> None:
        app = make_app(BACKUP_PASSPHRASE="correct horse battery")
        archive = tmp_path / "x.cmsbackup"
        done(app, "backup", archive, "--without-keys")
        words = tmp_path / "words"
        words.write_text("correct horse batteries\n")
        other = installations.make("sqlite")
        line = refusal(other, "restore", archive, "--passphrase-file", words)
        assert "does not open by this passphrase" in line
        assert "give --passphrase-file" in refusal(other, "restore", archive)
        words.write_text("correct horse battery\n")
        # It has no keys, and those of this installation are others.
        line = refusal(other, "restore", archive, "--passphrase-file", words)
        assert "encryption.key lacks keys" in line
        assert "restored" not in done(
            other, "restore", archive, "--check", "--passphrase-file", words
        )

    def test_an_ssh_key_opens_it(self, app: Flask, tmp_path: Path) -> None:
        private = Ed25519PrivateKey.generate()
        public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        form, kept = Encoding.PEM, PrivateFormat.OpenSSH
        archive, key = tmp_path / "x.cmsbackup", tmp_path / "id_ed25519"
        done(app, "backup", archive, "--recipient", public.decode())
        key.write_bytes(private.private_bytes(form, kept, NoEncryption()))
        assert "DIFFERS" not in done(app, "drill", archive, "--identity-file", key)
        key.write_bytes(private.private_bytes(form, kept, BestAvailableEncryption(b"locked")))
        assert "must be decrypted" in refusal(app, "drill", archive, "--identity-file", key)

    def test_set_keys_have_to_fit(
        self, app: Flask, installations: Installations, tmp_path: Path, identity: str
    ) -> None:
        archive = backed_up(app, tmp_path / "x.cmsbackup")
        key = base64.b64encode(bytes(32)).decode()
        other = installations.make("sqlite", ENCRYPTION_KEY=key)
        line = refusal(other, "restore", archive, "--identity-file", identity)
        assert "ENCRYPTION_KEY lacks keys" in line

    def test_nobody_can_open_it(self, app: Flask, tmp_path: Path) -> None:
        assert "who can open" in refusal(app, "backup", tmp_path / "x.cmsbackup")
        line = refusal(app, "backup", tmp_path / "x.cmsbackup", "--recipient", "age1x")
        assert "age1x can't be used" in line
        assert not list(tmp_path.glob("*x.cmsbackup*"))

    def test_only_the_newest_are_kept(self, app: Flask, tmp_path: Path) -> None:
        backups = tmp_path / "backups"
        backups.mkdir()
        for day in range(1, 4):
            name = f"cms-services-2026010{day}T000000Z.cmsbackup"
            (backups / name).touch()
            (backups / f"{name}.sha256").touch()
        (backups / "other").touch()
        killed = backups / ".cms-services-20260101T000000Z.cmsbackup.1.abcd"
        killed.touch()
        os.utime(killed, (0, 0))
        done(app, "backup", backups, "--recipient", RECIPIENT, "--keep", 2)
        names = [path.name for path in sorted(backups.iterdir())]
        assert len(names) == 5
        assert names[0] == "cms-services-20260103T000000Z.cmsbackup"
        assert "goes with a folder" in refusal(app, "backup", tmp_path / "x", "--keep", "2")


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb"])
def test_a_backup_of_an_older_schema_is_brought_up_to_date(
    app: Flask, installations: Installations, tmp_path: Path, identity: str, kind: str
) -> None:
    older = installations.make("sqlite")
    with older.app_context():
        upgrade_schema("0009")
        with db.engine.begin() as connection:
            at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
            connection.execute(
                insert(db.metadata.tables["job_claims"]).values(job="old", period_start=at)
            )
    archive = backed_up(older, tmp_path / "older.cmsbackup")
    other = installations.make(kind)
    assert "schema 0009" in done(other, "restore", archive, "--identity-file", identity)
    assert other.test_client().get("/readyz").status_code == 200
    assert rows(other)["job_claims"][0]["job"] == "old"


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_drill_on_a_server_leaves_its_database_empty(
    app: Flask, installations: Installations, tmp_path: Path, identity: str, kind: str
) -> None:
    archive = backed_up(app, tmp_path / "x.cmsbackup")
    elsewhere = installations.make(kind)
    url = elsewhere.extensions["environment"]["DATABASE_URL"]
    said = done(app, "drill", archive, "--identity-file", identity, "--database-url", url)
    assert "DIFFERS" not in said
    with elsewhere.app_context():
        assert inspect(db.engine).get_table_names() == []
