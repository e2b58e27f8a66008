"""Sending log entries to CMS Services, in batches and beside the work that writes them."""

import json
import os
import sys
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from logging import LogRecord
from logging.handlers import QueueHandler
from queue import Empty, Full, Queue
from urllib.parse import urlsplit

_ROOM = 5_000
_BATCH = 100
# The ingest takes 1 MiB, and a line has at most 50,000 characters.
_BATCH_BYTES = 400_000
_BATCH_SECONDS = 1.0
_ANSWER_SECONDS = 5.0
_LONGEST_WAIT_SECONDS = 30.0
_SECONDS_AT_EXIT = 5.0


class ShippingHandler(QueueHandler):
    """Queues each entry, for a thread that sends them.

    The thread begins with the first entry of a process, since threads don't survive a fork. When
    the queue is full entries are dropped, and counted: logging must never stop the work.
    """

    def __init__(self, url: str, token: str) -> None:
        super().__init__(Queue(_ROOM))
        self._url = url
        self._token = token
        self._process = 0
        self._dropped = 0
        self._ending = threading.Event()
        self._thread = threading.Thread()

    def prepare(self, record: LogRecord) -> str:
        return self.format(record)

    def enqueue(self, line: str) -> None:
        if self._process != os.getpid():
            self._begin()
        try:
            self.queue.put_nowait(line)
        except Full:
            self._dropped += 1

    def close(self) -> None:
        """Send what is left, for a few seconds at most. `logging` calls this at the exit."""
        if self._process == os.getpid():
            self._ending.set()
            with suppress(Full):
                self.queue.put_nowait(None)
            self._thread.join(_SECONDS_AT_EXIT)
        super().close()

    def _begin(self) -> None:
        self._process = os.getpid()
        # What the parent had queued, the parent sends.
        self.queue = Queue(_ROOM)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-shipping", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not (self._ending.is_set() and self.queue.empty()):
            batch = self._next_batch()
            if batch:
                self._deliver(batch)

    def _next_batch(self) -> list[bytes]:
        """What comes within a second, and no more than one request should carry."""
        batch: list[bytes] = []
        end = time.monotonic() + _BATCH_SECONDS
        while len(batch) < _BATCH and sum(map(len, batch)) < _BATCH_BYTES:
            try:
                line = self.queue.get(timeout=max(0, end - time.monotonic()))
            except Empty:
                break
            if line is None:
                break
            batch.append(line.encode())
        return batch

    def _deliver(self, batch: list[bytes]) -> None:
        wait = 0.5
        while not self._is_settled(batch):
            if self._ending.wait(wait):
                self._is_settled(batch)
                return
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            _complain(f"{dropped} log entries were dropped: the queue was full")

    def _is_settled(self, batch: list[bytes]) -> bool:
        """Send a batch. True when it arrived, or was refused so that trying again won't help."""
        try:
            status = self._post(b'{"entries":[' + b",".join(batch) + b"]}")
        except (OSError, HTTPException):
            return False
        if status >= 500 or status == 429:
            return False
        if status >= 300:
            _complain(f"{len(batch)} log entries were refused: {self._url} answered {status}")
        return True

    def _post(self, body: bytes) -> int:
        parts = urlsplit(self._url)
        connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = connect(parts.netloc, timeout=_ANSWER_SECONDS)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        try:
            connection.request("POST", parts.path, body, headers)
            return connection.getresponse().status
        finally:
            connection.close()


def _complain(message: str) -> None:
    """Say it where a log line about the log can't go round in circles."""
    line = {"level": "warn", "message": message, "source": __name__}
    print(json.dumps(line), file=sys.stderr, flush=True)
