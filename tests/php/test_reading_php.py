"""What PHP's serialize() and its sessions hold is read as PHP wrote it, and nothing else is."""

import math
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cms_services.php.serialized import MOST_BYTES, Unreadable, unserialize, with_lists
from cms_services.php.sessions import read_session, user_id_in
from tests.php.written import FORMATS, Php, running_php

_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXTS
)
# A test that fails says so by the first value that it finds.
_EXAMPLES = settings(
    max_examples=60, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)
VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=12,
)
VARIABLES = st.dictionaries(
    st.from_regex(r"[a-z_][A-Za-z0-9_]{0,9}", fullmatch=True), VALUES, max_size=5
)
_PIECES = (
    b"i:0;",
    b"s:2:",
    b"a:1:{",
    b"R:2;",
    b"r:1;",
    b"N;",
    b"|",
    b'"',
    b"}",
    b"\0",
    b'O:1:"A":',
)
_INTEGER_KEY = re.compile(r"(?:0|-?[1-9][0-9]{0,17})\Z")


@pytest.fixture(scope="module")
def php() -> Iterator[Php]:
    with running_php() as running:
        yield running


def as_php_has_it(value: Any) -> Any:
    """JSON as arrays of PHP: lists have keys too, and keys that look like integers are."""
    if isinstance(value, list):
        return {key: as_php_has_it(item) for key, item in enumerate(value)}
    if isinstance(value, dict):
        return {
            int(key) if _INTEGER_KEY.match(key) else key: as_php_has_it(item)
            for key, item in value.items()
        }
    return value


class TestValues:
    @_EXAMPLES
    @given(VALUES)
    def test_they_are_those_that_php_wrote(self, php: Php, value: Any) -> None:
        assert unserialize(php.serialized(value)) == as_php_has_it(value)

    def test_lists_are_told_from_other_arrays(self) -> None:
        value = unserialize(b'a:2:{i:0;a:1:{i:1;i:5;}i:1;a:1:{s:1:"a";a:1:{i:0;b:1;}}}')
        assert with_lists(value) == [{1: 5}, {"a": [True]}]

    @pytest.mark.parametrize(
        ("data", "value"),
        [
            (b'S:5:"a\\7c\\00bc";', "a|\0bc"),
            (b'O:1:"A":1:{s:4:"\0A\0b";i:1;}', {"b": 1}),
            (b'O:1:"A":1:{s:4:"\0*\0b";i:1;}', {"b": 1}),
            (b'C:1:"A":3:{x"}}', {}),
            (b'E:11:"Suit:Hearts";', "Suit:Hearts"),
            (b"d:-INF;", -math.inf),
            (b'a:2:{i:0;O:1:"A":1:{s:1:"a";r:2;}i:1;r:2;}', {0: {"a": None}, 1: {"a": None}}),
            (b's:2:"\xff\x00";', "\udcff\0"),
        ],
    )
    def test_rare_forms(self, data: bytes, value: Any) -> None:
        assert unserialize(data) == value

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"N",
            b"i:;",
            b"i:9223372036854775808;",
            b"i:1",
            b"i:1;i:2;",
            b"b:2;",
            b"d:0x1p3;",
            b"d:nan;",
            b's:3:"ab";',
            b's:-1:"";',
            b's:9999999999:"";',
            b"s:1:a;",
            b'S:1:"\\0g";',
            b'O:1:"-":0:{}',
            b'O:1:"A":1:{s:2:"\0b";i:1;}',
            b'O:1:"A":1:{s:3:"\0\0b";i:1;}',
            b"a:1:{i:0;i:1;",
            b"a:-1:{}",
            b"a:999999999:{}",
            b"a:1:{d:0.5;i:1;}",
            b"a:1:{N;i:1;}",
            b"a:1:{R:1;i:1;}",
            b"R:1;",
            b"a:1:{i:0;R:3;}",
            b"a:2:{i:0;a:0:{}i:1;r:2;}",
            b"a:1:{i:0;R:0;}",
            # What a custom serialization holds may have numbers too, which nobody can know.
            b'a:3:{i:0;C:1:"A":4:{i:1;}i:1;i:5;i:2;R:3;}',
            b"a:1:{i:0;" * 101 + b"N;" + b"}" * 101,
            b"a:1:{i:0;" * 100_000,
            b's:2097152:"' + b"x" * 2 * MOST_BYTES + b'";',
        ],
    )
    def test_anything_else_is_unreadable(self, data: bytes) -> None:
        with pytest.raises(Unreadable):
            unserialize(data)

    def test_references_cannot_make_much_of_little(self) -> None:
        twice = b"".join(b"i:%d;a:2:{i:0;R:%d;i:1;R:%d;}" % (n, n + 1, n + 1) for n in range(1, 40))
        inside = b"".join(b"i:%d;a:1:{i:0;R:%d;}" % (n, n + 1) for n in range(1, 200))
        for nested, count in ((twice, 40), (inside, 200)):
            with pytest.raises(Unreadable):
                unserialize(b"a:%d:{i:0;a:0:{}%s}" % (count, nested))


