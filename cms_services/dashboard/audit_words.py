"""What an audit entry tells, in words and as differences, for templates/parts/changes.html."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from flask_babel import format_datetime
from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from cms_services.audit.verification import Damage, Finding
from cms_services.configuration.differences import differences
from cms_services.dashboard.words import WORD_FILTERS
from cms_services.vocabulary import EventType

_ACTIONS: dict[str, LazyString] = {
    EventType.SERVICE_CREATED: _("Service created"),
    EventType.SERVICE_UPDATED: _("Service changed"),
    EventType.SERVICE_CONFIGURED: _("Configuration changed"),
    EventType.SERVICE_ACTIVATED: _("Resumed"),
    EventType.SERVICE_DEACTIVATED: _("Made inactive"),
    EventType.SERVICE_MAINTENANCE_STARTED: _("Maintenance begun"),
    EventType.SERVICE_SUSPENDED: _("Suspended"),
    EventType.SERVICE_CANCELLED: _("Cancelled"),
    EventType.SERVICE_RESTORED: _("Restored"),
    EventType.SERVICE_PURGED: _("Purged"),
    EventType.SERVICE_DOWNLOADED: _("Downloaded"),
    EventType.SERVICE_LINKED: _("Download link made"),
    EventType.SERVICE_HEALTH_CHANGED: _("Health changed"),
    EventType.SERVICE_SECRET_REVEALED: _("Secret shown"),
    EventType.PROJECT_CREATED: _("Project created"),
    EventType.PROJECT_UPDATED: _("Project changed"),
    EventType.PROJECT_DELETED: _("Project removed"),
    EventType.PROJECT_MEMBER_SET: _("Member let in, or given another part"),
    EventType.PROJECT_MEMBER_REMOVED: _("Member removed"),
    EventType.USER_CREATED: _("Account created"),
    EventType.USER_UPDATED: _("Account changed"),
    EventType.USER_SIGNED_IN: _("Signed in"),
    EventType.USER_SIGNED_OUT: _("Signed out"),
    EventType.USER_INVITED: _("Invited"),
    EventType.USER_INVITATION_REVOKED: _("Invitation revoked"),
    EventType.PASSWORD_CHANGED: _("Password changed"),
    EventType.PASSWORD_RESET: _("Password set anew"),
    EventType.SECOND_FACTOR_ENABLED: _("Second factor set up"),
    EventType.SECOND_FACTOR_DISABLED: _("Second factor removed"),
    EventType.RECOVERY_CODE_USED: _("Recovery code used"),
    EventType.RECOVERY_CODES_RENEWED: _("Recovery codes renewed"),
    EventType.SESSION_ENDED: _("Sign-in ended"),
    EventType.SESSION_TOKEN_REUSED: _("Refresh token used twice"),
    EventType.INGEST_TOKEN_CREATED: _("Ingest token made"),
    EventType.INGEST_TOKEN_REVOKED: _("Ingest token revoked"),
    EventType.KEYS_ROTATED: _("Keys rotated"),
    EventType.DATA_IMPORTED: _("Data imported"),
    EventType.TOKEN_CREATED: _("Personal token made"),
    EventType.TOKEN_REVOKED: _("Personal token revoked"),
}
# As the command says them, in the words of audit/verification.py.
_DAMAGES: dict[str, LazyString] = {
    Damage.EDITED: _("edited"),
    Damage.REMOVED: _("removed"),
    Damage.OUT_OF_PLACE: _("out of place: not written behind the entry that stands before"),
    Damage.ADDED: _("added by somebody else: without a code"),
    Damage.BEHIND_THE_HEAD: _("behind the head: added by somebody else, or the head was set back"),
    Damage.BEFORE_THE_CHAIN: _("with a code, yet before the beginning of the chain"),
    Damage.CUT_OFF: _("removed: the end of the chain is cut off"),
    Damage.UNCHECKED: _("can't be checked: the key is not configured"),
    Damage.NOT_THE_LAST: _("not the entry that the head of the chain names"),
    Damage.HEAD_EDITED: _("the head of the chain, here, was edited"),
    Damage.HEAD_REMOVED: _("the head of the chain, here, was removed"),
    Damage.HEAD_UNCHECKED: _(
        "the head of the chain, here, can't be checked: the key is not configured"
    ),
    Damage.NOT_AS_NOTED: _("not the entry that was noted"),
}
# What entries name, of services and of everything else. Places within a configuration keep their
# own names.
_FIELDS: dict[str, LazyString] = {
    "name": _("Name"),
    "description": _("Description"),
    "icon": _("Icon"),
    "endpoints": _("Endpoints"),
    "dependencies": _("Depends on"),
    "billing_id": _("Billing"),
    "cluster_id": _("Cluster"),
    "start_date": _("Since"),
    "next_billing_date": _("Next billing"),
    "type": _("Type"),
    "status": _("Status"),
    "project": _("Project"),
    "template": _("Template"),
    "configuration": _("Configuration"),
    "role": _("Role"),
    "email": _("E-mail"),
    "scopes": _("Scopes"),
    "userId": _("Account"),
    "reason": _("Reason"),
    "token": _("Token"),
    "path": _("Place"),
    "restored": _("Restored version"),
    "session": _("Sign-in"),
    "sessions": _("Sign-ins ended"),
    "left": _("Codes left"),
    "format": _("Format"),
    "secrets": _("With secrets"),
    "by": _("By"),
}
_MOMENTS = ("start_date", "next_billing_date")
_VALUE_WORDS = {"status": "status_word", "type": "type_word", "role": "role_word"}


@dataclass(frozen=True, slots=True)
class ChangedPlace:
    """A place and its values as texts; None where it was not there, or holds nothing."""

    name: str
    before: str | None
    after: str | None
    # Whether a value is a document of several lines.
    is_long: bool


@dataclass(frozen=True, slots=True)
class Told:
    """What an entry's `changes` tell: the places that changed, and whatever else is said."""

    places: list[ChangedPlace]
    facts: list[tuple[str, str]]
    # There are values before and after, and the same: what changed is masked on both sides.
    is_hidden: bool


