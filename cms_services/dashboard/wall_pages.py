"""The monitoring wall: every service by its state, the worst first, to be read from afar."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from flask import Blueprint, render_template
from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from cms_services.actor import Actor
from cms_services.dashboard.guards import signed_in_page
from cms_services.dashboard.project_filter import ProjectFilter
from cms_services.monitoring.health.overview import STATES, ServiceStanding, Silence, overview
from cms_services.vocabulary import HealthStatus, Permission, Relation
from cms_services.web.transactions import reading

wall_pages = Blueprint("wall_pages", __name__)

_TROUBLE = (HealthStatus.UNHEALTHY, HealthStatus.DEGRADED)
# So many of a state have a tile each; of more, those in trouble are named and the others counted.
_MOST_TILES = {True: 60, False: 24}
# How many of one project are named.
_MOST_NAMES = 300

_SILENCES: dict[Silence | None, LazyString] = {
    Silence.NEVER_CHECKED: _("never checked"),
    Silence.OUT_OF_DATE: _("no result for a while"),
}


@dataclass
class Section:
    """All services in one state: some by a tile each, the others by name or by project."""

    state: str
    count: int
    is_trouble: bool
    tiles: Sequence[ServiceStanding] = ()
    named: Sequence[ServiceStanding] = ()
    by_project: Sequence[tuple[str | None, int]] = field(default_factory=list)

    @property
    def unnamed(self) -> int:
        """How many are left that nothing here tells of but the count."""
        told = len(self.tiles) + len(self.named) + sum(count for _, count in self.by_project)
        return self.count - told


@wall_pages.get("/wall")
@signed_in_page(Permission.SERVICES_READ, Relation.READABLE)
def wall(actor: Actor) -> str:
    with reading():
        projects = ProjectFilter.of_page(actor)
        project = projects.chosen
        services = overview(actor, project)
    return render_template(
        "wall/wall.html",
        actor=actor,
        sections=[_section(state, services, project) for state in STATES],
        project=project,
        projects=projects,
        silences=_SILENCES,
    )


def _section(state: str, services: Sequence[ServiceStanding], project: str | None) -> Section:
    these = [each for each in services if each.state == state]
    section = Section(state, len(these), state in _TROUBLE)
    most = _MOST_TILES[section.is_trouble]
    if section.is_trouble or len(these) <= most:
        section.tiles, these = these[:most], these[most:]
    if section.is_trouble or project is not None:
        section.named = sorted(these, key=lambda each: each.name)[:_MOST_NAMES]
    else:
        counts = Counter(each.project for each in these)
        section.by_project = sorted(counts.items(), key=lambda each: (-each[1], each[0] or ""))
    return section
