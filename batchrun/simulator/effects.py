"""What can be made to go wrong, by name; and the marks in a prompt that ask for it.

A prompt that contains `[[simulate: WHAT]]` decides itself what happens to it:

    [[simulate: 529]]                 this each time
    [[simulate: 529 x2]]              the first two requests with this prompt, then nothing more
    [[simulate: 529 x2, drop x1]]     one after the other
    [[simulate: slow 30 + refusal]]   together; a number is seconds

The words are the values of `Kind`; plans use the same ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, StrEnum

from batchrun.errors import UsageError


class Stage(Enum):
    """How far a request comes before it goes wrong. Only what comes to AFTER or ANSWER is accepted and billed.

    Kinds of the stage ITEM happen in batches only.
    """

    EDGE = "before the API"
    API = "an error of the API"
    AFTER = "after the work"
    ANSWER = "in the answer"
    ITEM = "to an item of a batch"


class Kind(StrEnum):
    """One thing that goes wrong. The comment says what the client sees."""

    REFUSE = "refuse"  #: no connection (over loopback, where there is one already: reset)
    DROP = "drop"  #: the connection is reset without an answer; the API never saw the request
    REDIRECT = "redirect"  #: 307 to a login page elsewhere
    HTML = "html"  #: 200 with a web page, as captive portals give
    BLOCKED = "blocked"  #: 403 with a web page and no request id
    GATEWAY = "502"  #: 502 with a web page and no request id
    TOO_LARGE = "413"  #: 413 from the edge, without a request id

    INVALID = "400"
    KEY = "401"
    BILLING = "402"
    FORBIDDEN = "403"
    MISSING = "404"  #: the model is not found
    TIMED_OUT = "408"
    CONFLICT = "409"
    LIMITED = "429"  #: with retry-after: the seconds given, else 5
    BARE_LIMITED = "429-bare"  #: without retry-after and code
    RAMP = "ramp"  #: 429 `ramp_limit_exceeded`, with retry-after
    CONNECTIONS = "connections"  #: 429, too many connections at once
    SPEND_CAP = "spend-cap"  #: 429 `enforced_spend_limit_reached`, without retry-after
    CONTRACT_CAP = "contract-cap"  #: 429 `contract_spend_limit_reached`
    CREDIT = "credit"  #: 400, the credit balance is too low
    USAGE_LIMIT = "usage-limit"  #: 400, the limit that the organisation set itself
    HOLD = "hold"  #: 400 `organization_on_hold`
    DISABLED = "disabled"  #: 400, the organisation has been disabled
    FAILED = "500"
    NOT_NOW = "503"
    SLOW_GATEWAY = "504"
    OVERLOADED = "529"

    FAILED_LATE = "500-late"  #: 500 after the work was done and billed
    OVERLOADED_LATE = "529-late"  #: 529 after the work was done and billed
    LOSE = "lose"  #: the connection closes without an answer after the work was done and billed
    CUT = "cut"  #: the connection closes in the middle of the answer or stream
    SHORT = "short"  #: the answer ends early as if it were whole: broken JSON, or no `message_stop`
    STALL = "stall"  #: half the answer, then silence for the seconds given, else 900; then the connection closes
    ERROR_EVENT = "error-event"  #: an `error` event in the middle of the stream; 500-late where there is none

    REFUSAL = "refusal"  #: stop_reason refusal
    TRUNCATE = "truncate"  #: stop_reason max_tokens
    CONTEXT = "context"  #: stop_reason model_context_window_exceeded
    PAUSE = "pause"  #: stop_reason pause_turn; it goes on from there when that is sent back
    EMPTY = "empty"  #: end_turn with no content
    SLOW = "slow"  #: the seconds given, else 30, are added to the latency
    TWICE = "twice"  #: only to a create: a gateway sends it twice, so two batches stand, and one is told
    NO_LINE = "no-line"  #: only to an item: it succeeds, and its line never appears
    ODD_TYPE = "odd-type"  #: only to an item: its result is of a type that nobody knows

    EXPIRED = "expired"  #: an item that was not done within 24 hours

    @property
    def stage(self) -> Stage:
        return _STAGES[self]


_EDGE = (Kind.REFUSE, Kind.DROP, Kind.REDIRECT, Kind.HTML, Kind.BLOCKED, Kind.GATEWAY, Kind.TOO_LARGE)
_AFTER = (Kind.FAILED_LATE, Kind.OVERLOADED_LATE, Kind.LOSE, Kind.CUT, Kind.SHORT, Kind.STALL, Kind.ERROR_EVENT)
_ANSWER = (
    *(Kind.REFUSAL, Kind.TRUNCATE, Kind.CONTEXT, Kind.PAUSE, Kind.EMPTY, Kind.SLOW),
    *(Kind.TWICE, Kind.NO_LINE, Kind.ODD_TYPE),
)
_STAGES = {
    **dict.fromkeys(Kind, Stage.API),
    **dict.fromkeys(_EDGE, Stage.EDGE),
    **dict.fromkeys(_AFTER, Stage.AFTER),
    **dict.fromkeys(_ANSWER, Stage.ANSWER),
    Kind.EXPIRED: Stage.ITEM,
}


@dataclass(frozen=True, slots=True)
class Effect:
    """`seconds` is for kinds that take a number."""

    kind: Kind
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """Effects that come together, for so many requests; None is for all that follow."""

    effects: tuple[Effect, ...]
    times: int | None = None


Script = tuple[Step, ...]

TIMED = frozenset({Kind.LIMITED, Kind.RAMP, Kind.CONNECTIONS, Kind.OVERLOADED, Kind.NOT_NOW, Kind.STALL, Kind.SLOW})
_MARK = re.compile(rb"\[\[simulate:([^\]]*)\]\]")
_TIMES = re.compile(r"\s+x(\d+)$")


def at(script: Script, nth: int) -> tuple[Effect, ...]:
    """What happens to the *nth* request (from 0) of a prompt with *script*."""
    for step in script:
        if step.times is None or nth < step.times:
            return step.effects
        nth -= step.times
    return ()


def marks(body: bytes) -> Script:
    """The script in a request's body; empty if it has no mark. Raises UsageError for one that means nothing."""
    return tuple(step for mark in _MARK.findall(body) for step in parse(mark.decode(errors="replace")))


def parse(text: str) -> Script:
    """A script from its words. Raises UsageError."""
    return tuple(_step(part.strip()) for part in text.split(","))


def _step(text: str) -> Step:
    times = _TIMES.search(text)
    words = text[: times.start()] if times else text
    return Step(tuple(_effect(part.strip()) for part in words.split("+")), int(times[1]) if times else None)


def _effect(text: str) -> Effect:
    word, _, number = text.partition(" ")
    try:
        kind = Kind(word)
    except ValueError:
        known = ", ".join(Kind)
        raise UsageError(f"cannot simulate `{word}`", f"one of {known}") from None
    if not number:
        return Effect(kind)
    try:
        seconds = float(number)
    except ValueError:
        seconds = -1.0
    if seconds < 0 or kind not in TIMED:
        raise UsageError(f"cannot simulate `{text}`", "write seconds after " + ", ".join(sorted(TIMED)))
    return Effect(kind, seconds)
