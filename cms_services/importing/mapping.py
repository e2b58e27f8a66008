"""The mapping: which table and columns of an old database are which of ours; as YAML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from marshmallow import Schema, ValidationError, validates_schema
from marshmallow import fields as take
from marshmallow.validate import Length, OneOf, Regexp

from cms_services.importing.entities import ENTITIES, Entity, Kind

_NAME = r"[a-z0-9][a-z0-9._-]{0,39}\Z"


class MappingError(Exception):
    """A mapping can't be used. The message has a line for each thing that is wrong."""


@dataclass(frozen=True)
class FieldMapping:
    """Where values of a field come from: one column, or several that are joined by a blank.

    `values` says which word of ours a value is; `default` stands in for null and empty ones, and
    `otherwise` for those that nothing is said of. `zone` and `format` are of times.
    """

    columns: tuple[str, ...]
    values: Mapping[str, str] = field(default_factory=dict)
    default: str | None = None
    otherwise: str | None = None
    zone: tzinfo | None = None
    format: str | None = None


@dataclass(frozen=True)
class EntityMapping:
    entity: Entity
    table: str
    key: tuple[str, ...]
    fields: Mapping[str, FieldMapping]
    # Of users: ids that are other accounts here, or other ids of the same one.
    same_as: Mapping[str, str] = field(default_factory=dict)
    # Of services: whom those belong to whose owner is not here.
    owner: str | None = None
    # Of services: columns that are kept under `extra` of the configuration.
    keep: tuple[str, ...] = ()
    # Of metrics: names, each with the column that has its value.
    series: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """All columns that are read."""
        of_fields = [name for each in self.fields.values() for name in each.columns]
        return list(dict.fromkeys([*self.key, *of_fields, *self.keep, *self.series.values()]))


@dataclass(frozen=True)
class Mapped:
    """A whole mapping. `name` tells the old database from others; None means: by its address."""

    entities: Mapping[str, EntityMapping]
    name: str | None = None
    zone: tzinfo = UTC
    repair: bool = True


def zone_of(name: str) -> tzinfo:
    """Raises ValueError for a name that is none."""
    try:
        return UTC if name.upper() == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name} is no time zone.") from error


class _Zone(take.String):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return zone_of(super()._deserialize(value, *args, **kwargs))
        except ValueError as error:
            raise ValidationError("Takes a time zone such as Europe/Berlin.") from error


class _Columns(take.Field[Any]):
    """One column, or a list of them."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        names = value if isinstance(value, list) else [value]
        if not names or not all(isinstance(name, str) and name for name in names):
            raise ValidationError("Takes the name of a column, or a list of names.")
        return tuple(names)


_TEXTS: Any = {"keys": take.String(), "values": take.String(), "load_default": dict}


class _FieldSchema(Schema):
    column = _Columns()
    columns = _Columns()
    values = take.Dict(**_TEXTS)
    default = take.String(load_default=None)
    otherwise = take.String(load_default=None)
    zone = _Zone(load_default=None)
    format = take.String(load_default=None)

    @validates_schema
    def _has_columns(self, data: dict[str, Any], **_: Any) -> None:
        if ("column" in data) == ("columns" in data) and not data.get("default"):
            raise ValidationError("Takes `column`, or a `default` without one.")


class _FieldValue(take.Field[Any]):
    """The name of a column, or all that a field takes."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, str | list):
            value = {"column": value}
        if not isinstance(value, dict):
            raise ValidationError("Takes the name of a column, or an object.")
        return _FieldSchema().load(value)


class _EntitySchema(Schema):
    table = take.String(required=True, validate=Length(min=1))
    key = _Columns()
    fields_ = take.Dict(keys=take.String(), values=_FieldValue(), required=True, data_key="fields")
    same_as = take.Dict(**_TEXTS)
    owner = take.String(load_default=None)
    keep = take.List(take.String(), load_default=list)
    series = take.Dict(keys=take.String(), values=take.String(), load_default=dict)


