"""Recordings from what others wrote down: HAR files and access logs."""

import base64
import binascii
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson

from cms_services.parity.recording import Exchange, Message, RecordingError

_LARGEST_HAR = 512 * 1024 * 1024
_COMBINED = re.compile(
    r"\S+ \S+ .{1,256}? \[(?P<time>[^\]]{1,40})\] \"(?P<method>[A-Z]{1,20}) (?P<target>\S+)"
    r"(?: HTTP/[0-9.]+)?\" (?P<status>[0-9]{3}) .*"
)
_ESCAPED = re.compile(r"\\x([0-9A-Fa-f]{2})")


def read_har(path: Path) -> Iterator[Exchange]:
    """The requests of a HAR 1.2 file, as browsers' network tools save them.

    Raises OSError and RecordingError.
    """
    if path.stat().st_size > _LARGEST_HAR:
        raise RecordingError(f"{path}: is larger than {_LARGEST_HAR // 1024**2} MiB.")
    try:
        entries = orjson.loads(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))["log"]["entries"]
        for entry in entries:
            # 0 is how a browser notes a request that it blocked.
            if entry["response"]["status"]:
                yield _har_exchange(entry)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordingError(f"{path}: is no HAR file of version 1.2.") from error


def _har_exchange(entry: Any) -> Exchange:
    request, response = entry["request"], entry["response"]
    url = urlsplit(request["url"])
    content = response.get("content") or {}
    text = content.get("text")
    body: bytes | None = None
    if text is not None:
        is_base64 = content.get("encoding") == "base64"
        body = base64.b64decode(text) if is_base64 else text.encode()
    elif not content.get("size"):
        body = b""
    headers = _har_headers(request)
    post = request.get("postData") or {}
    if post and not Message(headers).header("Content-Type"):
        headers.append(("Content-Type", post["mimeType"]))
    return Exchange(
        request["method"],
        (url.path or "/") + (f"?{url.query}" if url.query else ""),
        Message(headers, _har_post(post)),
        int(response["status"]),
        Message(_har_headers(response), body),
        datetime.fromisoformat(entry["startedDateTime"]),
        max(0.0, float(entry.get("time") or 0)) / 1000,
    )


def _har_headers(message: Any) -> list[tuple[str, str]]:
    # Those of HTTP/2's own begin with a colon.
    return [(h["name"], h["value"]) for h in message["headers"] if not h["name"].startswith(":")]


def _har_post(data: Any) -> bytes | None:
    if not data:
        return b""
    if data.get("text") is not None:
        return str(data["text"]).encode()
    pairs = [(each["name"], each.get("value", "")) for each in data.get("params", [])]
    return urlencode(pairs).encode()


def read_access_log(path: Path) -> Iterator[Exchange]:
    """The GET requests of nginx's access log, in its combined format or in ours of JSON lines.

    There are no bodies in a log, so other methods are left out, and answers have only a status.
    Lines of any other form are left out as well. Raises OSError, and RecordingError where there
    is no line that could be read.
    """
    lines = known = 0
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            lines += bool(line.strip())
            exchange = _logged(line)
            if exchange is not None:
                known += 1
                if exchange.method == "GET":
                    yield exchange
    if lines and not known:
        raise RecordingError(f"{path}: is no access log in the combined format or in ours.")


def _logged(line: str) -> Exchange | None:
    try:
        if line.startswith("{"):
            given = orjson.loads(line)
            target, status = given["target"], int(given["status"])
            method, at = given["method"], datetime.fromisoformat(given["time"])
            seconds = float(given.get("duration") or 0)
        else:
            match = _COMBINED.match(line)
            if match is None:
                return None
            target = _ESCAPED.sub(lambda each: f"%{each[1]}", match["target"])
            status, method, seconds = int(match["status"]), match["method"], 0.0
            at = datetime.strptime(match["time"], "%d/%b/%Y:%H:%M:%S %z")
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None
    if not target.startswith("/"):
        return None
    request = Message([], b"")
    return Exchange(method, target, request, status, Message(), at.astimezone(UTC), seconds)
