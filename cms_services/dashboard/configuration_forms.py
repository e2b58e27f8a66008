"""The typed form of a configuration document: its fields, made from the schema of the service's
family, and the document that typed fields make of the one that they were shown for.

What stands in a field as it was shown is left as it is in the document, whatever its form, so that
nothing changes that nobody touched.
"""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

import orjson
from flask_babel import gettext as _
from marshmallow import Schema
from marshmallow import fields as plain
from marshmallow.validate import OneOf

from cms_services.configuration import check_fields, fields
from cms_services.configuration.checks import CHECK_TYPES, Check, Scrapes, schema_of_check
from cms_services.configuration.documents import MASK, Document
from cms_services.configuration.paths import camel_case, element_keys, path_text
from cms_services.configuration.schema import SCHEMA_OF_FAMILY
from cms_services.configuration.secrets import is_secret_field, says_secret
from cms_services.configuration.shape import EXTRA
from cms_services.dashboard.configuration_words import (
    EXAMPLES,
    SECTIONS,
    FormSection,
    first_sections,
    label_of,
)
from cms_services.vocabulary import FAMILY_OF_TYPE, Family, ServiceType
from cms_services.web.translation import translated

Kind = Literal[
    "text",
    "number",
    "scalar",
    "switch",
    "choice",
    "choices",
    "lines",
    "json",
    "group",
    "list",
    "map",
]
Posted = Mapping[str, list[str]]

_ABSENT: Any = object()
_LINE_BREAK = re.compile(r"\r\n?|\n")
_DIGITS = re.compile(r"\d{1,10}", re.ASCII)
_SWITCH = {"true": True, "false": False}
_PLAIN_TYPES = str | int | float | None
_FORM = {"value", "secret"}
_ENVIRONMENT = "environment"
_SCRAPE = plain.Nested(schema_of_check("scrape"))


@dataclass(slots=True, kw_only=True)
class Field:
    """One place of a document, with how it is shown and typed.

    `path` leads to it through the document; `place` is how paths of secrets and errors name it, by
    the names of elements. Rows of a map carry their name, and secrets whether one is stored.
    """

    path: tuple[str | int, ...]
    place: tuple[str, ...]
    id: str
    label: str
    kind: Kind
    shown: str = ""
    chosen: tuple[str, ...] = ()
    choices: tuple[tuple[str, str], ...] = ()
    example: str = ""
    fields: list["Field"] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    row_name: str | None = None
    name_problems: list[str] = field(default_factory=list)
    is_secret: bool | None = None
    is_kept: bool = False
    is_long: bool = False
    is_known: bool = True
    can_add: bool = False
    can_remove: bool = False

    @property
    def pointer(self) -> str:
        """The path as the name of a form's field: RFC 6901, section 6."""
        escaped = (str(each).replace("~", "~0").replace("/", "~1") for each in self.path)
        return quote("".join(f"/{each}" for each in escaped), safe="/~")

    @property
    def place_text(self) -> str:
        return path_text(self.place)

    @property
    def is_leaf(self) -> bool:
        return self.kind not in ("group", "list", "map")

    @property
    def has_content(self) -> bool:
        if self.is_leaf:
            return bool(self.shown or self.chosen or self.is_kept)
        return any(each.has_content or each.row_name is not None for each in self.fields)

    @property
    def has_problems(self) -> bool:
        own = self.problems or self.name_problems
        return bool(own) or any(each.has_problems for each in self.fields)

    def all(self) -> Iterator["Field"]:
        """The field itself, and all within it."""
        yield self
        for each in self.fields:
            yield from each.all()


@dataclass(frozen=True, slots=True)
class ShownSection:
    """A part of the form that opens and closes."""

    section: FormSection
    fields: list[Field]
    is_open: bool

    @property
    def has_content(self) -> bool:
        return any(each.has_content for each in self.fields)

    @property
    def has_problems(self) -> bool:
        return any(each.has_problems for each in self.fields)


@dataclass(frozen=True, slots=True)
class Told:
    """What is wrong somewhere, and the id of the field that it is said beside."""

    place: str
    messages: list[str]
    field_id: str | None


