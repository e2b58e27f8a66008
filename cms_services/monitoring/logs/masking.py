"""Secrets in log entries, replaced by [masked] before anything is stored.

What is masked: tokens by their known forms, private keys, what is assigned to a name that means a
secret, passwords in URLs, and card numbers (ISO/IEC 7812: an issuer's prefix and length, and the
check digit by Luhn).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cms_services.monitoring.logs.values import NewLogEntry

MASKED = "[masked]"

_NAMES_OF_SECRETS = (
    r"(?<![a-z])pass(?:code|phrase)?|passw(?:or)?d|passphrase|pwd|secret|api[-_ ]?key"
    r"|access[-_ ]?key|private[-_ ]?key|secret[-_ ]?key|authorization|(?<![a-z])credentials?|token"
)
# An attribute of such a name is masked whole.
_SECRET_NAME = re.compile(
    r"(?:.*[-_. ])?(?:pass|passphrase|passcode|pwd|api[-_ ]key|access[-_ ]?key|private[-_ ]?key"
    r"|authorization|credentials?|cookies?|token)"
    r"|.*(?:password|passwd|secrets?|apikey|accesstoken)"
    r"|.*(?:Pass|AccessKey|PrivateKey|Token)",
)
# A pattern that needs something after a long run may begin but once in the run: from each of many
# starts it would look through the rest, which takes minutes.
_TOKEN_FORMS = re.compile(
    r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?"
    r"|\bcms_[a-z]{1,12}_[\w-]{16,}|\bcms_[\w-]{20,}"
    r"|\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\b[srp]k_(?:live|test)_\w{10,}|\bxox[abeoprs]-[\w-]{10,}"
    r"|\bAIza[\w-]{30,}|\bSG\.[\w-]{16,}\.[\w-]{16,}|\bnpm_\w{30,}"
)
# A scheme that isn't known, and what it needs: Negotiate, NTLM, or Digest with its quotes.
_AUTHORIZATION = re.compile(
    r"(authorization(?:\\*[\"'])?\s{0,8}(?:=>|[:=])[^\S\r\n]{0,8})"
    r"(?:digest[^\S\r\n]{1,8}[^\r\n]+"
    r"|(?!(?:bearer|basic|token|null|none|true|false)\b)[a-z][\w-]{0,40}[^\S\r\n]{1,8}[^\"'\\\r\n]+)",
    re.IGNORECASE,
)
_COOKIES = re.compile(
    r"(\b(?:set-)?cookie(?:\\*[\"'])?\s{0,8}:\s{0,8}(?:\\*[\"'])?)"
    r"(?=[^\s=\"'\\\[]{1,256}=)[^\"'\\\r\n]+",
    re.IGNORECASE,
)
# Words of a sentence follow "bearer" too; a token has a digit or an equals sign.
_BEARER = re.compile(r"(\b(?:bearer|basic)\s+)(?=[\w.~+/-]*[\d=])[\w.~+/=-]{8,}", re.IGNORECASE)
_KEY_BLOCK = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:(?!-----END)[\s\S])*"
    r"(?:-----END [A-Z ]*PRIVATE KEY-----)?"
)
_ASSIGNMENT = re.compile(
    rf"((?:{_NAMES_OF_SECRETS})(?:\\*[\"'])?\s{{0,8}}(?:=>|[:=])\s{{0,8}}"
    r"(?:(?:bearer|basic|digest|token)\s{1,8})?)"
    r"(\"(?:[^\"\\]|\\[\s\S])*\"|\\+\"[^\"]*\"|'[^']*'|[^\s\"',;&)}\]]+)",
    re.IGNORECASE,
)
_IN_URL = re.compile(
    r"(\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'?#]{0,256}:)[^\s/\"']{1,256}(?=@)", re.IGNORECASE
)
# Groups of digits in which card numbers may stand; no part of a word or of a number with a point.
_GROUPS = re.compile(r"(?<![\w.])(?<![^\W\d]-)(?=[\d -]{13})\d+(?:[ -]\d+)*")
_GROUP = re.compile(r"\d+")
_UUID = re.compile(r"\d{8}-\d{4}-\d{4}-\d{4}-\d{12}")
_GOES_ON = re.compile(r"\w|-[^\W\d]|\.\d")
_SHORTEST_GROUP = 3
_SHORTEST_CARD, _LONGEST_CARD = 13, 19
_ISSUER = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|6(?:011|5\d\d|4[4-9]\d)\d{12,15}"
    r"|35\d{14}|3(?:0[0-5]|[68]\d)\d{11}|62\d{14,17}"
)
_DIGITS = re.compile(r"\d[\d -]{11}")
_DOUBLED = tuple(int(c) for c in "0246813579")


def may_have_secret(text: str) -> bool:
    """Whether a text could have something to mask: a quick look, which most entries pass."""
    lower = text.lower()
    # In a row of its own, since a loop over them takes three times as long.
    return (
        "pass" in lower
        or "secret" in lower
        or "token" in lower
        or "key" in lower
        or "://" in lower
        or "eyj" in lower
        or "bearer" in lower
        or "pwd" in lower
        or "authoriz" in lower
        or "credential" in lower
        or "cookie" in lower
        or "basic " in lower
        or "cms_" in lower
        or "gh" in lower
        or "glpat-" in lower
        or "k_live" in lower
        or "k_test" in lower
        or "akia" in lower
        or "asia" in lower
        or "xox" in lower
        or "aiza" in lower
        or "sg." in lower
        or "npm_" in lower
        or _DIGITS.search(lower) is not None
    )


def mask_entry(entry: NewLogEntry) -> None:
    """Mask an entry's message, source and attributes, in place."""
    entry.message = mask_text(entry.message)
    if entry.source:
        entry.source = mask_text(entry.source)[:255]
    if entry.attributes:
        entry.attributes = _masked_object(entry.attributes)


