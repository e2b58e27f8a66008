"""Bringing a document into the shape of its schema, and saying what is wrong with it.

What a schema does not know is kept: under `extra` of the object in which it stood.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import orjson
from marshmallow import ValidationError
from marshmallow import fields as plain

from cms_services.configuration.documents import Document
from cms_services.configuration.fields import Either
from cms_services.configuration.paths import camel_case
from cms_services.configuration.schema import SCHEMA_OF_FAMILY, Section
from cms_services.configuration.secrets import is_secret_form, without_secret_forms
from cms_services.errors import ValidationFailed
from cms_services.field_messages import field_messages
from cms_services.vocabulary import Family
from cms_services.wording import worded

EXTRA = "extra"
_LARGEST_BYTES = 256 * 1024


def shaped(family: Family, document: Document, like: Document | None = None) -> Document:
    """The document, or merge patch, with what its schema does not know under `extra`.

    Names are spelled as in `like`, the document that a patch is for. Raises ValidationFailed where
    a name stands there twice, in two spellings or also under `extra`, and for a secret in the
    place of a section.
    """
    return _Shaper(strict=True).shaped(SCHEMA_OF_FAMILY[family], document, like or {}, ())


def shaped_leniently(family: Family, stored: Document) -> Document:
    """A stored document in the same shape, whatever it holds: an import may have made it.

    Of a name that stands there twice, the second goes under `extra`.
    """
    return _Shaper(strict=False).shaped(SCHEMA_OF_FAMILY[family], stored, {}, ())


def require_valid(family: Family, document: Document) -> None:
    """Raise ValidationFailed for a shaped document, with messages by path, such as
    `networking.port`."""
    size = len(orjson.dumps(document))
    if size > _LARGEST_BYTES:
        problem = worded(
            "A configuration takes at most %(most)s KiB; this has %(size)s.",
            most=_LARGEST_BYTES // 1024,
            size=size,
        )
        raise ValidationFailed({"configuration": [problem]})
    schema = SCHEMA_OF_FAMILY[family]
    judged = without_secret_forms(document)
    try:
        schema.load(_judged(schema, judged))
    except ValidationError as error:
        messages = _as_written(error.normalized_messages(), document)  # type: ignore[no-untyped-call]
        raise ValidationFailed(field_messages(messages, ("_schema",))) from error


def unfolded(document: Document) -> Document:
    """The document with all that stands under `extra` back where it was given.

    It is what old frontends read: they know nothing of `extra`.
    """
    # It knows all that the other one does.
    return _unfolded(SCHEMA_OF_FAMILY[Family.SUBSCRIPTION], document)


def may_have_extra(text: str) -> bool:
    """Whether a stored document's text must be parsed to unfold it."""
    return f'"{EXTRA}"' in text


@dataclass(frozen=True)
class _Shaper:
    strict: bool

    def shaped(
        self, schema: Section, given: Document, like: Document, path: tuple[str, ...]
    ) -> Document:
        if self.strict and is_secret_form(given):
            place = ".".join(path) or "configuration"
            raise ValidationFailed({place: [worded("Takes an object; mark what is secret in it.")]})
        fields = _fields_by_name(schema)
        spelled = {camel_case(name): name for name in like}
        known: Document = {}
        unknown: Document = {}
        for name, value in given.items():
            spelling = camel_case(name)
            field = fields.get(spelling)
            if name == EXTRA and (value is None or isinstance(value, dict)):
                continue
            stored_as = spelled.get(spelling, name)
            if field is None:
                unknown[name] = value
            elif any(camel_case(each) == spelling for each in known):
                self._refuse_twice((*path, name))
                unknown[name] = value
            else:
                within = like.get(stored_as)
                known[stored_as] = self._value(field, value, within, (*path, name))
        extra = given.get(EXTRA)
        if isinstance(extra, dict):
            for name in extra.keys() & unknown.keys():
                self._refuse_twice((*path, name))
            unknown = extra | unknown
        if unknown or (EXTRA in given and given[EXTRA] is None):
            known[EXTRA] = unknown or None
        return known

    def _refuse_twice(self, path: tuple[str, ...]) -> None:
        if self.strict:
            raise ValidationFailed({".".join(path): [worded("Stands here twice; give it once.")]})

    def _value(self, field: Any, value: Any, like: Any, path: tuple[str, ...]) -> Any:
        nested = _schema_of(field)
        if nested is None:
            return value
        if value == [] and not isinstance(field, plain.List):
            # PHP has one word for an empty list and an empty object.
            return {}
        if isinstance(value, dict):
            return self.shaped(nested, value, like if isinstance(like, dict) else {}, path)
        if isinstance(value, list) and isinstance(field, plain.List):
            return [
                self.shaped(nested, each, {}, (*path, str(n))) if isinstance(each, dict) else each
                for n, each in enumerate(value)
            ]
        return value


def _judged(schema: Section, document: Document) -> Document:
    """The document as marshmallow takes it: in our spelling, without what is empty."""
    fields = _fields_by_name(schema)
    judged: Document = {}
    for name, value in document.items():
        if value is None or value == "" or name == EXTRA:
            continue
        spelling = camel_case(name)
        nested = _schema_of(fields.get(spelling))
        if nested is not None and isinstance(value, dict):
            value = _judged(nested, value)
        elif nested is not None and isinstance(value, list):
            value = [_judged(nested, e) if isinstance(e, dict) else e for e in value]
        elif spelling == "environment" and value == []:
            continue
        judged[spelling] = value
    return judged


def _as_written(messages: Any, document: Any) -> Any:
    """Messages with the names as the document spells them."""
    if not isinstance(messages, dict):
        return messages
    spelled: dict[Any, str] = {}
    if isinstance(document, dict):
        spelled = {camel_case(name): name for name in document}
    within = dict(_children(document))
    return {
        spelled.get(name, name): _as_written(inner, within.get(spelled.get(name, name)))
        for name, inner in messages.items()
    }


def _children(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def _unfolded(schema: Section, document: Document) -> Document:
    fields = _fields_by_name(schema)
    shown: Document = {}
    for name, value in document.items():
        if name == EXTRA and isinstance(value, dict):
            continue
        nested = _schema_of(fields.get(camel_case(name)))
        if nested is not None and isinstance(value, dict):
            value = _unfolded(nested, value)
        elif nested is not None and isinstance(value, list):
            value = [_unfolded(nested, e) if isinstance(e, dict) else e for e in value]
        shown[name] = value
    extra = document.get(EXTRA)
    if isinstance(extra, dict):
        shown |= {name: value for name, value in extra.items() if name not in shown}
    return shown


def _fields_by_name(schema: Section) -> dict[str, Any]:
    return {field.data_key or name: field for name, field in schema.fields.items() if name != EXTRA}


def _schema_of(field: Any) -> Section | None:
    """The schema of the objects that stand in a field, or in its list."""
    if isinstance(field, plain.List):
        field = field.inner
    if isinstance(field, Either):
        field = field.nested
    if not isinstance(field, plain.Nested):
        return None
    return cast(Section, field.schema)