@dataclass(frozen=True, slots=True)
class TypedForm:
    sections: list[ShownSection]
    problems: list[Told]


def _all(top: list[Field]) -> list[Field]:
    return [inner for each in top for inner in each.all()]


def typed_form(
    service_type: ServiceType,
    document: Document,
    problems: Mapping[str, list[str]] | None = None,
    typed: Mapping[str, str] | None = None,
) -> TypedForm:
    """The fields of a document as it may be shown, those that matter most to the type first.

    `typed` are texts that no document can hold, by the names of their fields.
    """
    family = FAMILY_OF_TYPE[service_type]
    found = _fields_of(family, document)
    if typed:
        _put_back(found, typed)
    told = _tell(found, problems or {})
    main = first_sections(service_type)
    sections = []
    for section in sorted(SECTIONS, key=lambda each: _rank(each, main)):
        within = [each for name in section.fields for each in found if _top_name(each) == name]
        if within:
            sections.append(_shown_section(section, within, is_main=section.name in main[:1]))
    placed = {name for section in SECTIONS for name in section.fields}
    rest = [each for each in found if _top_name(each) not in placed]
    if rest:
        sections.append(_shown_section(FormSection("other", _("Other names"), ()), rest))
    return TypedForm(sections, told)


def typed_document(
    service_type: ServiceType, document: Document, posted: Posted
) -> tuple[Document, dict[str, str], dict[str, list[str]]]:
    """What the posted fields of a form make of the document that the form was made for.

    Also the texts that no document can hold, by the names of their fields, and by place what is
    wrong with them; the document stays as it was there.
    """
    shown = _fields_of(FAMILY_OF_TYPE[service_type], document)
    changed = deepcopy(document)
    refused: dict[str, str] = {}
    problems: dict[str, list[str]] = {}
    leaves = [each for each in _all(shown) if each.is_leaf]
    for leaf in leaves:
        present = _at(document, leaf.path)
        try:
            value = _read(leaf, present, posted)
        except ValueError as error:
            refused[f"value:{leaf.pointer}"] = posted[f"value:{leaf.pointer}"][0]
            problems[leaf.place_text] = [str(error)]
            continue
        if value is not present:
            _put(changed, leaf.path, value)
    for each in _all(shown):
        if each.pointer in posted.get("add", ()) and each.can_add:
            _add(changed, each)
    for each in _all(shown):
        if each.pointer in posted.get("remove", ()) and each.can_remove:
            _remove(changed, each.path)
    for leaf in leaves:
        name = f"name:{leaf.pointer}"
        if (
            leaf.row_name is None
            or name not in posted
            or posted[name][0] == _on_a_line(leaf.row_name)
        ):
            continue
        if not _rename(changed, leaf.path, posted[name][0]):
            refused[name] = posted[name][0]
            problems[f"{leaf.place_text}#name"] = [_("There is one of this name already.")]
    return changed, refused, problems


# --- from a document to its fields ---


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where a field is made, and what it is called."""

    path: tuple[str | int, ...]
    place: tuple[str, ...]
    id: str
    label: str

    def within(self, step: str | int, place: str, id: str, label: str) -> "_Spot":
        return _Spot((*self.path, step), (*self.place, place), f"{self.id}-{id}", label)

    def field(self, kind: Kind, **more: Any) -> Field:
        return Field(
            path=self.path, place=self.place, id=self.id, label=self.label, kind=kind, **more
        )

    def plain(self, kind: Kind, value: Any, **more: Any) -> Field:
        shown = _as_text(value)
        return self.field(kind, shown=shown, is_long=_is_long(shown), **more)

    def json(self, value: Any) -> Field:
        shown = "" if value is _ABSENT else pretty(value)
        return self.field("json", shown=shown, is_long=True)


def _fields_of(family: Family, document: Document) -> list[Field]:
    return _within(SCHEMA_OF_FAMILY[family], document, _Spot((), (), "c", ""))


def _within(schema: Schema, value: Document, spot: _Spot) -> list[Field]:
    """The fields of an object: those of its schema, and what that doesn't know."""
    spelled: dict[str, str] = {}
    for name in value:
        spelled.setdefault(camel_case(name), name)
    known = {each.data_key or name: each for name, each in schema.fields.items() if name != EXTRA}
    found = []
    for name, declared in known.items():
        written = spelled.get(name, name)
        inner = spot.within(written, written, name, label_of(name))
        given = value.get(written, _ABSENT)
        # What is something else than the schema has there is shown as it is.
        made = _typed_field(declared, given, inner) or inner.json(given)
        made.example = _example_of(declared, name)
        found.append(made)
    for number, (name, given) in enumerate(value.items()):
        if camel_case(name) in known and spelled[camel_case(name)] == name:
            continue
        if name == EXTRA and isinstance(given, dict):
            found.append(_map(given, spot.within(name, name, f"x{number}", label_of(EXTRA))))
        else:
            unknown = _scalar_or_json(given, spot.within(name, name, f"x{number}", name))
            unknown.is_known, unknown.can_remove = False, True
            found.append(unknown)
    return found


