"""The engine of a queue in a SQLite file: real transactions, real durability, and nobody else's eyes."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import ConnectionPoolEntry

from batchrun.core.server import is_server, without_password
from batchrun.errors import StoreError
from batchrun.queue import migrate
from batchrun.queue.faults import fault_of
from batchrun.queue.living import Living
from batchrun.queue.place import place_of
from batchrun.queue.presence import Presence

OLDEST = (3, 35, 0)
"""The first SQLite with RETURNING (2021-03)."""

PRAGMAS = (
    "synchronous=FULL",
    "foreign_keys=ON",
    "journal_size_limit=67108864",
    "cache_size=-16000",  # 16 MB; the system keeps the rest of the file, and four times as much saved no time
    "trusted_schema=OFF",
)


def open_queue(path: str | Path, simulated: bool | None = False, *, create: bool = True) -> sa.Engine:
    """The engine of the queue at *path*, with its tables as this program knows them; made anew if it is missing.

    *path* is a file, or the URL of a database on a PostgreSQL server.

    *simulated* must agree with what the queue was made for (None: either): answers of the simulator and of Claude
    never mix. Raises UsageError or SchemaError for a path that is no queue of ours, StoreError if the file cannot be
    used.
    """
    if is_server(path):
        from batchrun.queue import postgres  # noqa: PLC0415  # only whoever has a server needs it

        return _furnished(postgres.engine_of(str(path)), without_password(str(path)), simulated)
    if sqlite3.sqlite_version_info < OLDEST:
        raise StoreError(
            f"this Python's SQLite is {sqlite3.sqlite_version}; batchrun needs 3.35",
            hint="use a newer Python, or one with a newer SQLite",
        )
    return _furnished(engine_of(place_of(path, create=create)), path, simulated)


@contextmanager
def scratch_queue(*, simulated: bool) -> Iterator[sa.Engine]:
    """An empty queue that nobody else sees, and that is gone in the end: to compare jobs with one another.

    Raises StoreError if there is no room for it.
    """
    with TemporaryDirectory(prefix="batchrun-") as folder:
        path = Path(folder) / "batchrun.db"
        path.touch(mode=0o600)
        engine = _furnished(engine_of(path), path, simulated)
        try:
            yield engine
        finally:
            engine.dispose()


def _furnished(engine: sa.Engine, path: str | Path, simulated: bool | None) -> sa.Engine:
    try:
        migrate.ensure(engine, simulated=simulated)
    except (sa.exc.DBAPIError, engine.dialect.loaded_dbapi.Error) as error:
        engine.dispose()
        fault = fault_of(error)
        if fault is None:
            raise
        raise fault.raised(path) from error
    except BaseException:
        engine.dispose()
        raise
    return engine


def presence_of(engine: sa.Engine) -> Presence:
    """Who is alive in the queue of *engine*, and this process among them."""
    if engine.dialect.name == "sqlite":
        return Living(engine.url.database or "")
    from batchrun.queue.leases import Leases  # noqa: PLC0415  # only whoever has a server needs it

    return Leases(engine)


def engine_of(real: Path) -> sa.Engine:
    """An engine on an existing file. Every transaction is a BEGIN IMMEDIATE one, so that none ever loses an update."""

    def connect() -> sqlite3.Connection:
        # mode=rw: SQLite itself must never make the file, for it would not know whom to hide it from.
        return sqlite3.connect(
            f"file:{quote(str(real))}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
        )

    engine = sa.create_engine(sa.URL.create("sqlite", database=str(real)), creator=connect)

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        connection.execute("PRAGMA busy_timeout=30000")
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            _begin_log(connection, str(real))
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _begin_log(connection: sqlite3.Connection, database: str) -> None:
    """Turn a new file, or a restored copy, into one with a write-ahead log; leave another program's file alone."""
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and not tables >= migrate.OURS:
        raise migrate.not_ours(database)
    connection.execute("PRAGMA page_size=8192")  # takes effect only before the first table
    connection.execute("PRAGMA journal_mode=WAL")


def close_queue(engine: sa.Engine) -> None:
    """Leave the file whole: what is in the write-ahead log goes into it, unless somebody reads just now."""
    if engine.dialect.name != "sqlite":
        engine.dispose()
        return
    with contextlib.suppress(sa.exc.DBAPIError, sqlite3.Error):
        connection: Any = engine.raw_connection()
        try:
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            connection.close()
    engine.dispose()
