"""The audit trail over all that the caller may see: who did what to which object, and when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby, islice
from typing import Any

from flask import Blueprint, Response, render_template, request, url_for
from flask_babel import gettext as _

from cms_services.accounts.users import names_of_users
from cms_services.actor import Actor
from cms_services.audit.trail import get_entry, list_entries
from cms_services.audit.verification import Verification, unmoving_view
from cms_services.catalogue.access import load_service, names_among
from cms_services.clock import to_wire
from cms_services.dashboard.audit_words import action_choices, finding_words
from cms_services.dashboard.guards import signed_in_page
from cms_services.database import AnyRow
from cms_services.encryption import current_vault
from cms_services.errors import Forbidden, NotFound
from cms_services.projects.sharing import names_of_projects, owned_project_ids
from cms_services.vocabulary import Permission, Relation
from cms_services.web.limits import DOWNLOAD
from cms_services.web.transactions import reading
from cms_services.wording import worded

audit_pages = Blueprint("audit_pages", __name__)

_PAGE_LENGTH = 50
_LONGEST = 255
_MOST_FINDINGS = 100


@audit_pages.get("/audit")
@signed_in_page(Permission.AUDIT_READ, Relation.READABLE)
def entries(actor: Actor) -> str | Response:
    given = {
        name: request.args.get(name, "").replace("\x00", "").strip()[:_LONGEST]
        for name in ("actor", "action", "subject", "since", "until")
    }
    problems: dict[str, list[str]] = {}
    since = _day(given, "since", problems)
    until = _day(given, "until", problems)
    if until is not None:
        # The last day is meant with all its hours.
        until += timedelta(days=1)
    with reading():
        page = list_entries(
            actor,
            limit=_PAGE_LENGTH,
            cursor=request.args.get("cursor"),
            owned_projects=owned_project_ids(actor),
            target_id=_id_of_subject(actor, given["subject"]),
            actor_name=given["actor"] or None,
            action=given["action"] or None,
            since=since,
            until=until,
        )
        text = render_template(
            "audit/entries.html",
            actor=actor,
            page=page,
            days=[
                (day, list(found))
                for day, found in groupby(page.items, lambda each: each.at.date())
            ],
            subjects=_subjects(actor, page.items),
            given=given,
            asked={name: value for name, value in given.items() if value},
            problems=problems,
            action_choices=action_choices(),
            span={
                name: to_wire(moment)
                for name, moment in (("since", since), ("until", until))
                if moment is not None
            },
        )
    return Response(text, 400) if problems else text


# As many as the databases can number.
@audit_pages.get("/audit/<int(max=9223372036854775807):number>")
@signed_in_page(Permission.AUDIT_READ, Relation.READABLE)
def entry(actor: Actor, number: int) -> str:
    with reading():
        found = get_entry(actor, number, owned_project_ids(actor))
        return render_template(
            "audit/entry.html", actor=actor, entry=found, subject=_subjects(actor, [found])[number]
        )


@audit_pages.get("/audit/verification")
@signed_in_page(Permission.AUDIT_READ, Relation.ADMIN)
def verification(actor: Actor) -> str:
    _require_admin(actor)
    return render_template("audit/verification.html", actor=actor, result=None)


@audit_pages.post("/audit/verification")
@signed_in_page(Permission.AUDIT_READ, Relation.ADMIN)
def verify(actor: Actor) -> str:
    _require_admin(actor)
    with unmoving_view() as connection:
        result = Verification(connection, current_vault())
        found = result.findings()
        findings = [finding_words(each) for each in islice(found, _MOST_FINDINGS)]
        more = sum(1 for _finding in found)
    return render_template(
        "audit/verification.html", actor=actor, result=result, findings=findings, more=more
    )


# It reads all there is, as the export does.
verify.limits = DOWNLOAD  # type: ignore[attr-defined]


def _require_admin(actor: Actor) -> None:
    if not actor.is_admin:
        raise Forbidden(worded("Administrators alone verify the audit trail."))


def _day(given: dict[str, str], name: str, problems: dict[str, list[str]]) -> datetime | None:
    """The beginning of a day, in UTC."""
    if not given[name]:
        return None
    try:
        day = date.fromisoformat(given[name])
        # The day after has to be one too.
        day + timedelta(days=1)
    except (ValueError, OverflowError):
        problems[name] = [_("Takes a day such as %(day)s.", day="2030-01-31")]
        return None
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _id_of_subject(actor: Actor, text: str) -> str | None:
    """The id that entries name: of the service with this number, else the text as it is."""
    if not text:
        return None
    try:
        return load_service(actor, text).id
    except (NotFound, Forbidden):
        return text


@dataclass(frozen=True, slots=True)
class Subject:
    """What an entry is about, with its page where the caller may open one."""

    label: str
    url: str | None = None


def _subjects(actor: Actor, found: Sequence[AnyRow]) -> dict[int, Subject]:
    """What entries are about, by their numbers: by name where it is still there to be seen."""
    ids: dict[str, set[str]] = {}
    for each in found:
        ids.setdefault(each.target_type, set()).add(each.target_id)
    known: dict[tuple[str, str], Subject] = {}
    for row in names_among(actor, ids.get("service", set())):
        url = url_for("service_pages.overview", service_id=row.service_id)
        known["service", row.id] = Subject(row.name, url)
    for row in names_of_projects(actor, ids.get("project", set())):
        url = url_for("project_pages.project", project_id=row.id)
        known["project", row.id] = Subject(row.name, url)
    known["user", actor.own_id] = Subject(actor.name, url_for("account_settings_pages.account"))
    if actor.may(Permission.USERS_MANAGE):
        for row in names_of_users(ids.get("user", set())):
            known["user", row.id] = Subject(row.name, url_for("admin_pages.user", user_id=row.id))
    return {
        each.id: known.get((each.target_type, each.target_id)) or Subject(_told_name(each))
        for each in found
    }


def _told_name(found: AnyRow) -> str:
    """The name that an entry itself tells of what it is about, else its id."""
    for side in ("after", "before"):
        told: Any = found.changes.get(side)
        if isinstance(told, dict):
            name = told.get("name") or told.get("email")
            if isinstance(name, str):
                return name
    return str(found.target_id)
