"""What is new in logs: blocks in the order of their numbers, and the entries in them.

A block is committed with its entries, and there are many fewer blocks. Entries with numbers in
between may belong to other blocks, which were stored at the same time.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Table, or_, select

from cms_services.database import AnyRow, AnySelect
from cms_services.extensions import reader
from cms_services.monitoring.logs.models import LogBlock, LogEntry
from cms_services.monitoring.logs.search import Filter, conditions_of, entry_columns

_BLOCKS: Table = LogBlock.__table__  # type: ignore[assignment]
_ENTRIES: Table = LogEntry.__table__  # type: ignore[assignment]
BLOCK: ColumnElement[int] = _BLOCKS.c.id


def stored_blocks(service_id: str | None = None) -> AnySelect:
    """The query of the blocks of a service, or of all."""
    query = select(*(_BLOCKS.c[name] for name in ("id", "service_id", "first_id", "last_id")))
    return query if service_id is None else query.where(_BLOCKS.c.service_id == service_id)


def entries_of_blocks(blocks: Sequence[AnyRow], wanted: Filter) -> Sequence[AnyRow]:
    """The entries of a filter in blocks of its service, in the order in which they were stored."""
    if wanted.is_void or not blocks:
        return ()
    within = or_(*(_ENTRIES.c.id.between(block.first_id, block.last_id) for block in blocks))
    query = select(*entry_columns()).where(within, *conditions_of(wanted, by_id=True))
    if wanted.levels is not None:
        query = query.where(_ENTRIES.c.level.in_(wanted.levels))
    return reader().execute(query.order_by(_ENTRIES.c.id)).all()
