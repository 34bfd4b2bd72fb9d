"""Submitting job files: read, check, load, estimate; then accept or leave the queue as it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Self

from batchrun import wiring
from batchrun.clock import SystemClock
from batchrun.core.choice import Mode
from batchrun.core.job import Job
from batchrun.jobfile.compressed import bare
from batchrun.jobfile.fileterms import FileTerms
from batchrun.jobfile.problems import Problems, changed_while_read
from batchrun.jobfile.reading import digest_of
from batchrun.library.inputs import STDIN, Inputs
from batchrun.library.jobfiles import Collecting, Seen, rules_of
from batchrun.library.outlook import Outlook, Whereto, outlook
from batchrun.queue.connect import close_queue, open_queue, presence_of, scratch_queue
from batchrun.queue.family import unchanged
from batchrun.queue.loading import Loading
from batchrun.queue.mistakes import unbounded
from batchrun.queue.reading import Reading
from batchrun.queue.submit import Added, Changed, RunTerms, Same
from batchrun.queue.writing import perform_now
from batchrun.settings import Settings
from batchrun.settings.database import exists
from batchrun.settings.tables import Tables

AHEAD = 1_000
"""Jobs that are read before the queue is opened: a small file with a mistake leaves no database behind."""


SAMPLE = AHEAD
"""Jobs that can be kept as a sample at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be submitted, and how. *name* is the run's; None takes the first file's stem."""

    inputs: Inputs
    name: str | None = None
    terms: RunTerms | None = None
    again: bool = False
    changed: Changed | None = None


def run_name(files: Sequence[str]) -> str:
    """The name of a run that nobody named: its first file's, without the ending."""
    return "stdin" if files[0] == STDIN else Path(bare(files[0])).stem


