"""Rules of the objects in answers: names, times, types, words and the order of keys."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from cms_services.importing.conversion import repaired
from cms_services.legacy.profile import KIND_OF_ACTION, KINDS
from cms_services.parity.inference.envelope import constants_of, data_key
from cms_services.parity.inference.trying import Trial
from cms_services.parity.likeness import (
    couples,
    date_rule,
    exchanged_words,
    fits,
    is_number,
    likeliest_zone,
    matched_fields,
)

Couples = list[tuple[dict[str, Any], dict[str, Any]]]
# What people write, in which no word stands for another.
_WRITTEN = frozenset({"name", "description", "message", "project", "source"})


def aligned(trial: Trial) -> dict[str, Couples]:
    """Objects of ours beside those of the old script that are the same thing, by kind."""
    found: dict[str, Couples] = defaultdict(list)
    for pair in trial.good:
        kind = KIND_OF_ACTION.get(pair.action)
        key = data_key(pair)
        if kind is None or key is None:
            continue
        theirs = pair.old_value
        if key != "bare":
            theirs = theirs["data" if key == "wrapped" else key]
        found[kind] += couples(pair.plain_value["data"], theirs)
    return dict(found)


def find_names(trial: Trial, kind: str, objects: Couples) -> dict[str, str]:
    """Which of our fields is which of theirs."""
    names = matched_fields(kind, objects)
    theirs = {key for _, old in objects for key in old}
    ours = {key for new, _ in objects for key in new}
    renamed = {new: old for new, old in names.items() if new != old}
    omitted = sorted(ours - set(names))
    rules: dict[str, Any] = {}
    if renamed:
        rules["rename"] = renamed
    if omitted:
        rules["omit"] = omitted
    if rules:
        told = [f"{new} is {old}" for new, old in renamed.items()]
        told += [f"{name} is left out" for name in omitted]
        trial.attempt(f"{kind}: {', '.join(told)}", {"objects": {kind: rules}})
    constants = constants_of([old for _, old in objects])
    added = {key: constants[key] for key in theirs - set(names.values()) if key in constants}
    if added and len(objects) > 1:
        trial.attempt(f"{kind}: constant keys {added}", {"objects": {kind: {"add": added}}})
    for key in sorted(theirs - set(names.values()) - set(added)):
        trial.notes.append(
            f"{kind}: nothing of ours has the values of their {key!r}; no profile can make it."
        )
    return names


def find_dates(
    trial: Trial,
    aligned: Mapping[str, Couples],
    names: Mapping[str, Mapping[str, str]],
) -> None:
    found: dict[tuple[str, str], list[tuple[datetime, Any]]] = {}
    for kind, objects in aligned.items():
        for ours, theirs in names[kind].items():
            if ours in KINDS[kind].dates:
                found[kind, ours] = [
                    (datetime.fromisoformat(new[ours]), old[theirs])
                    for new, old in objects
                    if new.get(ours) and old.get(theirs)
                ]
    pairs = [each for values in found.values() for each in values]
    best = date_rule(pairs)
    if best is None:
        return
    style, zones = best
    zone = likeliest_zone(zones)
    more = f" ({len(zones) - 1} other zones fit as well)" if len(zones) > 1 else ""
    change: dict[str, Any] = {"dates": {"format": style, "zone": zone}}
    if style == "U" and all(isinstance(theirs, str) for _, theirs in pairs):
        change["numbers"] = "text"
    trial.attempt(f"times are {style} in {zone}{more}", change)
    for (kind, ours), values in found.items():
        own = date_rule(values)
        if own is not None and own[0] != style and not fits(style, zone, values):
            trial.attempt(
                f"{kind}: {ours} is {own[0]}", {"objects": {kind: {"dates": {ours: own[0]}}}}
            )


def find_types(
    trial: Trial,
    aligned: Mapping[str, Couples],
    names: Mapping[str, Mapping[str, str]],
) -> None:
    trial.attempt("ids are numbers", {"ids": "number"})
    trial.attempt("numbers are texts", {"numbers": "text"})
    for style in ("number", "text"):
        trial.attempt(f"booleans are {style}s", {"booleans": style})
    for style in ("empty", "leave out"):
        trial.attempt(f"nulls: {style}", {"nulls": style})
    for kind, objects in aligned.items():
        for ours, theirs in names[kind].items():
            values = [(new.get(ours), old[theirs]) for new, old in objects if theirs in old]
            _find_field(trial, kind, ours, [v for v in values if v[0] != v[1]])


def _find_field(trial: Trial, kind: str, name: str, unlike: list[tuple[Any, Any]]) -> None:
    """Rules of one field, tried only where something differs in a way that they would mend."""
    if not unlike or name in KINDS[kind].dates:
        return
    flat = [
        each
        for new, old in unlike
        for each in (
            zip(new, old, strict=False)
            if isinstance(new, list) and isinstance(old, list)
            else [(new, old)]
        )
    ]

    def rule(what: str, change: dict[str, Any]) -> None:
        trial.attempt(f"{kind}: {name} {what}", {"objects": {kind: change}})

    if any(isinstance(new, str) and is_number(old) for new, old in flat):
        rule("is a number", {"numbers": _listed(trial, kind, "numbers", name)})
    if any(is_number(new) and isinstance(old, str) for new, old in flat):
        rule("is a text", {"texts": _listed(trial, kind, "texts", name)})
    if any(
        isinstance(new, dict | list) and isinstance(old, str) and old[:1] in ("{", "[")
        for new, old in unlike
    ):
        rule("is JSON in a text", {"json_text": _listed(trial, kind, "json_text", name)})
    if any(isinstance(new, list) and isinstance(old, str) for new, old in unlike):
        for separator in (",", ", ", ";", "|", "\n", " "):
            rule(f"is joined by {separator!r}", {"joined": {name: separator}})
    mended = next((old for new, old in unlike if _is_mended(new, old)), None)
    if mended is not None:
        trial.notes.append(
            f"{kind}: {name} has texts that were encoded twice there, such as {mended!r}, and are "
            "mended here; replay takes them by the rule encoding_mended."
        )
    words = {} if name in _WRITTEN or mended is not None else exchanged_words(unlike)
    if words:
        rule(f"has other words {words}", {"values": {name: words}})
    nulls = {orjson.dumps(old) for new, old in unlike if new is None}
    if len(nulls) == 1:
        constant = orjson.loads(nulls.pop())
        if not isinstance(constant, dict | list):
            rule(f"is {constant!r} where it is null", {"nulls": {name: constant}})


def _listed(trial: Trial, kind: str, rule: str, name: str) -> list[str]:
    return [*trial.settings.get("objects", {}).get(kind, {}).get(rule, []), name]


def find_order(trial: Trial, aligned: Mapping[str, Couples]) -> None:
    for kind, objects in aligned.items():
        orders = Counter(tuple(old) for _, old in objects)
        if orders:
            order = list(orders.most_common(1)[0][0])
            trial.attempt(f"{kind}: the order of keys", {"objects": {kind: {"order": order}}})


def _is_mended(ours: Any, theirs: Any) -> bool:
    """Whether a text is what the import made of another that had been encoded twice."""
    return isinstance(theirs, str) and ours != theirs and repaired(theirs) == ours
