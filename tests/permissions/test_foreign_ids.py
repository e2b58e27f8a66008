"""Other people's identifiers, in every place where a request can name one."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from cms_services.commands.permissions import Row
from cms_services.database import new_id
from cms_services.legacy.actions import ACTIONS
from cms_services.vocabulary import TYPES_OF_FAMILY, Family, Permission
from cms_services.web.permissions import Caller
from tests.people import data_of, error_of
from tests.permissions.samples import SAMPLES
from tests.permissions.world import Ask, Party, Thing, World

# The three databases are asked the same queries, which test_every_route.py tries on each.
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def strangers_service(world: World, type: str = "api") -> Thing:
    return world.new_service(type, of=world.people[Caller.OTHER_USER])


def billed_together(world: World) -> str:
    """The number of a bill that covers a stranger's subscription of each type."""
    stranger, number = world.people[Caller.OTHER_USER], new_id()
    for type in TYPES_OF_FAMILY[Family.SUBSCRIPTION]:
        world.new_service(type, of=stranger, billing_id=number)
    return number


def identifiers(service: Thing) -> list[str]:
    return [service.id, service.service_id]


def strangers_personal_token(world: World) -> str:
    return world.personal_token(world.people[Caller.OTHER_USER])


def strangers_session(world: World) -> str:
    return world.sign_in(world.people[Caller.OTHER_USER])[0]


def strangers_audit_entry(world: World) -> str:
    return world.audit_entry_of(world.people[Caller.OTHER_USER])


def ingest_token_of_another_service(world: World) -> str:
    return world.ingest_token(strangers_service(world).id)[0]


def number_of_another_configuration(world: World) -> str:
    configured_twice(world)
    return "2"


def heartbeat_of_another_service(world: World) -> str:
    heartbeat = {"healthChecks": [{"name": "theirs", "type": "heartbeat"}]}
    world.new_service(of=world.people[Caller.OTHER_USER], configuration=heartbeat)
    return "theirs"


def somebody_without_a_part(world: World) -> str:
    return world.people[Caller.OTHER_USER].user_id


# A stranger's thing by its identifiers, by the name of the place in the path.
STRANGERS: dict[str, Callable[[World], list[str]]] = {
    "serviceId": lambda world: identifiers(strangers_service(world)),
    "projectId": lambda world: [world.strangers_project().id],
    "clusterId": lambda world: [strangers_service(world, "kubernetes").cluster_id],
    "billingId": lambda world: [billed_together(world)],
}
_VERSION = "/api/services/{serviceId}/config/versions/{number}"
_RESTORE_PAGE = "/services/{serviceId}/configuration/versions/{number}/restore"
# What belongs to something else than the path names before it, or to another account.
ELSEWHERE: dict[tuple[str, str], Callable[[World], str]] = {
    (f"GET {_VERSION}", "number"): number_of_another_configuration,
    (f"GET {_VERSION}/diff", "number"): number_of_another_configuration,
    (f"POST {_VERSION}/restore", "number"): number_of_another_configuration,
    (f"GET {_RESTORE_PAGE}", "number"): number_of_another_configuration,
    (f"POST {_RESTORE_PAGE}", "number"): number_of_another_configuration,
    (
        "DELETE /api/services/{serviceId}/ingest-tokens/{tokenId}",
        "tokenId",
    ): ingest_token_of_another_service,
    **{
        (
            f"{method} /services/{{serviceId}}/settings/tokens/{{tokenId}}/revoke",
            "tokenId",
        ): ingest_token_of_another_service
        for method in ("GET", "POST")
    },
    (
        "POST /api/services/{serviceId}/heartbeats/{check}",
        "check",
    ): heartbeat_of_another_service,
    ("DELETE /api/auth/tokens/{tokenId}", "tokenId"): strangers_personal_token,
    ("DELETE /api/auth/sessions/{sessionId}", "sessionId"): strangers_session,
    ("DELETE /api/projects/{projectId}/members/{userId}", "userId"): somebody_without_a_part,
    ("DELETE /api/users/{userId}/tokens/{tokenId}", "tokenId"): strangers_personal_token,
    ("POST /account/sign-ins/{sessionId}/end", "sessionId"): strangers_session,
    ("GET /audit/{number}", "number"): strangers_audit_entry,
    **{
        (f"{method} {path}", place): foreign
        for method in ("GET", "POST")
        for path, place, foreign in (
            ("/account/tokens/{tokenId}/revoke", "tokenId", strangers_personal_token),
            ("/admin/users/{userId}/tokens/{tokenId}/revoke", "tokenId", strangers_personal_token),
            ("/projects/{projectId}/members/{userId}", "userId", somebody_without_a_part),
            ("/projects/{projectId}/members/{userId}/remove", "userId", somebody_without_a_part),
        )
    },
}
# Places in which nothing is foreign: to admins, or since any account may be let into a project.
NOTHING_FOREIGN = (
    ("POST /api/services/{serviceId}/restore", "serviceId"),
    ("PUT /api/projects/{projectId}/members/{userId}", "userId"),
    ("DELETE /api/invitations/{invitationId}", "invitationId"),
    ("GET /api/templates/{templateId}", "templateId"),
    ("GET /services/{serviceId}/{verb}", "verb"),
    ("POST /services/{serviceId}/{verb}", "verb"),
    ("GET /services/{serviceId}/restore", "serviceId"),
    ("POST /services/{serviceId}/restore", "serviceId"),
    ("GET /api/services/download/links/{token}", "token"),
    *((name, "userId") for name in SAMPLES if "/users/{userId}" in name),
    *((name, "verb") for name in SAMPLES if "/admin/users/{userId}/{verb}" in name),
    *((name, "invitationId") for name in SAMPLES if "/admin/invitations/{" in name),
    ("GET /status/{slug}", "slug"),
    ("GET /status/{slug}/badge.svg", "slug"),
    ("GET /status/{slug}/{key}/badge.svg", "slug"),
    ("GET /status/{slug}/{key}/badge.svg", "key"),
    *((name, "userId") for name in SAMPLES if " /api/users/{userId}" in name),
)
PLACES = [(name, place) for name in SAMPLES for place in re.findall(r"{(\w+)}", name)]
STRANGERS_PLACES = [each for each in PLACES if each[1] in STRANGERS and each not in NOTHING_FOREIGN]


