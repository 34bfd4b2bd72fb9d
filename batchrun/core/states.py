"""The states of jobs and runs and the arrows between them: one table for code, database, tests and documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where a job is. It is in exactly one of these, always."""

    QUEUED = "queued"  #: may be claimed now
    WAITING = "waiting"  #: due later, at `due_at`
    RUNNING = "running"  #: claimed by one worker for a realtime request; only that claim may move it
    IN_BATCH = "in_batch"  #: bound to a batch; the batch's own state says where it stands
    HELD = "held"  #: unclear after a crash, and the run's policy says to ask
    BLOCKED = "blocked"  #: waits for other jobs
    SUCCEEDED = "succeeded"  #: final; has one winning result
    FAILED = "failed"  #: final; see its last attempt
    CANCELLED = "cancelled"  #: final


FINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})
OUT = frozenset({State.RUNNING, State.IN_BATCH})
"""Perhaps at Anthropic. People read the two together as *sent*."""


class RunState(StrEnum):
    LOADING = "loading"  #: its jobs are being added; nothing is sent
    OPEN = "open"  #: has jobs to do
    DONE = "done"  #: all its jobs are final; adding or retrying opens it again
    CANCELLED = "cancelled"  #: takes no more work at once; its jobs follow in chunks


@dataclass(frozen=True, slots=True)
class Arrow:
    """One change of a job's state: where it may start, where it ends, and in words why it happens."""

    sources: frozenset[State]
    target: State
    why: str


def _from(*states: State) -> frozenset[State]:
    return frozenset(states)


ARROWS: Mapping[str, Arrow] = {
    "claim": Arrow(_from(State.QUEUED), State.RUNNING, "a worker takes it for a realtime request"),
    "bind": Arrow(_from(State.QUEUED), State.IN_BATCH, "a batch with it is written down as an intent"),
    "succeed": Arrow(OUT, State.SUCCEEDED, "the answer is stored"),
    "fail": Arrow(OUT, State.FAILED, "refused, or out of tries"),
    "wait": Arrow(OUT, State.WAITING, "try again at a later time"),
    "release": Arrow(OUT, State.QUEUED, "given back; not a try"),
    "hold": Arrow(OUT, State.HELD, "perhaps bought; the policy says to ask"),
    "stop": Arrow(OUT, State.CANCELLED, "cancelled while it was out, and no answer came"),
    "extend": Arrow(OUT, State.QUEUED, "its answer was cut off: it is kept, and asked again with more room"),
    "go_on": Arrow(OUT, State.QUEUED, "the model paused: what it said is kept, and it goes on from there"),
    "fall_back": Arrow(
        _from(State.FAILED, State.CANCELLED), State.SUCCEEDED, "no better answer came than the one that was kept"
    ),
    "promote": Arrow(_from(State.WAITING), State.QUEUED, "its time has come"),
    "unblock": Arrow(_from(State.BLOCKED), State.QUEUED, "what it waited for is there"),
    "cancel": Arrow(
        _from(State.QUEUED, State.WAITING, State.HELD, State.BLOCKED), State.CANCELLED, "the user cancels it"
    ),
    "retry": Arrow(_from(State.FAILED, State.CANCELLED, State.HELD), State.QUEUED, "the user puts it back"),
    "replace": Arrow(
        _from(State.QUEUED, State.WAITING, State.HELD, State.FAILED, State.CANCELLED),
        State.QUEUED,
        "its file was edited",
    ),
    "redo": Arrow(_from(State.SUCCEEDED), State.QUEUED, "its file was edited and the user wants a new answer"),
    "late": Arrow(
        frozenset(State) - {State.SUCCEEDED}, State.SUCCEEDED, "an answer whose claim had ended came all the same"
    ),
}


def sources_of(arrow: str) -> frozenset[State]:
    """The states from which *arrow* may start. Raises KeyError for an unknown arrow."""
    return ARROWS[arrow].sources
