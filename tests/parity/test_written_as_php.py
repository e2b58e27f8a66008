"""JSON and times as real PHP writes them, byte by byte."""

import base64
import json
import math
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cms_services.php.dates import CONSTANTS, php_date
from cms_services.php.json_encoding import FLAGS, encoder, float_text

pytestmark = pytest.mark.skipif(shutil.which("php") is None, reason="needs PHP 8")

# A line with base64 of JSON in, a line with base64 of what PHP makes of it out.
_PROGRAM = r"""
ini_set('serialize_precision', '-1');
while (($line = fgets(STDIN)) !== false) {
    [$what, $first, $second, $third] = json_decode(base64_decode($line));
    if ($what === 'json') {
        $flags = 0;
        foreach ($second as $name) $flags |= constant($name);
        $told = json_encode($first, $flags);
    } elseif ($what === 'float') {
        $told = json_encode(unpack('E', base64_decode($first))[1], JSON_THROW_ON_ERROR);
    } else {
        $at = (new DateTimeImmutable('@' . $second))->modify("+$third->micro microseconds");
        $format = str_starts_with($first, 'DATE_') ? constant($first) : $first;
        $told = $at->setTimezone(new DateTimeZone($third->zone))->format($format);
    }
    echo base64_encode($told), "\n";
}
"""
Php = Callable[..., bytes]
_PATIENT = settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def php() -> Iterator[Php]:
    with subprocess.Popen(
        ["php", "-n", "-d", "html_errors=0", "-r", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin and process.stdout

        def ask(*question: Any) -> bytes:
            line = base64.b64encode(json.dumps([*question, None, None, None][:4]).encode())
            process.stdin.write(line + b"\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            told = process.stdout.readline()  # type: ignore[union-attr]
            return base64.b64decode(told, validate=False) if told.endswith(b"\n") else told

        yield ask
        process.stdin.close()


_TELLING = ("/", "</script>", "é", "\u2028", "😀", "'\"&<>", "\x00\x1f\x7f", "12", " 1.50 ", "1e3")
_NEARLY_NUMBERS = (
    ".5",
    "-0",
    "9223372036854775808",
    "0x1A",
    "1.",
    "+7",
    "007",
    "1e999",
    "\t5",
    "--1",
)
_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    (*_TELLING, *_NEARLY_NUMBERS, "3 apples")
)
# Names that PHP's objects can't carry begin with NUL.
_names = _texts.filter(lambda name: not name.startswith("\0"))
_ZONES = (
    *("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"),
    *("America/Sao_Paulo", "Pacific/Apia", "Asia/Kathmandu", "Europe/London"),
)
_floats = st.floats(allow_nan=False, allow_infinity=False)
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | _floats | _texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=4),
    max_leaves=12,
)


class TestJson:
    @_PATIENT
    @given(value=_values, flags=st.sets(st.sampled_from(FLAGS)))
    @example({"a/b": ["é", {}, [], 1.0, 1e25, "\U0001f600"]}, {"JSON_PRETTY_PRINT"})
    @example({"a": [["/"], {"b": {}}]}, set())
    @example(["1e400"], {"JSON_UNESCAPED_SLASHES"})
    def test_every_flag_writes_what_php_writes(self, php: Php, value: Any, flags: set[str]) -> None:
        told = php("json", value, sorted(flags))
        written = encoder(frozenset(flags))(value).encode()
        # A text that PHP takes for infinity leaves it without an answer; ours stays a text.
        assert written == told or (told == b"" and "JSON_NUMERIC_CHECK" in flags)

    @_PATIENT
    @given(number=_floats)
    @example(0.0001)
    @example(0.00001)
    @example(1e15)
    @example(1e17)
    @example(1e18)
    @example(123456789012345680.0)
    @example(-0.0)
    @example(5e-324)
    @example(1.7976931348623157e308)
    def test_floats(self, php: Php, number: float) -> None:
        packed = base64.b64encode(struct.pack(">d", number)).decode()
        assert encoder(frozenset())(number).encode() == php("float", packed)

    @_PATIENT
    @given(number=_floats)
    def test_a_float_reads_back_as_itself(self, number: float) -> None:
        assert float(float_text(number)) == number

    def test_no_number_has_no_json(self) -> None:
        for number in (math.inf, -math.inf, math.nan):
            with pytest.raises(ValueError, match="Inf and NaN"):
                encoder(frozenset())(number)


class TestDates:
    @_PATIENT
    @given(
        format=st.text("dDjlNSwzWFmMntLoYyaABgGhHisuveIOPpTZUcr -:/.\\", max_size=10).filter(
            lambda format: not format.replace("\\\\", "").endswith("\\")
        )
        | st.sampled_from(sorted(CONSTANTS)),
        moment=st.datetimes(datetime(1970, 1, 2), datetime(2036, 12, 30)),
        zone=st.sampled_from(_ZONES),
    )
    @example("D, j M Y H:i:s", datetime(2026, 2, 1, 5, 6, 7, 123456), "Europe/Berlin")
    @example(r"Y-m-d\TH:i:s\\", datetime(2026, 2, 1, 5, 6, 7), "Asia/Kolkata")
    def test_every_letter_writes_what_php_writes(
        self, php: Php, format: str, moment: datetime, zone: str
    ) -> None:
        at = moment.replace(tzinfo=UTC)
        seconds = int(at.replace(microsecond=0).timestamp())
        told = php("date", format, seconds, {"micro": at.microsecond, "zone": zone})
        assert php_date(format, at, ZoneInfo(zone)).encode() == told