def mask_text(text: str) -> str:
    """The text with [masked] where it has secrets; masking it again changes nothing."""
    if not may_have_secret(text):
        return text
    return _GROUPS.sub(_masked_cards, _mask_by_form(text))


def _mask_by_form(text: str) -> str:
    text = _KEY_BLOCK.sub(MASKED, text)
    text = _AUTHORIZATION.sub(rf"\1{MASKED}", text)
    text = _COOKIES.sub(rf"\1{MASKED}", text)
    text = _BEARER.sub(rf"\1{MASKED}", text)
    text = _TOKEN_FORMS.sub(MASKED, text)
    text = _IN_URL.sub(rf"\1{MASKED}", text)
    return _ASSIGNMENT.sub(_masked_assignment, text)


def _masked_assignment(match: re.Match[str]) -> str:
    name, value = match.groups()
    if value.lower() in ("bearer", "basic", "null", "none", "true", "false"):
        return match[0]
    if MASKED[:-1] in value:
        return match[0]
    quote = re.match(r"\\*[\"']", value)
    return f"{name}{quote[0]}{MASKED}{quote[0]}" if quote else f"{name}{MASKED}"


def _masked_cards(match: re.Match[str]) -> str:
    """Groups of digits without the card numbers: other numbers may stand before and after one."""
    text = match[0]
    if _UUID.fullmatch(text):
        return text
    goes_on = _GOES_ON.match(match.string, match.end()) is not None
    spans = [group.span() for group in _GROUP.finditer(text)]
    last = len(spans) - (2 if goes_on else 1)
    parts: list[str] = []
    done = first = 0
    while first <= last:
        end = _end_of_card(text, spans, first, last)
        if end is None:
            first += 1
            continue
        parts += [text[done : spans[first][0]], MASKED]
        done = spans[end][1]
        first = end + 1
    return "".join([*parts, text[done:]])


def _end_of_card(text: str, spans: Sequence[tuple[int, int]], first: int, last: int) -> int | None:
    """The last of the groups that make the longest card number from the first of them on."""
    digits = ""
    found = None
    for place in range(first, last + 1):
        start, end = spans[place]
        if end - start < _SHORTEST_GROUP or len(digits) + end - start > _LONGEST_CARD:
            break
        digits += text[start:end]
        if len(digits) >= _SHORTEST_CARD and _is_card(digits):
            found = place
    return found


def _is_card(digits: str) -> bool:
    if not _ISSUER.fullmatch(digits) or len(set(digits)) == 1:
        return False
    numbers = [int(digit) for digit in reversed(digits)]
    total = sum(numbers[::2]) + sum(_DOUBLED[number] for number in numbers[1::2])
    return total % 10 == 0


def _masked_object(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _masked_value(name, value) for name, value in given.items()}


def _masked_value(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if _names_secret(name):
        return MASKED
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, dict):
        return _masked_object(value)
    if isinstance(value, list):
        return [_masked_value("", each) for each in value]
    if isinstance(value, int) and value >= 10**12 and mask_text(str(value)) == MASKED:
        return MASKED
    return value


_NAMES: dict[str, bool] = {}
_MOST_NAMES = 4096


def _names_secret(name: str) -> bool:
    """Whether an attribute's name means a secret. Senders use few names, again and again."""
    known = _NAMES.get(name)
    if known is None:
        known = bool(_SECRET_NAME.fullmatch(name) or _SECRET_NAME.fullmatch(name.lower()))
        if len(_NAMES) < _MOST_NAMES and len(name) <= 255:
            _NAMES[name] = known
    return known
