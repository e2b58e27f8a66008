"""Rows of plain columns into wire form: what marshmallow's dump does, at the speed lists need.

The schema stays the one place of the wire names; a test holds both ways of dumping together.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import orjson
from marshmallow import Schema, fields

from cms_services.configuration.secrets import may_hold_secret
from cms_services.configuration.shape import may_have_extra
from cms_services.database import AnyRow
from cms_services.web.fields import Configuration, Number, UnfoldedConfiguration, omits_null

Column = Iterable[Any]


def dump_rows(schema: type[Schema], rows: Sequence[AnyRow]) -> list[dict[str, Any]]:
    """Each row as the schema would dump it. Columns that the schema lacks must stand last."""
    if not rows:
        return []
    names, converters, optional = _plan(schema, tuple(rows[0]._fields))
    # Converting a whole column at once keeps the work in C.
    columns: list[Any] = list(zip(*rows, strict=True))[: len(names)]
    for position, convert in converters:
        columns[position] = convert(columns[position])
    items = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
    for name in optional:
        for item in items:
            if item[name] is None:
                del item[name]
    return items


def _documents(column: Column) -> Column:
    """Documents that were read as their text go out as they are."""
    return [orjson.Fragment(each) if isinstance(each, str) else each for each in column]


def _configurations(column: Column) -> Column:
    return [_configuration(each, Configuration, may_hold_secret) for each in column]


def _unfolded_configurations(column: Column) -> Column:
    return [_configuration(each, UnfoldedConfiguration, _may_differ) for each in column]


def _configuration(
    document: Any, field: type[Configuration], may_differ: Callable[[str], bool]
) -> Any:
    """The document in wire form, as the text that it is stored as where that is the same."""
    if not isinstance(document, str):
        return field.to_wire(document)
    if not may_differ(document):
        return orjson.Fragment(document)
    return field.to_wire(orjson.loads(document))


def _may_differ(text: str) -> bool:
    return may_hold_secret(text) or may_have_extra(text)


def _numbers(column: Column) -> Column:
    return map(Number.to_wire, column)


_CONVERTERS: dict[type, Callable[[Column], Column]] = {
    Configuration: _configurations,
    UnfoldedConfiguration: _unfolded_configurations,
    Number: _numbers,
    fields.List: _documents,
    fields.Dict: _documents,
}


@lru_cache(maxsize=64)
def _plan(
    schema: type[Schema], columns: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[tuple[int, Callable[[Column], Column]], ...], tuple[str, ...]]:
    wire = {f.attribute or name: (f.data_key or name, f) for name, f in schema().fields.items()}
    known = [wire[column] for column in columns if column in wire]
    extra = [column for column in columns if column not in wire]
    if list(columns[len(known) :]) != extra:
        raise TypeError(f"{schema.__name__} lacks a column that stands before its own: {extra}")
    converters = tuple(
        (position, _CONVERTERS[type(field)])
        for position, (_, field) in enumerate(known)
        if type(field) in _CONVERTERS
    )
    return tuple(n for n, _ in known), converters, tuple(n for n, f in known if omits_null(f))
