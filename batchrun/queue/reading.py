"""The queue as people look at it: named SQL on the standard library's sqlite3, in short read transactions.

On a server the same SQL goes through `queue.session`.

SQLAlchemy alone takes longer to import than a whole `status` may take. Nothing here writes: the connection refuses to.
Each method is one read transaction that ends before it returns, so that nobody who looks keeps the write-ahead log from
being checkpointed.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from batchrun import __version__
from batchrun.core.job import Millis, Nanos, RunId, WorkerId
from batchrun.core.server import is_server, without_password
from batchrun.core.suggest import did_you_mean
from batchrun.errors import SchemaError, StoreError, UsageError
from batchrun.queue.batchrows import BATCH, BatchRow, batch_of
from batchrun.queue.criteria import answer_fits
from batchrun.queue.rows import PAUSE, RUN, Overview, RunSummary, WorkerRow, pause_of, run_of
from batchrun.queue.schema import VERSION

if TYPE_CHECKING:
    from batchrun.queue.session import Session

PATIENCE = 5.0
"""Seconds to wait where another process holds the whole database (it recovers after a crash, or vacuums)."""

SHOWN = 10
"""A status shows every run that is not done, and so many of the newest that are."""

BATCHES = 200
"""Open batches that a status looks at: it costs the same however many there are."""
MODELS = 50
"""Models of a run up to which it is looked what its next jobs cost."""

LATEST = 300
SPEED_WINDOW = 60_000
"""Attempts and milliseconds that tell a run's speed."""


class NoQueue(UsageError):
    """There is no database yet."""


class OldSchema(SchemaError):
    """The tables are those of an older batchrun. `queue.connect.open_queue` brings them up to date."""


class UnknownRun(UsageError):
    """No run goes by that name."""


_META = "SELECT key, value FROM meta"
_REVISION = "SELECT version_num FROM alembic_version"

_RUN = f"SELECT {RUN} FROM runs r LEFT JOIN accounts a ON a.id = r.account"
_RUNS_TO_SHOW = f"""{_RUN}
WHERE r.id IN (SELECT id FROM runs WHERE state IN ('loading', 'open'))
   OR r.id IN (SELECT id FROM runs ORDER BY id DESC LIMIT ?)
ORDER BY r.id DESC
"""
_RUNS_ALL = f"{_RUN} ORDER BY r.id DESC"
_RUN_LAST = f"{_RUN} ORDER BY r.id DESC LIMIT 1"
_RUN_BY_ID = f"{_RUN} WHERE r.id = ?"
_RUNS_BY_NAME = f"{_RUN} WHERE r.name = ? ORDER BY r.id DESC"
_RUNS_BY_PREFIX = f"{_RUN} WHERE substr(r.name, 1, length(?)) = ? ORDER BY r.id DESC LIMIT 20"
_RUN_NAMES = "SELECT name FROM runs ORDER BY id DESC LIMIT 1000"
_RUNS_TOTAL = "SELECT COUNT(*) FROM runs"
_CLASSES = """
SELECT error, COUNT(*) FROM jobs
WHERE run = ? AND state IN ('failed', 'held') AND state = 'failed' GROUP BY error ORDER BY 2 DESC, 1
"""
_NEXT_CLASS = """
SELECT error FROM jobs WHERE run = ? AND state IN ('failed', 'held') AND error > ? ORDER BY error LIMIT 1
"""
_COUNTS = "SELECT state, n FROM run_counts WHERE run = ?"
_NEXT_WORST = """
SELECT (SELECT j.worst FROM jobs j WHERE j.run = c.run AND j.model = c.model AND j.state = 'queued'
        ORDER BY j.seq LIMIT 1)
FROM run_counts c JOIN runs r ON r.id = c.run
WHERE c.run = ? AND c.state = 'queued' AND c.n > 0 AND r.state = 'open' AND r.budget IS NOT NULL LIMIT ?
"""
_NEXT_DUE = "SELECT MIN(due) FROM jobs WHERE state = 'waiting'"
_PRESENT = """SELECT id, role, pid, host, command, started FROM workers WHERE "left" IS NULL ORDER BY id"""
_BATCHES = f"{BATCH} WHERE b.state = ? LIMIT ?"  # by one index, in its order
_PAUSES = f"SELECT {PAUSE} FROM pauses ORDER BY since, scope, subject"

_LATEST = """
SELECT j.run, a.ended
FROM (SELECT job, ended FROM attempts WHERE via = 'realtime' AND ended IS NOT NULL ORDER BY ended DESC LIMIT ?) a
JOIN jobs j ON j.id = a.job WHERE a.ended >= ?
"""
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table'"
_TABLES_OF_SERVER = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
_PRESENT_ON_SERVER = """SELECT id, role, pid, host, command, started FROM workers
WHERE "left" IS NULL AND lease > extract(epoch FROM clock_timestamp()) * 1000 ORDER BY id"""