def told(changes: dict[str, Any]) -> Told:
    before, after = changes.get("before"), changes.get("after")
    before = before if isinstance(before, dict) else {}
    after = after if isinstance(after, dict) else {}
    found = [
        place
        for each in differences(_with_whole_lists(before), _with_whole_lists(after))
        if (place := _place(each.path, each.before, each.after)) is not None
    ]
    facts = [
        (field_word(name), _text(name, value) or "-")
        for name, value in changes.items()
        if name not in ("before", "after")
    ]
    return Told(found, facts, bool(before and after) and not found)


def _with_whole_lists(side: dict[str, Any]) -> dict[str, Any]:
    """The same with lists of texts as one text each, so that they are told whole."""
    return {name: _text(name, each) if _is_texts(each) else each for name, each in side.items()}


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def action_word(action: str) -> str:
    return str(_ACTIONS.get(action, action))


def action_choices() -> list[tuple[str, str]]:
    """All actions with their words, for a selection."""
    return [(str(action), str(words)) for action, words in _ACTIONS.items()]


def field_word(name: str) -> str:
    """The words for a field, or for the field that a place within a configuration begins with."""
    first, dot, rest = name.partition(".")
    if first == "configuration" and dot:
        return rest
    return str(_FIELDS.get(name, name))


AUDIT_FILTERS: dict[str, Callable[..., Any]] = {"told": told, "action_word": action_word}


def _place(path: str, before: Any, after: Any) -> ChangedPlace | None:
    was, now_is = _text(path, before), _text(path, after)
    if was is None and now_is is None:
        return None
    return ChangedPlace(field_word(path), was, now_is, "\n" in f"{was}{now_is}")


def _text(name: str, value: Any) -> str | None:
    """A value to be read; None for one that holds nothing."""
    if value in (None, "", [], {}):
        return None
    if isinstance(value, str):
        if name in _MOMENTS:
            return str(format_datetime(datetime.fromisoformat(value), "d MMM y, HH:mm"))
        return WORD_FILTERS[_VALUE_WORDS[name]](value) if name in _VALUE_WORDS else value
    if _is_texts(value):
        return ", ".join(value)
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def finding_words(finding: Finding) -> str:
    """What is wrong with an entry, or with all from one to another."""
    first, last, damage = finding.first_id, finding.last_id, _DAMAGES[finding.damage]
    if first == last:
        return str(_("entry %(id)s: %(damage)s", id=first, damage=damage))
    return str(
        _("entries %(first)s to %(last)s: %(damage)s", first=first, last=last, damage=damage)
    )
