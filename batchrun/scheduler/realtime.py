"""One job's way through the Messages API: through its lane's gate, sent once, decided, stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from batchrun.core.claim import Claim, Finish, Kept, OpenRun
from batchrun.core.concurrency import Signal
from batchrun.core.job import JobId, Millis, Nanos
from batchrun.core.outcome import (
    AccountStopped,
    Canceled,
    Dropped,
    Expired,
    Limited,
    Misrouted,
    ModelUnavailable,
    Outcome,
    Overloaded,
    RateLimited,
    Refused,
    Reply,
    ServerFailed,
    Succeeded,
    Unknown,
    Unreachable,
)
from batchrun.core.ports import Clock, Dice, Store, Transport
from batchrun.core.retry import Decision, Fail, Wait, decide
from batchrun.scheduler.lane import Lane
from batchrun.scheduler.terms import Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """One attempt is over and stored."""

    claim: Claim
    run: OpenRun
    lane: Lane
    outcome: Outcome
    decision: Decision
    kept: Kept
    at: Millis
    began: float  #: steady time at which it left
    seconds: float
    cost: Nanos | None


def signal_of(outcome: Outcome) -> Signal | None:
    """What *outcome* says about how many requests may be in flight."""
    match outcome:
        case Succeeded() | Refused() | ModelUnavailable():
            return Signal.FINE
        case RateLimited():
            return Signal.LIMITED
        case Overloaded():
            return Signal.OVERLOADED
        case ServerFailed() | Dropped():
            return Signal.FAILED
        case Unreachable() | Misrouted() | AccountStopped() | Expired() | Canceled() | Unknown():
            return None
        case _:
            assert_never(outcome)


class Realtime:
    """Serves claims. `sending` are the tasks whose request is out; cancelling one leaves its attempt on the books."""

    def __init__(
        self, *, store: Store, transport: Transport, clock: Clock, dice: Dice, terms: Terms, fresh: Callable[[], bool]
    ) -> None:
        self.sending: set[asyncio.Task[Ending | None]] = set()
        self.entering: dict[asyncio.Task[Ending | None], Lane] = {}
        self._closed = False
        self._store = store
        self._transport = transport
        self._clock = clock
        self._dice = dice
        self._terms = terms
        self._fresh = fresh  # whether anything may be sent in this worker's name
        self._unsent: list[Claim] = []  # called back before they left
        self._limited: dict[JobId, int] = {}  # how often in this pass a rate limit refused a job

    def close(self) -> None:
        """Nothing that has not left yet leaves any more."""
        self._closed = True

    def is_closed(self) -> bool:
        return self._closed

    async def call_back(self, lane: Lane | None = None) -> list[Claim]:
        """Give back, and return, what was claimed and has not left (*lane*: of this one alone): it is not a try."""
        entering = {task for task, its in self.entering.items() if lane in (None, its)}
        for task in entering:
            task.cancel()
        if entering:
            await asyncio.wait(entering)
        return await self.give_back()

    async def give_back(self) -> list[Claim]:
        """Give back, and return, what will not leave any more."""
        unsent, self._unsent = self._unsent, []
        if unsent:
            await self._store.release(unsent, self._clock.wall())
        return unsent

    async def serve(self, claim: Claim, run: OpenRun, lane: Lane) -> Ending | None:
        """Take *claim* to its end; None if it was called back before it left."""
        task: asyncio.Task[Ending | None] | None = asyncio.current_task()
        assert task is not None
        if self.is_closed():
            lane.pending -= 1
            self._unsent.append(claim)
            return None
        if lane.too_large(claim):
            lane.pending -= 1
            return await self._turn_away(claim, run, lane)
        self.entering[task] = lane
        try:
            charged = await lane.enter(claim)
        except asyncio.CancelledError:
            self._unsent.append(claim)
            return None
        finally:
            self.entering.pop(task, None)
        hours = run.hours
        if self.is_closed() or not self._fresh() or (hours is not None and not hours.open(self._clock.wall())):
            lane.leave(None)
            lane.settle(claim, charged, None)
            self._unsent.append(claim)
            return None
        sent, began = self._clock.wall(), self._clock.steady()
        self.sending.add(task)
        signal: Signal | None = None
        kind: Limited | None = None
        try:
            outcome = await self._transport.send(claim)
            if isinstance(outcome, AccountStopped):
                self.close()  # now, and not only once it is stored: each further call would be wasted
            signal = signal_of(outcome)
            kind = outcome.kind if isinstance(outcome, RateLimited) else None
        finally:
            self.sending.discard(task)
            lane.leave(signal, kind)
        lane.settle(claim, charged, outcome.answer.usage if isinstance(outcome, Succeeded) else None)
        decision = decide(
            outcome,
            tries=claim.tries,
            limited=self._limited.get(claim.job, 0),
            policy=run.policy,
            # The system's own dice are a call of it, and between two threads a place to wait: not for each answer.
            jitter=0.0 if isinstance(outcome, Succeeded) else self._dice.random(),
            outage=lane.outage,
            so_far=claim.so_far(self._terms.largest(claim.model)),
        )
        if isinstance(outcome, RateLimited) and not isinstance(decision, Fail):
            self._limited[claim.job] = self._limited.get(claim.job, 0) + 1
        else:
            self._limited.pop(claim.job, None)
        return await self._store_end(claim, run, lane, outcome, decision, sent=sent, began=began)

    async def _turn_away(self, claim: Claim, run: OpenRun, lane: Lane) -> Ending:
        """A job that is larger than its lane's minute could only block the others for ever."""
        limit = lane.limits.input_tokens
        why = f"about {claim.est_input:,} input tokens are more than the limit of {limit:,} a minute"
        outcome = Refused(reply=Reply(error_type="larger_than_limit", message=why))
        return await self._store_end(claim, run, lane, outcome, Fail(why), sent=None, began=self._clock.steady())

    async def _store_end(
        self,
        claim: Claim,
        run: OpenRun,
        lane: Lane,
        outcome: Outcome,
        decision: Decision,
        *,
        sent: Millis | None,
        began: float,
    ) -> Ending:
        now, seconds = self._clock.wall(), self._clock.steady() - began
        due = Millis(now + round(decision.seconds * 1000)) if isinstance(decision, Wait) else None
        cost = self._terms.cost(claim.model, outcome.answer.usage) if isinstance(outcome, Succeeded) else None
        kept = await self._store.finish(
            Finish(claim=claim, outcome=outcome, decision=decision, sent=sent, ended=now, due=due, cost=cost)
        )
        return Ending(
            claim=claim,
            run=run,
            lane=lane,
            outcome=outcome,
            decision=decision,
            kept=kept,
            at=now,
            began=began,
            seconds=seconds,
            cost=cost,
        )