def _typed_field(declared: Any, value: Any, spot: _Spot) -> Field | None:
    """The field for what a schema declares; None where the value is something else."""
    if isinstance(declared, plain.Nested | fields.Either):
        return _group(declared, value, spot)
    if isinstance(declared, plain.List | Scrapes | Check):
        return _several(declared, value, spot)
    if isinstance(declared, fields.OneOrMore | check_fields.Statuses):
        return _lines(value, spot)
    if isinstance(declared, fields.Environment | check_fields.Headers | plain.Dict):
        if isinstance(declared, fields.Environment) and isinstance(value, str) and value:
            return spot.plain("text", value)
        return _map(value, spot) if _is_empty(value) or isinstance(value, dict) else None
    if isinstance(declared, plain.Boolean):
        return _switch(value, spot)
    if isinstance(declared, fields.WholeNumber):
        whole = isinstance(value, int) and not isinstance(value, bool)
        return spot.plain("number", value) if whole or _is_text(value) else None
    if isinstance(declared, fields.Version):
        return spot.plain("scalar", value) if _is_scalar(value) else None
    if isinstance(declared, fields.Anything):
        return None
    return _text(declared, value, spot)


def _group(declared: Any, value: Any, spot: _Spot) -> Field | None:
    may_be_switch = isinstance(declared, fields.Either)
    if may_be_switch and not isinstance(value, dict):
        switch = _switch(value, spot)
        if switch is not None:
            switch.can_add = True
        return switch
    if not _is_empty(value) and not isinstance(value, dict):
        return None
    schema = declared.nested.schema if may_be_switch else declared.schema
    inner = _within(schema, {} if _is_empty(value) else value, spot)
    return spot.field("group", fields=inner, can_remove=may_be_switch)


def _several(declared: Any, value: Any, spot: _Spot) -> Field | None:
    if isinstance(declared, Check):
        return _check(value, spot)
    if isinstance(declared, Scrapes):
        if isinstance(value, dict):
            inner = _within(schema_of_check("scrape"), value, spot)
            return spot.field("group", fields=inner, can_remove=True)
        return _list(_SCRAPE, value, spot)
    if isinstance(declared.inner, plain.Nested | Check):
        return _list(declared.inner, value, spot)
    words = _words_of(declared.inner)
    if words and _is_set_of(value, words):
        chosen = () if _is_empty(value) else tuple(value)
        return spot.field("choices", choices=_choices(words), chosen=chosen)
    return _lines(value, spot)


def _text(declared: Any, value: Any, spot: _Spot) -> Field | None:
    is_secret = isinstance(declared, check_fields.Secret) or is_secret_field(spot.place)
    if is_secret or _is_kept(value) or _is_form(value):
        return _secret(value, spot)
    if not _is_text(value):
        return None
    words = _words_of(declared)
    if not words:
        return spot.plain("text", value)
    return spot.plain("choice", value, choices=_choices_with(words, value))


