"""Files of keys: private, whole at any moment, and never one writer's work undone by another's."""

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread

import pytest

from cms_services import key_files
from cms_services.data_folder import encryption_key_file, secret_key_file
from cms_services.encryption import Vault
from cms_services.key_files import KeyFile
from cms_services.settings import load_settings


@pytest.fixture
def file(tmp_path: Path) -> KeyFile[bytes]:
    return encryption_key_file(load_settings({"CMS_DATA_DIR": str(tmp_path)}))


@pytest.fixture
def no_mask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()}


class TestANewKey:
    def test_comes_first_and_the_earlier_ones_stay(self, file: KeyFile[bytes]) -> None:
        (first,) = file.keys()
        assert file.add_first(instead_of=first)
        second, *rest = file.keys()
        assert rest == [first]
        assert second != first
        assert file.add_first(instead_of=second)
        assert file.keys()[1:] == (second, first)

    @pytest.mark.usefixtures("no_mask")
    def test_the_files_are_private(self, file: KeyFile[bytes], tmp_path: Path) -> None:
        file.add_first(instead_of=file.keys()[0])
        assert modes(tmp_path) == {"encryption.key": 0o600, "encryption.lock": 0o600}

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
    def test_made_by_root_it_is_for_whom_the_file_belongs_to(
        self, file: KeyFile[bytes], tmp_path: Path
    ) -> None:
        first = file.keys()[0]
        os.chown(file.path, 12345, 12345)
        assert file.add_first(instead_of=first)
        owners = {(each.stat().st_uid, each.stat().st_gid) for each in tmp_path.iterdir()}
        assert owners == {(12345, 12345)}
        assert set(modes(tmp_path).values()) == {0o600}

    def test_it_was_on_disk_before_anybody_could_seal_with_it(
        self, file: KeyFile[bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (first,) = file.keys()
        contents: list[list[str]] = []

        def replace_file(path: Path, text: str) -> None:
            contents.append(text.split())
            path.write_text(text)

        monkeypatch.setattr(key_files, "replace_file", replace_file)
        file.add_first(instead_of=first)
        (old, new), after = contents
        assert after == [new, old]
        assert file.keys()[1] == first

    def test_a_file_that_was_written_by_hand_is_taken(
        self, file: KeyFile[bytes], tmp_path: Path
    ) -> None:
        (first,) = file.keys()
        line = (tmp_path / "encryption.key").read_text()
        (tmp_path / "encryption.key").write_text(f"\n  {line.strip()}\r\n\n")
        assert file.keys() == (first,)
        assert file.add_first(instead_of=first)
        assert file.keys()[1:] == (first,)

    def test_of_many_at_once_exactly_one_is_made(self, tmp_path: Path) -> None:
        settings = load_settings({"CMS_DATA_DIR": str(tmp_path)})
        (first,) = encryption_key_file(settings).keys()
        with ThreadPoolExecutor(8) as pool:
            added = list(
                pool.map(lambda _: encryption_key_file(settings).add_first(first), range(16))
            )
        assert added.count(True) == 1
        assert len(encryption_key_file(settings).keys()) == 2

    def test_a_damaged_file_stays_as_it_is(self, file: KeyFile[bytes]) -> None:
        (first,) = file.keys()
        file.path.write_text("bm90IDMyIGJ5dGVz")
        with pytest.raises(ValueError, match="no key of 256 bits"):
            file.add_first(instead_of=first)
        assert file.path.read_text() == "bm90IDMyIGJ5dGVz"

    def test_a_signing_key_can_be_added_alike(self, tmp_path: Path) -> None:
        file = secret_key_file(load_settings({"CMS_DATA_DIR": str(tmp_path)}))
        (first,) = file.keys()
        assert file.add_first(instead_of=first)
        assert file.keys()[1] == first
        assert modes(tmp_path) == {"secret.key": 0o600, "secret.lock": 0o600}


class TestARunningProcess:
    def test_reads_the_file_only_where_it_has_changed(
        self, file: KeyFile[bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reads: list[Path] = []
        read_text = Path.read_text

        def counted(path: Path, **given: str) -> str:
            reads.append(path)
            return read_text(path, **given)

        (first,) = file.keys()
        monkeypatch.setattr(Path, "read_text", counted)
        assert [file.newest() for _ in range(5)] == [(first,)] * 5
        assert len(reads) == 1
        file.add_first(instead_of=first)
        reads.clear()
        assert [len(file.newest() or ()) for _ in range(5)] == [2] * 5
        assert len(reads) == 1

    @pytest.mark.parametrize("content", [None, "", "damaged", "\xe4"])
    def test_a_lost_or_damaged_file_is_none_until_it_is_back(
        self, file: KeyFile[bytes], content: str | None
    ) -> None:
        keys = file.keys()
        kept = file.path.read_text()
        if content is None:
            file.path.unlink()
        else:
            file.path.write_text(content, encoding="latin-1")
        assert file.newest() is None
        if content is None:
            assert not file.path.exists()
        file.path.write_text(kept)
        assert file.newest() == keys

    def test_readers_never_see_half_a_file_or_lose_a_key(self, file: KeyFile[bytes]) -> None:
        """Each reader seals and opens while keys are added under it."""
        (first,) = file.keys()
        vault = Vault([first], file.newest)
        sealed = vault.seal("x", "here")
        ended, failures = Event(), []

        def read() -> None:
            while not ended.is_set():
                try:
                    assert vault.open(sealed, "here") == "x"
                    assert vault.open(vault.seal("y", "there"), "there") == "y"
                    assert file.newest() is not None
                except Exception as error:
                    failures.append(error)
                    return

        readers = [Thread(target=read) for _ in range(4)]
        for reader in readers:
            reader.start()
        for _ in range(50):
            file.add_first(instead_of=file.keys()[0])
        ended.set()
        for reader in readers:
            reader.join()
        assert failures == []
        assert len(vault.key_ids) == 51
