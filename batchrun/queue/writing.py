"""Who performs operations: one database thread with natural group commit, or the caller itself, at once.

An operation is a function of a `Transaction`. It may be run more than once before it counts, so it does nothing but
read and write rows.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa

from batchrun.errors import BatchrunError, StoreError
from batchrun.queue.connect import close_queue
from batchrun.queue.faults import CONFLICT, MOVED, Fault, fault_of
from batchrun.queue.marks import Mark
from batchrun.queue.transaction import Transaction

T = TypeVar("T")
Op = Callable[[Transaction], T]
OnTrouble = Callable[[str, str], None]

GROUP = 500
"""Operations in one transaction at most."""

ROOM = 2000
"""Operations that may wait; who comes then waits before it is taken on."""

FIRST_REST = 0.05
LONGEST_REST = 5.0
"""Seconds between two tries while the disk is full or somebody else has the database, doubling."""


class Performer(Protocol):
    async def perform(self, op: Op[T]) -> T:
        """What *op* returns, once it is durable. Raises what *op* raises, with nothing of it kept, or StoreError."""
        ...


class Perform(Protocol):
    """Performs in the caller's thread."""

    def __call__(self, op: Op[T]) -> T: ...


def perform_now(engine: sa.Engine, op: Op[T]) -> T:
    """Perform *op* in a transaction of its own. Raises StoreError if the database cannot be used."""
    with translated(engine), engine.connect() as connection:
        return perform_on(connection, op)


def perform_on(connection: sa.Connection, op: Op[T]) -> T:
    """The same on a connection that stays open. Raises StoreError too."""
    with translated(connection.engine), connection.begin():
        transaction = Transaction(connection)
        result = op(transaction)
        transaction.flush()
    return result


@contextmanager
def translated(engine: sa.Engine) -> Iterator[None]:
    """Inside it, an error that says that the database cannot be used is a StoreError."""
    try:
        yield
    except (sa.exc.DBAPIError, engine.dialect.loaded_dbapi.Error) as error:
        fault = fault_of(error)
        if fault is None:
            raise
        raise fault.raised(engine.url.database) from error


