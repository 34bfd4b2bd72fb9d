"""What one pass is told at its start and what it tells at its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from batchrun.core.account import Account
from batchrun.core.claim import WorkerCard
from batchrun.core.job import Nanos, RunId
from batchrun.core.limits import Limits, LimitTable
from batchrun.core.outcome import Usage
from batchrun.errors import Exit


def _unknown(_model: str) -> int | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms of one pass over everything that is due."""

    card: WorkerCard
    fingerprint: str  #: of the key and the origin it is used at
    stand_in: Account  #: who the account is where the API does not say
    limits: LimitTable
    tier: str  #: the row of the table to start from
    custom: Mapping[str, Limits] = field(default_factory=dict)  #: by lane; the user's word wins over all others
    most: int = 64  #: requests in flight in one lane at most
    cost: Callable[[str, Usage], Nanos | None]  #: of one realtime answer by model; None where no price is known
    batch_cost: Callable[[str, Usage], Nanos | None]  #: of one answer of a batch
    largest: Callable[[str], int | None] = _unknown  #: `max_tokens` that a model takes; None where it is not known
    batch_percent: int = 50  #: of the realtime price that a batch costs at most
    batch_queue: int | None = None  #: requests that may wait to be processed in all batches; None: no limit is known
    detach: bool = False  #: end once everything is sent; do not wait for batches that are out
    grace: float = 60.0  #: seconds that what is in flight has to come home when the pass drains
    only: RunId | None = None  #: one run, and no other
    patient: bool = False  #: stay until nothing is left, though another worker looks after what is out
    once: bool = False  #: do what is due now and end; do not wait for what is due later
    max_cost: Nanos | None = None  #: what this pass may spend


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a pass ended. `exit` speaks of the pass alone, not of failed jobs; `message` and `hint` are for a person."""

    exit: Exit
    message: str = ""
    hint: str = ""
    done: tuple[tuple[RunId, str], ...] = ()  #: runs whose last job became final in this pass
    spent: Nanos
