"""Filling an empty installation with Brightquay, an invented maker of web sites and shops."""

from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import select

from cms_services.accounts.models import User
from cms_services.accounts.passwords import generate_password
from cms_services.accounts.sessions import actor_of_user
from cms_services.actor import Actor
from cms_services.catalogue.models import Service
from cms_services.clock import fixed_at, now
from cms_services.demo.brightquay_studio import BRIGHTQUAY_STUDIO
from cms_services.demo.chatter import entries
from cms_services.demo.days import Incident, latest_incident
from cms_services.demo.fieldnote_magazine import FIELDNOTE_MAGAZINE
from cms_services.demo.harbour_tours import HARBOUR_TOURS
from cms_services.demo.log_lines import VOICES
from cms_services.demo.past import Past
from cms_services.demo.people import COMPANY, PEOPLE, PROJECTS
from cms_services.demo.probes import store_reports
from cms_services.demo.tidepool_shop import TIDEPOOL_SHOP
from cms_services.demo.traffic import store_traffic
from cms_services.extensions import db
from cms_services.installation import InstallationError, ensure_admin
from cms_services.monitoring.logs.ingest import store_entries
from cms_services.projects.models import Project
from cms_services.settings import current_settings
from cms_services.vocabulary import Role
from cms_services.web.transactions import writing

SERVICES = (*TIDEPOOL_SHOP, *FIELDNOTE_MAGAZINE, *HARBOUR_TOURS, *BRIGHTQUAY_STUDIO)
_FOUNDED = timedelta(days=730)


def fill() -> Iterator[str]:
    """Make the company and tell what was made and whom to sign in as.

    Raises InstallationError where there is more than the first admin's account.
    """
    present = now()
    settings = current_settings()
    with fixed_at(present - _FOUNDED):
        generated = ensure_admin(settings)
    if generated is not None:
        yield f"First admin: {settings.admin_email}  password: {generated}  (shown once)"
    password = generate_password()
    with writing():
        past = Past(present, _only_admin(), password)
        past.relive(PEOPLE, PROJECTS, SERVICES)
        made = _last_days(past, latest_incident(present))
    yield f"Made the company {COMPANY}: {len(PEOPLE)} people, {len(PROJECTS)} projects, {made}."
    yield f"Sign in as one of these, password: {password}  (shown once)"
    for person in PEOPLE:
        yield f"  {person.email:<26}{person.name}, {person.part}"
    yield "Look at the Payment Gateway of tidepool-shop: its provider failed nine hours ago."
    yield "All addresses end in .example, so health checks that you start find nobody there."


def _only_admin() -> Actor:
    """The first admin, who must be all that there is."""
    users = db.session.scalars(select(User).limit(2)).all()
    others = (db.session.scalar(select(model.id).limit(1)) for model in (Service, Project))
    admin = actor_of_user(users[0].id) if len(users) == 1 else None
    if admin is None or admin.role is not Role.ADMIN or any(others):
        raise InstallationError(
            "This installation is not empty; the demo needs one of its own: "
            "set CMS_DATA_DIR (or DATABASE_URL) to another place."
        )
    return admin


def _last_days(past: Past, incident: Incident) -> str:
    """Add what the services sent and what checks found, and tell how much that was."""
    present = past.end
    metrics = store_traffic(past.services, present, incident)
    logs = 0
    for name in VOICES:
        service = past.services[name]
        written = entries(name, present, incident)
        logs += store_entries(service.id, written, masking=False, bounded=False).accepted
    reports = sum(store_reports(each, present, incident) for each in past.services.values())
    return (
        f"{len(past.services)} services, {metrics:,} metric samples, {logs:,} log entries "
        f"and {reports:,} health reports"
    )
