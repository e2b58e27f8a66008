"""Services to make bundles of, hostile values, and the tools that judge bundles."""

import os
import shutil
from typing import Any

from hypothesis import strategies as st

from cms_services.catalogue.models import Service
from cms_services.downloads.subject import Subject
from tests.databases import need_server

HOSTILE = [
    "line\nbreak: true\n---\nkind: Secret",
    "carriage\rreturn",
    "quote \" and ' and `tick`",
    "semi; return 200 evil; } server {",
    "$(touch /tmp/owned) ${HOME} $pool $host",
    "{{ 7 * 7 }} {% raw %} {# gone #}",
    "back\\slash \\n \\",
    "]]> <!-- # comment ; comment",
    "1e3",
    "0o17",
    "0x1F",
    "NO",
    "~",
    "null",
    "true",
    "12:30:45",
    "2026-01-01",
    "=",
    "<<",
    "*alias",
    "&anchor",
    "!!python/object:os.system",
    "",
    " padded ",
    "käse \U0001f600 \u2028\u2029\x85\x7f\ufeff\ufffe\u202e\U000e0001",
    "tab\tbell\x07",
    "x" * 5000,
]
GOOD_CONFIG: dict[str, Any] = {
    "image": "registry.example.com/team/shop:1.4.2",
    "domain": "shop.example.com",
    "networking": {"port": 3000},
    "runtime": {"memory_limit": "512MB"},
    "environment": {"NODE_ENV": "production"},
    "healthCheck": {"endpoint": "/health"},
}
unicode_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
variable_values = unicode_text.filter(lambda text: "\0" not in text and text != "encrypted")


def a_service(config: dict[str, Any] | None = None, **fields: Any) -> Service:
    given = {"name": "Shop", "service_id": "482913749123", "type": "kubernetes"} | fields
    return Service(id="1", user_id="u1", config=GOOD_CONFIG if config is None else config, **given)


def a_subject(config: dict[str, Any] | None = None, **fields: Any) -> Subject:
    return Subject.as_shown(a_service(config, **fields))


def opened_subject(config: dict[str, Any] | None = None, **fields: Any) -> Subject:
    """A service whose secrets the bundle may hold: those that are Opened in the configuration."""
    service = a_service(config, **fields)
    return Subject(service, service.config)


def without_comments(content: bytes, marks: str) -> list[str]:
    return [
        line for line in content.decode().split("\n") if not line.lstrip().startswith(tuple(marks))
    ]


def program(*names: str) -> str:
    """The first of these programs that is installed; the system's folder counts too."""
    path = os.environ.get("PATH", "") + ":/usr/sbin"
    found = next(filter(None, (shutil.which(name, path=path) for name in names)), None)
    return found or need_server(f"there is no {names[0]}")
