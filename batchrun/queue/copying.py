"""A queue out of a file onto a server: every row, proven to be the same, and the file is sealed behind it.

The file is sealed before the copy becomes visible: whatever dies in between, no two queues know of the same jobs. The
same command again then makes the copy anew, or finds it there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from batchrun.core.figures import count
from batchrun.errors import StoreError, UsageError
from batchrun.queue.migrate import MOVED_TO
from batchrun.queue.tables import metadata
from batchrun.queue.writing import translated

PAGE = 1_000
"""Rows in memory at a time."""

_SENDING = """SELECT (SELECT COUNT(*) FROM batches WHERE state IN ('intent', 'sending')),
                     (SELECT COUNT(*) FROM attempts WHERE outcome IS NULL AND via = 'realtime')"""
_NOT_COPIED = frozenset({MOVED_TO})


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What was copied; *again*: the copy was there already."""

    place: str
    runs: int
    jobs: int
    rows: int
    again: bool = False


def copy(source: Path, target: sa.Engine) -> Moved:
    """Copy the queue in the file *source*, which nobody uses, into the new one of *target*, and seal the file.

    Raises UsageError if something of it is being sent, or if the target is in use; StoreError if the database cannot
    be used, or does not hold in the end what the file does.
    """
    place = target.url.database or ""
    name = f"file:{quote(str(source.absolute()))}?mode=rw"
    with closing(sqlite3.connect(name, uri=True, isolation_level=None)) as file:
        _refuse_sending(file)
        told = dict(file.execute("SELECT key, value FROM meta"))
        if told.get(MOVED_TO, place) != place:
            raise UsageError(
                f"the queue in {source} has moved to {told[MOVED_TO]}", hint="pg_dump copies it from there"
            )
        with translated(target), target.begin() as connection:
            there: dict[str, str] = {
                row[0]: row[1] for row in connection.exec_driver_sql("SELECT key, value FROM meta")
            }
            runs, jobs = (file.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in ("runs", "jobs"))
            if there["queue"] == told["queue"]:
                return Moved(place=place, runs=runs, jobs=jobs, rows=0, again=True)
            _refuse_used(connection, place)
            connection.exec_driver_sql("DELETE FROM meta")
            rows = sum(_copy(file, connection, table) for table in metadata.sorted_tables)
            _count_on(file, connection)
            file.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (MOVED_TO, place))
    return Moved(place=place, runs=runs, jobs=jobs, rows=rows)


def _refuse_sending(file: sqlite3.Connection) -> None:
    batches, requests = file.execute(_SENDING).fetchone()
    if batches or requests:
        raise UsageError(
            f"{count(batches, 'batch', 'batches')} and {count(requests, 'request')} may be on their way",
            hint="`batchrun run` first finds out what became of them",
        )


def _refuse_used(connection: sa.Connection, place: str) -> None:
    if connection.exec_driver_sql("SELECT EXISTS (SELECT 1 FROM runs) OR EXISTS (SELECT 1 FROM workers)").scalar_one():
        raise UsageError(f"{place} is a queue in use", hint="give the copy a database of its own")


def _copy(file: sqlite3.Connection, connection: sa.Connection, table: sa.Table) -> int:
    """The number of rows of *table*, copied and compared."""
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    read = file.execute(f'SELECT {names} FROM "{table.name}"')
    cursor: Any = connection.connection.cursor()
    ours, copied = _Sum(), 0
    with cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN') as target:
        while page := read.fetchmany(PAGE):
            for row in page:
                if table.name == "meta" and row[0] in _NOT_COPIED:
                    continue
                ours.add(row)
                target.write_row(row)
                copied += 1
    theirs = _Sum()
    cursor.execute(f'DECLARE copied NO SCROLL CURSOR FOR SELECT {names} FROM "{table.name}"')
    while page := cursor.execute(f"FETCH {PAGE} FROM copied").fetchall():
        theirs.add_all(page)
    cursor.execute("CLOSE copied")
    if ours.value != theirs.value:
        raise StoreError(f"the copy of the table {table.name} differs from the file; nothing was changed")
    return copied


def _count_on(file: sqlite3.Connection, connection: sa.Connection) -> None:
    """An id that was given away is never given again."""
    given = dict(file.execute("SELECT name, seq FROM sqlite_sequence"))
    for table in metadata.sorted_tables:
        sequence = (
            connection.exec_driver_sql("SELECT pg_get_serial_sequence(%s, %s)", (table.name, "id")).scalar_one()
            if "id" in table.columns
            else None
        )
        if sequence is None:
            continue
        last = max(
            given.get(table.name, 0), file.execute(f'SELECT COALESCE(MAX(id), 0) FROM "{table.name}"').fetchone()[0]
        )
        if last:
            connection.exec_driver_sql("SELECT setval(%s::regclass, %s)", (sequence, last))


class _Sum:
    """Of rows, in whatever order they come."""

    def __init__(self) -> None:
        self.value = 0

    def add(self, row: Iterable[object]) -> None:
        plain = [value.replace("\x00", "\ufffd") if isinstance(value, str) else value for value in row]
        self.value += int.from_bytes(
            blake2b(repr(plain).encode("utf-8", "surrogatepass"), digest_size=16).digest(), "big"
        )

    def add_all(self, rows: Iterable[Iterable[object]]) -> None:
        for row in rows:
            self.add(row)