class _SourceSchema(Schema):
    name = take.String(load_default=None, validate=Regexp(_NAME))
    zone = _Zone(load_default=UTC)
    repair_encoding = take.Boolean(load_default=True)


class _MappingSchema(Schema):
    source = take.Nested(_SourceSchema, load_default=dict)
    entities = take.Dict(
        keys=take.String(validate=OneOf(list(ENTITIES))),
        values=take.Nested(_EntitySchema),
        required=True,
        validate=Length(min=1),
    )


def read_mapping(text: str) -> Mapped:
    """A mapping from its YAML. Raises MappingError."""
    try:
        # Everything as the text that it is written as: in a table of values, `no` is no boolean.
        given = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - it makes texts alone
    except yaml.YAMLError as error:
        raise MappingError(f"This is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(given, dict):
        raise MappingError("A mapping is an object with `entities` in it; see docs/import.md.")
    try:
        loaded = _MappingSchema().load(given)
    except ValidationError as error:
        raise MappingError("\n".join(_told(error.normalized_messages()))) from error  # type: ignore[no-untyped-call]
    source = loaded["source"] or _SourceSchema().load({})
    problems: list[str] = []
    entities = {
        name: _entity_mapping(ENTITIES[name], loaded["entities"][name], problems)
        for name in ENTITIES
        if name in loaded["entities"]
    }
    if problems:
        raise MappingError("\n".join(problems))
    return Mapped(entities, source["name"], source["zone"], source["repair_encoding"])


def _entity_mapping(entity: Entity, given: dict[str, Any], problems: list[str]) -> EntityMapping:
    fields = {
        name: _field_mapping(entity, name, each, problems)
        for name, each in given["fields_"].items()
        if _is_field(entity, name, problems)
    }
    missing = [name for name in entity.required if name not in fields]
    if entity.name == "metrics" and not given["series"]:
        missing += [name for name in ("name", "value") if name not in fields]
    problems += [f"entities.{entity.name}.fields.{name}: is needed." for name in missing]
    key = given.get("key")
    if key is None:
        key = fields["id"].columns if "id" in fields else ()
    if not key:
        problems.append(
            f"entities.{entity.name}.key: is needed: the columns that tell one row from all others."
        )
    return EntityMapping(
        entity,
        given["table"],
        tuple(key),
        fields,
        given["same_as"],
        given["owner"],
        tuple(given["keep"]),
        given["series"],
    )


def _is_field(entity: Entity, name: str, problems: list[str]) -> bool:
    if name in entity.fields:
        return True
    known = ", ".join(entity.fields)
    problems.append(f"entities.{entity.name}.fields.{name}: is no field; there are {known}.")
    return False


def _field_mapping(
    entity: Entity, name: str, given: dict[str, Any], problems: list[str]
) -> FieldMapping:
    words = entity.fields[name].words
    default = given["default"]
    place = f"entities.{entity.name}.fields.{name}"
    if words:
        for told in (*given["values"].values(), default, given["otherwise"]):
            if told is not None and told not in words:
                problems.append(f"{place}: {told!r} is none of {', '.join(words)}.")
    elif given["values"] and entity.fields[name].kind is not Kind.BOOLEAN:
        problems.append(f"{place}.values: only fields of words take it.")
    columns = given.get("column") or given.get("columns") or ()
    values = {value.lower(): word for value, word in given["values"].items()}
    return FieldMapping(
        columns, values, default, given["otherwise"], given["zone"], given["format"]
    )


def _told(messages: Any, path: Sequence[str] = ()) -> list[str]:
    """Messages of marshmallow, a line each, with where they belong."""
    if isinstance(messages, dict):
        return [
            line
            for name, inner in messages.items()
            for line in _told(inner, path if name in ("_schema", "value") else (*path, str(name)))
        ]
    found = messages if isinstance(messages, list) else [messages]
    return [f"{'.'.join(path) or 'mapping'}: {each}" for each in found]
