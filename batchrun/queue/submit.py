"""What a submit asks of the queue, and what it is told: values only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from batchrun.core.claim import OnCrash
from batchrun.core.job import Job, Millis, Nanos, RunId
from batchrun.core.problem import Problem
from batchrun.core.retry import OnRefused, OnTruncated

MOST_PILOTS = 20
"""Shapes of one run that get a pilot. A run whose every job has another shape is not sent realtime as a whole."""


class Changed(StrEnum):
    """What to do with a job whose request in the file changed although it is out or has its answer."""

    KEEP = "keep"  #: leave it as it is
    AGAIN = "again"  #: ask anew where the answer is there; what is out stays a problem


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTerms:
    """What a submit says of its run as a whole. None: the default for a new run, no change for a known one."""

    mode: str | None = None  #: "auto" by default
    priority: int | None = None  #: 0 by default
    deadline: Millis | None = None
    on_crash: OnCrash | None = None  #: retry by default
    tries: int | None = None  #: 5 by default
    betas: tuple[str, ...] | None = None
    headers: Mapping[str, str] | None = None
    budget: Nanos | None = None
    pilot: int | None = None  #: 1 by default: one job of each shape goes realtime before a batch of its like
    look: bool | None = None  #: the first `pilot` jobs of this submit go, then a person looks at them; False by default
    on_unclear: str | None = None  #: "wait" by default
    on_truncated: OnTruncated | None = None  #: keep by default
    on_refused: OnRefused | None = None  #: keep by default
    tags: tuple[str, ...] | None = None
    hours: str | None = None  #: when its jobs may be sent, as `core.hours` reads it; always by default

    @property
    def first(self) -> int | None:
        """How many jobs of this submit go first; None where its shapes decide."""
        return self.pilot if self.look else None

    def columns(self) -> dict[str, Any]:
        """Those that were said, as `runs` holds them."""
        said = {
            "mode": self.mode,
            "priority": self.priority,
            "deadline": self.deadline,
            "on_crash": self.on_crash,
            "tries": self.tries,
            "betas": None if self.betas is None else json.dumps(self.betas),
            "headers": None if self.headers is None else json.dumps(dict(self.headers)),
            "budget": self.budget,
            "pilot": self.pilot,
            "look": None if self.look is None else int(self.look),
            "on_unclear": self.on_unclear,
            "on_truncated": self.on_truncated,
            "on_refused": self.on_refused,
            "tags": None if self.tags is None else json.dumps(self.tags, ensure_ascii=False),
            "hours": self.hours,
        }
        return {name: value for name, value in said.items() if value is not None}


@dataclass(slots=True, kw_only=True)
class Totals:
    """What jobs of one model weigh together."""

    jobs: int = 0
    est_input: int = 0
    max_tokens: int = 0
    worst: int = 0  #: nano-dollars in realtime, of those whose cost has a bound
    unbounded: int = 0  #: jobs whose cost has none

    def add(self, est_input: int, max_tokens: int, worst: int | None) -> None:
        """One job more."""
        self.jobs += 1
        self.est_input += est_input
        self.max_tokens += max_tokens
        if worst is None:
            self.unbounded += 1
        else:
            self.worst += worst

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            jobs=self.jobs + other.jobs,
            est_input=self.est_input + other.est_input,
            max_tokens=self.max_tokens + other.max_tokens,
            worst=self.worst + other.worst,
            unbounded=self.unbounded + other.unbounded,
        )


def tally(totals: dict[str, Totals], job: Job) -> None:
    """Add *job* to the totals of its model."""
    total = totals.get(job.model)
    if total is None:
        total = totals[job.model] = Totals()
    total.add(job.est_input, job.max_tokens, job.worst)


def plus(one: Mapping[str, Totals], other: Mapping[str, Totals]) -> Mapping[str, Totals]:
    """The totals of both, by model."""
    return {model: one.get(model, Totals()) + other.get(model, Totals()) for model in {**one, **other}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What a submit adds, or added. While there are `problems` it adds nothing.

    `totals` are of what is added: new and replaced jobs; `realtime` of those among them that go realtime whatever the
    run's way: pilots, and what batches refuse. At most `mistakes.SHOWN` problems are listed; `problems_more`
    counts the others.
    """

    run: RunId
    name: str
    fresh: bool  #: a new run, not more jobs in a known one
    new: int = 0
    unchanged: int = 0
    replaced: int = 0
    kept: int = 0
    problems: tuple[Problem, ...] = ()
    problems_more: int = 0
    totals: Mapping[str, Totals] = field(default_factory=dict)
    realtime: Mapping[str, Totals] = field(default_factory=dict)
    pilots: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Same:
    """The run that the very same inputs made before."""

    run: RunId
    name: str
