"""Pausing by hand, and lifting pauses."""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence

from batchrun.clock import SystemClock
from batchrun.core.events import Event, Paused, Trouble
from batchrun.core.job import Millis
from batchrun.core.pause import Pause, PauseScope
from batchrun.core.secrets import redacted
from batchrun.core.suggest import did_you_mean
from batchrun.errors import UsageError
from batchrun.library.queue import changing
from batchrun.queue import events, names, pauses
from batchrun.queue.reading import Reading
from batchrun.queue.transaction import Transaction
from batchrun.settings import Settings


def pause(
    settings: Settings, run: str | None = None, model: str | None = None, reason: str = "", *, every: bool = False
) -> Sequence[Pause]:
    """Send nothing more of *run*, of *model* in any run, or (*every*) at all, until somebody resumes.

    Requests and batches that are out are not called back: their answers come home and are kept. A worker that is at it
    heeds the pause at its next look. Returns the pauses that stand now for it. Raises UsageError if there is no such
    queue, run or model, or nothing that could be paused.
    """
    now = SystemClock().wall()
    words = f"by {_who()}: {redacted(reason.strip())}" if reason.strip() else f"by {_who()}"
    with Reading.open(settings.db) as reading:
        subjects = _subjects(reading, run, model, every=every)

    def write(tx: Transaction) -> Sequence[Pause]:
        made = [
            Pause(scope=scope, subject=subject, reason="user", message=words, since=now) for scope, subject in subjects
        ]
        for one in made:
            pauses.write(tx, one)
        _tell(tx, [_paused(one) for one in made])
        return made

    with changing(settings) as perform:
        return perform(write)


def resume(settings: Settings, run: str | None = None, model: str | None = None) -> Sequence[Pause]:
    """Lift the pauses that keep *run*, or *model*, from being sent (neither: all), so that the next pass sends at once.

    Returns those that stood. Raises UsageError if there is no such queue or run.
    """
    with Reading.open(settings.db) as reading:
        found = None if run is None else reading.run(run)

    def keeps(pause: Pause) -> bool:
        account, _, its_model = pause.subject.partition(":")
        if model is not None:
            return pause.scope is PauseScope.MODEL and its_model == model
        if found is None:
            return True
        if pause.scope is PauseScope.RUN:
            return pause.subject == str(found.id)
        return account == str(found.account)

    def lift(tx: Transaction) -> Sequence[Pause]:
        standing = [pause for pause in pauses.standing(tx) if keeps(pause)]
        now = SystemClock().wall()
        for pause in standing:
            pauses.lift(tx, pause.scope, pause.subject)
        _tell(
            tx,
            [Trouble(at=now, code="resumed", message=f"{one.what} goes on: resumed by {_who()}") for one in standing],
        )
        return standing

    with changing(settings) as perform:
        return perform(lift)


def _subjects(reading: Reading, run: str | None, model: str | None, *, every: bool) -> Sequence[tuple[PauseScope, str]]:
    """What the pauses are of. An account that nobody knows yet cannot be named: its runs stand in for it."""
    if run is not None:
        return [(PauseScope.RUN, str(reading.run(run).id))]
    accounts = [str(account) for account in names.accounts(reading)]
    if model is not None:
        models = names.models(reading)
        if model not in models:
            raise UsageError(f"no job here is for model `{model}`{did_you_mean(model, models)}")
        if not accounts:
            raise UsageError(
                "nothing was sent yet, so no account is known whose model could be paused",
                hint="pause the run: `batchrun pause RUN`",
            )
        return [(PauseScope.MODEL, f"{account}:{model}") for account in accounts]
    assert every
    unbound = [str(one.id) for one in reading.overview().runs if one.account is None and one.done is None]
    subjects = [(PauseScope.ACCOUNT, account) for account in accounts]
    subjects += [(PauseScope.RUN, one) for one in unbound]
    if not subjects:
        raise UsageError("there is nothing to pause: no run, and no account is known yet")
    return subjects


def _who() -> str:
    """The person at this machine, as the system names them."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        name = f"user {os.getuid()}"
    return f"{name} on {os.uname().nodename}"


def _paused(pause: Pause) -> Paused:
    return Paused(
        at=Millis(pause.since),
        scope=pause.scope,
        subject=pause.subject,
        reason=pause.reason,
        message=pause.message,
        until=None,
        request_id=None,
    )


def _tell(tx: Transaction, told: Sequence[Event]) -> None:
    events.record(tx, [events.row_of(event) for event in told])
