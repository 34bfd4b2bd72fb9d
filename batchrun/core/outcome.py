"""What the API said to one attempt, as a value; its scope says whom it concerns."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

from batchrun.core.account import Account
from batchrun.core.job import Millis
from batchrun.core.usage import Usage as Usage  # noqa: PLC0414  # also offered here


class Scope(StrEnum):
    JOB = "job"  #: this request alone
    LANE = "lane"  #: one rate-limit pool
    MODEL = "model"  #: every job of this model
    SERVICE = "service"  #: the API as a whole, for a while
    ACCOUNT = "account"  #: every job of the account: nothing more can be sent until somebody acts
    ENVIRONMENT = "environment"  #: the way to the API: proxy, CA, DNS, redirect, captive portal


class Billed(StrEnum):
    YES = "yes"
    NO = "no"
    MAYBE = "maybe"  #: sent, and no answer tells; counted at its worst case


class Flag(StrEnum):
    """What is wrong with an answer that did come. Not an error, and not a plain success either."""

    TRUNCATED = "truncated"  #: stop_reason max_tokens
    REFUSED = "refused"  #: stop_reason refusal
    CONTEXT = "context"  #: stop_reason model_context_window_exceeded
    PAUSED = "paused"  #: stop_reason pause_turn: a server tool wants another turn


FLAGS = {
    "max_tokens": Flag.TRUNCATED,
    "refusal": Flag.REFUSED,
    "model_context_window_exceeded": Flag.CONTEXT,
    "pause_turn": Flag.PAUSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """One dimension of the rate-limit headers: the limit a minute and what is left of it now."""

    limit: int
    remaining: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the headers of an answer told beside the answer. Everything is optional: gateways strip headers."""

    account: Account | None = None
    requests: Meter | None = None
    input_tokens: Meter | None = None
    output_tokens: Meter | None = None
    server_date: Millis | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The facts of one answer, kept with its attempt. All are None or empty where nothing came back."""

    status: int | None = None
    error_type: str | None = None
    error_code: str | None = None
    message: str = ""  #: the server's or the SDK's words, without secrets
    request_id: str | None = None
    other_ids: tuple[str, ...] = ()  #: ids of an edge or gateway, for support
    genuine: bool = False  #: it was the API itself that said no, and said it to the end
    told: Told = field(default_factory=Told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole message: `body` is the JSON text exactly as received, or as put together from a stream."""

    body: str
    stop_reason: str
    usage: Usage
    model: str = ""

    @property
    def flag(self) -> Flag | None:
        return FLAGS.get(self.stop_reason)


class Stop(StrEnum):
    """Why the whole account can do nothing more for now."""

    KEY = "key"  #: missing, wrong, revoked, not allowed
    CREDIT = "credit"  #: prepaid credit is used up
    SPEND_CAP = "spend_cap"  #: a monthly or contract spending limit is reached
    BILLING = "billing"  #: a payment problem
    HOLD = "hold"  #: the organisation is on hold or disabled
    SETUP = "setup"  #: an account setting forbids it (encryption key, user profile, federation)


class Limited(StrEnum):
    """What kind of 429 it was."""

    RATE = "rate"  #: a limit per minute
    RAMP = "ramp"  #: use grew too fast (`ramp_limit_exceeded`)
    CONNECTIONS = "connections"  #: too many at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Succeeded:
    """200 and a whole message. Truncated and refused answers are here too, with a flag."""

    reply: Reply
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The request itself is at fault (400, 413, 422, 404 of a file …): sent again it would be refused again."""

    reply: Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimited:
    """429 that time heals. `retry_after` in seconds, if the server said."""

    reply: Reply
    retry_after: float | None
    kind: Limited = Limited.RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Overloaded:
    """529: the service as a whole is short of capacity; not the user's limit. `billed` as with ServerFailed."""

    reply: Reply
    retry_after: float | None = None
    billed: Billed = Billed.NO


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFailed:
    """5xx, 408, 409, or an error event in a stream: worth another try. `billed` is MAYBE once a stream had begun."""

    reply: Reply
    billed: Billed = Billed.NO
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """Sent, and no whole answer came: time-out, reset, stream cut, answer cut. Possibly billed."""

    reply: Reply
    timed_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreachable:
    """Nothing was sent, or not all of it: DNS, refused connection, TLS, proxy. Environment scope; not billed."""

    reply: Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Misrouted:
    """Something answered that is not the API: a redirect, an HTML page, a captive portal. Environment scope.

    `billed` is MAYBE where a 2xx came back whose body was no message.
    """

    reply: Reply
    billed: Billed = Billed.NO


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUnavailable:
    """404 for the model, or a 403 that concerns one model: park its jobs, go on with the others."""

    reply: Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStopped:
    """Nothing of this account can be sent until somebody acts, or until `until` where the API told it."""

    reply: Reply
    stop: Stop
    until: Millis | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """An item of a batch that was not processed within 24 hours. Not billed."""

    reply: Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Canceled:
    """An item of a batch that was cancelled before it was processed. Not billed. `by_user`: not by our own rescue."""

    reply: Reply
    by_user: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """An item of a batch whose result is of a type that this program does not know. Possibly billed."""

    reply: Reply


Outcome = (
    Succeeded
    | Refused
    | RateLimited
    | Overloaded
    | ServerFailed
    | Dropped
    | Unreachable
    | Misrouted
    | ModelUnavailable
    | AccountStopped
    | Expired
    | Canceled
    | Unknown
)


def billed(outcome: Outcome) -> Billed:
    """Whether *outcome* costs money (errors page 2026-09: errors are not billed; a cut answer may be)."""
    match outcome:
        case Succeeded():
            return Billed.YES
        case Dropped() | Unknown():
            return Billed.MAYBE
        case ServerFailed(billed=known) | Overloaded(billed=known) | Misrouted(billed=known):
            return known
        case Refused() | RateLimited() | Unreachable() | ModelUnavailable() | AccountStopped() | Expired() | Canceled():
            return Billed.NO
        case _:
            assert_never(outcome)


def scope(outcome: Outcome) -> Scope:
    """Whom *outcome* concerns."""
    match outcome:
        case Succeeded() | Refused() | Dropped() | Expired() | Canceled() | Unknown():
            return Scope.JOB
        case RateLimited():
            return Scope.LANE
        case ModelUnavailable():
            return Scope.MODEL
        case Overloaded() | ServerFailed():
            return Scope.SERVICE
        case AccountStopped():
            return Scope.ACCOUNT
        case Unreachable() | Misrouted():
            return Scope.ENVIRONMENT
        case _:
            assert_never(outcome)
