"""Bringing a database to this program's tables: one SELECT if they are there, all or nothing if they are not."""

from __future__ import annotations

import secrets
import sqlite3
import time
from pathlib import Path

import sqlalchemy as sa

import batchrun
from batchrun.errors import SchemaError, UsageError, WorkerBusy
from batchrun.queue.locks import Locks
from batchrun.queue.schema import VERSION
from batchrun.queue.tables import meta
from batchrun.queue.views import VIEWS, views_for

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"

OURS = frozenset({"alembic_version", "meta"})
"""Tables that every queue has had since the first version."""

MOVED_TO = "moved"
"""The key in `meta` of the place where a queue went on: nothing is changed any more where it was."""

_STATE = f"""SELECT (SELECT version_num FROM alembic_version), (SELECT value FROM meta WHERE key = 'simulated'),
                    (SELECT value FROM meta WHERE key = '{MOVED_TO}')"""

_WORKERS = "SELECT pid, host FROM workers WHERE lease > extract(epoch FROM clock_timestamp()) * 1000 LIMIT 1"


def ensure(engine: sa.Engine, *, simulated: bool | None = False) -> None:
    """Make sure that the tables are those of this program. Two processes that come at once are served one by one.

    Raises SchemaError, having changed nothing, for a newer schema or a database that is not ours; WorkerBusy while a
    worker of an older program is at work on tables that are not yet ours; UsageError if a simulated queue is opened
    for the real API or the other way round.
    """
    with engine.connect() as connection:
        found = _glance(connection)
    if found is None or found[0] != VERSION:
        with engine.begin() as connection:
            found = _look(connection)
            if found is None or found[0] != VERSION:
                if found is not None:
                    _refuse_worker(connection, found[0])
                _upgrade(connection)
                if found is None:
                    _furnish(connection, simulated=bool(simulated))
                found = _look(connection)
    assert found is not None
    if found[2] is not None:
        raise UsageError(
            f"the queue in {engine.url.database} has moved to {found[2]}",
            hint=f"add --db {found[2]}, or set it in `batchrun.toml`; here it can only be looked at",
        )
    made_for_simulation = found[1] == "1"
    if simulated is not None and simulated != made_for_simulation:
        raise _mixed(engine.url.database, made_for_simulation)


def _glance(connection: sa.Connection) -> tuple[str, str, str | None] | None:
    """Schema version and 'simulated', on the driver's cursor: it begins no transaction and waits for no writer."""
    if connection.dialect.name != "sqlite":
        with connection.begin():
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            row = connection.exec_driver_sql(_STATE).one()
            return None if None in row[:2] else (row[0], row[1], row[2])
    cursor = connection.connection.cursor()
    try:
        cursor.execute(_STATE)
        version, simulated, moved = cursor.fetchall()[0]
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname != "SQLITE_ERROR":
            raise
        return None  # no such table
    finally:
        cursor.close()
    return None if version is None or simulated is None else (version, simulated, moved)


def _look(connection: sa.Connection) -> tuple[str, str, str | None] | None:
    """The same in a transaction, with a judgement; None for an empty database."""
    tables = set(sa.inspect(connection).get_table_names())
    if not tables:
        return None
    database = connection.engine.url.database
    if not tables >= OURS:
        raise not_ours(database)
    version, simulated, moved = connection.exec_driver_sql(_STATE).one()
    if version is None or simulated is None:
        raise not_ours(database)
    if version > VERSION:
        raise SchemaError(
            f"database {database} has schema {version}, this batchrun {batchrun.__version__} knows {VERSION}",
            hint="upgrade with `pip install -U batchrun`; older versions never write to newer databases",
        )
    return version, simulated, moved


def _refuse_worker(connection: sa.Connection, version: str) -> None:
    """Whoever works with the older tables would go on to write what the newer ones do not mean."""
    database = connection.engine.url.database or ""
    why = f"database {database} has schema {version}, and a worker of an older batchrun is at work on it"
    hint = "let it end or stop it; whatever comes next brings the database up to date"
    if connection.dialect.name == "sqlite":
        Locks(database).refuse_run(why, hint)
    elif others := connection.exec_driver_sql(_WORKERS).all():
        raise WorkerBusy(f"{why}: pid {others[0][0]} on host {others[0][1]}", hint)


def not_ours(database: str | None) -> SchemaError:
    return SchemaError(
        f"{database} is a database of another program; it was left as it is", hint="--db names another file"
    )


def _mixed(database: str | None, made_for_simulation: bool) -> UsageError:
    if made_for_simulation:
        return UsageError(
            f"the queue in {database} is a simulated one", hint="add --simulate, or name another file with --db"
        )
    return UsageError(
        f"the queue in {database} is for the real API", hint="leave out --simulate, or name another file with --db"
    )


def _upgrade(connection: sa.Connection) -> None:
    """Run what is missing of the migrations on *connection*, inside its transaction: all or nothing.

    The views are made anew: they are of the newest tables, whatever the oldest ones were.
    """
    from alembic import command  # noqa: PLC0415  # a third of a second, and needed once in a database's life
    from alembic.config import Config  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    for name, _ in reversed(VIEWS):
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
    command.upgrade(config, "head")
    for name, select in views_for(connection.dialect.name):
        connection.exec_driver_sql(f"CREATE VIEW {name} AS {select}")


def scripts() -> Path:
    """The folder of the migrations: inside the installed package, else beside it in a checkout."""
    package = Path(batchrun.__file__).parent
    installed = package / "_migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def _furnish(connection: sa.Connection, *, simulated: bool) -> None:
    """What a new queue knows of itself. Its token is part of each custom_id that it sends."""
    rows = {
        "queue": "".join(secrets.choice(_ALPHABET) for _ in range(8)),
        "created": str(time.time_ns() // 1_000_000),
        "simulated": str(int(simulated)),
        "jobs": "0",
    }
    connection.execute(meta.insert(), [{"key": key, "value": value} for key, value in rows.items()])
