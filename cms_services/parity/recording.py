"""A recording: lines of JSON, each a request with its answer, behind one that names the format."""

import base64
import errno
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

FORMAT, VERSION = "cms-services-parity", 1

Headers = list[tuple[str, str]]


class RecordingError(Exception):
    """A file that is no recording. The message is one line that names the file and the line."""


@dataclass
class Message:
    """The headers and body of a request or an answer.

    `body` is None where it was not recorded: it was larger than the limit, or the source of the
    recording, such as an access log, has none.
    """

    headers: Headers = field(default_factory=list)
    body: bytes | None = None

    def header(self, name: str) -> str:
        """The first header of that name, or an empty text."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


@dataclass
class Exchange:
    """A request, and the answer that was given. `duration` is in seconds."""

    method: str
    target: str
    request: Message
    status: int
    response: Message
    at: datetime
    duration: float = 0.0


class RecordingWriter:
    """Appends exchanges to a file that only its owner may read.

    What fails is counted in `lost` and told once by `on_trouble`; nothing is raised.
    """

    def __init__(self, path: Path, on_trouble: Any) -> None:
        self.path, self.written, self.lost = path, 0, 0
        self._on_trouble = on_trouble
        self._is_failing = False
        self._file = -1

    def open(self) -> None:
        """Raises OSError where the file can't be opened, and RecordingError where it is another."""
        # A recording that stands where somebody else put a link would be written to their file.
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.open(self.path, flags, 0o600)
        if stat.S_ISREG(os.fstat(self._file).st_mode):
            os.fchmod(self._file, 0o600)
            if os.fstat(self._file).st_size:
                _require_head(self.path, os.pread(self._file, 4096, 0).partition(b"\n")[0])
                self._end_line()

    def _end_line(self) -> None:
        """Take away the half line that a recorder left which was killed."""
        end = os.fstat(self._file).st_size
        while end and os.pread(self._file, 1, end - 1) != b"\n":
            start = max(0, end - 65536)
            end = start + os.pread(self._file, end - start, start).rfind(b"\n") + 1
        os.ftruncate(self._file, end)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def write(self, exchange: Exchange) -> None:
        try:
            size = os.fstat(self._file).st_size
            line = b"" if size else _head()
            self._append(line + _line(exchange), size)
        except OSError as error:
            self.lost += 1
            if not self._is_failing:
                self._is_failing = True
                why = error.strerror or errno.errorcode.get(error.errno or 0, "unknown")
                self._on_trouble(f"Can't record to {self.path}: {why}. Requests still pass.")
            return
        self.written += 1
        if self._is_failing:
            self._is_failing = False
            self._on_trouble(f"Recording to {self.path} goes on; {self.lost} were lost.")

    def _append(self, line: bytes, size: int) -> None:
        written = 0
        try:
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError:
            # Half a line would spoil what follows it.
            with suppress(OSError):
                os.ftruncate(self._file, size)
            raise


def write_recording(path: Path, exchanges: Iterator[Exchange]) -> int:
    """Write a whole recording into a new private file, and return how many exchanges it has.

    Raises OSError, also where the file is there.
    """
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        try:
            file.write(_head())
            count = 0
            for exchange in exchanges:
                file.write(_line(exchange))
                count += 1
            return count
        except BaseException:
            # Half a recording would pass for a whole one.
            path.unlink()
            raise


def read_recording(path: Path) -> Iterator[Exchange]:
    """The exchanges of a recording in their order. Raises OSError and RecordingError."""
    with path.open("rb") as file:
        _require_head(path, file.readline())
        for number, line in enumerate(file, start=2):
            try:
                yield _exchange(orjson.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                # A recorder that was killed leaves half a line at the end.
                if not line.endswith(b"\n"):
                    return
                raise RecordingError(f"{path}: line {number} is no exchange.") from error


def _head() -> bytes:
    return json.dumps({"format": FORMAT, "version": VERSION}).encode() + b"\n"


def _require_head(path: Path, line: bytes) -> None:
    try:
        head = orjson.loads(line)
        known = head["format"] == FORMAT
    except (ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise RecordingError(f"{path}: is no recording of `cms-services parity record`.")
    if head.get("version") != VERSION:
        raise RecordingError(f"{path}: is of version {head.get('version')}; this reads {VERSION}.")


def _line(exchange: Exchange) -> bytes:
    return (
        orjson.dumps(
            {
                "at": exchange.at.astimezone(UTC).isoformat(timespec="milliseconds"),
                "durationMs": round(exchange.duration * 1000, 1),
                "request": {
                    "method": exchange.method,
                    "target": exchange.target,
                    **_message(exchange.request),
                },
                "response": {"status": exchange.status, **_message(exchange.response)},
            }
        )
        + b"\n"
    )


def _message(message: Message) -> dict[str, Any]:
    told: dict[str, Any] = {"headers": message.headers}
    if message.body is None:
        return told | {"body": None}
    try:
        return told | {"body": message.body.decode()}
    except UnicodeDecodeError:
        return told | {"body": base64.b64encode(message.body).decode(), "encoding": "base64"}


def _exchange(given: Mapping[str, Any]) -> Exchange:
    request, response = given["request"], given["response"]
    if not re.fullmatch("[A-Z]{1,20}", request["method"]) or not request["target"].startswith("/"):
        raise ValueError("no request")
    return Exchange(
        method=request["method"],
        target=request["target"],
        request=_read_message(request),
        status=int(response["status"]),
        response=_read_message(response),
        at=datetime.fromisoformat(given["at"]),
        duration=float(given.get("durationMs", 0)) / 1000,
    )


def _read_message(given: Mapping[str, Any]) -> Message:
    headers = [(str(name), str(value)) for name, value in given["headers"]]
    body = given["body"]
    if body is None:
        return Message(headers)
    if given.get("encoding") == "base64":
        return Message(headers, base64.b64decode(body, validate=True))
    return Message(headers, body.encode())
