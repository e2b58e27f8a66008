"""Files that only their owner may read, and that are there whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def published(path: Path) -> Iterator[Path]:
    """A private draft to fill, which is then there as `path`; one that another made stays."""
    with _draft_of(path) as draft:
        yield draft
        with suppress(FileExistsError):
            os.link(draft, path)
        make_durable(path.parent)


def write_draft(draft: Path, text: str) -> None:
    """Fill a draft with a text that is on disk before anybody can see it."""
    with draft.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A private draft to fill and put on disk, which then stands as `path`, and in its place."""
    with _draft_of(path) as draft:
        yield draft
        if path.exists():
            give_to_owner_of(path, draft)
        draft.replace(path)
        make_durable(path.parent)


def replace_file(path: Path, text: str) -> None:
    """Put a private file of this text in the place of `path`, of the same owner, and on disk."""
    with replacing(path) as draft:
        write_draft(draft, text)


def give_to_owner_of(path: Path, other: Path) -> None:
    """Give another file to whom a file belongs: root may work on what the server has to read."""
    owner = path.stat()
    if other.stat().st_uid != owner.st_uid:
        os.chown(other, owner.st_uid, owner.st_gid)


@contextmanager
def _draft_of(path: Path) -> Iterator[Path]:
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def make_durable(folder: Path) -> None:
    """Let the names in a folder survive a loss of power."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        # Some network file systems know no such thing.
        with suppress(OSError):
            os.fsync(opened)
    finally:
        os.close(opened)
