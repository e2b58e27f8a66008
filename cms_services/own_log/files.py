"""A private log file that several processes write and rotate together."""

import errno
import logging
import os
import stat
import sys
import time
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path

from concurrent_log_handler import ConcurrentRotatingFileHandler

_PRIVATE = 0o600
_TELL_SECONDS = 60.0


class RotatedFile(ConcurrentRotatingFileHandler):
    """The log file: rotated at a size in bytes, with so many earlier ones kept beside it.

    Processes take turns by a lock on a file beside it, so that each line is there whole. Neither is
    opened where it leads elsewhere: root may log to a folder that another user can write to.
    """

    def __init__(self, path: Path, size: int, count: int) -> None:
        """Raises OSError where the file can't be written."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Neither owner nor mode is told to it, which would set them by the path.
        super().__init__(str(path), maxBytes=size, backupCount=count, encoding="utf-8")
        self._told_at: float | None = None
        # Opened once now, so that a path that can't be written is heard of at the start.
        try:
            self._open_lockfile()
            self.do_open().close()
        except BaseException:
            self.close()
            raise

    def do_open(self, mode: str | None = None) -> TextIOWrapper:
        begin = os.O_TRUNC if mode == "w" else os.O_APPEND
        opened = _open_private(Path(self.baseFilename), os.O_WRONLY | begin)
        return TextIOWrapper(os.fdopen(opened, "wb"), encoding=self.encoding)

    def atomic_open(self, file_path: str) -> TextIOWrapper:
        """The lock file."""
        opened = _open_private(Path(file_path), os.O_RDWR)
        return TextIOWrapper(os.fdopen(opened, "r+b"), encoding=self.encoding)

    def handleError(self, record: logging.LogRecord) -> None:
        """Say on stderr, once a minute, that lines can't be written: the disk may be full."""
        moment = time.monotonic()
        if self._told_at is None or moment - self._told_at > _TELL_SECONDS:
            self._told_at = moment
            error = sys.exc_info()[1]
            print(f"The log file can't be written: {error}", file=sys.stderr)


def _open_private(path: Path, flags: int) -> int:
    """Open a file that nobody else may read, making it if need be. Raises OSError.

    One that is made belongs to whom its folder belongs: what root logs must not keep the server,
    which runs as another user, from its log.
    """
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        try:
            opened = os.open(path, flags | os.O_CREAT | os.O_EXCL, _PRIVATE)
            made = True
        except FileExistsError:
            opened = os.open(path, flags)
            made = False
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise
        # Another process has just rotated it.
        return _open_private(path, flags)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise _no_file_of_one_name(path) from error
        raise
    try:
        if made:
            _give_to_owner_of_folder(opened, path)
        else:
            _require_one_name(opened, path)
    except BaseException:
        os.close(opened)
        raise
    return opened


def _give_to_owner_of_folder(opened: int, path: Path) -> None:
    owner = path.parent.stat()
    if os.fstat(opened).st_uid != owner.st_uid:
        # Only root can, and others need not.
        with suppress(PermissionError):
            os.fchown(opened, owner.st_uid, owner.st_gid)


def _require_one_name(opened: int, path: Path) -> None:
    status = os.fstat(opened)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        raise _no_file_of_one_name(path)
    if stat.S_IMODE(status.st_mode) != _PRIVATE:
        with suppress(PermissionError):
            os.fchmod(opened, _PRIVATE)


def _no_file_of_one_name(path: Path) -> OSError:
    reason = f"{path.name} is no file of one name: it is a link, has further links or is a device"
    return OSError(errno.ELOOP, reason, str(path))
