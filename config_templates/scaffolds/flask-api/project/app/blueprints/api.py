"""What users do: keep records, and export them in the background."""

from flask import Blueprint, g, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from app.access import require_user
from app.errors import ApiError
from app.extensions import db
from app.models import DataRecord, Task
from app.tasks import enqueue
from app.utilities.helpers import page_of
from app.utilities.validators import checked_body, json_object, text

blueprint = Blueprint("api", __name__, url_prefix="/api")
blueprint.before_request(require_user)

_FIELDS = {"name": text(200), "content": json_object}


@blueprint.get("/data")
def list_records() -> ResponseReturnValue:
    return page_of(DataRecord, select(DataRecord).where(DataRecord.owner_id == g.user.id))


@blueprint.post("/data")
def create_record() -> ResponseReturnValue:
    record = DataRecord(owner_id=g.user.id, **checked_body(_FIELDS))
    db.session.add(record)
    db.session.commit()
    location = url_for("api.read_record", record_id=record.id)
    return record.to_document(), 201, {"Location": location}


@blueprint.get("/data/<row:record_id>")
def read_record(record_id: int) -> ResponseReturnValue:
    return _own(DataRecord, record_id).to_document()


@blueprint.patch("/data/<row:record_id>")
def change_record(record_id: int) -> ResponseReturnValue:
    record = _own(DataRecord, record_id)
    for name, value in checked_body(_FIELDS, partly=True).items():
        setattr(record, name, value)
    db.session.commit()
    return record.to_document()


@blueprint.delete("/data/<row:record_id>")
def delete_record(record_id: int) -> ResponseReturnValue:
    db.session.delete(_own(DataRecord, record_id))
    db.session.commit()
    return "", 204


@blueprint.post("/exports")
def start_export() -> ResponseReturnValue:
    """Have all own records written as CSV by a worker; `Location` says how far it is."""
    task = enqueue("export_records", g.user.id)
    db.session.commit()
    return task.to_document(), 202, {"Location": url_for("api.read_export", task_id=task.id)}


@blueprint.get("/exports/<row:task_id>")
def read_export(task_id: int) -> ResponseReturnValue:
    return _own(Task, task_id).to_document()


@blueprint.get("/exports/<row:task_id>/records.csv")
def download_export(task_id: int) -> ResponseReturnValue:
    task = _own(Task, task_id)
    if task.status != "done" or task.result is None:
        raise ApiError(409, "NOT_DONE", f"The export is {task.status}.")
    return task.result["csv"], {
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Disposition": 'attachment; filename="records.csv"',
    }


def _own(model: type[DataRecord | Task], row_id: int) -> DataRecord | Task:
    """A row of the caller's own. Somebody else's is not there, so that ids tell nothing."""
    row = db.session.get(model, row_id)
    if row is None or row.owner_id != g.user.id:
        raise ApiError(404, "NOT_FOUND", "There is nothing of yours with this id.")
    return row
