"""Guessing the mapping: by what tables and columns are called, by their keys, and by samples."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import yaml
from rapidfuzz import fuzz

from cms_services.importing import conversion
from cms_services.importing.conversion import Reading, Refused
from cms_services.importing.entities import BUILT_IN_METRICS, ENTITIES, Entity, Field, Kind
from cms_services.importing.people import is_verifiable
from cms_services.importing.source import Row, Source, SourceColumn, SourceTable

_SAMPLE = 50
_MOST_WORDS = 60
_LEAST_TABLE, _LEAST_COLUMN = 0.55, 0.6
_LEAST_RATIO = 82
_HASH = re.compile(r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|\$[\w$./=,+-]{20,}", re.IGNORECASE)
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
_EARLIEST_SECONDS = 10**8
_FORMATS = (
    "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M",
    "%m/%d/%Y", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y", "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d", "%Y%m%d%H%M%S", "%d-%m-%Y %H:%M:%S", "%d-%m-%Y",
)  # fmt: skip
_NEVER = frozenset({"banned", "blocked", "deleted", "suspended", "pending", "locked", "new"})
# Which field says whose a row is, by the entity that it refers to.
_REFERENCES = {
    "users": ("owner_id", "user_id"),
    "projects": ("project_id",),
    "services": ("service_id",),
}
# What takes part in as little as possible where nobody knows a word.
_OTHERWISE = {"users": "user", "members": "viewer", "logs": "info"}


@dataclass
class FieldGuess:
    column: str
    confidence: float
    why: str
    values: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    otherwise: str | None = None
    format: str | None = None


@dataclass
class EntityGuess:
    entity: Entity
    table: SourceTable
    confidence: float
    fields: dict[str, FieldGuess]
    series: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)

    @property
    def missing(self) -> list[str]:
        """Fields that are needed and that no column was found for."""
        needed = list(self.entity.required)
        if self.entity.name == "metrics" and not self.series:
            needed += ["name", "value"]
        return [name for name in needed if name not in self.fields]


@dataclass
class Proposal:
    entities: dict[str, EntityGuess]
    other_tables: list[str]
    zone: str
    source_name: str

    @property
    def problems(self) -> list[str]:
        """What somebody has to mend before it can be used."""
        told = [
            f"{name}: no column of {guess.table.name} seems to be {field}."
            for name, guess in self.entities.items()
            for field in guess.missing
        ]
        told += [
            f"{name}: {guess.table.name} has no primary key; say under `key` what tells its rows."
            for name, guess in self.entities.items()
            if not guess.table.key
        ]
        return told if self.entities else ["No table looks like one of ours."]

    def as_yaml(self) -> str:
        """The mapping with a comment on each line: how sure it is, and why."""
        lines = [
            "# Proposed by `cms-services import`. Numbers are how sure it is, in percent.",
            "source:",
            f"  name: {_scalar(self.source_name)}  # by which later runs know what they have taken",
            f"  zone: {self.zone}  # of times without one; TIMESTAMP columns are of UTC anyway",
            "  repair_encoding: true  # undo UTF-8 that was taken for latin1",
            "entities:",
        ]
        for name, guess in self.entities.items():
            lines += _entity_lines(name, guess)
        if self.other_tables:
            lines.append(f"# Not taken: {', '.join(self.other_tables)}")
        return "\n".join(lines) + "\n"


def propose(source: Source, zone: str = "UTC") -> Proposal:
    """What the tables of an old database seem to be, where its times are of a zone.

    Raises SourceError.
    """
    tables = [source.table(name) for name in source.table_names()]
    samples = {table.name: source.sample(table, _SAMPLE) for table in tables}
    prefix = _shared_prefix([table.name for table in tables])
    chosen = _chosen_tables(tables, samples, prefix)
    owners = {table.name: name for name, (table, _) in chosen.items()}
    guesses = {}
    for name in ENTITIES:
        if name in chosen:
            table, confidence = chosen[name]
            guesses[name] = _guess(source, ENTITIES[name], table, samples[table.name], owners)
            guesses[name].confidence = confidence
    others = [table.name for table in tables if table.name not in owners]
    return Proposal(guesses, others, zone, source.name)


def _chosen_tables(
    tables: Sequence[SourceTable], samples: Mapping[str, list[Row]], prefix: str
) -> dict[str, tuple[SourceTable, float]]:
    scored = []
    for entity in ENTITIES.values():
        for table in tables:
            by_name = _similarity(table.name, prefix, entity.names)
            found = _columns_of(entity, table, samples[table.name], {})
            needed = entity.required or list(entity.fields)
            covered = sum(name in found for name in needed) / len(needed)
            share = len(found) / max(4, len(entity.fields) / 2)
            score = 0.5 * by_name + 0.35 * covered + 0.15 * min(1.0, share)
            scored.append((score, entity.name, table))
    chosen: dict[str, tuple[SourceTable, float]] = {}
    taken: set[str] = set()
    for score, name, table in sorted(scored, key=lambda each: -each[0]):
        if score >= _LEAST_TABLE and name not in chosen and table.name not in taken:
            chosen[name] = table, score
            taken.add(table.name)
    return chosen


def _guess(
    source: Source,
    entity: Entity,
    table: SourceTable,
    rows: list[Row],
    owners: Mapping[str, str],
) -> EntityGuess:
    found = _columns_of(entity, table, rows, owners)
    for name, guess in found.items():
        column = entity.fields[name]
        if column.kind in (Kind.WORD, Kind.BOOLEAN):
            _add_words(source, entity, table, column, guess)
        if column.kind is Kind.MOMENT:
            guess.format = _format_of(rows, guess.column)
    used = {guess.column for guess in found.values()}
    series: dict[str, str] = {}
    if entity.name == "metrics" and not {"name", "value"} <= found.keys():
        found.pop("name", None), found.pop("value", None)
        used = {guess.column for guess in found.values()}
        for ours, names in BUILT_IN_METRICS.items():
            for column_name in table.columns:
                is_named = _spelled(column_name) in names
                if is_named and column_name not in used and _are_numbers(rows, column_name):
                    series.setdefault(ours, column_name)
    left = [
        name
        for name in table.columns
        if name not in used and name not in table.key and name not in series.values()
    ]
    return EntityGuess(entity, table, 0.0, found, series, left)


def _columns_of(
    entity: Entity, table: SourceTable, rows: list[Row], owners: Mapping[str, str]
) -> dict[str, FieldGuess]:
    prefix = _shared_prefix(table.columns)
    scored = [
        (confidence, field.name, column.name, why)
        for field in entity.fields.values()
        for column in table.columns.values()
        for confidence, why in [_judged(entity, field, table, column, prefix, rows, owners)]
        if confidence >= _LEAST_COLUMN
    ]
    found: dict[str, FieldGuess] = {}
    used: set[str] = set()
    for confidence, name, column_name, why in sorted(scored, key=lambda each: -each[0]):
        if name not in found and column_name not in used:
            found[name] = FieldGuess(column_name, confidence, why)
            used.add(column_name)
    return {name: found[name] for name in entity.fields if name in found}


def _judged(
    entity: Entity,
    field: Field,
    table: SourceTable,
    column: SourceColumn,
    prefix: str,
    rows: list[Row],
    owners: Mapping[str, str],
) -> tuple[float, str]:
    """How sure it is that a column is a field, and why."""
    if field.name == "id":
        if table.key == (column.name,):
            return 1.0, "the primary key"
        return 0.0, ""
    if table.key == (column.name,):
        return 0.0, ""
    if column.refers_to is not None and column.refers_to[0] in owners:
        owner = owners[column.refers_to[0]]
        if field.name in _REFERENCES.get(owner, ()):
            return 0.99, f"refers to {column.refers_to[0]}"
        return 0.0, ""
    confidence, why = _by_name(field, column.name, prefix)
    # Values alone tell only what looks like nothing else.
    tells_alone = field.kind is Kind.PASSWORD or (entity.name == "users" and field.name == "email")
    if confidence == 0.0 and not tells_alone:
        return 0.0, ""
    values = [row[column.name] for row in rows if row[column.name] not in (None, "", b"")]
    fitting, told = _by_values(entity, field, column, values)
    if fitting is None:
        return confidence * 0.95, why
    if confidence == 0.0:
        return (0.85, told) if fitting >= 0.8 else (0.0, "")
    if fitting < 0.5:
        return confidence * 0.4, why
    return min(1.0, confidence * (0.9 + 0.1 * fitting)), f"{why}; {told}" if told else why


def _by_name(field: Field, name: str, prefix: str) -> tuple[float, str]:
    best, why = 0.0, ""
    for spelled in {_spelled(name), _spelled(name.removeprefix(prefix))}:
        if spelled == field.name:
            return 1.0, "the same name"
        if spelled in field.names:
            place = field.names.index(spelled)
            score = 0.97 - 0.1 * place / len(field.names)
            if score > best:
                best, why = score, f"{spelled!r} is a usual name for it"
        for other in field.names:
            ratio = fuzz.ratio(spelled, other)
            if len(spelled) > 3 and ratio >= _LEAST_RATIO and 0.8 * ratio / 100 > best:
                best, why = 0.8 * ratio / 100, f"almost {other!r}"
    return best, why


def _by_values(
    entity: Entity, field: Field, column: SourceColumn, values: Sequence[Any]
) -> tuple[float | None, str]:
    """Which part of the values could be of the field; None where there is nothing to tell by."""
    if not values:
        return None, ""
    if field.kind is Kind.PASSWORD:
        return _share(values, _is_hash, "look like hashes")
    if entity.name == "users" and field.name == "email":
        return _share(values, _is_address, "are addresses")
    if field.kind is Kind.MOMENT:
        return _share(values, _is_moment, "are times")
    if field.kind is Kind.NUMBER:
        return _share(values, _is_number, "are numbers")
    if field.kind is Kind.BOOLEAN:
        return _share(values, _is_like_boolean, "say yes or no")
    if field.kind is Kind.WORD:
        known = {word for words in field.words.values() for word in words}
        if field.name == "role" and "admin" in _spelled(column.name):
            return _share(values, _is_boolean, "say yes or no")
        return _share(values, lambda value: _plain(value) in known, "are words that are known")
    if field.kind is Kind.DOCUMENT:
        return _share(values, _is_object, "are objects")
    if field.kind in (Kind.SHORT_TEXT, Kind.LONG_TEXT):
        return _share(values, lambda value: isinstance(value, str | int), "")
    return None, ""


def _add_words(
    source: Source, entity: Entity, table: SourceTable, field: Field, guess: FieldGuess
) -> None:
    """What the column's words mean, where they are not ours."""
    column = table.columns[guess.column]
    words = column.words or [
        word for word in source.words(table, guess.column, _MOST_WORDS) if word is not None
    ]
    spelled = sorted({conversion.text(word, Reading()) or "" for word in words} - {""})
    if field.kind is Kind.BOOLEAN:
        for word in spelled:
            if not _is_boolean(word):
                if word.lower() in _NEVER:
                    guess.values[word] = "false"
                else:
                    guess.unknown.append(word)
        guess.otherwise = "false" if guess.unknown else None
        return
    is_admin = "admin" in _spelled(guess.column)
    for word in spelled:
        meant = _meaning(field, word)
        if is_admin and entity.name == "users" and _is_boolean(word):
            meant = "admin" if conversion.boolean(word, Reading(), "") else "user"
        if meant is None:
            guess.unknown.append(word)
        elif meant != word.strip().lower():
            guess.values[word] = meant
    if guess.unknown:
        guess.otherwise = _OTHERWISE.get(entity.name)


