"""Values of an old database as ours: whatever twelve years of PHP have put into a column."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from ftfy import TextFixerConfig, fix_encoding

from cms_services.php.serialized import Unreadable, unserialize, with_lists

# What was decoded wrongly is decoded again, and nothing else: quotation marks, ligatures and widths
# stay as people wrote them, and a character that is lost is not guessed.
_ENCODING_ONLY = TextFixerConfig(
    unescape_html=False,
    remove_terminal_escapes=False,
    fix_latin_ligatures=False,
    fix_character_width=False,
    uncurl_quotes=False,
    fix_line_breaks=False,
    fix_surrogates=False,
    remove_control_chars=False,
    replace_lossy_sequences=False,
    fix_c1_controls=False,
    normalization=None,
)
_YES = frozenset({"1", "y", "yes", "t", "true", "on", "j", "ja", "\x01", "enabled", "active"})
_NO = frozenset({"0", "n", "no", "f", "false", "off", "nein", "\x00", "", "disabled", "inactive"})
_ZERO_DATE = re.compile(r"0000-00-00|0000-\d\d-\d\d|\d{4}-00-\d\d|\d{4}-\d\d-00")
_EPOCH_SECONDS = re.compile(r"-?\d{9,10}(?:\.\d+)?|\d{13}")
_LAST_OF_SECONDS = 10**11
_EARLIEST_YEAR = 1970
_NUMBER = re.compile(r"[-+]?(?:\d+(?:[.,]\d+)?|[.,]\d+)(?:[eE][-+]?\d+)?")
_GROUPED = re.compile(r"[-+]?\d{1,3}(?:([.,' \u00a0])\d{3})(?:\1\d{3})*(?:[.,]\d+)?")
_LIST_SEPARATORS = re.compile(r"[\r\n]+|\s*[,;|]\s*")
_LONGEST = 255
# As json_encode() has it by default it is 512; orjson writes no more than 254.
_MOST_LEVELS = 200
_INTEGERS = range(-(2**63), 2**64)
# 20151231235959: as seconds or milliseconds it would be a time that nobody has met.
_DIGITS_OF_MOMENT = re.compile(r"(?:19|20)\d\d(?:0\d|1[0-2])[0-3]\d[0-2]\d[0-5]\d[0-5]\d")


class Refused(Exception):
    """A row can't be taken. The message says why."""


@dataclass(frozen=True)
class Reading:
    """How values of a field are read: the zone of times without one, their format, repairing."""

    zone: tzinfo = UTC
    format: str | None = None
    repair: bool = True


_AS_IT_IS = Reading(repair=False)


def text(value: Any, how: Reading) -> str | None:
    """A text without the padding of CHAR columns; None for null."""
    if value is None:
        return None
    if isinstance(value, bytes | bytearray | memoryview):
        value = decoded(bytes(value))
    elif isinstance(value, bool):
        value = "1" if value else "0"
    elif isinstance(value, float) and value.is_integer():
        value = str(int(value))
    elif isinstance(value, datetime | date):
        value = value.isoformat()
    elif isinstance(value, timedelta):
        value = _time_of_day(value)
    elif not isinstance(value, str):
        value = str(value)
    value = value.rstrip(" \x00")
    return repaired(value) if how.repair else value


def short_text(value: Any, how: Reading, field: str) -> str | None:
    """A text of one line that fits a column of ours. Raises Refused for a longer one."""
    found = long_text(value, how, field)
    if found is None:
        return None
    found = " ".join(found.split()) if "\n" in found or "\r" in found else found.strip()
    if len(found) > _LONGEST:
        raise Refused(f"{field}: takes at most {_LONGEST} characters; this has {len(found)}.")
    return found


def says_yes_or_no(value: Any) -> bool:
    """Whether a value is one of those that a flag has: 1 and 0, Y and N, true and false."""
    return isinstance(value, bool) or str(text(value, _AS_IT_IS)).strip().lower() in _YES | _NO


def long_text(value: Any, how: Reading, field: str) -> str | None:
    found = text(value, how)
    # No database of ours takes it in a text, and nobody can see it.
    return None if found is None else found.replace("\x00", "")


def unchanged_text(value: Any, how: Reading, field: str) -> str:
    """A text that is what it is to the letter: a hash."""
    return (long_text(value, _AS_IT_IS, field) or "").strip()


def identifier(value: Any, how: Reading, field: str) -> str | None:
    """A key as the text that it is kept as: 7, 7.0 and "7 " are all 7; 0 and "" are none."""
    if isinstance(value, bytes) and _is_binary(value):
        return value.hex()
    if isinstance(value, Decimal) and value == value.to_integral_value():
        value = int(value)
    found = short_text(value, _AS_IT_IS, field)
    return None if found in (None, "", "0") else found


