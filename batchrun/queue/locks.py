"""Who is alive: locks that the kernel keeps for as long as a process lives, and drops with it. No clock, no pid.

Beside the database lies the folder `<database>-locks`: all workers that drain the queue share `run.lock`, or one has it
for itself; each worker and loader has its `worker-<id>.lock`, with its card in it. A locked file has a living owner; a
file that can be locked has none.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from batchrun.core.card import WorkerCard
from batchrun.core.figures import moment
from batchrun.core.job import Millis, WorkerId
from batchrun.errors import StoreError, WorkerBusy

RUN = "run.lock"

LOOKS = 20
LOOK = 0.01
"""How often a lock is tried, and the seconds in between: somebody may look just now who holds it, for a moment."""


class Locks:
    """The lock files of one database, and those among them that this object holds. Not thread-safe.

    Raises StoreError where the folder cannot be used.
    """

    def __init__(self, database: str | Path) -> None:
        self.folder = Path(f"{os.path.realpath(database)}-locks")
        self._held: dict[str, int] = {}

    def hold_run(self, card: WorkerCard, *, exclusive: bool = False) -> None:
        """Be among those that drain the queue, or the only one; once more changes nothing.

        Raises WorkerBusy, naming somebody, if another one wants to be alone, or if *exclusive* and others are there.
        """
        with self._troubles():
            if RUN not in self._held and not self._hold(RUN, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH):
                raise self._busy()
            self._write(RUN, card)

    def hold(self, worker: WorkerId, card: WorkerCard | None = None) -> None:
        """Be alive as *worker*; *card* is what others are told who want to be alone."""
        with self._troubles():
            if not self._hold(_file(worker)):
                raise StoreError(
                    f"{self.folder / _file(worker)} is locked by another process", hint="was the database copied?"
                )
            if card is not None:
                self._write(_file(worker), card)

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
        """Raises WorkerBusy, with *why* and who it is, while anybody drains the queue."""
        if self._owned(RUN, fcntl.LOCK_EX):
            card = self._somebody()
            who = "" if card is None else f": pid {card.pid} on host {card.host}"
            raise WorkerBusy(f"{why}{who}", hint)

    def _owned(self, name: str, how: int = fcntl.LOCK_SH) -> bool | None:
        """Whether a living process has *name*. Who else looks just now, shared, does not seem to be its owner."""
        if name in self._held:
            return True
        with self._troubles():
            try:
                fd = os.open(self.folder / name, os.O_RDWR)
            except FileNotFoundError:
                return None
            try:
                return not (_lock(fd, how) if how == fcntl.LOCK_SH else _lock_soon(fd, how))
            finally:
                os.close(fd)

    def _hold(self, name: str, how: int = fcntl.LOCK_EX) -> bool:
        path = self.folder / name
        self.folder.mkdir(mode=0o700, exist_ok=True)
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)  # Python's descriptors are not inherited
            if not _lock_soon(fd, how):
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

    def _write(self, name: str, card: WorkerCard) -> None:
        fd = self._held[name]
        os.truncate(fd, 0)
        os.pwrite(fd, json.dumps(asdict(card)).encode(), 0)

    def _busy(self) -> WorkerBusy:
        return busy(self._somebody())

    def _somebody(self) -> WorkerCard | None:
        """One of those who drain the queue; where none has its own lock yet, who came last."""
        names = [path.name for path in sorted(self.folder.glob("worker-*.lock"))]
        cards = (self._written(name) for name in names if self._owned(name))
        return next((card for card in cards if card is not None), None) or self._written(RUN)

    def _written(self, name: str) -> WorkerCard | None:
        try:
            return WorkerCard(**json.loads((self.folder / name).read_text(encoding="utf-8")))
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
    """What is said to who wants to be alone and is not, or comes to one who is."""
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


def _lock_soon(fd: int, how: int) -> bool:
    """The same, tried a few times more."""
    for _ in range(LOOKS):
        if _lock(fd, how):
            return True
        time.sleep(LOOK)
    return False


def _is(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False
