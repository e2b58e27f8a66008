"""Asking each database's full-text index for the blocks that have some terms."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select, text

from cms_services.extensions import db
from cms_services.monitoring.logs.models import LogBlock
from cms_services.monitoring.logs.terms import Sought, service_term

_BLOCKS = LogBlock.__table__.c
_MATCHES: dict[str, str] = {
    "sqlite": "log_blocks.id IN"
    " (SELECT rowid FROM log_block_terms WHERE log_block_terms MATCH :terms)",
    "postgresql": "terms_vector(log_blocks.terms) @@ CAST(:terms AS tsquery)",
    "mysql": "MATCH (log_blocks.terms) AGAINST (:terms IN BOOLEAN MODE)",
}
# Blocks of the first page, how many times as many the next ones have, and the most.
_FIRST, _GROWTH, _MOST = 32, 4, 128


def blocks_with(
    service_id: str, present: Sequence[Sought], since: datetime | None, until: datetime
) -> Iterator[Sequence[Any]]:
    """Pages of a service's blocks that have all the terms, in whatever entries, newest first."""
    kind = db.engine.dialect.name
    query = (
        select(_BLOCKS.id, _BLOCKS.first_id, _BLOCKS.last_id, _BLOCKS.last_at)
        .where(_BLOCKS.service_id == service_id, _BLOCKS.first_at <= until)
        .where(text(_MATCHES[kind]).bindparams(terms=_asked(kind, service_id, present)))
        .order_by(_BLOCKS.last_at.desc(), _BLOCKS.id.desc())
    )
    if since is not None:
        query = query.where(_BLOCKS.last_at >= since)
    limit = _FIRST
    rest = query
    while True:
        page = db.session.execute(rest.limit(limit)).all()
        if page:
            yield page
        if len(page) < limit:
            return
        last = page[-1]
        rest = query.where(
            _BLOCKS.last_at <= last.last_at,
            or_(_BLOCKS.last_at < last.last_at, _BLOCKS.id < last.id),
        )
        limit = min(limit * _GROWTH, _MOST)


def _asked(kind: str, service_id: str, present: Sequence[Sought]) -> str:
    """The terms in the database's language of searches, in which they have nothing to escape."""
    whole = {service_term(service_id)}
    beginnings: set[str] = set()
    for sought in present:
        whole.update(sought.terms[:-1], sought.pairs)
        (beginnings if sought.is_open else whole).add(sought.terms[-1])
    if kind == "sqlite":
        parts = [f'"{term}"' for term in sorted(whole)]
        return " AND ".join([*parts, *(f'"{term}"*' for term in sorted(beginnings))])
    if kind == "postgresql":
        parts = [f"'{term}'" for term in sorted(whole)]
        return " & ".join([*parts, *(f"'{term}':*" for term in sorted(beginnings))])
    parts = [f"+{term}" for term in sorted(whole)]
    return " ".join([*parts, *(f"+{term}*" for term in sorted(beginnings))])
