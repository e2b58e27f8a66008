"""/api/projects: projects and their members."""

from typing import Any

from flask import Blueprint, url_for

from cms_services.actor import Actor
from cms_services.monitoring.status_pages import (
    Settings,
    ShownService,
    change_settings,
    settings_of,
)
from cms_services.projects import sharing
from cms_services.projects.models import Project
from cms_services.vocabulary import PROJECT_WRITERS, Permission, ProjectRole, Relation
from cms_services.web.conditional import require_match
from cms_services.web.operations import Answer, operation
from cms_services.web.schemas import projects as schemas
from cms_services.web.schemas.deletion import DeletedOut
from cms_services.web.schemas.paging import SearchQuery
from cms_services.web.schemas.status_pages import StatusPageIn, StatusPageOut
from cms_services.web.status_cache import forget_status_when_done

projects = Blueprint("projects", __name__, url_prefix="/api/projects")

_OWNER_ONLY = (ProjectRole.OWNER,)


@projects.get("")
@operation(
    "The caller's projects, own and shared",
    Permission.PROJECTS_READ,
    needs=Relation.READABLE,
    query=SearchQuery,
    answer=schemas.ProjectOut,
    many=True,
)
def index(actor: Actor, query: dict[str, Any]) -> Any:
    return sharing.list_projects(actor, **query)


@projects.post("")
@operation(
    "Make a project, which then belongs to the caller",
    Permission.PROJECTS_WRITE,
    needs=Relation.NONE,
    transaction="write",
    body=schemas.ProjectCreation,
    answer=schemas.ProjectOut,
    status=201,
    creates=True,
)
def create(actor: Actor, body: dict[str, Any]) -> Answer:
    project = sharing.create_project(actor, **body)
    return Answer(project, headers={"Location": url_for("projects.show", project_id=project.id)})


@projects.get("/<project_id>")
@operation(
    "One project", Permission.PROJECTS_READ, needs=Relation.VIEWER, answer=schemas.ProjectOut
)
def show(actor: Actor, project_id: str) -> Project:
    return sharing.load_project(actor, project_id)


@projects.patch("/<project_id>")
@operation(
    "Rename or describe a project",
    Permission.PROJECTS_WRITE,
    needs=Relation.EDITOR,
    transaction="write",
    body=schemas.ProjectChange,
    answer=schemas.ProjectOut,
    guarded=True,
)
def change(actor: Actor, project_id: str, body: dict[str, Any]) -> Project:
    project = sharing.load_project(actor, project_id, PROJECT_WRITERS, for_change=True)
    require_match(project)
    return sharing.update_project(actor, project, body)


@projects.delete("/<project_id>")
@operation(
    "Remove an empty project",
    Permission.PROJECTS_WRITE,
    needs=Relation.OWNER,
    transaction="write",
    answer=DeletedOut,
    guarded=True,
)
def delete(actor: Actor, project_id: str) -> dict[str, Any]:
    project = sharing.load_project(actor, project_id, _OWNER_ONLY, for_change=True)
    require_match(project)
    sharing.delete_project(actor, project)
    return {"id": project_id, "deleted": True}


@projects.get("/<project_id>/members")
@operation(
    "Who shares a project",
    Permission.PROJECTS_READ,
    needs=Relation.VIEWER,
    answer=schemas.MemberOut,
    many=True,
)
def members(actor: Actor, project_id: str) -> Any:
    return sharing.list_members(sharing.load_project(actor, project_id))


@projects.post("/<project_id>/members")
@operation(
    "Let the account with an e-mail address take part in a project, or change its part",
    Permission.PROJECTS_WRITE,
    needs=Relation.OWNER,
    transaction="write",
    body=schemas.NewMember,
    answer=schemas.MemberOut,
    many=True,
)
def add_member(actor: Actor, project_id: str, body: dict[str, Any]) -> Any:
    project = sharing.load_project(actor, project_id, _OWNER_ONLY, for_change=True)
    sharing.set_member_by_address(actor, project, body["email"], ProjectRole(body["role"]))
    return sharing.list_members(project)


@projects.put("/<project_id>/members/<user_id>")
@operation(
    "Let an account take part in a project, or change its part",
    Permission.PROJECTS_WRITE,
    needs=Relation.OWNER,
    transaction="write",
    body=schemas.MemberIn,
    answer=schemas.MemberOut,
    many=True,
)
def set_member(actor: Actor, project_id: str, user_id: str, body: dict[str, Any]) -> Any:
    project = sharing.load_project(actor, project_id, _OWNER_ONLY, for_change=True)
    sharing.set_member(actor, project, user_id, ProjectRole(body["role"]))
    return sharing.list_members(project)


@projects.delete("/<project_id>/members/<user_id>")
@operation(
    "End somebody's part in a project, or one's own",
    Permission.PROJECTS_WRITE,
    needs=Relation.OWNER_OR_ITSELF,
    transaction="write",
    answer=schemas.MemberOut,
    many=True,
)
def remove_member(actor: Actor, project_id: str, user_id: str) -> Any:
    return sharing.list_members(sharing.remove_member(actor, project_id, user_id))


@projects.get("/<project_id>/status-page")
@operation(
    "What the project's public status page shows, or would",
    Permission.PROJECTS_READ,
    needs=Relation.VIEWER,
    answer=StatusPageOut,
)
def status_page(actor: Actor, project_id: str) -> Settings:
    return settings_of(sharing.load_project(actor, project_id))


@projects.put("/<project_id>/status-page")
@operation(
    "Show some services of the project to everybody, or no longer",
    Permission.PROJECTS_WRITE,
    needs=Relation.OWNER,
    transaction="write",
    body=StatusPageIn,
    answer=StatusPageOut,
    guarded=True,
)
def set_status_page(actor: Actor, project_id: str, body: dict[str, Any]) -> Settings:
    project = sharing.load_project(actor, project_id, _OWNER_ONLY, for_change=True)
    before = settings_of(project)
    require_match(before)
    services = [ShownService(**each) for each in body.pop("services")]
    after = change_settings(actor, project, Settings(**body, services=services))
    forget_status_when_done(before.slug, after.slug)
    return after
