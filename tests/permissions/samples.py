"""A request for every action, route and page that is good when its sender may ask for it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cms_services.database import new_id
from cms_services.scaffolds.templates import all_templates
from cms_services.vocabulary import Status
from cms_services.web.permissions import Caller
from tests.people import PASSWORD
from tests.permissions.world import HEARTBEAT, Ask, Party, Thing, World

MakeAsk = Callable[[World, Party], Ask]
NEW_PASSWORD = "Another-horse-8"


@dataclass(frozen=True)
class Sample:
    """How to ask for a row.

    `ask` is about new things of the shared project, or of the caller's own account. Where a row is
    answered otherwise for the caller's own, `own` is about that. `about_service` tells that the
    owner of the service counts.
    """

    ask: MakeAsk
    own: MakeAsk | None = None
    about_service: bool = False


def plain(**json: Any) -> Sample:
    """A request that names nothing."""
    return Sample(lambda world, party: Ask(json=json or None))


def made(ask: Callable[[World], Ask]) -> Sample:
    """A request about something new, whoever asks."""
    return Sample(lambda world, party: ask(world))


def of_service(
    json: Any = None,
    *,
    number: str | None = None,
    query: dict[str, str] | None = None,
    **fields: Any,
) -> Sample:
    """A request about a new service, by its address."""

    def ask(world: World, party: Party) -> Ask:
        path = {"serviceId": world.new_service(**fields).id}
        return Ask(path | ({"number": number} if number else {}), json=json, query=query or {})

    return Sample(ask, about_service=True)


def of_logs_or_metrics(json: Any) -> Sample:
    """A request that writes to a service, which for its own token is that one."""
    sample = of_service(json)
    return Sample(sample.ask, lambda world, _: Ask(service_path(world.ingesting), json=json), True)


def of_project(json: Any = None) -> Sample:
    """A request about a new project."""
    return made(lambda world: Ask(project_path(world.new_project()), json=json))


def by_double(ask: Callable[[World, Party], Ask] = lambda world, double: Ask()) -> Sample:
    """A request about the caller's own account, sent by a double of it."""

    def doubled(world: World, party: Party) -> Ask:
        double = world.double_of(party)
        asked = ask(world, double)
        return Ask(asked.path, asked.json, asked.form, by=double)

    return Sample(doubled)


def by_double_with_password() -> Sample:
    return by_double(lambda world, double: Ask(json={"password": PASSWORD}))


def of_user(ask: Callable[[World, Party], Ask] | None = None, **json: Any) -> Sample:
    """A request about somebody else's account."""

    def about(world: World, _: Party) -> Ask:
        somebody = world.person(Caller.OTHER_USER)
        path = {"userId": somebody.user_id}
        more = ask(world, somebody).path if ask else {}
        return Ask(path | more, json=json or None)

    return Sample(about)


def with_account(ask: Callable[[World, Party], Ask]) -> Sample:
    """A request that anybody may send about an account, such as signing in to it."""
    return Sample(lambda world, _: ask(world, world.person(Caller.OTHER_USER)))


def new_service(**fields: Any) -> Sample:
    """A request that makes a service: in the shared project, or in one that is not there yet."""

    def ask(world: World, party: Party) -> Ask:
        return Ask(json={"name": "New", "type": "api", "project": world.project.name} | fields)

    def own(world: World, party: Party) -> Ask:
        return Ask(json={"name": "New", "type": "api", "project": new_id()} | fields)

    return Sample(ask, own)


def _new_service_form() -> Sample:
    """The same by the form, whose address says what it begins as."""

    def of(project: str) -> Ask:
        return Ask(query={"type": "api"}, form={"name": "New", "project": project})

    return Sample(lambda world, _: of(world.project.name), lambda world, _: of(new_id()))


def action(*, status: Status | None = None, **json: Any) -> Sample:
    """A call of services.php about a new service."""

    def ask(world: World, party: Party) -> Ask:
        service = world.new_service(**({"status": status} if status else {}))
        return Ask(json={"serviceId": service.service_id} | json)

    return Sample(ask, about_service=True)


def _heartbeat(service: Thing) -> Ask:
    return Ask(service_path(service) | {"check": "job"})


def service_path(service: Thing) -> dict[str, str]:
    return {"serviceId": service.id}


def project_path(project: Thing) -> dict[str, str]:
    return {"projectId": project.id}


