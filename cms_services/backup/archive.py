"""The file of a backup: lines of JSON, packed by gzip and encrypted in the age format.

With a passphrase, the file begins with an identity of age that it encrypts, made for this file
alone, in age's text form. What follows, and all of a file without a passphrase, is what the age
tool calls a binary file, for that identity and the recipients. docs/backup.md has it opened by
the tools `age` and `gzip`.
"""

import hashlib
import io
import os
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from cms_services.installation import InstallationError
from cms_services.private_files import replace_file, replacing

_CHUNK = 256 * 1024
_GZIP = 16 + zlib.MAX_WBITS
_LEVEL = 3
_TEXT_BEGIN = b"-----BEGIN AGE ENCRYPTED FILE-----\n"
_TEXT_END = b"-----END AGE ENCRYPTED FILE-----\n"
_LONGEST_TEXT = 4096
SUFFIX = ".cmsbackup"


class BackupError(InstallationError):
    """A backup can't be made or restored. The message is the one line that the operator reads."""


@dataclass(frozen=True)
class Locks:
    """Who will be able to open an archive: recipients (age or SSH public keys), a passphrase."""

    recipients: Sequence[str] = ()
    passphrase: str | None = None


@dataclass(frozen=True)
class Keys:
    """What opens an archive: a passphrase, or the text of a file of identities."""

    passphrase: str | None = None
    identities: str | None = None


def write_archive(path: Path, lines: Iterable[bytes], locks: Locks) -> int:
    """Write lines to an archive and its checksum beside it; both are there whole or not at all.

    Returns its size in bytes. Raises BackupError, and OSError where the folder can't be written.
    """
    import pyrage

    recipients = [_recipient(text) for text in locks.recipients]
    with replacing(path) as draft:
        with draft.open("w+b") as file:
            hashed = _Hashed(file)
            if locks.passphrase:
                identity = pyrage.x25519.Identity.generate()
                recipients.append(identity.to_public())
                hashed.write(_locked(str(identity), locks.passphrase))
            source = _Source(_packed(lines))
            try:
                pyrage.encrypt_io(source, hashed, recipients)
            except pyrage.EncryptError as error:
                # It tells of what it read from, or wrote to, in words alone.
                raise (source.failure or hashed.failure or error) from None
            file.flush()
            os.fsync(file.fileno())
        replace_file(checksum_file(path), f"{hashed.sha256.hexdigest()}  {path.name}\n")
    return hashed.size


def checksum_file(path: Path) -> Path:
    """Where the checksum of an archive is, in the format of sha256sum."""
    return path.with_name(f"{path.name}.sha256")


def require_checksum(path: Path) -> None:
    """Compare an archive with its checksum, where that is there. Raises BackupError."""
    try:
        noted = checksum_file(path).read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return
    with path.open("rb") as file:
        if noted[:1] != [hashlib.file_digest(file, "sha256").hexdigest()]:
            raise BackupError(f"{path} differs from its checksum; it is damaged.")


@contextmanager
def opened_archive(path: Path, keys: Keys) -> Iterator[IO[bytes]]:
    """The lines of an archive, as a binary file.

    A missing or changed part of the archive is met when reading comes to it. Raises BackupError.
    """
    with path.open("rb") as file:
        identities = _identities(file, keys, path)
        reading, writing = os.pipe()
        failure: list[Exception] = []
        thread = threading.Thread(
            target=_decrypt, args=(file, writing, identities, failure), daemon=True
        )
        thread.start()
        try:
            with io.BufferedReader(io.FileIO(reading), _CHUNK) as packed:
                # Looked at before unpacking: nothing comes where nothing opens it.
                if not packed.peek(1):
                    thread.join()
                    raise _unreadable(path, failure)
                yield io.BufferedReader(_Unpacked(packed, path, thread, failure), _CHUNK)
        finally:
            # It ends where nobody reads any more, and needs the file until then.
            thread.join()


def _decrypt(
    file: IO[bytes], writing: int, identities: list[Any], failure: list[Exception]
) -> None:
    import pyrage

    with os.fdopen(writing, "wb", buffering=_CHUNK) as pipe:
        try:
            pyrage.decrypt_io(file, pipe, identities)
            pipe.flush()
        except (pyrage.DecryptError, OSError) as error:
            failure.append(error)
            # What reads may have gone away.
            with suppress(OSError):
                pipe.flush()
            with suppress(OSError):
                pipe.close()


