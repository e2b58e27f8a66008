"""Rules of status, envelope and failures."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from cms_services.parity.inference.asking import Pair
from cms_services.parity.inference.trying import Trial
from cms_services.parity.likeness import shared


def find_status(trial: Trial) -> None:
    if trial.bad and all(pair.old.status == 200 for pair in trial.bad):
        trial.attempt("every answer has status 200", {"status": "always-200"})
        return
    found: dict[str, Counter[int]] = defaultdict(Counter)
    for pair in trial.bad:
        found[pair.code][pair.old.status] += 1
    rules = {code: statuses.most_common(1)[0][0] for code, statuses in found.items()}
    theirs = {pair.plain.status for pair in trial.bad}
    if rules and theirs:
        trial.attempt(f"statuses of failures: {rules}", {"status": rules})


def find_envelope(trial: Trial) -> None:
    keys: dict[str, str] = {}
    for action in sorted({pair.action for pair in trial.good}):
        votes = Counter(data_key(pair) for pair in trial.good if pair.action == action)
        best = votes.most_common(1)[0][0]
        if best is not None:
            keys[action] = best
    if not keys:
        return
    usual = Counter(keys.values()).most_common(1)[0][0]
    others = {action: key for action, key in keys.items() if key != usual}
    change = {"envelope": {"shape": usual, "actions": others}}
    told = "".join(f", of {action} in {key}" for action, key in others.items())
    trial.attempt(f"data stand in {usual}{told}", change)
    tops = [
        (pair.old_value, keys.get(pair.action))
        for pair in trial.good
        if isinstance(pair.old_value, dict) and keys.get(pair.action) not in (None, "bare")
    ]
    _find_constants(trial, tops)


def _find_constants(trial: Trial, tops: list[tuple[dict[str, Any], str | None]]) -> None:
    if not tops:
        return
    failures = [p.old_value for p in trial.bad if isinstance(p.old_value, dict)]
    constants = constants_of([top for top, _ in tops])
    flag = next(
        (
            key
            for key, value in constants.items()
            if any(key in failure and failure[key] != value for failure in failures)
        ),
        next((key for key, value in constants.items() if value is True), None),
    )
    told: dict[str, Any] = {"key": None}
    if flag is not None:
        bad = Counter(
            orjson.dumps(failure[flag]) for failure in failures if flag in failure
        ).most_common(1)
        told = {"key": flag, "success": constants[flag]}
        told["failure"] = orjson.loads(bad[0][0]) if bad else False
    trial.attempt(f"success is told by {told}", {"envelope": {"flag": told}})
    for key in tops[0][0]:
        lists = [(top[key], top.get(at or "data")) for top, at in tops if key in top]
        if all(isinstance(data, list) and number == len(data) for number, data in lists) and (
            len({number for number, _ in lists}) > 1
        ):
            trial.attempt(f"{key} counts the items", {"envelope": {"count": key}})
    # A key that stands in every answer, and never changes.
    added = {key: value for key, value in constants.items() if key != flag}
    if added:
        trial.attempt(f"constant keys {added}", {"envelope": {"add": added}})
    trial.attempt("order of the outer keys", {"envelope": {"order": list(tops[0][0])}})


def find_errors(trial: Trial) -> None:
    flag = trial.settings.get("envelope", {}).get("flag", {}).get("key", "success")
    failures = [
        (pair.code, pair.plain_value["error"], pair.old_value)
        for pair in trial.bad
        if isinstance(pair.old_value, dict) and "error" in pair.plain_value
    ]
    keys = Counter(
        key
        for _, __, old in failures
        for key, value in old.items()
        if key != flag and isinstance(value, str | dict)
    )
    for key, _ in keys.most_common(2):
        inner = [(code, old[key]) for code, _, old in failures if key in old]
        if all(isinstance(value, str) for _, value in inner):
            messages = _by_code(inner)
            trial.attempt(
                f"a failure is a text in {key}",
                {"errors": {"shape": "message", "key": key, "messages": messages}},
            )
            trial.attempt(f"a failure is its code in {key}", {"errors": {"shape": "code"}})
        else:
            codes = _by_code([(c, v.get("code")) for c, v in inner if isinstance(v, dict)])
            texts = _by_code([(c, v.get("message")) for c, v in inner if isinstance(v, dict)])
            texts = {code: text for code, text in texts.items() if isinstance(text, str)}
            rules = {"key": key, "codes": codes, "messages": texts}
            trial.attempt(f"a failure is an object in {key}", {"errors": rules})
    for key in {key for _, __, old in failures for key in old} - {flag}:
        codes = _by_code([(code, old.get(key)) for code, _, old in failures])
        told = {"code_key": key, "codes": codes}
        if codes and key != trial.settings.get("errors", {}).get("key"):
            trial.attempt(f"the code of a failure is {key}", {"errors": told})


def _by_code(found: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """What goes with each code, where it is always the same."""
    values: dict[str, set[bytes]] = defaultdict(set)
    for code, value in found:
        if value is not None and not isinstance(value, dict | list):
            values[code].add(orjson.dumps(value))
    return {code: orjson.loads(min(each)) for code, each in values.items() if len(each) == 1}


def constants_of(objects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The keys that all objects have with the same plain value."""
    if not objects:
        return {}
    return {
        key: value
        for key, value in objects[0].items()
        if not isinstance(value, dict | list)
        and all(key in each and each[key] == value for each in objects)
    }


def data_key(pair: Pair) -> str | None:
    """Where the data stand in a recorded answer: a key, or `bare`; None where nothing is alike."""
    data, old = pair.plain_value.get("data"), pair.old_value
    if isinstance(old, dict):
        alike = {key: value for key, value in old.items() if type(value) is type(data)}
        if isinstance(data, dict) and not data:
            alike |= {key: value for key, value in old.items() if value == []}
        scores = {key: shared(data, value) for key, value in alike.items()}
        best = max(scores, key=lambda key: scores[key], default=None)
        own = {key: value for key, value in old.items() if not isinstance(value, dict | list)}
        if isinstance(data, dict) and shared(data, own) > (scores[best] if best else 0):
            return "bare"
        return "wrapped" if best == "data" else best
    return "bare" if type(old) is type(data) else None
