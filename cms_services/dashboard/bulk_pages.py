"""One change of many services: what will happen, then what came of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, render_template, request, url_for
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString
from werkzeug.wrappers import Response as AnyResponse

from cms_services.actor import Actor
from cms_services.catalogue.access import changeable_among, load_service
from cms_services.catalogue.bulk import MOST_AT_ONCE, TAGGING, BulkAction, BulkChange
from cms_services.catalogue.models import Service
from cms_services.configuration.dependency_graph import Node, dependants_of, graph_of
from cms_services.dashboard.guards import path_within, signed_in_page
from cms_services.dashboard.words import WORD_FILTERS
from cms_services.errors import DomainError, ValidationFailed
from cms_services.vocabulary import SUSPENDED_STATUS, TRANSITIONS, Permission, Relation, Status
from cms_services.web.bulk import change_each
from cms_services.web.transactions import reading
from cms_services.wording import worded

bulk_pages = Blueprint("bulk_pages", __name__)


@dataclass(frozen=True)
class _Words:
    """How an action is told, and which one takes it back."""

    title: LazyString
    icon: str
    back: BulkAction
    take_back: LazyString


_WORDS = {
    BulkAction.SUSPEND: _Words(_("Suspend services"), "pause", BulkAction.RESUME, _("Resume them")),
    BulkAction.RESUME: _Words(_("Resume services"), "play", BulkAction.SUSPEND, _("Suspend them")),
    BulkAction.TAG: _Words(_("Add tags"), "tag", BulkAction.UNTAG, _("Remove tags from them")),
    BulkAction.UNTAG: _Words(_("Remove tags"), "x", BulkAction.TAG, _("Add tags to them")),
}


_TOO_MANY = {"id": [worded("Takes at most %(most)s services at once.", most=MOST_AT_ONCE)]}


@dataclass(frozen=True)
class _Selected:
    """A service that was selected, and what stands against the change, if anything."""

    identifier: str
    service: Service | None = None
    obstacle: str | None = None
    # What it will be, where that is another status than now.
    becomes: str | None = None


@bulk_pages.get("/services/bulk")
@signed_in_page(Permission.SERVICES_WRITE, Relation.READABLE)
def confirm(actor: Actor) -> str:
    return _confirmation(actor, request.args, {})


@bulk_pages.post("/services/bulk")
@signed_in_page(Permission.SERVICES_WRITE, Relation.READABLE)
def change(actor: Actor) -> AnyResponse:
    identifiers = _identifiers(request.form)
    action = _action(request.form)
    try:
        if action is None:
            raise ValidationFailed({"action": [gettext("Choose what to do.")]})
        if len(identifiers) > MOST_AT_ONCE:
            # Rather none than some of them.
            raise ValidationFailed(_TOO_MANY)
        made = BulkChange(action, _typed_tags() if action in TAGGING else ())
    except ValidationFailed as error:
        return Response(_confirmation(actor, request.form, error.details), 400)
    results = change_each(actor, made, identifiers)
    with reading():
        names = {each.service_id: each.name for each in results if each.ok}
        names |= _names(actor, [each.service_id for each in results if not each.ok])
        page = render_template(
            "services/bulk_results.html",
            actor=actor,
            action=action,
            words=_WORDS[action],
            results=results,
            names=names,
            done=[each for each in results if each.ok],
            back=_back(request.form),
        )
    return Response(page)


def _confirmation(
    actor: Actor, given: Mapping[str, Any], problems: Mapping[str, Sequence[str]]
) -> str:
    action = _action(given)
    identifiers = _identifiers(given)
    if len(identifiers) > MOST_AT_ONCE:
        problems = _TOO_MANY | dict(problems)
    with reading():
        wanted = identifiers[:MOST_AT_ONCE]
        selected = [] if action is None else _selected(actor, action, wanted)
        ready = [each.service for each in selected if each.service and not each.obstacle]
        dependants = _dependants(actor, ready) if action is BulkAction.SUSPEND else []
        return render_template(
            "services/bulk.html",
            actor=actor,
            action=action,
            words=_WORDS.get(action) if action else None,
            takes_tags=action in TAGGING,
            selected=selected,
            ready=ready,
            dependants=dependants,
            problems=problems,
            tags=given.get("tags", ""),
            back=_back(given),
        )


def _selected(actor: Actor, action: BulkAction, identifiers: Sequence[str]) -> list[_Selected]:
    found: list[_Selected] = []
    for each in identifiers:
        try:
            found.append(_Selected(each, load_service(actor, each)))
        except DomainError as error:
            found.append(_Selected(each, obstacle=error.message))
    changeable = changeable_among(actor, [each.service.id for each in found if each.service])
    return [_judged(each, action, changeable) for each in found]


def _judged(selected: _Selected, action: BulkAction, changeable: set[str]) -> _Selected:
    service = selected.service
    if service is None:
        return selected
    becomes, obstacle = None, None
    if service.id not in changeable:
        obstacle = gettext("You may look at it, but not change it.")
    elif service.status == Status.CANCELLED:
        obstacle = gettext("It is cancelled.")
    elif action not in TAGGING:
        to = Status.ACTIVE if action is BulkAction.RESUME else SUSPENDED_STATUS[service.family]
        if to == service.status:
            obstacle = gettext("It is %(status)s already.", status=WORD_FILTERS["status_word"](to))
        elif to in TRANSITIONS[service.family][Status(service.status)]:
            becomes = to
    return _Selected(selected.identifier, service, obstacle, becomes)


def _dependants(actor: Actor, services: Sequence[Service]) -> list[Node]:
    """What needs any of the services and is not among them."""
    graph = graph_of(actor)
    own = {each.id for each in services}
    found = {
        node.id: node
        for each in services
        if each.id in graph.nodes
        for node in dependants_of(graph, each.id)
    }
    return sorted(
        (node for id, node in found.items() if id not in own), key=lambda node: (node.name, node.id)
    )


def _names(actor: Actor, identifiers: Sequence[str]) -> dict[str, str]:
    """The names of those services that the caller may read, as the caller named them."""
    names = {}
    for each in identifiers:
        try:
            names[each] = load_service(actor, each).name
        except DomainError:
            continue
    return names


def _identifiers(given: Any) -> list[str]:
    return list(dict.fromkeys(given.getlist("id")))


def _action(given: Mapping[str, Any]) -> BulkAction | None:
    name = given.get("action", "")
    return BulkAction(name) if name in [*BulkAction] else None


def _typed_tags() -> list[str]:
    return request.form.get("tags", "").replace(",", " ").split()


def _back(given: Mapping[str, Any]) -> str:
    return path_within(given.get("back")) or url_for("service_list.services")
