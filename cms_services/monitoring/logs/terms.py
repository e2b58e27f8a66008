"""What log entries are found by: terms, in a form that all databases index and compare alike.

A word is a run of letters, digits and underscores, or one character of a script that puts no blanks
between words. A term is a word folded to lower case (Unicode, NFKC), with what is not ASCII spelt
by its number, behind a mark: so no database's own idea of words, accents, stop words or least
lengths counts. Attributes are terms too, a hash of each name and value. A block has a term for each
pair of words that follow each other as well, by which phrases of common words are found.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import orjson

# MariaDB indexes no word of less than 3 letters, or of more than 84.
_WORD_MARK = "__"
_ATTRIBUTE_MARK = "_a"
_PAIR_MARK = "_p"
_SERVICE_MARK = "_s"
_LONGEST = 80
_MOST_ATTRIBUTES = 64
_LONGEST_VALUE = 1024

_WORD_OF_ASCII = {
    code: chr(code).lower() if chr(code).isalnum() or chr(code) == "_" else " "
    for code in range(128)
}
# Han, kana and Thai: a search for a part of what is written together finds it.
_IS_UNSPACED = re.compile(
    r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
).match
# Numbers and the like, and single characters beyond ASCII, make almost every pair another one.
_STANDS_ALONE = re.compile(rf"{_WORD_MARK}(?:[a-z]*[0-9]|_[0-9a-f]+_\Z)").match
_PART_OF_QUERY = re.compile(r'(-?)(?:"([^"]*)"?|(\S+))')


@dataclass(frozen=True, slots=True)
class Sought:
    """Words that follow each other. Where `is_open`, the last is the beginning of one."""

    terms: tuple[str, ...]
    is_open: bool = False
    is_excluded: bool = False

    @property
    def text(self) -> str:
        """What an entry's terms contain where this is in it."""
        return f" {' '.join(self.terms)}{'' if self.is_open else ' '}"

    @property
    def pairs(self) -> set[str]:
        """The terms of the pairs of whole words that a block with this in it has."""
        whole = self.terms[:-1] if self.is_open else self.terms
        return {_pair_term(*pair) for pair in pairwise(whole) if not any(map(_STANDS_ALONE, pair))}


def terms_of(message: str, attributes: Mapping[str, Any]) -> str:
    """An entry's terms: words in order, then attributes, with a blank around each."""
    words = _words(message)
    text = f" {_WORD_MARK}{f' {_WORD_MARK}'.join(words)} " if words else " "
    if attributes:
        hashes = {_attribute_term(name, value) for name, value in _scalars(attributes)}
        text += "".join(f"{each} " for each in hashes)
    return text


def block_terms(service_id: str, described: Iterable[str]) -> str:
    """All terms of a block of a service's entries, whose own are given as terms_of() makes them."""
    terms: set[str] = set()
    pairs: set[tuple[str, str]] = set()
    for each in described:
        of_entry = each.split()
        terms.update(of_entry)
        pairs.update(pairwise(of_entry))
    words = {each for each in terms if each.startswith(_WORD_MARK) and not _STANDS_ALONE(each)}
    terms.update(_pair_term(*pair) for pair in pairs if pair[0] in words and pair[1] in words)
    terms.add(service_term(service_id))
    return " ".join(sorted(terms))


def parse_query(q: str) -> list[Sought]:
    """What a search asks for: words, "phrases", and either behind a minus sign.

    Empty where there is no word in it.
    """
    sought = []
    for minus, phrase, bare in _PART_OF_QUERY.findall(q):
        terms = tuple(f"{_WORD_MARK}{word}" for word in _words(phrase or bare))
        if terms:
            sought.append(Sought(terms, is_open=bool(bare), is_excluded=bool(minus)))
    return sought


def sought_attribute(name: str, value: str) -> Sought:
    """An attribute that is equal to a value: a text, or the JSON of another scalar."""
    return Sought((_attribute_term(name, value),))


def service_term(service_id: str) -> str:
    """The term of all that a service wrote."""
    return _SERVICE_MARK + blake2b(service_id.encode(), digest_size=8).hexdigest()


class _Spelling(dict[int, str]):
    """What each character becomes, by its number; made when it is first met."""

    def __missing__(self, number: int) -> str:
        character = chr(number)
        if _IS_UNSPACED(character):
            spelt = f" _{number:x}_ "
        elif number in _WORD_OF_ASCII:
            spelt = _WORD_OF_ASCII[number]
        else:
            spelt = f"_{number:x}_" if character.isalnum() else " "
        self[number] = spelt
        return spelt


_SPELLING = _Spelling()


def _words(text: str) -> list[str]:
    if text.isascii():
        words = text.translate(_WORD_OF_ASCII).split()
    else:
        folded = unicodedata.normalize("NFKC", text).casefold()
        words = folded.translate(_SPELLING).split()
    # What a character is spelt by is at most eight long.
    return [word[:_LONGEST] for word in words] if len(text) > _LONGEST // 8 else words


# Most values are the same few again and again.
@lru_cache(maxsize=16_384)
def _attribute_term(name: str, value: str) -> str:
    told = f"{name}\0{value}".encode("utf-8", "surrogatepass")
    return _ATTRIBUTE_MARK + blake2b(told, digest_size=8).hexdigest()


@lru_cache(maxsize=16_384)
def _pair_term(first: str, second: str) -> str:
    return _PAIR_MARK + blake2b(f"{first} {second}".encode(), digest_size=8).hexdigest()


def _scalars(attributes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The first of an entry's scalar attributes, those within objects by their dotted names."""
    left = _MOST_ATTRIBUTES
    waiting = [("", attributes)]
    while waiting:
        prefix, present = waiting.pop()
        for name, value in present.items():
            if isinstance(value, str):
                text = value
            elif isinstance(value, dict):
                waiting.append((f"{prefix}{name}.", value))
                continue
            elif isinstance(value, list):
                continue
            else:
                text = orjson.dumps(value).decode()
            if len(text) <= _LONGEST_VALUE:
                yield prefix + name, text
                left -= 1
                if not left:
                    return
