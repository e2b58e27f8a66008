"""A server that recorded requests are sent to."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from typing import Any

import aiohttp
import orjson
from yarl import URL

from cms_services.parity.actions import with_ids
from cms_services.parity.comparison import Answer
from cms_services.parity.recording import Exchange, Headers, Message

_SECONDS = 60
_MOST_TRIES, _LONGEST_WAIT = 6, 120
_MOST_BYTES = 64 * 1024 * 1024
# Where a request comes from is another place now, and what it has cached is unknown.
_SENT = ("accept", "accept-language", "content-type", "x-requested-with")
_NAME_OF_ID = re.compile(r"(?:service_?)?id", re.IGNORECASE)


class SignInFailed(Exception):
    """The server takes no such account. The message is one line."""


class Side:
    """One of the two servers, with the credentials that it is shown."""

    def __init__(self, url: str, headers: Headers) -> None:
        self.url = url
        self.headers = list(headers)
        # Its ids of what was created, by those of the recording: what requests name it by, and all.
        self.ids: dict[str, str] = {}
        self.all_ids: dict[str, set[str]] = {}
        self._is_waited_for = True

    async def sign_in(self, session: aiohttp.ClientSession, email: str, password: str) -> None:
        """Show a token of this account from now on. Raises SignInFailed."""
        given = orjson.dumps({"email": email, "password": password, "session": False})
        kind = {"Content-Type": "application/json"}
        try:
            async with session.post(
                f"{self.url}/api/auth/login", data=given, headers=kind
            ) as answer:
                found = orjson.loads(await answer.read())
                token = found["data"]["accessToken"]
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError, LookupError) as error:
            raise SignInFailed(f"{self.url}: {email} can't be signed in.") from error
        self.headers.append(("Authorization", f"Bearer {token}"))

    async def ask(
        self, session: aiohttp.ClientSession, exchange: Exchange, *, signed_in: bool
    ) -> Answer:
        """Send a recorded request, with this side's own ids and credentials.

        Where it is one of too many, it is sent again after the time that the answer names.
        """
        tries = 0
        while True:
            answer = await self._ask_once(session, exchange, signed_in=signed_in)
            wait = answer.message.header("Retry-After")
            if answer.status != 429 or exchange.status == 429 or not wait.isdecimal():
                return answer
            tries += 1
            # One that says so for ever is not waited for at each request.
            self._is_waited_for = self._is_waited_for and tries <= _MOST_TRIES
            if not self._is_waited_for:
                return answer
            await asyncio.sleep(min(int(wait), _LONGEST_WAIT))

    async def _ask_once(
        self, session: aiohttp.ClientSession, exchange: Exchange, *, signed_in: bool
    ) -> Answer:
        target, body = with_ids(exchange, self.ids)
        headers = [(n, v) for n, v in exchange.request.headers if n.lower() in _SENT]
        headers += self.headers if signed_in else []
        try:
            async with session.request(
                exchange.method,
                URL(self.url + target, encoded=True),
                headers=headers,
                data=body or None,
                allow_redirects=False,
            ) as answer:
                return Answer(
                    answer.status,
                    Message(list(answer.headers.items()), await _limited(answer)),
                )
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(problem=f"{type(error).__name__}: {str(error)[:150]}".rstrip(": "))

    def learn_ids(self, recorded: bytes | None, answered: bytes | None) -> None:
        """Note how this side calls what the recording's answer calls something else."""
        theirs = ids_in(answered)
        for name, value in ids_in(recorded).items():
            if theirs.get(name, value) != value:
                self.ids[value] = theirs[name]
                self.all_ids.setdefault(value, set()).add(theirs[name])


def new_session(at_once: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=_SECONDS),
        connector=aiohttp.TCPConnector(limit=2 * at_once),
        skip_auto_headers=("Content-Type",),
        headers={"User-Agent": "cms-services-parity/1"},
        max_line_size=64 * 1024,
        max_field_size=64 * 1024,
    )


def ids_in(body: bytes | None) -> Mapping[str, str]:
    """The first value of each name of an id in an answer, by the name in small letters."""
    try:
        document = orjson.loads(body or b"null")
    except orjson.JSONDecodeError:
        return {}
    found: dict[str, str] = {}
    for name, value in _scalars(document):
        if _NAME_OF_ID.fullmatch(name):
            found.setdefault(name.lower().replace("_", ""), str(value))
    return found


def _scalars(value: Any) -> Iterator[tuple[str, Any]]:
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        name, each = waiting.pop(0)
        if isinstance(each, dict):
            waiting.extend(each.items())
        elif isinstance(each, list):
            waiting.extend((name, item) for item in each)
        elif each is not None:
            yield name, each


async def _limited(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > _MOST_BYTES:
            raise ValueError(f"the answer is larger than {_MOST_BYTES // 1024**2} MiB")
    return bytes(body)
