"""The old CMS's database, new for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.importing.old_databases import OldDatabase, old_database, stand_in


@pytest.fixture
def old(worker_id: str) -> Iterator[OldDatabase]:
    """The database of the tests' PHP CMS."""
    with old_database(worker_id, stand_in()) as database:
        yield database


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """Where a run lists what it has to tell of rows."""
    return tmp_path / "rejects.jsonl"
