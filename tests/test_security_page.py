"""docs/security.md stays true: what it names is there, and no requirement is left out."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
PATHS = sorted(
    set(re.findall(r"(?:tests|cms_services|docs|templates|requirements)/[\w./-]*\w", PAGE))
)
NAMED = sorted(set(re.findall(r"(tests/[\w./-]+\.py)::(\w+)", PAGE)))

# How many requirements of levels 1 and 2 each section of ASVS 5.0.0 has; they are numbered from 1.
SECTIONS = {
    "1.1": 2, "1.2": 9, "1.3": 11, "1.4": 3, "1.5": 2,
    "2.1": 3, "2.2": 3, "2.3": 4, "2.4": 1,
    "3.2": 2, "3.3": 4, "3.4": 6, "3.5": 5, "3.7": 2,
    "4.1": 3, "4.2": 1, "4.3": 2, "4.4": 4,
    "5.1": 1, "5.2": 3, "5.3": 2, "5.4": 3,
    "6.1": 3, "6.2": 12, "6.3": 4, "6.4": 4, "6.5": 5, "6.6": 3, "6.8": 4,
    "7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5, "7.5": 2, "7.6": 2,
    "8.1": 2, "8.2": 3, "8.3": 1, "8.4": 1,
    "9.1": 3, "9.2": 4,
    "10.1": 2, "10.2": 2, "10.3": 4, "10.4": 11, "10.5": 5, "10.6": 2, "10.7": 3,
    "11.1": 2, "11.2": 3, "11.3": 3, "11.4": 4, "11.5": 1, "11.6": 1,
    "12.1": 3, "12.2": 2, "12.3": 4,
    "13.1": 1, "13.2": 5, "13.3": 2, "13.4": 5,
    "14.1": 2, "14.2": 4, "14.3": 3,
    "15.1": 3, "15.2": 3, "15.3": 7,
    "16.1": 1, "16.2": 5, "16.3": 4, "16.4": 3, "16.5": 3,
    "17.1": 1, "17.2": 4, "17.3": 2,
}  # fmt: skip


def answers() -> list[tuple[str, str]]:
    """Each requirement with the kind of its answer, in the order of the page."""
    kind = r"(?:\*\*)?(met|not applicable|operator|not met)\.(?:\*\*)? "
    rows = re.findall(rf"^\| (\d[\d., ]*) \| [12](?:, 2)? \| [^|]+ \| {kind}", PAGE, re.MULTILINE)
    return [(number, found) for numbers, found in rows for number in numbers.split(", ")]


class TestWhatItNames:
    @pytest.mark.parametrize("path", PATHS)
    def test_every_path_is_there(self, path: str) -> None:
        assert (ROOT / path).exists()

    @pytest.mark.parametrize(("path", "name"), NAMED)
    def test_every_test_is_in_its_file(self, path: str, name: str) -> None:
        code = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"^ *(?:def|class) {name}\b", code, re.MULTILINE)

    def test_it_names_some(self) -> None:
        assert len(PATHS) > 50
        assert len(NAMED) > 50


class TestRequirements:
    def test_each_is_answered_once(self) -> None:
        wanted = [f"{s}.{n}" for s, many in SECTIONS.items() for n in range(1, many + 1)]
        assert sorted(number for number, _ in answers()) == sorted(wanted)

    def test_the_summary_counts_them(self) -> None:
        count = Counter(found for _, found in answers())
        summary = (
            f"Of the {count.total()} requirements {count['met']} are met, "
            f"{count['not applicable']} are not applicable, {count['operator']} are the "
            f"operator's, {count['not met']} are not met."
        )
        assert summary in " ".join(PAGE.split())

    def test_what_is_not_met_is_listed_at_the_top(self) -> None:
        not_met = ", ".join(number for number, found in answers() if found == "not met")
        assert f" Not met: {not_met}. " in " ".join(PAGE.split())

    def test_every_risk_of_the_top_ten_is_answered(self) -> None:
        assert re.findall(r"^\| (API\d+) ", PAGE, re.MULTILINE) == [
            f"API{number}" for number in range(1, 11)
        ]
