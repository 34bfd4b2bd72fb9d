"""The queue against a model of it in a dictionary: any history of commands, answers and crashes leaves both alike."""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from batchrun.core.claim import Claim, Kept, OnCrash
from batchrun.core.job import Millis, RunId, WorkerId
from batchrun.core.outcome import Outcome
from batchrun.core.retry import Decision, Extend, Fail, GoOn, Release, Wait
from batchrun.core.select import Field
from batchrun.core.states import FINAL, OUT, State, sources_of
from batchrun.queue import cancelling, retrying
from batchrun.queue import tables as t
from batchrun.queue.connect import close_queue, open_queue
from batchrun.queue.living import Living
from batchrun.queue.store import QueueStore
from batchrun.queue.submit import Changed, RunTerms
from batchrun.queue.writing import Inline
from tests.examples import examples
from tests.queue.desk import MODEL, NOW, Desk, dropped, ending, good, job, refused

BOUND = 3
KEYS = st.sampled_from([f"k{n}" for n in range(3)])
TEXTS = st.sampled_from(["one", "two"])


HOW = st.sampled_from(["good", "good", "refused", "dropped", "limited", "given back", "cut", "paused", "declined"])
SEQUELS: dict[str, Decision] = {"cut": Extend(20), "paused": GoOn(), "declined": Fail("the model refused to answer")}


@functools.cache
def template() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "batchrun.db"
        close_queue(open_queue(path))
        return path.read_bytes()


def body_of(claim: Claim) -> str:
    return f'{{"content":[{{"type":"text","text":"{claim.key}/{claim.attempt}"}}]}}'


@dataclass
class Model:
    """What a job must be."""

    text: str
    state: State = State.QUEUED
    attempt: int = 0
    asked: int = 1  #: its first attempt at this text
    tries: int = 0
    owner: WorkerId | None = None
    wished: bool = False  #: somebody wants it cancelled
    due: int | None = None
    answers: dict[int, bool] = field(default_factory=dict)  #: attempt to whether its answer wins
    ended: dict[int, str] = field(default_factory=dict)  #: attempt to how it ended
    kept: int | None = None  #: the attempt whose answer it gets if no better one comes

    @property
    def answered(self) -> bool:
        return any(self.answers.values())

    def may_end(self, attempt: int, how: str) -> bool:
        """Whether the attempt may still end so: an answer stays, and only an answer takes the place of an error."""
        was = self.ended.get(attempt)
        return was != "ok" and not was == how == "error"

    def back(self, state: State, *, due: int | None = None, counts: bool = False) -> None:
        """It comes back from where it was out, without an answer."""
        self.tries += counts
        self.owner = None
        self.state = State.CANCELLED if self.wished else state
        self.due = due if self.state is State.WAITING else None
        self.fall_back()

    def fall_back(self) -> None:
        """It ended without an answer that came now."""
        if self.kept is not None and self.state in {State.FAILED, State.CANCELLED}:
            self.win(self.kept)

    def win(self, attempt: int) -> None:
        self.answers[attempt] = True
        self.state, self.owner, self.due, self.kept = State.SUCCEEDED, None, None, None

    def renew(self, text: str) -> None:
        self.text = text
        self.asked = self.attempt + 1
        self.state, self.tries, self.due, self.wished = State.QUEUED, 0, None, False
        self.answers = dict.fromkeys(self.answers, False)
        self.kept = None


