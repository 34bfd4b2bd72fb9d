"""What a plan says of Message Batches: how long they take, what becomes of their items, and which calls go wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from batchrun.core.limits import BatchLimits
from batchrun.simulator.effects import Kind, Script, Stage

CALLS = frozenset(
    {kind for kind in Kind if kind.stage in {Stage.EDGE, Stage.API, Stage.AFTER}} | {Kind.SLOW, Kind.TWICE}
)
"""What can happen to a call; TWICE only to a create."""

ITEMS = frozenset({kind for kind in Kind if kind.stage in {Stage.API, Stage.ANSWER, Stage.ITEM}} | {Kind.TOO_LARGE}) - {
    Kind.SLOW,
    Kind.TWICE,
}
"""What can happen to an item."""


class Verb(StrEnum):
    """The six calls."""

    CREATE = "create"
    LIST = "list"
    GET = "get"
    CANCEL = "cancel"
    DELETE = "delete"
    RESULTS = "results"


class Broke(StrEnum):
    """What batches do once the account's money is gone."""

    REFUSE = "refuse"  #: none is accepted; those that are processed go over the cap
    ERRORED = "errored"  #: they are accepted, and their items come out errored


@dataclass(frozen=True, slots=True, kw_only=True)
class Colleague:
    """Somebody else in the workspace, whose first custom_id is `colleague-0`.

    He creates a batch every `every` seconds on average (None: never). A share `alike` of them has as many requests as
    the newest batch of the program under test, the others have `size`. He deletes or archives a share of all batches,
    `after` seconds after their end.
    """

    every: float | None = None
    size: int = 500
    alike: float = 0.5
    deletes: float = 0.0
    archives: float = 0.0
    after: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """Without arguments: healthy batches that take about forty minutes, without limits.

    `items` maps kinds to the share of items that they happen to. `faults` maps kinds to their probability for each
    call, `script` says what happens to the first calls one after the other.
    """

    minutes: float = 40.0  #: of processing: the median of a lognormal …
    spread: float = 0.5  #: … and its sigma
    canceling: float = 30.0  #: seconds from a cancel to the end
    stuck: float = 0.0  #: share of cancelled batches that stay `canceling` until they expire
    limits: BatchLimits | None = None
    broke: Broke = Broke.REFUSE
    cache_hits: float = 0.7  #: share of items that find their prefix in the cache once one has written it
    listed_after: float = 0.0  #: seconds until a new batch is listed …
    known_after: float = 0.0  #: … and until it is found by its id
    reshuffled: bool = True  #: each download comes in an order of its own
    stray: int = 0  #: lines in each download that belong to no item
    origin: str | None = None  #: of `results_url`; None: where the request went to
    items: Mapping[Kind, float] = field(default_factory=dict)
    faults: Mapping[Verb, Mapping[Kind, float]] = field(default_factory=dict)
    script: Mapping[Verb, Script] = field(default_factory=dict)
    colleague: Colleague = field(default_factory=Colleague)
