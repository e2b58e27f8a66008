"""Bringing a page of single rows here: made where they are new, changed where they changed there.

Of each field it is remembered what the source had and what was here after it was taken. So a field
that changed there alone is taken, one that changed here alone stays, and one that changed on both
sides is a conflict that somebody has to decide.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from cms_services.database import is_outage
from cms_services.errors import DomainError
from cms_services.extensions import db
from cms_services.importing.conversion import Refused
from cms_services.importing.findings import About, Finding, Tally, Tell, digest
from cms_services.importing.models import ImportedRow
from cms_services.importing.reading import Reader
from cms_services.importing.source import Row
from cms_services.importing.stores import Prepared, Store, Values

_PASSWORD = "password_hash"  # noqa: S105 - the name of a field
_LONGEST_KEY = 255
# Whatever a row holds, it keeps none of the others back.
_REFUSALS = (Refused, DomainError, DBAPIError, ValueError, TypeError)


@dataclass(frozen=True)
class Merger:
    """Brings rows of one table here. With `overwrite` theirs count where both sides differ."""

    source: str
    store: Store
    reader: Reader
    overwrite: bool
    tell: Tell
    tally: Tally

    def merge(self, rows: Sequence[Row]) -> None:
        """In the caller's transaction; what can't be taken leaves nothing of itself."""
        self.tally.read += len(rows)
        prepared: dict[str, Prepared] = {}
        for row in rows:
            key = self.reader.key(row)
            found = self._prepared(key, row)
            if found is not None:
                prepared[key] = found
        states = self._states(prepared)
        here = self.store.here({each.target_id: each.values for each in prepared.values()})
        done: set[str] = set()
        for key, each in prepared.items():
            if each.target_id in done:
                # Of one account there are two, by `same_as`: what was here is not any more.
                here |= self.store.here({each.target_id: each.values})
            done.add(each.target_id)
            self._merge_row(key, each, states.get(key), here.get(each.target_id))

    def _prepared(self, key: str, row: Row) -> Prepared | None:
        try:
            if len(key) > _LONGEST_KEY:
                raise Refused(f"Its key has more than {_LONGEST_KEY} characters.")
            with db.session.begin_nested():
                notes: list[str] = []
                return self.store.prepared(self.reader.values(row, notes), row, notes)
        except _REFUSALS as error:
            self._reject(key, error)
        return None

    def _merge_row(
        self, key: str, new: Prepared, state: ImportedRow | None, here: Values | None
    ) -> None:
        values = new.values
        if here is not None:
            here = self._as_compared(new, state, {name: here[name] for name in values})
        if here is None and state is not None and not self.overwrite:
            self._conflict(key, "It was taken, and was removed here since.")
            self.tally.add_source(new.target_id, values)
            return
        changes, conflicts = self._decide(new, state, here)
        if here is not None and state is None and changes and not self.overwrite:
            self._conflict(
                key,
                f"There is one with the id {new.target_id} here that did not come from there, "
                f"which differs in {', '.join(sorted(changes))}.",
            )
            self._compare(new, here)
            return
        try:
            if here is None or changes:
                with db.session.begin_nested():
                    if here is None:
                        self.store.create(new)
                    else:
                        self.store.change(new.target_id, changes, new.unseen)
        except _REFUSALS as error:
            self._reject(key, error)
            return
        self._count(key, new, here, changes, conflicts)
        after = here
        if here is None or changes:
            found = self.store.here({new.target_id: values}).get(new.target_id, {})
            written = values.keys() if here is None else changes.keys()
            after = self._read_back(new, found, written)
        self._compare(new, after or {})
        self._remember(key, new, state, after or {}, changes, made=here is None)

    def _as_compared(self, new: Prepared, state: ImportedRow | None, here: Values) -> Values:
        """Here's values; a password that was not changed there since is never compared again."""
        if state is not None and _PASSWORD in here:
            known = state.digests.get(_PASSWORD)
            if known is not None and known[0] == digest(new.values[_PASSWORD]):
                return here | {_PASSWORD: new.values[_PASSWORD]}
        return here

    def _read_back(self, new: Prepared, found: Values, written: Any) -> Values:
        """Values as the database has them now. No hash tells of an unusable password."""
        after = {name: found.get(name) for name in new.values}
        if _PASSWORD in after:
            after[_PASSWORD] = new.values[_PASSWORD]
        return after

    def _decide(
        self, new: Prepared, state: ImportedRow | None, here: Values | None
    ) -> tuple[Values, list[str]]:
        """What is to be changed, and which fields changed on both sides."""
        if here is None:
            return {}, []
        changes: Values = {}
        conflicts: list[str] = []
        for name, value in new.values.items():
            if digest(value) == digest(here[name]):
                continue
            known = state.digests.get(name) if state is not None else None
            if known is None or self.overwrite:
                changes[name] = value
            elif known[0] == digest(value):
                continue
            elif known[1] == digest(here[name]) or self.store.is_renewed(new.target_id, name):
                changes[name] = value
            else:
                conflicts.append(name)
        return changes, conflicts

    def _count(
        self,
        key: str,
        new: Prepared,
        here: Values | None,
        changes: Mapping[str, Any],
        conflicts: Sequence[str],
    ) -> None:
        if here is None:
            self.tally.taken += 1
        elif changes:
            self.tally.updated += 1
        if here is None or changes:
            for note in new.notes:
                self._tell(About.NOTE, key, note)
        if conflicts:
            self._conflict(key, f"Changed there and here: {', '.join(conflicts)}.")
        elif here is not None and not changes:
            differs = digest(new.values) != digest(here)
            self.tally.kept += differs
            self.tally.unchanged += not differs

    def _compare(self, new: Prepared, here: Values) -> None:
        self.tally.add_source(new.target_id, new.values)
        if here:
            self.tally.add_here(new.target_id, here)

    def _remember(
        self,
        key: str,
        new: Prepared,
        state: ImportedRow | None,
        after: Values,
        changes: Mapping[str, Any],
        *,
        made: bool,
    ) -> None:
        digests = dict(state.digests) if state is not None else {}
        for name, value in new.values.items():
            same = digest(value) == digest(after[name])
            if made or name in changes or name not in digests or same:
                digests[name] = [digest(value), digest(after[name])]
        if state is None:
            db.session.add(
                ImportedRow(
                    source=self.source,
                    entity=self.reader.mapping.entity.name,
                    source_key=key,
                    target_id=new.target_id,
                    digests=digests,
                )
            )
        elif digests != state.digests:
            state.digests = digests

    def _states(self, keys: Mapping[str, Any]) -> dict[str, ImportedRow]:
        query = select(ImportedRow).where(
            ImportedRow.source == self.source,
            ImportedRow.entity == self.reader.mapping.entity.name,
            ImportedRow.source_key.in_(list(keys)),
        )
        return {row.source_key: row for row in db.session.scalars(query)}

    def _reject(self, key: str, error: Exception) -> None:
        if isinstance(error, DBAPIError) and is_outage(error):
            raise error
        self.tally.rejected += 1
        self._tell(About.REJECTED, key, told(error))

    def _conflict(self, key: str, reason: str) -> None:
        self.tally.conflicts += 1
        self._tell(About.CONFLICT, key, reason)

    def _tell(self, about: About, key: str, reason: str) -> None:
        mapping = self.reader.mapping
        self.tell(Finding(about, mapping.entity.name, mapping.table, key, reason))


def told(error: Exception) -> str:
    """Why a row was refused, in one line."""
    if isinstance(error, DBAPIError):
        parts = error.orig.args if error.orig is not None and error.orig.args else (error.orig,)
        return f"The database refused it: {' '.join(str(parts[-1]).split())[:300]}"
    if isinstance(error, DomainError) and isinstance(error.details, dict):
        lists = [f"{name}: {each[0]}" for name, each in error.details.items() if _is_messages(each)]
        return "; ".join(lists[:3]) or error.message
    return " ".join(str(error).split())[:500]


def _is_messages(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], str)
