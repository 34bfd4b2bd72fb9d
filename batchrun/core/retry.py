"""What becomes of a job after an outcome: one decision, no clock, no dice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from batchrun.core.outcome import (
    AccountStopped,
    Billed,
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
    ServerFailed,
    Succeeded,
    Unknown,
    Unreachable,
    billed,
)

LONGEST = 24 * 60 * 60.0
"""Seconds that anything waits at most, whatever the server asks: a day later it is worth one more request."""

_REFUSED = "the same request would be refused again"
_UNKNOWN = "its result is of a type that is not known; it may be an answer that was paid for"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """At most `tries` counted tries; waits of `first` seconds doubling to `cap` (529: `overload_cap`), full jitter."""

    tries: int = 5
    first: float = 1.0
    cap: float = 60.0
    overload_cap: float = 300.0
    limited: int = 20  #: a job refused this often by a rate limit that lets others pass is larger than the limit

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


Decision = Succeed | Fail | Wait | Release | Cancel


def decide(
    outcome: Outcome, *, tries: int, limited: int, policy: RetryPolicy, jitter: float, outage: bool = False
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
        case Succeeded():
            return Succeed()
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


def _again(nth: int, policy: RetryPolicy, seconds: float) -> Decision:
    if nth >= policy.tries:
        return Fail(f"gave up after {nth} tries")
    return _wait(seconds, counts=True)


def _wait(seconds: float, *, counts: bool) -> Wait:
    return Wait(min(seconds, LONGEST), counts)
