"""What all pages of one service have around them: its head, what may be done, and the tabs."""

from dataclasses import dataclass
from typing import Any

from flask import render_template, request, url_for
from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from cms_services.actor import Actor
from cms_services.catalogue.access import changeable_among
from cms_services.catalogue.models import Service
from cms_services.monitoring.health.reports import health_now
from cms_services.projects.sharing import role_in_project
from cms_services.vocabulary import TRANSITIONS, Permission, Status


@dataclass(frozen=True, slots=True)
class Tab:
    endpoint: str
    label: LazyString
    # Whether it is for those alone who may change the service.
    is_for_change: bool = False
    # Of the pages that lie below it; its own one is told by the endpoint.
    blueprints: tuple[str, ...] = ()

    @property
    def is_current(self) -> bool:
        own = self.endpoint.partition(".")[0]
        return request.blueprint in (own, *self.blueprints)


_TABS = (
    Tab("service_pages.overview", _("Overview")),
    Tab(
        "configuration_pages.edit",
        _("Configuration"),
        is_for_change=True,
        blueprints=("version_pages",),
    ),
    Tab("download_pages.downloads", _("Downloads")),
    Tab("health_pages.health", _("Health")),
    Tab("metric_pages.metrics", _("Metrics")),
    Tab("log_pages.logs", _("Logs")),
    Tab("dependency_pages.dependencies", _("Dependencies")),
    Tab("service_audit_pages.audit", _("Audit")),
    Tab("service_settings_pages.settings", _("Settings"), is_for_change=True),
)


@dataclass(frozen=True, slots=True)
class Action:
    """Something that may be done to the service now; it is confirmed at an address of its own."""

    verb: str
    label: LazyString
    icon: str
    is_grave: bool = False


_MAINTAIN = Action("maintenance", _("Maintenance"), "wrench")
_SUSPEND = Action("suspend", _("Suspend"), "pause")
_RESUME = Action("resume", _("Resume"), "play")
_CANCEL = Action("cancel", _("Cancel service"), "circle-x", is_grave=True)
_RESTORE = Action("restore", _("Restore"), "archive-restore")
_ACTION_OF_STATUS = {
    Status.ACTIVE: _RESUME,
    Status.MAINTENANCE: _MAINTAIN,
    Status.INACTIVE: _SUSPEND,
    Status.SUSPENDED: _SUSPEND,
    Status.CANCELLED: _CANCEL,
}


def render_service_page(template: str, actor: Actor, service: Service, **shown: Any) -> str:
    """A page of a service that is loaded: its template extends service/frame.html."""
    changeable = may_change(actor, service)
    tabs = [
        (tab, tab.is_current)
        for tab in _TABS
        if not tab.is_for_change or (changeable and service.status != Status.CANCELLED)
    ]
    return render_template(
        template,
        actor=actor,
        service=service,
        health=health_now(service),
        tabs=tabs,
        # What a page may lead to: the addresses of the tabs that are shown.
        places={
            tab.endpoint: url_for(tab.endpoint, service_id=service.service_id) for tab, __ in tabs
        },
        project_url=_project_url(actor, service),
        may_change=changeable,
        actions=_actions(actor, service) if changeable else [],
        **shown,
    )


def _project_url(actor: Actor, service: Service) -> str | None:
    """The address of the service's project, for those who have a part in it or are admins."""
    if role_in_project(actor, service.project_id) is None or service.project_id is None:
        return None
    return url_for("project_pages.project", project_id=service.project_id)


def _actions(actor: Actor, service: Service) -> list[Action]:
    present = Status(service.status)
    if present is Status.CANCELLED:
        return [_RESTORE] if actor.may(Permission.SERVICES_RESTORE) else []
    return [_ACTION_OF_STATUS[to] for to in TRANSITIONS[service.family][present]]


def may_change(actor: Actor, service: Service) -> bool:
    changeable = changeable_among(actor, [service.id])
    return bool(changeable) and actor.may(Permission.SERVICES_WRITE)


def sees_all_entries(actor: Actor, service: Service) -> bool:
    """Whether the audit trail shows the caller all of a service, beside what it did itself."""
    return actor.is_admin or service.user_id == actor.user_id
