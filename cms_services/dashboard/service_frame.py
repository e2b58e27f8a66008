"""What all pages of one service have around them: its head, what may be done, and the tabs."""

from dataclasses import dataclass
from typing import Any

from flask import current_app, render_template, request
from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from cms_services.actor import Actor
from cms_services.catalogue.access import load_row
from cms_services.catalogue.models import Service
from cms_services.errors import Forbidden
from cms_services.monitoring.health.reports import latest_health
from cms_services.vocabulary import (
    SUSPENDED_STATUS,
    TRANSITIONS,
    Permission,
    Status,
)


@dataclass(frozen=True, slots=True)
class Tab:
    endpoint: str
    label: LazyString
    # Whether it is for those alone who may change the service.
    is_for_change: bool = False


_TABS = (
    Tab("service_pages.overview", _("Overview")),
    Tab("configuration_pages.edit", _("Configuration"), is_for_change=True),
    Tab("download_pages.downloads", _("Downloads")),
    Tab("health_pages.health", _("Health")),
    Tab("metric_pages.metrics", _("Metrics")),
    Tab("log_pages.logs", _("Logs")),
    Tab("dependency_pages.dependencies", _("Dependencies")),
    Tab("service_audit_pages.audit", _("Audit")),
    Tab("service_settings_pages.settings", _("Settings"), is_for_change=True),
)


def render_service_page(template: str, actor: Actor, service: Service, **shown: Any) -> str:
    """A page of a service that is loaded: its template extends service/frame.html."""
    changeable = may_change(actor, service)
    allowed = TRANSITIONS[service.family][Status(service.status)] if changeable else ()
    tabs = [
        (tab, tab.endpoint == request.endpoint)
        for tab in _TABS
        if tab.endpoint in current_app.view_functions
        and (not tab.is_for_change or (changeable and service.status != Status.CANCELLED))
    ]
    return render_template(
        template,
        actor=actor,
        service=service,
        health=latest_health(actor, service.id),
        tabs=tabs,
        may_change=changeable,
        can_suspend=SUSPENDED_STATUS[service.family] in allowed,
        can_resume=Status.ACTIVE in allowed,
        can_cancel=Status.CANCELLED in allowed,
        **shown,
    )


def may_change(actor: Actor, service: Service) -> bool:
    try:
        load_row(actor, service.id, for_change=True)
    except Forbidden:
        return False
    return actor.may(Permission.SERVICES_WRITE)
