"""How many connections a process opens: as many as its threads need, and as the page says."""

import re
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeout

from cms_services.extensions import db
from tests.conftest import MakeApp

PAGE = Path(__file__).parents[2] / "docs" / "deploying" / "gunicorn.md"
_ROW = re.compile(
    r"^\| (\d+) nodes? of (\d+) × (\d+), (?:(\d+) workers|its worker).* \| (\d+) \|$", re.M
)


def beside() -> int:
    found = re.search(r"WEB_CONCURRENCY × \(WEB_THREADS \+ (\d+)\)", PAGE.read_text())
    assert found is not None
    return int(found[1])


def test_a_process_has_connections_for_all_its_threads(make_bare_app: MakeApp) -> None:
    app = make_bare_app(WEB_THREADS="20")
    with app.app_context(), ExitStack() as opened:
        for _ in range(20 + beside()):
            opened.enter_context(db.engine.connect())
        db.engine.pool._timeout = 0.05  # type: ignore[attr-defined]
        with pytest.raises(PoolTimeout):
            db.engine.connect()


def test_the_page_adds_them_up() -> None:
    rows = _ROW.findall(PAGE.read_text())
    assert len(rows) == 4
    for row in rows:
        nodes, processes, threads, workers, told = (int(each or 1) for each in row)
        assert (nodes * processes + workers) * (threads + beside()) == told
