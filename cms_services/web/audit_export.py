"""The audit trail as NDJSON: one entry a line, the oldest first."""

from collections.abc import Collection, Iterator
from datetime import datetime

from cms_services.actor import Actor
from cms_services.audit.trail import newest_number, next_entries
from cms_services.web.envelope import WireJSON
from cms_services.web.rows import dump_rows
from cms_services.web.schemas.records import ExportedAuditEntry
from cms_services.web.transactions import reading

NDJSON_TYPE = "application/x-ndjson"
_BATCH = 500


def exported_entries(
    actor: Actor,
    *,
    owned_projects: Collection[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
) -> Iterator[bytes]:
    """The lines of all entries that the caller sees and that are there now, a batch at a time.

    Each batch is a transaction of its own, so that a slow reader holds no connection.
    """
    with reading():
        newest = newest_number()
    after = 0
    while True:
        with reading():
            rows = next_entries(
                actor,
                after=after,
                up_to=newest,
                limit=_BATCH,
                owned_projects=owned_projects,
                since=since,
                until=until,
            )
        if not rows:
            return
        lines = dump_rows(ExportedAuditEntry, rows)
        yield b"".join(WireJSON.to_bytes(line) + b"\n" for line in lines)
        after = rows[-1].id
