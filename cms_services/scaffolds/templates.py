"""The templates that a service can be created from.

Each is a folder in config_templates/scaffolds with a template.json: name, framework, features,
structure, and the configuration that a new service starts with.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson

from cms_services.errors import NotFound
from cms_services.shipped_files import shipped_folder
from cms_services.wording import worded


@dataclass(frozen=True)
class Template:
    id: str
    name: str
    type: str
    framework: str
    features: tuple[str, ...]
    structure: dict[str, Any]
    configuration: dict[str, Any]


@cache
def all_templates() -> tuple[Template, ...]:
    """Every template, by id."""
    found = sorted(shipped_folder("config_templates").glob("scaffolds/*/template.json"))
    return tuple(Template(id=path.parent.name, **orjson.loads(path.read_bytes())) for path in found)


def get_template(template_id: str) -> Template:
    """Raises NotFound, with the ids that there are."""
    for template in all_templates():
        if template.id == template_id:
            return template
    known = ", ".join(template.id for template in all_templates())
    raise NotFound(
        worded(
            "There is no template %(id)r; there are %(known)s.",
            id=template_id[:64],
            known=known,
        )
    )
