"""A loaded submit becomes visible: as a run of its own, or as new and replaced jobs of the runs its name stands for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from batchrun.core.job import Millis, RunId, Way
from batchrun.core.problem import Problem
from batchrun.core.states import RunState, State, sources_of
from batchrun.errors import UsageError
from batchrun.queue import clearing, replacing
from batchrun.queue.cancelling import reopen
from batchrun.queue.family import Family, note_pairs, pairs, seen
from batchrun.queue.mistakes import Mistakes
from batchrun.queue.pilots import Kinds, Loaded, Pilots, appoint, dismiss, weights
from batchrun.queue.statement import Statement, param
from batchrun.queue.submit import Added, Changed, RunTerms, Totals, plus
from batchrun.queue.tables import jobs, run_counts, runs
from batchrun.queue.transaction import Transaction

PAGE = 5_000

_DROP = Statement(jobs.delete().where(jobs.c.id == param("it")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """A submit that is loaded as *run*, and how it relates to the runs of its name."""

    run: RunId
    name: str
    account_name: str
    sources: Sequence[str]
    terms: RunTerms
    again: bool
    changed: Changed | None
    family: Family
    known: frozenset[RunId]  #: members that know any of its keys
    loaded: int  #: jobs that are new or changed
    unchanged: int
    totals: Mapping[str, Totals]
    realtime: Mapping[str, Totals]  #: of those that batches refuse
    kinds: Kinds
    mistakes: Mistakes

    def draft(self, tx: Transaction) -> Added:
        """What `accept` would do now."""
        paired = replacing.by_state(tx)
        replaced = sum(n for state, n in paired.items() if state in self._free)
        stuck = sum(paired.values()) - replaced
        kept = stuck if self.changed is Changed.KEEP else 0
        problems, more = self._problems(tx, stuck - kept)
        target = self._target
        totals, realtime = self.totals, self.realtime
        if stuck:
            totals = replacing.totals(tx, self.run, self._free, Way)
            realtime = replacing.totals(tx, self.run, self._free, [Way.REALTIME])
        appointed = self._pilots(tx)
        for pilots in appointed:
            realtime = plus(realtime, weights(tx, pilots))
        return Added(
            run=self.run if target is None else target,
            name=self._free_name(tx) if target is None else self.family.name_of(target),
            fresh=target is None,
            new=self.loaded - sum(paired.values()),
            unchanged=self.unchanged,
            replaced=replaced,
            kept=kept,
            problems=problems,
            problems_more=more,
            totals=totals,
            realtime=realtime,
            pilots=sum(len(pilots.jobs) for pilots in appointed),
        )

    def _pilots(self, tx: Transaction) -> Sequence[Pilots]:
        """The jobs that go first, for each run that would get jobs."""
        target = self.run if self._target is None else self._target
        loaded = Loaded(run=self.run, target=target, free=self._free, kinds=self.kinds)
        terms = self.terms
        return [
            loaded.pilots(tx, into, terms.pilot, terms.first)
            if into == target
            else loaded.pilots(tx, into, policy=None, first=None)
            for into in sorted({target, *replacing.touched(tx)})
        ]

    @property
    def _target(self) -> RunId | None:
        """The run that new jobs join: the newest that knows any key. None makes a run of their own."""
        return max(self.known, default=None)

    @property
    def _free(self) -> frozenset[State]:
        """In which states an existing job can be replaced."""
        if self.changed is Changed.AGAIN:
            return sources_of("replace") | sources_of("redo")
        return sources_of("replace")

    def _problems(self, tx: Transaction, stuck: int) -> tuple[tuple[Problem, ...], int]:
        """All mistakes, and those of *stuck* jobs that changed too late."""
        mistakes = Mistakes()
        mistakes.add(self.mistakes.problems)
        mistakes.more = self.mistakes.more
        if stuck:
            found = replacing.stuck(tx, self._free, self.sources)
            mistakes.add(found)
            mistakes.more += stuck - len(found)
        return tuple(mistakes.problems), mistakes.more

    def reopened(self, tx: Transaction) -> set[RunId]:
        """The known runs that `accept` would give work."""
        return replacing.touched(tx) | ({self._target} if self._target is not None else set())

    def _free_name(self, tx: Transaction) -> str:
        """The name itself, or the first of name-2, name-3 … that no run has."""
        select = sa.select(runs.c.name).where(
            runs.c.account_name == self.account_name, runs.c.name.startswith(self.name, autoescape=True)
        )
        taken = set(tx.connection.scalars(select))
        if self.name not in taken:
            return self.name
        n = 2
        while f"{self.name}-{n}" in taken:
            n += 1
        return f"{self.name}-{n}"

    def accept(self, tx: Transaction, now: Millis, digest: bytes | None) -> Added:
        """Do it; nothing while there are problems."""
        merge = self._looked_again(tx)
        added = merge.draft(tx)
        if not added.problems:
            merge.apply(tx, added, now, digest)
        return added

    def _looked_again(self, tx: Transaction) -> Merge:
        """The same merge in the light of what other submits made of the family meanwhile."""
        family = Family(()) if self.again else Family.read(tx, self.account_name, self.name)
        if family == self.family:
            return self
        disagree = (
            sa.select(sa.func.count())
            .select_from(seen.join(jobs, jobs.c.id == seen.c.same))
            .where(jobs.c.digest != seen.c.digest)
        )
        if tx.connection.scalar(disagree):
            raise UsageError(
                f"another submit changed jobs of `{self.name}` at the same time; nothing was added",
                hint="the same command again compares with what is there now",
            )
        tx.connection.execute(pairs.delete())
        family.look_up(tx)
        known, same, after = set(self.known), 0, -1
        while page := self._page(tx, after):
            after = page[-1].seq
            same += self._sort(tx, page, family, known)
        merge = replace(
            self,
            family=family,
            known=frozenset(known),
            loaded=self.loaded - same,
            unchanged=self.unchanged + same,
        )
        return replace(
            merge,
            totals=replacing.totals(tx, self.run, State, Way),
            realtime=replacing.totals(tx, self.run, State, [Way.REALTIME]),
        )

    def _page(self, tx: Transaction, after: int) -> Sequence[sa.Row[*tuple[Any, ...]]]:
        select = (
            sa.select(jobs.c.id, jobs.c.seq, jobs.c.model, jobs.c.key, jobs.c.digest)
            .where(jobs.c.run == self.run, jobs.c.seq > after)
            .order_by(jobs.c.seq)
            .limit(PAGE)
        )
        return tx.connection.execute(select).all()

    def _sort(
        self, tx: Transaction, page: Sequence[sa.Row[*tuple[Any, ...]]], family: Family, known: set[RunId]
    ) -> int:
        """Pair loaded jobs with those of *family*, and drop those that it has as they are; returns how many."""
        same, paired = [], []
        for job in page:
            found = family.find(tx, job.key, job.digest)
            if found is None:
                continue
            known.add(found.run)
            if found.same:
                same.append((job.id,))
                tx.moved(self.run, job.model, State.QUEUED, None)
            else:
                paired.append((job.id, found.job))
        note_pairs(tx, paired)
        tx.run_many(_DROP, ("it",), same)
        return len(same)

    def apply(self, tx: Transaction, added: Added, now: Millis, digest: bytes | None) -> None:
        """What *added*, this merge's own draft without problems, says."""
        said = {"source_digest": digest, **self.terms.columns()}
        target = self._target
        for pilots in self._pilots(tx):
            appoint(tx, pilots)
        if target is None:
            source = json.dumps(list(self.sources), ensure_ascii=False)
            opened = {
                "name": added.name,
                "state": RunState.OPEN.value,
                "loader": None,
                "created": now,
                "source": source,
            }
            tx.connection.execute(runs.update().where(runs.c.id == self.run).values(**opened, **said))
            return
        replacing.drop_stuck(tx, self.run, self._free)
        places = {run: self._places_in(tx, run) for run in replacing.touched(tx)}
        for run in {*places, *([target] if added.new else [])}:
            reopen(tx, run, now)
        replacing.replace(tx, self.run, self._free, places)
        if added.new:
            self._join(tx, target, places.get(target) or self._places_in(tx, target))
        if self.terms.pilot == 0:
            dismiss(tx, target)
        tx.connection.execute(runs.update().where(runs.c.id == target).values(**said))
        clearing.forget(tx, self.run)

    def _places_in(self, tx: Transaction, run: RunId) -> replacing.Places:
        """Where this submit's files stand among the sources of *run*, to which they are added."""
        known = json.loads(tx.connection.scalar(sa.select(runs.c.source).where(runs.c.id == run)) or "[]")
        merged = known + [source for source in self.sources if source not in known]
        if merged != known:
            text = json.dumps(merged, ensure_ascii=False)
            tx.connection.execute(runs.update().where(runs.c.id == run).values(source=text))
        return {at: merged.index(source) for at, source in enumerate(self.sources)}

    def _join(self, tx: Transaction, target: RunId, places: replacing.Places) -> None:
        """The new jobs come after those that *target* has."""
        tx.flush()
        last = tx.connection.scalar(sa.select(sa.func.max(jobs.c.seq)).where(jobs.c.run == target))
        moved = {
            "run": target,
            "seq": jobs.c.seq + (0 if last is None else last + 1),
            "file": replacing.placed(jobs.c.file, places),
        }
        tx.connection.execute(jobs.update().where(jobs.c.run == self.run).values(**moved))
        counts = sa.select(run_counts.c.model, run_counts.c.n).where(run_counts.c.run == self.run, run_counts.c.n > 0)
        for model, n in tx.connection.execute(counts).all():
            tx.moved(self.run, model, State.QUEUED, None, n)
            tx.moved(target, model, None, State.QUEUED, n)