class Submission:
    """One submit, as a context: leaving it without `accept` leaves the queue as it was.

    On entering all files are read. Then there is either `same`, the run that the very same files made before; or
    `problems` with errors, and nothing can be accepted; or `draft`, what `accept` would add, with its `outlook`.
    *dry* says that nothing will be accepted: then no queue is made, and neither is it for files that begin with an
    error. *sample* is how many of the first jobs are kept to be looked at.

    Raises UsageError, SchemaError or StoreError for a queue that cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        wanted: Wanted,
        *,
        everything: bool = False,
        dry: bool = False,
        sample: int = 0,
        seen: Seen | None = None,
    ) -> None:
        self._settings = settings
        self._wanted = wanted
        self._everything = everything
        self._dry = dry
        self._room = sample
        self._seen = seen
        self.files = wanted.inputs.files
        self._loading: Loading | None = None
        self._open = ExitStack()  # the queue and the loading in it
        self._digest: bytes | None = None
        self.name = run_name(wanted.inputs.files) if wanted.name is None else wanted.name
        self.new_database = False  #: there was none before
        self.same: Same | None = None
        self.jobs = 0  #: in the files, without an error
        self.shapes: Sequence[str] = ()
        self.problems = Problems()
        self.draft: Added | None = None
        self.outlook: Outlook | None = None
        self.sample: list[Job] = []

    def __enter__(self) -> Self:
        before = self._known_digest()
        self.same = None if before is None else self._same_as(before)
        if self.same is None:
            with self._open as opened:
                self._read(before)
                self._open = opened.pop_all()  # closed when the submission is left
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._open.__exit__(kind, error, at)

    def accept(self) -> Added:
        """Make it visible, all at once. Raises UsageError if another submit changed the same run meanwhile."""
        assert self._loading is not None, "there is nothing to accept"
        return self._loading.accept(SystemClock().wall(), self._digest)

    # -- the very same files -----------------------------------------------------------------------------------------

    def _known_digest(self) -> bytes | None:
        """Of the inputs, if it can be told and may settle the matter: terms have to be looked at anew."""
        wanted = self._wanted
        terms = wanted.terms is not None and wanted.terms.columns()
        if wanted.again or terms or wanted.changed is not None or not exists(self._settings.db):
            return None
        return digest_of(wanted.inputs.sources, wanted.inputs.given)

    def _same_as(self, digest: bytes) -> Same | None:
        engine = open_queue(self._settings.db, simulated=self._settings.simulate)
        try:
            return perform_now(engine, lambda tx: unchanged(tx, self._settings.account, self.name, digest))
        finally:
            close_queue(engine)

    # -- reading -----------------------------------------------------------------------------------------------------

    def _read(self, before: bytes | None) -> None:
        tables = self._settings.tables()
        rules = rules_of(self._settings, tables)
        collecting = Collecting(self._wanted.inputs, rules, everything=self._everything, seen=self._seen)
        self.problems = collecting.problems
        self._collect(collecting)
        self.jobs = collecting.jobs
        self.shapes = collecting.reading.shapes
        self._digest = collecting.reading.digest
        if before is not None and before != self._digest:
            self.problems.add(changed_while_read())
        self._amend(collecting.reading.terms)
        draft = self._compared(collecting)
        if not self.problems.errors:
            self.draft = draft
            self.outlook = self._outlook(tables, draft)

    def _collect(self, collecting: Collecting) -> None:
        """Read to the end, and load what is read, for mistakes that only the queue can see come to light by that."""
        jobs = iter(collecting)
        ahead = list(islice(jobs, AHEAD))
        self.sample = ahead[: self._room]
        if not ahead:
            return  # that was all
        hopeless = self._dry or collecting.problems.errors > 0
        self._loading = loading = self._opened(
            collecting.reading.files, scratch=hopeless and not exists(self._settings.db)
        )
        if self._dry:
            loading.only_look()
        loading.add(_watched(chain(ahead, jobs), collecting.problems, loading))

    def _amend(self, said: FileTerms | None) -> None:
        """Files in YAML say which betas and headers their run has, also that it has none."""
        if said is not None and self._loading is not None:
            terms = self._wanted.terms or RunTerms()
            self._loading.amend(replace(terms, betas=said.betas, headers=said.headers))

    def _compared(self, collecting: Collecting) -> Added | None:
        """What would be added, with what is wrong with that; None where no job could be read."""
        unfit = collecting.reading.unfit
        if self._loading is None:
            collecting.add_doubles({})
            return None
        draft = self._loading.draft()
        for problem in draft.problems:
            self.problems.add(problem)
        self.problems.add_unlisted(draft.problems_more)
        collecting.add_doubles(self._loading.places([job.key for job in unfit]))
        return draft

    def _outlook(self, tables: Tables, draft: Added | None) -> Outlook:
        """Of *draft*, on the terms of its run where this submit says nothing of them."""
        settings, terms = self._settings, self._wanted.terms or RunTerms()
        whereto = Whereto(
            mode=Mode(terms.mode or settings.mode), deadline=terms.deadline, hours=terms.hours or settings.hours
        )
        if draft is not None and not draft.fresh:
            with Reading.open(settings.db) as reading:
                run = reading.run(f"r-{draft.run}")
            whereto = Whereto(
                mode=Mode(terms.mode or run.mode),
                deadline=terms.deadline or run.deadline,
                hours=terms.hours or run.hours,
                jobs=run.total - draft.replaced,
                left=max(0, run.left - draft.replaced),
            )
        return outlook(
            settings,
            tables,
            {} if draft is None else draft.totals,
            {} if draft is None else draft.realtime,
            whereto,
            pilots=0 if draft is None else draft.pilots,
            now=SystemClock().wall(),
        )

    def _opened(self, files: Sequence[str], *, scratch: bool) -> Loading:
        settings, wanted = self._settings, self._wanted
        if scratch:
            engine = self._open.enter_context(scratch_queue(simulated=settings.simulate))
        else:
            self.new_database = not exists(settings.db)
            engine = open_queue(settings.db, simulated=settings.simulate)
            self._open.callback(close_queue, engine)
        loading = Loading(
            engine,
            presence_of(engine),
            wiring.card(),
            name=self.name,
            sources=files,
            account_name=settings.account,
            terms=wanted.terms,
            again=wanted.again,
            changed=wanted.changed,
        )
        return self._open.enter_context(loading)


def _watched(jobs: Iterator[Job], problems: Problems, loading: Loading) -> Iterator[Job]:
    """*jobs* as they are; from the first error on they are only looked at, for there will be nothing to accept."""
    capped = loading.capped
    for job in jobs:
        if capped and job.worst is None:
            problems.add(unbounded(job))
        if problems.errors:
            loading.only_look()
        yield job
