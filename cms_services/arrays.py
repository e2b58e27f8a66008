"""A column of a group of rows as one value.

Thousands of rows of three numbers cost a driver more than the query costs the database (PyMySQL
most, which is written in Python); as one row with three lists they cost little.
"""

from typing import Any

import numpy as np
import orjson
from sqlalchemy import ColumnElement, Dialect, Float, LargeBinary, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine


class _Numbers(TypeDecorator[list[Any]]):
    """A list of numbers: PostgreSQL gives them as it sends them in binary, others as text."""

    impl = Text
    cache_ok = True

    def __init__(self, kind: TypeEngine[Any]) -> None:
        super().__init__()
        self.kind = kind

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        wanted = LargeBinary() if dialect.name == "postgresql" else Text()
        return dialect.type_descriptor(wanted)

    def process_result_value(self, value: Any, dialect: Dialect) -> list[Any] | None:
        if value is None:
            return None
        doubles = isinstance(self.kind, Float)
        if dialect.name == "postgresql":
            found: list[Any] = np.frombuffer(value, ">f8" if doubles else ">i8").tolist()
            return found
        found = orjson.loads(f"[{value}]")
        return list(map(float, found)) if doubles else found


class _Bytes(TypeDecorator[bytes]):
    """Bytes, which SQLite gives in hexadecimal where it joined them."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        wanted = Text() if dialect.name == "sqlite" else LargeBinary()
        return dialect.type_descriptor(wanted)

    def process_result_value(self, value: Any, dialect: Dialect) -> bytes | None:
        return bytes.fromhex(value) if isinstance(value, str) else value


class numbers_of(FunctionElement[list[Any]]):
    """The list of a column's whole numbers or doubles in a group of rows.

    Those of several columns, and bytes_of(), come in one order. On MariaDB they must not be longer
    than `group_concat_max_len`, which engine_options() sets.
    """

    inherit_cache = True

    def __init__(self, column: ColumnElement[Any]) -> None:
        super().__init__(column)
        self.kind = column.type
        self.type = _Numbers(column.type)


class bytes_of(FunctionElement[bytes]):
    """A column's bytes in a group of rows, one behind the other."""

    inherit_cache = True
    type = _Bytes()

    def __init__(self, column: ColumnElement[bytes]) -> None:
        super().__init__(column)


@compiles(numbers_of, "postgresql")
def _numbers_on_postgresql(element: numbers_of, compiler: SQLCompiler, **options: Any) -> str:
    column = compiler.process(element.clauses, **options)
    doubles = isinstance(element.kind, Float)
    sent = f"float8send({column})" if doubles else f"int8send(CAST({column} AS bigint))"
    return f"string_agg({sent}, ''::bytea)"


@compiles(numbers_of, "mysql")
def _numbers_on_mariadb(element: numbers_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"GROUP_CONCAT({compiler.process(element.clauses, **options)})"


@compiles(numbers_of, "sqlite")
def _numbers_on_sqlite(element: numbers_of, compiler: SQLCompiler, **options: Any) -> str:
    column = compiler.process(element.clauses, **options)
    # As text it cuts a double to 15 digits, but for the ! here.
    text = f"printf('%!.17g', {column})" if isinstance(element.kind, Float) else column
    return f"group_concat({text})"


@compiles(bytes_of, "postgresql")
def _bytes_on_postgresql(element: bytes_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"string_agg({compiler.process(element.clauses, **options)}, ''::bytea)"


@compiles(bytes_of, "mysql")
def _bytes_on_mariadb(element: bytes_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"GROUP_CONCAT({compiler.process(element.clauses, **options)} SEPARATOR '')"


@compiles(bytes_of, "sqlite")
def _bytes_on_sqlite(element: bytes_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"group_concat(hex({compiler.process(element.clauses, **options)}), '')"