def boolean(value: Any, how: Reading, field: str) -> bool | None:
    """tinyint(1), BIT, Y and N, yes and no, '0'. Raises Refused for what is neither."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float | Decimal):
        return value != 0
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    word = str(value).strip(" ").lower()
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise Refused(f"{field}: {value!r} says neither yes nor no.")


def number(value: Any, how: Reading, field: str) -> float | None:
    """A number, also of a text as people write prices: 1.234,50 EUR. Raises Refused."""
    if value is None or value == "":
        return None
    if isinstance(value, bool | int | float | Decimal):
        found = float(value)
    else:
        found = _number_of_text(str(text(value, how)), field)
    if not math.isfinite(found):
        raise Refused(f"{field}: {value!r} is not a finite number.")
    return found


def moment(value: Any, how: Reading, field: str, *, is_utc: bool = False) -> datetime | None:
    """A time in UTC; None for null, zero dates and years before computers counted from 1970.

    Numbers are seconds since then, or milliseconds.

    Raises Refused for what is no time.
    """
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        written = str(value)
        if (how.format is not None and value) or _DIGITS_OF_MOMENT.fullmatch(written):
            value = written
    if isinstance(value, str):
        value = _moment_of_text(value.strip(), how, field)
    elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        value = _moment_of_number(float(value), field)
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise Refused(f"{field}: {value!r} is no time.")
    if value.year < _EARLIEST_YEAR:
        return None
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC if is_utc else how.zone)
    try:
        found: datetime = value.astimezone(UTC)
    except OverflowError as error:
        raise Refused(f"{field}: {value!r} is no time that is kept.") from error
    return found


def structure(value: Any, how: Reading, field: str) -> Any:
    """What stands in a column of JSON, or in a text as JSON or serialized by PHP.

    None for nothing; a text that is neither stays the text. Raises Refused for what begins as
    one of them and is broken.
    """
    if isinstance(value, dict | list):
        return _within(value, how)
    raw = bytes(value) if isinstance(value, bytes | bytearray | memoryview) else None
    found = text(value, _AS_IT_IS)
    if found is None or found.strip() in ("", "null", "N;"):
        return None
    stripped = found.strip()
    if stripped[0] in "[{" or stripped.startswith('"'):
        parsed = _from_json(stripped, how, field)
    elif re.match(r"(?:[aOC]:\d+:|[sS]:\d+:\"|b:[01];|i:[+-]?\d+;|d:[-+.\dIN])", stripped):
        parsed = _php_value(raw, found, how, field)
    else:
        return (repaired(stripped) if how.repair else stripped).replace("\x00", "")
    return _within(parsed, how)


def text_list(value: Any, how: Reading, field: str) -> list[str] | None:
    """A list of texts: JSON, PHP's, or a text with commas or lines."""
    found = structure(value, how, field)
    if found is None:
        return None
    if isinstance(found, dict):
        found = list(found.values())
    if not isinstance(found, list):
        found = [each for each in _LIST_SEPARATORS.split(str(found)) if each]
    texts = []
    for each in found:
        if isinstance(each, dict):
            # Lists of objects: what such an object is called by.
            each = next((each[n] for n in ("path", "url", "name", "id") if each.get(n)), None)
        if isinstance(each, dict | list):
            raise Refused(f"{field}: takes texts; one of its elements is {type(each).__name__}.")
        if each not in (None, ""):
            texts.append(str(each).strip())
    return texts


def document(value: Any, how: Reading, field: str) -> dict[str, Any] | None:
    """An object: JSON or PHP's array. PHP's empty list is an empty one. Raises Refused."""
    found = structure(value, how, field)
    if found is None or found == []:
        return None
    if isinstance(found, list):
        return {str(place): each for place, each in enumerate(found)}
    if not isinstance(found, dict):
        raise Refused(f"{field}: takes an object, as JSON or serialized by PHP.")
    return found


def word(
    value: Any, how: Reading, field: str, allowed: Iterable[str], values: Mapping[str, str]
) -> str | None:
    """One of our words, by the mapping's `values`, else by itself. Raises Refused."""
    found = short_text(value, how, field)
    if isinstance(value, bytes) and len(value) == 1 and value[0] < 2:
        found = str(value[0])
    if found is None:
        return None
    lowered = found.lower()
    by_value = values.get(found) or values.get(lowered)
    if by_value is not None:
        return by_value
    if not found:
        return None
    if lowered in allowed:
        return lowered
    raise Refused(
        f"{field}: {found!r} is none of {', '.join(allowed)}; say under `values` what it means."
    )


