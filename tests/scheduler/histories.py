"""Nights of batches: one seed is one history of faults, deaths, colleagues and users, on a machine whose clock jumps.

python -m tests.scheduler.histories 7      # replays the seventh, and says what happened in it
"""

from __future__ import annotations

import asyncio
import atexit
import random
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from batchrun.core.batch import STOOD, BatchState
from batchrun.core.events import BatchTurned
from batchrun.core.job import JobId, Millis, Nanos, RunId, Way
from batchrun.core.states import FINAL, State
from batchrun.queue import cancelling, retrying
from batchrun.queue import tables as t
from batchrun.queue.batchstore import QueueBatches
from batchrun.queue.writing import Inline, perform_now
from batchrun.scheduler.terms import Ended
from batchrun.simulator.batchplan import BatchPlan, Colleague, Verb
from batchrun.simulator.effects import Kind
from batchrun.simulator.plan import Plan
from batchrun.simulator.wire import Request, Response
from tests import virtual
from tests.scheduler.histories_judge import Books, judge
from tests.scheduler.world import QUICK, World

HOUR = 3600.0
WITHIN = 26 * HOUR
"""Virtual seconds from the last fault to the end of everything: a batch may take a day."""

LONG = 0.4 * HOUR
"""What a life lasts at most: somebody wants to see how things stand, and hours of looks show nothing new."""

SIZES = (200, 200, 230, 300, 450, 800)
WORST = Nanos(20_000_000)

ROUGH = range(1240, 1280)
"""Seeds of nights in which much is held up on its way or sent twice: what comes late or doubled is rare elsewhere."""

ASKING = range(3000, 4000)
"""Seeds of nights in which many an answer is not the end: jobs are asked on, and fail where the model refuses."""

SEQUELS = (Kind.TRUNCATE, Kind.PAUSE, Kind.REFUSAL)

OVER = frozenset({BatchState.DONE, BatchState.REJECTED, BatchState.LOST, BatchState.GONE})

CREATES = (
    *(Kind.LOSE, Kind.LOSE, Kind.FAILED_LATE, Kind.OVERLOADED_LATE, Kind.CUT, Kind.SHORT, Kind.STALL, Kind.SLOW),
    *(Kind.TWICE, Kind.DROP, Kind.DROP, Kind.REFUSE, Kind.GATEWAY, Kind.FAILED, Kind.OVERLOADED, Kind.REDIRECT),
    *(Kind.HTML, Kind.BLOCKED, Kind.LIMITED, Kind.CONFLICT, Kind.TIMED_OUT, Kind.SLOW_GATEWAY),
)
LISTS = (Kind.FAILED, Kind.DROP, Kind.REFUSE, Kind.OVERLOADED, Kind.CUT, Kind.SHORT, Kind.SLOW, Kind.HTML)
DOWNLOADS = (Kind.CUT, Kind.CUT, Kind.SHORT, Kind.SHORT, Kind.DROP, Kind.FAILED, Kind.STALL, Kind.REDIRECT)
CANCELS = (Kind.CONFLICT, Kind.FAILED, Kind.LOSE, Kind.DROP, Kind.OVERLOADED_LATE)
ITEMS = (Kind.OVERLOADED, Kind.FAILED, Kind.EXPIRED, Kind.NO_LINE, Kind.NO_LINE, Kind.ODD_TYPE, Kind.INVALID)

_TOKEN = re.compile(rb'"br-[0-9a-z]+-([0-9a-z]+)-')


def _some(dice: random.Random, kinds: Sequence[Kind], most: int, low: float, high: float) -> dict[Kind, float]:
    return {kind: dice.uniform(low, high) for kind in dice.sample(kinds, dice.randint(0, most))}


def drawn(dice: random.Random, seed: int) -> Plan:
    """What goes wrong in one history: a few kinds of trouble, often."""
    faults = {
        Verb.CREATE: _some(dice, CREATES, 5, 0.1, 0.4),
        Verb.LIST: _some(dice, LISTS, 2, 0.03, 0.15),
        Verb.GET: _some(dice, LISTS, 1, 0.03, 0.15),
        Verb.RESULTS: _some(dice, DOWNLOADS, 3, 0.1, 0.4),
        Verb.CANCEL: _some(dice, CANCELS, 2, 0.1, 0.5),
    }
    colleague = Colleague(
        every=dice.uniform(600, 5400) if dice.random() < 0.5 else None,
        size=200,
        alike=0.8,
        deletes=dice.choice([0.0, 0.0, 0.0, 0.4]),
        archives=dice.choice([0.0, 0.0, 0.0, 0.4]),
        after=dice.choice([0.0, 0.0, 30.0, 600.0]),
    )
    batches = BatchPlan(
        minutes=dice.choice([5.0, 15.0, 40.0]),
        spread=dice.choice([0.2, 0.5]),
        canceling=dice.choice([0.0, 30.0, 900.0]),
        stuck=0.2 if dice.random() < 0.05 else 0.0,
        listed_after=dice.choice([0.0, 0.0, 5.0, 60.0, 110.0]),
        known_after=dice.choice([0.0, 0.0, 10.0, 200.0]),
        stray=dice.choice([0, 0, 0, 2]),
        items=_some(dice, ITEMS, 2, 0.005, 0.05),
        faults=faults,
        colleague=colleague,
    )
    return Plan(seed=seed, pace=QUICK, batches=batches)