class Reading:
    """A queue in a SQLite file or on a server, to look at. Close it, or use it in a `with`.

    Methods raise StoreError if the database cannot be read.
    """

    def __init__(self, connection: sqlite3.Connection | Session, place: str) -> None:
        self.place = place  #: as messages name it
        self._connection = connection
        self._errors: type[Exception] | tuple[type[Exception], ...] = sqlite3.Error
        self.on_server = not isinstance(connection, sqlite3.Connection)
        if isinstance(connection, sqlite3.Connection):
            connection.create_function("answer_fits", 2, answer_fits, deterministic=True)
        else:
            self._errors = connection.errors
        with self.moment():
            self.simulated = self._checked().get("simulated") == "1"

    @property
    def path(self) -> Path:
        """The database file; on a server there is none, and nothing is at this path."""
        return Path(self.place)

    @classmethod
    def open(cls, place: Path | str) -> Self:
        """Raises NoQueue if there is no such file, SchemaError if it is not a queue of this program's version."""
        connection = _on_server(str(place)) if is_server(place) else _in_file(Path(place))
        try:
            return cls(connection, without_password(str(place)) if is_server(place) else str(place))
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- runs ---------------------------------------------------------------------------------------------------------

    def overview(self, *, every: bool = False) -> Overview:
        """Runs from the newest on: all that are not done and the newest others, or *every* one; and all pauses."""
        with self.moment():
            found = self.rows(_RUNS_ALL) if every else self.rows(_RUNS_TO_SHOW, SHOWN)
            present = self._present()
            return Overview(
                simulated=self.simulated,
                runs=tuple(self._run(row) for row in found),
                pauses=tuple(pause_of(row) for row in self.rows(_PAUSES)),
                workers=tuple(one for one in present if one.role == "worker"),
                loaders=frozenset(one.id for one in present if one.role == "loader"),
                next_due=self.rows(_NEXT_DUE)[0][0],
                older=self.rows(_RUNS_TOTAL)[0][0] - len(found),
                batches=self._open_batches(),
            )

    def _open_batches(self) -> tuple[BatchRow, ...]:
        """Those that need a person's eye first; of many that stand only some."""
        found: list[BatchRow] = []
        for state in ("unclear", "sending", "intent", "collecting", "submitted"):
            found += [batch_of(row) for row in self.rows(_BATCHES, state, BATCHES - len(found))]
        return tuple(found)

    def _present(self) -> tuple[WorkerRow, ...]:
        """Who came, did not leave, and still lives: the kernel keeps a lock for each."""
        if self.on_server:
            return tuple(
                WorkerRow(id=id_, role=role, pid=pid, host=host, command=command, started=started)
                for id_, role, pid, host, command, started in self.rows(_PRESENT_ON_SERVER)
            )
        found = self.rows(_PRESENT)
        if not found:
            return ()
        from batchrun.queue.locks import Locks  # noqa: PLC0415  # only while somebody works

        locks = Locks(self.path)
        return tuple(
            WorkerRow(id=id_, role=role, pid=pid, host=host, command=command, started=started)
            for id_, role, pid, host, command, started in found
            if _lives(locks.alive(WorkerId(id_)), pid, host)
        )

    def speeds(self, now: Millis) -> dict[RunId, float]:
        """Realtime requests that came back per second, by run, over the last minute at most.

        Taken from the newest attempts alone, so that it costs the same in any queue; a run that stands has none.
        """
        found = self.rows(_LATEST, LATEST, now - SPEED_WINDOW)
        if not found:
            return {}
        seconds = max(1.0, (now - min(ended for _, ended in found)) / 1000)
        return {RunId(run): n / seconds for run, n in Counter(run for run, _ in found).items()}

    def error_classes(self, run: RunId) -> list[tuple[str, int]]:
        """The classes of error of the failed jobs and how many have each, the largest first."""
        return [(error or "", n) for error, n in self.rows(_CLASSES, run)]

    def error_names(self, run: RunId, most: int) -> list[str]:
        """At most *most* classes of failed and held jobs by name: a few steps each, however many there are."""
        names: list[str] = []
        while len(names) < most and (found := self.rows(_NEXT_CLASS, run, names[-1] if names else "")):
            names.append(found[0][0])
        return names

    def run(self, ref: str) -> RunSummary:
        """The run that *ref* names: `last`, an id like r-12, a name, or the unique beginning of one.

        Raises UnknownRun.
        """
        with self.moment():
            found = self._runs_named(ref)
            if len(found) == 1:
                return self._run(found[0])
            if found:
                known = ", ".join(f"{row[1]} (r-{row[0]})" for row in found)
                raise UnknownRun(f"`{ref}` fits more than one run: {known}", hint="name one by its id")
            names = [name for (name,) in self.rows(_RUN_NAMES)]
        if not names:
            raise UnknownRun("there is no run yet", hint="`batchrun submit FILE` makes one")
        raise UnknownRun(f"no run `{ref}`{did_you_mean(ref, names)}", hint="`batchrun status --all` lists them")

    def _runs_named(self, ref: str) -> list[Any]:
        if ref == "last":
            return self.rows(_RUN_LAST)
        number = ref.removeprefix("r-")
        by_id = self.rows(_RUN_BY_ID, int(number)) if ref != number and _is_id(number) else []
        return by_id or self.rows(_RUNS_BY_NAME, ref) or (self.rows(_RUNS_BY_PREFIX, ref, ref) if ref else [])

    def _run(self, row: Any) -> RunSummary:
        return run_of(row, self.rows(_COUNTS, row[0]), self._next_worst(row[0]))

    def _next_worst(self, run: int) -> Nanos | None:
        """Each model's next job is the one that may be claimed; a dear one lets those of other models go."""
        found = [worst for (worst,) in self.rows(_NEXT_WORST, run, MODELS + 1)]
        if None in found or len(found) > MODELS:
            return None
        return min(found, default=None)

    # -- the database -------------------------------------------------------------------------------------------------

    def rows(self, sql: str, *values: object) -> list[Any]:
        """All rows of one query at once: a cursor that is left half read would hold its snapshot."""
        try:
            return self._connection.execute(sql, values).fetchall()
        except self._errors as error:
            raise _unreadable(self.place, error) from error

    @contextmanager
    def moment(self) -> Iterator[None]:
        """Several queries that see the same moment."""
        self.rows("BEGIN")
        try:
            yield
        finally:
            self.rows("ROLLBACK")

    def _checked(self) -> dict[str, str]:
        if not self.on_server:
            self.rows("PRAGMA query_only = ON")
        tables = {name for (name,) in self.rows(_TABLES_OF_SERVER if self.on_server else _TABLES)}
        if not tables:
            raise NoQueue(f"there is no queue in {self.place} yet", hint="`batchrun submit FILE` makes one")
        if not {"meta", "alembic_version"} <= tables:
            raise SchemaError(f"{self.place} is a database of another program", hint="--db names another file")
        found = self.rows(_REVISION)[0][0]
        if found > VERSION:
            raise SchemaError(
                f"database {self.place} has schema {found}, this batchrun {__version__} knows {VERSION}",
                hint="upgrade with `pip install -U batchrun`; older versions never write to newer databases",
            )
        if found < VERSION:
            raise OldSchema(
                f"database {self.place} has schema {found}, this batchrun {__version__} needs {VERSION}",
                hint="the next `batchrun run` or `batchrun submit` brings it up to date",
            )
        return dict(self.rows(_META))


