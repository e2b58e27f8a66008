"""What one schema takes from code that was written for another: by reflection, on any database."""

from typing import Any

from sqlalchemy import Engine, inspect

# What the application never names.
_NOT_OURS = {"alembic_version"}


def described(engine: Engine) -> dict[str, Any]:
    """Tables by name: columns, and what a row has to keep to."""
    found = inspect(engine)
    return {
        table: {
            "columns": {each["name"]: each for each in found.get_columns(table)},
            "rules": _rules(found, table),
        }
        for table in found.get_table_names()
        if table not in _NOT_OURS
    }


def broken_promises(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Why code that knows the schema `before` can't read and write by the one `after`."""
    broken = []
    for table, old in before.items():
        if table not in after:
            broken.append(f"the table {table} is gone")
            continue
        new = after[table]
        broken += _broken_columns(table, old["columns"], new["columns"])
        added = new["columns"].keys() - old["columns"].keys()
        optional = {name for name in added if new["columns"][name]["default"] is None}
        for kind, columns, told in sorted(new["rules"] - old["rules"]):
            # Code that does not name these columns leaves them NULL, which keeps to any such rule.
            if not optional.intersection(columns):
                broken.append(f"{table} has a new rule: {kind} {told}")
    return broken


def _broken_columns(table: str, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    broken = []
    for name, column in old.items():
        if name not in new:
            broken.append(f"the column {table}.{name} is gone")
        elif not _holds(new[name]["type"], column["type"]):
            broken.append(f"{table}.{name} was {column['type']} and is {new[name]['type']}")
        elif column["nullable"] and not new[name]["nullable"]:
            broken.append(f"{table}.{name} takes no NULL any more")
        elif column["default"] is not None and new[name]["default"] is None:
            broken.append(f"{table}.{name} has no default any more")
    for name in new.keys() - old.keys():
        column = new[name]
        if not column["nullable"] and column["default"] is None and not column.get("computed"):
            broken.append(f"the new column {table}.{name} needs a value")
    return broken


def _holds(new: Any, old: Any) -> bool:
    """Whether a column of the new type takes and gives all that one of the old type did."""
    if type(new) is not type(old):
        return False
    lengths = [getattr(each, "length", None) for each in (new, old)]
    if lengths[1] is None:
        return lengths[0] is None
    return lengths[0] is None or lengths[0] >= lengths[1]


def _rules(found: Any, table: str) -> set[tuple[str, tuple[str, ...], str]]:
    """What rows have to keep to: a kind of rule, its columns, and how it is told."""
    rules = set()

    def note(kind: str, columns: Any, told: str = "") -> None:
        names = tuple(sorted(filter(None, columns)))
        rules.add((kind, names, told or ", ".join(names)))

    note("primary key", found.get_pk_constraint(table)["constrained_columns"])
    for each in found.get_unique_constraints(table):
        note("unique", each["column_names"])
    for each in found.get_indexes(table):
        if each["unique"]:
            note("unique", each["column_names"])
    for each in found.get_foreign_keys(table):
        note("reference", each["constrained_columns"], each["referred_table"])
    for each in found.get_check_constraints(table):
        # MariaDB checks so that a column of JSON holds JSON.
        if not each["sqltext"].startswith("json_valid("):
            note("check", (), each["sqltext"])
    return rules
