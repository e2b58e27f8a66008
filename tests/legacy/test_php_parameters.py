"""Parameters are read as PHP reads them, except for those that are refused."""

import json
import os
import shutil
from collections.abc import Iterator
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cms_services.legacy.php_parameters import (
    MAX_NESTING,
    MAX_VARIABLES,
    ParameterError,
    Value,
    parse_pairs,
    parse_urlencoded,
)
from tests.legacy.record_php import (
    NAME_TOKENS,
    QUERY_TOKENS,
    RECORDED_FILE,
    Php,
    PhpItem,
    is_utf8,
    running_php,
)

LIVE_SETTINGS = settings(
    max_examples=500,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


class TestNamesAndValues:
    def test_parameter_without_equals_sign_is_empty(self) -> None:
        assert parse_urlencoded(b"getServices&project=shop") == {
            "getServices": "",
            "project": "shop",
        }

    def test_only_the_first_equals_sign_separates(self) -> None:
        assert parse_urlencoded(b"a=b=c&d==") == {"a": "b=c", "d": "="}

    def test_escapes_and_plus_signs_are_decoded(self) -> None:
        assert parse_urlencoded(b"a%5Fb=1+2%2B3%20%C3%A9") == {"a_b": "1 2+3 é"}

    def test_invalid_escapes_are_kept(self) -> None:
        assert parse_urlencoded(b"a=%zz%4%&b=%%41") == {"a": "%zz%4%", "b": "%A"}

    def test_semicolon_does_not_separate(self) -> None:
        assert parse_urlencoded(b"a=1;b=2") == {"a": "1;b=2"}

    def test_later_value_replaces_earlier_one_in_its_place(self) -> None:
        assert ordered(parse_urlencoded(b"a=1&b=2&a=3")) == ordered({"a": "3", "b": "2"})

    @pytest.mark.parametrize("query", [b"", b"&&", b"=1", b"+=1", b"%00a=1", b"[]=1", b"[a]=1"])
    def test_parameters_without_a_name_are_ignored(self, query: bytes) -> None:
        assert parse_urlencoded(query) == {}

    def test_spaces_and_dots_become_underscores_before_the_first_bracket(self) -> None:
        assert parse_urlencoded(b"+a.b+c=1&d.[e.f+]=2") == {"a_b_c": "1", "d_": {"e.f ": "2"}}

    def test_name_ends_at_nul_while_value_keeps_it(self) -> None:
        assert parse_urlencoded(b"a%00b=c%00d&e\0f=g\0h") == {"a": "c\0d", "e": "g\0h"}

    @pytest.mark.parametrize("query", [b"..Host-a=1", b"_[Secure-a=1"])
    def test_name_that_becomes_a_protected_cookie_name_is_ignored(self, query: bytes) -> None:
        assert parse_urlencoded(query) == {}

    def test_key_with_the_prefix_of_protected_cookies_leaves_an_empty_array(self) -> None:
        assert parse_urlencoded(b"a[__Host-b]=1") == {"a": []}


class TestBrackets:
    def test_text_keys_make_a_dict(self) -> None:
        assert parse_urlencoded(b"configuration[port]=3000&configuration[host]=web") == {
            "configuration": {"port": "3000", "host": "web"}
        }

    def test_empty_brackets_make_a_list(self) -> None:
        assert parse_urlencoded(b"endpoints[]=a&endpoints%5B%5D=b") == {"endpoints": ["a", "b"]}

    def test_brackets_nest(self) -> None:
        assert parse_urlencoded(b"a[b][]=1&a[b][]=2&a[][c]=3") == {
            "a": {"b": ["1", "2"], "0": {"c": "3"}}
        }

    def test_one_white_space_in_brackets_counts_as_empty(self) -> None:
        assert parse_urlencoded(b"a[ ]=1&a[%09]=2") == {"a": ["1", "2"]}
        assert parse_urlencoded(b"a[  ]=1&a[ b]=2") == {"a": {"  ": "1", " b": "2"}}

    def test_unclosed_first_bracket_becomes_part_of_the_name(self) -> None:
        assert parse_urlencoded(b"a[b.c[d=1") == {"a_b_c_d": "1"}

    @pytest.mark.parametrize("name", [b"a[b][c", b"a[b]c", b"a[b]c[d]", b"a[b]]"])
    def test_what_follows_complete_brackets_is_ignored(self, name: bytes) -> None:
        assert parse_urlencoded(name + b"=1") == {"a": {"b": "1"}}

    def test_array_and_text_replace_each_other(self) -> None:
        assert parse_urlencoded(b"a=1&a[b]=2") == {"a": {"b": "2"}}
        assert parse_urlencoded(b"a[b]=2&a=1") == {"a": "1"}


class TestIntegerKeys:
    def test_consecutive_keys_from_zero_make_a_list(self) -> None:
        assert parse_urlencoded(b"a[0]=x&a[1]=y&a[]=z") == {"a": ["x", "y", "z"]}

    def test_keys_out_of_order_make_a_dict_in_the_order_given(self) -> None:
        parsed = parse_urlencoded(b"a[1]=x&a[0]=y&a[]=z")
        assert ordered(parsed) == ordered({"a": {"1": "x", "0": "y", "2": "z"}})

    @pytest.mark.parametrize("key", ["01", "-0", "00", "1.0", "x", "9223372036854775808", "١"])
    def test_other_keys_do_not_count_as_an_index(self, key: str) -> None:
        assert parse_urlencoded(f"a[{key}]=x&a[]=y".encode()) == {"a": {key: "x", "0": "y"}}

    @pytest.mark.parametrize(
        ("key", "following"),
        [("7", "8"), ("-5", "-4"), ("-1", "0"), ("-9223372036854775808", "-9223372036854775807")],
    )
    def test_appended_item_follows_the_highest_index(self, key: str, following: str) -> None:
        parsed = parse_urlencoded(f"a[{key}]=x&a[]=y".encode())
        assert parsed == {"a": {key: "x", following: "y"}}

    def test_nothing_is_appended_after_the_highest_possible_index(self) -> None:
        query = b"a[9223372036854775806]=x&a[]=y&a[]=dropped&a[][b]=dropped"
        assert parse_urlencoded(query) == {
            "a": {"9223372036854775806": "x", "9223372036854775807": "y"}
        }

    def test_top_level_is_a_dict_even_with_list_keys(self) -> None:
        assert parse_urlencoded(b"0=a&1=b") == {"0": "a", "1": "b"}


class TestPairs:
    def test_names_and_values_are_taken_as_they_are(self) -> None:
        assert parse_pairs([(b"a+b%20[]", b"1+2%20&c=d")]) == {"a+b%20": ["1+2%20&c=d"]}

    def test_rules_for_names_apply(self) -> None:
        pairs = [(b"a.b[x]", b"1"), (b" a b[x]", b"2"), (b"", b"ignored")]
        assert parse_pairs(pairs) == {"a_b": {"x": "2"}}


class TestRefusals:
    def test_value_that_is_not_utf8(self) -> None:
        with pytest.raises(ParameterError, match="'project' is not valid UTF-8") as refusal:
            parse_urlencoded(b"a=1&project=%E9")
        assert refusal.value.name == "project"

    def test_name_that_is_not_utf8(self) -> None:
        with pytest.raises(ParameterError, match="not valid UTF-8") as refusal:
            parse_urlencoded(b"caf%E9=1")
        assert refusal.value.name == "caf\N{REPLACEMENT CHARACTER}"

    def test_encoded_surrogate_is_not_utf8(self) -> None:
        with pytest.raises(ParameterError, match="not valid UTF-8"):
            parse_urlencoded(b"a=%ED%A0%80")

    def test_too_many_parameters(self) -> None:
        query = b"&".join(b"a%d=1" % number for number in range(MAX_VARIABLES + 1))
        with pytest.raises(ParameterError, match="send at most 1000 parameters") as refusal:
            parse_urlencoded(query)
        assert refusal.value.name == "a1000"

    def test_as_many_parameters_as_allowed(self) -> None:
        query = b"&&".join(b"a[]=%d" % number for number in range(MAX_VARIABLES))
        assert parse_urlencoded(query) == {"a": [str(number) for number in range(MAX_VARIABLES)]}

    @pytest.mark.parametrize("last", [b"[b]", b"[]", b"[b"])
    def test_nesting_too_deep(self, last: bytes) -> None:
        with pytest.raises(ParameterError, match="use at most 64 pairs of brackets"):
            parse_urlencoded(b"a" + b"[b]" * MAX_NESTING + last + b"=1")

    def test_nesting_as_deep_as_allowed(self) -> None:
        value: Value = parse_urlencoded(b"a" + b"[b]" * MAX_NESTING + b"=1")["a"]
        for _ in range(MAX_NESTING):
            assert isinstance(value, dict)
            value = value["b"]
        assert value == "1"

    def test_long_name_is_shortened(self) -> None:
        with pytest.raises(ParameterError) as refusal:
            parse_urlencoded(b"a" * 100_000 + b"=%FF")
        assert refusal.value.name == "a" * 100 + "…"


def load_recorded() -> list[tuple[str, PhpItem]]:
    cases: list[tuple[str, PhpItem]] = json.loads(RECORDED_FILE.read_text())["cases"]
    return cases


@pytest.mark.parametrize(("query", "answer"), load_recorded())
def test_same_as_recorded_php(query: str, answer: PhpItem) -> None:
    assert ordered(parse_urlencoded(query.encode())) == ordered(as_parameters(answer))


@pytest.fixture(scope="module")
def php() -> Iterator[Php]:
    if shutil.which("php") is None:
        if os.environ.get("REQUIRE_SERVERS") == "1":
            pytest.fail("REQUIRE_SERVERS=1, but there is no php on PATH")
        pytest.skip("no php on PATH; the recorded answers are compared all the same")
    with running_php() as running:
        yield running


def joined(tokens: list[str], max_size: int) -> st.SearchStrategy[bytes]:
    return st.lists(st.sampled_from(tokens), max_size=max_size).map(lambda t: "".join(t).encode())


keys = st.sampled_from(["", " ", "a", "b.c", "0", "1", "01", "-1", "-5", str(2**63 - 1), "[", "é"])
bracketed_names = st.builds(
    lambda base, path: (base + "".join(f"[{key}]" for key in path)).encode(),
    st.sampled_from(["a", "b", "a.b"]),
    st.lists(keys, max_size=4),
)
names = bracketed_names | joined(NAME_TOKENS, max_size=8)
values = joined(["a", " ", "+", "%41", "\0", "é", "[", "=", "&"], max_size=3)
parameters = st.builds(lambda name, value: name + b"=" + value, names, values)
structured_queries = st.lists(parameters, max_size=8).map(b"&".join)
queries = joined(QUERY_TOKENS, max_size=40) | structured_queries


@LIVE_SETTINGS
@given(query=queries)
def test_same_as_live_php(php: Php, query: bytes) -> None:
    if is_utf8(query):
        expected = as_parameters(php.parse(query))
        assert ordered(parse_urlencoded(query)) == ordered(expected)
    else:
        with pytest.raises(ParameterError, match="not valid UTF-8"):
            parse_urlencoded(query)


@LIVE_SETTINGS
@given(pairs=st.lists(st.tuples(names, values), max_size=8))
def test_pairs_same_as_live_php(php: Php, pairs: list[tuple[bytes, bytes]]) -> None:
    query = "&".join(f"{quote_from_bytes(name)}={quote_from_bytes(value)}" for name, value in pairs)
    assert ordered(parse_pairs(pairs)) == ordered(as_parameters(php.parse(query.encode())))


def as_parameters(answer: PhpItem) -> dict[str, Value]:
    """Return what the parser has to make of PHP's array of variables."""
    assert not isinstance(answer, str)
    return {str(key): as_value(item) for key, item in answer}


def as_value(answer: PhpItem) -> Value:
    if isinstance(answer, str):
        return answer
    if [key for key, _ in answer] == list(range(len(answer))):
        return [as_value(item) for _, item in answer]
    return {str(key): as_value(item) for key, item in answer}


def ordered(parsed: dict[str, Value]) -> str:
    """Return a text to compare by, since dicts are equal whatever their order is."""
    return json.dumps(parsed, ensure_ascii=False)
