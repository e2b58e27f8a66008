"""Two requests at the same moment."""

from collections.abc import Callable
from threading import Event, Thread, current_thread
from typing import Any

from flask import Flask
from sqlalchemy import event
from werkzeug.test import TestResponse

from cms_services.extensions import db

Call = Callable[[], TestResponse]


def answers_of_two_at_once(
    app: Flask, table: str, first: Call, second: Call
) -> tuple[TestResponse, TestResponse]:
    """Send two requests so that the second asks for rows while the first is about to write them.

    The first waits before it changes `table`, until the second reads the table or, in SQLite
    where it might have to wait for that, begins a transaction.
    """
    first_is_writing, second_is_asking = Event(), Event()
    answers: dict[str, TestResponse] = {}

    def watch(_: Any, __: Any, statement: str, *___: Any) -> None:
        if current_thread().name == "first" and statement.startswith(
            (f"UPDATE {table}", f"INSERT INTO {table}")
        ):
            first_is_writing.set()
            # Bounded only so that a broken test ends.
            assert second_is_asking.wait(10)
        elif current_thread().name == "second" and f"FROM {table}" in statement:
            second_is_asking.set()

    def watch_begin(connection: Any) -> None:
        if current_thread().name == "second" and connection.dialect.name == "sqlite":
            second_is_asking.set()

    def run(name: str, call: Call) -> None:
        answers[name] = call()

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", watch)
    # Before the application's own listener, which waits for the right to write.
    event.listen(engine, "begin", watch_begin, insert=True)
    try:
        threads = [
            Thread(target=run, args=(name, call), name=name)
            for name, call in (("first", first), ("second", second))
        ]
        threads[0].start()
        assert first_is_writing.wait(10)
        threads[1].start()
        for thread in threads:
            thread.join()
    finally:
        event.remove(engine, "before_cursor_execute", watch)
        event.remove(engine, "begin", watch_begin)
    return answers["first"], answers["second"]
