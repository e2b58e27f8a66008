"""Rows of an old table as values of our fields, by the mapping."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cms_services.importing import conversion
from cms_services.importing.conversion import Reading, Refused
from cms_services.importing.entities import Field, Kind
from cms_services.importing.mapping import EntityMapping, FieldMapping, Mapped
from cms_services.importing.source import Row, Source, SourceTable, key_of, written_key


@dataclass(frozen=True)
class Reader:
    """Reads the rows of one table. Fields that are not mapped are not in what it gives."""

    mapping: EntityMapping
    table: SourceTable
    repair: bool
    zones: Mapping[str, Reading]

    @classmethod
    def of(cls, source: Source, mapped: Mapped, mapping: EntityMapping) -> "Reader":
        """Raises SourceError for a table or a column that is not there."""
        table = source.table(mapping.table)
        table.require(mapping.columns)
        readings = {
            name: Reading(each.zone or mapped.zone, each.format, mapped.repair)
            for name, each in mapping.fields.items()
        }
        return cls(mapping, table, mapped.repair, readings)

    def key(self, row: Row) -> str:
        """What tells the row from others, as it is kept and shown."""
        return written_key(key_of(row, self.mapping.key))

    def values(self, row: Row, notes: list[str] | None = None) -> dict[str, Any]:
        """The values of all mapped fields, None where there is none.

        A document, or a list, that can't be read is kept as the text it is; `notes` gets why. A
        flag without a value is none. Raises Refused.
        """
        found = {}
        for name in self.mapping.fields:
            try:
                found[name] = self._value(name, row)
            except Refused as error:
                found[name] = self._unread(name, row, error)
                if notes is not None:
                    notes.append(str(error))
        for name in self.mapping.entity.required:
            is_moment = self.mapping.entity.fields[name].kind is Kind.MOMENT
            if found.get(name) in (None, "") and not is_moment:
                raise Refused(f"{name}: is empty.")
        return found

    def _unread(self, name: str, row: Row, error: Refused) -> Any:
        kind = self.mapping.entity.fields[name].kind
        if kind not in (Kind.TEXTS, Kind.DOCUMENT):
            raise error
        given = self._given(self.mapping.fields[name], row)
        if isinstance(given, dict | list):
            raise error
        text = conversion.long_text(given, self._how, name)
        return [text] if kind is Kind.TEXTS else {"text": text}

    def _value(self, name: str, row: Row) -> Any:
        field, mapped = self.mapping.entity.fields[name], self.mapping.fields[name]
        given = self._given(mapped, row)
        is_empty = given is None or (isinstance(given, str) and not given.strip())
        if is_empty and "" not in mapped.values:
            given = mapped.default
        if given is None:
            return False if field.kind is Kind.BOOLEAN else None
        return self._converted(field, mapped, given)

    @property
    def _how(self) -> Reading:
        return Reading(repair=self.repair)

    def _given(self, mapped: FieldMapping, row: Row) -> Any:
        if len(mapped.columns) == 1:
            return row[mapped.columns[0]]
        parts = [conversion.text(row[name], Reading(repair=False)) for name in mapped.columns]
        return " ".join(part.strip() for part in parts if part) or None

    def _converted(self, field: Field, mapped: FieldMapping, given: Any) -> Any:
        how, name = self.zones[field.name], field.name
        convert = _CONVERSIONS.get(field.kind)
        if convert is not None:
            return convert(given, how, name)
        if field.kind is Kind.MOMENT:
            is_utc = any(self.table.columns[each].is_utc for each in mapped.columns)
            return conversion.moment(given, how, name, is_utc=is_utc)
        if field.kind is Kind.BOOLEAN:
            word = (conversion.text(given, how) or "").strip().lower()
            if word in mapped.values:
                given = mapped.values[word]
            elif mapped.otherwise is not None and not conversion.says_yes_or_no(given):
                given = mapped.otherwise
            return conversion.boolean(given, how, name)
        try:
            return conversion.word(given, how, name, field.words, mapped.values)
        except Refused:
            if mapped.otherwise is None:
                raise
            return mapped.otherwise


_CONVERSIONS: dict[Kind, Callable[[Any, Reading, str], Any]] = {
    Kind.IDENTIFIER: conversion.identifier,
    Kind.SHORT_TEXT: conversion.short_text,
    Kind.LONG_TEXT: conversion.long_text,
    Kind.PASSWORD: conversion.unchanged_text,
    Kind.NUMBER: conversion.number,
    Kind.TEXTS: conversion.text_list,
    Kind.DOCUMENT: conversion.document,
}