def _meaning(field: Field, word: str) -> str | None:
    plain = _plain(word)
    for ours, others in field.words.items():
        if plain in others:
            return ours
    candidates = [
        (fuzz.ratio(plain, other), ours)
        for ours, others in field.words.items()
        for other in others
        if len(other) > 3
    ]
    ratio, ours = max(candidates, default=(0, ""))
    return ours if ratio >= _LEAST_RATIO else None


def _format_of(rows: Sequence[Row], column: str) -> str | None:
    """How texts of a column are written that are no ISO times."""
    texts = [value.strip() for row in rows if isinstance(value := row[column], str)]
    odd = [text for text in texts if text and not _is_moment(text, with_formats=False)]
    if not odd:
        return None
    return next((each for each in _FORMATS if all(_fits(text, each) for text in odd)), None)


def _fits(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


def _share(values: Sequence[Any], fits: Any, told: str) -> tuple[float, str]:
    number = sum(bool(fits(value)) for value in values)
    return number / len(values), f"{number} of {len(values)} {told}" if told else ""


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and (is_verifiable(value) or bool(_HASH.fullmatch(value.strip())))


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and bool(_ADDRESS.fullmatch(value.strip()))


def _is_moment(value: Any, *, with_formats: bool = True) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, int | float | Decimal):
        return value == 0 or value >= _EARLIEST_SECONDS
    if isinstance(value, datetime | date):
        return True
    try:
        conversion.moment(value, Reading(), "")
    except Refused:
        return with_formats and any(_fits(str(value).strip(), each) for each in _FORMATS)
    return True


