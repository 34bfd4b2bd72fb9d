"""Who listens to a pass on behalf of a person, a log or a program: bar, plain lines, JSON lines, or nothing.

A sink returns at once and never raises: a stopped terminal or a full disk must not touch the work. So the pass only
counts and puts aside; one thread writes.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from batchrun.cli.output import amount
from batchrun.cli.screen import Screen, clean
from batchrun.cli.tally import Out, Progress, Tally
from batchrun.cli.telling import loudness, record, sentence
from batchrun.core.events import Event, JobFailed, PassEnded, PassStarted
from batchrun.core.figures import dollars, moment
from batchrun.core.job import BatchId, Millis, RunId
from batchrun.errors import UsageError

LOOK = 0.2
PLAIN_EVERY = 60.0
JSON_EVERY = 5.0
"""Seconds: between two looks at what was put aside, and between two lines about the numbers."""


class Listener(Protocol):
    """One rendering. `look` reads the tally and must be quick; `emit`, `tick` and `close` may write and block."""

    @property
    def loudness(self) -> int:
        """Up to which loudness events are wanted."""
        ...

    def look(self) -> None: ...

    def emit(self, event: Event) -> None: ...

    def tick(self) -> None: ...

    def close(self) -> None: ...


class Plain:
    """For logs, CI and cron: one line a minute for each run, and one for each thing that changes the course."""

    def __init__(self, screen: Screen, tally: Tally, verbose: int, now: Callable[[], Millis]) -> None:
        self.loudness = verbose
        self._screen, self._tally, self._now = screen, tally, now
        self._told: dict[RunId, str] = {}
        self._lines: list[str] = []

    def look(self) -> None:
        self._lines = []
        for run in self._tally.runs.values():
            out = run.sent + self._tally.in_batches(run.id)
            counts = f"done={run.succeeded} sent={out} waiting={run.waiting} failed={run.failed}"
            text = f"run={clean(run.name)} {counts} cost={costs(run)}"
            if self._told.get(run.id) != text:
                self._told[run.id] = text
                self._lines.append(text)

    def emit(self, event: Event) -> None:
        self._write(event.at, clean(sentence(event)))

    def tick(self) -> None:
        for line in self._lines:
            self._write(self._now(), line)

    def close(self) -> None:
        pass  # the summary follows

    def _write(self, at: Millis, text: str) -> None:
        self._screen.err.write(f"{moment(at)} {text}\n")
        self._screen.err.flush()


class JsonLines:
    """For programs: the same as one JSON object a line, and each failed job."""

    def __init__(self, screen: Screen, tally: Tally, verbose: int, now: Callable[[], Millis]) -> None:
        self.loudness = max(verbose, 1)
        self._screen, self._tally, self._now = screen, tally, now
        self._told: dict[RunId, dict[str, Any]] = {}
        self._records: list[dict[str, Any]] = []

    def look(self) -> None:
        self._records = []
        for run in self._tally.runs.values():
            told = progress_record(run, self._tally.in_batches(run.id))
            if self._told.get(run.id) != told:
                self._told[run.id] = told
                self._records.append(told)

    def emit(self, event: Event) -> None:
        if not isinstance(event, PassStarted | PassEnded):  # `launch` and `done` say these
            self._write(record(event))

    def tick(self) -> None:
        for told in self._records:
            self._write({"event": "progress", "at": moment(self._now()), **told})

    def close(self) -> None:
        self.look()
        self.tick()

    def _write(self, told: dict[str, Any]) -> None:
        self._screen.err.write(json.dumps(told) + "\n")
        self._screen.err.flush()


class LogFile:
    """`--log-file`: JSON lines with every event that is not a single attempt; with -v those too.

    Opened anew when somebody moved it away, as log rotation does.
    """

    def __init__(self, path: Path, verbose: int) -> None:
        self.loudness = verbose + 1
        self._path = path
        self._file = path.open("a", encoding="utf-8")

    def look(self) -> None:
        pass

    def emit(self, event: Event) -> None:
        level = "error" if isinstance(event, JobFailed) else "warning" if loudness(event) == 0 else "info"
        told = record(event)
        if self._moved():
            self._file.close()
            self._file = self._path.open("a", encoding="utf-8")
        self._file.write(json.dumps({"ts": told.pop("at"), "level": level, **told}) + "\n")
        self._file.flush()

    def tick(self) -> None:
        pass

    def close(self) -> None:
        self._file.close()

    def _moved(self) -> bool:
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            return True


Ask = Callable[[RunId], Progress | None]
"""How far a run was when it first came up in this pass; None if that cannot be said just now."""


class Watch:
    """The sink that a pass gets. As a context it owns the thread that writes, and that asks about unknown runs."""

    def __init__(self, tally: Tally, listeners: Sequence[Listener], every: float, ask: Ask = lambda _: None) -> None:
        self.tally = tally
        self._ask = ask
        self._listeners = list(listeners)
        self._every = every
        self._loudest = max((listener.loudness for listener in listeners), default=-1)
        self._lock = threading.Lock()  # over the tally
        self._aside: deque[Event] = deque()
        self._over = threading.Event()
        self._writer = threading.Thread(target=self._write_on, name="progress", daemon=True)

    def emit(self, event: Event) -> None:
        with self._lock:
            self.tally.hear(event)
        if loudness(event) <= self._loudest:
            self._aside.append(event)

    def __enter__(self) -> Self:
        self._writer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._writer.join()

    def _write_on(self) -> None:
        ticked = float("-inf")  # the first line comes at once
        while not self._over.wait(min(LOOK, self._every)):
            self._pass_on()
            if time.monotonic() - ticked >= self._every:
                ticked = time.monotonic()
                self._tick()
        self._pass_on()
        self._meet()
        for listener in list(self._listeners):
            self._guarded(listener, listener.close)

    def _pass_on(self) -> None:
        while self._aside:
            event = self._aside.popleft()
            loud = loudness(event)
            for listener in list(self._listeners):
                if loud <= listener.loudness:
                    self._guarded(listener, partial(listener.emit, event))

    def _meet(self) -> None:
        """Ask who the strangers are: outside the lock, for it may take a moment."""
        with self._lock:
            strangers = self.tally.strangers()
        met = [known for run in strangers if (known := self._ask(run)) is not None]
        with self._lock:
            for known in met:
                self.tally.meet(known)

    def _tick(self) -> None:
        self._meet()
        with self._lock:
            for listener in self._listeners:
                listener.look()
        for listener in list(self._listeners):
            self._guarded(listener, listener.tick)

    def _guarded(self, listener: Listener, do: Callable[[], None]) -> None:
        try:
            do()
        except (OSError, ValueError):  # its stream is closed or full: the work goes on without it
            self._listeners.remove(listener)


def costs(run: Progress) -> str:
    return f"{dollars(run.cost)}{'+unknown' if run.partly_unknown else ''}"


def progress_record(run: Progress, in_batches: int = 0) -> dict[str, Any]:
    return {
        "run": f"r-{run.id}",
        "name": run.name,
        "total": run.total,
        "succeeded": run.succeeded,
        "failed": run.failed,
        "cancelled": run.cancelled,
        "sent": run.sent + in_batches,
        "waiting": run.waiting,
        "cost": amount(run.cost),
        "cost_complete": not run.partly_unknown,
    }


def wall() -> Millis:
    return Millis(time.time_ns() // 1_000_000)


def style_of(asked: str, screen: Screen) -> str:
    """The rendering to use: the one asked for, else none when quiet, a bar for a person, plain lines for a log."""
    if asked != "auto":
        return asked
    if screen.quiet:
        return "none"
    return "bar" if screen.interactive else "plain"


def watch(
    screen: Screen,
    runs: Iterable[Progress] = (),
    *,
    batches: Mapping[BatchId, Out] | None = None,
    style: str = "auto",
    verbose: int = 0,
    log_file: str | None = None,
    ask: Ask = lambda _: None,
) -> Watch:
    """The sink for one pass; *runs* is how far they are at its start, and *ask* is asked about those that join it.

    Raises UsageError for a log file of no use.
    """
    tally = Tally(clock=time.monotonic)
    tally.know(runs)
    tally.batches.update(batches or {})
    listeners: list[Listener] = []
    every = PLAIN_EVERY
    match style_of(style, screen):
        case "bar":
            from batchrun.cli.bar import Bar

            listeners.append(Bar(screen, tally, verbose))
            every = LOOK
        case "plain":
            listeners.append(Plain(screen, tally, verbose, wall))
        case "json":
            listeners.append(JsonLines(screen, tally, verbose, wall))
            every = JSON_EVERY
    if log_file is not None:
        listeners.append(_log(log_file, verbose))
    return Watch(tally, listeners, every, ask)


def _log(path: str, verbose: int) -> LogFile:
    try:
        return LogFile(Path(path), verbose)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise UsageError(f"cannot write the log file `{path}`: {reason}", hint="--log-file names it") from error
