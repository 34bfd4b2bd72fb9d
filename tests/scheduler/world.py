"""A world for the scheduler in virtual time: the real queue in a file, the real SDK, the simulator, and lives that end."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import sqlalchemy as sa

from batchrun.claude.batches import Batches
from batchrun.claude.client import Connection, build
from batchrun.claude.messages import Messages
from batchrun.core.account import Account, fingerprint
from batchrun.core.claim import WorkerCard
from batchrun.core.events import Event
from batchrun.core.job import Millis, Nanos, RunId
from batchrun.queue import tables as t
from batchrun.queue.batchstore import QueueBatches
from batchrun.queue.connect import open_queue
from batchrun.queue.living import Living
from batchrun.queue.store import QueueStore
from batchrun.queue.writing import Inline
from batchrun.scheduler.run import Pass
from batchrun.scheduler.shutdown import Shutdown
from batchrun.scheduler.terms import Ended, Terms
from batchrun.settings import load
from batchrun.simulator.api import Simulator
from batchrun.simulator.inprocess import InProcess
from batchrun.simulator.plan import Pace, Plan
from tests.virtual import VirtualClock

MODEL = "claude-haiku-5-5"
URL = "http://simulated.invalid"
SETTINGS = load(environ={}, no_config=True)
TABLES = SETTINGS.tables()
WORST = Nanos(300_000)
QUICK = Pace(first=1.0, spread=0.3, per_token=0.01)


class Died(BaseException):
    """The process is gone: whoever still asks its database gets no answer."""


class MortalStore:
    """A store that dies before or after its n-th verb, as a process does: nothing it does afterwards has any effect."""

    def __init__(
        self,
        store: QueueStore,
        clock: VirtualClock,
        *,
        dies_at: int | None = None,
        dies_in: str | None = None,
        after: bool = False,
        slow: float = 0.0,
    ) -> None:
        self._dies_in = dies_in  # the name of the verb that it dies in for the first time
        self._store = store
        self._clock = clock
        self._slow = slow  # seconds that each verb takes
        self._dies_at = dies_at
        self._after = after
        self.verbs = 0
        self.dead = asyncio.Event()

    def also(self, other: object) -> Any:
        """*other* dies when this one does; its verbs are counted here."""
        return _Also(self, other)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return self.mortal(found) if callable(found) else found

    def mortal(self, verb: Callable[..., Any]) -> Any:
        """*verb*, as long as the process lives."""

        async def call(*args: Any, **kwargs: Any) -> Any:
            if self.dead.is_set():
                raise Died
            self.verbs += 1
            fatal = self.verbs == self._dies_at or verb.__name__ == self._dies_in
            if fatal and not self._after:
                self.dead.set()
                raise Died
            if self._slow:
                await self._clock.sleep(self._slow)
            result = await verb(*args, **kwargs)
            if fatal:
                self.dead.set()
                raise Died
            return result

        return call


class _Also:
    def __init__(self, store: MortalStore, other: object) -> None:
        self._store = store
        self._other = other

    def __getattr__(self, name: str) -> Any:
        return self._store.mortal(getattr(self._other, name))


@dataclass
class Heard:
    """A sink that keeps everything."""

    events: list[Event] = field(default_factory=list)

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


class World:
    """One database, one simulated API, one clock; any number of lives of the program one after the other."""

    def __init__(self, folder: Path, clock: VirtualClock, dice: random.Random, plan: Plan, secret: str = "key") -> None:
        self.path = folder / "batchrun.db"
        self.clock = clock
        self.dice = dice
        self.secret = secret
        self.simulator = Simulator(plan, clock, random.Random(plan.seed))
        self.engine = open_queue(self.path)
        # Processes die here, and power stays on: what is committed is there without waiting for the disk.
        sa.event.listen(self.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
        self.engine.dispose()
        self.heard = Heard()
        self.shutdown = Shutdown()
        self.dead = asyncio.Event()  # of the current life: whoever sets it kills the program

    def add(
        self,
        prompts: Sequence[str],
        *,
        name: str = "run",
        model: str = MODEL,
        max_tokens: int = 400,
        priority: int = 0,
        budget: Nanos | None = None,
        worst: Nanos | None = WORST,
        est_input: int = 20,
        mode: str = "realtime",
        pilots: int = 0,
        deadline: Millis | None = None,
        on_unclear: str = "wait",
        look: bool = False,
        hours: str | None = None,
    ) -> RunId:
        """A run with one job for each prompt; its key is `name-number`."""
        with self.engine.begin() as tx:
            run = _insert(
                tx,
                t.runs,
                name=name,
                state="open",
                mode=mode,
                deadline=deadline,
                on_unclear=on_unclear,
                look=int(look),
                hours=hours,
                priority=priority,
                source="[]",
                created=0,
                budget=budget,
            )
            for seq, prompt in enumerate(prompts):
                body = {"model": model, "max_tokens": max_tokens, "messages": [{"role": "user", "content": prompt}]}
                job = _insert(
                    tx,
                    t.jobs,
                    run=run,
                    seq=seq,
                    line=seq + 1,
                    key=f"{name}-{seq}",
                    model=model,
                    state="queued",
                    size=len(json.dumps(body)),
                    est_input=est_input,
                    max_tokens=max_tokens,
                    worst=worst,
                    digest=b"0",
                    way=2 if seq < pilots else 0,
                )
                tx.execute(t.requests.insert().values(job=job, own=json.dumps(body)))
            tx.execute(t.run_counts.insert().values(run=run, model=model, state="queued", n=len(prompts)))
        return RunId(run)

    def terms(self, **changes: Any) -> Terms:
        values: dict[str, Any] = {
            "card": WorkerCard(pid=1, host="h", boot="b", version="0", command="run", started=self.clock.wall()),
            "fingerprint": fingerprint(self.secret),
            "stand_in": Account(origin=URL),
            "limits": TABLES.limits,
            "tier": "auto",
            "most": 32,
            "batch_cost": lambda model, usage: TABLES.prices.cost(model, usage, batch=True),
            "cost": lambda model, usage: TABLES.prices.cost(model, usage, batch=False),
        }
        return Terms(**(values | changes))

    async def live(
        self,
        *,
        dies_at: int | None = None,
        dies_in: str | None = None,
        after: bool = False,
        slow: float = 0.0,
        shutdown: Shutdown | None = None,
        **changes: Any,
    ) -> Ended | None:
        """One life of the program: how its pass ended, or None if it died. Several may live at once if none dies."""
        locks = Living(self.path)
        store = MortalStore(
            QueueStore(Inline(self.engine), locks),
            self.clock,
            dies_at=dies_at,
            dies_in=dies_in,
            after=after,
            slow=slow,
        )
        http = httpx2.AsyncClient(transport=InProcess(self.simulator))
        client = build(Connection(secret=self.secret, base_url=URL), http)
        messages = Messages(client, self.clock, 8192)
        self.shutdown = shutdown = shutdown or Shutdown()
        self.dead = store.dead
        before = asyncio.all_tasks()
        working = Pass(
            store=store,
            batches=store.also(QueueBatches(Inline(self.engine))),
            transport=messages,
            api=Batches(client, self.clock),
            clock=self.clock,
            dice=self.dice,
            sink=self.heard,
            terms=self.terms(**changes),
            shutdown=shutdown,
        )
        main = asyncio.create_task(working.run())
        death = asyncio.create_task(store.dead.wait())
        await asyncio.wait({main, death}, return_when=asyncio.FIRST_COMPLETED)
        died = store.dead.is_set()
        if died:
            # What the API does with the requests that are out goes on; only our own tasks are gone.
            ours = {
                task
                for task in asyncio.all_tasks() - before - {asyncio.current_task()}
                if "Simulator" not in getattr(task.get_coro(), "__qualname__", "")
            }
            for task in ours:
                task.cancel()
            if ours:
                await asyncio.wait(ours)
            for task in ours | {main}:
                if not task.cancelled():
                    task.exception()
        death.cancel()
        locks.close()
        await messages.close()
        return None if died else await main

    def rows(self, table: sa.Table, *columns: sa.ColumnElement[Any]) -> list[Any]:
        with self.engine.begin() as tx:
            return list(tx.execute(sa.select(*(columns or (table,)))).all())

    def states(self) -> dict[str, int]:
        """Jobs by state, by a scan."""
        counts: dict[str, int] = {}
        for (state,) in self.rows(t.jobs, t.jobs.c.state):
            counts[state] = counts.get(state, 0) + 1
        return counts

    def check(self) -> None:
        """What must hold after any history: counts and money by scan, one winner for each answered job, sound files."""
        scanned: dict[tuple[int, str, str], int] = {}
        for run, model, state in self.rows(t.jobs, t.jobs.c.run, t.jobs.c.model, t.jobs.c.state):
            scanned[run, model, state] = scanned.get((run, model, state), 0) + 1
        counted = {(run, model, state): n for run, model, state, n in self.rows(t.run_counts) if n}
        assert counted == scanned
        winners: dict[int, int] = {}
        for job, winning in self.rows(t.results, t.results.c.job, t.results.c.winning):
            winners[job] = winners.get(job, 0) + winning
        for job, state in self.rows(t.jobs, t.jobs.c.id, t.jobs.c.state):
            assert winners.get(job, 0) == (1 if state == "succeeded" else 0), (job, state)
        out: dict[int, int] = {}
        runs = dict(self.rows(t.jobs, t.jobs.c.id, t.jobs.c.run))
        for job, worst, outcome in self.rows(t.attempts, t.attempts.c.job, t.attempts.c.worst, t.attempts.c.outcome):
            if outcome is None:
                out[runs[job]] = out.get(runs[job], 0) + (worst or 0)
        for run, reserved in self.rows(t.runs, t.runs.c.id, t.runs.c.reserved):
            assert reserved == out.get(run, 0)
        with self.engine.begin() as tx:
            assert tx.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
            assert not tx.exec_driver_sql("PRAGMA foreign_key_check").all()


def _insert(tx: sa.Connection, table: sa.Table, **values: Any) -> int:
    key = tx.execute(table.insert().values(**values)).inserted_primary_key
    assert key is not None
    return int(key[0])
