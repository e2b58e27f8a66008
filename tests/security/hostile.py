"""What attackers send, and every place of the two doors that takes it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import Flask
from marshmallow import Schema, fields
from werkzeug.test import TestResponse

from cms_services.web.operations import Operation
from cms_services.web.schemas.log_batches import JSON_LINES
from cms_services.web.streams import EVENT_STREAM
from tests.people import Person

SQL = [
    "' OR '1'='1",
    "'; DROP TABLE services; --",
    '" OR ""="',
    "1) OR (1=1",
    "%' OR 1=1 --",
    "\\' OR 1=1 #",
    "' UNION SELECT password_hash FROM users --",
    "'||(SELECT password_hash FROM users LIMIT 1)||'",
    "1; SELECT pg_sleep(30) --",
    "' AND SLEEP(30) AND '1'='1",
    "%s %(id)s :id ? $1 {0}",
    "admin'/*",
]
TEMPLATES = [
    "{{7777*7777}}",
    "{{ config.items() }}",
    "{% raw %}{{7777*7777}}",
    "${7777*7777}",
    "#{7777*7777}",
    "<%= 7777*7777 %>",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ cycler.__init__.__globals__.os.environ }}",
    "$(id) `id` | id; id && id",
]
EVALUATED = str(7777 * 7777)
MARKUP = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title><svg/onload=alert(1)>",
    "</pre><iframe src=javascript:alert(1)>",
]
LINES = [
    "a\r\nSet-Cookie: stolen=1",
    "a\nX-Injected: 1\n\n<html>",
    "a\rX-Injected: 1",
    "a\x0b\x0c\x1c\x85\u2028X-Injected: 1",
    'a"; filename="evil.exe',
    "a\u560d\u560aX-Injected: 1",
]
# Objects in the place of texts, as document databases read them.
OBJECTS: list[Any] = [{"$ne": None}, {"$gt": ""}, {"$regex": ".*"}, {"$where": "1"}, ["a"], [], {}]
TRAVERSALS = [
    "../../../../etc/passwd",
    "..",
    ".",
    "./x",
    "..\\..\\windows\\win.ini",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "%252e%252e%252fetc%252fpasswd",
    "..%2f..%2fetc%2fpasswd",
    "..%5c..%5cwin.ini",
    "..%c0%af..%c0%afetc/passwd",
    "....//....//etc/passwd",
    "/etc/passwd",
    "//etc/passwd",
    "C:\\windows\\win.ini",
    "file:///etc/passwd",
    "\x00",
    "x\x00.yaml",
    "..;/x",
    "~root",
    "x" * 3000,
]


@dataclass(frozen=True)
class Place:
    """A method and a path of the REST door, and what its view declares."""

    endpoint: str
    method: str
    path: str
    operation: Operation

    def with_ids(self, value: str) -> str:
        """The path with every identifier replaced."""
        return re.sub(r"<(int[^:]*:)?[^>]+>", lambda found: "1" if found[1] else value, self.path)


def places(app: Flask) -> Iterator[Place]:
    for rule in app.url_map.iter_rules():
        declared = getattr(app.view_functions[rule.endpoint], "operation", None)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            if declared is not None:
                yield Place(rule.endpoint, method, rule.rule, declared)


def names_of(schema: type[Schema] | None, kind: type = fields.Field) -> list[str]:
    """The wire names of a schema's fields of some kind."""
    if schema is None:
        return []
    found = schema().fields.items()
    return [each.data_key or name for name, each in found if isinstance(each, kind)]


def is_plain_answer(answer: TestResponse) -> None:
    """An answer of the API's own shape that tells of no fault of ours."""
    assert answer.status_code < 500, answer.text
    if answer.status_code < 400 and answer.mimetype in (JSON_LINES, EVENT_STREAM):
        return
    assert answer.is_json and answer.json["success"] is (answer.status_code < 400), answer.text


def cookie_of(person: Person, password: str) -> None:
    """Sign a person's client in by cookie, for the pages."""
    given = {"email": person.email, "password": password}
    assert person.client.post("/api/auth/login", json=given).status_code == 200
