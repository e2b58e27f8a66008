"""Old databases to import from: the stand-in's, and small ones of a test's own, on real MariaDB."""

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import Result
from flask import Flask
from sqlalchemy import create_engine, make_url

from cms_services.database import engine_options, sqlalchemy_url
from tests.databases import drop_server_database, fresh_server_database

SCHEMA = Path(__file__).parent.parent / "php_cms" / "schema.sql"
_numbers = itertools.count()


@dataclass(frozen=True)
class OldDatabase:
    """A database as PHP left it. Statements take what MySQL took before it was strict."""

    url: str

    def run(self, *statements: str) -> None:
        url = sqlalchemy_url(self.url)
        engine = create_engine(url, **engine_options(url))
        try:
            with engine.begin() as connection:
                if engine.dialect.name == "mysql":
                    connection.exec_driver_sql("SET SESSION sql_mode = ''")
                for statement in statements:
                    connection.exec_driver_sql(statement)
        finally:
            engine.dispose()


@contextmanager
def old_database(worker_id: str, statements: Sequence[str]) -> Iterator[OldDatabase]:
    """A database of its own, filled by statements, until the block ends."""
    name = f"cms_old_{worker_id}_{next(_numbers)}"
    url = make_url(fresh_server_database("mariadb", name)).set(drivername="mysql")
    database = OldDatabase(url.render_as_string(hide_password=False))
    try:
        database.run(*statements)
        yield database
    finally:
        drop_server_database("mariadb", name)


def stand_in() -> list[str]:
    """The statements that make the database of the tests' PHP CMS."""
    statements = re.split(r";\n", SCHEMA.read_text(encoding="utf-8"))
    return [statement.replace("%", "%%") for statement in statements if statement.strip()]


def run_import(app: Flask, database: OldDatabase, *options: str) -> Result:
    """`cms-services import`, by its proposal where no mapping is given."""
    given = () if "--map" in options else ("--yes", "--zone", "Europe/Berlin")
    runner = app.test_cli_runner()
    return runner.invoke(args=["import", "--from", database.url, *given, *options])


def report_of(done: Result) -> dict[str, Any]:
    """The report of a run with --json."""
    assert done.exit_code in (0, 1), done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def counts(done: Result, entity: str) -> dict[str, int]:
    """How many rows became what, without those that none did."""
    found = report_of(done)["entities"][entity]
    return {name: found[name] for name in found if type(found[name]) is int and found[name]}
