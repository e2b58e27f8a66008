"""Where answers to changes have their data, by what the recording alone tells.

What changes something is not asked for, so there is no answer of ours to set beside. But an answer
to createService holds a service, and reads have told what one looks like.
"""

import copy
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cms_services.legacy.actions import ACTIONS
from cms_services.legacy.profile import KIND_OF_ACTION, KINDS, Profile, ProfileError
from cms_services.parity.actions import action_of
from cms_services.parity.comparison import NOT_JSON, parsed
from cms_services.parity.inference.trying import Trial
from cms_services.parity.recording import Exchange

_MOST_OF_ACTION = 60
# The share of an object's names that tells it.
_LEAST = 0.6

Changes = Mapping[str, Sequence[Any]]


def changes_in(exchanges: Iterable[Exchange]) -> Changes:
    """What a recording has as answers to changes, some by each action. Raises RecordingError."""
    found: dict[str, list[Any]] = defaultdict(list)
    for exchange in exchanges:
        action = action_of(exchange)
        if action not in KIND_OF_ACTION or ACTIONS[action].transaction != "write":
            continue
        value = parsed(exchange.response.body or b"")
        if value is not NOT_JSON and len(found[action]) < _MOST_OF_ACTION:
            found[action].append(value)
    return found


def find_changes(
    trial: Trial, changes: Changes, names: Mapping[str, Mapping[str, str]]
) -> list[str]:
    """Note where each action has its data in `envelope.actions`. Returns what was found, in lines.

    `names` has of each kind of object what our fields are called there.
    """
    told = []
    for action, answers in sorted(changes.items()):
        known = _known_names(KIND_OF_ACTION[action], names)
        if not known:
            trial.notes.append(f"{action}: no read tells what its answers hold.")
            continue
        places = Counter(
            place for place in (_place_of(answer, known) for answer in answers) if place
        )
        if not places:
            trial.notes.append(
                f"{action}: no recorded answer has what ours has; see what its callers use."
            )
            continue
        place, count = places.most_common(1)[0]
        envelope = trial.settings.get("envelope", {})
        if place != envelope.get("actions", {}).get(action, envelope.get("shape", "wrapped")):
            try:
                trial.settings = _with_place(trial.settings, action, place)
            except ProfileError as error:
                trial.notes.append(f"{action}: data stand in {place!r}, and {error}")
                continue
        told.append(f"{action}: data stand in {place}, as in {count} of {len(answers)} recorded.")
    return told


def _with_place(settings: Mapping[str, Any], action: str, place: str) -> dict[str, Any]:
    """Settings with the place of an action's data. Raises ProfileError for one that can't be."""
    envelope = settings.get("envelope", {})
    actions = envelope.get("actions", {}) | {action: place}
    changed = {**settings, "envelope": envelope | {"actions": actions}}
    Profile(copy.deepcopy(changed))
    return changed


def _known_names(kind: str, names: Mapping[str, Mapping[str, str]]) -> set[str]:
    services = names.get("service", {})
    if kind == "deletion":
        # Of a service its ids and its status, as they are called elsewhere.
        return {services[field] for field in KINDS[kind].fields if field in services}
    return set(names.get(kind, {}).values())


def _place_of(answer: Any, known: set[str]) -> str | None:
    """The key under which an object of such names stands; `bare` for the answer itself."""
    if not isinstance(answer, dict):
        return None
    shares = {
        key: len(known & value.keys()) / len(known)
        for key, value in answer.items()
        if isinstance(value, dict)
    }
    best = max(shares, key=lambda key: shares[key], default=None)
    if best is not None and shares[best] >= _LEAST:
        return "wrapped" if best == "data" else str(best)
    return "bare" if len(known & answer.keys()) / len(known) >= _LEAST else None
