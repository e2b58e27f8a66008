"""How alike two documents are, and what in one could be what in the other."""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import orjson
from rapidfuzz import fuzz

from cms_services.legacy.profile import KINDS
from cms_services.parity.comparison import moment_of, parsed
from cms_services.php.dates import php_date

_AGREEMENT = 0.8
_MOST_DATES = 60
_DATE_FORMATS = (
    *("Y-m-d H:i:s", "DATE_ATOM", r"Y-m-d\TH:i:s\Z", r"Y-m-d\TH:i:s", "DATE_ISO8601", "U"),
    *("d.m.Y H:i:s", "d.m.Y H:i", "d.m.Y", "Y-m-d H:i", "Y-m-d", "d/m/Y H:i:s", "d/m/Y H:i"),
    *("m/d/Y H:i:s", "m/d/Y H:i", "m/d/Y g:i A", "m/d/Y", "d/m/Y", "Y/m/d H:i:s", "YmdHis"),
    *("DATE_RFC2822", "DATE_RFC7231", "DATE_COOKIE", "DATE_RFC3339_EXTENDED", "F j, Y, g:i a"),
    *(
        "M j, Y g:i A",
        "j M Y H:i",
        "j. F Y H:i",
        "D, d M Y H:i:s",
        "Y-m-d H:i:s.v",
        "Y-m-d H:i:s.u",
    ),
)
# Zones that many live by.
_LIKELY_ZONES = (
    *("UTC", "Europe/Berlin", "Europe/London", "Europe/Paris", "Europe/Madrid", "Europe/Rome"),
    *("Europe/Amsterdam", "Europe/Warsaw", "Europe/Kiev", "Europe/Moscow", "America/New_York"),
    *("America/Chicago", "America/Denver", "America/Los_Angeles", "America/Sao_Paulo"),
    *("Asia/Kolkata", "Asia/Shanghai", "Asia/Tokyo", "Asia/Dubai", "Australia/Sydney"),
)


def shared(one: Any, other: Any) -> int:
    """How many plain values two documents share."""
    first, second = (Counter(str(leaf).lower() for leaf in _leaves(each)) for each in (one, other))
    return (first & second).total()


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for each in value.values():
            yield from _leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def couples(ours: Any, theirs: Any) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Objects of two lists, or two objects, that are the same thing."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [(ours, theirs)]
    if not isinstance(ours, list) or not isinstance(theirs, list):
        return []
    couples = [
        (one, other)
        for one, other in zip(ours, theirs, strict=False)
        if isinstance(one, dict) and isinstance(other, dict)
    ]
    if len(ours) == len(theirs):
        return couples
    # Lists of other lengths: what has the same id is the same thing.
    by_id = {str(each.get("id")): each for each in theirs if isinstance(each, dict)}
    return [
        (one, by_id[str(one.get("id"))])
        for one in ours
        if isinstance(one, dict) and str(one.get("id")) in by_id
    ]


def matched_fields(
    kind: str, objects: Sequence[tuple[dict[str, Any], dict[str, Any]]]
) -> dict[str, str]:
    """Our fields with theirs of the same values, and by likeness of names where several are."""
    ours = list(dict.fromkeys(key for new, _ in objects for key in new))
    theirs = list(dict.fromkeys(key for _, old in objects for key in old))
    ranked = []
    for new_key, old_key in itertools.product(ours, theirs):
        both = [
            (new[new_key], old[old_key])
            for new, old in objects
            if new_key in new and old_key in old
        ]
        is_date = new_key in KINDS[kind].dates
        alike = sum(_alike(new, old, is_date) for new, old in both) / max(1, len(both))
        name = _likeness(new_key, old_key)
        is_telling = len({orjson.dumps(new) for new, _ in both}) > 1
        if alike >= _AGREEMENT and (name >= 0.4 or is_telling):
            ranked.append((alike + name, new_key, old_key))
        elif name >= 0.75 and (exchanged_words(both) or is_date):
            ranked.append((name / 2, new_key, old_key))
        elif name == 1:
            # The same name with other values, which are the recorded ones' to differ in.
            ranked.append((0.1, new_key, old_key))
    found: dict[str, str] = {}
    for _, new_key, old_key in sorted(ranked, key=lambda each: -each[0]):
        if new_key not in found and old_key not in found.values():
            found[new_key] = old_key
    return {key: found[key] for key in ours if key in found}


@cache
def _likeness(one: str, other: str) -> float:
    first, second = (each.replace("_", "").replace("-", "").lower() for each in (one, other))
    if first == second:
        return 1.0
    return max(fuzz.ratio(first, second), 0.9 * fuzz.partial_ratio(first, second)) / 100


