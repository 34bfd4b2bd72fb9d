"""The mistakes that only the queue can see: ids that are taken, and jobs that changed too late."""

from __future__ import annotations

from collections.abc import Sequence

from batchrun.core.job import Job, Where
from batchrun.core.problem import Problem
from batchrun.core.states import OUT, State

SHOWN = 1000
"""Problems of one submit that are kept; more are only counted."""

TWICE = "BR101"
UNBOUNDED = "BR201"
CHANGED = "BR202"
MEANINGS = {
    TWICE: "two jobs of one run have the same id",
    UNBOUNDED: "the cost of a job has no bound, and its run has a cost cap",
    CHANGED: "a job changed although it is out or has its answer",
}


class Mistakes:
    """Collects problems and forgets none: beyond `SHOWN` it counts them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.more = 0

    def add(self, problems: Sequence[Problem]) -> None:
        room = max(0, SHOWN - len(self.problems))
        self.problems += problems[:room]
        self.more += max(0, len(problems) - room)


def twice(key: str, where: Where, first: Where) -> Problem:
    return Problem(
        code=TWICE,
        where=where,
        message=f"the id `{key}` is taken by {first.file}:{first.line}",
        hint="give each job an id of its own",
    )


def unbounded(job: Job) -> Problem:
    why = f" ({job.unbounded})" if job.unbounded else ""
    return Problem(
        code=UNBOUNDED,
        where=job.where,
        message=f"what this job costs at most cannot be told{why}, and its run has a cost cap",
        hint="say `max_cost: 0.50` (dollars) in such jobs, or leave out --max-cost",
        common=True,
    )


def changed(key: str, now: Where, before: Where, state: State) -> Problem:
    """The job `key` stands on other lines *now* and *before*, with another request, and is in *state*."""
    if state in OUT:
        what, hint = "is at Anthropic", "submit it again when its answer is in, or leave it as it is: --changed keep"
    elif state is State.SUCCEEDED:
        what, hint = "has its answer", "--changed keep leaves it, --changed again asks anew (and pays again)"
    else:
        what, hint = f"is {state}", "--changed keep leaves it as it is"
    return Problem(
        code=CHANGED,
        where=now,
        message=f"`{key}` changed since it was submitted from {before.file}:{before.line}, and it {what}",
        hint=hint,
    )
