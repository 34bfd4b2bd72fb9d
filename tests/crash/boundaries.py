"""Where a process can die: before and after each commit, each request and each step on a file, counted from outside.

Nothing here asks the product. What it counts are the standard library's `sqlite3`, `os` and `fcntl` and the HTTP
client's `send`, replaced in the process that is to die. A commit that changed no row is no boundary: whoever dies
beside it leaves the same files behind as at the boundary before.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import httpx2

from batchrun.simulator.answers import digest


class Boundaries:
    """Counts; writes each boundary down before it is crossed; stops or dies at those that were chosen.

    A stopped process must not hold SQLite's write lock, for then it holds up everybody. So one that is to stop counts
    the beginnings of transactions instead of the moments before their commits, and stops while none is open.
    """

    def __init__(self, trace: int, *, stop: int | None, die: int | None) -> None:
        self.stops = stop is not None
        self.writing = threading.RLock()  # held by whoever has a transaction open
        self._trace = trace
        self._stop_at = stop
        self._die_at = die
        self._n = 0
        self._counting = threading.Lock()

    def cross(self, what: str) -> None:
        with self._counting:
            self._n += 1
            n = self._n
            self.note("at", n, what)
        if n == self._stop_at:
            self._stop()
        if n == self._die_at:
            self._end()

    def note(self, *facts: object) -> None:
        """One line of the trace; it outlives the process."""
        os.write(self._trace, json.dumps(facts).encode() + b"\n")

    @contextmanager
    def around(self, what: str) -> Iterator[None]:
        self.cross(f"before {what}")
        yield
        self.cross(f"after {what}")

    # The signal goes to this very thread: to the process as a whole, it would let it do a little more.

    def _end(self) -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGKILL)

    def _stop(self) -> None:
        with self.writing:
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE", "CREATE", "ALTER", "DROP")
PRAGMAS = ("journal_mode=", "journal_mode =", "wal_checkpoint")


def watch_sqlite(boundaries: Boundaries) -> None:
    """Make each connection of this process count its commits and what commits itself."""
    stops = boundaries.stops

    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, *parameters: Any) -> Any:
            return self._counted(sql, lambda: super(Cursor, self).execute(sql, *parameters))

        def executemany(self, sql: str, *rows: Any) -> Any:
            return self._counted(sql, lambda: super(Cursor, self).executemany(sql, *rows))

        def _counted(self, sql: str, go: Callable[[], Any]) -> Any:
            connection: Connection = self.connection  # type: ignore[assignment]  # only a Connection makes these
            words = sql.lstrip().upper()
            if words.startswith("BEGIN"):
                return connection.begin(go)
            if words.startswith(("COMMIT", "END", "ROLLBACK")):
                return connection.end(go, kept=not words.startswith("ROLLBACK"))
            alone = words.startswith(WRITES) and not connection.in_transaction
            if alone or any(pragma in sql for pragma in PRAGMAS):
                with boundaries.around(words.split("\n")[0][:30].lower()):
                    return go()
            return go()

    class Connection(sqlite3.Connection):
        _changes = 0
        _open = False

        def cursor(self, *_factory: Any) -> Any:
            return super().cursor(Cursor)

        def commit(self) -> None:
            self.end(super().commit, kept=True)

        def rollback(self) -> None:
            self.end(super().rollback, kept=False)

        def close(self) -> None:
            super().close()
            self._leave()

        def begin(self, go: Callable[[], Any]) -> Any:
            if stops:
                boundaries.cross("before begin")
            boundaries.writing.acquire()
            self._open = True
            try:
                return go()
            except BaseException:
                self._leave()
                raise

        def end(self, go: Callable[[], Any], *, kept: bool) -> Any:
            wrote = kept and self.in_transaction and self.total_changes != self._changes
            if wrote and not stops:
                boundaries.cross("before commit")
            result = go()
            self._changes = self.total_changes
            self._leave()
            if wrote:
                boundaries.cross("after commit")
            return result

        def _leave(self) -> None:
            if self._open:
                self._open = False
                boundaries.writing.release()

    connect = sqlite3.connect

    def counting(*args: Any, **kwargs: Any) -> Any:
        return connect(*args, **{"factory": Connection, **kwargs})

    sqlite3.connect = sqlite3.dbapi2.connect = counting


MESSAGES = "/v1/messages"
BATCHES = "/v1/messages/batches"
ANY_BATCH = re.compile("msgbatch_[0-9A-Za-z]+")


class Upload(httpx2.AsyncByteStream):
    """The body of a batch on its way, whose requests are written down before the last of it leaves."""

    def __init__(self, stream: httpx2.AsyncByteStream, boundaries: Boundaries) -> None:
        self._stream = stream
        self._boundaries = boundaries

    async def __aiter__(self) -> AsyncIterator[bytes]:
        body = last = b""
        async for piece in self._stream:
            if last:
                yield last
            body, last = body + piece, piece
        for item in json.loads(body)["requests"]:
            self._boundaries.note("sent", digest(item["params"]))
        yield last


def watch_http(boundaries: Boundaries) -> None:
    """Count the moments before a request leaves and after its answer begins, and write down what is asked."""
    send = httpx2.AsyncClient.send

    @wraps(send)
    async def counting(client: httpx2.AsyncClient, request: httpx2.Request, **kwargs: Any) -> httpx2.Response:
        path = ANY_BATCH.sub("ID", request.url.path)
        with boundaries.around(f"{request.method} {path}"):
            if path == MESSAGES:
                boundaries.note("sent", digest(json.loads(request.content)))
            elif path == BATCHES and request.method == "POST":
                assert isinstance(request.stream, httpx2.AsyncByteStream)
                request.stream = Upload(request.stream, boundaries)
            return await send(client, request, **kwargs)

    httpx2.AsyncClient.send = counting  # type: ignore[method-assign, assignment]  # only in the process that is to die


STEPS = (
    "replace",
    "rename",
    "link",
    "unlink",
    "remove",
    "mkdir",
    "truncate",
    "ftruncate",
    "pwrite",
    "fsync",
    "fdatasync",
)


def watch_files(boundaries: Boundaries) -> None:
    """Count each step that leaves something behind in a folder, and each lock."""
    for name in STEPS:
        _count(boundaries, os, name, lambda *_args, **_kwargs: True)
    _count(boundaries, os, "open", lambda _path, flags, *_args, **_kwargs: bool(flags & os.O_CREAT))
    _count(boundaries, fcntl, "flock", lambda *_args: True)


def _count(boundaries: Boundaries, module: Any, name: str, counts: Callable[..., bool]) -> None:
    real = getattr(module, name)

    @wraps(real)
    def counting(*args: Any, **kwargs: Any) -> Any:
        if not counts(*args, **kwargs):
            return real(*args, **kwargs)
        with boundaries.around(name):
            return real(*args, **kwargs)

    setattr(module, name, counting)
