"""Who may see services, for what is told to many people at once."""

from collections import defaultdict
from collections.abc import Collection

from sqlalchemy import Table, select

from cms_services.catalogue.models import Service
from cms_services.extensions import reader
from cms_services.projects.models import ProjectMember

_SERVICES: Table = Service.__table__  # type: ignore[assignment]
_MEMBERS: Table = ProjectMember.__table__  # type: ignore[assignment]


def members_by_service(service_ids: Collection[str]) -> dict[str, set[str]]:
    """The members of the projects of some services (row ids), by the services; owners apart."""
    query = (
        select(_SERVICES.c.id, _MEMBERS.c.user_id)
        .join(_MEMBERS, _MEMBERS.c.project_id == _SERVICES.c.project_id)
        .where(_SERVICES.c.id.in_(service_ids))
    )
    found: dict[str, set[str]] = defaultdict(set)
    for service_id, user_id in reader().execute(query):
        found[service_id].add(user_id)
    return found