def _identities(file: IO[bytes], keys: Keys, path: Path) -> list[Any]:
    """What opens an archive. Leaves its file at where the binary part begins."""
    import pyrage

    begin = file.read(len(_TEXT_BEGIN))
    text = b""
    if begin == _TEXT_BEGIN:
        text = begin + file.read(_LONGEST_TEXT)
        end = text.find(_TEXT_END)
        if end < 0:
            raise BackupError(f"{path} ends too early, or is no backup.")
        text = text[: end + len(_TEXT_END)]
    elif not begin.startswith(b"age-encryption.org/"):
        raise BackupError(f"{path} is no backup of this application.")
    file.seek(len(text))
    if keys.identities is not None:
        return _parsed_identities(keys.identities)
    if not text:
        raise BackupError(f"{path} opens by an identity alone; give --identity-file.")
    if not keys.passphrase:
        raise BackupError(f"{path} opens by its passphrase; give --passphrase-file.")
    try:
        identity = pyrage.passphrase.decrypt(text, keys.passphrase).decode()
    except pyrage.DecryptError as error:
        raise BackupError(f"{path} does not open by this passphrase.") from error
    return [pyrage.x25519.Identity.from_str(identity)]


def _parsed_identities(text: str) -> list[Any]:
    """The identities of a file as age-keygen or ssh-keygen writes it."""
    import pyrage

    try:
        if "PRIVATE KEY-----" in text:
            return [pyrage.ssh.Identity.from_buffer(text.encode())]
        lines = [line.strip() for line in text.splitlines()]
        found = [
            pyrage.x25519.Identity.from_str(line)
            for line in lines
            if line and not line.startswith("#")
        ]
    except pyrage.IdentityError as error:
        raise BackupError(f"The identity can't be used ({error}).") from error
    if not found:
        raise BackupError("The file of identities holds none.")
    return found


def _recipient(text: str) -> Any:
    import pyrage

    try:
        if text.startswith("ssh-"):
            return pyrage.ssh.Recipient.from_str(text)
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise BackupError(f"The recipient {text} can't be used ({error}).") from error


def _locked(identity: str, passphrase: str) -> bytes:
    import pyrage

    text: bytes = pyrage.passphrase.encrypt(identity.encode(), passphrase, armored=True)
    return text.rstrip(b"\n") + b"\n"


def _packed(lines: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(_LEVEL, wbits=_GZIP)
    batch: list[bytes] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line)
        if size >= _CHUNK:
            yield packer.compress(b"".join(batch))
            batch, size = [], 0
    yield packer.compress(b"".join(batch)) + packer.flush()


class _Source(io.RawIOBase):
    """Parts as a file to read from."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._left = memoryview(b"")
        self.failure: Exception | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while not self._left:
            try:
                part = next(self._parts, None)
            except Exception as error:
                self.failure = error
                raise
            if part is None:
                return b""
            self._left = memoryview(part)
        taken, self._left = self._left[:size], self._left[size:]
        return bytes(taken)


class _Hashed(io.RawIOBase):
    """Writes on to a file, and knows the checksum and the size of it all."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.size = 0
        self.failure: Exception | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        self.size += len(data)
        try:
            return self._file.write(data)
        except OSError as error:
            self.failure = error
            raise

    def flush(self) -> None:
        self._file.flush()


class _Unpacked(io.RawIOBase):
    """What was packed, as a file to read from, whose end is believed only where it was written."""

    def __init__(
        self,
        packed: "io.BufferedReader[io.FileIO]",
        path: Path,
        thread: threading.Thread,
        failure: list[Exception],
    ) -> None:
        self._packed = packed
        self._path = path
        self._thread = thread
        self._failure = failure
        self._unpacker = zlib.decompressobj(_GZIP)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            source = self._unpacker.unconsumed_tail or self._packed.read1(_CHUNK)
            if not source:
                self._thread.join()
                if self._failure or not self._unpacker.eof:
                    raise _unreadable(self._path, self._failure)
                return 0
            try:
                data = self._unpacker.decompress(source, len(buffer))
            except zlib.error as error:
                raise _unreadable(self._path, [error]) from error
            if data:
                buffer[: len(data)] = data
                return len(data)


def _unreadable(path: Path, failure: Sequence[Exception]) -> BackupError:
    if failure and "No matching keys" in str(failure[0]):
        return BackupError(f"{path} does not open by this identity.")
    return BackupError(f"{path} ends too early or is damaged.")