def roughened(plan: Plan) -> Plan:
    """The same account behind a gateway that repeats creates."""
    faults = {**plan.batches.faults, Verb.CREATE: {**plan.batches.faults[Verb.CREATE], Kind.TWICE: 0.4}}
    return replace(plan, batches=replace(plan.batches, faults=faults))


def unfinished(plan: Plan) -> Plan:
    """The same account with a model that seldom comes to an end."""
    dice = random.Random(f"asking {plan.seed}")
    items = {**plan.batches.items, **{kind: dice.uniform(0.05, 0.3) for kind in SEQUELS}}
    return replace(plan, batches=replace(plan.batches, items=items))


def healthy(plan: Plan) -> Plan:
    """The same account once nothing goes wrong any more."""
    calm = replace(plan.batches, minutes=5.0, spread=0.2, stuck=0.0, items={}, faults={}, colleague=Colleague())
    return replace(plan, batches=calm)


@cache
def _filled(jobs: int) -> Path:
    """A database with one run of so many jobs, to be copied: making one takes longer than living a night."""
    folder = Path(tempfile.mkdtemp(prefix="batchrun-histories-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)

    async def fill(clock: virtual.VirtualClock, dice: random.Random) -> Path:
        world = World(folder, clock, dice, Plan())
        world.add([f"question {n}" for n in range(jobs)], mode="batch", worst=WORST)
        world.engine.dispose()
        return world.path

    return virtual.run(fill)


@dataclass(slots=True)
class Wire:
    """The way to the API: it holds some creates up, knows what has left, and can be what a process dies at."""

    world: World
    server: virtual.VirtualClock
    dice: random.Random
    holds: float = 0.0  #: share of creates that are under way for long
    doom: tuple[int, int] | None = None  #: after so many calls, so many turns of the loop later
    calls: int = 0

    def install(self, books: Books) -> None:
        handle = self.world.simulator.handle

        async def carried(request: Request) -> Response:
            self.calls += 1
            if self.doom is not None and self.calls >= self.doom[0]:
                turns, self.doom = self.doom[1], None
                self._dying = asyncio.create_task(self._die(self.world.dead, turns))
            if request.method == "POST" and request.path == "/v1/messages/batches":
                token = _TOKEN.search(request.body)
                if token is not None:
                    books.posted.setdefault(token[1].decode(), []).append(self.server.wall())
                if self.dice.random() < self.holds:
                    await self.server.sleep(self.dice.choice([20.0, 300.0, 1500.0, 2700.0]))
            return await handle(request)

        carried.__qualname__ = "Simulator.carried"  # what is on its way goes on when the process dies
        self.world.simulator.handle = carried  # type: ignore[method-assign]  # of this world alone

    _dying: asyncio.Task[None] | None = None

    async def _die(self, dead: asyncio.Event, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        dead.set()


class History:
    """One world and what befalls it."""

    def __init__(self, folder: Path, clock: virtual.VirtualClock, seed: int) -> None:
        self.dice = dice = random.Random(f"history {seed}")
        self.server = clock
        self.hurried = dice.random() < 0.35
        self.plan = drawn(dice, seed)
        if seed in ROUGH:
            self.plan = roughened(self.plan)
        if seed in ASKING:
            self.plan = unfinished(self.plan if seed % 2 else roughened(self.plan))
        if self.hurried:
            self.plan = replace(self.plan, batches=replace(self.plan.batches, minutes=90.0))
        self.jobs = dice.choice(SIZES)
        shutil.copy(_filled(self.jobs), folder / "batchrun.db")
        self.world = world = World(folder, clock, dice, self.plan)
        # The machine's wall clock jumps; the server's does not.
        world.clock = self.machine = virtual.VirtualClock(asyncio.get_running_loop())
        self.books = Books(world=world)
        self.wire = Wire(world, clock, dice, holds=dice.choice([0.0, 0.0, 0.35]))
        if seed in ROUGH:
            self.wire.holds = 0.5
        self.wire.install(self.books)
        self.happened: Counter[str] = Counter()
        self.run = RunId(1)
        self._wish()
        if seed in ASKING:
            with world.engine.begin() as tx:
                tx.execute(t.runs.update().values(on_truncated="retry", on_refused="fail"))

    def _wish(self) -> None:
        """What the user said of the run."""
        dice = self.dice
        deadline = Millis(self.machine.wall() + round(dice.uniform(1.0, 1.6) * HOUR * 1000))
        wishes = {
            "mode": "auto" if self.hurried else "batch",
            "deadline": deadline if self.hurried else None,
            "on_unclear": dice.choice(["wait", "wait", "resend"]),
            "on_crash": dice.choice(["retry", "retry", "hold", "fail"]),
        }
        pilots = dice.choice([0, 1])
        with self.world.engine.begin() as tx:
            tx.execute(t.runs.update().values(**wishes))
            tx.execute(t.jobs.update().where(t.jobs.c.seq < pilots).values(way=Way.PILOT))

    async def pass_by(self) -> Counter[str]:
        """Live it, judge it, and tell what happened, counted."""
        others = asyncio.create_task(self._others())
        last = self.server.steady() + self.dice.uniform(0.7, 3) * HOUR
        peace = asyncio.create_task(self._peace(last))
        while self.server.steady() < last and not self.over():
            await self._life(last)
            self.world.check()
        others.cancel()
        if not peace.done():
            peace.cancel()
            self._calm()
        began, rest = self.server.steady(), 600.0
        while not self.over():
            await self._person()
            await self._live_on()
            await self.server.sleep(rest)
            rest = min(rest * 1.5, 2 * HOUR)
            waited = self.server.steady() - max(began, last if peace.done() and not peace.cancelled() else began)
            assert waited < WITHIN, f"not over {waited / HOUR:.0f} hours after the last fault: {self._open()}"
        await self._afterwards()
        await self.world.simulator.settle()
        self.world.check()
        self.happened += judge(self.books, self.jobs)
        self.happened.update(str(each.turn) for each in self.world.heard.of(BatchTurned))
        return self.happened

    async def _live_on(self) -> None:
        """A life in peace, which a person ends after a while to see how things stand."""
        await self._until(LONG, self.world.live(once=self.dice.random() < 0.7))

    async def _until(self, seconds: float, life: Coroutine[Any, Any, Ended | None]) -> Ended | None:
        """*life*, which is asked to end after *seconds* if it has not by then."""
        begun = asyncio.create_task(life)
        await asyncio.wait({begun}, timeout=seconds)
        while not begun.done():
            self.world.shutdown.ask()
            await asyncio.wait({begun}, timeout=120.0)
        return await begun

    async def _person(self) -> None:
        """Somebody looks at what only a person can decide: batches that hide, and jobs that are held and stop others."""
        hiding = 0
        for row in self.world.rows(t.batches):
            candidates = [each for each in self.world.rows(t.candidates) if each.batch == row.id]
            hidden = [each for each in candidates if each.verdict == "open" and self.books.hidden(each.remote_id)]
            if row.state == BatchState.UNCLEAR and hidden:
                hiding += 1
                self.books.resolved.add(row.token)
                date, now = self.server.wall(), self.machine.wall()
                await QueueBatches(Inline(self.world.engine)).lose(row.id, date, now)
        self.happened["given up by a person"] += hiding
        open_ = any(state not in OVER for (state,) in self.world.rows(t.batches, t.batches.c.state))
        if self.world.states().get("held") and self.world.states().get("queued") and not open_:
            await self._retry()
            self.happened["held pilot"] += 1

    async def _life(self, last: float) -> None:
        """One life, by cron or by hand, to its end or its death, and the time until the next."""
        dice = self.dice
        at: int | None = None
        killer: asyncio.Task[None] | None = None
        match dice.randrange(6):
            case 0 | 1:
                at = int(dice.expovariate(1 / 60)) + 1
            case 2:
                self.wire.doom = (self.wire.calls + 1 + int(dice.expovariate(1 / 6)), dice.randrange(12))
            case 3:
                killer = asyncio.create_task(self._kill(min(dice.expovariate(1 / HOUR), last - self.server.steady())))
            case _:
                pass
        life = self.world.live(dies_at=at, after=dice.random() < 0.5, once=dice.random() < 0.7)
        ended = await self._until(min(LONG, last - self.server.steady()), life)
        self.wire.doom = None
        if killer is not None:
            killer.cancel()
        self.happened["lives"] += 1
        self.happened["deaths"] += ended is None
        await self.server.sleep(dice.expovariate(1 / 600) if ended is None else dice.uniform(60, 1800))

    async def _kill(self, seconds: float) -> None:
        await self.server.sleep(seconds)
        self.world.dead.set()

    async def _peace(self, last: float) -> None:
        """The last fault is over at *last*, whoever lives then."""
        await self.server.sleep(last - self.server.steady())
        self._calm()

    def _calm(self) -> None:
        self.wire.holds, self.wire.doom = 0.0, None
        self.world.simulator.change(healthy(self.plan))

    async def _afterwards(self) -> None:
        """Lost batches are watched, and what stands twice is noticed: a pass now and then is enough."""
        for _ in range(4):
            if not {BatchState.LOST, *STOOD} & {state for (state,) in self.world.rows(t.batches, t.batches.c.state)}:
                return
            await self.server.sleep(7 * HOUR)
            await self.world.live(once=True)

    def over(self) -> bool:
        final = {*FINAL, State.HELD}
        states = self.world.states()
        return set(states) <= final and all(state in OVER for (state,) in self.world.rows(t.batches, t.batches.c.state))

    def _open(self) -> str:
        rows = self.world.rows(t.batches, t.batches.c.id, t.batches.c.state)
        return f"{self.world.states()}, batches {[tuple(row) for row in rows if row.state not in OVER]}"

    # -- others ------------------------------------------------------------------------------------------------------

    async def _others(self) -> None:
        """Users who change their minds, and a clock that is put right."""
        dice = self.dice
        acts: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (
            *(self._jump, self._jump, self._cancel_some, self._cancel_run, self._retry, self._stop),
        )
        chances = (0.5, 0.3, 0.25, 0.12, 0.3, 0.3)
        wished = [act for act, chance in zip(acts, chances, strict=True) if dice.random() < chance]
        dice.shuffle(wished)
        for act in wished:
            await self.server.sleep(dice.expovariate(2 / HOUR))
            await act()
            self.happened[act.__name__.strip("_")] += 1

    async def _jump(self) -> None:
        self.machine.step_wall(self.dice.choice([-1, 1]) * self.dice.choice([90, 1200, 7200]) * 1000)

    async def _cancel_some(self) -> None:
        some = [JobId(job) for (job,) in self.world.rows(t.jobs, t.jobs.c.id) if self.dice.random() < 0.1]
        perform_now(self.world.engine, lambda tx: cancelling.cancel_jobs(tx, some, self.machine.wall()))

    async def _cancel_run(self) -> None:
        cancelling.cancel_run(lambda op: perform_now(self.world.engine, op), self.run, self.machine.wall())

    async def _retry(self) -> None:
        for job, attempt, state in self.world.rows(t.jobs, t.jobs.c.id, t.jobs.c.attempt, t.jobs.c.state):
            if State(state) in retrying.SOURCES:
                self.books.retried[job] = attempt
        retrying.retry(lambda op: perform_now(self.world.engine, op), self.run, self.machine.wall(), lambda _: True)

    async def _stop(self) -> None:
        self.world.shutdown.ask()
        if self.dice.random() < 0.5:
            self.world.shutdown.ask()


class Wrong(AssertionError):
    """A history that must not be; its text begins with what replays it."""


def history(folder: Path, seed: int) -> Counter[str]:
    """One night of *seed* in *folder*, counted by what happened. Raises `Wrong`."""

    async def main(clock: virtual.VirtualClock, _: random.Random) -> Counter[str]:
        return await History(folder, clock, seed).pass_by()

    for jobs in SIZES:
        _filled(jobs)  # in a loop of its own
    try:
        return virtual.run(main, seed)
    except Exception as error:
        raise Wrong(f"python -m tests.scheduler.histories {seed}\n{type(error).__name__}: {error}") from error


def histories(folder: Path, seeds: Sequence[int]) -> Counter[str]:
    """What happened in the histories of *seeds*. Raises `Wrong` at the first that must not be."""
    happened: Counter[str] = Counter()
    for seed in seeds:
        place = folder / str(seed)
        place.mkdir()
        happened += history(place, seed)
        happened["histories"] += 1
        shutil.rmtree(place)
    return happened


def told(happened: Mapping[str, int]) -> str:
    return "\n".join(f"{n:8,}  {what}" for what, n in sorted(happened.items()))


if __name__ == "__main__":
    for given in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as temporary:
            print(told(history(Path(temporary), int(given))))  # noqa: T201  # a person asked
