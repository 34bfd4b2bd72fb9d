"""Who is alive: locks that the kernel keeps for as long as a process lives, and drops with it. No clock, no pid.

Beside the database lies the folder `<database>-locks`: `run.lock` belongs to the one worker that drains the queue,
`worker-<id>.lock` to each worker and loader. A locked file has a living owner; a file that can be locked has none.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from batchrun.core.card import WorkerCard
from batchrun.core.figures import moment
from batchrun.core.job import Millis, WorkerId
from batchrun.errors import StoreError, WorkerBusy

RUN = "run.lock"


class Locks:
    """The lock files of one database, and those among them that this object holds. Not thread-safe.

    Raises StoreError where the folder cannot be used.
    """

    def __init__(self, database: str | Path) -> None:
        self.folder = Path(f"{os.path.realpath(database)}-locks")
        self._held: dict[str, int] = {}

    def hold_run(self, card: WorkerCard) -> None:
        """Become the one worker that drains the queue, if this object is not yet.

        Raises WorkerBusy, naming it, while there is another.
        """
        with self._troubles():
            if RUN not in self._held and not self._hold(RUN):
                raise busy(self._written())
            fd = self._held[RUN]
            os.truncate(fd, 0)
            os.pwrite(fd, json.dumps(asdict(card)).encode(), 0)

    def hold(self, worker: WorkerId) -> None:
        """Be alive as *worker*."""
        with self._troubles():
            if not self._hold(_file(worker)):
                raise StoreError(
                    f"{self.folder / _file(worker)} is locked by another process", hint="was the database copied?"
                )

    def drop(self, worker: WorkerId) -> None:
        """Be *worker* no more, once its row says that it left: its file goes too."""
        with contextlib.suppress(OSError):
            (self.folder / _file(worker)).unlink()
        self._drop(_file(worker))

    def drop_run(self) -> None:
        self._drop(RUN)

    def close(self) -> None:
        """Let go of everything at once, as the kernel does when a process dies."""
        for name in list(self._held):
            self._drop(name)

    def alive(self, worker: WorkerId) -> bool | None:
        """Whether *worker* lives; None if its file is gone, which neither a living nor a dead worker does by itself."""
        return self._owned(_file(worker))

    def refuse_run(self, why: str, hint: str) -> None:
        """Raises WorkerBusy, with *why* and who it is, while a worker drains the queue."""
        if self._owned(RUN):
            card = self._written()
            who = "" if card is None else f": pid {card.pid} on host {card.host}"
            raise WorkerBusy(f"{why}{who}", hint)

    def _owned(self, name: str) -> bool | None:
        if name in self._held:
            return True
        with self._troubles():
            try:
                fd = os.open(self.folder / name, os.O_RDWR)
            except FileNotFoundError:
                return None
            try:
                return not _lock(fd, fcntl.LOCK_SH)  # shared: who else looks just now must not seem to be its owner
            finally:
                os.close(fd)

    def _hold(self, name: str) -> bool:
        path = self.folder / name
        self.folder.mkdir(mode=0o700, exist_ok=True)
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)  # Python's descriptors are not inherited
            if not _lock(fd):
                os.close(fd)
                return False
            if _is(fd, path):
                self._held[name] = fd
                return True
            os.close(fd)  # the file was removed meanwhile: another one may have locked the new one

    def _drop(self, name: str) -> None:
        fd = self._held.pop(name, None)
        if fd is not None:
            os.close(fd)

    def _written(self) -> WorkerCard | None:
        try:
            return WorkerCard(**json.loads((self.folder / RUN).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None  # it is being written just now

    @contextmanager
    def _troubles(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"the lock folder {self.folder} cannot be used: {error.strerror}", hint="check who owns it"
            ) from error


def busy(card: WorkerCard | None) -> WorkerBusy:
    """What is said to a second worker."""
    if card is None:
        return WorkerBusy("batchrun is already running here", hint="`batchrun status` shows it")
    since = moment(Millis(card.started))
    return WorkerBusy(
        f"batchrun is already running here: pid {card.pid} on host {card.host}, since {since}",
        hint="`batchrun status` shows it",
    )


def process_lives(card: WorkerCard, here: WorkerCard) -> bool:
    """Whether the process that *card* names exists, as far as *here* can tell: under another boot it does not."""
    if card.boot != here.boot or card.pid == here.pid:
        return False
    try:
        os.kill(card.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _file(worker: WorkerId) -> str:
    return f"worker-{worker}.lock"


def _lock(fd: int, how: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False
