"""What one outcome means for all the other jobs: lanes rest, models and accounts pause, the way to the API closes."""

from __future__ import annotations

import re
from typing import assert_never

from batchrun.core.claim import Claim, Kept
from batchrun.core.events import (
    Event,
    JobAsksOn,
    JobFailed,
    JobSucceeded,
    JobWaits,
    LimitsLearned,
    Throttled,
)
from batchrun.core.job import Nanos, RunId
from batchrun.core.outcome import (
    AccountStopped,
    Canceled,
    Dropped,
    Expired,
    Flag,
    Misrouted,
    ModelUnavailable,
    Outcome,
    Overloaded,
    RateLimited,
    Refused,
    Reply,
    Scope,
    ServerFailed,
    Stop,
    Succeeded,
    Unknown,
    Unreachable,
    Usage,
    scope,
)
from batchrun.core.pause import PauseScope
from batchrun.core.ports import Clock
from batchrun.core.retry import Cancel, Extend, Fail, GoOn, Release, Succeed, Wait
from batchrun.scheduler.circuit import Circuit
from batchrun.scheduler.realtime import Ending
from batchrun.scheduler.standing import Standing

ALIKE = 25
"""Refusals in a row, of different jobs and in the same words, after which their run pauses."""


def event_of(ending: Ending) -> Event:
    """What became of the job, for whoever listens."""
    claim, outcome, decision = ending.claim, ending.outcome, ending.decision
    reply = outcome.reply
    error = reply.error_code or reply.error_type or type(outcome).__name__.lower()
    if isinstance(outcome, Succeeded):
        error = outcome.answer.stop_reason
    if ending.kept is Kept.EARLIER:
        return _fell_back(ending)
    if isinstance(outcome, Succeeded) and not _goes_on(ending):
        return JobSucceeded(
            at=ending.at,
            run=claim.run,
            job=claim.job,
            key=claim.key,
            attempt=claim.attempt,
            usage=outcome.answer.usage,
            cost=ending.cost,
            seconds=ending.seconds,
            flag=outcome.answer.flag,
            late=ending.kept is not Kept.CURRENT,
        )
    match decision:
        case Wait(seconds=seconds, counts=counts):
            pass
        case Release() | Succeed():
            seconds, counts = 0.0, False
        case Extend() | GoOn():
            return _asks_on(ending)
        case Fail() | Cancel():
            return JobFailed(
                at=ending.at,
                run=claim.run,
                job=claim.job,
                key=claim.key,
                attempt=claim.attempt,
                status=reply.status,
                error=error,
                message=reply.message,
                request_id=reply.request_id,
                cost=ending.cost if isinstance(outcome, Succeeded) else Nanos(0),
            )
        case _:
            assert_never(decision)
    return JobWaits(
        at=ending.at,
        run=claim.run,
        job=claim.job,
        key=claim.key,
        attempt=claim.attempt,
        status=reply.status,
        error=error,
        seconds=seconds,
        counts=counts,
    )


def _goes_on(ending: Ending) -> bool:
    """The answer is not what becomes of the job."""
    return ending.kept in {Kept.STALE, Kept.ASIDE} or isinstance(ending.decision, Fail)


def _asks_on(ending: Ending) -> Event:
    claim, outcome, decision = ending.claim, ending.outcome, ending.decision
    assert isinstance(outcome, Succeeded)
    return JobAsksOn(
        at=ending.at,
        run=claim.run,
        job=claim.job,
        key=claim.key,
        attempt=claim.attempt,
        flag=Flag.TRUNCATED if isinstance(decision, Extend) else Flag.PAUSED,
        max_tokens=decision.max_tokens if isinstance(decision, Extend) else None,
        usage=outcome.answer.usage,
        cost=ending.cost,
    )


def _fell_back(ending: Ending) -> Event:
    """Nothing better came than an answer that was kept; what that cost was told when it came."""
    claim = ending.claim
    return JobSucceeded(
        at=ending.at,
        run=claim.run,
        job=claim.job,
        key=claim.key,
        attempt=claim.attempt,
        usage=Usage(),
        cost=Nanos(0),
        seconds=ending.seconds,
        flag=Flag.TRUNCATED if claim.extended else Flag.PAUSED,
        late=False,
    )


