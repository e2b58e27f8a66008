"""The main navigation: what the caller may open, and where it is."""

from dataclasses import dataclass

from flask import request, url_for
from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from cms_services.actor import Actor
from cms_services.vocabulary import Permission


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of the navigation; `blueprints` are the pages that lie below it."""

    endpoint: str
    label: LazyString
    icon: str
    permission: Permission
    blueprints: tuple[str, ...]


_PLACES = (
    Place(
        "service_list.services",
        _("Services"),
        "box",
        Permission.SERVICES_READ,
        ("service_list", "service_pages", "configuration_pages", "version_pages"),
    ),
)


@dataclass(frozen=True, slots=True)
class Entry:
    url: str
    label: LazyString
    icon: str
    is_current: bool


def navigation(actor: Actor) -> list[Entry]:
    return [
        Entry(
            url_for(place.endpoint),
            place.label,
            place.icon,
            request.blueprint in place.blueprints,
        )
        for place in _PLACES
        if actor.may(place.permission)
    ]
