"""Looking after the database of a queue: copies, putting one in place, writing it anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from batchrun.clock import SystemClock
from batchrun.core.events import Trouble
from batchrun.core.job import Millis
from batchrun.core.server import is_server, without_password
from batchrun.errors import UsageError, WorkerBusy
from batchrun.library.queue import changing
from batchrun.queue import backup as copies
from batchrun.queue import copying, events, rewinding
from batchrun.queue.backup import Copy
from batchrun.queue.connect import close_queue, open_queue
from batchrun.queue.copying import Moved
from batchrun.queue.locks import Locks
from batchrun.queue.reading import NoQueue, Reading
from batchrun.queue.transaction import Transaction
from batchrun.settings import Settings
from batchrun.wiring import card


def backup(settings: Settings, target: str | None = None, *, force: bool = False) -> Copy:
    """Copy the queue, while workers may go on, to *target*: a file, a folder, or None for beside the queue.

    Raises UsageError if the target is the queue, or is there already and not *force*; StoreError without room.
    """
    queue = Path(settings.db)
    now = SystemClock().wall()
    with Reading.open(queue):
        pass  # there is one, of ours
    path = _target(queue, target, now)
    if path.exists() and path.samefile(queue):
        raise UsageError(f"{path} is the queue itself", hint="name another file")
    if path.exists() and not force:
        raise UsageError(f"{path} is there already", hint="name another file, or --force replaces it")
    return copies.backup(queue, path, now)


def _target(queue: Path, target: str | None, now: Millis) -> Path:
    stamp = f"{datetime.fromtimestamp(now / 1000, UTC):%Y%m%dT%H%M%SZ}"
    name = f"{queue.stem}-{stamp}.backup"
    if target is None:
        return queue.with_name(name)
    path = Path(target)
    return path / name if path.is_dir() else path


def restorable(settings: Settings, file: str) -> Copy:
    """The copy at *file*, once it was checked that it may stand in the queue's place. Raises UsageError, StoreError."""
    path, queue = Path(file), Path(settings.db)
    if not path.is_file():
        raise UsageError(f"there is no backup {file}", hint="`batchrun db backup` makes one")
    if queue.exists() and path.samefile(queue):
        raise UsageError(f"{file} is the queue itself")
    copy = copies.examined(path)
    if copy.simulated != settings.simulate:
        what, flag = ("a simulated queue", "add --simulate") if copy.simulated else ("a queue for the real API", "")
        raise UsageError(f"{file} is {what}", hint=flag or "leave out --simulate")
    return copy


def restore(settings: Settings, copy: Copy) -> Path | None:
    """Put *copy* in the queue's place, rewound; returns where the old one lies.

    Raises WorkerBusy while anybody works.
    """
    queue = Path(settings.db)
    with alone(settings):
        return copies.restore(copy, queue, SystemClock().wall())


def vacuum(settings: Settings) -> tuple[int, int]:
    """Its size before and after, in bytes. Raises WorkerBusy while anybody works, StoreError without room."""
    with alone(settings):
        return copies.vacuum(Path(settings.db))


def release(settings: Settings) -> bool:
    """Let a rewound queue send at once, on a person's word; False if it was not rewound."""
    now = SystemClock().wall()

    def release(tx: Transaction) -> bool:
        was = rewinding.release(tx)
        if was:
            told = Trouble(at=now, code="rewound", message="jobs are sent again, on a person's word")
            events.record(tx, [events.row_of(told)])
        return was

    with alone(settings), changing(settings) as perform:
        return perform(release)


def copy(settings: Settings, url: str) -> Moved:
    """Copy the queue out of its file to the server at *url*, and seal the file.

    Raises WorkerBusy while anybody works; UsageError if something is being sent, or the target is in use.
    """
    if is_server(settings.db):
        raise UsageError("`db copy` copies a queue out of a file", hint="pg_dump and pg_restore copy one on a server")
    if not is_server(url):
        raise UsageError(f"{url} is no URL of a server", hint="`batchrun db copy postgresql://USER@HOST/NAME`")
    with Reading.open(settings.db) as reading:
        simulated = reading.simulated
    with alone(settings):
        engine = open_queue(without_password(url), simulated=simulated)
        try:
            return copying.copy(Path(settings.db), engine)
        finally:
            close_queue(engine)


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """No worker drains the queue, and nobody adds jobs. Raises WorkerBusy."""
    queue = Path(settings.db)
    locks = Locks(queue)
    locks.hold_run(card(), exclusive=True)
    try:
        try:
            with Reading.open(queue) as reading:
                adding = bool(reading.overview().loaders)
        except NoQueue:
            adding = False
        except Exception:  # noqa: BLE001  # what is damaged, or of another version, adds nothing: it is to be replaced
            adding = False
        if adding:
            raise WorkerBusy("a submit is adding jobs just now", hint="let it end, and try again")
        yield
    finally:
        locks.close()
