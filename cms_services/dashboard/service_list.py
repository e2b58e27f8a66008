"""The first page: the list of services, as cards or rows."""

from dataclasses import dataclass, replace
from typing import Any, Self

from flask import Blueprint, Response, make_response, render_template, request, url_for
from flask_babel import lazy_gettext as _

from cms_services.actor import Actor
from cms_services.catalogue.access import changeable_among
from cms_services.catalogue.listing import ServiceFilter, count_by_type, list_services
from cms_services.catalogue.tags import tags_in_use
from cms_services.dashboard.guards import signed_in_page
from cms_services.dashboard.preferences import services_view
from cms_services.dashboard.words import choices
from cms_services.errors import ValidationFailed
from cms_services.monitoring.health.current import having_health, health_of
from cms_services.projects.sharing import list_projects
from cms_services.vocabulary import (
    FAMILY_OF_TYPE,
    TYPES_OF_FAMILY,
    Family,
    HealthStatus,
    Permission,
    Relation,
    ServiceType,
    Status,
)
from cms_services.web.transactions import reading

service_list = Blueprint("service_list", __name__)

_PAGE_LENGTH = 48
# Choices of a selection; what is further down is found by typing.
_MOST_CHOICES = 200
_EVERY_STATUS = "all"
_SORTS = {
    "name": _("Name"),
    "-createdAt": _("Newest first"),
    "-updatedAt": _("Last changed"),
    "nextBilling": _("Next billing"),
    "status": _("Status"),
    "type": _("Type"),
}


@dataclass(frozen=True)
class Wanted:
    """What the page's address asks for; empty texts ask for nothing."""

    q: str = ""
    family: str = ""
    type: str = ""
    status: str = ""
    health: str = ""
    project: str = ""
    tag: str = ""
    sort: str = ""
    # After which service the page begins, or before which one it ends.
    cursor: str = ""
    before: str = ""

    @classmethod
    def from_address(cls) -> Self:
        """What is unknown counts as not asked for, so that old links go on working."""
        given = {
            name: request.args.get(name, "").replace("\x00", "")
            for name in cls.__dataclass_fields__
        }
        for name, known in (
            ("family", [*Family]),
            ("type", [*ServiceType]),
            ("status", [*Status, _EVERY_STATUS]),
            ("health", [*HealthStatus]),
            ("sort", [*_SORTS]),
        ):
            if given[name] not in known:
                given[name] = ""
        if given["type"]:
            given["family"] = FAMILY_OF_TYPE[ServiceType(given["type"])]
        return cls(**given | {"q": given["q"][:255]})

    def filter(self) -> ServiceFilter:
        types: tuple[str, ...] = (self.type,) if self.type else ()
        if self.family and not self.type:
            types = TYPES_OF_FAMILY[Family(self.family)]
        statuses: tuple[str, ...] = (self.status,)
        if not self.status:
            statuses = tuple(each for each in Status if each is not Status.CANCELLED)
        elif self.status == _EVERY_STATUS:
            statuses = ()
        return ServiceFilter(
            statuses=statuses,
            types=types,
            project=self.project or None,
            tag=self.tag or None,
            q=self.q.strip() or None,
            also=having_health(self.health) if self.health else None,
        )

    @property
    def is_narrowed(self) -> bool:
        return self != Wanted(sort=self.sort, cursor=self.cursor, before=self.before)

    @property
    def own_address(self) -> str:
        return self.address(cursor=self.cursor, before=self.before)

    def address(self, **changes: str) -> str:
        """The address of the list but for some changes, from its first page on."""
        asked = replace(self, **{"cursor": "", "before": ""} | changes)
        given = {name: getattr(asked, name) for name in self.__dataclass_fields__}
        if asked.type:
            # A type tells its family.
            given.pop("family")
        return url_for("service_list.services", **{n: v for n, v in given.items() if v})


@service_list.get("/")
@signed_in_page(Permission.SERVICES_READ, Relation.READABLE)
def services(actor: Actor) -> Response:
    wanted = Wanted.from_address()
    narrowed = wanted.filter()
    with reading():
        try:
            page = _page(actor, narrowed, wanted)
        except ValidationFailed:
            # The cursor is of another order, as of a link from elsewhere.
            wanted = replace(wanted, cursor="", before="")
            page = _page(actor, narrowed, wanted)
        if wanted.before and page.previous_cursor is None:
            # The first page, which is a whole one whatever came or went meanwhile.
            wanted = replace(wanted, before="")
            page = _page(actor, narrowed, wanted)
        ids = [row.id for row in page.items]
        may_write = actor.may(Permission.SERVICES_WRITE)
        projects = list_projects(actor, limit=_MOST_CHOICES).items
        response = make_response(
            render_template(
                "services.html",
                actor=actor,
                page=page,
                wanted=wanted,
                health=health_of(ids),
                changeable=changeable_among(actor, ids) if may_write else set(),
                may_write=may_write,
                view=services_view(),
                tabs=_tabs(count_by_type(actor, narrowed)),
                statuses=[
                    ("", _("All but cancelled")),
                    (_EVERY_STATUS, _("All")),
                    *choices(Status, "status_word"),
                ],
                healths=[("", _("Any")), *choices(HealthStatus, "health_word")],
                projects=_choices([row.name for row in projects], wanted.project),
                tags=_choices([row.tag for row in tags_in_use(actor, _MOST_CHOICES)], wanted.tag),
                sorts=[("" if each == "name" else each, word) for each, word in _SORTS.items()],
            )
        )
    # Forms send what is empty too; this is the address without it.
    response.headers["HX-Push-Url"] = wanted.own_address
    return response


def _page(actor: Actor, narrowed: ServiceFilter, wanted: Wanted) -> Any:
    return list_services(
        actor,
        narrowed,
        wanted.sort or "name",
        _PAGE_LENGTH,
        wanted.before or wanted.cursor or None,
        is_before=bool(wanted.before),
    )


@dataclass(frozen=True)
class _Tab:
    """A family, or all there is; with its types, each with how many services it has."""

    family: str
    count: int
    types: tuple[tuple[str, int], ...] = ()


def _tabs(counts: dict[str, int]) -> list[_Tab]:
    of_families = [
        _Tab(
            family,
            sum(counts.get(each, 0) for each in types),
            tuple((each, counts.get(each, 0)) for each in types),
        )
        for family, types in TYPES_OF_FAMILY.items()
    ]
    return [_Tab("", sum(counts.values())), *reversed(of_families)]


def _choices(names: list[str], chosen: str) -> list[tuple[str, Any]]:
    if chosen and chosen not in names:
        names = [chosen, *names]
    return [("", _("Any")), *((name, name) for name in names)]
