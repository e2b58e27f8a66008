"""Keys in private files: one a line, the first in use, all known."""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from cms_services.private_files import give_to_owner_of, published, replace_file, write_draft

T = TypeVar("T")

log = structlog.get_logger()


class KeyFile(Generic[T]):
    """A file of keys. `make` gives a new key's line; `parse` reads a line, or raises ValueError."""

    def __init__(self, path: Path, make: Callable[[], str], parse: Callable[[str], T]) -> None:
        self.path = path
        self._make = make
        self._parse = parse
        self._seen: tuple[tuple[int, int, int], tuple[T, ...]] | None = None

    def keys(self) -> tuple[T, ...]:
        """The keys; where there is no file it is made, and of two starts at once one key wins.

        Raises OSError where that can't be, ValueError for a damaged file.
        """
        if not self.path.exists():
            with published(self.path) as draft:
                write_draft(draft, f"{self._make()}\n")
        return tuple(self._parse(line) for line in self._lines())

    def newest(self) -> tuple[T, ...] | None:
        """The keys as they are now, read where the file has changed. None where it can't be."""
        seen = self._seen
        try:
            # Before reading, so that a change in between is seen the next time.
            status = self.path.stat()
            state = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen is None or seen[0] != state:
                self._seen = seen = (state, tuple(self._parse(line) for line in self._lines()))
        except (OSError, ValueError):
            log.error("key file is gone or damaged", file=str(self.path))
            return None
        return seen[1]

    def add_first(self, instead_of: T) -> bool:
        """Put a new key before the first one. False: `instead_of` is the first one no more.

        Raises OSError, or ValueError for a damaged file.
        """
        with self._locked():
            lines = self._lines()
            if self._parse(lines[0]) != instead_of:
                return False
            new = self._make()
            # At the end first: a key is on disk before any process could begin to use it.
            self._write([*lines, new])
            self._write([new, *lines])
        return True

    def put_first(self, lines: Sequence[str]) -> None:
        """Put keys before those that there are, of which none goes.

        Raises OSError, or ValueError for a damaged file or for what is no key.
        """
        for line in lines:
            self._parse(line)
        self.keys()
        with self._locked():
            self._write([*lines, *(line for line in self._lines() if line not in lines)])

    def _lines(self) -> list[str]:
        lines = [line.strip() for line in self.path.read_text(encoding="ascii").splitlines()]
        keys = [line for line in lines if line]
        if not keys:
            raise ValueError("The file holds no key.")
        return keys

    def _write(self, lines: list[str]) -> None:
        replace_file(self.path, "".join(f"{line}\n" for line in lines))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among the processes that would change the file. Readers need no lock."""
        # A file of its own, since the one of the keys is another after each change.
        path = self.path.with_suffix(".lock")
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            give_to_owner_of(self.path, path)
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)
