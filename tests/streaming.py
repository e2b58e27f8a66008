"""Reading answers that go on."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from tests.people import Person


@contextmanager
def following(app: Flask, person: Person, path: str, **sent: Any) -> Iterator[Iterator[bytes]]:
    """The pieces of a stream, by a client of its own in a thread of its own, as a server has it."""
    who = Person(app.test_client(), person.user_id, person.email, person.token)
    with followed_by(who.get, path, **sent) as pieces:
        yield pieces


@contextmanager
def followed_by(
    get: Callable[..., TestResponse], path: str, **sent: Any
) -> Iterator[Iterator[bytes]]:
    """The pieces of a stream that `get` asks for, in a thread of its own."""
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(get, path, **sent).result()
        assert answer.status_code == 200, answer.text
        assert answer.mimetype == "text/event-stream"
        pieces = iter(answer.response)
        try:
            yield iter(lambda: thread.submit(next, pieces, None).result(), None)
        finally:
            thread.submit(answer.close).result()
