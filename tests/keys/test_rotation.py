"""`cms-services keys rotate` and `status`: every stored secret under a new key, while we serve."""

import base64
import re
import secrets
import stat
from collections import Counter
from pathlib import Path
from threading import Barrier, Event, Thread
from typing import Any

import pyotp
import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from cms_services import key_rotation
from cms_services.accounts.models import User
from cms_services.accounts.second_factor import totp_context
from cms_services.audit.models import AuditEntry
from cms_services.catalogue.models import Service
from cms_services.clock import now
from cms_services.data_folder import encryption_key_file
from cms_services.demo import company
from cms_services.encryption import Vault
from cms_services.extensions import db
from cms_services.key_rotation import PLACES, rotate_encryption_key
from cms_services.settings import current_settings
from tests.conftest import MakeApp, NewPerson
from tests.keys.stored import (
    enrol,
    key_ids,
    key_lines,
    keys_in_use,
    new_service,
    secret,
    secrets_of,
    vault_of,
    without_sealed,
)
from tests.people import PASSWORD, Person, data_of, error_of

ROOT = Path(__file__).parents[2]
# What a rotation may change besides sealed values: its own entry.
TRAIL = ("audit_entries", "audit_chain")


@pytest.fixture
def app(make_app: MakeApp, tmp_path: Path) -> Flask:
    """The application that serves, with a data folder of its own."""
    return make_app(CMS_DATA_DIR=str(tmp_path))


@pytest.fixture
def operator(app: Flask, make_app: MakeApp, tmp_path: Path) -> Flask:
    """Another process of the same installation, as far as its keys go."""
    return make_app(CMS_DATA_DIR=str(tmp_path))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_rotation, "_BATCH_ROWS", 2)


