"""A statement in SQLAlchemy's language, compiled once per dialect and run on the driver's own cursor.

Compiling takes SQLAlchemy longer than SQLite takes to answer (20 against 2 µs, measured 2026-11), and half of what a
queue does are the same dozen statements. Constants are written into the text (`lit`), so that a partial index on a
state can be used; all else are named parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

Row = tuple[Any, ...]


def lit(value: str | int) -> sa.BindParameter[Any]:
    """*value* written into the SQL itself."""
    return sa.literal(str(value) if isinstance(value, str) else value, literal_execute=True)


def param(name: str) -> sa.BindParameter[Any]:
    """A named parameter. In an UPDATE its name must differ from the table's columns where it is compared."""
    return sa.bindparam(name, required=False)


@dataclass(frozen=True, slots=True)
class _Compiled:
    text: str
    order: tuple[str, ...] | None  #: the parameters as the driver wants them; None if it takes them by name
    constants: Mapping[str, Any]  #: what the dialect itself added as parameters (SQLite: OFFSET 0)


class Statement:
    """Immutable; may be shared by threads."""

    def __init__(self, core: sa.Executable) -> None:
        self._core = core
        self._compiled: dict[str, _Compiled] = {}

    def _for(self, dialect: sa.Dialect) -> _Compiled:
        found = self._compiled.get(dialect.name)
        if found is None:
            core: Any = self._core  # Executable leaves `compile` to its children
            compiled = core.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
            order = tuple(compiled.positiontup) if compiled.positional else None
            constants = {name: value for name, value in compiled.params.items() if value is not None}
            found = self._compiled[dialect.name] = _Compiled(compiled.string, order, constants)
        return found

    def bind(self, dialect: sa.Dialect, values: Mapping[str, Any]) -> tuple[str, Any]:
        """What the driver's `execute` takes."""
        compiled = self._for(dialect)
        if compiled.constants:
            values = {**compiled.constants, **values}
        order = compiled.order
        return compiled.text, values if order is None else tuple([values[name] for name in order])

    def bind_many(self, dialect: sa.Dialect, names: Sequence[str], rows: Iterable[Row]) -> tuple[str, Iterable[Any]]:
        """What the driver's `executemany` takes, from rows whose values have *names*."""
        compiled = self._for(dialect)
        assert not compiled.constants, f"a statement for many rows has constants: {compiled.constants}"
        order = compiled.order
        if order is None:
            return compiled.text, [dict(zip(names, row, strict=True)) for row in rows]
        if order == tuple(names):
            return compiled.text, rows
        arrange: Callable[[Row], Row] = itemgetter(*(names.index(name) for name in order))
        return compiled.text, map(arrange, rows)


def columns_of(core: sa.Table, *names: str) -> sa.Insert:
    """An INSERT of one row into *core* that gives the columns *names*, as parameters of the same names."""
    return core.insert().values({name: param(name) for name in names})


def insert_or(core: sa.Table, *names: str) -> postgresql.Insert:
    """The same, to be told what it does where the row is there already: so SQLite says it too, in the same words."""
    return postgresql.insert(core).values({name: param(name) for name in names})
