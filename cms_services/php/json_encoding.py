"""JSON as PHP's json_encode() writes it, with its flags, byte by byte.

The rules are those of ext/json/json_encoder.c and, for floats with serialize_precision = -1, of
php_gcvt() in main/snprintf.c (PHP 7.1 and later).
"""

import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

FLAGS = (
    "JSON_HEX_TAG",
    "JSON_HEX_AMP",
    "JSON_HEX_APOS",
    "JSON_HEX_QUOT",
    "JSON_FORCE_OBJECT",
    "JSON_NUMERIC_CHECK",
    "JSON_UNESCAPED_SLASHES",
    "JSON_PRETTY_PRINT",
    "JSON_UNESCAPED_UNICODE",
    "JSON_PRESERVE_ZERO_FRACTION",
    "JSON_UNESCAPED_LINE_TERMINATORS",
)

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_MOST_DIGITS = 17
_ALWAYS = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r"}
_ALWAYS |= {"\t": "\\t"}
_HEX = {
    "JSON_HEX_TAG": {"<": "\\u003C", ">": "\\u003E"},
    "JSON_HEX_AMP": {"&": "\\u0026"},
    "JSON_HEX_APOS": {"'": "\\u0027"},
    "JSON_HEX_QUOT": {'"': "\\u0022"},
}
# is_numeric_string() since PHP 8: blanks may stand on both sides.
_NUMERIC = re.compile(r"[ \t\n\r\v\f]*([+-]?(?:[0-9]+(\.[0-9]*)?|(\.[0-9]+))([eE][+-]?[0-9]+)?)")
_BLANKS_BEHIND = re.compile(r"[ \t\n\r\v\f]*\Z")


def encoder(flags: frozenset[str]) -> Callable[[Any], str]:
    """What json_encode(..., flags) makes of values that JSON was decoded into.

    A float that is no number raises ValueError, where PHP's function fails.
    """
    texts = _text_encoder(flags)
    pretty = "JSON_PRETTY_PRINT" in flags
    force_object = "JSON_FORCE_OBJECT" in flags
    numeric = "JSON_NUMERIC_CHECK" in flags
    zero_fraction = "JSON_PRESERVE_ZERO_FRACTION" in flags
    colon = ": " if pretty else ":"

    def number(value: float) -> str:
        written = float_text(value)
        return f"{written}.0" if zero_fraction and written.lstrip("-").isdecimal() else written

    def scalar(value: Any) -> str:
        if value is None:
            return "null"
        if value is True:
            return "true"
        if value is False:
            return "false"
        if isinstance(value, str):
            found = numeric_value(value) if numeric else None
            return texts(value) if found is None else scalar(found)
        if isinstance(value, int) and _INT64_MIN <= value <= _INT64_MAX:
            return str(value)
        return number(float(value))

    def encode(value: Any, depth: int) -> str:
        if isinstance(value, dict):
            parts = [f"{texts(key)}{colon}{encode(item, depth + 1)}" for key, item in value.items()]
            return around("{", parts, "}", depth)
        if isinstance(value, list):
            if force_object:
                return encode({str(key): item for key, item in enumerate(value)}, depth)
            return around("[", [encode(item, depth + 1) for item in value], "]", depth)
        return scalar(value)

    def around(opening: str, parts: list[str], closing: str, depth: int) -> str:
        if not parts:
            return opening + closing
        if not pretty:
            return f"{opening}{','.join(parts)}{closing}"
        inner, outer = "\n" + "    " * (depth + 1), "\n" + "    " * depth
        return f"{opening}{inner}{f',{inner}'.join(parts)}{outer}{closing}"

    return lambda value: encode(value, 0)


def float_text(value: float) -> str:
    """A float as PHP writes it with serialize_precision = -1. Raises ValueError for no number."""
    if not math.isfinite(value):
        raise ValueError("Inf and NaN cannot be JSON encoded")
    sign, digit_tuple, exponent = Decimal(repr(value)).as_tuple()
    digits = "".join(map(str, digit_tuple)).lstrip("0")
    minus = "-" if sign else ""
    if not digits:
        return f"{minus}0"
    point = len(digits) + int(exponent)
    digits = digits.rstrip("0")
    if point > _MOST_DIGITS or point < -3:
        rest = digits[1:] or "0"
        return f"{minus}{digits[0]}.{rest}e{'-' if point < 1 else '+'}{abs(point - 1)}"
    if point <= 0:
        return f"{minus}0.{'0' * -point}{digits}"
    whole, fraction = digits[:point].ljust(point, "0"), digits[point:]
    return f"{minus}{whole}.{fraction}" if fraction else f"{minus}{whole}"


def numeric_value(text: str) -> int | float | None:
    """The number that PHP takes a text for, or None where is_numeric() is false.

    None, too, for one that is too large for a float, which JSON can't have.
    """
    match = _NUMERIC.match(text)
    if match is None or not _BLANKS_BEHIND.match(text, match.end()):
        return None
    if match[2] is None and match[3] is None and match[4] is None:
        whole = int(match[1])
        if _INT64_MIN <= whole <= _INT64_MAX:
            return whole
    number = float(match[1])
    return number if math.isfinite(number) else None


def _text_encoder(flags: frozenset[str]) -> Callable[[str], str]:
    named = dict(_ALWAYS)
    if "JSON_UNESCAPED_SLASHES" not in flags:
        named["/"] = "\\/"
    for flag, escapes in _HEX.items():
        if flag in flags:
            named |= escapes
    classes = "".join(re.escape(each) for each in named) + r"\x00-\x1f"
    if "JSON_UNESCAPED_UNICODE" not in flags:
        classes += "\x80-\U0010ffff"
    elif "JSON_UNESCAPED_LINE_TERMINATORS" not in flags:
        classes += "\u2028\u2029"
    pattern = re.compile(f"[{classes}]")

    def escaped(match: re.Match[str]) -> str:
        character = match[0]
        if character in named:
            return named[character]
        code = ord(character)
        if code <= 0xFFFF:
            return f"\\u{code:04x}"
        code -= 0x10000
        return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"

    return lambda text: f'"{pattern.sub(escaped, text)}"'
