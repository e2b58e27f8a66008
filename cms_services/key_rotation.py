"""Rotating the key for secrets at rest while everything goes on being served.

What is left to do is told by what is stored, so that a rotation which was stopped at any moment
is finished by the next one. Rows keep their versions and times: nothing that a reader could see
changes.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import (
    Column,
    ColumnElement,
    Text,
    Update,
    and_,
    bindparam,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import InstrumentedAttribute

from cms_services.accounts.models import User
from cms_services.accounts.second_factor import totp_context
from cms_services.actor import SYSTEM
from cms_services.audit.models import AuditEntry
from cms_services.audit.trail import record
from cms_services.catalogue.models import Service
from cms_services.configuration.models import ConfigurationVersion
from cms_services.configuration.secrets import (
    sealed_values,
    secret_context,
    with_sealed_values,
)
from cms_services.data_folder import add_key, kept_keys
from cms_services.database import AnyRow, begin_writing
from cms_services.encryption import SEALED_PREFIX, Vault, key_id_of
from cms_services.errors import ServiceConfigError
from cms_services.extensions import db
from cms_services.key_files import KeyFile
from cms_services.keyset import SortKey, paged
from cms_services.vocabulary import EventType

# A batch is one transaction, whose rows nobody else can change meanwhile.
_BATCH_ROWS = 100
_BATCH_BYTES = 4 * 1024 * 1024
_PASSES = 5
_ATTEMPTS = 6

RowKey = tuple[Any, ...]


@dataclass(frozen=True)
class Place:
    """An attribute that holds sealed values. The first column of its table's key is their owner.

    `values` finds the sealed values in what is stored, by field; `put` gives it with others in
    their place; `context` is what the value of an owner's field is bound to.
    """

    attribute: InstrumentedAttribute[Any]
    values: Callable[[Any], Mapping[str, str]]
    put: Callable[[Any, Mapping[str, str]], Any]
    context: Callable[[str, str], str]

    @property
    def column(self) -> Column[Any]:
        return cast(Column[Any], self.attribute.property.columns[0])

    @property
    def name(self) -> str:
        return f"{self.column.table.name}.{self.column.name}"

    @property
    def key(self) -> tuple[Column[Any], ...]:
        return tuple(self.column.table.primary_key)

    @property
    def text(self) -> ColumnElement[str]:
        return self.column.cast(Text)

    def update(self) -> Update:
        """The statement that changes the column alone, of the row with the key `key_0`, ..."""
        table = self.column.table
        kept = {each: each for each in table.columns if each.onupdate is not None}
        row = (each == bindparam(f"key_{n}") for n, each in enumerate(self.key))
        return update(table).where(*row).values({self.column: bindparam("stored")} | kept)


def whole_column(attribute: InstrumentedAttribute[Any], context: Callable[[str], str]) -> Place:
    """A place whose column is nothing but one sealed value."""
    field = attribute.key
    return Place(
        attribute,
        lambda stored: {field: stored},
        lambda _, values: values[field],
        lambda owner, _: context(owner),
    )


# Every place where sealed values are stored; a test finds those that are missing here.
PLACES = (
    Place(Service.config, sealed_values, with_sealed_values, secret_context),
    Place(ConfigurationVersion.document, sealed_values, with_sealed_values, secret_context),
    whole_column(User.totp_secret, totp_context),
)


@dataclass(frozen=True)
class StoredValue:
    """A sealed value and where it stands."""

    place: Place
    row: RowKey
    field: str
    sealed: str

    @property
    def key_id(self) -> str:
        return str(key_id_of(self.sealed))

    def __str__(self) -> str:
        return f"{self.place.name} {'/'.join(map(str, self.row))} {self.field}"


@dataclass(frozen=True)
class Rotation:
    """What a rotation did: the key that seals now, whether it is new, and values by place."""

    key_id: str
    is_new: bool
    resealed: dict[str, int]


def rotate_encryption_key(vault: Vault, file: KeyFile[bytes] | None) -> Rotation:
    """Seal everything anew that was not sealed by the first key.

    Where that is nothing, and the keys are kept in a file, a new first key is made before. What
    can't be opened stays as it is; see unreadable_values(). Raises SettingError for a file that
    can't be changed.
    """
    present = kept_keys(file)[0] if file else None
    resealed = _reseal_all(vault)
    is_new = False
    if file and present and not resealed.total():
        is_new = add_key(file, instead_of=present)
        resealed = _reseal_all(vault)
    rotation = Rotation(vault.key_id, is_new, {each.name: resealed[each.name] for each in PLACES})
    _note(rotation)
    return rotation


def unreadable_values(vault: Vault, *, every: bool = False) -> Iterator[tuple[StoredValue, str]]:
    """The values that can't be opened, each with the reason.

    Of other keys than the first, unless `every` one is to be looked at.
    """
    for place in PLACES:
        looked_at = _sealed(place) if every else _sealed_by_others(place, [vault.key_id])
        for value in _stored_values(place, looked_at):
            try:
                vault.open(value.sealed, place.context(value.row[0], value.field))
            except ServiceConfigError as error:
                yield value, error.message


def values_of_other_keys(key_ids: Collection[str]) -> Iterator[StoredValue]:
    """The values that none of the keys with these ids has sealed."""
    for place in PLACES:
        for value in _stored_values(place, _sealed_by_others(place, key_ids)):
            if value.key_id not in key_ids:
                yield value


def count_by_key() -> dict[str, Counter[str]]:
    """For each place, how many values each key has sealed."""
    return {
        place.name: Counter(value.key_id for value in _stored_values(place, _sealed(place)))
        for place in PLACES
    }


def count_audit_entries_by_key() -> Counter[str]:
    """How many audit entries were made with each key."""
    query = select(AuditEntry.key_id, func.count()).group_by(AuditEntry.key_id)
    counts = {key_id: count for key_id, count in db.session.execute(query) if key_id is not None}
    db.session.rollback()
    return Counter(counts)


def _sealed(place: Place) -> ColumnElement[bool]:
    """Finds every row with a value, and hardly another."""
    return place.text.like(f"%{SEALED_PREFIX}%")


def _sealed_by_others(place: Place, key_ids: Collection[str]) -> ColumnElement[bool]:
    """Finds every row with a value that none of these keys has sealed, and hardly another."""
    others = place.text
    for key_id in key_ids:
        others = func.replace(others, f"{SEALED_PREFIX}{key_id}:", "")
    return others.like(f"%{SEALED_PREFIX}%")


def _reseal_all(vault: Vault) -> Counter[str]:
    """Seal anew, in all places, what can be opened and was sealed by another key than the first.

    It looks again until nothing is left: a transaction that has begun before there was the new key
    may store a value of the old one behind our back.
    """
    resealed: Counter[str] = Counter()
    for _ in range(_PASSES):
        before = resealed.total()
        for place in PLACES:
            for keys in _batches(place, _sealed_by_others(place, [vault.key_id])):
                resealed[place.name] += _reseal_patiently(place, keys, vault)
        if resealed.total() == before:
            break
    return resealed


def _reseal_patiently(place: Place, keys: Sequence[RowKey], vault: Vault) -> int:
    """Deal with a batch, again where others had its rows for too long or in another order."""
    for attempt in range(_ATTEMPTS):
        try:
            return _reseal(place, keys, vault)
        except OperationalError:
            db.session.rollback()
            if attempt + 1 == _ATTEMPTS:
                raise
            time.sleep(0.1 * 2**attempt)
    raise AssertionError("unreachable")


def _reseal(place: Place, keys: Sequence[RowKey], vault: Vault) -> int:
    """Seal anew what rows hold, in one transaction. Returns how many values that were."""
    begin_writing(db.session())
    changes = []
    count = 0
    for *key, stored in _rows(place, keys, lock=True):
        values = _resealed(place, key[0], stored, vault)
        if values:
            names = {f"key_{n}": part for n, part in enumerate(key)}
            changes.append({**names, "stored": place.put(stored, values)})
            count += len(values)
    if changes:
        db.session.connection().execute(place.update(), changes)
    db.session.commit()
    return count


def _resealed(place: Place, owner: str, stored: Any, vault: Vault) -> dict[str, str]:
    """The values, of all that are stored in one row, that have to change and can."""
    resealed = {}
    for field, sealed in place.values(stored).items():
        if vault.needs_resealing(sealed):
            try:
                resealed[field] = vault.reseal(sealed, place.context(owner, field))
            except ServiceConfigError:
                # It stays for the day on which its key is found again.
                continue
    return resealed


def _stored_values(place: Place, condition: ColumnElement[bool]) -> Iterator[StoredValue]:
    for keys in _batches(place, condition):
        rows = _rows(place, keys)
        db.session.rollback()
        for *key, stored in rows:
            for field, sealed in place.values(stored).items():
                if key_id_of(sealed) is not None:
                    yield StoredValue(place, tuple(key), field, sealed)


def _batches(place: Place, condition: ColumnElement[bool]) -> Iterator[list[RowKey]]:
    """The keys of the rows that a condition finds, so many at once as fit into memory."""
    order = [SortKey(each.name, each) for each in place.key]
    query = select(*place.key, func.length(place.text).label("bytes")).where(condition)
    cursor = None
    while True:
        page = paged(query, order, _BATCH_ROWS, cursor)
        # No transaction stays open while a batch is dealt with.
        db.session.rollback()
        batch: list[RowKey] = []
        total = 0
        for row in page.items:
            if batch and total + row.bytes > _BATCH_BYTES:
                yield batch
                batch, total = [], 0
            batch.append(tuple(row[: len(place.key)]))
            total += row.bytes
        if batch:
            yield batch
        cursor = page.next_cursor
        if cursor is None:
            return


def _rows(place: Place, keys: Sequence[RowKey], *, lock: bool = False) -> Sequence[AnyRow]:
    """What rows hold, after their keys, in the order of these. They may be fewer by now."""
    named = or_(
        *(and_(*(c == part for c, part in zip(place.key, key, strict=True))) for key in keys)
    )
    query = select(*place.key, place.column).where(named).order_by(*place.key)
    return db.session.execute(query.with_for_update() if lock else query).all()


def _note(rotation: Rotation) -> None:
    begin_writing(db.session())
    changes = {"new": rotation.is_new, "resealed": rotation.resealed}
    record(SYSTEM, EventType.KEYS_ROTATED, "encryption key", rotation.key_id, None, changes)
    db.session.commit()
