"""What background tasks do. A job takes the id of its owner and gives the task's result.

It may run again after a worker died in the middle, so it must be harmless twice. Its own changes
are committed together with its result, or not at all.
"""

import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from app.extensions import db
from app.models import DataRecord
from app.utilities.helpers import csv_text, to_wire


def export_records(owner_id: int) -> dict[str, Any]:
    """All records of an account, as CSV."""
    query = select(DataRecord).where(DataRecord.owner_id == owner_id).order_by(DataRecord.id)
    rows = [
        (each.id, each.name, json.dumps(each.content), to_wire(each.created_at))
        for each in db.session.scalars(query)
    ]
    return {"rows": len(rows), "csv": csv_text(("id", "name", "content", "createdAt"), rows)}


JOBS: dict[str, Callable[[int], dict[str, Any]]] = {"export_records": export_records}