def repaired(given: str) -> str:
    """The text, decoded again where UTF-8 was once taken for latin1."""
    return given if given.isascii() else fix_encoding(given, _ENCODING_ONLY)


def _within(value: Any, how: Reading, level: int = 0) -> Any:
    """The value with what no document of ours can hold spelled otherwise. Raises Refused."""
    if level > _MOST_LEVELS:
        raise Refused("It is nested too deeply.")
    if isinstance(value, str):
        if any("\ud800" <= each <= "\udfff" for each in value):
            # Bytes of PHP's that are no UTF-8, or half a pair of JSON's.
            raw = value.encode("utf-8", "surrogateescape" if _is_of_bytes(value) else "replace")
            value = decoded(raw)
        return (repaired(value) if how.repair else value).replace("\x00", "")
    if isinstance(value, dict):
        return {
            str(_within(str(name), how)): _within(each, how, level + 1)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_within(each, how, level + 1) for each in value]
    if isinstance(value, int) and value not in _INTEGERS:
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return float(value) if isinstance(value, Decimal) else value


def _is_of_bytes(value: str) -> bool:
    surrogates = (each for each in value if "\ud800" <= each <= "\udfff")
    return all("\udc80" <= each <= "\udcff" for each in surrogates)


def decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("cp1252", errors="replace")


def _is_binary(value: bytes) -> bool:
    return not value.isascii() or any(each < 32 for each in value)


def _from_json(found: str, how: Reading, field: str) -> Any:
    try:
        return json.loads(found, strict=False)
    except ValueError:
        pass
    except RecursionError as error:
        raise Refused(f"{field}: is JSON that is nested too deeply.") from error
    try:
        return json.loads(repaired(found), strict=False)
    except ValueError as error:
        raise Refused(f"{field}: is broken JSON ({error}).") from error


def _php_value(raw: bytes | None, found: str, how: Reading, field: str) -> Any:
    """PHP counts bytes: those of the encoding that the text had when it was written."""
    candidates = [found.encode() if raw is None else raw, repaired(found).encode()]
    candidates.append(found.encode("cp1252", errors="replace"))
    for candidate in candidates:
        try:
            return with_lists(unserialize(candidate))
        except Unreadable as error:
            problem = error
    raise Refused(f"{field}: is not what PHP's serialize() writes ({problem}).")


def _number_of_text(found: str, field: str) -> float:
    stripped = found.strip().strip("€$£%").strip()
    stripped = re.sub(r"\s*[A-Za-z%€$£]{1,3}\Z|\A[A-Z]{3}\s*", "", stripped)
    grouped = _GROUPED.fullmatch(stripped)
    last = max(stripped.rfind("."), stripped.rfind(","))
    if grouped and (stripped.count(stripped[last]) > 1 or grouped[1] != stripped[last]):
        # Where one sign alone stands in it, 1,234 can be either; it is then a decimal comma.
        whole, _, rest = stripped.rpartition(stripped[last])
        if grouped[1] == stripped[last]:
            whole, rest = stripped, ""
        return float(re.sub(r"[^\d+-]", "", whole) + ("." + rest if rest else ""))
    if _NUMBER.fullmatch(stripped):
        return float(stripped.replace(",", "."))
    raise Refused(f"{field}: {found!r} is not a number.")


def _moment_of_text(found: str, how: Reading, field: str) -> datetime | None:
    if not found or found == "0" or _ZERO_DATE.match(found):
        return None
    if how.format is not None:
        try:
            return datetime.strptime(found, how.format)
        except ValueError as error:
            raise Refused(f"{field}: {found!r} is not written as {how.format}.") from error
    if _EPOCH_SECONDS.fullmatch(found):
        return _moment_of_number(float(found), field)
    if _DIGITS_OF_MOMENT.fullmatch(found):
        found = f"{found[:8]}T{found[8:]}"
    try:
        return datetime.fromisoformat(found)
    except ValueError as error:
        raise Refused(
            f"{field}: {found!r} is no time; say under `format` how it is written."
        ) from error


def _time_of_day(given: timedelta) -> str:
    """As MySQL writes its TIME, which may be negative and of more than a day."""
    seconds = abs(round(given.total_seconds()))
    hours, minutes = divmod(seconds // 60, 60)
    sign = "-" if given < timedelta() else ""
    return f"{sign}{hours:02}:{minutes:02}:{seconds % 60:02}"


def _moment_of_number(value: float, field: str) -> datetime | None:
    if value == 0:
        return None
    if value >= _LAST_OF_SECONDS:
        value /= 1000
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=value)
    except (OverflowError, ValueError) as error:
        raise Refused(f"{field}: {value!r} is no time.") from error
