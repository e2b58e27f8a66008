"""Times written as PHP's date() writes them, and read back."""

from calendar import isleap, monthrange
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

CONSTANTS = {
    "DATE_ATOM": r"Y-m-d\TH:i:sP",
    "DATE_COOKIE": "l, d-M-Y H:i:s T",
    "DATE_ISO8601": r"Y-m-d\TH:i:sO",
    "DATE_RFC822": "D, d M y H:i:s O",
    "DATE_RFC850": "l, d-M-y H:i:s T",
    "DATE_RFC1036": "D, d M y H:i:s O",
    "DATE_RFC1123": "D, d M Y H:i:s O",
    "DATE_RFC2822": "D, d M Y H:i:s O",
    "DATE_RFC3339": r"Y-m-d\TH:i:sP",
    "DATE_RFC3339_EXTENDED": r"Y-m-d\TH:i:s.vP",
    "DATE_RFC7231": r"D, d M Y H:i:s \G\M\T",
    "DATE_RSS": "D, d M Y H:i:s O",
    "DATE_W3C": r"Y-m-d\TH:i:sP",
}
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def php_date(format: str, moment: datetime, zone: tzinfo) -> str:
    """A time in the letters of PHP's date(), in a zone. Letters that PHP has not stand as they are.

    `format` may be the name of one of PHP's constants, such as DATE_ATOM.
    """
    local = moment.astimezone(zone)
    written = []
    letters = iter(CONSTANTS.get(format, format))
    for letter in letters:
        if letter == "\\":
            written.append(next(letters, ""))
        elif letter in _LETTERS:
            written.append(_LETTERS[letter](local))
        else:
            written.append(letter)
    return "".join(written)


def _offset(local: datetime, colon: str) -> str:
    seconds = int(_offset_of(local).total_seconds())
    minutes = abs(seconds) // 60
    return f"{'-' if seconds < 0 else '+'}{minutes // 60:02}{colon}{minutes % 60:02}"


def _offset_of(local: datetime) -> timedelta:
    return local.utcoffset() or timedelta(0)


def _ordinal(local: datetime) -> str:
    if local.day in (11, 12, 13):
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(local.day % 10, "th")


def _swatch(local: datetime) -> str:
    seconds = (int((local - _EPOCH).total_seconds()) + 3600) % 86400
    return f"{seconds * 10 // 864:03}"


_LETTERS: dict[str, Callable[[datetime], str]] = {
    "d": lambda t: f"{t.day:02}",
    "D": lambda t: _DAYS[t.weekday()][:3],
    "j": lambda t: str(t.day),
    "l": lambda t: _DAYS[t.weekday()],
    "N": lambda t: str(t.isoweekday()),
    "S": _ordinal,
    "w": lambda t: str(t.isoweekday() % 7),
    "z": lambda t: str(t.timetuple().tm_yday - 1),
    "W": lambda t: f"{t.isocalendar().week:02}",
    "F": lambda t: _MONTHS[t.month - 1],
    "m": lambda t: f"{t.month:02}",
    "M": lambda t: _MONTHS[t.month - 1][:3],
    "n": lambda t: str(t.month),
    "t": lambda t: str(monthrange(t.year, t.month)[1]),
    "L": lambda t: str(int(isleap(t.year))),
    "o": lambda t: str(t.isocalendar().year),
    "Y": lambda t: f"{t.year:04}",
    "y": lambda t: f"{t.year % 100:02}",
    "a": lambda t: "am" if t.hour < 12 else "pm",
    "A": lambda t: "AM" if t.hour < 12 else "PM",
    "B": _swatch,
    "g": lambda t: str(t.hour % 12 or 12),
    "G": lambda t: str(t.hour),
    "h": lambda t: f"{t.hour % 12 or 12:02}",
    "H": lambda t: f"{t.hour:02}",
    "i": lambda t: f"{t.minute:02}",
    "s": lambda t: f"{t.second:02}",
    "u": lambda t: f"{t.microsecond:06}",
    "v": lambda t: f"{t.microsecond // 1000:03}",
    "e": lambda t: str(t.tzinfo),
    "I": lambda t: str(int(bool(t.dst()))),
    "O": lambda t: _offset(t, ""),
    "P": lambda t: _offset(t, ":"),
    "p": lambda t: "Z" if t.tzname() in ("UTC", "Z") else _offset(t, ":"),
    "T": lambda t: t.tzname() or "",
    "Z": lambda t: str(int(_offset_of(t).total_seconds())),
    "U": lambda t: str((t - _EPOCH) // timedelta(seconds=1)),
    "c": lambda t: php_date("DATE_ATOM", t, t.tzinfo or UTC),
    "r": lambda t: php_date("DATE_RFC2822", t, t.tzinfo or UTC),
}