def test_every_place_is_tried() -> None:
    assert set(PLACES) == {*STRANGERS_PLACES, *ELSEWHERE, *NOTHING_FOREIGN}


@on_sqlite
@pytest.mark.parametrize(("name", "place"), STRANGERS_PLACES)
def test_a_strangers_thing_is_refused(
    world: World, rows: dict[str, Row], name: str, place: str
) -> None:
    owner = world.people[Caller.OWNER]
    ask = SAMPLES[name].ask(world, owner)
    foreign = STRANGERS[place](world)
    before = world.contents()
    for identifier in foreign:
        answer = world.send(rows[name], _with(ask, place, identifier), owner)
        assert answer.status_code == 403, answer.text
    assert world.contents() == before


@on_sqlite
@pytest.mark.parametrize(("name", "place"), ELSEWHERE)
def test_what_belongs_elsewhere_is_not_there(
    world: World, rows: dict[str, Row], name: str, place: str
) -> None:
    caller = Caller.ADMIN if "/users/" in name else Caller.OWNER
    ask = SAMPLES[name].ask(world, world.people[caller])
    foreign = ELSEWHERE[name, place](world)
    before = world.contents()
    answer = world.send(rows[name], _with(ask, place, foreign), world.people[caller])
    if " /api/" in name:
        error_of(answer, 404, "NOT_FOUND")
    assert answer.status_code == 404, answer.text
    assert world.contents() == before


@on_sqlite
@pytest.mark.parametrize("name", [name for name in ACTIONS if SAMPLES[name].about_service])
def test_services_php_refuses_a_strangers_service(
    world: World, rows: dict[str, Row], name: str
) -> None:
    owner = world.people[Caller.OWNER]
    ask = SAMPLES[name].ask(world, owner)
    foreign = identifiers(strangers_service(world))
    before = world.contents()
    for identifier in foreign:
        for method in rows[name].methods:
            asked = Ask(json=(ask.json or {}) | {"serviceId": identifier})
            error_of(world.send(rows[name], asked, owner, method), 403, "FORBIDDEN")
    assert world.contents() == before


@on_sqlite
def test_an_ingest_token_writes_to_its_own_service_alone(
    world: World, rows: dict[str, Row]
) -> None:
    bearer = world.people[Caller.INGEST_TOKEN]
    for kind in ("logs", "metrics"):
        name = f"POST /api/services/{{serviceId}}/{kind}"
        ask = SAMPLES[name].ask(world, bearer)
        for identifier in identifiers(world.ingesting):
            data_of(world.send(rows[name], _with(ask, "serviceId", identifier), bearer), 202)
        others = (world.service, strangers_service(world))
        before = world.contents()
        for identifier in (each for service in others for each in identifiers(service)):
            answer = world.send(rows[name], _with(ask, "serviceId", identifier), bearer)
            error_of(answer, 403, "FORBIDDEN")
        assert world.contents() == before


