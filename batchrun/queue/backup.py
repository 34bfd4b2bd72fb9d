"""Copies of a queue: made while others work on it, checked before they get their name, and put in place again.

A copy is one file, readable by its owner alone, whole or not there at all. A queue that is put in place forgets what
was bought since its copy was made: it is marked as rewound (`queue.rewinding`) before it gets the queue's name.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from batchrun.core.job import Millis
from batchrun.errors import SchemaError, StoreError, UsageError, WorkerBusy
from batchrun.queue import rewinding
from batchrun.queue.connect import close_queue, engine_of
from batchrun.queue.migrate import OURS, ensure
from batchrun.queue.schema import VERSION
from batchrun.queue.writing import perform_now

PATIENCE = 5.0
"""Seconds to wait for whoever holds the whole database."""

BACKED_UP = "backed_up"
"""The key in `meta` of a copy that tells when it was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A copy that was checked."""

    path: Path
    size: int  #: bytes
    schema: str
    simulated: bool
    runs: int
    jobs: int
    made: Millis | None  #: None for a file that was copied by hand


def backup(source: Path, target: Path, now: Millis) -> Copy:
    """Copy the queue at *source* to *target*, as it is at one moment; a worker may go on meanwhile.

    Raises UsageError where no file can be, StoreError if there is no room or the copy is not sound.
    """
    with _beside(target, room=_extent(source)) as part:
        with closing(_open(source)) as ours, closing(_open(part)) as copy:
            ours.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
            copy.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (BACKED_UP, str(now)))
            copy.commit()
        made = examined(part)
        _durable(part)
        part.replace(target)
    _durable(target.parent)
    return Copy(**{name: getattr(made, name) for name in Copy.__slots__ if name != "path"}, path=target)


def examined(path: Path) -> Copy:
    """What the copy at *path* is.

    Raises SchemaError for what is no queue of ours, StoreError for one that is damaged.
    """
    try:
        with closing(_open(path)) as copy:
            tables = {name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not tables >= OURS:
                raise SchemaError(f"{path} is no queue of batchrun")
            (schema,) = copy.execute("SELECT version_num FROM alembic_version").fetchone()
            if schema > VERSION:
                raise SchemaError(
                    f"{path} has schema {schema}, this batchrun knows {VERSION}",
                    hint="upgrade with `pip install -U batchrun`",
                )
            sound = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if sound != "ok":
                raise StoreError(f"{path} is damaged: {sound}", hint="use another copy")
            meta = dict(copy.execute("SELECT key, value FROM meta"))
            runs, jobs = copy.execute("SELECT (SELECT COUNT(*) FROM runs), (SELECT COUNT(*) FROM jobs)").fetchone()
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path} cannot be read: {error}", hint="is it a copy of a queue?") from error
    made = meta.get(BACKED_UP)
    return Copy(
        path=path,
        size=path.stat().st_size,
        schema=schema,
        simulated=meta.get("simulated") == "1",
        runs=runs,
        jobs=jobs,
        made=None if made is None else Millis(int(made)),
    )


def restore(copy: Copy, queue: Path, now: Millis) -> Path | None:
    """Put *copy* in the place of *queue*, rewound; returns where the old one lies now, if there was one.

    The caller holds the queue's run lock. Raises WorkerBusy while anybody else has the old one open, StoreError if
    there is no room.
    """
    with _beside(queue, room=copy.size) as part:
        with closing(_open(copy.path)) as source, closing(_open(part)) as fresh:
            source.backup(fresh)
        engine = engine_of(part)
        try:
            ensure(engine, simulated=None)
            perform_now(engine, lambda tx: rewinding.rewind(tx, now))
        finally:
            close_queue(engine)
        _durable(part)
        aside = _aside(queue, now)
        with _alone(queue):
            if aside is not None:
                _set_aside(queue, aside)
            part.replace(queue)
    _durable(queue.parent)
    return aside


def vacuum(queue: Path) -> tuple[int, int]:
    """Write the file anew without what was deleted: its size before and after. The caller holds the run lock.

    Raises StoreError if there is not twice as much room as the file is large.
    """
    before = _extent(queue)
    _room(queue.parent, 2 * before)
    try:
        with closing(_open(queue)) as connection:
            connection.isolation_level = None
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.OperationalError as error:
        raise StoreError(f"{queue} cannot be vacuumed: {error}", hint="nothing was changed; try again later") from error
    return before, _extent(queue)


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=rw", uri=True, timeout=PATIENCE)


def _extent(path: Path) -> int:
    """Bytes of the database and its log."""
    files = (path, Path(f"{path}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def _room(folder: Path, need: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < need:
        raise StoreError(
            f"{folder} has {free:,} bytes free, and {need:,} are needed", hint="make room; nothing was changed"
        )


@contextmanager
def _beside(target: Path, *, room: int) -> Iterator[Path]:
    """An empty file beside *target*, for its owner alone, that is gone in the end unless it got its name."""
    try:
        _room(target.parent, room)
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:60]}.", suffix=".part")
    except OSError as error:
        raise UsageError(f"cannot write {target}: {(error.strerror or '').lower()}") from error
    os.close(descriptor)
    part = Path(name)
    try:
        yield part
    except sqlite3.Error as error:
        raise StoreError(f"{target} cannot be written: {error}", hint="nothing was changed; try again") from error
    finally:
        for ending in ("", "-wal", "-shm", "-journal"):
            Path(f"{part}{ending}").unlink(missing_ok=True)


def _aside(queue: Path, now: Millis) -> Path | None:
    if not queue.exists():
        return None
    n = 0
    while (aside := queue.with_name(f"{queue.name}.replaced-{now // 1000}{f'-{n}' if n else ''}")).exists():
        n += 1
    return aside


@contextmanager
def _alone(queue: Path) -> Iterator[None]:
    """Nobody else has *queue* open, and it is one file without a log; one that is damaged is taken as it is."""
    if not queue.exists():
        yield
        return
    with closing(_open(queue)) as connection:
        connection.isolation_level = None
        try:
            connection.execute("PRAGMA journal_mode = DELETE")  # only who is alone may do that
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise WorkerBusy(f"{queue} is open in another program", hint="close it, and try again") from error
        except sqlite3.DatabaseError:
            pass
        yield


def _set_aside(queue: Path, aside: Path) -> None:
    """Give *queue* another name too, with the log of one that is damaged."""
    aside.hardlink_to(queue)
    for ending in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            Path(f"{queue}{ending}").rename(f"{aside}{ending}")


def _durable(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
