"""The choice of a project that narrows a page; templates/parts/project_filter.html shows it."""

from dataclasses import dataclass
from typing import Self

from cms_services.actor import Actor
from cms_services.dashboard.forms import asked
from cms_services.projects.sharing import list_projects

_MOST_PROJECTS = 500


@dataclass(frozen=True, slots=True)
class ProjectFilter:
    """The project that was asked for, if any, and those to choose from."""

    chosen: str | None
    names: list[str]

    @classmethod
    def of_page(cls, actor: Actor) -> Self:
        names = [each.name for each in list_projects(actor, limit=_MOST_PROJECTS).items]
        return cls(asked("project") or None, names)
