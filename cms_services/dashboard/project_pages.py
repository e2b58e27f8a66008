"""Projects: what belongs to them, and who takes part."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from cms_services.actor import Actor
from cms_services.catalogue.listing import ServiceFilter, count_by_project, list_services
from cms_services.dashboard.forms import REFUSALS, Refusal, asked, read_form, refusal_of, typed
from cms_services.dashboard.guards import signed_in_page
from cms_services.dashboard.messages import say
from cms_services.dashboard.words import choices
from cms_services.errors import Conflict, NotFound
from cms_services.projects import sharing
from cms_services.projects.models import Project
from cms_services.vocabulary import PROJECT_WRITERS, Permission, ProjectRole, Relation, Status
from cms_services.web.schemas.projects import MemberIn, NewMember, ProjectCreation
from cms_services.web.transactions import reading, writing
from cms_services.wording import worded

project_pages = Blueprint("project_pages", __name__)

_PAGE_LENGTH = 50
_OWNER_ONLY = (ProjectRole.OWNER,)


@project_pages.get("/projects")
@signed_in_page(Permission.PROJECTS_READ, Relation.READABLE)
def projects(actor: Actor) -> str:
    q = asked("q")
    with reading():
        page = sharing.list_projects(
            actor, limit=_PAGE_LENGTH, cursor=request.args.get("cursor"), q=q or None
        )
        ids = [project.id for project in page.items]
        return render_template(
            "projects/list.html",
            actor=actor,
            page=page,
            q=q,
            counts=count_by_project(ids),
            members=sharing.members_by_project(ids),
            statuses=list(Status),
        )


@project_pages.get("/projects/new")
@signed_in_page(Permission.PROJECTS_WRITE, Relation.NONE)
def new_form(actor: Actor) -> str:
    return _new_form(actor, {}, Refusal())


@project_pages.post("/projects/new")
@signed_in_page(Permission.PROJECTS_WRITE, Relation.NONE)
def create(actor: Actor) -> AnyResponse:
    given = typed("name", "description")
    try:
        with writing():
            project_id = sharing.create_project(actor, **read_form(ProjectCreation, given)).id
    except REFUSALS as error:
        refusal = refusal_of(error)
        return refusal.page(_new_form(actor, given, refusal))
    say(_("Project made."))
    return redirect(url_for("project_pages.project", project_id=project_id), 303)


def _new_form(actor: Actor, given: Mapping[str, str], refusal: Refusal) -> str:
    return render_template("projects/new.html", actor=actor, given=given, refusal=refusal)


@project_pages.get("/projects/<project_id>")
@signed_in_page(Permission.PROJECTS_READ, Relation.VIEWER)
def project(actor: Actor, project_id: str) -> str:
    with reading():
        found = sharing.load_project(actor, project_id)
        page = list_services(
            actor,
            ServiceFilter(project=found.name),
            "name",
            _PAGE_LENGTH,
            request.args.get("cursor"),
        )
        return _page(
            "projects/project.html",
            actor,
            found,
            page=page,
            counts=count_by_project([found.id])[found.id],
            statuses=list(Status),
        )


@project_pages.get("/projects/<project_id>/edit")
@signed_in_page(Permission.PROJECTS_WRITE, Relation.EDITOR)
def edit_form(actor: Actor, project_id: str) -> str:
    with reading():
        found = sharing.load_project(actor, project_id, PROJECT_WRITERS)
        given = {"name": found.name, "description": found.description}
        return _page("projects/edit.html", actor, found, given=given, refusal=Refusal())


@project_pages.post("/projects/<project_id>/edit")
@signed_in_page(Permission.PROJECTS_WRITE, Relation.EDITOR)
def edit(actor: Actor, project_id: str) -> AnyResponse:
    given = typed("name", "description")
    try:
        with writing():
            found = sharing.load_project(actor, project_id, PROJECT_WRITERS, for_change=True)
            if request.form.get("version", found.entity_tag) != found.entity_tag:
                raise Conflict(
                    _(
                        "Somebody else saved first. What you typed is still in the form; where it "
                        "differs, what is saved now stands below the field. Save again to put "
                        "yours in its place."
                    )
                )
            sharing.update_project(actor, found, read_form(ProjectCreation, given))
    except REFUSALS as error:
        return _refused("projects/edit.html", actor, project_id, refusal_of(error), given=given)
    say(_("Saved."))
    return _to_project(project_id)


@project_pages.get("/projects/<project_id>/delete")
@signed_in_page(Permission.PROJECTS_WRITE, Relation.OWNER)
def delete_form(actor: Actor, project_id: str) -> str:
    with reading():
        found = sharing.load_project(actor, project_id, _OWNER_ONLY)
        services = sum(count_by_project([found.id])[found.id].values())
        return _page("projects/delete.html", actor, found, services=services)


@project_pages.post("/projects/<project_id>/delete")
@signed_in_page(Permission.PROJECTS_WRITE, Relation.OWNER)
def delete(actor: Actor, project_id: str) -> AnyResponse:
    with writing():
        found = sharing.load_project(actor, project_id, _OWNER_ONLY, for_change=True)
        sharing.delete_project(actor, found)
    say(_("Project removed."))
    return redirect(url_for("project_pages.projects"), 303)


@project_pages.get("/projects/<project_id>/members/add")
@signed_in_page(Permission.PROJECTS_WRITE, Relation.OWNER)
def member_form(actor: Actor, project_id: str) -> str:
    with reading():
        found = sharing.load_project(actor, project_id, _OWNER_ONLY)
        given = {"email": "", "role": ProjectRole.VIEWER}
        return _page("projects/add_member.html", actor, found, given=given, refusal=Refusal())


@project_pages.post("/projects/<project_id>/members/add")
@signed_in_page(Permission.PROJECTS_WRITE, Relation.OWNER)
def add_member(actor: Actor, project_id: str) -> AnyResponse:
    given = typed("email", "role")
    try:
        with writing():
            found = sharing.load_project(actor, project_id, _OWNER_ONLY, for_change=True)
            read = read_form(NewMember, given)
            sharing.set_member_by_address(actor, found, read["email"], ProjectRole(read["role"]))
    except REFUSALS as error:
        refusal = refusal_of(error)
        return _refused("projects/add_member.html", actor, project_id, refusal, given=given)
    say(_("%(email)s takes part now.", email=read["email"]))
    return _to_project(project_id)


@project_pages.get("/projects/<project_id>/members/<user_id>")
@signed_in_page(Permission.PROJECTS_WRITE, Relation.OWNER)
def role_form(actor: Actor, project_id: str, user_id: str) -> str:
    with reading():
        found = sharing.load_project(actor, project_id, _OWNER_ONLY)
        member = _member(found, user_id)
        return _page("projects/role.html", actor, found, member=member, refusal=Refusal())


@project_pages.post("/projects/<project_id>/members/<user_id>")
@signed_in_page(Permission.PROJECTS_WRITE, Relation.OWNER)
def change_role(actor: Actor, project_id: str, user_id: str) -> AnyResponse:
    with writing():
        found = sharing.load_project(actor, project_id, _OWNER_ONLY, for_change=True)
        _member(found, user_id)
        read = read_form(MemberIn, typed("role"))
        sharing.set_member(actor, found, user_id, ProjectRole(read["role"]))
    say(_("Saved."))
    return _to_project(project_id)


@project_pages.get("/projects/<project_id>/members/<user_id>/remove")
@signed_in_page(Permission.PROJECTS_WRITE, Relation.OWNER_OR_ITSELF)
def removal_form(actor: Actor, project_id: str, user_id: str) -> str:
    with reading():
        found = sharing.load_project(actor, project_id, _who_may_remove(actor, user_id))
        return _page("projects/remove_member.html", actor, found, member=_member(found, user_id))


@project_pages.post("/projects/<project_id>/members/<user_id>/remove")
@signed_in_page(Permission.PROJECTS_WRITE, Relation.OWNER_OR_ITSELF)
def remove_member(actor: Actor, project_id: str, user_id: str) -> AnyResponse:
    with writing():
        sharing.remove_member(actor, project_id, user_id)
    if user_id == actor.user_id and not actor.is_admin:
        say(_("You have left the project."))
        return redirect(url_for("project_pages.projects"), 303)
    say(_("Removed from the project."))
    return _to_project(project_id)


def _who_may_remove(actor: Actor, user_id: str) -> tuple[ProjectRole, ...]:
    return tuple(ProjectRole) if user_id == actor.user_id else _OWNER_ONLY


def _member(project: Project, user_id: str) -> Any:
    """The member with this id. Raises NotFound."""
    for member in sharing.list_members(project):
        if member.user_id == user_id:
            return member
    raise NotFound(worded("There is no such member."))


def _page(template: str, actor: Actor, project: Project, **shown: Any) -> str:
    """A page of one project, which knows the caller's part in it."""
    role = sharing.role_in_project(actor, project.id)
    may_write = actor.may(Permission.PROJECTS_WRITE)
    return render_template(
        template,
        actor=actor,
        project=project,
        members=sharing.list_members(project),
        role_choices=choices(ProjectRole, "role_word"),
        may_edit=may_write and role in PROJECT_WRITERS,
        may_own=may_write and role is ProjectRole.OWNER,
        may_write=may_write,
        **shown,
    )


def _refused(
    template: str, actor: Actor, project_id: str, refusal: Refusal, **shown: Any
) -> AnyResponse:
    """The form again. Raises Forbidden where that is refused too."""
    with reading():
        found = sharing.load_project(actor, project_id, PROJECT_WRITERS)
        return refusal.page(_page(template, actor, found, refusal=refusal, **shown))


def _to_project(project_id: str) -> AnyResponse:
    return redirect(url_for("project_pages.project", project_id=project_id), 303)
