"""Filling in templates: every format quotes in its own way, and a broken template tells nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cms_services.downloads import rendering
from cms_services.errors import (
    DownloadGenerationFailed,
)


@pytest.fixture
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Writes the template `t`, as an operator would."""
    monkeypatch.setattr(rendering, "shipped_folder", lambda name: tmp_path)
    rendering._environment.cache_clear()
    yield (tmp_path / "t").write_text  # type: ignore[misc]
    rendering._environment.cache_clear()


@pytest.mark.parametrize(
    "text",
    [
        "{{ value }}",
        "{{ value | yaml | upper }}",
        "{{ 'a' ~ (value | yaml) }}",
        "{{ nothing }}",
        "{{ nothing | yaml }}",
        "{{ value.nothing | yaml }}",
        "{{ value | nothing }}",
        "{% if %}",
        "{% include 'nothing' %}",
    ],
)
def test_a_broken_template_is_refused_without_a_path(
    template: Callable[[str], None], tmp_path: Path, text: str
) -> None:
    template(text)
    with pytest.raises(DownloadGenerationFailed) as failure:
        rendering.render("t", value="x")
    assert failure.value.message == "The bundle could not be generated."
    assert failure.value.details is None


def test_a_missing_template_is_refused() -> None:
    with pytest.raises(DownloadGenerationFailed, match=r"^The bundle could not be generated\.$"):
        rendering.render("kubernetes/../../../etc/passwd")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nginx", "a$host"),
        ("nginx", "a\nb"),
        ("nginx", "a\0"),
        ("ini", "${HOME}"),
        ("ini", '"'),
        ("ini", "a\nb"),
        ("ini", "\\"),
        ("env", "' and \""),
        ("shell", "a\nb"),
        ("zone", "\ud800"),
        ("zone_name", "a b.example"),
        ("zone_name", "a..example"),
        ("zone_name", ""),
        ("mailbox", "nobody"),
        ("mailbox", "a\nb@example.com"),
        ("mailbox", "ä@example.com"),
        ("sql_literal", "a\0"),
        ("mysql_identifier", ""),
        ("mysql_identifier", "a "),
        ("mysql_identifier", "x" * 65),
        ("mysql_identifier", "\U0001f600"),
        ("mysql_grant", "a\0"),
        ("mysql_literal", "\udc80"),
        ("pgpass", "a\nb"),
        ("pgpass", "\ud800"),
        ("pgservice", " a"),
        ("pgservice", "a\rb"),
        ("pgservice", ""),
        ("mycnf", "a\nb"),
        ("word", "a b"),
        ("word", ""),
        ("word", "ä"),
        ("cron", "a\nb"),
        ("cron", ""),
        ("cron", " "),
        ("cron", "a\\\\b"),
        ("cron", "date +\\%s"),
        ("cron", "x" * 901),
        ("cron", "%" * 451),
        ("cron", "\u202e"),
        ("sql_identifier", ""),
        ("sql_identifier", "a\0"),
        ("sql_identifier", "ä" * 32),
        ("sql_identifier", "\ud800"),
        ("sql_literal", "\ud800"),
        ("mysql_identifier", "a\0"),
        ("mysql_identifier", "\ud800"),
        ("yaml", "\ud800"),
        ("yaml", 1.5),
        ("yaml", None),
    ],
)
def test_what_a_format_cannot_express_is_named_by_its_field(
    template: Callable[[str], None], name: str, value: object
) -> None:
    template(f"{{{{ site.folder | {name} }}}}")
    with pytest.raises(DownloadGenerationFailed, match=r"site\.folder holds"):
        rendering.render("t", other="x", site={"folder": value})


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        ("yaml", 'a\n"b"\\\u2028', '"a\\n\\"b\\"\\\\\\u2028"'),
        ("yaml", True, "true"),
        ("yaml", 80, "80"),
        ("nginx", 'a "b" \\; {', '"a \\"b\\" \\\\; {"'),
        ("ini", "a; b = [c]", '"a; b = [c]"'),
        ("env", "$x `y`", "'$x `y`'"),
        ("env", "it's", '"it\'s"'),
        ("shell", "a b; c", "'a b; c'"),
        ("comment", "a\r\nb\u2028c", "a  b c"),
        ("code", "a", "`a`"),
        ("code", "``a`b", "``` ``a`b ```"),
        ("code", "", "`  `"),
        ("word", "/srv/www/a-1", "/srv/www/a-1"),
        ("zone", 'a "b" \\; ä\n', '"a \\034b\\034 \\092; \\195\\164\\010"'),
        ("zone", "", '""'),
        ("zone", "x" * 300, f'"{"x" * 255}" "{"x" * 45}"'),
        ("zone_name", "*.a_b.example", "*.a_b.example."),
        ("zone_name", ".", "."),
        ("mailbox", "a.b+c@example.com", "a\\.b\\+c.example.com."),
        ("sql_literal", "a'b\\\n", "'a''b\\\n'"),
        ("mysql_identifier", "a`b\\", "`a``b\\`"),
        ("mysql_grant", "a_b%\\`", "`a\\_b\\%\\\\```"),
        ("mysql_literal", "a'b\\\n\r\0", "'a''b\\\\\\n\\r\\0'"),
        ("pgpass", "a:b\\#", "a\\:b\\\\#"),
        ("pgservice", "a = [b] #'", "a = [b] #'"),
        ("mycnf", "a\"b\\ #'", '"a\\"b\\\\ #\'"'),
        ("cron", "date +%s; a\\nb", "date +\\%s; a\\nb"),
        ("zone", 'a "b" \\ ä\n', '"a \\034b\\034 \\092 \\195\\164\\010"'),
        ("zone", "x" * 256, f'"{"x" * 255}" "x"'),
        ("sql_identifier", 'a"b; `', '"a""b; `"'),
        ("sql_literal", "it's \\ \n", "'it''s \\ \n'"),
        ("mysql_identifier", 'a`b"\\', '`a``b"\\`'),
        ("mysql_grant", "a_b%`", "`a\\_b\\%```"),
        ("mysql_literal", "it's \\ \n\0\x1a", "'it''s \\\\ \\n\\0\\Z'"),
    ],
)
def test_filters_quote_for_their_format(
    template: Callable[[str], None], name: str, value: object, written: str
) -> None:
    template(f"{{{{ value | {name} }}}}")
    assert rendering.render("t", value=value).decode() == written


def test_a_value_is_never_a_template(template: Callable[[str], None]) -> None:
    template("{{ value | yaml }}")
    assert rendering.render("t", value="{{ 7 * 7 }}") == b'"{{ 7 * 7 }}"'