def _is_number(value: Any) -> bool:
    try:
        return conversion.number(value, Reading(), "") is not None
    except Refused:
        return False


def _are_numbers(rows: Sequence[Row], column: str) -> bool:
    values = [row[column] for row in rows if row[column] is not None]
    return all(map(_is_number, values))


def _is_boolean(value: Any) -> bool:
    if isinstance(value, int | Decimal) and value not in (0, 1):
        return False
    try:
        return conversion.boolean(value, Reading(), "") is not None
    except Refused:
        return False


def _is_like_boolean(value: Any) -> bool:
    return _is_boolean(value) or _plain(value) in _NEVER


def _is_object(value: Any) -> bool:
    try:
        return isinstance(conversion.structure(value, Reading(), ""), dict | list)
    except Refused:
        return True


def _plain(value: Any) -> str:
    found = conversion.text(value, Reading()) or ""
    if isinstance(value, bytes) and len(value) == 1 and value[0] < 2:
        found = str(value[0])
    return re.sub(r"[\s-]+", "_", found.strip().lower())


def _spelled(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[\s-]+", "_", name).lower().strip("_")


def _similarity(name: str, prefix: str, names: Iterable[str]) -> float:
    """How alike a table's name is to one of some names, with what it begins with or without."""
    others = list(names)
    spelled = {_spelled(name), _spelled(name.removeprefix(prefix))}
    spelled |= {each.partition("_")[2] for each in spelled if "_" in each}
    exact = [others.index(each) for each in spelled if each in others]
    if exact:
        return 1.0 - 0.1 * min(exact) / len(others)
    ratio: float = max(fuzz.ratio(each, other) for each in spelled for other in others) / 100
    return 0.9 * ratio if 100 * ratio >= _LEAST_RATIO else 0.5 * ratio


def _shared_prefix(names: Iterable[str]) -> str:
    """What most names begin with, as cms_ or usr_."""
    found = list(names)
    starts = Counter(match[0] for name in found if (match := re.match(r"[A-Za-z0-9]{1,8}_", name)))
    if not starts:
        return ""
    prefix, number = starts.most_common(1)[0]
    return prefix if number >= 2 and number * 2 > len(found) else ""


def _entity_lines(name: str, guess: EntityGuess) -> list[str]:
    lines = [
        f"  {name}:  # {guess.confidence:.0%}".replace("%", " %"),
        f"    table: {_scalar(guess.table.name)}",
    ]
    if guess.table.key:
        lines.append(f"    key: [{', '.join(map(_scalar, guess.table.key))}]")
    lines.append("    fields:")
    for field_name, each in guess.fields.items():
        lines += _field_lines(field_name, each)
    if not guess.fields:
        lines[-1] += " {}"
    lines += [f"      # {field}: is needed, and no column was found" for field in guess.missing]
    if guess.series:
        lines.append("    series:  # names of metrics, each with the column of its values")
        lines += [f"      {ours}: {_scalar(column)}" for ours, column in guess.series.items()]
    if guess.left and name == "services":
        kept = ", ".join(map(_scalar, guess.left))
        lines.append(f"    keep: [{kept}]  # under `extra` of the configuration")
    elif guess.left:
        lines.append(f"    # Not taken: {', '.join(guess.left)}")
    return lines


def _field_lines(name: str, guess: FieldGuess) -> list[str]:
    told = f"  # {guess.confidence * 100:.0f} %: {guess.why}"
    if not (guess.values or guess.otherwise or guess.format):
        unknown = f"; unknown: {', '.join(guess.unknown)}" if guess.unknown else ""
        return [f"      {name}: {_scalar(guess.column)}{told}{unknown}"]
    lines = [f"      {name}:{told}", f"        column: {_scalar(guess.column)}"]
    if guess.format:
        lines.append(f"        format: {_scalar(guess.format)}")
    if guess.values:
        pairs = ", ".join(f"{_quoted(word)}: {meant}" for word, meant in guess.values.items())
        lines.append(f"        values: {{{pairs}}}")
    if guess.unknown:
        unknown = ", ".join(map(repr, guess.unknown))
        lines.append(f"        # nobody knows what these mean: {unknown}")
    if guess.otherwise:
        lines.append(f"        otherwise: {guess.otherwise}")
    return lines


def _scalar(value: str) -> str:
    return str(yaml.safe_dump(value, default_flow_style=True, width=10**6)).split("\n")[0]


def _quoted(value: str) -> str:
    dumped = yaml.safe_dump(value, default_style='"', width=10**6, allow_unicode=True)
    return str(dumped).split("\n")[0]