def run(app: Flask, *arguments: str) -> Result:
    result = app.test_cli_runner().invoke(args=["keys", *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def rotate(app: Flask, code: int = 0) -> str:
    result = run(app, "rotate")
    assert result.exit_code == code, result.output
    return str(result.output)


def rotate_without_command(app: Flask) -> None:
    """The same for a thread: running commands side by side mixes up their outputs."""
    with app.app_context():
        rotate_encryption_key(vault_of(app), encryption_key_file(current_settings()))


def other_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def id_of(line: str) -> str:
    return Vault([base64.b64decode(line)]).key_id


class TestRotating:
    def test_everything_is_under_a_new_key_and_nothing_else_has_changed(
        self, app: Flask, operator: Flask, alice: Person, tmp_path: Path
    ) -> None:
        services = [new_service(alice, KEY=f"one-{n}", TOKEN=f"two-{n}") for n in range(5)]
        for each in services:
            alice.post(f"/api/services/{each}/config", json={"environment": {"KEY": "changed"}})
        totp = enrol(alice)
        tags = {each: alice.get(f"/api/services/{each}").headers["ETag"] for each in services}
        before, old = without_sealed(app, *TRAIL), vault_of(app).key_id
        assert {place: set(ids) for place, ids in key_ids(app).items()} == {
            place.name: {old} for place in PLACES
        }

        told = rotate(operator)

        new = vault_of(operator).key_id
        assert new != old
        assert f"New key: {new}." in told
        assert "Sealed anew in services.config: 10\n" in told
        assert "Sealed anew in service_config_versions.document: 20\n" in told
        assert "Sealed anew in users.totp_secret: 1\n" in told
        assert keys_in_use(app) == {new}
        assert without_sealed(app, *TRAIL) == before
        for number, each in enumerate(services):
            assert secrets_of(app, each) == {"KEY": "changed", "TOKEN": f"two-{number}"}
            assert secrets_of(app, each, 1) == {"KEY": f"one-{number}", "TOKEN": f"two-{number}"}
            assert alice.get(f"/api/services/{each}").headers["ETag"] == tags[each]
        self.assert_totp(app, alice, totp)
        lines = key_lines(tmp_path)
        assert [id_of(each) for each in lines] == [new, old]

    def assert_totp(self, app: Flask, alice: Person, totp: str) -> None:
        with app.app_context():
            stored = db.session.get_one(User, alice.user_id).totp_secret
            assert vault_of(app).open(stored or "", totp_context(alice.user_id)) == totp

    def test_a_running_process_seals_with_the_new_key_at_once(
        self, app: Flask, operator: Flask, alice: Person
    ) -> None:
        service = new_service(alice, KEY="one")
        rotate(operator)
        alice.post(f"/api/services/{service}/config", json={"environment": {"MORE": secret("two")}})
        assert secrets_of(app, service) == {"KEY": "one", "MORE": "two"}
        assert keys_in_use(app) == {vault_of(operator).key_id}

    def test_it_leaves_one_entry_with_the_counts(
        self, operator: Flask, alice: Person, admin: Person
    ) -> None:
        new_service(alice, KEY="one")
        rotate(operator)
        (entry,) = data_of(admin.get("/api/audit?action=keys.rotated"))
        assert entry["targetId"] == vault_of(operator).key_id
        assert entry["actorName"] == "system"
        assert entry["changes"] == {
            "new": True,
            "resealed": {
                "services.config": 1,
                "service_config_versions.document": 1,
                "users.totp_secret": 0,
            },
        }

    def test_the_files_are_private(self, operator: Flask, tmp_path: Path) -> None:
        rotate(operator)
        for name in ("encryption.key", "encryption.lock"):
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600

    def test_what_was_equal_stays_equal(self, app: Flask, operator: Flask, alice: Person) -> None:
        """Making the newest version the newest is no change, before and after."""
        service = new_service(alice, KEY="one")
        rotate(operator)
        path = f"/api/services/{service}/config/versions"
        data_of(alice.post(f"{path}/1/restore"))
        assert [each["number"] for each in data_of(alice.get(path))] == [1]

    def test_plain_texts_that_look_sealed_stay_as_they_are(
        self, app: Flask, operator: Flask, alice: Person
    ) -> None:
        plain = {"image": "v1:latest", "environment": {"A": f"v1:{'0' * 8}:AAAA", "B": "conv1:x"}}
        created = alice.new_service(configuration=plain)
        service = new_service(alice, KEY="one")
        rotate(operator)
        assert data_of(alice.get(f"/api/services/{created['id']}/config")) == plain
        assert secrets_of(app, service) == {"KEY": "one"}

    def test_imported_documents_of_any_shape_stop_nothing(
        self, app: Flask, operator: Flask, alice: Person
    ) -> None:
        shapes: list[Any] = [
            ["v1:x"],
            {"environment": "v1:x"},
            {"environment": ["v1:x"]},
            {"environment": {"A": {"sealed": 7}, "B": {"sealed": None, "x": "v1:x"}}},
            {"environment": {"A": {"sealed": "v1:x"}, "B": {"sealed": "text"}}},
        ]
        imported = [new_service(alice) for _ in shapes]
        with app.app_context():
            for each, shape in zip(imported, shapes, strict=True):
                db.session.get_one(Service, each).config = shape
            db.session.commit()
        service = new_service(alice, KEY="one")
        rotate(operator)
        assert secrets_of(app, service) == {"KEY": "one"}
        with app.app_context():
            for each, shape in zip(imported, shapes, strict=True):
                assert db.session.get_one(Service, each).config == shape

    def test_a_batch_is_bounded_by_its_bytes_too(
        self, app: Flask, operator: Flask, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(key_rotation, "_BATCH_ROWS", 100)
        monkeypatch.setattr(key_rotation, "_BATCH_BYTES", 10_000)
        sizes: list[int] = []
        reseal = key_rotation._reseal

        def counted(place: Any, keys: Any, vault: Vault) -> int:
            sizes.append(len(keys))
            return reseal(place, keys, vault)

        monkeypatch.setattr(key_rotation, "_reseal", counted)
        for _ in range(5):
            alice.new_service(
                configuration={"environment": {"KEY": secret("x"), "LONG": "x" * 4000}}
            )
        rotate(operator)
        assert sizes == [2, 2, 1] * 2
        assert keys_in_use(app) == {vault_of(app).key_id}


class TestARotationThatDidNotEnd:
    def test_is_finished_before_another_key_is_made(
        self, app: Flask, operator: Flask, alice: Person, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        services = [new_service(alice, KEY=f"one-{n}") for n in range(6)]
        old = vault_of(app).key_id
        self.stop_after(2, operator, monkeypatch)
        assert Counter(ids for ids in key_ids(app)["services.config"].values()) == {4: 1, 2: 1}
        assert [secrets_of(app, each)["KEY"] for each in services] == [f"one-{n}" for n in range(6)]
        new = vault_of(app).key_id

        told = rotate(operator)

        assert "Another rotation had begun" in told
        assert "Sealed anew in services.config: 2\n" in told
        assert keys_in_use(app) == {new}
        assert [id_of(each) for each in key_lines(tmp_path)] == [new, old]
        rotate(operator)
        assert len(key_lines(tmp_path)) == 3

    def test_one_that_died_between_its_key_and_its_work_goes_on_too(
        self, app: Flask, operator: Flask, alice: Person, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        service = new_service(alice, KEY="one")
        self.stop_after(0, operator, monkeypatch)
        rotate(operator)
        assert len(key_lines(tmp_path)) == 2
        assert keys_in_use(app) == {vault_of(app).key_id}
        assert secrets_of(app, service) == {"KEY": "one"}

    def stop_after(self, batches: int, operator: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
        """Run a rotation that stops in the middle of the transaction after so many batches."""
        done = 0

        def stop(*_: Any) -> None:
            raise KeyboardInterrupt

        reseal = key_rotation._reseal

        def count(place: Any, keys: Any, vault: Vault) -> int:
            nonlocal done
            done += 1
            if done > batches:
                with monkeypatch.context() as broken:
                    broken.setattr(db.session, "commit", stop)
                    reseal(place, keys, vault)
            return reseal(place, keys, vault)

        with monkeypatch.context() as patch:
            patch.setattr(key_rotation, "_reseal", count)
            with pytest.raises(KeyboardInterrupt):
                rotate_without_command(operator)


class TestKeysThatAreSet:
    def test_the_first_one_takes_over_and_no_file_is_made(
        self, make_app: MakeApp, app: Flask, alice: Person, tmp_path: Path
    ) -> None:
        service = new_service(alice, KEY="one")
        (old,), new = key_lines(tmp_path), other_key()
        folder = {"CMS_DATA_DIR": str(tmp_path / "other")}
        # First every node knows the new key, then every node seals with it.
        both = make_app(ENCRYPTION_KEY=f"{old},{new}", **folder)
        assert vault_of(both).key_id == id_of(old)
        assert "Sealed anew in services.config: 0\n" in rotate(both)
        turned = make_app(ENCRYPTION_KEY=f"{new},{old}", **folder)
        for _ in range(2):
            assert f"Key: {id_of(new)}, the first one of ENCRYPTION_KEY.\n" in rotate(turned)
            assert keys_in_use(app) == {id_of(new)}
        assert secrets_of(both, service) == secrets_of(turned, service) == {"KEY": "one"}
        last = make_app(ENCRYPTION_KEY=new, **folder)
        assert secrets_of(last, service) == {"KEY": "one"}
        assert not (tmp_path / "other" / "encryption.key").exists()

    def test_a_changed_file_has_no_say(self, make_app: MakeApp, app: Flask, tmp_path: Path) -> None:
        key = other_key()
        fixed = make_app(CMS_DATA_DIR=str(tmp_path), ENCRYPTION_KEY=key)
        (tmp_path / "encryption.key").write_text(f"{other_key()}\n")
        assert vault_of(fixed).key_id == id_of(key)


class TestValuesThatCannotBeOpened:
    def test_those_of_a_missing_key_are_named_and_left_and_the_others_go_on(
        self, app: Flask, operator: Flask, alice: Person, tmp_path: Path
    ) -> None:
        service = new_service(alice, GONE="lost-secret", KEPT="one")
        gone = id_of(key_lines(tmp_path)[0])
        (tmp_path / "encryption.key").write_text(f"{other_key()}\n")
        alice.post(f"/api/services/{service}/config", json={"environment": {"KEPT": secret("two")}})
        present = vault_of(app).key_id

        told = rotate(operator, code=1)

        new = vault_of(app).key_id
        assert new not in (present, gone)
        for where in (
            f"services.config {service} environment.GONE: ",
            f"service_config_versions.document {service}/1 environment.GONE: ",
            f"service_config_versions.document {service}/1 environment.KEPT: ",
            f"service_config_versions.document {service}/2 environment.GONE: ",
        ):
            assert f"\n{where}Something stored here needs the encryption key {gone}" in told
        assert "4 secrets can't be opened" in told
        assert "lost-secret" not in told
        assert key_ids(app) == {
            "services.config": {gone: 1, new: 1},
            "service_config_versions.document": {gone: 3, new: 1},
        }

    def test_found_again_their_key_lets_a_rotation_finish(
        self, app: Flask, operator: Flask, alice: Person, tmp_path: Path
    ) -> None:
        service = new_service(alice, KEY="one")
        (lost,) = key_lines(tmp_path)
        (tmp_path / "encryption.key").write_text(f"{other_key()}\n")
        rotate(operator, code=1)
        lines = [*key_lines(tmp_path), lost]
        (tmp_path / "encryption.key").write_text("\n".join(lines))
        assert "Another rotation had begun" in rotate(operator)
        assert secrets_of(app, service) == {"KEY": "one"}
        assert key_lines(tmp_path) == lines

    def test_damaged_ones_are_named_and_do_not_stop_later_rotations(
        self, app: Flask, operator: Flask, alice: Person, tmp_path: Path
    ) -> None:
        service, whole = new_service(alice, KEY="one"), new_service(alice, KEY="two")
        with app.app_context():
            stored = db.session.get_one(Service, service)
            moved = db.session.get_one(Service, whole).config["environment"]["KEY"]
            stored.config = {"environment": {"KEY": moved}}
            db.session.commit()
        for keys in (2, 3):
            told = rotate(operator, code=1)
            assert re.search(
                rf"^services.config {service} environment.KEY: .*moved", told, re.MULTILINE
            )
            assert "1 secrets can't be opened" in told
            assert len(key_lines(tmp_path)) == keys
        assert secrets_of(app, whole) == {"KEY": "two"}


class TestWhileOthersWrite:
    def test_an_edit_between_finding_and_locking_is_kept(
        self, app: Flask, operator: Flask, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        edited, deleted = new_service(alice, KEY="one"), new_service(alice, KEY="gone")
        reseal = key_rotation._reseal

        def edit_first(place: Any, keys: Any, vault: Vault) -> int:
            if (edited,) in keys:
                changed = {"environment": {"KEY": secret("two")}}
                data_of(alice.post(f"/api/services/{edited}/config", json=changed))
                with app.app_context(), db.engine.begin() as connection:
                    connection.execute(text("DELETE FROM services WHERE id = :i"), {"i": deleted})
            return reseal(place, keys, vault)

        monkeypatch.setattr(key_rotation, "_reseal", edit_first)
        rotate(operator)
        assert secrets_of(app, edited) == {"KEY": "two"}
        assert secrets_of(app, edited, 1) == {"KEY": "one"}
        assert keys_in_use(app) == {vault_of(app).key_id}

    def test_an_edit_after_locking_waits_and_is_kept(
        self, app: Flask, operator: Flask, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service = new_service(alice, KEY="one")
        change = {"environment": {"KEY": secret("two")}}
        path, resealed, edits = f"/api/services/{service}/config", key_rotation._resealed, []

        def edit_beside(*row: Any) -> dict[str, str]:
            if not edits:
                edits.append(Thread(target=lambda: data_of(alice.post(path, json=change))))
                edits[0].start()
                edits[0].join(0.5)
            return resealed(*row)

        monkeypatch.setattr(key_rotation, "_resealed", edit_beside)
        rotate(operator)
        edits[0].join()
        assert secrets_of(app, service) == {"KEY": "two"}

    def test_a_value_of_the_old_key_that_comes_behind_its_back_is_found(
        self, app: Flask, operator: Flask, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As where an earlier version, read before it was sealed anew, is made the newest."""
        service = new_service(alice, KEY="one")
        with app.app_context():
            late = [db.session.get_one(Service, service).config]
        reseal = key_rotation._reseal

        def come_late(place: Any, keys: Any, vault: Vault) -> int:
            done = reseal(place, keys, vault)
            if done and late:
                with app.app_context():
                    db.session.get_one(Service, service).config = late.pop()
                    db.session.commit()
            return done

        monkeypatch.setattr(key_rotation, "_reseal", come_late)
        rotate(operator)
        assert late == []
        assert keys_in_use(app) == {vault_of(app).key_id}
        assert secrets_of(app, service) == {"KEY": "one"}

    def test_a_value_of_the_old_key_that_comes_late_is_found_the_next_time(
        self, app: Flask, operator: Flask, alice: Person, tmp_path: Path
    ) -> None:
        """A transaction that began before the new key commits behind the rotation's back."""
        service = new_service(alice, KEY="one")
        with app.app_context():
            late = db.session.get_one(Service, service).config
        rotate(operator)
        with app.app_context():
            db.session.get_one(Service, service).config = late
            db.session.commit()
        assert len(keys_in_use(app)) == 2
        rotate(operator)
        assert keys_in_use(app) == {vault_of(app).key_id}
        assert len(key_lines(tmp_path)) == 2
        assert secrets_of(app, service) == {"KEY": "one"}

    def test_a_batch_that_met_another_transaction_is_tried_again(
        self, app: Flask, operator: Flask, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service = new_service(alice, KEY="one")
        reseal, failures = key_rotation._reseal, [1, 2, 3]

        def fail_first(place: Any, keys: Any, vault: Vault) -> int:
            done = reseal(place, keys, vault)
            if failures:
                failures.pop()
                raise OperationalError("UPDATE", {}, Exception("deadlock"))
            return done

        monkeypatch.setattr(key_rotation, "_reseal", fail_first)
        rotate(operator)
        assert failures == []
        assert secrets_of(app, service) == {"KEY": "one"}

    def test_two_rotations_at_once_lose_nothing(
        self, app: Flask, make_app: MakeApp, alice: Person, tmp_path: Path
    ) -> None:
        services = {new_service(alice, KEY=f"{n}", TOKEN=f"t{n}"): f"{n}" for n in range(10)}
        operators = [make_app(CMS_DATA_DIR=str(tmp_path)) for _ in range(2)]
        start, ended = Barrier(2), []

        def go(operator: Flask) -> None:
            start.wait()
            rotate_without_command(operator)
            ended.append(operator)

        threads = [Thread(target=go, args=(each,)) for each in operators]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(ended) == 2
        rotate(app)
        assert keys_in_use(app) == {vault_of(app).key_id}
        for each, number in services.items():
            for version in (None, 1):
                assert secrets_of(app, each, version) == {"KEY": number, "TOKEN": f"t{number}"}

    def test_nobody_who_writes_loses_anything(
        self, app: Flask, make_app: MakeApp, alice: Person, tmp_path: Path
    ) -> None:
        for number in range(10):
            new_service(alice, KEY=f"{number}", TOKEN=f"t{number}")
        writers = [Writer(make_app(CMS_DATA_DIR=str(tmp_path)), alice, n) for n in range(3)]
        try:
            for writer in writers:
                writer.wait_for_changes(3)
            operator = make_app(CMS_DATA_DIR=str(tmp_path))
            for _ in range(2):
                rotate(operator)
            for writer in writers:
                writer.wait_for_changes(3)
        finally:
            for writer in writers:
                writer.end()
        rotate(app)
        assert keys_in_use(app) == {vault_of(app).key_id}
        for writer in writers:
            assert writer.problems == []
            for service, versions in writer.written.items():
                assert secrets_of(app, service) == versions[-1]
                for number, expected in enumerate(versions, start=1):
                    assert secrets_of(app, service, number) == expected


class Writer(Thread):
    """Somebody who goes on changing secrets, and remembers each version that was acknowledged."""

    def __init__(self, app: Flask, alice: Person, number: int) -> None:
        super().__init__()
        self._person = Person(app.test_client(), alice.user_id, alice.email, alice.token)
        self._number = number
        self._ended, self._changes, self._changed = Event(), 0, Event()
        self.written: dict[str, list[dict[str, str]]] = {}
        self.problems: list[object] = []
        self.start()

    def wait_for_changes(self, count: int) -> None:
        until = self._changes + count
        while self._changes < until and self.is_alive():
            self._changed.clear()
            assert self._changed.wait(30)

    def end(self) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        try:
            # A rotation deals with all that they write, so that each of them leaves it some time.
            while not self._ended.wait(0.02):
                self._change()
                self._changes += 1
                self._changed.set()
        except Exception as error:
            self.problems.append(error)
            self._changed.set()

    def _change(self) -> None:
        step, value = self._changes % 5, f"{self._number}-{self._changes}"
        if step == 0:
            given = {"KEY": value, "TOKEN": f"t-{value}"}
            self.written[new_service(self._person, **given)] = [given]
            return
        service, versions = next(reversed(self.written.items()))
        path = f"/api/services/{service}/config"
        if step == 4:
            # An earlier version comes back with the values that it was sealed with.
            data_of(self._person.post(f"{path}/versions/1/restore"))
            versions.append(versions[0])
            return
        patch = {"environment": {"KEY": value, "TOKEN": "encrypted"}}
        data_of(self._person.post(path, json=patch))
        versions.append(versions[-1] | {"KEY": value})


class TestStatus:
    def test_it_tells_what_each_key_has_sealed(
        self, app: Flask, operator: Flask, alice: Person, tmp_path: Path
    ) -> None:
        service = new_service(alice, KEY="one", TOKEN="two")
        gone = vault_of(app).key_id
        (tmp_path / "encryption.key").write_text(f"{other_key()}\n")
        alice.post(f"/api/services/{service}/config", json={"environment": {"KEY": "new"}})
        old = vault_of(app).key_id
        with operator.app_context():
            file = encryption_key_file(current_settings())
        file.add_first(instead_of=file.keys()[0])
        new_service(alice, KEY="three")
        new = vault_of(app).key_id
        with app.app_context():
            entries = Counter(db.session.scalars(select(AuditEntry.key_id)))

        told = run(operator, "status").output.splitlines()

        assert told[0] == f"Encryption keys, from {tmp_path / 'encryption.key'}:"
        assert re.split(r"  +", told[1]) == [
            "key", "use", "services.config", "service_config_versions.document",
            "users.totp_secret", "audit entries",
        ]  # fmt: skip
        assert [line.split() for line in told[2:5]] == [
            [new, "seals", "1", "1", "0", str(entries[new])],
            [old, "opens", "1", "1", "0", str(entries[old])],
            [gone, "missing", "1", "3", "0", str(entries[gone])],
        ]

    def test_keys_that_are_set_are_told_from_where(self, make_app: MakeApp) -> None:
        key = other_key()
        app = make_app(ENCRYPTION_KEY=key, SECRET_KEY="s" * 32)
        told = run(app, "status").output.splitlines()
        assert told[0] == "Encryption keys, from ENCRYPTION_KEY:"
        assert told[2].split()[:2] == [id_of(key), "seals"]
        signing = app.extensions["cms_services.signing_keys"].present.id
        assert told[3:] == ["Signing keys:", f"{signing}  signs"]
        assert key not in "\n".join(told)


class TestPlaces:
    # Where values are stored is the same on every database, and the company is large.
    @pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
    def test_nothing_is_stored_sealed_in_a_place_that_is_not_listed(
        self, app: Flask, new_person: NewPerson
    ) -> None:
        with app.app_context():
            list(company.fill())
        enrol(new_person("Alice"))
        assert set(key_ids(app)) == {each.name for each in PLACES}

    def test_who_seals_is_listed(self) -> None:
        """Another module that seals needs a place in key_rotation.PLACES, then a name here."""
        sealing = {
            str(path.relative_to(ROOT / "cms_services"))
            for path in (ROOT / "cms_services").rglob("*.py")
            if re.search(r"\.seal\(", path.read_text())
        }
        assert sealing == {"configuration/secrets.py", "accounts/second_factor.py"}


class TestALostKey:
    @pytest.fixture
    def service(self, alice: Person) -> str:
        return new_service(alice, KEY="one")

    @pytest.fixture
    def lost(self, service: str, make_app: MakeApp, tmp_path: Path) -> Flask:
        """The application after its key is gone; one who starts without makes another."""
        (tmp_path / "encryption.key").unlink()
        return make_app(CMS_DATA_DIR=str(tmp_path))

    def test_what_needs_no_secret_still_works(
        self, lost: Flask, alice: Person, service: str
    ) -> None:
        person = Person(lost.test_client(), alice.user_id, alice.email, alice.token)
        path = f"/api/services/{service}/config"
        shown = data_of(person.get(path))
        assert shown["environment"] == {"MODE": "production", "KEY": "encrypted"}
        assert person.get("/services.php?getServices").status_code == 200
        for version in data_of(person.get(f"{path}/versions")):
            data_of(person.get(f"{path}/versions/{version['number']}"))
        changed = data_of(person.post(path, json={"environment": {"MODE": "test"}}))
        assert changed["environment"]["KEY"] == "encrypted"
        # The way out: a new value in the place of the lost one.
        data_of(person.post(path, json={"environment": {"KEY": "anew"}}))
        assert secrets_of(lost, service) == {"KEY": "anew"}

    def test_signing_in_with_a_second_factor_says_what_is_wrong(
        self, app: Flask, make_app: MakeApp, alice: Person, tmp_path: Path
    ) -> None:
        totp = enrol(alice)
        code = {"code": pyotp.TOTP(totp).at(now())}
        codes = data_of(alice.post("/api/auth/second-factor/confirm", json=code))["recoveryCodes"]
        (tmp_path / "encryption.key").unlink()
        lost = make_app(CMS_DATA_DIR=str(tmp_path)).test_client()
        given = {"email": alice.email, "password": PASSWORD}
        answer = lost.post("/api/auth/login", json=given | {"code": pyotp.TOTP(totp).at(now())})
        message = error_of(answer, 500, "SERVICE_CONFIG_ERROR")["message"]
        assert "encryption key" in message
        assert "docs/keys.md" in message
        data_of(lost.post("/api/auth/login", json=given | {"code": codes[0]}))
        lost.post("/login", data=given)
        page = lost.post("/login/code", data={"code": pyotp.TOTP(totp).at(now())})
        assert page.status_code == 500
        assert "docs/keys.md" in page.text
