"""What people want of jobs that are in the queue: put them back, or stop them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from batchrun.clock import SystemClock
from batchrun.core.job import JobId, Millis
from batchrun.core.problem import Severity
from batchrun.core.select import Facts, Field, Selection
from batchrun.core.states import FINAL, OUT, State
from batchrun.core.suggest import did_you_mean
from batchrun.core.tokens import weigh
from batchrun.errors import UsageError
from batchrun.jobfile.checks import faults_of
from batchrun.jobfile.parameters import PARAMETERS
from batchrun.jobfile.rules import Rules
from batchrun.jobfile.shapes import Shapes
from batchrun.jobfile.texts import members_of
from batchrun.library.jobfiles import rules_of
from batchrun.library.queue import changing
from batchrun.queue import answers, retrying
from batchrun.queue.cancelling import Cancelled, cancel_jobs, cancel_run
from batchrun.queue.reading import Reading
from batchrun.queue.retrying import Change, Measured
from batchrun.queue.rows import RunSummary
from batchrun.queue.transaction import Transaction
from batchrun.settings import Settings

REFUSED = frozenset({"invalid_request_error", "request_too_large", "refusal"})
"""Classes of error that the request itself brought about: sent again as it is, it would be refused again."""

SOME = 1_000
"""Jobs in one transaction."""


@dataclass(slots=True, kw_only=True)
class Returned:
    """What `retry` put back, or would. Counts are by class of error ("" where a job had none)."""

    run: RunSummary  #: as it was before
    queued: int = 0  #: really put back: fewer than chosen where somebody else was quicker
    back: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)  #: left alone, for they would be refused again
    left: Counter[State] = field(default_factory=Counter)  #: chosen, but in a state from which nothing is put back


def retry(
    settings: Settings,
    run: str,
    selection: Selection | None = None,
    *,
    refused: bool = False,
    members: Mapping[str, str] | None = None,
    dry: bool = False,
) -> Returned:
    """Put failed jobs of *run* back into the queue; *dry* only tells which.

    Without *selection* all that failed, but not those that were refused unless *refused* says so or *members* change
    them; with it exactly the jobs it names. *members* are parameters to set, as JSON texts by name.

    Raises UsageError for an unknown run or a member that cannot be, NothingMatched if *selection* fits no job at all.
    """
    rules = rules_of(settings, settings.tables())
    change = (
        None if not members else Change(members=_sound(members, rules), measure=partial(_measured, rules, Shapes()))
    )
    with Reading.open(settings.db) as reading:
        summary = reading.run(run)
    done = Returned(run=summary)

    def chosen(job: Facts) -> bool:
        state, error = job[Field.STATE], str(job[Field.ERROR] or "")
        if selection is not None:
            wanted = selection.holds(job)
        elif state != State.FAILED:
            return False
        elif error in REFUSED and not refused and change is None:
            done.refused[error] += 1
            return False
        else:
            wanted = True
        if wanted and state in retrying.SOURCES:
            done.back[error] += 1
        return wanted

    with changing(settings) as perform:
        asks = selection.fields if selection is not None else frozenset()
        found = retrying.retry(perform, summary.id, SystemClock().wall(), chosen, change=change, dry=dry, asks=asks)
    done.queued, done.left = found.queued, found.left
    if selection is not None and not done.back and not found.left:
        with Reading.open(settings.db) as reading:
            raise answers.unmatched(reading, summary.id, summary.name, selection)
    return done


def _sound(members: Mapping[str, str], rules: Rules) -> Mapping[str, str]:
    """*members*, which could stand in a request. Raises UsageError for one that the API would refuse."""
    values = {name: json.loads(text) for name, text in members.items()}
    for name in values:
        if name not in PARAMETERS:
            raise UsageError(f"`--set {name}`: no such parameter{did_you_mean(name, PARAMETERS)}")
    request = {"model": "", "max_tokens": 1, "messages": [{"role": "user", "content": "?"}], **values}
    model = rules.models.find(str(request["model"]))
    for fault in faults_of(request, model, PARAMETERS, rules):
        severe = (fault.severity or fault.code.severity) is Severity.ERROR
        if severe and fault.path and fault.path[0] in values:
            raise UsageError(f"`--set {fault.path[0]}`: {fault.message}", hint=fault.hint)
    return members


def _measured(rules: Rules, shapes: Shapes, text: str) -> Measured:
    request: dict[str, Any] = json.loads(text)
    members = members_of(request)
    shape, realtime_only = shapes.of(request, rules.models.find(request["model"]), members, members)
    size = len(text.encode())
    weight = weigh(request, size)
    worst, _ = rules.prices.worst_of(request, weight, max_tokens=request["max_tokens"], batch=False)
    return Measured(
        model=request["model"],
        size=size,
        est_input=weight.input,
        max_tokens=request["max_tokens"],
        worst=worst,
        shape=shape,
        realtime_only=realtime_only,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stoppable:
    """What `cancel` would stop. Of a run whose jobs are *chosen* singly, `jobs` counts them."""

    run: RunSummary
    selection: Selection | None
    jobs: int  #: not yet over, and chosen
    sent: int  #: of these: may be at Anthropic


def stoppable(settings: Settings, run: str, selection: Selection | None = None) -> Stoppable:
    """What there is to stop. Raises UsageError for an unknown run, NothingMatched if *selection* fits no job at all."""
    with Reading.open(settings.db) as reading:
        summary = reading.run(run)
        if selection is None:
            return Stoppable(run=summary, selection=None, jobs=summary.left, sent=summary.sent)
        if not answers.matching(reading, summary.id, selection=selection):
            raise answers.unmatched(reading, summary.id, summary.name, selection)
        open_states = [state for state in State if state not in FINAL]
        jobs = answers.matching(reading, summary.id, selection=selection, states=open_states)
        sent = answers.matching(reading, summary.id, selection=selection, states=sorted(OUT))
    return Stoppable(run=summary, selection=selection, jobs=jobs, sent=sent)


def cancel(settings: Settings, what: Stoppable) -> Cancelled:
    """Stop it: nothing of it is sent from now on, and what is out ends unless its answer comes."""
    now = SystemClock().wall()
    with changing(settings) as perform:
        if what.selection is None:
            return cancel_run(perform, what.run.id, now)
        done = Cancelled()
        with Reading.open(settings.db) as reading:
            for found in answers.chosen(reading, what.run.id, what.selection):
                for at in range(0, len(found), SOME):
                    done += perform(partial(_cancel, found[at : at + SOME], now))
        return done


def _cancel(some: Sequence[JobId], now: Millis, tx: Transaction) -> Cancelled:
    return cancel_jobs(tx, some, now)
