"""Answers that are not the end of it: kept aside while the job is asked again, and the job's if no better one comes.

The request in the file stays as it is: more room is an override, what the model said before it paused stands apart.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from batchrun.core.claim import Claim, Finish
from batchrun.core.outcome import Answer, Succeeded
from batchrun.core.retry import Extend, GoOn
from batchrun.core.states import FINAL, State
from batchrun.queue import jobs as arrows
from batchrun.queue.attempts import charge
from batchrun.queue.bodies import object_of, pieces_of, said_by, whole
from batchrun.queue.statement import Statement, lit, param
from batchrun.queue.tables import jobs, requests, runs, shared
from batchrun.queue.transaction import Transaction

# The most that a job can cost at most doubles: with twice the room for its answer, and with the answer as new input,
# for no model takes more for input than for output.
_WORST = jobs.c.worst * lit(2)
_EXTEND = arrows.held(
    "extend",
    kept=param("n"),
    extended=jobs.c.extended + lit(1),
    tries=jobs.c.tries + lit(1),
    max_tokens=param("room"),
    worst=_WORST,
    error=sa.null(),
)
_GO_ON = arrows.held(
    "go_on",
    kept=param("n"),
    turns=jobs.c.turns + lit(1),
    est_input=param("input"),
    size=jobs.c.size + param("more"),
    worst=_WORST,
    error=sa.null(),
)
_KEEP = Statement(
    jobs.update()
    .where(jobs.c.id == param("it"), jobs.c.asked <= param("n"))
    .where(jobs.c.state.not_in([lit(state) for state in sorted({*FINAL, State.HELD})]))
    .values(kept=sa.func.coalesce(jobs.c.kept, param("n")))
)
_MONEY = Statement(
    sa.select(runs.c.budget, runs.c.spent + runs.c.reserved, _WORST)
    .join(jobs, jobs.c.run == runs.c.id)
    .where(jobs.c.id == param("it"))
)
_PARTS = Statement(
    sa.select(requests.c.own, shared.c.body, requests.c.order, requests.c.overrides, requests.c.continued)
    .join(shared, shared.c.id == requests.c.shared, isouter=True)
    .where(requests.c.job == param("it"))
)
_OVERRIDE = Statement(requests.update().where(requests.c.job == param("it")).values(overrides=param("text")))
_CONTINUE = Statement(requests.update().where(requests.c.job == param("it")).values(continued=param("text")))


def asks_on(tx: Transaction, finish: Finish) -> bool:
    """Draw the arrow of an `Extend` or `GoOn`; False if the claim does not hold any more.

    The answer has to be kept beside it. Ask `affords` first.
    """
    claim, decision = finish.claim, finish.decision
    assert isinstance(finish.outcome, Succeeded)
    match decision:
        case Extend(max_tokens=room):
            moved = arrows.drew(tx, claim, _EXTEND, State.QUEUED, room=room)
            if moved:
                _set(tx, claim, {"max_tokens": str(room)})
        case GoOn():
            answer = finish.outcome.answer
            said, container = said_by(answer.body)
            moved = arrows.drew(tx, claim, _GO_ON, State.QUEUED, input=_tokens(answer), more=len(said.encode()))
            if moved:
                _go_on(tx, claim, said, container)
        case _:
            raise AssertionError(f"{decision} ends it")
    return moved


def keep(tx: Transaction, claim: Claim) -> bool:
    """A late answer that is not the end is the job's if no better one comes; False if none is asked for any more."""
    return bool(tx.run(_KEEP, it=claim.job, n=claim.attempt))


def affords(tx: Transaction, finish: Finish) -> bool:
    """Whether the run's budget pays for asking again, once the attempt that ends is settled."""
    row = tx.row(_MONEY, it=finish.claim.job)
    assert row is not None, "a job that is out has its run"
    budget, used, worst = row
    if budget is None:
        return True
    settled = charge("yes", finish.cost, finish.claim.worst) - (finish.claim.worst or 0)
    return bool(worst is not None and used + tx.unwritten(finish.claim.run) + settled + worst <= budget)


def _tokens(answer: Answer) -> int:
    """Of the request that goes on: what went in, and what came out."""
    usage = answer.usage
    return usage.input + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h + usage.output


def _set(tx: Transaction, claim: Claim, members: dict[str, str]) -> None:
    _own, _shared, _order, overrides, _continued = _parts(tx, claim)
    tx.run(_OVERRIDE, it=claim.job, text=object_of({**(pieces_of(overrides) if overrides else {}), **members}))


def _go_on(tx: Transaction, claim: Claim, said: str, container: str | None) -> None:
    own, body, order, overrides, continued = _parts(tx, claim)
    messages = [] if continued is None else [continued[1:-1]]
    tx.run(_CONTINUE, it=claim.job, text=f"[{','.join([*messages, said])}]")
    if container is None:
        return
    # What the tools have made so far is in the container, and is found again only by its id.
    request: dict[str, Any] = json.loads(whole(own, pieces_of(body) if body else None, order, overrides))
    named = request.get("container")
    if named is None:
        _set(tx, claim, {"container": container})
    elif isinstance(named, dict) and named.get("id") is None:
        _set(tx, claim, {"container": json.dumps({**named, "id": json.loads(container)}, ensure_ascii=False)})


def _parts(tx: Transaction, claim: Claim) -> Any:
    row = tx.row(_PARTS, it=claim.job)
    assert row is not None, f"job {claim.job} has no request"
    return row
