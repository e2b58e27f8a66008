"""The page on which a project's owner chooses what everybody may see of its services."""

from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from cms_services.actor import Actor
from cms_services.dashboard.forms import read_form, typed
from cms_services.dashboard.guards import signed_in_page
from cms_services.dashboard.messages import say
from cms_services.errors import Conflict, ValidationFailed
from cms_services.monitoring.status_pages import (
    MOST_SHOWN,
    Settings,
    ShownService,
    change_settings,
    services_to_show,
    settings_of,
)
from cms_services.projects.models import Project
from cms_services.projects.sharing import load_project
from cms_services.settings import current_settings
from cms_services.vocabulary import Permission, ProjectRole, Relation
from cms_services.web.schemas.status_pages import StatusPageIn
from cms_services.web.status_cache import forget_status_when_done
from cms_services.web.transactions import reading, writing

status_page_settings = Blueprint("status_page_settings", __name__)

_OWNER_ONLY = (ProjectRole.OWNER,)
# Of a project with more, those that are shown already and then the first by name are offered.
_MOST_OFFERED = 500


@status_page_settings.get("/projects/<project_id>/status-page")
@signed_in_page(Permission.PROJECTS_WRITE, Relation.OWNER)
def settings(actor: Actor, project_id: str) -> str:
    with reading():
        project = load_project(actor, project_id, _OWNER_ONLY)
        return _form(actor, project, settings_of(project))


@status_page_settings.post("/projects/<project_id>/status-page")
@signed_in_page(Permission.PROJECTS_WRITE, Relation.OWNER)
def save(actor: Actor, project_id: str) -> AnyResponse:
    chosen = _typed()
    try:
        with writing():
            project = load_project(actor, project_id, _OWNER_ONLY, for_change=True)
            before = settings_of(project)
            if request.form.get("version") != before.entity_tag:
                raise Conflict(
                    _("Somebody else changed this page since you opened the form. Save again to "
                      "put what you chose in that place.")
                )  # fmt: skip
            after = change_settings(actor, project, _read(chosen))
    except (ValidationFailed, Conflict) as error:
        with reading():
            project = load_project(actor, project_id, _OWNER_ONLY)
            page = _form(actor, project, chosen, error)
        return Response(page, 400 if isinstance(error, ValidationFailed) else 409)
    forget_status_when_done(before.slug, after.slug)
    say(_("The page is on.") if after.enabled else _("Saved. The page is off."))
    return redirect(url_for("status_page_settings.settings", project_id=project_id), 303)


def _typed() -> Settings:
    """What was typed, as it stands."""
    given = typed("slug", "title")
    shown = request.form.getlist("shown")
    names = typed(*(f"name-{each}" for each in shown))
    return Settings(
        enabled="enabled" in request.form,
        slug=given["slug"].strip() or None,
        title=given["title"].strip(),
        services=[ShownService(each, names[f"name-{each}"].strip()) for each in shown],
    )


def _read(wanted: Settings) -> Settings:
    """The same as the API takes it. Raises ValidationFailed."""
    services = [{"serviceId": each.service_id, "name": each.name} for each in wanted.services]
    given = {"enabled": wanted.enabled, "slug": wanted.slug, "title": wanted.title}
    read = read_form(StatusPageIn, given | {"services": services})
    return Settings(**read | {"services": [ShownService(**each) for each in read["services"]]})


def _form(
    actor: Actor,
    project: Project,
    chosen: Settings,
    error: ValidationFailed | Conflict | None = None,
) -> str:
    saved = settings_of(project)
    shown = {each.service_id: each for each in chosen.services}
    keys = {each.service_id: each.key for each in saved.services}
    offered = services_to_show(project)
    places = {number: place for place, number in enumerate(shown)}
    # Those that are shown come first, in the order of the page.
    some = sorted(offered, key=lambda each: places.get(each.service_id, len(places)))
    some = some[: max(_MOST_OFFERED, len(places))]
    return render_template(
        "status/settings.html",
        actor=actor,
        project=project,
        chosen=chosen,
        saved=saved,
        shown=shown,
        keys=keys,
        offered=some,
        left_out=len(offered) - len(some),
        most_shown=MOST_SHOWN,
        root=current_settings().public_url or request.url_root.rstrip("/"),
        message=error.message if error else None,
        problems=_by_field(error, chosen),
    )


def _by_field(error: ValidationFailed | Conflict | None, chosen: Settings) -> dict[str, Any]:
    """What is wrong, by the fields of the form; each service has one."""
    if error is None:
        return {}
    if isinstance(error, Conflict):
        return {"slug": [error.message]} if error.details else {}
    found: dict[str, list[str]] = {}
    for path, messages in error.details.items():
        name, _dot, rest = path.partition(".")
        if rest:
            position = int(rest.partition(".")[0])
            name = f"name-{chosen.services[position].service_id}"
        found.setdefault(name, []).extend(messages)
    return found
