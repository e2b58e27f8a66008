"""Every action, route and page, asked for by every kind of caller: what docs/permissions.md says.

A new one fails here until it has a request in tests/permissions/samples.py.
"""

from itertools import cycle

import pytest
from werkzeug.test import TestResponse

from cms_services.commands.permissions import Row
from cms_services.vocabulary import Permission
from cms_services.web.operations import PUBLIC
from cms_services.web.permissions import Caller, Outcome
from tests.databases import SERVERS
from tests.people import error_of
from tests.permissions.samples import SAMPLES
from tests.permissions.world import Ask, Party, World

REFUSED = (Outcome.UNAUTHENTICATED, Outcome.FORBIDDEN, Outcome.SIGN_IN)
STRANGERS = (Caller.ANONYMOUS, Caller.GUEST, Caller.OTHER_USER)
# Whose personal tokens are tried: one who has every part in a project, and one who may everything.
BEARERS = (Caller.OWNER, Caller.ADMIN)
# Whose answers depend on the rows of a project and its members.
IN_PROJECTS = [
    name for name, sample in SAMPLES.items() if sample.about_service or "/api/projects" in name
]


def test_each_has_a_request_to_try(rows: dict[str, Row]) -> None:
    assert set(rows) == set(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_every_caller_is_answered_as_the_table_says(
    world: World, rows: dict[str, Row], name: str
) -> None:
    _try(world, rows[name])


# The rules are the same code everywhere, and each row asks dozens of times: the servers share them.
@pytest.mark.parametrize(
    ("name", "database_kind"), list(zip(IN_PROJECTS, cycle(SERVERS))), indirect=["database_kind"]
)
def test_on_the_servers_parts_in_projects_count_too(
    world: World, rows: dict[str, Row], name: str
) -> None:
    _try(world, rows[name])


def _try(world: World, row: Row) -> None:
    parties = [*world.people.values(), *_bearers(world, row)]
    if SAMPLES[row.name].about_service:
        parties.append(world.maker)
    _try_refusals(world, row, parties)
    _try_answers(world, row, parties)


def _bearers(world: World, row: Row) -> list[Party]:
    """Those who send a personal token of one scope, for each scope there is."""
    # What is public never asks who is calling, so that one scope stands for all.
    public = row.declared.permission == PUBLIC
    scopes = (Permission.AUDIT_READ,) if public else tuple(Permission)
    return [each for caller in BEARERS for each in world.bearers(world.people[caller], scopes)]


def _try_refusals(world: World, row: Row, parties: list[Party]) -> None:
    """Whoever may not is refused as documented, and nothing at all has changed after that."""
    sample = SAMPLES[row.name]
    ask = sample.ask(world, world.people[Caller.OWNER])
    before = world.contents()
    for party in parties:
        outcome = row.answer_for(party.caller, party.scope)
        if outcome is Outcome.OWN and sample.own is not None:
            outcome = Outcome.FORBIDDEN
        if outcome in REFUSED:
            _assert_refused(world, row, ask, party, outcome)
    assert world.contents() == before


def _try_answers(world: World, row: Row, parties: list[Party]) -> None:
    """Whoever may is answered, each about things of its own, and strangers learn nothing."""
    sample = SAMPLES[row.name]
    for party in parties:
        outcome = row.answer_for(party.caller, party.scope)
        if outcome in REFUSED:
            continue
        make = sample.own if outcome is Outcome.OWN and sample.own is not None else sample.ask
        for method in _methods(row, party):
            ask = make(world, party)
            # A token has no double, since what could hurt its account is refused to it.
            sender = party if party.scope is not None else ask.by or party
            answer = world.send(row, ask, sender, method)
            assert 200 <= answer.status_code < 400, (party, method, answer.text)
            if row.declared.permission != PUBLIC:
                assert not _leads_to_the_form(answer), party
            if party.caller in STRANGERS:
                assert not [word for word in world.private if word.encode() in answer.data], party


def _assert_refused(world: World, row: Row, ask: Ask, party: Party, outcome: Outcome) -> None:
    for method in _methods(row, party):
        answer = world.send(row, ask, party, method)
        told = (party, method, answer.text)
        if outcome is Outcome.SIGN_IN:
            assert answer.status_code == 303, told
            assert _leads_to_the_form(answer), told
            continue
        assert answer.status_code == int(outcome), told
        if answer.is_json and method != "HEAD":
            code = "UNAUTHENTICATED" if outcome is Outcome.UNAUTHENTICATED else "FORBIDDEN"
            error_of(answer, int(outcome), code)


def _leads_to_the_form(answer: TestResponse) -> bool:
    location = answer.headers.get("Location", "")
    return location == "/login" or location.startswith("/login?next=")


def _methods(row: Row, party: Party) -> tuple[str, ...]:
    reads = row.methods == ("GET",) and party.scope is None
    return (*row.methods, "HEAD") if reads else row.methods
