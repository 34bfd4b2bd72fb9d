"""`batchrun` as a Python program has it: a queue that is opened, runs in it, and their ends waited for.

A pass of the scheduler runs in a thread of its own with its own event loop, so that all of this works inside a running
loop too, such as a notebook's. Objects hold no connection: they may be used from any thread.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Literal

from batchrun.core.events import Event
from batchrun.core.job import Nanos
from batchrun.core.retry import OnRefused, OnTruncated
from batchrun.core.select import Selection, parse
from batchrun.core.states import RunState, State
from batchrun.errors import BatchrunError, Exit, WorkerBusy
from batchrun.library import wishes
from batchrun.library.given import GIVEN, InvalidJobs, Job, Lines
from batchrun.library.inputs import Inputs
from batchrun.library.rows import Errors, Results, failed
from batchrun.library.submission import Submission, Wanted
from batchrun.queue.connect import close_queue, open_queue
from batchrun.queue.failures import groups
from batchrun.queue.reading import Reading
from batchrun.queue.rows import RunSummary
from batchrun.queue.submit import Changed, RunTerms
from batchrun.settings import Settings, load

Mode = Literal["auto", "batch", "realtime"]
TICK = 0.2
"""Seconds between two looks at whether a pass is over."""
LOOK = 2.0
"""Seconds between two looks at a queue that another worker drains."""


class Stopped(BatchrunError):
    """A pass ended before its work was done: no key, no money, no way to the API. `exit` is the command line's code."""

    def __init__(self, code: Exit, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.exit = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How far a run is. `counts` has the states that any job is in; money is in US dollars."""

    name: str
    ref: str
    state: str
    mode: str
    total: int
    counts: Mapping[str, int]
    succeeded: int
    failed: int
    left: int  #: not in a final state
    spent: Decimal
    possibly_billed: int

    @property
    def done(self) -> bool:
        return not self.left and self.state != RunState.LOADING


Progress = bool | Callable[[Status], None]


class Run:
    """One run of a queue."""

    def __init__(self, queue: Queue, ref: str, name: str) -> None:
        self._queue = queue
        self.ref = ref
        self.name = name

    def __repr__(self) -> str:
        status = self.status()
        return (
            f"<Run {self.name} ({self.ref}): {status.succeeded:,} of {status.total:,} succeeded, {status.left:,} left>"
        )

    def status(self) -> Status:
        with self._queue.reading() as reading:
            return _status(reading.run(self.ref))

    def work(
        self, *, max_cost: float | None = None, timeout: float | None = None, progress: Progress = False
    ) -> Status:
        """Do what is due of this run here and now, as `batchrun run` does. Raises WorkerBusy, KeyRefused, Stopped."""
        self._queue.work(self, max_cost=max_cost, timeout=timeout, progress=progress)
        return self.status()

    def wait(self, *, progress: Progress = False, timeout: float | None = None) -> Status:
        """Work until every job of the run is over, or until another worker has brought it there.

        *progress* writes one line to stderr, or is called with the status. Raises TimeoutError after *timeout* seconds
        (nothing is lost), Stopped where the rest needs a person. Ctrl-C lets what is in flight come home first.
        """
        return self._wait(progress, timeout, threading.Event())

    async def done(self, *, progress: Progress = False, timeout: float | None = None) -> Status:  # noqa: ASYNC109  # as `wait` has it
        """`wait`, beside whatever else the running event loop does. Cancelling it stops the pass in order."""
        stop = threading.Event()
        try:
            return await asyncio.to_thread(self._wait, progress, timeout, stop)
        finally:
            stop.set()

    def results(
        self, *, select: str | None = None, fields: Iterable[str] | None = None, limit: int | None = None
    ) -> Results:
        """Its answers so far. *select* as `--select` has it, such as `stop:max_tokens`; *fields* are columns."""
        selection = _selection(select)
        return Results(self._queue.reading, self.ref, selection, None if fields is None else list(fields), limit)

    def errors(self, *, select: str | None = None) -> Errors:
        with self._queue.reading() as reading:
            run = reading.run(self.ref)
            return Errors([failed(group, run.name) for group in groups(reading, run.id, _selection(select))])

    def cancel(self, *, select: str | None = None) -> Status:
        """Nothing more of it is sent; answers that are in are kept."""
        settings = self._queue.settings
        wishes.cancel(settings, wishes.stoppable(settings, self.ref, _selection(select)))
        return self.status()

    def retry(
        self, *, select: str | None = None, refused: bool = False, changes: Mapping[str, Any] | None = None
    ) -> int:
        """Put failed jobs back; returns how many. *refused*: also those that would be refused again as they are.

        *changes* are parameters to set anew. They are sent by the next `work` or `wait`.
        """
        import json  # noqa: PLC0415  # only for this

        members = {name: json.dumps(value) for name, value in (changes or {}).items()}
        return wishes.retry(self._queue.settings, self.ref, _selection(select), refused=refused, members=members).queued

    def _wait(self, progress: Progress, timeout: float | None, stop: threading.Event) -> Status:
        begun = time.monotonic()
        while not (status := self.status()).done:
            left = None if timeout is None else timeout - (time.monotonic() - begun)
            if left is not None and left <= 0:
                raise TimeoutError(f"{status.left:,} jobs of run {self.name} are not over; nothing is lost")
            try:
                self._queue.work(self, timeout=left, progress=progress, stop=stop)
            except WorkerBusy:  # it brings this run on as well
                if stop.wait(LOOK if left is None else min(LOOK, left)):
                    return self.status()
                continue
            now = self.status()
            if stop.is_set():
                return now
            if now.counts.get(State.RUNNING):  # another worker has them
                stop.wait(LOOK if left is None else min(LOOK, left))
                continue
            if not now.done and (timeout is None or time.monotonic() - begun < timeout):
                raise Stopped(Exit.PENDING, f"what is left of run {self.name} needs a word from you", "see `status()`")
        return status


class Queue:
    """One queue: its runs, and whoever drains it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __repr__(self) -> str:
        return f"<Queue {self.settings.db}>"

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """For this package's own objects. Raises UsageError where there is no queue yet."""
        with Reading.open(Path(self.settings.db)) as reading:
            yield reading

    def submit(
        self,
        jobs: Iterable[Job | Mapping[str, Any]] | str | PathLike[str],
        *,
        name: str | None = None,
        mode: Mode | None = None,
        max_cost: float | None = None,
        tries: int | None = None,
        on_truncated: Literal["keep", "retry"] | None = None,
        on_refused: Literal["keep", "fail"] | None = None,
        changed: Literal["keep", "again"] | None = None,
        again: bool = False,
    ) -> Run:
        """Check and store jobs, all or none; a path is a job file. They are sent by `work` or `wait`.

        The rules are those of `batchrun submit`: under a known name what is there is left alone, what is new is added,
        what changed replaces what has no answer. Nobody is asked what it may cost: `max_cost` (dollars) bounds it.
        Raises InvalidJobs.
        """
        lines, files = None, [fspath(jobs)] if isinstance(jobs, str | PathLike) else [GIVEN]
        if not isinstance(jobs, str | PathLike):
            lines = Lines(jobs)
        terms = RunTerms(
            mode=mode,
            tries=tries,
            on_truncated=None if on_truncated is None else OnTruncated(on_truncated),
            on_refused=None if on_refused is None else OnRefused(on_refused),
            budget=None if max_cost is None else _nanos(max_cost),
        )
        wanted = Wanted(
            inputs=Inputs(files=files, stream=lines),
            name=name,
            terms=terms,
            again=again,
            changed=None if changed is None else Changed(changed),
        )
        with Submission(self.settings, wanted) as submission:
            if submission.same is not None:
                run, name = submission.same.run, submission.same.name
                return Run(self, f"r-{run}", name)
            found = [problem for group in submission.problems.groups for problem in group.kept]
            errors = submission.problems.errors
            if errors or (lines is not None and lines.unfit):
                listed = lines.problems(found) if lines is not None else found
                raise InvalidJobs(listed, len(listed) if lines is not None and lines.unfit else errors)
            added = submission.accept()
        return Run(self, f"r-{added.run}", added.name)

    def runs(self) -> list[Run]:
        """All runs, the newest first; none where nothing was submitted yet."""
        if not Path(self.settings.db).exists():
            return []
        with self.reading() as reading:
            return [Run(self, run.ref, run.name) for run in reading.overview(every=True).runs]

    def get(self, run: str = "last") -> Run:
        """A run by its name, its id (`r-12`), or `last`. Raises UsageError."""
        with self.reading() as reading:
            found = reading.run(run)
        return Run(self, found.ref, found.name)

    def results(
        self,
        run: str = "last",
        *,
        select: str | None = None,
        fields: Iterable[str] | None = None,
        limit: int | None = None,
    ) -> Results:
        return self.get(run).results(select=select, fields=fields, limit=limit)

    def errors(self, run: str = "last", *, select: str | None = None) -> Errors:
        return self.get(run).errors(select=select)

    def run(
        self, *, max_cost: float | None = None, timeout: float | None = None, progress: Progress = False
    ) -> list[Status]:
        """Do whatever is due in the whole queue, as `batchrun run` does. Raises WorkerBusy, KeyRefused, Stopped."""
        self.work(None, max_cost=max_cost, timeout=timeout, progress=progress)
        return [run.status() for run in self.runs()]

    def work(
        self,
        run: Run | None,
        *,
        max_cost: float | None = None,
        timeout: float | None = None,
        progress: Progress = False,
        stop: threading.Event | None = None,
    ) -> None:
        """One pass, of one run or of all, in a thread of its own; *stop* ends it in order."""
        from batchrun.core.job import RunId  # noqa: PLC0415  # with what is heavy
        from batchrun.wiring import Wish, run_pass  # noqa: PLC0415

        stop = stop or threading.Event()
        wish = Wish(
            only=None if run is None else RunId(int(run.ref.removeprefix("r-"))),
            max_cost=None if max_cost is None else _nanos(max_cost),
            patient=True,
            seconds=timeout,
            until=stop.is_set,
        )
        box: list[Any] = []

        def go() -> None:
            try:
                box.append(run_pass(self.settings, wish, _Silent()))
            except BaseException as error:  # noqa: BLE001  # raised again in the caller's thread
                box.append(error)

        thread = threading.Thread(target=go, name="batchrun")
        thread.start()
        try:
            self._watch(thread, run, progress)
        except BaseException:
            stop.set()
            thread.join()
            raise
        ended = box[0]
        if isinstance(ended, BaseException):
            raise ended
        if ended.exit not in {Exit.OK, Exit.PENDING, Exit.FAILED_JOBS} or (
            ended.exit is Exit.FAILED_JOBS and ended.message
        ):
            raise Stopped(ended.exit, ended.message, ended.hint)

    def _watch(self, thread: threading.Thread, run: Run | None, progress: Progress) -> None:
        told: Status | None = None
        while thread.is_alive():
            thread.join(TICK)
            if progress is not False and run is not None and (now := run.status()) != told:
                told = now
                _tell(now, progress, last=False)
        if progress is not False and run is not None:
            _tell(run.status(), progress, last=True)


class _Silent:
    """Hears what happens, and says nothing: the queue itself is asked."""

    def emit(self, event: Event) -> None:
        pass


def _tell(status: Status, progress: Progress, *, last: bool) -> None:
    if callable(progress):
        progress(status)
        return
    facts = f"{status.name}  {status.succeeded + status.failed:,}/{status.total:,}"
    failures = f"  {status.failed:,} failed" if status.failed else ""
    sys.stderr.write(f"\r{facts}{failures}  ${status.spent:.2f}{chr(10) if last else ''}")
    sys.stderr.flush()


def _status(run: RunSummary) -> Status:
    return Status(
        name=run.name,
        ref=run.ref,
        state=run.state.value,
        mode=run.mode,
        total=run.total,
        counts={state.value: run.n(state) for state in State if run.n(state)},
        succeeded=run.n(State.SUCCEEDED),
        failed=run.n(State.FAILED),
        left=run.left,
        spent=Decimal(run.spent).scaleb(-9),
        possibly_billed=run.possibly,
    )


def _selection(text: str | None) -> Selection | None:
    return None if text is None else parse(text)


def _nanos(amount: float) -> Nanos:
    return Nanos(int(Decimal(str(amount)).scaleb(9)))


def open(  # noqa: A001  # read as `batchrun.open`
    db: str | PathLike[str] | None = None,
    *,
    simulate: bool = False,
    config_file: str | PathLike[str] | None = None,
    **settings: Any,
) -> Queue:
    """The queue that a command would find in this folder, or that of *db*; made by the first submit.

    *simulate* takes the simulated API and its own database: no key, no cost. *settings* are those of `batchrun config`,
    such as `tier="build"`. Raises UsageError.
    """
    given = {name: None if value is None else str(value) for name, value in settings.items()}
    made = load(
        {"db": None if db is None else fspath(db), **given},
        config_file=None if config_file is None else fspath(config_file),
        simulate=simulate,
    )
    if Path(made.db).exists():
        close_queue(open_queue(made.db, simulated=True if simulate else None, create=False))  # upgrades an older one
    return Queue(made)