class Heed:
    """Hears every ending and does what it asks beyond the job itself; `stopped`: the account can do no more."""

    def __init__(self, standing: Standing, circuit: Circuit, clock: Clock) -> None:
        self.stopped: tuple[Stop, Reply] | None = None
        self._standing = standing
        self._circuit = circuit
        self._clock = clock
        self._alike: dict[RunId, tuple[str, int]] = {}

    async def hear(self, ending: Ending) -> list[Event]:
        """Everything that follows from *ending*, done; returns the events that tell of it."""
        events = [event_of(ending), *self._learn(ending)]
        claim, lane, outcome, now = ending.claim, ending.lane, ending.outcome, ending.at
        if scope(outcome) is not Scope.ENVIRONMENT:
            self._circuit.close(ending.began)
        match outcome:
            case Succeeded():
                self._alike.pop(claim.run, None)
                events += await self._standing.answered(claim, now, scopes=set(PauseScope))
            case Refused(reply=reply):
                if reply.status is not None:
                    # The API served it, so account and model are well; what the run is paused for has not changed.
                    served = {PauseScope.ACCOUNT, PauseScope.MODEL}
                    events += await self._standing.answered(claim, now, scopes=served)
                    events += await self._pilot_refused(ending, reply) or await self._alike_refusal(ending, reply)
            case RateLimited(retry_after=after, kind=kind):
                seconds = lane.rest(after)
                await lane.rest_for_all(seconds)
                events.append(Throttled(at=now, lane=lane.name, why=kind, seconds=seconds))
            case Overloaded(retry_after=after):
                events.append(Throttled(at=now, lane=lane.name, why="overloaded", seconds=lane.rest(after)))
            case ServerFailed() | Dropped() | Expired() | Canceled() | Unknown():
                pass
            case Unreachable(reply=reply) | Misrouted(reply=reply):
                self._circuit.fail(reply, self._clock.steady())
            case ModelUnavailable(reply=reply):
                events += await self._standing.pause(
                    PauseScope.MODEL, claim=claim, reason="model", reply=reply, until=None, now=now
                )
            case AccountStopped(reply=reply, stop=stop, until=until):
                self.stopped = (stop, reply)
                events += await self._standing.pause(
                    PauseScope.ACCOUNT, claim=claim, reason=stop, reply=reply, until=until, now=now
                )
            case _:
                assert_never(outcome)
        self._standing.free(claim)
        return events

    async def hear_call(
        self, outcome: Outcome, claim: Claim | None, began: float, *, hopeless: bool = False
    ) -> list[Event]:
        """What follows from a call that was about batches; *claim* is a job on whose behalf it was made, if any was.

        *hopeless*: batches of its run are refused as such.
        """
        now = self._clock.wall()
        if scope(outcome) is not Scope.ENVIRONMENT:
            self._circuit.close(began)
        if isinstance(outcome, AccountStopped):
            self.stopped = (outcome.stop, outcome.reply)
            if claim is None:
                return []  # it costs nothing to be told again: the next call is free
            return await self._standing.pause(
                PauseScope.ACCOUNT,
                claim=claim,
                reason=outcome.stop,
                reply=outcome.reply,
                until=outcome.until,
                now=now,
            )
        if scope(outcome) is Scope.ENVIRONMENT:
            self._circuit.fail(outcome.reply, self._clock.steady())
        if hopeless and claim is not None:
            return await self._standing.pause(
                PauseScope.RUN, claim=claim, reason="refusals", reply=outcome.reply, until=None, now=now
            )
        return []

    def _learn(self, ending: Ending) -> list[Event]:
        if not ending.lane.learn(ending.outcome.reply.told):
            return []
        limits = ending.lane.limits
        return [
            LimitsLearned(
                at=ending.at,
                lane=ending.lane.name,
                requests=limits.requests,
                input_tokens=limits.input_tokens,
                output_tokens=limits.output_tokens,
                source="headers",
            )
        ]

    async def _pilot_refused(self, ending: Ending, reply: Reply) -> list[Event]:
        """What is refused now would be refused a thousand times in a batch: somebody should look first."""
        if not ending.claim.pilot:
            return []
        return await self._standing.pause(
            PauseScope.RUN, claim=ending.claim, reason="pilot", reply=reply, until=None, now=ending.at
        )

    async def _alike_refusal(self, ending: Ending, reply: Reply) -> list[Event]:
        """A net under the classification: a whole run refused in one voice has one cause, and needs a person."""
        claim = ending.claim
        words = f"{reply.status} {reply.error_type} {re.sub(r'[0-9]+', '#', reply.message)}"
        before, n = self._alike.get(claim.run, ("", 0))
        n = n + 1 if words == before else 1
        self._alike[claim.run] = (words, n)
        if n < ALIKE and not self._standing.asks(claim, PauseScope.RUN):
            return []
        return await self._standing.pause(
            PauseScope.RUN, claim=claim, reason="refusals", reply=reply, until=None, now=ending.at
        )