def _switch(value: Any, spot: _Spot) -> Field | None:
    if value is _ABSENT or value in (None, ""):
        word = ""
    elif isinstance(value, bool | int | str) and value in plain.Boolean.truthy:
        word = "true"
    elif isinstance(value, bool | int | str) and value in plain.Boolean.falsy:
        word = "false"
    else:
        return None
    choices = (("", ""), ("true", _("yes")), ("false", _("no")))
    return spot.field("switch", shown=word, choices=choices)


def _secret(value: Any, spot: _Spot) -> Field | None:
    """A text that may be a secret; where it always is one there is nothing to choose."""
    kept = _is_kept(value)
    if _is_form(value):
        shown, says = value["value"], says_secret(value)
    elif _is_text(value) or (_is_scalar(value) and spot.place[0] == _ENVIRONMENT):
        shown, says = _as_text(value), kept
    else:
        return None
    shown = "" if kept else shown
    secret = None if is_secret_field(spot.place) else says or kept
    return spot.plain("scalar", shown, is_secret=secret, is_kept=kept)


def _scalar_or_json(value: Any, spot: _Spot) -> Field:
    if _is_kept(value) or _is_form(value):
        return _secret(value, spot) or spot.json(value)
    return spot.plain("scalar", value) if _is_scalar(value) else spot.json(value)


def _map(value: Any, spot: _Spot) -> Field:
    """Values by names that are free; those of variables and headers may be secrets."""
    may_be_secret = spot.place == (_ENVIRONMENT,) or camel_case(spot.place[-1]) == "headers"
    rows = []
    for number, (name, given) in enumerate(value.items() if isinstance(value, dict) else ()):
        inner = spot.within(name, name, str(number), name)
        row = (_secret(given, inner) if may_be_secret else None) or _scalar_or_json(given, inner)
        row.row_name, row.can_remove = name, True
        rows.append(row)
    return spot.field("map", fields=rows, can_add=True)


def _list(inner: Any, value: Any, spot: _Spot) -> Field | None:
    if value is _ABSENT or value in (None, ""):
        value = []
    if not isinstance(value, list):
        return None
    elements = []
    for number, (key, given) in enumerate(zip(element_keys(value), value, strict=True)):
        name = given.get("name") if isinstance(given, dict) else None
        titled = name if isinstance(name, str) and name else f"{spot.label} {number + 1}"
        element = spot.within(number, key, str(number), titled)
        made = _typed_field(inner, given, element) if isinstance(given, dict) else None
        made = made or _scalar_or_json(given, element)
        made.can_remove = True
        elements.append(made)
    return spot.field("list", fields=elements, can_add=True)


def _check(value: Any, spot: _Spot) -> Field | None:
    if not isinstance(value, dict):
        return None
    group = spot.field("group", fields=_within(schema_of_check(value.get("type")), value, spot))
    for each in group.fields:
        if each.path[-1] == "type" and each.kind == "text":
            each.kind, each.choices = "choice", _choices_with(CHECK_TYPES, each.shown)
    return group


def _lines(value: Any, spot: _Spot) -> Field | None:
    """A text for each line."""
    if value is _ABSENT or value in (None, ""):
        elements: list[Any] = []
    else:
        elements = value if isinstance(value, list) else [value]
    if not all(_fits_a_line(each) for each in elements):
        return None
    return spot.field("lines", shown="\n".join(map(str, elements)), is_long=True)


