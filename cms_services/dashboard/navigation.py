"""The main navigation: what the caller may open, and where it is."""

from dataclasses import dataclass

from flask import request, url_for
from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from cms_services.actor import Actor
from cms_services.vocabulary import Permission


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of the navigation; `below` is how the addresses of its pages begin."""

    endpoint: str
    label: LazyString
    icon: str
    permission: Permission
    below: str


_PLACES = (
    Place("service_list.services", _("Services"), "box", Permission.SERVICES_READ, "/services"),
    Place("wall_pages.wall", _("Monitoring"), "activity", Permission.SERVICES_READ, "/wall"),
    Place("map_pages.dependencies", _("Map"), "map", Permission.SERVICES_READ, "/map"),
    Place("project_pages.projects", _("Projects"), "folder", Permission.PROJECTS_READ, "/projects"),
    Place("audit_pages.entries", _("Audit"), "history", Permission.AUDIT_READ, "/audit"),
    Place("admin_pages.users", _("Administration"), "users", Permission.USERS_MANAGE, "/admin"),
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
            request.endpoint == place.endpoint
            or request.path.startswith((f"{place.below}/", place.below)),
        )
        for place in _PLACES
        if actor.may(place.permission)
    ]
