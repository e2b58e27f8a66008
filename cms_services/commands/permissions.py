"""`cms-services permissions`: docs/permissions.md, made from what the code declares."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TextIO

import click
from flask import Flask, current_app
from flask.cli import with_appcontext

from cms_services.legacy.actions import ACTIONS, CHANGING
from cms_services.vocabulary import (
    GRANT_OF_PERMISSION,
    GRANTS_OF_ROLE,
    INGEST_PERMISSIONS,
    RESOURCE_OF_PERMISSION,
    RESOURCES,
    SIGN_IN_PERMISSIONS,
    TOKEN_SCOPES,
    Permission,
    Role,
)
from cms_services.web.permissions import Caller, Declared, Outcome, Page, answer_for

_CONVERTER = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Row:
    """One thing to ask for: an action of services.php, or a method of an address."""

    name: str
    methods: tuple[str, ...]
    declared: Declared

    def answer_for(self, caller: Caller, scope: Permission | None = None) -> Outcome:
        """What docs/permissions.md says of a kind of caller."""
        found = answer_for(caller, self.declared, scope)
        reads_page = isinstance(self.declared, Page) and self.methods == ("GET",)
        if found is Outcome.UNAUTHENTICATED and reads_page:
            return Outcome.SIGN_IN
        return found


@click.command("permissions")
@click.argument("file", type=click.File("w", encoding="utf-8", lazy=True), default="-")
@with_appcontext
def permissions_command(file: TextIO) -> None:
    """Write who may do what into a FILE, or to the standard output."""
    file.write(permissions_page(current_app))


def permissions_page(app: Flask) -> str:
    """The whole of docs/permissions.md."""
    return _PAGE.format(
        roles=_lines(_table(("role", "grants"), _roles())),
        resources=", ".join(f"{name} ({', '.join(verbs)})" for name, verbs in RESOURCES.items()),
        permissions=_lines(_table(_PERMISSION_COLUMNS, _permissions())),
        sign_in=" or ".join(f"`{each}`" for each in sorted(SIGN_IN_PERMISSIONS)),
        actions=_lines(_answers("action", actions())),
        routes=_lines(_answers("method and path", routes_of(app))),
        pages=_lines(_answers("method and path", pages_of(app))),
    )


def actions() -> list[Row]:
    """The actions of services.php, in their order there."""
    return [Row(each.name, each.methods, each) for each in ACTIONS.values()]


def routes_of(app: Flask) -> list[Row]:
    """The REST operations of an application, by path."""
    return list(_declared_as(app, "operation"))


def pages_of(app: Flask) -> list[Row]:
    """The pages of an application, by path."""
    return list(_declared_as(app, "page"))


def _declared_as(app: Flask, attribute: str) -> Iterator[Row]:
    for rule in sorted(app.url_map.iter_rules(), key=lambda each: each.rule):
        declared = getattr(app.view_functions[rule.endpoint], attribute, None)
        if declared is not None:
            path = _CONVERTER.sub(lambda found: f"{{{_camel_case(found[1])}}}", rule.rule)
            for method in _METHODS:
                if method in (rule.methods or ()):
                    yield Row(f"{method} {path}", (method,), declared)


def _camel_case(name: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), name)


def _roles() -> Iterator[tuple[str, ...]]:
    for role, grants in GRANTS_OF_ROLE.items():
        yield f"`{role}`", ", ".join(f"`{grant}`" for grant in sorted(grants))


_PERMISSION_COLUMNS = (
    "permission",
    "resource",
    "grant",
    "roles",
    "personal token",
    "ingest token",
)


def _permissions() -> Iterator[tuple[str, ...]]:
    for permission in Permission:
        resource, verbs = RESOURCE_OF_PERMISSION[permission]
        grant = GRANT_OF_PERMISSION[permission]
        yield (
            f"`{permission}`",
            f"{resource}: {', '.join(verbs)}",
            f"`{grant}`",
            ", ".join(role for role in Role if GRANTS_OF_ROLE[role] & {"*", grant}),
            "yes" if permission in TOKEN_SCOPES else "never",
            "yes" if permission in INGEST_PERMISSIONS else "never",
        )


def _answers(what: str, rows: Iterable[Row]) -> Iterator[str]:
    body = (
        (_shown_name(row), f"`{row.declared.permission}`", *(row.answer_for(c) for c in Caller))
        for row in rows
    )
    return _table((what, "permission", *Caller), body)


def _shown_name(row: Row) -> str:
    if row.methods == CHANGING and row.name in ACTIONS:
        return f"`{row.name}` (POST)"
    method, _, path = row.name.rpartition(" ")
    return f"{method} `{path}`".strip()


def _table(head: tuple[str, ...], body: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for cells in (head, ("---",) * len(head), *body):
        yield f"| {' | '.join(cells)} |"


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines)


_PAGE = """\
# Permissions

`make permissions` writes this page from what the code declares, and a test compares the two: change
the code, not the page. `tests/permissions` calls every row below as every caller.

## Roles

What an account is on the whole installation.

{roles}

`*` is everything. Who is not signed in may do what is public, and `templates:read`.

## Permissions

Every action, route and page needs one of these, or is `public`: it never asks who is calling,
though signing in takes a password, and a link of a letter its token. A permission is opened by a
grant of the role, is what a token is scoped by, and stands for verbs of a resource. The resources
are {resources}.

{permissions}

## Projects

What an account is within one project, beside its role. A guest's part in a project opens nothing.

- A `viewer` reads the project, its members, its services and all that is kept of them, and may have
  their health checked.
- An `editor` also changes the services, puts new ones in, writes their logs and metrics, and
  renames and describes the project.
- An `owner` also says who takes part, and removes the project when it is empty.

Whoever a service belongs to (`ownerId`) counts as its owner, in any project or none. An admin
counts as owner of all.

## Tokens

A **personal access token** acts as its account where the account may *and* the row's permission is
among the token's scopes; else it is answered 403, even where nobody needs to sign in. A scope that
the role lacks opens nothing. What takes {sign_in} is for people who
signed in, never for a token.

An **ingest token** belongs to one service and writes its logs and metrics. Everything else that is
not public is 403.

## Who is answered what

- ✓ is answered.
- **own** is answered for what is the caller's own, and refused for other people's: 403, or 404 for
  identifiers within an account. A list holds what the caller may read.
- **401** is refused, since nobody is signed in. **403** is refused.
- **sign in** is led to the form for signing in.

Viewer, editor and owner are parts in the project that the thing belongs to; an other user has none
in it. Where a row is about no project, they are four users alike. A refusal by role or scope comes
before anything else is looked at; who has the permission learns by 404 that there is no such thing.

Some 403 are about what is asked, not about who asks: an account where registration is closed, a
service for somebody else (`ownerId`) by who is no admin, an admin's demoting or ending of its own
account, and a change with the cookie that comes from another site.

### services.php

Reading actions take GET and POST.

{actions}

A project that is not there yet is made by `createService` and is the caller's own.

### REST

{routes}

Putting a service into a project, by POST or PATCH, takes an editor of that project; a new service
in no project is the caller's own. Every member may end its own part in a project.

### Pages

{pages}
"""
