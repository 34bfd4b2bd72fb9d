"""What becomes of a job after an outcome: one decision, no clock, no dice."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from batchrun.core.outcome import (
    AccountStopped,
    Answer,
    Billed,
    Canceled,
    Dropped,
    Expired,
    Flag,
    Limited,
    Misrouted,
    ModelUnavailable,
    Outcome,
    Overloaded,
    RateLimited,
    Refused,
    ServerFailed,
    Succeeded,
    Unknown,
    Unreachable,
    billed,
)

LONGEST = 24 * 60 * 60.0
"""Seconds that anything waits at most, whatever the server asks: a day later it is worth one more request."""

EXTENSIONS = 2
"""How often a job whose answer was cut off is asked again with twice the room."""

TURNS = 10
"""How often a job whose model paused (`pause_turn`) is gone on with: a guess at what no sound request needs."""

_REFUSED = "the same request would be refused again"
_DECLINED = "the model refused to answer"
_UNKNOWN = "its result is of a type that is not known; it may be an answer that was paid for"


class OnTruncated(StrEnum):
    """What becomes of an answer that was cut off at `max_tokens`."""

    KEEP = "keep"
    RETRY = "retry"


class OnRefused(StrEnum):
    """What becomes of a job that the model refused to answer."""

    KEEP = "keep"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """At most `tries` counted tries; waits of `first` seconds doubling to `cap` (529: `overload_cap`), full jitter."""

    tries: int = 5
    first: float = 1.0
    cap: float = 60.0
    overload_cap: float = 300.0
    limited: int = 20  #: a job refused this often by a rate limit that lets others pass is larger than the limit
    on_truncated: OnTruncated = OnTruncated.KEEP
    on_refused: OnRefused = OnRefused.KEEP

    def backoff(self, nth: int, jitter: float, *, cap: float | None = None) -> float:
        """Seconds to wait after the *nth* try (from 1); *jitter* in [0, 1) spreads it over the whole range."""
        ceiling = min(self.first * 2.0 ** min(nth - 1, 30), self.cap if cap is None else cap)
        return ceiling * jitter


@dataclass(frozen=True, slots=True)
class Succeed:
    """The answer is the job's result."""


@dataclass(frozen=True, slots=True)
class Fail:
    why: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Try again in `seconds` (at most `LONGEST`); `counts` tells whether it was one of the job's tries."""

    seconds: float
    counts: bool


@dataclass(frozen=True, slots=True)
class Release:
    """Back to the queue at once, and no try: the job was not at fault."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """The user's wish; no answer came."""


@dataclass(frozen=True, slots=True)
class Extend:
    """The answer was cut off: keep it aside, and ask again at once with room for `max_tokens`. It is a try."""

    max_tokens: int


@dataclass(frozen=True, slots=True)
class GoOn:
    """The model paused: keep what it said aside, and send it back at once so that it goes on. It is no try."""


Decision = Succeed | Fail | Wait | Release | Cancel | Extend | GoOn


@dataclass(frozen=True, slots=True, kw_only=True)
class SoFar:
    """What a job has had of answers that were not the end, and what room its answer has."""

    kept: bool = False  #: one of them is the job's if no better one comes
    extended: int = 0
    turns: int = 0
    max_tokens: int = 0
    largest: int | None = None  #: the largest `max_tokens` that its model takes; None where it is not known


ALL_NEW = SoFar()


def decide(
    outcome: Outcome,
    *,
    tries: int,
    limited: int,
    policy: RetryPolicy,
    jitter: float,
    outage: bool = False,
    so_far: SoFar = ALL_NEW,
) -> Decision:
    """What to do with a job after *outcome*, when it had *tries* counted tries and *limited* free ones before this.

    `jitter` is a random number in [0, 1). Waiting for a rate limit and everything that concerns more than this job
    (model, account, surroundings) costs no try; nor does a failing service while nothing else succeeds (*outage*).
    What is possibly billed always costs one.
    Only a job that a plain rate limit refuses again and again while it lets others pass fails by that: it is too large.
    """
    nth = tries + 1
    free = outage and billed(outcome) is Billed.NO  # what may have cost money is bounded, whoever is at fault
    match outcome:
        case Succeeded(answer=answer):
            return _answered(answer, nth, policy, so_far)
        case Refused() | Unknown():
            return Fail(_REFUSED if isinstance(outcome, Refused) else _UNKNOWN)
        case RateLimited(kind=Limited.RATE) if limited + 1 >= policy.limited and not outage:
            return Fail(f"{limited + 1} times over the rate limit; it may be larger than a minute's limit")
        case RateLimited(retry_after=after):
            # Jitter on top of what the server asked keeps a thousand jobs from coming back in one moment.
            least = policy.backoff(limited + 1, 1.0) if after is None else max(after, 0.0)
            return _wait(least + policy.backoff(1, jitter), counts=False)
        case Overloaded(retry_after=after):
            seconds = max(after or 0.0, policy.backoff(nth, jitter, cap=policy.overload_cap))
            return _wait(seconds, counts=False) if free else _again(nth, policy, seconds)
        case ServerFailed(retry_after=after):
            seconds = max(after or 0.0, policy.backoff(nth, jitter))
            return _wait(seconds, counts=False) if free else _again(nth, policy, seconds)
        case Dropped() | Misrouted(billed=Billed.MAYBE):
            return _again(nth, policy, policy.backoff(nth, jitter))
        case Expired():
            return _again(nth, policy, 0.0)
        case Unreachable() | Misrouted():
            return _wait(policy.backoff(nth, jitter), counts=False)
        case ModelUnavailable() | AccountStopped():
            return Release()
        case Canceled(by_user=by_user):
            return Cancel() if by_user else Release()
        case _:
            assert_never(outcome)


def _answered(answer: Answer, nth: int, policy: RetryPolicy, so_far: SoFar) -> Decision:
    match answer.flag:
        case Flag.TRUNCATED:
            room = 2 * so_far.max_tokens
            if so_far.largest is not None:
                room = min(room, so_far.largest)
            wanted = policy.on_truncated is OnTruncated.RETRY and so_far.extended < EXTENSIONS and nth < policy.tries
            return Extend(room) if wanted and room > so_far.max_tokens else Succeed()
        case Flag.PAUSED:
            return GoOn() if so_far.turns < TURNS else Succeed()
        case Flag.REFUSED:
            # Even an answer that was cut off is better than none.
            return Fail(_DECLINED) if policy.on_refused is OnRefused.FAIL or so_far.kept else Succeed()
        case Flag.CONTEXT | None:
            return Succeed()
        case _:
            assert_never(answer.flag)


def _again(nth: int, policy: RetryPolicy, seconds: float) -> Decision:
    if nth >= policy.tries:
        return Fail(f"gave up after {nth} tries")
    return _wait(seconds, counts=True)


def _wait(seconds: float, *, counts: bool) -> Wait:
    return Wait(min(seconds, LONGEST), counts)
