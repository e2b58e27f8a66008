"""Whether the server is about to stop: soon, or now."""

import mmap
import threading

# Set where this process ends its answers that would go on for long.
stopping = threading.Event()

# Shared with the processes that come of this one, also with those that are started later.
_draining = mmap.mmap(-1, 1)


def begin_draining() -> None:
    """Let all web processes say that they stop soon, while they go on answering.

    Called in gunicorn's first process, whose memory they share.
    """
    _draining[0] = 1


def is_draining() -> bool:
    """Whether this process, or the server that it belongs to, is about to stop."""
    return _draining[0] == 1 or stopping.is_set()
