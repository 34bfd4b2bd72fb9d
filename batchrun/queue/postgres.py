"""The engine of a queue on a PostgreSQL server: every commit durable, every transaction short.

Whoever changes the queue for a person (a submit, a cancel, a migration) has it for itself for the length of one
transaction, as on SQLite; workers share it, and keep out of each other's way by row locks and guards. An advisory lock
says which is which, taken when a transaction begins.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import ConnectionPoolEntry

from batchrun.core.server import without_password
from batchrun.errors import StoreError
from batchrun.queue.server import parameters_of

SETTINGS = {
    # The role's default may be off, and then an acknowledged intent could be forgotten: bought twice.
    "synchronous_commit": "on",
    "default_transaction_isolation": "read committed",
    "lock_timeout": "60s",
    "idle_in_transaction_session_timeout": "5min",
    "client_min_messages": "warning",
}

OLDEST = 160000
"""The first PostgreSQL that can tell what is JSON (`IS JSON`, 2023-09)."""

TOGETHER = "batchrun_together"
"""An execution option: the transactions of this engine share the queue with others that say so."""

LOCK = 0x62617463
"""The number of the advisory lock, within the current database: "batc"."""

_ALONE = f"SELECT pg_advisory_xact_lock({LOCK}, 0)"
_SHARED = f"SELECT pg_advisory_xact_lock_shared({LOCK}, 0)"


def engine_of(url: str) -> sa.Engine:
    """An engine on the database that *url* names.

    Raises UsageError where psycopg is missing or the URL makes no sense; StoreError if the server is too old.
    """
    parameters = parameters_of(url)
    import psycopg  # noqa: PLC0415  # only whoever has a server needs it
    from psycopg.types.string import StrDumperUnknown  # noqa: PLC0415

    class Text(StrDumperUnknown):
        """PostgreSQL has no NUL in a text. It must not keep an answer out."""

        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace("\x00", "\ufffd") if "\x00" in obj else obj)

    def connect() -> psycopg.Connection[Any]:
        connection = psycopg.connect(**parameters)
        connection.adapters.register_dumper(str, Text)
        if connection.info.server_version < OLDEST:
            connection.close()
            raise StoreError(
                f"{without_password(url)} is PostgreSQL {connection.info.server_version // 10000}; batchrun needs 16",
                hint="upgrade the server, or keep the queue in a file",
            )
        connection.execute("; ".join(f"SET {name} = '{value}'" for name, value in SETTINGS.items()))
        connection.commit()
        return connection

    name = sa.URL.create("postgresql+psycopg", database=without_password(url))  # the place as all messages name it
    engine = sa.create_engine(name, creator=connect, pool_size=2, pool_reset_on_return=None)

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        together = connection.get_execution_options().get(TOGETHER)
        connection.exec_driver_sql(_SHARED if together else _ALONE)

    @event.listens_for(engine, "reset")
    def reset(connection: Any, _entry: ConnectionPoolEntry, _state: Any) -> None:
        """A connection that is gone has nothing to roll back: SQLAlchemy would tell of it on the terminal."""
        if connection is not None and not connection.closed:
            connection.rollback()

    return engine
