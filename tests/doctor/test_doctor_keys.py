"""The doctor's check of keys: those that sealed what is stored have to be on the node."""

import base64
from pathlib import Path

from flask import Flask

from tests.doctor.telling import told
from tests.keys.stored import enrol, key_lines, new_service, vault_of
from tests.people import Person

OTHER = base64.b64encode(b"another key of thirty-two bytes!").decode()


def folder_of(app: Flask) -> str:
    return str(app.extensions["cms_services.settings"].data_dir)


def test_the_keys_that_sealed_are_found(app: Flask, database_url: str, alice: Person) -> None:
    new_service(alice, API_KEY="s3cret")
    found = told(CMS_DATA_DIR=folder_of(app), DATABASE_URL=database_url)
    assert found.of("keys") == ["what is stored needs no other key than this node has"]
    own = key_lines(Path(folder_of(app)))[0]
    later = told(
        CMS_DATA_DIR=folder_of(app), DATABASE_URL=database_url, ENCRYPTION_KEY=f"{OTHER},{own}"
    )
    assert later.of("keys", "failure") == []


def test_a_node_with_another_key_is_told_which_one_it_lacks(
    app: Flask, database_url: str, alice: Person
) -> None:
    new_service(alice, API_KEY="s3cret", TOKEN="t0ken")
    enrol(alice)
    found = told(CMS_DATA_DIR=folder_of(app), DATABASE_URL=database_url, ENCRYPTION_KEY=OTHER)
    sealed = f"were sealed by the key {vault_of(app).key_id}, which is not here"
    [seen] = found.of("keys", "failure")
    # Two in the configuration and in its first version each, and the second factor.
    assert seen == f"stored secrets (5) {sealed}"
    assert "ENCRYPTION_KEY, after a comma" in found.mend(sealed)
    assert found.code == 2
    assert OTHER not in str(found.findings)


def test_another_key_shows_before_anything_is_sealed(
    app: Flask, database_url: str, alice: Person
) -> None:
    alice.new_service()
    found = told(CMS_DATA_DIR=folder_of(app), DATABASE_URL=database_url, ENCRYPTION_KEY=OTHER)
    [seen] = found.of("keys", "failure")
    assert seen.startswith(f"the audit trail was written last with the key {vault_of(app).key_id}")


def test_a_lost_file_of_keys_shows(
    app: Flask, database_url: str, alice: Person, tmp_path: Path
) -> None:
    new_service(alice, API_KEY="s3cret")
    found = told(CMS_DATA_DIR=str(tmp_path), DATABASE_URL=database_url)
    assert len(found.of("keys", "warning")) == 2
    [seen] = found.of("keys", "failure")
    assert vault_of(app).key_id in seen
    assert f"{tmp_path}/encryption.key, as another line" in found.mend("stored secrets")
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_damaged_or_can_t_be_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "encryption.key").write_text("no key\n")
    (tmp_path / "secret.key").mkdir()
    found = told(CMS_DATA_DIR=str(tmp_path))
    unread, damaged = found.of("keys", "failure")
    assert damaged == f"{tmp_path}/encryption.key is damaged"
    assert unread.startswith(f"{tmp_path}/secret.key can't be read")
    assert "ENCRYPTION_KEY" in found.mend("is damaged")
