"""A submit: jobs go in by chunks under a run in state *loading*, and become visible in one transaction at the end.

    with Loading(engine, locks, card, name="nightly", sources=["jobs.jsonl"]) as loading:
        loading.add(jobs)                        # any number of times; memory stays flat
        draft = loading.draft()                  # what would be added, for the estimate; or why nothing can be
        if not draft.problems and wanted(draft):
            added = loading.accept(now, digest)  # else all of it is cleared again

Under a known name jobs are compared with what the files said before (`queue.family`). What is there already is not
stored again; what changed is paired with the job that it would replace (`queue.merging`).
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from batchrun.core.claim import WorkerCard
from batchrun.core.job import Job, Millis, RunId, Where, WorkerId
from batchrun.core.states import RunState, State
from batchrun.errors import UsageError
from batchrun.queue import clearing, family, workers
from batchrun.queue.cancelling import finish_cancel
from batchrun.queue.family import Family, Known
from batchrun.queue.merging import Merge
from batchrun.queue.mistakes import Mistakes, twice
from batchrun.queue.pilots import Kinds
from batchrun.queue.presence import Presence
from batchrun.queue.staging import Staging, Written
from batchrun.queue.statement import Row, Statement, columns_of, param
from batchrun.queue.submit import Added, Changed, RunTerms, Totals, tally
from batchrun.queue.tables import jobs, runs
from batchrun.queue.transaction import Transaction
from batchrun.queue.writing import perform_on

CHUNK = 2_000
"""Jobs in one transaction, and in memory: some 20 ms in which nobody else can write. More would save no time."""

PAUSE = 0.002
"""Seconds between two chunks: a lock that is taken again at once is never free when somebody who waits looks."""

STAGED = "~"
"""How the names of runs begin that are being loaded."""

_ADD_RUN = Statement(
    columns_of(runs, "name", "stem", "state", "mode", "account_name", "source", "loader", "created").returning(
        runs.c.id
    )
)
_OURS = Statement(sa.select(runs.c.id).where(runs.c.id == param("it"), runs.c.name == param("called")))
_LOADED = Statement(sa.select(jobs.c.file, jobs.c.line).where(jobs.c.run == param("of"), jobs.c.key == param("its")))
_SEEN = Statement(sa.select(family.seen.c.file, family.seen.c.line).where(family.seen.c.first == param("it")))


@dataclass(slots=True)
class _Chunk:
    """What one chunk did, to be added up once it is committed."""

    loaded: Sequence[Job] = ()
    unchanged: int = 0
    known: set[RunId] = field(default_factory=set)
    rows: Written = field(default_factory=Written)
    kinds: Sequence[bytes] = ()


class Loading:
    """One submit. Leaving the `with` without `accept` clears what it loaded; a crash leaves that to the next submit.

    *sources* are the files as the user named them, to which files of data may be added while jobs come; *name* is the
    run's, unique within *account_name*. Raises UsageError for a name that cannot be one, StoreError if the database
    cannot be used.
    """

    def __init__(
        self,
        engine: sa.Engine,
        locks: Presence,
        card: WorkerCard,
        *,
        name: str,
        sources: Sequence[str],
        account_name: str = "",
        terms: RunTerms | None = None,
        again: bool = False,
        changed: Changed | None = None,
    ) -> None:
        if not name or name.startswith(STAGED):
            raise UsageError(
                f"a run cannot be called `{name}`", hint=f"--name gives it one that begins without `{STAGED}`"
            )
        self._locks = locks
        self._card = card
        self._sources = sources
        self._name = name
        self._account_name = account_name
        self._terms = terms or RunTerms()
        self._again = again
        self._changed = changed
        self._connection = engine.connect()
        self._perform = partial(perform_on, self._connection)
        self._mistakes = Mistakes()
        self._totals: dict[str, Totals] = {}
        self._realtime: dict[str, Totals] = {}
        self._kinds = Kinds()
        self._staging = Staging()
        self._seq = 0
        self._unchanged = 0
        self._known: set[RunId] = set()
        self._over = False
        self._family = Family(())
        self._worker: WorkerId
        self._run: RunId

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            opened.callback(self._connection.close)
            clearing.clear_dead(self._perform, self._locks, self._card, self._card.started)
            self._worker = self._perform(lambda tx: workers.enter(tx, workers.LOADER, self._card))
            self._locks.hold(self._worker)
            opened.callback(self._locks.drop, self._worker)
            self._perform(self._begin)
            opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not self._over:
                self.abandon()
        finally:
            self._connection.close()

    def _begin(self, tx: Transaction) -> None:
        workers.arrive(tx, self._worker)
        row = tx.row(
            _ADD_RUN,
            name=self._staged,
            stem=self._name,
            state=RunState.LOADING,
            mode="auto",
            account_name=self._account_name,
            source=json.dumps(self._sources, ensure_ascii=False),
            loader=self._worker,
            created=self._card.started,
        )
        assert row is not None
        self._run = RunId(row[0])
        if not self._again:
            self._family = Family.read(tx, self._account_name, self._name)
        family.prepare(tx.connection)
        self._family.look_up(tx)

    def only_look(self) -> None:
        """From now on jobs are only counted and compared: nothing of this submit will be accepted."""
        self._staging.bare = True

    def add(self, added: Iterable[Job]) -> None:
        """Load more jobs, in the order of the file."""
        rest = iter(added)
        while chunk := list(islice(rest, self._chunk)):
            if self._seq or self._unchanged:
                time.sleep(PAUSE)
            try:
                done = self._perform(partial(self._load, chunk))
            except self._connection.dialect.loaded_dbapi.IntegrityError:
                chunk = self._perform(partial(self._without_doubles, chunk))
                done = self._perform(partial(self._load, chunk))
            self._take_in(done)

    @property
    def _chunk(self) -> int:
        """Jobs in one transaction: fewer in a large family, for a key is looked up in each of its runs (1.5 µs)."""
        return max(1, CHUNK // (1 + len(self._family.members) // 16))

    @property
    def capped(self) -> bool:
        """Whether the run has a cost cap, or will have one: a job whose cost has no bound does not fit into it."""
        known = self._family.members[0].budget if self._family.members else None
        return self._terms.budget is not None or known is not None

    @property
    def _staged(self) -> str:
        return f"{STAGED}{self._worker}"

    def _check(self, tx: Transaction) -> None:
        """Raises UsageError if somebody took this loader for dead and cleared what it had loaded."""
        self._locks.renew(tx, self._worker)
        if tx.row(_OURS, it=self._run, called=self._staged) is None:
            raise UsageError(
                "this submit stood still, was taken for dead, and its jobs were cleared; nothing was added",
                hint="the same command again adds them",
            )

    def _load(self, chunk: Sequence[Job], tx: Transaction) -> _Chunk:
        self._check(tx)
        done = _Chunk(loaded=chunk)
        replaced: list[Known | None] = [None] * len(chunk)
        if self._family.members:
            done.loaded, replaced = self._compare(tx, chunk, done)
        done.rows = self._staging.write(tx, self._run, self._seq, done.loaded)
        first = done.rows.first
        family.note_pairs(tx, [(first + at, known.job) for at, known in enumerate(replaced) if known is not None])
        done.kinds = self._kinds.note(tx, first, done.loaded, all_of_them=bool(self._family.members))
        for model, n in Counter(job.model for job in done.loaded).items():
            tx.moved(self._run, model, None, State.QUEUED, n)
        return done

    def _compare(self, tx: Transaction, chunk: Sequence[Job], done: _Chunk) -> tuple[list[Job], list[Known | None]]:
        """Those of *chunk* that are not in the queue as they are, each with the job that it would replace."""
        loaded: list[Job] = []
        replaced: list[Known | None] = []
        seen = []
        for job in chunk:
            known = self._family.find(tx, job.key, job.digest)
            if known is not None:
                done.known.add(known.run)
                same = known.job if known.same else None
                seen.append((known.first, job.file, job.where.line, same, job.digest))
            if known is None or not known.same:
                loaded.append(job)
                replaced.append(known)
        family.note_seen(tx, seen)
        done.unchanged = len(chunk) - len(loaded)
        return loaded, replaced

    def _without_doubles(self, chunk: Sequence[Job], tx: Transaction) -> list[Job]:
        """*chunk* without the jobs whose id is taken by an earlier one of this submit; each of them is a mistake."""
        first: dict[str, Where] = {}
        singles = []
        for job in chunk:
            before = first.get(job.key) or self._said_before(tx, job.key)
            if before is None:
                first[job.key] = job.where
                singles.append(job)
            else:
                self._mistakes.add([twice(job.key, job.where, before)])
        return singles

    def places(self, keys: Sequence[str]) -> dict[str, tuple[int, int]]:
        """File and line where this submit named those of *keys* that were added, or are in the queue as they are."""
        found: dict[str, tuple[int, int]] = {}
        for at in range(0, len(keys), CHUNK):
            found |= self._perform(partial(self._places, keys[at : at + CHUNK]))
        return found

    def _places(self, keys: Sequence[str], tx: Transaction) -> dict[str, tuple[int, int]]:
        return {key: (row[0], row[1]) for key in keys if (row := self._place(tx, key)) is not None}

    def _said_before(self, tx: Transaction, key: str) -> Where | None:
        row = self._place(tx, key)
        return None if row is None else Where(self._sources[row[0]], row[1])

    def _place(self, tx: Transaction, key: str) -> Row | None:
        row = tx.row(_LOADED, of=self._run, its=key)
        if row is None:
            known = self._family.find(tx, key, b"")
            row = None if known is None else tx.row(_SEEN, it=known.first)
        return row

    def _take_in(self, done: _Chunk) -> None:
        self._seq += len(done.loaded)
        self._unchanged += done.unchanged
        self._known |= done.known
        self._staging.remember(done.rows)
        self._kinds.remember(done.kinds)
        for job in done.loaded:
            tally(self._totals, job)
            if job.realtime_only:
                tally(self._realtime, job)

    def draft(self) -> Added:
        """What `accept` would add now; or the problems that keep everything out."""

        def draft(tx: Transaction) -> Added:
            self._check(tx)
            return self._merge().draft(tx)

        return self._perform(draft)

    def amend(self, terms: RunTerms) -> None:
        """The files said more of their run than was known before they were read."""
        self._terms = terms

    def accept(self, now: Millis, digest: bytes | None = None) -> Added:
        """Make it visible, all at once: from now on it is sent. *digest* is of all inputs, for `family.unchanged`.

        While there are problems nothing is added. Raises UsageError if another submit changed the same run meanwhile,
        or took this one for dead.
        """
        assert not self._staging.bare, "it was only to be looked at"

        def accept(tx: Transaction) -> Added:
            self._check(tx)
            return self._merge().accept(tx, now, digest)

        for run in self._perform(lambda tx: self._merge().reopened(tx)):
            finish_cancel(self._perform, run, now)
        added = self._perform(accept)
        if not added.problems:
            self._leave(now)
        return added

    def abandon(self) -> None:
        """Clear all of it; the queue is as it was."""
        clearing.clear(self._perform, self._worker)
        self._leave(self._card.started)

    def _leave(self, now: Millis) -> None:
        self._over = True
        self._perform(lambda tx: family.dismiss(tx.connection))
        self._perform(lambda tx: workers.leave(tx, self._worker, now))
        self._locks.drop(self._worker)

    def _merge(self) -> Merge:
        return Merge(
            run=self._run,
            name=self._name,
            account_name=self._account_name,
            sources=self._sources,
            terms=self._terms,
            again=self._again,
            changed=self._changed,
            family=self._family,
            known=frozenset(self._known),
            loaded=self._seq,
            unchanged=self._unchanged,
            totals=self._totals,
            realtime=self._realtime,
            kinds=self._kinds,
            mistakes=self._mistakes,
        )