@on_sqlite
class TestBodies:
    @pytest.mark.parametrize("caller", [Caller.VIEWER, Caller.OTHER_USER])
    @pytest.mark.parametrize("name", ["PATCH /api/services/{serviceId}", "updateService"])
    def test_nobody_moves_a_service_into_a_project_that_it_may_not_change(
        self, world: World, rows: dict[str, Row], name: str, caller: Caller
    ) -> None:
        party = world.people[caller]
        own = world.new_service(of=party)
        body = {"project": world.project.name}
        ask = Ask({"serviceId": own.id}, json=body | ({} if " " in name else {"serviceId": own.id}))
        before = world.contents()
        error_of(world.send(rows[name], ask, party), 403, "FORBIDDEN")
        assert world.contents() == before

    def test_only_an_admin_makes_a_service_for_somebody_else(
        self, world: World, rows: dict[str, Row]
    ) -> None:
        row = rows["POST /api/services"]
        stranger = world.people[Caller.OTHER_USER].user_id
        ask = Ask(json={"name": "New", "type": "api", "ownerId": stranger})
        before = world.contents()
        error_of(world.send(row, ask, world.people[Caller.OWNER]), 403, "FORBIDDEN")
        assert world.contents() == before
        made = data_of(world.send(row, ask, world.people[Caller.ADMIN]), 201)
        assert made["ownerId"] == stranger

    def test_nobody_makes_a_token_of_a_scope_that_it_lacks(
        self, world: World, rows: dict[str, Row]
    ) -> None:
        before = world.contents()
        for scope in (Permission.SERVICES_RESTORE, Permission.USERS_MANAGE):
            ask = Ask(json={"name": "script", "scopes": ["account:read", scope]})
            answer = world.send(rows["POST /api/auth/tokens"], ask, world.people[Caller.OWNER])
            assert list(error_of(answer, 400, "VALIDATION_ERROR")["details"]) == ["scopes"]
        assert world.contents() == before


@on_sqlite
class TestCursors:
    @pytest.mark.parametrize(
        "name", ["GET /api/services", "GET /api/projects", "GET /api/audit", "GET /api/events"]
    )
    def test_a_strangers_cursor_shows_nothing_of_the_stranger(
        self, world: World, rows: dict[str, Row], name: str
    ) -> None:
        stranger = world.people[Caller.OTHER_USER]
        things = [world.new_service(of=stranger) for _ in range(3)]
        things += [world.strangers_project() for _ in range(3)]
        cursor = _first_cursor(world, rows[name], {}, stranger)
        ask = Ask(query={"cursor": cursor})
        answer = world.send(rows[name], ask, world.people[Caller.OWNER])
        data_of(answer)
        for thing in things:
            assert thing.id not in answer.text and thing.name not in answer.text
        data_of(world.send(rows[name], ask, stranger))

    @pytest.mark.parametrize(
        "kind", ["logs", "config/versions", "health/history", "health/changes"]
    )
    def test_another_services_cursor_shows_nothing_of_that_service(
        self, world: World, rows: dict[str, Row], kind: str
    ) -> None:
        row = rows[f"GET /api/services/{{serviceId}}/{kind}"]
        stranger = world.people[Caller.OTHER_USER]
        service = configured_twice(world)
        path = {"serviceId": service.id}
        entries = {"entries": [{"level": "info", "message": "theirs"}] * 3}
        data_of(
            world.send(
                rows["POST /api/services/{serviceId}/logs"], Ask(path, json=entries), stranger
            ),
            202,
        )
        for _ in range(3):
            data_of(world.send(rows["POST /api/services/{serviceId}/health"], Ask(path), stranger))
        cursor = _first_cursor(world, row, path, stranger)
        ask = Ask({"serviceId": world.new_service().id}, query={"cursor": cursor})
        shown = data_of(world.send(row, ask, world.people[Caller.OWNER]))
        # The new service has one version, and neither entries nor reports.
        assert len(shown) == (1 if kind == "config/versions" else 0)


def _with(ask: Ask, place: str, identifier: str) -> Ask:
    return Ask(ask.path | {place: identifier}, ask.json, ask.form, ask.query)


def configured_twice(world: World) -> Thing:
    """A stranger's service whose configuration has two versions."""
    service = strangers_service(world)
    stranger = world.people[Caller.OTHER_USER]
    client = world.app.test_client(use_cookies=False)
    headers = {"Authorization": f"Bearer {stranger.token}"}
    data_of(client.post(f"/api/services/{service.id}/config", json={"b": 2}, headers=headers))
    return service


def _first_cursor(world: World, row: Row, path: dict[str, str], party: Party) -> str:
    answer: Any = world.send(row, Ask(path, query={"limit": "1"}), party).json
    cursor: str = answer["meta"]["nextCursor"]
    return cursor