def download(kind: str, name: str, value: Callable[[Thing], str]) -> Sample:
    return Sample(lambda world, _: Ask({name: value(world.new_service(kind))}), about_service=True)


DOWNLOADS: list[tuple[str, str, Callable[[Thing], str]]] = [
    ("kubernetes", "clusterId", lambda service: service.cluster_id),
    *(
        (kind, "billingId", lambda service: service.billing_id)
        for kind in ("hosting", "database", "domain", "vps", "cloud")
    ),
]


def _end_part(world: World, party: Party) -> Ask:
    project = world.new_project()
    member = world.person(Caller.VIEWER, project)
    return Ask(project_path(project) | {"userId": member.user_id})


def _end_own_part(world: World, party: Party) -> Ask:
    project = world.new_project()
    double = world.person(party.caller, project)
    return Ask(project_path(project) | {"userId": double.user_id}, by=double)


def _ingest_token(world: World, party: Party) -> Ask:
    service = world.new_service()
    return Ask(service_path(service) | {"tokenId": world.ingest_token(service.id)[0]})


def _both_factors(world: World, double: Party) -> Ask:
    return Ask(json={"password": PASSWORD, "code": world.second_factor(double)()})


def _both_factors_typed(world: World, double: Party) -> Ask:
    return Ask(form=_both_factors(world, double).json)


def _change_part(world: World, party: Party) -> Ask:
    return Ask(_end_part(world, party).path, form={"role": "editor"})


def _own_audit_entry(world: World, party: Party) -> Ask:
    """Of a token that the caller has just made."""
    return Ask({"number": world.audit_entry_of(party)})


def _page_of_second_factor(world: World, party: Party) -> Ask:
    """The code is asked for in the browser that has just shown the password."""
    account = world.person(Caller.OTHER_USER)
    code = world.second_factor(account)
    browser = world.app.test_client()
    shown = browser.post("/login", data={"email": account.email, "password": PASSWORD})
    assert (shown.status_code, shown.headers["Location"]) == (303, "/login/code")
    return Ask(form={"code": code()}, browser=browser)


def _configuration_form(world: World, party: Party) -> Ask:
    # A new service's configuration is its first version.
    form = {"document": "{}", "version": "1"}
    return Ask(service_path(world.new_service()), form=form)


def _settings_form(world: World, party: Party) -> Ask:
    service = world.new_service()
    form = {"name": "Renamed", "icon": "server-outline", "version": world.entity_tag(service)}
    return Ask(service_path(service), form=form)


_SUSPENDING = Sample(
    lambda world, _: Ask(service_path(world.new_service()) | {"verb": "suspend"}),
    about_service=True,
)


def _register(name: str) -> Sample:
    def ask(world: World, party: Party) -> Ask:
        given = {"email": f"{new_id()}@example.com", "name": "New", "password": NEW_PASSWORD}
        return Ask(json=given) if name == "json" else Ask(form=given)

    return Sample(ask)


_CREDENTIALS = with_account(lambda _, who: Ask(json={"email": who.email, "password": PASSWORD}))
_CONFIGURATION = {"environment": {"NAME": "value"}}
_SAMPLES = {"samples": [{"name": "requests", "value": 1}]}
_ENTRIES = {"entries": [{"level": "info", "message": "hello"}]}

ACTION_SAMPLES: dict[str, Sample] = {
    "getServices": plain(),
    "getService": action(),
    "createService": new_service(),
    "updateService": action(name="Renamed"),
    "deleteService": action(),
    "suspendService": action(),
    "resumeService": action(status=Status.INACTIVE),
    "getConfig": action(),
    "updateConfig": action(configuration=_CONFIGURATION),
    "getLogs": action(),
    "getMetrics": action(),
    "healthCheck": action(),
    "getServiceTypes": plain(),
    "getTemplates": plain(),
}

