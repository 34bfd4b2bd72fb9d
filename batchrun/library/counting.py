"""Counting the input of jobs by the API's own free count: of all, or of a sample from which the rest is told."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from batchrun.core.job import Job
from batchrun.core.outcome import Outcome, Refused
from batchrun.core.ports import TokenCounter
from batchrun.library.batches import NoAnswer
from batchrun.library.request import request_of
from batchrun.scheduler.ending import said
from batchrun.settings import Settings
from batchrun.wiring import ask_counter

SAMPLE = 400
"""Jobs of one kind that are counted: enough to tell the mean of a kind to some per cent."""

KINDS = 20
"""Kinds that are sampled each by itself; those of one model beyond that are one."""

AT_ONCE = 8
"""Calls under way together; the port sets the pace."""

NAMED = 5
"""Refused requests that are kept to be named."""

Seen = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request to be counted, and what it was estimated to weigh."""

    name: str  #: for people: its id, and its place where it has one
    text: str  #: JSON
    est_input: int


@dataclass(slots=True, kw_only=True)
class Kind:
    """Jobs that are alike, and a sample of them by chance."""

    model: str
    jobs: int = 0
    est_input: int = 0
    sample: list[Request]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What was counted. `ratios`: by model, the input for each token that was estimated."""

    requests: int
    jobs: int  #: that they stand for
    ratios: Mapping[str, float]
    error: float  #: how far off the sum of all input may be, as a part of it (95 %); 0 where all was counted
    refused: Sequence[str]  #: what the API said to the first requests that it would refuse, with their names
    more_refused: int
    broken_off: bool  #: Ctrl-C, before all of the sample was counted


class Tasting:
    """Takes a sample of the jobs that pass by: `SAMPLE` of each kind, or *every* one."""

    def __init__(self, *, every: bool) -> None:
        self._most = None if every else SAMPLE
        self._dice = Random(0)  # noqa: S311  # the same sample each time, and nothing secret
        self._kinds: dict[tuple[str, bytes], Kind] = {}

    def __call__(self, job: Job) -> None:
        key = (job.model, job.shape)
        if key not in self._kinds and len(self._kinds) >= KINDS:
            key = (job.model, b"")
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = Kind(model=job.model, sample=[])
        kind.jobs += 1
        kind.est_input += job.est_input
        if self._most is None or len(kind.sample) < self._most:
            kind.sample.append(_request(job))
        elif (place := self._dice.randrange(kind.jobs)) < self._most:
            kind.sample[place] = _request(job)

    @property
    def kinds(self) -> Sequence[Kind]:
        return list(self._kinds.values())


def _request(job: Job) -> Request:
    return Request(name=f"{job.key} ({job.where})", text=request_of(job), est_input=job.est_input)


def count(settings: Settings, kinds: Sequence[Kind], seen: Seen) -> Counted:
    """Ask the API for the input of each sample. *seen* is told how many it has counted.

    Ctrl-C ends it with what is counted by then. Raises NoAnswer, KeyRefused, UsageError.
    """
    found = _Found(seen)

    async def question(counter: TokenCounter) -> None:
        waiting = iter([(n, request) for n, kind in enumerate(kinds) for request in kind.sample])
        workers = [asyncio.create_task(found.ask(counter, waiting)) for _ in range(AT_ONCE)]
        try:
            await asyncio.gather(*workers)
        except asyncio.CancelledError:
            found.broken_off = True
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    ask_counter(settings, question)
    return _told(kinds, found)


class _Found:
    """What the API said so far."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self.counts: dict[int, list[tuple[int, int]]] = {}  # by kind: what was estimated and what was counted
        self.refused: list[str] = []
        self.more = 0
        self.broken_off = False
        self.n = 0

    async def ask(self, counter: TokenCounter, waiting: Iterable[tuple[int, Request]]) -> None:
        for kind, request in waiting:
            told = await counter.count_tokens(json.loads(request.text))
            self.n += 1
            self._seen(self.n)
            if isinstance(told, int):
                self.counts.setdefault(kind, []).append((request.est_input, told))
            elif isinstance(told, Refused):
                self._refuse(f"{request.name}: {told.reply.message}")
            else:
                raise _no(told)

    def _refuse(self, message: str) -> None:
        if len(self.refused) < NAMED:
            self.refused.append(message)
        else:
            self.more += 1


def _no(outcome: Outcome) -> NoAnswer:
    return NoAnswer(f"the API counts no tokens {said(outcome.reply)}".rstrip(), hint="estimate without --exact")


def _told(kinds: Sequence[Kind], found: _Found) -> Counted:
    """Each kind weighs what was estimated, times what its sample counted for each token estimated."""
    before: dict[str, float] = {}
    after: dict[str, float] = {}
    variance = 0.0
    for n, kind in enumerate(kinds):
        pairs = found.counts.get(n)
        ratio = sum(told for _, told in pairs) / sum(est for est, _ in pairs) if pairs else 1.0
        before[kind.model] = before.get(kind.model, 0.0) + kind.est_input
        after[kind.model] = after.get(kind.model, 0.0) + kind.est_input * ratio
        variance += _variance(kind, pairs or [], ratio)
    whole = sum(after.values())
    return Counted(
        requests=found.n,
        jobs=sum(kind.jobs for kind in kinds),
        ratios={model: after[model] / before[model] for model in after if before[model]},
        error=1.96 * math.sqrt(variance) / whole if whole else 0.0,
        refused=found.refused,
        more_refused=found.more,
        broken_off=found.broken_off,
    )


def _variance(kind: Kind, pairs: Sequence[tuple[int, int]], ratio: float) -> float:
    """Of the sum of a kind, told by the ratio of a sample without repetition; 0 where all of it was counted."""
    n = len(pairs)
    if n >= kind.jobs or n < 2:
        return 0.0
    spread = sum((told - ratio * est) ** 2 for est, told in pairs) / (n - 1)
    return kind.jobs**2 * (1 - n / kind.jobs) * spread / n
