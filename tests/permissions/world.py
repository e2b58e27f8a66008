"""The world in which every route is called: callers of each kind, and things to ask for.

All is made through the domain, in one transaction each, since it is made anew for every test.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar

import pyotp
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from cms_services.accounts.invitations import invite
from cms_services.accounts.models import PersonalToken, User, UserSession
from cms_services.accounts.passwords import hash_password
from cms_services.accounts.personal_tokens import PERSONAL_TOKEN_PREFIX, create_personal_token
from cms_services.accounts.random_tokens import hash_of_token, new_token
from cms_services.accounts.recovery import new_reset_token
from cms_services.accounts.second_factor import begin_enrolment, confirm_enrolment
from cms_services.accounts.sessions import begin_session, to_actor
from cms_services.accounts.tokens import TokenPair, issue_tokens
from cms_services.actor import ANONYMOUS, Actor
from cms_services.audit.trail import list_entries
from cms_services.catalogue import lifecycle
from cms_services.catalogue.models import Service
from cms_services.clock import now
from cms_services.commands.permissions import Row
from cms_services.database import new_id
from cms_services.downloads.bundles import BUNDLES
from cms_services.downloads.links import create_link
from cms_services.extensions import db
from cms_services.monitoring.ingest_tokens import create_ingest_token
from cms_services.monitoring.status_pages import Settings as StatusPageSettings
from cms_services.monitoring.status_pages import ShownService, change_settings
from cms_services.projects.models import ProjectMember
from cms_services.projects.sharing import create_project
from cms_services.provisioning.services import NewService, create_service
from cms_services.settings import current_settings
from cms_services.signing import current_signing_keys
from cms_services.vocabulary import Permission, ProjectRole, Role, ServiceType, Status
from cms_services.web.permissions import Caller
from cms_services.web.signing_in import token_lifetimes
from cms_services.web.transactions import writing
from tests.people import PASSWORD

_ROLES = {Caller.GUEST: Role.GUEST, Caller.ADMIN: Role.ADMIN}
# A guest's part opens nothing, so here it has one.
_PARTS = {
    Caller.GUEST: ProjectRole.EDITOR,
    Caller.VIEWER: ProjectRole.VIEWER,
    Caller.EDITOR: ProjectRole.EDITOR,
    Caller.OWNER: ProjectRole.OWNER,
}
PEOPLE = tuple(each for each in Caller if each not in (Caller.ANONYMOUS, Caller.INGEST_TOKEN))
Made = TypeVar("Made")


# What a service calls for that has a heartbeat check.
HEARTBEAT = {"healthChecks": [{"name": "job", "type": "heartbeat"}]}


@dataclass(frozen=True)
class Party:
    """Somebody who calls, as one kind of caller."""

    caller: Caller
    token: str | None = None
    user_id: str = ""
    email: str = ""
    # Of its personal token, where it calls with one.
    scope: Permission | None = None


@dataclass(frozen=True)
class Ask:
    """What is asked for, by whomever."""

    path: dict[str, str] = field(default_factory=dict)
    json: dict[str, Any] | None = None
    form: dict[str, str] | None = None
    query: dict[str, str] = field(default_factory=dict)
    # A body that is neither: its media type, and its bytes.
    raw: tuple[str, bytes] | None = None
    # Who asks in the place of a caller that would not be the same afterwards.
    by: Party | None = None
    # The browser that did what has to be done before.
    browser: FlaskClient | None = None


@dataclass(frozen=True)
class Thing:
    """A service or a project."""

    id: str
    name: str
    service_id: str = ""
    billing_id: str = ""
    cluster_id: str = ""


class World:
    """An owner, an editor and a viewer of a project, who share services that `maker` made in it."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        with app.app_context():
            self._password_hash = hash_password(PASSWORD)
        # What no stranger may find in an answer.
        self.private: set[str] = set()
        self._actors: dict[Caller, Actor] = {}
        self.people = {Caller.ANONYMOUS: Party(Caller.ANONYMOUS)}
        for caller, (party, actor) in self._made(self._new_people).items():
            self.people[caller], self._actors[caller] = party, actor
        self.maker = replace(self.person(Caller.OTHER_USER), caller=Caller.OWNER)
        self.project = self.new_project()
        self.service = self.new_service(configuration={"a": 1})
        self.ingesting = self.new_service(configuration=HEARTBEAT)
        text = self.ingest_token(self.ingesting.id)[1]
        self.people[Caller.INGEST_TOKEN] = Party(Caller.INGEST_TOKEN, text)
        self.private |= {self.maker.user_id, self.maker.email, self.people[Caller.OWNER].user_id}

    def person(self, caller: Caller, project: Thing | None = None) -> Party:
        """A new account that is what the caller is, in the shared project or another one."""

        def make() -> Party:
            party, _ = self._new_person(caller)
            if project is not None and caller in _PARTS:
                self._let_in(project.id, party.user_id, _PARTS[caller])
            return party

        return self._made(make)

    def double_of(self, party: Party) -> Party:
        """Another account of the same kind; one without an account is its own double."""
        return self.person(party.caller, self.project) if party.user_id else party

    def strangers_project(self) -> Thing:
        """An empty project that is another user's."""

        def make() -> Thing:
            project = create_project(self._actors[Caller.OTHER_USER], _name("Project"))
            return Thing(project.id, project.name)

        return self._made(make)

    def new_project(self) -> Thing:
        """An empty project, in which everybody has the same part as in the shared one."""

        def make() -> Thing:
            project = create_project(self._actors[Caller.OWNER], _name("Project"))
            for caller, part in _PARTS.items():
                if caller is not Caller.OWNER:
                    self._let_in(project.id, self.people[caller].user_id, part)
            return Thing(project.id, project.name)

        return self._private(self._made(make))

    def new_service(
        self, type: str = "api", *, of: Party | None = None, cancelled: bool = False, **fields: Any
    ) -> Thing:
        """A service that the maker made in the shared project, or somebody else in none."""

        def make() -> Thing:
            place = {"project": self.project.name} if of is None else {}
            owner_id = (of or self.maker).user_id
            new = NewService(
                _name("Service"), ServiceType(type), owner_id=owner_id, **place, **fields
            )
            service = create_service(self._actors[Caller.ADMIN], new)
            if cancelled:
                lifecycle.transition(self._actors[Caller.ADMIN], service, Status.CANCELLED)
            return Thing(
                service.id,
                service.name,
                service.service_id,
                service.billing_id or "",
                service.cluster_id or "",
            )

        made = self._made(make)
        return self._private(made) if of is None else made

    def entity_tag(self, service: Thing) -> str:
        """What tells the present state of a service from others."""
        with self.app.app_context():
            return db.session.get_one(Service, service.id).entity_tag

    def download_link(self, maker: Party) -> str:
        """The token of a new link that this account made to a bundle of its own."""
        service = self.new_service("hosting", of=maker)

        def make() -> str:
            actor = Actor(user_id=maker.user_id, role=Role.USER)
            return create_link(actor, BUNDLES["hosting"], service.billing_id, "zip", False)[0]

        return self._made(make)

    def status_page(self) -> str:
        """The address of a new public page, of a project of nobody who calls."""

        def make() -> str:
            admin = self._actors[Caller.ADMIN]
            project = create_project(admin, new_id())
            place = {"owner_id": admin.user_id, "project": project.name}
            service = create_service(admin, NewService(new_id(), ServiceType.API, **place))
            shown = ShownService(service.service_id, "Shown", "shown")
            change_settings(admin, project, StatusPageSettings(True, project.id, "Ours", [shown]))
            return project.id

        return self._made(make)

    def ingest_token(self, service_id: str) -> tuple[str, str]:
        """The id and the text of a new ingest token."""

        def make() -> tuple[str, str]:
            admin = self._actors[Caller.ADMIN]
            token, text = create_ingest_token(admin, service_id, "agent", None)
            # As for _personal_token().
            token.last_used_at = now()
            return token.id, text

        return self._made(make)

    def personal_token(self, party: Party) -> str:
        """The id of a new personal token of an account."""
        return self._made(lambda: _personal_token(party, Permission.ACCOUNT_READ)[0])

    def bearers(self, party: Party, scopes: Iterable[Permission]) -> list[Party]:
        """An account as the bearer of new personal tokens, of each scope alone."""

        def make() -> list[Party]:
            texts = {scope: _personal_token(party, scope)[1] for scope in scopes}
            return [replace(party, token=text, scope=scope) for scope, text in texts.items()]

        return self._made(make)

    def audit_entry_of(self, party: Party) -> str:
        """The number of the entry of something that an account did just now."""
        actor = Actor(user_id=party.user_id, role=Role.USER)

        def make() -> None:
            create_personal_token(actor, "script", [Permission.ACCOUNT_READ], None)

        self._made(make)
        with self.app.test_request_context():
            page = list_entries(actor, limit=1)
            return str(page.items[0].id)

    def sign_in(self, party: Party) -> tuple[str, TokenPair]:
        """The id and the tokens of another sign-in."""
        return self._made(lambda: _sign_in(_user(party)))

    def second_factor(self, party: Party, *, confirmed: bool = True) -> Callable[[], str]:
        """Give an account a second factor. Returns what its authenticator shows next."""

        def make() -> str:
            user = _user(party)
            secret = begin_enrolment(user).secret
            if confirmed:
                confirm_enrolment(to_actor(user), user, pyotp.TOTP(secret).now())
            return secret

        totp = pyotp.TOTP(self._made(make))
        # A code that was used for confirming is not good again; the next one is already.
        ahead = timedelta(seconds=totp.interval if confirmed else 0)
        return lambda: totp.at(now() + ahead)

    def reset_token(self, party: Party) -> str:
        """The token of a letter that sets a new password."""
        return self._made(lambda: new_reset_token(party.email) or "")

    def invitation(self) -> str:
        """The id of a new invitation."""
        return self._made(
            lambda: invite(self._actors[Caller.ADMIN], "invite", _email(), Role.USER).id
        )

    def send(self, row: Row, ask: Ask, party: Party, method: str | None = None) -> TestResponse:
        """Ask for a row as somebody."""
        method = method or row.methods[-1]
        if " " in row.name:
            path, json, query = row.name.partition(" ")[2].format(**ask.path), ask.json, ask.query
        elif method == "POST":
            path, json, query = "/services.php", {row.name: row.name} | (ask.json or {}), {}
        else:
            path, json, query = "/services.php", None, {row.name: row.name} | (ask.json or {})
        client = ask.browser or self.app.test_client(use_cookies=False)
        headers = {"Authorization": f"Bearer {party.token}"} if party.token else {}
        if ask.raw is not None:
            headers["Content-Type"], data = ask.raw
            return client.open(path, method=method, data=data, headers=headers)
        # Whole, since what is sent bit by bit holds a place until it ends.
        return client.open(
            path, method=method, json=json, data=ask.form, query_string=query, headers=headers,
            buffered=True,
        )  # fmt: skip

    def contents(self) -> dict[str, list[tuple[Any, ...]]]:
        """All that is stored, to compare."""
        with self.app.app_context(), db.engine.connect() as connection:
            return {
                table.name: [
                    tuple(row)
                    for row in connection.execute(select(table).order_by(*table.primary_key))
                ]
                for table in db.metadata.sorted_tables
            }

    def _new_people(self) -> dict[Caller, tuple[Party, Actor]]:
        return {caller: self._new_person(caller) for caller in PEOPLE}

    def _new_person(self, caller: Caller) -> tuple[Party, Actor]:
        user = User(
            email=_email(),
            name=str(caller),
            password_hash=self._password_hash,
            role=_ROLES.get(caller, Role.USER),
        )
        db.session.add(user)
        db.session.flush()
        session_id, tokens = _sign_in(user)
        party = Party(caller, tokens.access_token, user.id, user.email)
        return party, to_actor(user, session_id)

    def _let_in(self, project_id: str, user_id: str, part: ProjectRole) -> None:
        db.session.add(ProjectMember(project_id=project_id, user_id=user_id, role=part))

    def _private(self, thing: Thing) -> Thing:
        self.private |= {thing.id, thing.name, thing.service_id or thing.id}
        return thing

    def _made(self, make: Callable[[], Made]) -> Made:
        with self.app.test_request_context(), writing():
            return make()


def _sign_in(user: User) -> tuple[str, TokenPair]:
    session: UserSession = begin_session(ANONYMOUS, user, current_settings().session_lifetime)
    return session.id, issue_tokens(session, current_signing_keys(), token_lifetimes())


def _personal_token(party: Party, scope: Permission) -> tuple[str, str]:
    """The id and the text of a token, even with a scope that its account lacks."""
    text = new_token(PERSONAL_TOKEN_PREFIX)
    token = PersonalToken(
        user_id=party.user_id,
        name="script",
        token_hash=hash_of_token(text),
        scopes=[scope],
        # As if it had been used just now, so that its next use is not noted.
        last_used_at=now(),
    )
    db.session.add(token)
    db.session.flush()
    return token.id, text


def _user(party: Party) -> User:
    user = db.session.get(User, party.user_id)
    assert user is not None
    return user


def _name(kind: str) -> str:
    return f"{kind} {new_id()}"


def _email() -> str:
    return f"{new_id()}@example.com"
