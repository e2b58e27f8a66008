"""Texts that know their wording, and that every refusal which a page can show has one."""

import ast
import copy
import pickle
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest
from marshmallow import Schema, ValidationError, fields
from marshmallow.validate import Length, OneOf, Range, Regexp

import cms_services
from cms_services import errors
from cms_services.errors import DomainError, NotFound
from cms_services.field_messages import field_messages
from cms_services.library_messages import said_by_library
from cms_services.shipped_files import shipped_folder
from cms_services.wording import Worded, clause, either, listed, term, worded

_PACKAGE = Path(cms_services.__file__).parent


class TestAWordedText:
    def test_it_is_the_english_text(self) -> None:
        text = worded("Takes %(most)s, 100%%.", most=3)
        assert text == "Takes 3, 100%."
        assert worded("Up to 90%, say.") == "Up to 90%, say."
        assert orjson.dumps({"message": text}) == b'{"message":"Takes 3, 100%."}'
        assert either(["a", "b", "c"]) == "a or b or c"
        assert listed([term("a"), "b"]) == "a, b"
        assert clause(worded("There is none.")) == clause("There is none.") == "There is none"

    def test_errors_give_it_as_it_was_raised(self) -> None:
        text = worded("Takes %(most)s.", most=3)
        assert str(ValueError(text)) is text
        assert NotFound(text).message is text
        assert field_messages(ValidationError({"a": [text]}).messages) == {"a": [text]}
        assert isinstance(field_messages({"a": {"b": [text]}})["a.b"][0], Worded)

    @pytest.mark.parametrize("copied", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
    def test_a_copy_keeps_its_wording(self, copied: Any) -> None:
        again = copied(worded("Takes %(most)s.", most=3))
        assert (again, again.message, again.values) == ("Takes 3.", "Takes %(most)s.", {"most": 3})


class _Anything(Schema):
    text = fields.String(validate=Regexp("a", error="Must not be blank."))
    form = fields.String(validate=Regexp("a"))
    one = fields.String(validate=OneOf(["a", "b"]))
    needed = fields.String(required=True)
    whole = fields.Integer(validate=Range(1, 3))
    least = fields.Integer(validate=Range(1))
    most = fields.Integer(validate=Range(max=1))
    share = fields.Float()
    switch = fields.Boolean()
    moment = fields.AwareDateTime()
    day = fields.Date()
    email = fields.Email()
    some = fields.List(fields.String(), validate=Length(1, 2))
    few = fields.String(validate=Length(max=2))
    many = fields.String(validate=Length(min=3))
    by_name = fields.Dict()
    within = fields.Nested(Schema)


class TestTheMessagesOfLibraries:
    @pytest.mark.parametrize(
        "given",
        [
            {name: 7.5 if name == "text" else object() for name in _Anything().fields},
            {"whole": 4, "least": 0, "most": 2, "share": "nan", "one": "c", "few": "abc"},
            {"many": "a", "some": [], "form": "b", "moment": "2026-01-01T00:00:00", "day": None},
            {"whole": "1" * 5000, "share": 10**400, "text": b"\xff", "unknown": 1},
            [date.today()],
        ],
    )
    def test_each_that_fields_say_has_a_wording(self, given: Any) -> None:
        with pytest.raises(ValidationError) as raised:
            _Anything().load(given)
        told = field_messages(raised.value.normalized_messages())
        plain = [
            message
            for messages in told.values()
            for message in messages
            if not isinstance(message, Worded)
        ]
        assert told
        assert plain == []

    def test_one_that_nobody_knows_stays_as_it_is(self) -> None:
        assert not isinstance(said_by_library("Something new."), Worded)
        assert said_by_library("Something new.", otherwise="Wrong.") == "Something new."


# What no page shows, and why it may be said in plain English.
_FOR_PROGRAMS = {
    "importing/": "operators read them at the command",
    "parity/": "operators read them at the command",
    "legacy/": "services.php speaks English with its frontends",
    "api/loki.py": "agents send logs",
    "api/remote_write.py": "agents send metrics",
    "api/status.py": "orchestrators ask",
    "monitoring/protocols/": "agents send metrics and logs",
    "web/packed_bodies.py": "agents send packed bodies",
    "web/schemas/log_batches.py": "agents send logs",
    "web/schemas/samples.py": "agents send metrics",
    "setting_types.py": "operators read them in the log",
    "settings.py": "operators read them in the log",
    "errors.py": "MethodNotAllowed is of services.php",
}
_REFUSING = {
    name
    for name, found in vars(errors).items()
    if isinstance(found, type) and issubclass(found, DomainError)
} | {"ValidationError", "refused", "_broken"}


class TestEveryRefusal:
    def test_it_is_worded(self) -> None:
        plain = [
            f"{path.relative_to(_PACKAGE)}:{line}"
            for path in sorted(_PACKAGE.rglob("*.py"))
            if not str(path.relative_to(_PACKAGE)).startswith(tuple(_FOR_PROGRAMS))
            for line in _plain_refusals(path.read_text())
        ]
        assert plain == [], "give these `worded(...)` texts"

    def test_what_templates_join_is_translated(self) -> None:
        joined = re.compile(r"(problems|messages|wrong)[\w.]*\|join")
        plain = [
            f"{path.name}:{number}"
            for path in shipped_folder("templates").rglob("*.html")
            for number, line in enumerate(path.read_text().splitlines(), 1)
            if joined.search(line)
        ]
        assert plain == []

    @pytest.mark.parametrize(
        "source",
        [
            'raise NotFound("There is none.")',
            'raise NotFound(f"There is no {name}.")',
            'raise Conflict("There is " + name)',
            'raise Conflict(", ".join(names))',
            'raise Conflict("There is %s." % name)',
            'raise ValidationFailed({"a": ["Takes a text."]})',
            'raise ValidationFailed({name: ["Takes a text."] for name in names})',
            'hint = "Takes a text."\nraise refused(path, hint)',
            'problem = f"Takes {x}."\nraise ValidationFailed({"a": [problem]})',
            'problems["a"] = ["Takes a text."]',
            'Regexp("a", error="Takes a text.")',
        ],
    )
    def test_one_that_is_not_is_found(self, source: str) -> None:
        assert _plain_refusals(source)

    @pytest.mark.parametrize(
        "source",
        [
            'raise NotFound(worded("There is no %(name)s.", name=name))',
            'raise ValidationError(worded("Must be above min."), "max")',
            'raise ValidationFailed({f"a.{name}": [_("Takes a text.")]})',
        ],
    )
    def test_one_that_is_is_not(self, source: str) -> None:
        assert not _plain_refusals(source)


def _plain_refusals(source: str) -> list[int]:
    """The lines on which a refusal is given a text that no page can translate."""
    tree = ast.parse(source)
    assigned: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            assigned.setdefault(node.targets[0].id, []).append(node.value)
    return sorted({each.lineno for each in _told(tree) if _is_plain(each, assigned)})


def _told(tree: ast.AST) -> Iterator[ast.expr]:
    """What is given to refusals."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", None))
            if name in _REFUSING:
                # The first of `refused` is the path.
                yield from node.args[1:] if name == "refused" else node.args
            if name in _REFUSING | {"Regexp"}:
                yield from (each.value for each in node.keywords)
        elif isinstance(node, ast.Assign) and "problems[" in ast.unparse(node.targets[0]):
            yield node.value


def _is_plain(node: ast.expr, assigned: dict[str, list[ast.expr]]) -> bool:
    def any_of(nodes: Any) -> bool:
        return any(_is_plain(each, assigned) for each in nodes)

    match node:
        case ast.Constant(value=str(text)):
            # A sentence, and not the name of a field.
            return " " in text
        case ast.JoinedStr(values=parts):
            return any_of(parts)
        case ast.BinOp(left=left, right=right):
            return any_of([left, right])
        case ast.Call(func=ast.Attribute(attr="join" | "format" | "rstrip")):
            return True
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return any_of(elements)
        case ast.Dict(values=values):
            return any_of(values)
        case ast.ListComp(elt=element):
            return _is_plain(element, assigned)
        case ast.DictComp(value=value):
            return _is_plain(value, assigned)
        case ast.IfExp(body=body, orelse=orelse) | ast.BoolOp(values=[body, orelse]):
            return any_of([body, orelse])
        case ast.Name(id=name):
            rest = {each: values for each, values in assigned.items() if each != name}
            return any(_is_plain(each, rest) for each in assigned.get(name, []))
    return False