def _alike(ours: Any, theirs: Any, is_date: bool) -> bool:
    """Whether two values could be the same thing in other forms."""
    if ours == theirs and type(ours) is type(theirs):
        return True
    if is_date:
        return bool(ours) and _is_moment(ours, theirs) if isinstance(theirs, str | int) else False
    if ours in (None, "", [], {}) and theirs in (None, "", [], {}, "[]", "{}"):
        return True
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(
            _alike(one, other, False) for one, other in zip(ours, theirs, strict=True)
        )
    if isinstance(ours, list | dict) and isinstance(theirs, str):
        joined = ",".join(map(str, ours)) if isinstance(ours, list) else None
        return parsed(theirs.encode()) == ours or theirs.replace(" ", "") == joined
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return set(ours) == set(theirs) and all(_alike(ours[k], theirs[k], False) for k in ours)
    if isinstance(ours, bool):
        return theirs in (int(ours), str(int(ours)))
    if isinstance(ours, list | dict) or isinstance(theirs, list | dict):
        return False
    return ours is not None and theirs is not None and str(ours) == str(theirs)


def is_number(value: Any) -> bool:
    """Whether JSON has it as a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def exchanged_words(values: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    """A consistent exchange of words, or nothing."""
    found: dict[str, Any] = {}
    for ours, theirs in values:
        if not isinstance(ours, str) or isinstance(theirs, dict | list) or theirs is None:
            return {}
        if found.setdefault(ours, theirs) != theirs:
            return {}
    is_telling = 0 < len(found) <= 12 and len({str(v) for v in found.values()}) == len(found)
    return {o: t for o, t in found.items() if o != t} if is_telling else {}


def date_rule(pairs: Sequence[tuple[datetime, Any]]) -> tuple[str, list[str]] | None:
    """The format, and all zones, that make the most of the times equal; None where none does."""
    best: tuple[str, list[str]] | None = None
    most = 0
    plain = [each for each in pairs if isinstance(each[1], str | int)]
    sample = list(dict.fromkeys(plain))[:_MOST_DATES]
    for style in _DATE_FORMATS:
        possible = [each for each in sample if _has_form(style, each[1])]
        if len(possible) <= most or not possible:
            continue
        counts = {zone: _fits_count(style, zone, possible) for zone in _zones()}
        count = max(counts.values())
        if count > most:
            most = count
            best = (style, [zone for zone, fitting in counts.items() if fitting == count])
    return best if most >= max(1, len(sample) // 2) else None


@cache
def _is_moment(ours: str, theirs: str | int) -> bool:
    """Whether a value could be a time in some zone: any of a quarter of an hour from UTC."""
    moment = datetime.fromisoformat(ours)
    shifts = [timedelta(minutes=each) for each in range(-12 * 60, 14 * 60 + 1, 15)]
    for style in _DATE_FORMATS:
        if not _has_form(style, theirs):
            continue
        if style in ("DATE_ATOM", "DATE_ISO8601", "DATE_RFC3339_EXTENDED"):
            return abs((moment_of(theirs) or 0) - moment.timestamp()) < 1
        if any(_written(style, moment + shift, "UTC") == str(theirs) for shift in shifts):
            return True
    return False


@cache
def _zones() -> tuple[str, ...]:
    names = sorted(each for each in available_timezones() if "/" in each)
    return (*(each for each in names if not each.startswith("Etc/")), "UTC")


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _has_form(style: str, value: Any) -> bool:
    """Whether a value could be of a format: of as many characters, with the same signs."""
    example = php_date(style, datetime.fromisoformat("2021-10-20T20:30:40Z"), _zone("UTC"))
    if style == "U":
        return is_number(value) or (isinstance(value, str) and value.isdecimal())
    if not isinstance(value, str):
        return False
    if style.isalpha() and "_" in style:
        return len(value) > 18
    signs = [c for c in example if not c.isalnum()]
    return [c for c in value if not c.isalnum()] == signs


def _fits_count(style: str, zone: str, pairs: Sequence[tuple[datetime, Any]]) -> int:
    return sum(_written(style, moment, zone) == str(theirs) for moment, theirs in pairs)


def fits(style: str, zone: str, pairs: Sequence[tuple[datetime, Any]]) -> bool:
    """Whether all times are of a format, in a zone."""
    return _fits_count(style, zone, pairs) == len(pairs)


def _written(style: str, moment: datetime, zone: str) -> str:
    return php_date(style, moment, _zone(zone))


def likeliest_zone(zones: Sequence[str]) -> str:
    """Of zones that fit equally the one that more people live by."""
    return next((zone for zone in _LIKELY_ZONES if zone in zones), zones[0])


def keys_of(value: Any) -> Any:
    """The keys of a document in their order."""
    if isinstance(value, dict):
        return [(key, keys_of(each)) for key, each in value.items()]
    return [keys_of(each) for each in value] if isinstance(value, list) else None


def agreement_of(one: Any, other: Any) -> float:
    """The share of plain values that two documents have at the same places, from 0 to 1."""
    first, second = dict(_places(one, ())), dict(_places(other, ()))
    if not first and not second:
        return 1.0
    same = sum(1 for path, value in first.items() if path in second and second[path] == value)
    # A key that is right with a wrong value is half of the way.
    near = sum(1 for path in first if path in second) - same
    return (2 * same + near) / (len(first) + len(second))


def _places(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _places(each, (*path, key))
    elif isinstance(value, list) and value:
        for number, each in enumerate(value):
            yield from _places(each, (*path, number))
    else:
        yield path, (type(value).__name__, value if not isinstance(value, dict | list) else None)