class Queue(RuleBasedStateMachine):
    claims = Bundle("claims")
    lost = Bundle("lost")

    @initialize(on_crash=st.sampled_from([OnCrash.RETRY, OnCrash.RETRY, OnCrash.HOLD, OnCrash.FAIL]))
    def begin(self, on_crash: OnCrash) -> None:
        self.folder = Path(tempfile.mkdtemp())
        path = self.folder / "batchrun.db"
        path.write_bytes(template())
        self.engine = open_queue(path)
        sa.event.listen(self.engine, "checkout", lambda db, *_: db.execute("PRAGMA synchronous=OFF"))  # for speed
        self.locks = Living(path)
        self.desk = Desk(self.engine, self.locks)
        self.jobs: dict[str, Model] = {}
        self.on_crash = on_crash
        self.cancelled = False
        self.now = NOW
        self.desk.submit([job("k0", "one")], terms=RunTerms(tries=BOUND, on_crash=on_crash))
        self.jobs["k0"] = Model("one")
        self.worker = self.desk.work()

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.locks.close()
            close_queue(self.engine)
            shutil.rmtree(self.folder)

    # -- what people do ------------------------------------------------------------------------------------------------

    @rule(said=st.dictionaries(KEYS, TEXTS, min_size=1), changed=st.sampled_from([None, *Changed]))
    def submit(self, said: dict[str, str], changed: Changed | None) -> None:
        said = {"k0": self.jobs["k0"].text, **said}  # some job is known: the run is the one
        free = sources_of("replace") | (sources_of("redo") if changed is Changed.AGAIN else frozenset())
        for one in self.jobs.values():
            if self.cancelled and one.state in sources_of("cancel"):
                raise AssertionError("a cancelled run has nothing left to cancel")
        edited = {key for key, text in said.items() if key in self.jobs and self.jobs[key].text != text}
        new = said.keys() - self.jobs.keys()
        stuck = {key for key in edited if self.jobs[key].state not in free}
        added = self.desk.submit(
            [job(key, text, line=n) for n, (key, text) in enumerate(said.items(), 1)], changed=changed
        )
        if stuck and changed is not Changed.KEEP:
            assert len(added.problems) == len(stuck)
            return
        assert (added.new, added.replaced, added.kept) == (len(new), len(edited - stuck), len(stuck))
        assert added.unchanged == len(said) - len(new) - len(edited)
        for key in new:
            self.jobs[key] = Model(said[key])
        for key in edited - stuck:
            self.jobs[key].renew(said[key])
        if new or edited - stuck:
            self.cancelled = False
        again = self.desk.submit([job(key, self.jobs[key].text) for key in said])
        assert (again.new, again.replaced, again.problems) == (0, 0, ())

    @precondition(lambda self: self._any(State.RUNNING))
    @rule()
    def cancel_run(self) -> None:
        cancelling.cancel_run(self.desk.do, RunId(1), self.now)
        self.cancelled = True
        for one in self.jobs.values():
            self._cancel(one)

    @rule(key=KEYS)
    def cancel_job(self, key: str) -> None:
        if key in self.jobs:
            number = self.desk.rows(sa.select(t.jobs.c.id).where(t.jobs.c.key == key))[0][0]
            self.desk.do(lambda tx: cancelling.cancel_jobs(tx, [number], self.now))
            self._cancel(self.jobs[key])

    def _cancel(self, one: Model) -> None:
        if one.state in sources_of("cancel"):
            one.state, one.due, one.wished = State.CANCELLED, None, True
            one.fall_back()
        elif one.state in OUT:
            one.wished = True

    @precondition(lambda self: self._any(*sources_of("retry")))
    @rule(keys=st.sets(KEYS, min_size=1))
    def retry(self, keys: set[str]) -> None:
        done = retrying.retry(self.desk.do, RunId(1), self.now, lambda facts: (facts[Field.ID] or "") in keys)
        back = [self.jobs[key] for key in keys & self.jobs.keys() if self.jobs[key].state in sources_of("retry")]
        assert done.queued == len(back)
        for one in back:
            one.state, one.tries, one.wished = State.QUEUED, 0, False
        if back:
            self.cancelled = False

    # -- what the worker does ------------------------------------------------------------------------------------------

    @precondition(lambda self: self._any(State.QUEUED))
    @rule(target=claims, n=st.integers(1, 4))
    def claim(self, n: int) -> object:
        """Some jobs leave."""
        return multiple(*self._claim(n))

    @precondition(lambda self: self._any(State.QUEUED))
    @rule(target=lost, hows=st.lists(HOW, min_size=1, max_size=4))
    def claim_and_finish(self, hows: list[str]) -> object:
        """Some jobs leave and come home."""
        claims = self._claim(len(hows))
        for claim, how in zip(claims, hows, strict=False):
            self._finish(claim, how)
        return multiple(*claims)

    def _claim(self, n: int) -> Sequence[Claim]:
        claims = self.desk.claim(self.worker, n)
        queued = [key for key, one in self.jobs.items() if one.state is State.QUEUED]
        assert len(claims) == (0 if self._run_state() != "open" else min(n, len(queued)))
        for claim in claims:
            one = self.jobs[claim.key]
            assert one.state is State.QUEUED
            assert not self.cancelled
            one.attempt += 1
            assert (claim.attempt, claim.tries) == (one.attempt, one.tries)
            assert one.text in claim.body
            one.state, one.owner = State.RUNNING, self.worker
        return claims

    @rule(
        target=lost,
        claim=consumes(claims),
        how=HOW,
    )
    def finish(self, claim: Claim, how: str) -> object:
        """The end of an attempt, whether or not its claim still holds."""
        self._finish(claim, how)
        return claim

    def _finish(self, claim: Claim, how: str) -> None:
        one = self.jobs[claim.key]
        current = one.state is State.RUNNING and one.owner == claim.worker and one.attempt == claim.attempt
        brings = how == "good" or how in SEQUELS
        fresh = one.may_end(claim.attempt, "ok" if brings else "error")
        outcomes: dict[str, Outcome] = {"good": good(body_of(claim)), "refused": refused()}
        decisions: dict[str, Decision] = {
            "dropped": Fail("gave up") if one.tries + 1 >= BOUND else Wait(1.0, counts=True),
            "limited": Wait(1.0, counts=False),
            "given back": Release(),
        }
        if how == "cut" and one.tries + 1 >= BOUND:
            how = "paused"  # nobody decides to try once more than the bound
        outcomes |= dict.fromkeys(SEQUELS, good(body_of(claim)))
        decisions |= SEQUELS
        outcome, decision = outcomes.get(how, dropped()), decisions.get(how)
        kept = self.desk.wait(self.desk.store.finish(ending(claim, outcome, decision, self.now)))
        if how in SEQUELS:
            self._not_the_end(one, claim, how, kept, current=current, fresh=fresh)
            return
        if current:
            assert kept in {Kept.CURRENT, Kept.EARLIER}
        if how == "good":
            self._answered(one, claim, kept, current=current, fresh=fresh)
        elif current:
            match decision:
                case Wait(counts=counts):
                    one.back(State.WAITING, due=self.now + 1000, counts=counts and not one.wished)
                case Release():
                    one.back(State.QUEUED)
                case _:
                    one.back(State.FAILED, counts=not one.wished)
        else:
            assert kept in {Kept.STALE, Kept.CURRENT, Kept.TWICE}
        if fresh:
            one.ended[claim.attempt] = "ok" if how == "good" else "error"

    def _not_the_end(self, one: Model, claim: Claim, how: str, kept: Kept, *, current: bool, fresh: bool) -> None:
        """An answer came that is only kept, as a rule."""
        if not fresh:
            assert kept in {Kept.STALE, Kept.CURRENT, Kept.TWICE}
            return
        one.ended[claim.attempt] = "ok"
        one.answers[claim.attempt] = False
        wanted = claim.attempt >= one.asked
        if current and how == "declined":
            assert kept is (Kept.CURRENT if one.kept is None else Kept.EARLIER)
            one.back(State.FAILED, counts=not one.wished)
        elif current and one.wished:
            one.win(claim.attempt)
        elif current:
            assert kept is Kept.ASIDE
            one.kept = claim.attempt
            one.back(State.QUEUED, counts=how == "cut")
        elif how == "declined":
            assert kept is Kept.ASIDE
        elif wanted and one.state not in {*FINAL, State.HELD}:
            assert kept is Kept.ASIDE
            one.kept = one.kept or claim.attempt
        elif wanted and one.state is not State.SUCCEEDED:
            assert kept is Kept.LATE
            one.win(claim.attempt)
        else:
            assert kept is Kept.TWICE

    def _answered(self, one: Model, claim: Claim, kept: Kept, *, current: bool, fresh: bool) -> None:
        if not fresh:
            assert kept is (Kept.CURRENT if one.answers[claim.attempt] else Kept.TWICE)
            return
        if current or (not one.answered and claim.attempt >= one.asked):
            assert kept is (Kept.CURRENT if current else Kept.LATE)
            one.win(claim.attempt)
        else:
            assert kept is Kept.TWICE
            one.answers[claim.attempt] = False

    @rule(claim=lost)
    def finish_once_more(self, claim: Claim) -> None:
        """An end is stored again, as after a commit whose reply was lost; or what had no answer was answered."""
        one = self.jobs[claim.key]
        fresh = one.may_end(claim.attempt, "ok")
        kept = self.desk.wait(self.desk.store.finish(ending(claim, good(body_of(claim)), None, self.now)))
        self._answered(one, claim, kept, current=False, fresh=fresh)
        if fresh:
            one.ended[claim.attempt] = "ok"

    @rule(target=lost, claim=consumes(claims))
    def release(self, claim: Claim) -> object:
        one = self.jobs[claim.key]
        current = one.state is State.RUNNING and one.owner == claim.worker and one.attempt == claim.attempt
        self.desk.wait(self.desk.store.release([claim], self.now))
        if one.ended.get(claim.attempt) in {None, "unknown"}:
            one.ended[claim.attempt] = "released"
            if current:
                one.back(State.QUEUED)
        return claim

    @precondition(lambda self: self._any(State.WAITING))
    @rule(seconds=st.sampled_from([0, 1, 2]))
    def wait(self, seconds: int) -> None:
        self.now = Millis(self.now + 1000 * seconds)
        self.desk.now = self.now
        work = self.desk.wait(self.desk.store.work(self.now))
        for one in self.jobs.values():
            if one.state is State.WAITING and one.due is not None and one.due <= self.now:
                one.state, one.due = State.QUEUED, None
        queued = sum(one.state is State.QUEUED for one in self.jobs.values())
        waiting = [one.due for one in self.jobs.values() if one.state is State.WAITING and one.due is not None]
        if self._run_state() == "open":
            assert [dict(run.queued) for run in work] == (
                [{MODEL: queued} if queued else {}] if queued or waiting else []
            )
            first = [(RunId(1), MODEL, min(waiting))] if waiting else []
            assert self.desk.wait(self.desk.store.next_due()) == first
        else:
            assert work == []

    @rule()
    def settle(self) -> None:
        was = self._run_state()
        over = all(one.state in FINAL for one in self.jobs.values())
        assert self.desk.wait(self.desk.store.settle(self.now)) == ([(1, "jobs")] if over and was == "open" else [])

    @precondition(lambda self: self._any(State.RUNNING))
    @rule()
    def crash(self) -> None:
        """The worker dies; the next one takes over."""
        self.locks.close()
        self.desk.store = QueueStore(Inline(self.engine), self.locks)
        self.worker = self.desk.work()
        for one in self.jobs.values():
            for attempt in range(1, one.attempt + 1):
                one.ended.setdefault(attempt, "unknown")
            if one.state is not State.RUNNING:
                continue
            match self.on_crash:
                case OnCrash.RETRY:
                    one.back(State.FAILED if one.tries + 1 >= BOUND else State.QUEUED, counts=not one.wished)
                case OnCrash.HOLD:
                    one.back(State.HELD, counts=not one.wished)
                case OnCrash.FAIL:
                    one.back(State.FAILED, counts=not one.wished)

    # -- what always holds ---------------------------------------------------------------------------------------------

    def _any(self, *states: State) -> bool:
        return any(one.state in states for one in self.jobs.values())

    def _run_state(self) -> str:
        return self.desk.run_states()["jobs"]

    @invariant()
    def the_rows_say_what_the_model_says(self) -> None:
        j = t.jobs.c
        facts = (j.key, j.state, j.attempt, j.tries, j.owner, j.due, j.kept)
        rows = {key: (State(state), *rest) for key, state, *rest in self.desk.rows(sa.select(*facts))}
        assert rows == {
            key: (one.state, one.attempt, one.tries, one.owner, one.due, one.kept) for key, one in self.jobs.items()
        }
        for key, one in self.jobs.items():
            won = {attempt: bool(winning) for attempt, winning, _body in self.desk.results(key)}
            assert {n: wins for n, wins in won.items() if wins} == {n: wins for n, wins in one.answers.items() if wins}
            assert one.tries <= BOUND

    @invariant()
    def the_books_are_true(self) -> None:
        self.desk.check()

    @precondition(lambda self: self._run_state() == "cancelled")
    @invariant()
    def a_cancelled_run_has_nothing_that_could_be_sent(self) -> None:
        assert not {one.state for one in self.jobs.values()} & {State.QUEUED}


Queue.TestCase.settings = settings(
    max_examples=examples(100), stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestQueue = Queue.TestCase