class Inline:
    """Performs at once, in the caller's thread: the order of everything is the order of the calls."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    async def perform(self, op: Op[T]) -> T:
        return perform_now(self._engine, op)


@dataclass(slots=True)
class _Asked:
    op: Op[Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None
    alone: bool = False  #: on a server: it met somebody who did the same at once, and is tried without others


class _Failed(Exception):
    def __init__(self, asked: _Asked, error: Exception) -> None:
        super().__init__()
        self.asked = asked
        self.error = error


class Writer:
    """One thread and one connection. It takes all that waits, commits once, then acknowledges.

    No timer and no window of loss: what is acknowledged is durable, and a crash loses only what is not. While the
    disk is full, the database locked or its server away the operations are kept and tried again; *on_trouble* hears of
    it once per episode, in the event loop's thread. Belongs to the event loop in which it is first used.
    """

    def __init__(self, engine: sa.Engine, on_trouble: OnTrouble | None = None) -> None:
        on_server = engine.dialect.name == "postgresql"
        self._engine = engine.execution_options(batchrun_together=True) if on_server else engine
        self._mark = Mark() if on_server else None
        self._on_trouble = on_trouble
        self._waiting: deque[_Asked] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._impatient = False
        self._broken: Fault | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._room = asyncio.Semaphore(ROOM)
        self._thread: threading.Thread | None = None
        on_file = engine.dialect.name == "sqlite" and engine.url.database
        self._path = Path(on_file) if on_file else None
        self._file: os.stat_result | None = None

    async def perform(self, op: Op[T]) -> T:
        """As `Performer`. A caller that is cancelled meanwhile does not call its operation back."""
        await self._room.acquire()
        loop = asyncio.get_running_loop()
        asked = _Asked(op, loop.create_future())
        with self._changed:
            if self._broken is not None or self._closing:
                self._room.release()
                raise self._refusal()
            if self._thread is None:
                self._loop = loop
                self._thread = threading.Thread(target=self._work, name="batchrun-writer", daemon=True)
                self._thread.start()
            self._waiting.append(asked)
            self._changed.notify()
        result: T = await asked.future
        return result

    def give_up(self) -> None:
        """Wait no longer for a disk or a lock: what the database refuses now fails with StoreError."""
        with self._changed:
            self._impatient = True
            self._changed.notify_all()

    async def close(self) -> None:
        """Write what waits, and end. What the database still refuses then fails with StoreError."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
            if self._mark is not None and self._mark.begun and self._broken is None:
                with contextlib.suppress(StoreError):
                    perform_now(self._engine, self._mark.remove)
        close_queue(self._engine)

    def _refusal(self) -> BatchrunError:
        if self._broken is None:
            return StoreError("the queue is closed")
        return self._broken.raised(self._engine.url.database)

    def _work(self) -> None:
        while group := self._take():
            self._keep(group)
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._acknowledge, group)

    def _take(self) -> list[_Asked]:
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), GROUP))]

    def _acknowledge(self, group: list[_Asked]) -> None:
        for asked in group:
            self._room.release()
            if asked.future.done():
                continue  # its caller was cancelled
            if asked.error is not None:
                asked.future.set_exception(asked.error)
            else:
                asked.future.set_result(asked.result)

    def _keep(self, group: list[_Asked]) -> None:
        """Commit *group*, whatever it takes; each member has a result or an error afterwards."""
        left = group
        rest = FIRST_REST
        told = False
        while left:
            try:
                if not self._in_place():
                    self._give_up(left, MOVED)
                    return
                self._commit(left)
                left = []
            except _Failed as failed:
                if self._may_have_met(failed):
                    failed.asked.alone = True
                    continue
                failed.asked.error = failed.error
                left = [asked for asked in left if asked is not failed.asked]
            except Exception as error:  # noqa: BLE001  # whatever it is, it must reach the callers and not kill the thread
                fault = self._broken or fault_of(error)
                if fault is None:
                    left = self._one_by_one(left, error)
                    continue
                if fault.lasting or self._closing or self._impatient:
                    self._give_up(left, fault)
                    return
                if not told and (fault is not CONFLICT or rest > FIRST_REST):  # one is nothing to speak of
                    told = True
                    self._tell(fault)
                if fault.lost:
                    self._engine.dispose()  # whatever else stands in the pool leads to the same server
                with self._changed:
                    self._changed.wait_for(lambda: self._closing or self._impatient, timeout=rest)
                rest = min(rest * 2.0, LONGEST_REST)

    def _may_have_met(self, failed: _Failed) -> bool:
        """Whether two workers may have been the first at once, as when both look for a row and then add it."""
        double = sa.exc.IntegrityError, self._engine.dialect.loaded_dbapi.IntegrityError
        return self._mark is not None and not failed.asked.alone and isinstance(failed.error, double)

    def _give_up(self, group: list[_Asked], fault: Fault) -> None:
        self._broken = fault
        for asked in group:
            asked.error = self._refusal()

    def _in_place(self) -> bool:
        """Whether the file that is open is still the one that others would open: SQLite does not notice (3.40)."""
        if self._path is None:
            return True
        try:
            found = self._path.stat()
        except OSError:
            return False
        if self._file is None:
            self._file = found
        return os.path.samestat(found, self._file)

    def _commit(self, group: list[_Asked]) -> None:
        mark = self._mark
        if mark is None:
            with self._engine.begin() as connection:
                self._perform(Transaction(connection), group)
            return
        if not mark.begun:
            with self._engine.begin() as connection:
                mark.begin(Transaction(connection))
            mark.begun = True
        alone = any(asked.alone for asked in group)
        with self._engine.execution_options(batchrun_together=not alone).begin() as connection:
            transaction = Transaction(connection)
            if not (mark.doubted and mark.is_kept(transaction)):
                self._perform(transaction, group)
                mark.set(transaction)
            # Else only the word on it was lost: each has the result that it had then.
        mark.doubted = False

    def _perform(self, transaction: Transaction, group: list[_Asked]) -> None:
        for asked in group:
            try:
                asked.result = asked.op(transaction)
            except Exception as error:
                if fault_of(error) is not None:
                    raise
                raise _Failed(asked, error) from error
        transaction.flush()

    def _one_by_one(self, group: list[_Asked], error: Exception) -> list[_Asked]:
        """The commit of *group* failed and nobody in it: alone, each shows whether it was the one."""
        if len(group) == 1:
            group[0].error = error
            return []
        for asked in group:
            self._keep([asked])
        return []

    def _tell(self, fault: Fault) -> None:
        if self._on_trouble is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._on_trouble, fault.code, fault.message)