def _in_file(path: Path) -> sqlite3.Connection:
    try:
        if not path.exists():
            raise NoQueue(f"there is no queue at {path} yet", hint="`batchrun submit FILE` makes one")
        if path.is_dir():
            raise UsageError(f"{path} is a folder, not a database", hint="--db names the database file")
        # Read and write, so that the last one to close tidies up behind a crash; query_only forbids the rest.
        name = f"file:{quote(str(path.absolute()))}?mode=rw"
        return sqlite3.connect(name, uri=True, timeout=PATIENCE, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise _unreadable(str(path), error) from error


def _on_server(url: str) -> Session:
    from batchrun.queue.session import Session  # noqa: PLC0415  # only whoever has a server needs it

    return Session(url)


def _lives(locked: bool | None, pid: int, host: str) -> bool:
    """Where its lock is gone (somebody removed it), a worker lives if its process does."""
    if locked is not None or host != os.uname().nodename:
        return bool(locked)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it exists and is another user's
    return True


def _unreadable(path: str, error: Exception) -> StoreError | SchemaError:
    if not isinstance(error, OSError | sqlite3.Error):
        from batchrun.queue.session import trouble  # noqa: PLC0415

        return trouble(path, error)
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith("SQLITE_NOTADB"):
        return SchemaError(f"{path} is no database", hint="--db names the database file")
    if name.startswith(("SQLITE_BUSY", "SQLITE_PROTOCOL")):
        return StoreError(f"{path}: another process has the database locked", hint="try again")
    if name.startswith("SQLITE_CORRUPT"):
        return StoreError(
            f"{path}: the database is damaged", hint="keep a copy of it with its -wal file, then restore a backup"
        )
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM")) or isinstance(error, OSError):
        return StoreError(f"{path}: the database cannot be opened", hint="check the rights of the file and its folder")
    return StoreError(f"{path}: {error}")


def _is_id(number: str) -> bool:
    return number.isascii() and number.isdecimal() and len(number) < 19
