"""Terms and blocks of log entries as they were made when revision 0005 was written.

What the application makes of them later (monitoring/logs/) must not change an old migration.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import orjson

_MOST_ENTRIES, _MOST_BYTES, _MOST_TERM_BYTES = 250, 1024 * 1024, 128 * 1024
_WORD_MARK = "__"
_LONGEST = 80
_MOST_ATTRIBUTES = 64
_LONGEST_VALUE = 1024

_WORD_OF_ASCII = {
    code: chr(code).lower() if chr(code).isalnum() or chr(code) == "_" else " "
    for code in range(128)
}
_IS_UNSPACED = re.compile(
    r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
).match
_STANDS_ALONE = re.compile(rf"{_WORD_MARK}(?:[a-z]*[0-9]|_[0-9a-f]+_\Z)").match


def blocks_of(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Entries, given by their columns, as they go into blocks."""
    block: list[dict[str, Any]] = []
    size = term_bytes = 0
    for row in rows:
        size += row["size"]
        term_bytes += len(row["terms"])
        is_full = len(block) == _MOST_ENTRIES
        if block and (is_full or size > _MOST_BYTES or term_bytes > _MOST_TERM_BYTES):
            yield block
            block, size, term_bytes = [], row["size"], len(row["terms"])
        block.append(row)
    if block:
        yield block


def terms_of(message: str, attributes: Mapping[str, Any]) -> str:
    """An entry's terms: words in order, then attributes, with a blank around each."""
    words = _words(message)
    text = f" {_WORD_MARK}{f' {_WORD_MARK}'.join(words)} " if words else " "
    hashes = {"_a" + _hash(f"{name}\0{value}") for name, value in _scalars(attributes)}
    return text + "".join(f"{each} " for each in hashes)


def block_terms(service_id: str, described: Iterable[str]) -> str:
    """All terms of a block of a service's entries, whose own are given as terms_of() makes them."""
    terms: set[str] = set()
    pairs: set[tuple[str, str]] = set()
    for each in described:
        of_entry = each.split()
        terms.update(of_entry)
        pairs.update(pairwise(of_entry))
    words = {each for each in terms if each.startswith(_WORD_MARK) and not _STANDS_ALONE(each)}
    terms.update(f"_p{_hash(' '.join(pair))}" for pair in pairs if words.issuperset(pair))
    terms.add(f"_s{_hash(service_id)}")
    return " ".join(sorted(terms))


def _hash(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _words(text: str) -> list[str]:
    if text.isascii():
        words = text.translate(_WORD_OF_ASCII).split()
    else:
        words = "".join(map(_spelt, unicodedata.normalize("NFKC", text).casefold())).split()
    return [word[:_LONGEST] for word in words] if len(text) > _LONGEST // 8 else words


def _spelt(character: str) -> str:
    if _IS_UNSPACED(character):
        return f" _{ord(character):x}_ "
    if character.isascii():
        return _WORD_OF_ASCII[ord(character)]
    return f"_{ord(character):x}_" if character.isalnum() else " "


def _scalars(attributes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The first of an entry's scalar attributes, those within objects by their dotted names."""
    left = _MOST_ATTRIBUTES
    waiting = [("", attributes)]
    while waiting:
        prefix, present = waiting.pop()
        for name, value in present.items():
            if isinstance(value, dict):
                waiting.append((f"{prefix}{name}.", value))
                continue
            if isinstance(value, list):
                continue
            text = value if isinstance(value, str) else orjson.dumps(value).decode()
            if len(text) <= _LONGEST_VALUE:
                yield prefix + name, text
                left -= 1
                if not left:
                    return
