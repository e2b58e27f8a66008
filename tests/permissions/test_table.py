"""docs/permissions.md, and the declarations that it is made of."""

from pathlib import Path

import pytest
from flask import Flask

from cms_services.commands.permissions import permissions_page
from cms_services.vocabulary import (
    RESOURCE_OF_PERMISSION,
    RESOURCES,
    Permission,
    Relation,
)
from cms_services.web.operations import PUBLIC, operation
from cms_services.web.permissions import Caller, Outcome, Page, answer_for, page_for

FILE = Path(__file__).parents[2] / "docs" / "permissions.md"


def test_the_page_is_what_the_code_declares(bare_app: Flask) -> None:
    assert FILE.read_text(encoding="utf-8") == permissions_page(bare_app), "run: make permissions"


def test_the_command_writes_it(bare_app: Flask, tmp_path: Path) -> None:
    page = permissions_page(bare_app)
    runner = bare_app.test_cli_runner()
    assert runner.invoke(args=["permissions"]).output == page
    file = tmp_path / "permissions.md"
    assert runner.invoke(args=["permissions", str(file)]).exit_code == 0
    assert file.read_text(encoding="utf-8") == page


@pytest.mark.parametrize("permission", [Permission.SERVICES_READ, Permission.PROJECTS_WRITE])
def test_no_relation_is_taken_for_granted(permission: Permission) -> None:
    with pytest.raises(TypeError, match=str(permission)):
        operation("Something", permission)
    with pytest.raises(TypeError, match=str(permission)):
        page_for(permission)


def test_a_relation_is_answered_to_those_who_have_it() -> None:
    for relation in Relation:
        declared = Page(Permission.SERVICES_WRITE, relation)
        assert answer_for(Caller.ANONYMOUS, declared) is Outcome.UNAUTHENTICATED
        assert answer_for(Caller.GUEST, declared) is Outcome.FORBIDDEN
        if relation is not Relation.ITSELF:
            assert answer_for(Caller.ADMIN, declared) in (Outcome.ALLOWED, Outcome.OWN)
        assert answer_for(Caller.INGEST_TOKEN, declared) is Outcome.FORBIDDEN
    itself = Page(Permission.METRICS_WRITE, Relation.ITSELF)
    assert [each for each in Caller if answer_for(each, itself) is Outcome.OWN] == [
        Caller.INGEST_TOKEN
    ]
    for caller in Caller:
        assert answer_for(caller, Page(PUBLIC, Relation.NONE)) is Outcome.ALLOWED


def test_the_permissions_cover_the_resources_and_no_more() -> None:
    assert set(RESOURCE_OF_PERMISSION) == set(Permission)
    covered = {(name, verb) for name, verbs in RESOURCE_OF_PERMISSION.values() for verb in verbs}
    assert covered == {(name, verb) for name, verbs in RESOURCES.items() for verb in verbs}