class TestSessions:
    @pytest.mark.parametrize("form", FORMATS)
    @_EXAMPLES
    @given(VARIABLES)
    def test_their_variables_are_those_that_php_wrote(
        self, php: Php, form: str, variables: dict[str, Any]
    ) -> None:
        written = php.session(form, variables)
        if variables:
            assert read_session(written, form) == as_php_has_it(variables)
            assert read_session(written) == as_php_has_it(variables)

    @pytest.mark.parametrize("form", FORMATS)
    def test_objects_references_and_enums_are_values_like_others(self, php: Php, form: str) -> None:
        found = read_session(php.session(form, "ZOO"))
        assert found["user"] == {"id": 7, "name": "Jürgen"}
        assert found["child"] == {"secret": 4, "kept": 2, "shown": 3, "self": None}
        assert found["slept"] == {"b": 2}
        assert found["packed"] == {"x": 5, 7: {0: 1}}
        assert found["suit"] == "Suit:Hearts"
        assert found["same"] == {0: "Suit:Hearts", 1: "Suit:Spades"}
        assert found["list"] == found["again"] == {0: 1, 1: 2}
        text = 'käse | "mild"; {}'
        assert found["deep"][0] == found["deep"][1][0] == found["last"] == text  # type: ignore[index]
        assert found["deep"][1][1] == found["child"]  # type: ignore[index]
        assert found["binary"] == "\0\udcff\udcfe"

    def test_nobody_is_signed_in_by_an_empty_one(self) -> None:
        assert user_id_in(read_session(b""), "user.id") is None

    @pytest.mark.parametrize(
        "data",
        [
            b"user",
            b"user|",
            b"user|a:1:{",
            b'user|a:1:{s:2:"id";i:7;}x',
            b"a:1:{i:0;i:1;}x",
            b'O:1:"A":0:{}',
            b"\x05useri:7;",
            b"i:7;",
            b"|i:7;",
        ],
    )
    def test_what_is_no_session_is_unreadable(self, data: bytes) -> None:
        with pytest.raises(Unreadable):
            read_session(data)

    @pytest.mark.parametrize("form", FORMATS)
    @pytest.mark.parametrize(
        "words",
        [
            '|i:0;user|a:1:{s:2:"id";i:1;}x|s:2:"ab',
            'x|i:0;user|a:1:{s:2:"id";i:1;}x|a:1:{i:0;s:2:"ab',
            "x" * 200 + '\x04usera:1:{s:2:"id";i:1;}\x01xs:2:"ab',
            'i:1;\x04usera:1:{s:2:"id";i:1;}\x01xa:1:{i:0;s:2:"ab',
            '";s:4:"user";a:1:{s:2:"id";i:1;}s:1:"x";s:2:"ab',
        ],
    )
    def test_no_words_of_a_visitor_sign_somebody_in(self, php: Php, form: str, words: str) -> None:
        for variables in ({"search": words}, {"user": {"id": 7}, "search": [words]}):
            found = read_session(php.session(form, variables))
            assert user_id_in(found, "user.id") == ("7" if "user" in variables else None)

    def test_a_name_that_holds_a_bar_of_a_visitor_is_no_variable(self, php: Php) -> None:
        """Its first name is as long as a printable character, as no program's is."""
        written = php.session("php_binary", {"x" * 40: '|i:0;user|a:1:{s:2:"id";i:1;}x|s:2:"ab'})
        with pytest.raises(Unreadable):
            read_session(written)
        assert len(read_session(written, "php_binary")) == 1


class TestTheUsersId:
    @pytest.mark.parametrize(
        ("session", "path", "user_id"),
        [
            ({"user": {"id": 7}}, "user.id", "7"),
            ({"user": {"id": "7"}}, "user.id", "7"),
            ({"user_id": "u-7"}, "user_id", "u-7"),
            ({"auth": {0: {"uid": 7}}}, "auth.0.uid", "7"),
            ({"auth": {"01": 7}}, "auth.01", "7"),
            ({"user": {"id": True}}, "user.id", None),
            ({"user": {"id": 7.0}}, "user.id", None),
            ({"user": {"id": None}}, "user.id", None),
            ({"user": {"id": ""}}, "user.id", None),
            ({"user": {"id": {0: 7}}}, "user.id", None),
            ({"user": {"id": "7\0"}}, "user.id", None),
            ({"user": {"id": "\udcff"}}, "user.id", None),
            ({"user": {"id": "7" * 256}}, "user.id", None),
            ({"user": "7"}, "user.id", None),
            ({}, "user.id", None),
        ],
    )
    def test_it_is_an_integer_or_a_text_at_the_path(
        self, session: Any, path: str, user_id: str | None
    ) -> None:
        assert user_id_in(session, path) == user_id


def mutated(original: bytes, chance: random.Random) -> bytes:
    """A session with one to three accidents."""
    data = bytearray(original)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(original))
        match chance.randrange(4):
            case 0:
                data[at : at + 1] = chance.randbytes(1)
            case 1:
                del data[at : at + chance.randrange(1, 9)]
            case 2:
                data[at:at] = chance.choice(_PIECES)
            case _:
                data[at:] = chance.choice(_PIECES)
    return bytes(data)


@pytest.mark.parametrize("form", FORMATS)
def test_a_mutated_session_is_read_or_refused(php: Php, form: str) -> None:
    """With the two other formats 100,000: nothing but Unreadable comes of any."""
    chance = random.Random(form)
    original = php.session(form, "SMALL")
    refused = 0
    for number in range(33_334):
        try:
            read = read_session(mutated(original, chance), ("auto", form)[number % 2])
            user_id_in(read, "user.id")
        except Unreadable:
            refused += 1
    assert 1_000 < refused < 33_000


@pytest.mark.parametrize("form", FORMATS)
def test_nobody_is_found_in_one_that_php_does_not_find(php: Php, form: str) -> None:
    chance = random.Random(form)
    original = php.session(form, "SMALL")
    found = 0
    for _ in range(3_000):
        data = mutated(original, chance)
        try:
            user_id = user_id_in(read_session(data, form), "user.id")
        except Unreadable:
            continue
        if user_id is not None:
            found += 1
            assert user_id == str(php.user_id(form, data)), data
    assert found > 20
