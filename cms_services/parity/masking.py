"""Secrets in what is recorded: known by their names, and replaced so that equal ones stay equal."""

import hashlib
import hmac
import re
import secrets
from typing import Any
from urllib.parse import quote, unquote_plus

import orjson

from cms_services.legacy.media_types import FORM, PARTS, json_text, kind_of
from cms_services.monitoring.logs.masking import mask_text
from cms_services.parity.recording import Exchange, Message

# Names are taken apart at capitals and signs, so that `sessionId` and `SESSION_ID` are alike.
_SECRET = re.compile(
    r"(?:.*_)?(?:pass|passwd|passwort|password|kennwort|passphrase|pwd|pw|pin|otp|secret|secrets"
    r"|token|tokens"
    r"|jwt|csrf|xsrf|nonce|auth|authorization|credential|credentials|signature|cookie|cookies"
    r"|session|sess|sid|phpsessid|apikey|(?:api|access|private|secret|encryption)_key"
    r"|session_?id|password_hash)(?:_(?:confirm|confirmation|repeat|old|new|again|hash|id|key))?"
    r"_?[0-9]{0,2}"
    # Written in one word.
    r"|.*(?:password|passwd|passwort|kennwort|passphrase|secret|apikey|accesstoken|sessionid)"
    r"s?[0-9]{0,2}"
    r"|(?:db|my|user|admin|root|login|mail|smtp|ftp)pass[0-9]{0,2}"
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
    # Behind and before a form's brackets too.
    r"(?<!%5)([A-Za-z][\w.-]{0,60})((?:[\"'\]]|%5[Dd])?\s{0,4}(?:=>|[:=])\s{0,4})"
    r"(\"[^\"\n]{1,4000}\"|'[^'\n]{1,4000}'"
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
            return self.address(value)
        return value

    def address(self, given: str) -> str:
        """A URL without the secrets of its query and fragment."""
        whole, hash_mark, fragment = given.partition("#")
        head, mark, query = whole.partition("?")
        return head + mark + self._form(query) + hash_mark + self._form(fragment)

    def _cookie(self, pair: str) -> str:
        name, mark, value = pair.strip().partition("=")
        return f"{name}={self.mask(value)}" if mark else self.mask(name)

    def _body(self, content_type: str, body: bytes) -> bytes:
        kind = kind_of(content_type, body)
        if kind == PARTS:
            return self._multipart(content_type, body)
        # Many a frontend sends a list of JSON by that name too.
        if kind == FORM and body.lstrip()[:1] != b"[":
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
        text = body.decode(errors="surrogateescape")
        return _ASSIGNED.sub(self._assigned, text).encode(errors="surrogateescape")

    def _assigned(self, match: re.Match[str]) -> str:
        name, between, value = match.groups()
        if not names_secret(name):
            return match[0]
        quote_mark = value[0] if value[0] in "\"'" else ""
        return f"{name}{between}{quote_mark}{self.mask(value.strip(quote_mark))}{quote_mark}"

    def value(self, value: Any, name: str = "") -> Any:
        """A value of JSON, which bears a name, without its secrets."""
        if isinstance(value, dict):
            return {
                key: self.value(each, _name_of(name, key, value)) for key, each in value.items()
            }
        if isinstance(value, list):
            return [self.value(each, name) for each in value]
        if value is None or isinstance(value, bool) or value == "":
            return value
        if names_secret(name):
            return self.mask(str(value))
        return self._inner_text(value) if isinstance(value, str) else value

    def _inner_text(self, text: str) -> str:
        if text.lstrip()[:1] not in ("{", "["):
            # As log entries are masked here, so that what came from the old log is the same text.
            return mask_text(text)
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
        masked = self._inner_text(plain)
        return pair if masked == plain else f"{name}={quote(masked, errors='surrogateescape')}"

    def _multipart(self, content_type: str, body: bytes) -> bytes:
        boundary = re.search(r"boundary=\"?([^\";]+)", content_type, re.IGNORECASE)
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
        if value.lstrip()[:1] in (b"{", b"["):
            text = value.decode(errors="surrogateescape")
            inner = self._inner_text(text.strip())
            if inner != text.strip():
                return head + mark + inner.encode(errors="surrogateescape") + b"\r\n"
        return part


def _name_of(outer: str, key: str, among: dict[str, Any]) -> str:
    """The name that tells what a value in an object is: all that a secret holds is one."""
    if names_secret(outer):
        return outer
    if key.lower() == "value":
        called = among.get("name") or among.get("key")
        if among.get("secret") is True or (isinstance(called, str) and names_secret(called)):
            return "secret"
    return key
