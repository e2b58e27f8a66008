"""Rows of plain columns into wire form: what marshmallow's dump does, at the speed lists need.

The schema stays the one place of the wire names; a test holds both ways of dumping together.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import orjson
from marshmallow import Schema, fields

from cms_services.configuration.documents import SECRET_MARK
from cms_services.database import AnyRow
from cms_services.web.fields import Configuration, Number, omits_null


def _document(value: Any) -> Any:
    """A document that was read as its text goes out as it is."""
    return orjson.Fragment(value) if isinstance(value, str) else value


def _configuration(value: Any) -> Any:
    if isinstance(value, str) and SECRET_MARK not in value:
        return orjson.Fragment(value)
    return Configuration.to_wire(orjson.loads(value) if isinstance(value, str) else value)


_CONVERTERS: dict[type, Callable[[Any], Any]] = {
    Configuration: _configuration,
    Number: Number.to_wire,
    fields.List: _document,
    fields.Dict: _document,
}


def dump_rows(schema: type[Schema], rows: Sequence[AnyRow]) -> list[dict[str, Any]]:
    """Each row as the schema would dump it. Columns that the schema lacks must stand last."""
    if not rows:
        return []
    names, converters, optional = _plan(schema, tuple(rows[0]._fields))
    items = []
    for row in rows:
        item = dict(zip(names, row, strict=False))
        for name, convert in converters:
            item[name] = convert(item[name])
        for name in optional:
            if item[name] is None:
                del item[name]
        items.append(item)
    return items


@lru_cache(maxsize=64)
def _plan(
    schema: type[Schema], columns: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[tuple[str, Callable[[Any], Any]], ...], tuple[str, ...]]:
    wire = {f.attribute or name: (f.data_key or name, f) for name, f in schema().fields.items()}
    known = [wire[column] for column in columns if column in wire]
    extra = [column for column in columns if column not in wire]
    if list(columns[len(known) :]) != extra:
        raise TypeError(f"{schema.__name__} lacks a column that stands before its own: {extra}")
    converters = tuple((n, _CONVERTERS[type(f)]) for n, f in known if type(f) in _CONVERTERS)
    return tuple(n for n, _ in known), converters, tuple(n for n, f in known if omits_null(f))
