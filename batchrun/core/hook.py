"""What a user's own command is told: that a run is done, that something is paused, that a person should know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from batchrun.core.events import BatchTurned, Turn
from batchrun.core.job import Millis, RunId
from batchrun.core.pause import Pause, PauseScope

MOST = 2
"""How often a command is started for one happening: once, and once more where the process died meanwhile."""

ALERTS = frozenset({Turn.GONE, Turn.VANISHING})
"""What happens to batches of which a person should know."""


class Hook(StrEnum):
    DONE = "done"  #: the last job of a run is at its end
    PAUSE = "pause"  #: a run, a model or the account is paused, by the program and not by hand
    ALERT = "alert"  #: something else of which a person should know


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One thing that happened. `subject` is what it is of, so that it is told of once."""

    hook: Hook
    subject: str
    run: RunId | None
    at: Millis
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A happening that is still to be told; `begun` is how often its command was started before."""

    id: int
    begun: int
    happening: Happening


def done(run: RunId, now: Millis) -> Happening:
    return Happening(hook=Hook.DONE, subject=f"done r-{run} {now}", run=run, at=now, detail={})


def paused(pause: Pause) -> Happening:
    """A pause that is renewed is the same one."""
    return Happening(
        hook=Hook.PAUSE,
        subject=f"pause {pause.scope} {pause.subject} {pause.since}",
        run=RunId(int(pause.subject)) if pause.scope is PauseScope.RUN else None,
        at=pause.since,
        detail={
            "scope": pause.scope.value,
            "model": pause.subject.partition(":")[2] if pause.scope is PauseScope.MODEL else None,
            "reason": pause.reason,
            "message": pause.message,
        },
    )


def alert(turned: BatchTurned) -> Happening:
    """Of an event in `ALERTS`."""
    return Happening(
        hook=Hook.ALERT,
        subject=f"{turned.turn} b-{turned.batch}",
        run=turned.run,
        at=turned.at,
        detail={
            "code": f"batch_{turned.turn}",
            "batch": f"b-{turned.batch}",
            "remote_id": turned.remote,
            "jobs": turned.n,
            "message": turned.message,
        },
    )
