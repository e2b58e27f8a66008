"""A private log file that several processes write and rotate together."""

import logging
import sys
import time
from pathlib import Path

from concurrent_log_handler import ConcurrentRotatingFileHandler

_PRIVATE = 0o600
_TELL_SECONDS = 60.0


class RotatedFile(ConcurrentRotatingFileHandler):
    """The log file: rotated at a size in bytes, with so many earlier ones kept beside it.

    Processes take turns by a lock on a file beside it, so that each line is there whole.
    """

    def __init__(self, path: Path, size: int, count: int) -> None:
        """Raises OSError where the file can't be written."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = path.parent.stat()
        super().__init__(
            str(path), maxBytes=size, backupCount=count, encoding="utf-8", chmod=_PRIVATE
        )
        # What root logs must not keep the server, which runs as another user, from its log.
        self._set_uid, self._set_gid = owner.st_uid, owner.st_gid
        self._told_at: float | None = None
        # Opened once now, so that a path that can't be written is heard of at the start.
        try:
            self._open_lockfile()
            self.do_open().close()
        except BaseException:
            self.close()
            raise

    def handleError(self, record: logging.LogRecord) -> None:
        """Say on stderr, once a minute, that lines can't be written: the disk may be full."""
        moment = time.monotonic()
        if self._told_at is None or moment - self._told_at > _TELL_SECONDS:
            self._told_at = moment
            error = sys.exc_info()[1]
            print(f"The log file can't be written: {error}", file=sys.stderr)
