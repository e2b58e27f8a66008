"""Values as twelve years of PHP left them, and as they are here."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms_services.importing import conversion
from cms_services.importing.conversion import Reading, Refused
from cms_services.importing.entities import ENTITIES

PLAIN = Reading()
BERLIN = Reading(zone=ZoneInfo("Europe/Berlin"))
STATUSES = ENTITIES["services"].fields["status"].words


class TestMoments:
    @pytest.mark.parametrize(
        ("there", "here"),
        [
            (datetime(2012, 3, 2, 12), datetime(2012, 3, 2, 11, tzinfo=UTC)),
            (datetime(2012, 7, 2, 12), datetime(2012, 7, 2, 10, tzinfo=UTC)),
            (date(2012, 7, 2), datetime(2012, 7, 1, 22, tzinfo=UTC)),
            ("2012-07-02 12:00:00", datetime(2012, 7, 2, 10, tzinfo=UTC)),
            ("2012-07-02T12:00:00Z", datetime(2012, 7, 2, 12, tzinfo=UTC)),
            (b"2012-07-02", datetime(2012, 7, 1, 22, tzinfo=UTC)),
            (1341223200, datetime(2012, 7, 2, 10, tzinfo=UTC)),
            ("1341223200", datetime(2012, 7, 2, 10, tzinfo=UTC)),
            (Decimal(1341223200000), datetime(2012, 7, 2, 10, tzinfo=UTC)),
            ("0000-00-00 00:00:00", None),
            ("2012-00-00 00:00:00", None),
            ("", None),
            (0, None),
            (None, None),
            (datetime(1, 1, 1), None),
        ],
    )
    def test_times_of_all_kinds(self, there: Any, here: datetime | None) -> None:
        assert conversion.moment(there, BERLIN, "created_at") == here

    def test_a_timestamp_column_is_of_utc_whatever_the_zone(self) -> None:
        noon = datetime(2012, 7, 2, 12)
        found = conversion.moment(noon, BERLIN, "created_at", is_utc=True)
        assert found == noon.replace(tzinfo=UTC)

    def test_a_format_of_its_own(self) -> None:
        german = Reading(format="%d.%m.%Y %H:%M")
        found = conversion.moment("31.12.2015 14:05", german, "at")
        assert found == datetime(2015, 12, 31, 14, 5, tzinfo=UTC)
        with pytest.raises(Refused, match="is not written as"):
            conversion.moment("2015-12-31", german, "at")

    @pytest.mark.parametrize("there", ["yesterday", "31.12.2015", object()])
    def test_what_is_none_is_refused(self, there: Any) -> None:
        with pytest.raises(Refused, match="at: "):
            conversion.moment(there, PLAIN, "at")


class TestWords:
    @pytest.mark.parametrize("there", [1, "1", "Y", "y", "yes", "On", "TRUE", b"\x01", True])
    def test_yes(self, there: Any) -> None:
        assert conversion.boolean(there, PLAIN, "active") is True

    @pytest.mark.parametrize("there", [0, "0", "N", "no", "off", "", b"\x00", False, "N  "])
    def test_no(self, there: Any) -> None:
        assert conversion.boolean(there, PLAIN, "active") is False

    def test_neither(self) -> None:
        with pytest.raises(Refused, match="neither yes nor no"):
            conversion.boolean("perhaps", PLAIN, "active")

    def test_an_enum_by_the_mapping_and_by_itself(self) -> None:
        values = {"enabled": "active", "0": "inactive"}
        for there, here in (
            ("ENABLED", "active"),
            (0, "inactive"),
            ("Active  ", "active"),
        ):
            assert conversion.word(there, PLAIN, "status", STATUSES, values) == here
        assert conversion.word("", PLAIN, "status", STATUSES, values) is None
        with pytest.raises(Refused, match="'zombie' is none of active, inactive"):
            conversion.word("zombie", PLAIN, "status", STATUSES, values)

    @pytest.mark.parametrize(
        ("there", "here"),
        [(7, "7"), ("7  ", "7"), (Decimal("7.0"), "7"), (7.0, "7"), (b"\xff\x00", "ff00"),
         (0, None), ("0", None), ("", None), (None, None), ("svc-1", "svc-1")],
    )  # fmt: skip
    def test_identifiers(self, there: Any, here: str | None) -> None:
        assert conversion.identifier(there, PLAIN, "id") == here


class TestNumbers:
    @pytest.mark.parametrize(
        ("there", "here"),
        [
            ("12,50", 12.5), ("12.50", 12.5), ("1.234,50", 1234.5), ("1,234.50", 1234.5),
            ("1.234.567", 1234567.0), ("1 234,5", 1234.5), ("1'234.5", 1234.5),
            ("12,50 EUR", 12.5), ("€ 3", 3.0), ("-4%", -4.0), ("1e3", 1000.0), (".5", 0.5),
            (Decimal("9.99"), 9.99), (3, 3.0), ("", None), (None, None),
        ],
    )  # fmt: skip
    def test_as_people_write_them(self, there: Any, here: float | None) -> None:
        assert conversion.number(there, PLAIN, "value") == here

    @pytest.mark.parametrize("there", ["many", "1-2", float("nan"), "1.2.3"])
    def test_what_is_none_is_refused(self, there: Any) -> None:
        with pytest.raises(Refused):
            conversion.number(there, PLAIN, "value")


class TestStructures:
    @pytest.mark.parametrize(
        ("there", "here"),
        [
            ('a:2:{s:4:"port";i:3000;s:2:"on";b:1;}', {"port": 3000, "on": True}),
            ('{"port": 3000}', {"port": 3000}),
            ("a:0:{}", None), ("[]", None), ("", None), (None, None), ("null", None),
            ('a:1:{s:4:"name";s:7:"Müller";}', {"name": "Müller"}),
            ('a:1:{s:4:"name";s:6:"Müller";}', {"name": "Müller"}),  # counted as latin1
            ('a:1:{s:4:"name";s:7:"MÃ¼ller";}', {"name": "Müller"}),  # encoded twice since
            ('{"name": "MÃ¼ller"}', {"name": "Müller"}),
            ('O:8:"stdClass":1:{s:1:"a";d:0.5;}', {"a": 0.5}),
            ('a:1:{s:1:"x";d:INF;}', {"x": "inf"}),
            ('["a", "b"]', {"0": "a", "1": "b"}),
        ],
    )  # fmt: skip
    def test_documents(self, there: Any, here: Any) -> None:
        assert conversion.document(there, PLAIN, "config") == here

    @pytest.mark.parametrize("there", ["{broken", 'a:1:{s:4:"port";i:30', "plain", "[" * 10**5])
    def test_what_is_broken_is_refused(self, there: str) -> None:
        with pytest.raises(Refused, match="config: "):
            conversion.document(there, PLAIN, "config")

    @pytest.mark.parametrize(
        ("there", "here"),
        [
            ("13,14", ["13", "14"]), ("12; 13", ["12", "13"]), ("/a\r\n/b\n", ["/a", "/b"]),
            ('a:1:{i:0;s:2:"/a";}', ["/a"]), ('["/a", 7]', ["/a", "7"]),
            ('[{"path": "/a", "method": "GET"}]', ["/a"]), ("", None), ("[]", []), ("x", ["x"]),
        ],
    )  # fmt: skip
    def test_lists_of_texts(self, there: Any, here: Any) -> None:
        assert conversion.text_list(there, PLAIN, "endpoints") == here

    @given(st.text())
    def test_whatever_a_column_holds_it_is_a_value_or_refused(self, there: str) -> None:
        for convert in (conversion.document, conversion.text_list, conversion.moment):
            try:
                convert(there, PLAIN, "x")
            except Refused:
                continue


class TestEncoding:
    @pytest.mark.parametrize(
        ("there", "here"),
        [
            ("CafÃ©", "Café"), ("FÃ¼r â€œalleâ€\x9d", "Für “alle”"), ("Straße", "Straße"),
            ("“quoted” – it’s ½ ﬁne…", "“quoted” – it’s ½ ﬁne…"), ("A&amp;B", "A&amp;B"),
            ("ＦＵＬＬ", "ＦＵＬＬ"),
        ],
    )  # fmt: skip
    def test_only_what_was_decoded_wrongly_is_changed(self, there: str, here: str) -> None:
        assert conversion.repaired(there) == here

    def test_it_can_be_left_alone(self) -> None:
        assert conversion.text("CafÃ©", Reading(repair=False)) == "CafÃ©"

    def test_char_columns_lose_their_padding(self) -> None:
        assert conversion.text("admin     ", PLAIN) == "admin"