def _fits_a_line(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return False
    text = str(value)
    return bool(text) and text == text.strip() and not _LINE_BREAK.search(text)


def _is_set_of(value: Any, words: tuple[str, ...]) -> bool:
    if value is _ABSENT or value in (None, ""):
        return True
    if not isinstance(value, list):
        return False
    return all(each in words for each in value) and len(set(value)) == len(value)


def _is_empty(value: Any) -> bool:
    """Whether the value says nothing; PHP has one word for an empty list and an empty object."""
    return value is _ABSENT or value in (None, "", [])


def _is_text(value: Any) -> bool:
    return value is _ABSENT or value is None or isinstance(value, str)


def _is_scalar(value: Any) -> bool:
    return value is _ABSENT or isinstance(value, _PLAIN_TYPES)


def _is_form(value: Any) -> bool:
    """Whether the value is a text that says whether it is secret, or may be."""
    return (
        isinstance(value, dict)
        and "value" in value
        and value.keys() <= _FORM
        and isinstance(value["value"], str)
        and isinstance(value.get("secret", False), bool | int | str)
    )


def _is_kept(value: Any) -> bool:
    """Whether the value stands for the secret that is stored there."""
    return value == MASK or (_is_form(value) and value["value"] == MASK and says_secret(value))


def _as_text(value: Any) -> str:
    if value is _ABSENT or value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _is_long(text: str) -> bool:
    return len(text) > 120 or _LINE_BREAK.search(text) is not None


def _words_of(declared: Any) -> tuple[str, ...]:
    for rule in getattr(declared, "validators", ()):
        if isinstance(rule, OneOf):
            return tuple(map(str, rule.choices))
    return ()


def _choices_with(words: tuple[str, ...], present: Any) -> tuple[tuple[str, str], ...]:
    """The words, none, and what stands there though it is none of them."""
    others = () if present in (*words, "", None, _ABSENT) else (present,)
    return ("", ""), *_choices((*words, *others))


def _choices(words: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((each, each) for each in words)


def _example_of(declared: Any, name: str) -> str:
    if isinstance(declared, fields.WholeNumber):
        return f"{declared.low}\u2013{declared.high}"
    return EXAMPLES.get(name) or EXAMPLES.get(type(declared).__name__, "")


def pretty(value: Any) -> str:
    """JSON as the pages show it."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


# --- sections, and what is wrong where ---


def _shown_section(
    section: FormSection, within: list[Field], is_main: bool = False
) -> ShownSection:
    shown = ShownSection(section, within, is_open=False)
    is_open = is_main or shown.has_content or shown.has_problems
    return ShownSection(section, within, is_open)


def _rank(section: FormSection, main: tuple[str, ...]) -> tuple[bool, int]:
    is_main = section.name in main
    return not is_main, main.index(section.name) if is_main else 0


def _top_name(field: Field) -> str:
    return camel_case(str(field.path[0]))


def _tell(top: list[Field], problems: Mapping[str, list[str]]) -> list[Told]:
    """Put each problem beside the field that it is about, or the one in which that would stand."""
    if not problems:
        return []
    by_place: dict[str, Field] = {}
    for each in _all(top):
        for place in (each.place_text, ".".join(map(str, each.path))):
            by_place.setdefault(place, each)
    told = []
    for place, messages in problems.items():
        about_name = by_place.get(place.removesuffix("#name")) if place.endswith("#name") else None
        if about_name is not None:
            about_name.name_problems += messages
            told.append(Told(about_name.place_text, messages, f"{about_name.id}-name"))
            continue
        near: str = place
        while near and near not in by_place:
            near = near.rpartition(".")[0]
        found = by_place.get(near)
        if found is not None:
            found.problems += (
                messages if near == place else [f"{place}: {' '.join(map(translated, messages))}"]
            )
        told.append(Told(place, messages, found.id if found else None))
    return told


def _put_back(top: list[Field], typed: Mapping[str, str]) -> None:
    for each in _all(top):
        each.shown = typed.get(f"value:{each.pointer}", each.shown)
        if each.row_name is not None:
            each.row_name = typed.get(f"name:{each.pointer}", each.row_name)


# --- from typed fields to a document ---


def _read(leaf: Field, present: Any, posted: Posted) -> Any:
    """The value that was typed: `present` itself where nothing was changed, _ABSENT for none.

    Raises ValueError for what can't be a value.
    """
    given = posted.get(f"value:{leaf.pointer}")
    if given is None:
        return present
    if leaf.kind == "choices":
        chosen = [each for each in given if each]
        if set(chosen) == set(leaf.chosen):
            return present
        kept = [each for each in leaf.chosen if each in chosen]
        return (kept + [each for each in chosen if each not in kept]) or _ABSENT
    text = _LINE_BREAK.sub("\n", given[0])
    was = _LINE_BREAK.sub("\n", leaf.shown)
    secret = leaf.is_secret
    if secret is not None:
        secret = "yes" in posted.get(f"secret:{leaf.pointer}", ())
    if text == was and secret == leaf.is_secret:
        return present
    if leaf.is_kept or secret or _is_form(present):
        return _read_secret(leaf, text, secret, present)
    return _read_plain(leaf, text, present)


def _read_secret(leaf: Field, text: str, secret: bool | None, present: Any) -> Any:
    if leaf.is_kept and text == "" and secret is not False:
        return present
    if secret is None:
        return text or _ABSENT
    # What was a secret stays one unless the document says otherwise.
    return {"value": text, "secret": secret}


def _read_plain(leaf: Field, text: str, present: Any) -> Any:
    if leaf.kind == "json":
        if text.strip() == "" and isinstance(leaf.path[-1], str):
            return _ABSENT
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise ValueError(_("This is not valid JSON: %(problem)s.", problem=error.msg)) from None
    if leaf.kind == "lines":
        return _read_lines(text, present)
    if text == "":
        # Rows and elements go by their buttons.
        is_removable = leaf.row_name is None and isinstance(leaf.path[-1], str)
        return _ABSENT if is_removable else ""
    if leaf.kind == "switch":
        return _SWITCH.get(text, text)
    if leaf.kind == "number" and _DIGITS.fullmatch(text):
        return int(text)
    if leaf.kind == "scalar" and present is not _ABSENT and not isinstance(present, str):
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            return text
        return value if isinstance(value, int | float | None) else text
    return text


def _read_lines(text: str, present: Any) -> Any:
    lines = [each.strip() for each in text.split("\n") if each.strip()]
    before = present if isinstance(present, list) else [present]
    numbers = any(isinstance(each, int) for each in before) or not any(
        isinstance(each, str) for each in before
    )
    values: list[Any] = [
        int(each) if numbers and _DIGITS.fullmatch(each) else each for each in lines
    ]
    if not values:
        return _ABSENT
    alone = len(values) == 1 and present is not _ABSENT and not isinstance(present, list | None)
    return values[0] if alone else values


def _on_a_line(text: str) -> str:
    """A text as the field of a form that takes one line has it."""
    return _LINE_BREAK.sub("", text)


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        if isinstance(value, list):
            value = dict(enumerate(value))
        if not isinstance(value, dict) or step not in value:
            return _ABSENT
        value = value[step]
    return value


def _put(document: Document, path: tuple[str | int, ...], value: Any) -> None:
    """Put a value at a path, making the groups that lead there; without one, take away what stands
    there, and the groups and lists that would be left empty."""
    if value is _ABSENT:
        _remove(document, path)
        return
    here: Any = document
    for step in path[:-1]:
        within = _at(here, (step,))
        if not isinstance(within, dict | list) or not within:
            # PHP has one word for an empty list and an empty object.
            within = here[step] = {}
        here = within
    here[path[-1]] = value


def _remove(document: Document, path: tuple[str | int, ...]) -> None:
    holder = _at(document, path[:-1])
    if _at(holder, path[-1:]) is _ABSENT:
        return
    del holder[path[-1]]
    if not holder and len(path) > 1 and isinstance(path[-2], str):
        _remove(document, path[:-1])


def _add(document: Document, to: Field) -> None:
    present = _at(document, to.path)
    if to.kind == "map":
        if not isinstance(present, dict) or "" not in present:
            _put(document, (*to.path, ""), "")
    elif to.kind == "list":
        fresh = (
            {"type": "http"} if camel_case(str(to.path[-1])) in ("healthChecks", "checks") else {}
        )
        _put(document, to.path, [*(present if isinstance(present, list) else ()), fresh])
    else:
        _put(document, to.path, {})


def _rename(document: Document, path: tuple[str | int, ...], name: str) -> bool:
    """Give an entry of a map another name, in the same position; False where that is taken."""
    holder = _at(document, path[:-1])
    if _at(holder, path[-1:]) is _ABSENT:
        return True
    if name in holder:
        return False
    entries = [(name if each == path[-1] else each, value) for each, value in holder.items()]
    holder.clear()
    holder.update(entries)
    return True