ROUTE_SAMPLES: dict[str, Sample] = {
    "GET /api/audit": plain(),
    "GET /api/audit/export": plain(),
    "GET /api/legacy/usage": plain(),
    "POST /api/auth/deactivate": by_double_with_password(),
    "POST /api/auth/login": _CREDENTIALS,
    "POST /api/auth/logout": by_double(),
    "GET /api/auth/me": plain(),
    "PATCH /api/auth/me": by_double(lambda world, _: Ask(json={"name": "Renamed"})),
    "POST /api/auth/password": by_double(
        lambda world, _: Ask(json={"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD})
    ),
    "POST /api/auth/password/forgot": with_account(lambda _, who: Ask(json={"email": who.email})),
    "POST /api/auth/password/reset": with_account(
        lambda world, who: Ask(json={"token": world.reset_token(who), "password": NEW_PASSWORD})
    ),
    "POST /api/auth/refresh": with_account(
        lambda world, who: Ask(json={"refreshToken": world.sign_in(who)[1].refresh_token})
    ),
    "POST /api/auth/register": _register("json"),
    "GET /api/auth/second-factor": plain(),
    "POST /api/auth/second-factor": by_double_with_password(),
    "POST /api/auth/second-factor/confirm": by_double(
        lambda world, double: Ask(json={"code": world.second_factor(double, confirmed=False)()})
    ),
    "POST /api/auth/second-factor/recovery-codes": by_double(_both_factors),
    "POST /api/auth/second-factor/remove": by_double(_both_factors),
    "GET /api/auth/sessions": plain(),
    "DELETE /api/auth/sessions": by_double(),
    "DELETE /api/auth/sessions/{sessionId}": by_double(
        lambda world, double: Ask({"sessionId": world.sign_in(double)[0]})
    ),
    "GET /api/auth/tokens": plain(),
    "POST /api/auth/tokens": plain(name="script", scopes=["account:read"]),
    "DELETE /api/auth/tokens/{tokenId}": Sample(
        lambda world, party: Ask({"tokenId": world.personal_token(party)})
    ),
    "GET /api/docs": plain(),
    "GET /api/events": plain(),
    "GET /api/events/stream": made(lambda _: Ask(query={"until": "2026-01-01T00:00:00Z"})),
    "GET /api/invitations": plain(),
    "POST /api/invitations": made(lambda _: Ask(json={"email": f"{new_id()}@example.com"})),
    "DELETE /api/invitations/{invitationId}": made(
        lambda world: Ask({"invitationId": world.invitation()})
    ),
    "GET /api/monitoring/prometheus/targets": plain(),
    "GET /api/openapi.json": plain(),
    "GET /api/projects": plain(),
    "POST /api/projects": made(lambda _: Ask(json={"name": new_id()})),
    "GET /api/projects/{projectId}": of_project(),
    "PATCH /api/projects/{projectId}": of_project({"description": "Changed"}),
    "DELETE /api/projects/{projectId}": of_project(),
    "GET /api/projects/{projectId}/members": of_project(),
    "POST /api/projects/{projectId}/members": made(
        lambda world: Ask(
            project_path(world.new_project()),
            json={"email": world.person(Caller.OTHER_USER).email, "role": "viewer"},
        )
    ),
    "PUT /api/projects/{projectId}/members/{userId}": made(
        lambda world: Ask(
            project_path(world.new_project()) | {"userId": world.person(Caller.OTHER_USER).user_id},
            json={"role": "viewer"},
        )
    ),
    "DELETE /api/projects/{projectId}/members/{userId}": Sample(_end_part, _end_own_part),
    "GET /api/projects/{projectId}/status-page": of_project(),
    "PUT /api/projects/{projectId}/status-page": of_project(
        {"enabled": False, "title": "Our services", "services": []}
    ),
    "GET /api/service-types": plain(),
    "GET /api/services": plain(),
    "POST /api/services": new_service(),
    # What came of each service is told in the answer; tests/dashboard/test_bulk.py has refusals.
    "POST /api/services/bulk": plain(action="suspend", serviceIds=["none"]),
    "GET /api/services/active": plain(),
    "GET /api/services/dependencies": plain(),
    **{
        f"{method} /api/services/download/{kind}/{{{name}}}{more}": download(kind, name, value)
        for kind, name, value in DOWNLOADS
        for method, more in (("GET", ""), ("POST", "/link"))
    },
    "GET /api/services/download/links/{token}": with_account(
        lambda world, who: Ask({"token": world.download_link(who)})
    ),
    "GET /api/services/{serviceId}": of_service(),
    "PATCH /api/services/{serviceId}": of_service({"name": "Renamed"}),
    "DELETE /api/services/{serviceId}": of_service(),
    "GET /api/services/{serviceId}/config": of_service(),
    "POST /api/services/{serviceId}/config": of_service(_CONFIGURATION),
    "PUT /api/services/{serviceId}/config": of_service(_CONFIGURATION),
    "GET /api/services/{serviceId}/config/dependents": of_service(),
    "POST /api/services/{serviceId}/config/reveal": of_service(
        {"path": "environment.KEY"},
        configuration={"environment": {"KEY": {"value": "a", "secret": True}}},
    ),
    "GET /api/services/{serviceId}/config/versions": of_service(),
    "GET /api/services/{serviceId}/config/versions/{number}/diff": of_service(number="1"),
    "GET /api/services/{serviceId}/config/versions/{number}": of_service(number="1"),
    "POST /api/services/{serviceId}/config/versions/{number}/restore": of_service(number="1"),
    "GET /api/services/{serviceId}/health": of_service(),
    "POST /api/services/{serviceId}/health": of_service(),
    "GET /api/services/{serviceId}/health/changes": of_service(),
    "GET /api/services/{serviceId}/health/history": of_service(),
    "GET /api/services/{serviceId}/health/uptime": of_service(),
    "POST /api/services/{serviceId}/heartbeats/{check}": Sample(
        lambda world, _: _heartbeat(world.new_service(configuration=HEARTBEAT)),
        lambda world, _: _heartbeat(world.ingesting),
        about_service=True,
    ),
    "GET /api/services/{serviceId}/ingest-tokens": of_service(),
    "POST /api/services/{serviceId}/ingest-tokens": of_service({"name": "agent"}),
    "DELETE /api/services/{serviceId}/ingest-tokens/{tokenId}": Sample(
        _ingest_token, about_service=True
    ),
    "GET /api/services/{serviceId}/logs": of_service(),
    "GET /api/services/{serviceId}/logs/export": of_service(),
    # Ends at once, since nothing more comes before then.
    "GET /api/services/{serviceId}/logs/tail": of_service(query={"until": "2026-01-01T00:00:00Z"}),
    "POST /api/services/{serviceId}/logs": of_logs_or_metrics(_ENTRIES),
    "GET /api/services/{serviceId}/metrics": of_service(),
    "GET /api/services/{serviceId}/metrics/percentiles": of_service(),
    "POST /api/services/{serviceId}/metrics": of_logs_or_metrics(_SAMPLES),
    "POST /api/services/{serviceId}/restore": of_service(cancelled=True),
    "POST /api/services/{serviceId}/resume": of_service(status=Status.INACTIVE),
    "GET /api/services/{serviceId}/scaffold": of_service(template="flask-api"),
    "POST /api/services/{serviceId}/scaffold/link": of_service(template="flask-api"),
    "POST /api/services/{serviceId}/suspend": of_service(),
    "GET /api/services/{serviceId}/usage": of_service(),
    "GET /api/templates": plain(),
    "GET /api/templates/{templateId}": made(lambda _: Ask({"templateId": all_templates()[0].id})),
    "GET /api/users": plain(),
    "POST /api/users": made(
        lambda _: Ask(json={"email": f"{new_id()}@example.com", "password": NEW_PASSWORD})
    ),
    "GET /api/users/{userId}": of_user(),
    "PATCH /api/users/{userId}": of_user(name="Renamed"),
    "DELETE /api/users/{userId}/second-factor": of_user(),
    "GET /api/users/{userId}/sessions": of_user(),
    "DELETE /api/users/{userId}/sessions": of_user(),
    "GET /api/users/{userId}/tokens": of_user(),
    "DELETE /api/users/{userId}/tokens/{tokenId}": of_user(
        lambda world, somebody: Ask({"tokenId": world.personal_token(somebody)})
    ),
    "POST /api/v1/write": made(lambda _: Ask(raw=("application/x-protobuf", b"\0"))),
    "POST /loki/api/v1/push": plain(streams=[]),
    "POST /v1/logs": plain(resourceLogs=[]),
    "POST /v1/metrics": plain(resourceMetrics=[]),
    "GET /healthz": plain(),
    "GET /metrics": plain(),
    "GET /readyz": plain(),
}

PAGE_SAMPLES: dict[str, Sample] = {
    "GET /": plain(),
    "GET /account": plain(),
    "POST /account": by_double(lambda world, _: Ask(form={"name": "Renamed"})),
    "GET /account/deactivate": plain(),
    "POST /account/deactivate": by_double(lambda world, _: Ask(form={"password": PASSWORD})),
    "GET /account/password": plain(),
    "POST /account/password": by_double(
        lambda world, _: Ask(form={"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD})
    ),
    "GET /account/second-factor": plain(),
    "POST /account/second-factor": by_double(lambda world, _: Ask(form={"password": PASSWORD})),
    "GET /account/second-factor/confirm": plain(),
    "POST /account/second-factor/confirm": by_double(
        lambda world, double: Ask(form={"code": world.second_factor(double, confirmed=False)()})
    ),
    "GET /account/second-factor/recovery-codes": plain(),
    "POST /account/second-factor/recovery-codes": by_double(_both_factors_typed),
    "GET /account/second-factor/remove": plain(),
    "POST /account/second-factor/remove": by_double(_both_factors_typed),
    "GET /account/sign-ins": plain(),
    "GET /account/sign-ins/end-others": plain(),
    "POST /account/sign-ins/end-others": by_double(),
    "POST /account/sign-ins/{sessionId}/end": by_double(
        lambda world, double: Ask({"sessionId": world.sign_in(double)[0]})
    ),
    "GET /account/tokens": plain(),
    "GET /account/tokens/new": plain(),
    "POST /account/tokens/new": made(
        lambda _: Ask(form={"name": "script", "scopes": "account:read", "expiry": "30"})
    ),
    **{
        f"{method} /account/tokens/{{tokenId}}/revoke": Sample(
            lambda world, party: Ask({"tokenId": world.personal_token(party)})
        )
        for method in ("GET", "POST")
    },
    "GET /admin/invitations": plain(),
    "GET /admin/invitations/new": plain(),
    "POST /admin/invitations/new": made(
        lambda _: Ask(form={"email": f"{new_id()}@example.com", "role": "user"})
    ),
    **{
        f"{method} /admin/invitations/{{invitationId}}/revoke": made(
            lambda world: Ask({"invitationId": world.invitation()})
        )
        for method in ("GET", "POST")
    },
    "GET /admin/users": plain(),
    "GET /admin/users/new": plain(),
    "POST /admin/users/new": made(
        lambda _: Ask(
            form={
                "email": f"{new_id()}@example.com",
                "name": "New",
                "password": NEW_PASSWORD,
                "role": "user",
            }
        )
    ),
    "GET /admin/users/{userId}": of_user(),
    "POST /admin/users/{userId}": made(
        lambda world: Ask(
            {"userId": world.person(Caller.OTHER_USER).user_id},
            form={"name": "Renamed", "role": "user"},
        )
    ),
    **{
        f"{method} /admin/users/{{userId}}/{{verb}}": of_user(lambda *_: Ask({"verb": "end"}))
        for method in ("GET", "POST")
    },
    **{
        f"{method} /admin/users/{{userId}}/{what}": of_user()
        for method in ("GET", "POST")
        for what in ("sign-ins/end", "second-factor/remove")
    },
    "GET /admin/users/{userId}/password": of_user(),
    "POST /admin/users/{userId}/password": made(
        lambda world: Ask(
            {"userId": world.person(Caller.OTHER_USER).user_id}, form={"password": NEW_PASSWORD}
        )
    ),
    **{
        f"{method} /admin/users/{{userId}}/tokens/{{tokenId}}/revoke": of_user(
            lambda world, somebody: Ask({"tokenId": world.personal_token(somebody)})
        )
        for method in ("GET", "POST")
    },
    "GET /legacy-usage": plain(),
    "GET /audit": plain(),
    "GET /audit/{number}": Sample(_own_audit_entry),
    "GET /audit/verification": plain(),
    "POST /audit/verification": plain(),
    "GET /login": plain(),
    "POST /login": with_account(
        lambda _, who: Ask(form={"email": who.email, "password": PASSWORD})
    ),
    "GET /login/code": plain(),
    "POST /login/code": Sample(_page_of_second_factor),
    "POST /logout": by_double(),
    "POST /preferences": made(lambda _: Ask(form={"theme": "dark"})),
    "GET /password/forgot": plain(),
    "POST /password/forgot": with_account(lambda _, who: Ask(form={"email": who.email})),
    "GET /password/reset": plain(),
    "POST /password/reset": with_account(
        lambda world, who: Ask(form={"token": world.reset_token(who), "password": NEW_PASSWORD})
    ),
    "GET /projects": plain(),
    "GET /projects/new": plain(),
    "POST /projects/new": made(lambda _: Ask(form={"name": new_id()})),
    "GET /projects/{projectId}": of_project(),
    "GET /projects/{projectId}/edit": of_project(),
    "POST /projects/{projectId}/edit": made(
        lambda world: Ask(project_path(world.new_project()), form={"name": new_id()})
    ),
    "GET /projects/{projectId}/delete": of_project(),
    "POST /projects/{projectId}/delete": of_project(),
    "GET /projects/{projectId}/members/add": of_project(),
    "POST /projects/{projectId}/members/add": made(
        lambda world: Ask(
            project_path(world.new_project()),
            form={"email": world.person(Caller.OTHER_USER).email, "role": "viewer"},
        )
    ),
    "GET /projects/{projectId}/members/{userId}": Sample(_end_part),
    "POST /projects/{projectId}/members/{userId}": Sample(_change_part),
    **{
        f"{method} /projects/{{projectId}}/members/{{userId}}/remove": Sample(
            _end_part, _end_own_part
        )
        for method in ("GET", "POST")
    },
    "GET /register": plain(),
    "POST /register": _register("form"),
    "GET /services/bulk": plain(),
    "POST /services/bulk": made(lambda _: Ask(form={"action": "suspend", "id": "none"})),
    "GET /services/new": plain(),
    "POST /services/new": _new_service_form(),
    "POST /services/new/check": made(
        lambda _: Ask(query={"type": "api"}, form={"project": new_id()})
    ),
    "GET /projects/{projectId}/status-page": of_project(),
    "POST /projects/{projectId}/status-page": made(
        lambda world: Ask(
            project_path(world.new_project()), form={"version": "none", "title": "Our services"}
        )
    ),
    "GET /status/{slug}": made(lambda world: Ask({"slug": world.status_page()})),
    "GET /status/{slug}/badge.svg": made(lambda world: Ask({"slug": world.status_page()})),
    "GET /status/{slug}/{key}/badge.svg": made(
        lambda world: Ask({"slug": world.status_page(), "key": "shown"})
    ),
    "GET /wall": plain(),
    "GET /map": plain(),
    "GET /services/{serviceId}": of_service(),
    "GET /services/{serviceId}/configuration": of_service(),
    "GET /services/{serviceId}/downloads": of_service(),
    "GET /services/{serviceId}/health": of_service(),
    "POST /services/{serviceId}/health": of_service(),
    "GET /services/{serviceId}/logs": of_service(),
    "GET /services/{serviceId}/metrics": of_service(),
    "POST /services/{serviceId}/configuration": Sample(_configuration_form, about_service=True),
    "POST /services/{serviceId}/configuration/check": Sample(
        _configuration_form, about_service=True
    ),
    "GET /services/{serviceId}/configuration/versions": of_service(),
    "GET /services/{serviceId}/configuration/versions/compare": of_service(
        query={"since": "0", "to": "1"}
    ),
    "GET /services/{serviceId}/configuration/versions/{number}/restore": of_service(number="1"),
    "POST /services/{serviceId}/configuration/versions/{number}/restore": of_service(number="1"),
    "GET /services/{serviceId}/audit": of_service(),
    "GET /services/{serviceId}/dependencies": of_service(),
    "GET /services/{serviceId}/restore": of_service(cancelled=True),
    "POST /services/{serviceId}/restore": of_service(cancelled=True),
    "GET /services/{serviceId}/settings": of_service(),
    "POST /services/{serviceId}/settings": Sample(_settings_form, about_service=True),
    "GET /services/{serviceId}/settings/tokens": of_service(),
    "POST /services/{serviceId}/settings/tokens": Sample(
        lambda world, _: Ask(service_path(world.new_service()), form={"name": "agent"}),
        about_service=True,
    ),
    "GET /services/{serviceId}/settings/tokens/{tokenId}/revoke": Sample(
        _ingest_token, about_service=True
    ),
    "POST /services/{serviceId}/settings/tokens/{tokenId}/revoke": Sample(
        _ingest_token, about_service=True
    ),
    "GET /services/{serviceId}/{verb}": _SUSPENDING,
    "POST /services/{serviceId}/{verb}": _SUSPENDING,
}

SAMPLES = ACTION_SAMPLES | ROUTE_SAMPLES | PAGE_SAMPLES
