"""Secrets in what is recorded: known by their names, and replaced so that equal ones stay equal."""

import hashlib
import hmac
import re
import secrets
from typing import Any
from urllib.parse import quote, unquote_plus

import orjson

from cms_services.legacy.media_types import FORM, PARTS, json_text, kind_of
from cms_services.parity.recording import Exchange, Message

# Names are taken apart at capitals and signs, so that `sessionId` and `SESSION_ID` are alike.
_SECRET = re.compile(
    r"(?:.*_)?(?:pass|passwd|passwort|password|passphrase|pwd|pw|pin|otp|secret|secrets|token|tokens"
    r"|jwt|csrf|xsrf|nonce|auth|authorization|credential|credentials|signature|cookie|cookies"
    r"|session|sess|sid|phpsessid|apikey|(?:api|access|private|secret|encryption)_key"
    r"|session_?id|password_hash)(?:_(?:confirm|confirmation|repeat|old|new|again|hash|id|key))?"
)
_PARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
# Of the headers these are kept; the others say nothing that an answer depends on, or too much.
_REQUEST_HEADERS = {
    *("accept", "accept-language", "authorization", "content-type", "cookie", "host", "origin"),
    *("if-none-match", "referer", "sec-fetch-site", "x-requested-with"),
}
_RESPONSE_HEADERS = {
    *("allow", "cache-control", "content-disposition", "content-language", "content-type", "etag"),
    *("expires", "last-modified", "location", "pragma", "retry-after", "set-cookie", "vary"),
    "www-authenticate",
}
_ASSIGNED = re.compile(
    r"([A-Za-z][\w.-]{0,60})([\"']?\s{0,4}(?:=>|[:=])\s{0,4})(\"[^\"\n]{1,4000}\"|'[^'\n]{1,4000}'"
    r"|[^\s\"'<>&;,]{1,4000})"
)
_PART_NAME = re.compile(rb"name=\"([^\"\r\n]*)\"")
_AUTHORIZATION = re.compile(r"(\w+)\s+(.+)", re.DOTALL)


def names_secret(name: str) -> bool:
    """Whether what bears such a name is a secret."""
    return bool(_SECRET.fullmatch("_".join(_PARTS.split(name[:200])).strip("_").lower()))


class Masker:
    """Masks by a key that is gone with this object, so that nobody can try out values later."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def mask(self, value: str) -> str:
        digest = hmac.new(self._key, value.encode(errors="surrogateescape"), hashlib.sha256)
        return f"masked-{digest.hexdigest()[:16]}"

    def exchange(self, given: Exchange) -> Exchange:
        """The exchange without its secrets, and without the headers that nothing depends on."""
        path, mark, query = given.target.partition("?")
        return Exchange(
            given.method,
            path + mark + self._form(query),
            self._message(given.request, _REQUEST_HEADERS),
            given.status,
            self._message(given.response, _RESPONSE_HEADERS),
            given.at,
            given.duration,
        )

    def _message(self, given: Message, kept: set[str]) -> Message:
        headers = [
            (name, self._header(name.lower(), value))
            for name, value in given.headers
            if name.lower() in kept
        ]
        if not given.body:
            return Message(headers, given.body)
        return Message(headers, self._body(given.header("Content-Type"), given.body))

    def _header(self, name: str, value: str) -> str:
        if name == "authorization":
            match = _AUTHORIZATION.fullmatch(value)
            return f"{match[1]} {self.mask(match[2])}" if match else self.mask(value)
        if name == "cookie":
            return "; ".join(self._cookie(each) for each in value.split(";") if each.strip())
        if name == "set-cookie":
            cookie, mark, rest = value.partition(";")
            return self._cookie(cookie) + mark + rest
        if name in ("location", "referer"):
            head, mark, query = value.partition("?")
            return head + mark + self._form(query)
        return value

    def _cookie(self, pair: str) -> str:
        name, mark, value = pair.strip().partition("=")
        return f"{name}={self.mask(value)}" if mark else self.mask(name)

    def _body(self, content_type: str, body: bytes) -> bytes:
        kind = kind_of(content_type, body)
        if kind == PARTS:
            return self._multipart(content_type, body)
        if kind == FORM:
            return self._form(body.decode(errors="surrogateescape")).encode(
                errors="surrogateescape"
            )
        try:
            value = orjson.loads(json_text(body))
        except orjson.JSONDecodeError:
            return self.text(body)
        # What has no secret stays as it was written, to the byte.
        masked = self.value(value)
        return body if masked == value else orjson.dumps(masked)

    def text(self, body: bytes) -> bytes:
        """A text that is no JSON, without what is assigned to names of secrets."""
        try:
            text = body.decode()
        except UnicodeDecodeError:
            return body
        return _ASSIGNED.sub(self._assigned, text).encode()

    def _assigned(self, match: re.Match[str]) -> str:
        name, between, value = match.groups()
        if not names_secret(name):
            return match[0]
        quote_mark = value[0] if value[0] in "\"'" else ""
        return f"{name}{between}{quote_mark}{self.mask(value.strip(quote_mark))}{quote_mark}"

    def value(self, value: Any, name: str = "") -> Any:
        """A value of JSON, which bears a name, without its secrets."""
        if isinstance(value, dict):
            return {key: self.value(each, key) for key, each in value.items()}
        if isinstance(value, list):
            return [self.value(each, name) for each in value]
        if value is None or isinstance(value, bool) or value == "":
            return value
        if names_secret(name):
            return self.mask(str(value))
        if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
            return self._inner_json(value)
        return value

    def _inner_json(self, text: str) -> str:
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            return _ASSIGNED.sub(self._assigned, text)
        masked = self.value(value)
        return text if masked == value else orjson.dumps(masked).decode()

    def _form(self, form: str) -> str:
        return "&".join(self._pair(pair) for pair in form.split("&")) if form else form

    def _pair(self, pair: str) -> str:
        name, _, value = pair.partition("=")
        if not value:
            return pair
        # configuration[api_key] is called by its last brackets.
        steps = [each for each in re.split(r"[\[\]]+", unquote_plus(name)) if each]
        if any(names_secret(step) for step in steps):
            return f"{name}={self.mask(unquote_plus(value))}"
        plain = unquote_plus(value)
        if plain.lstrip()[:1] in ("{", "["):
            masked = self._inner_json(plain)
            return pair if masked == plain else f"{name}={quote(masked)}"
        return pair

    def _multipart(self, content_type: str, body: bytes) -> bytes:
        boundary = re.search(r"boundary=\"?([^\";]+)", content_type)
        if boundary is None:
            return self.text(body)
        parts = body.split(b"--" + boundary[1].encode())
        return (b"--" + boundary[1].encode()).join(self._part(part) for part in parts)

    def _part(self, part: bytes) -> bytes:
        head, mark, value = part.partition(b"\r\n\r\n")
        name = _PART_NAME.search(head)
        if not name or not mark:
            return part
        steps = re.split(r"[\[\]]+", name[1].decode(errors="replace"))
        if any(names_secret(step) for step in steps if step):
            masked = self.mask(value.decode(errors="replace").strip())
            return head + mark + masked.encode() + b"\r\n"
        return part
