"""Asking each database's full-text index for the blocks that have some terms."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select, text

from cms_services.extensions import db
from cms_services.monitoring.logs.models import LogBlock
from cms_services.monitoring.logs.terms import Sought, service_term

_BLOCKS = LogBlock.__table__.c
_MATCHES: dict[str, str] = {
    "sqlite": "log_blocks.id IN"
    " (SELECT rowid FROM log_block_terms WHERE log_block_terms MATCH :terms)",
    "postgresql": "array_to_tsvector(string_to_array(log_blocks.terms, ' '))"
    " @@ CAST(:terms AS tsquery)",
    "mysql": "MATCH (log_blocks.terms) AGAINST (:terms IN BOOLEAN MODE)",
}


def blocks_with(
    service_id: str, present: Sequence[Sought], since: datetime | None, until: datetime
) -> list[Any]:
    """A service's blocks that have all the terms, in whatever entries, the newest first."""
    kind = db.engine.dialect.name
    query = (
        select(_BLOCKS.first_id, _BLOCKS.last_id, _BLOCKS.last_at)
        .where(_BLOCKS.service_id == service_id, _BLOCKS.first_at <= until)
        .where(*_first_look(kind, present))
        .where(text(_MATCHES[kind]).bindparams(terms=_asked(kind, service_id, present)))
        .order_by(_BLOCKS.last_at.desc(), _BLOCKS.id.desc())
    )
    if since is not None:
        query = query.where(_BLOCKS.last_at >= since)
    return list(db.session.execute(query).all())


def _first_look(kind: str, present: Sequence[Sought]) -> list[ColumnElement[bool]]:
    """What spares PostgreSQL from making a tsvector of each block, where it reads them all.

    Its planner takes that for as cheap as a comparison, and so passes over the index of few blocks.
    """
    if kind != "postgresql":
        return []
    terms = {term for sought in present for term in sought.terms}
    return [func.strpos(_BLOCKS.terms, term) > 0 for term in sorted(terms)]


def _asked(kind: str, service_id: str, present: Sequence[Sought]) -> str:
    """The terms in the database's language of searches, in which they have nothing to escape."""
    whole = {service_term(service_id)}
    beginnings: set[str] = set()
    for sought in present:
        whole.update(sought.terms[:-1])
        (beginnings if sought.is_open else whole).add(sought.terms[-1])
    if kind == "sqlite":
        parts = [f'"{term}"' for term in sorted(whole)]
        return " AND ".join([*parts, *(f'"{term}"*' for term in sorted(beginnings))])
    if kind == "postgresql":
        parts = [f"'{term}'" for term in sorted(whole)]
        return " & ".join([*parts, *(f"'{term}':*" for term in sorted(beginnings))])
    parts = [f"+{term}" for term in sorted(whole)]
    return " ".join([*parts, *(f"+{term}*" for term in sorted(beginnings))])
