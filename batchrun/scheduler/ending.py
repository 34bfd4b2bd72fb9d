"""How a pass ends: which of the things that kept jobs back is the one to tell, with the exit code and the cure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from batchrun.core.claim import OpenRun
from batchrun.core.figures import count, hour, moment
from batchrun.core.job import Millis, Nanos, RunId
from batchrun.core.outcome import AccountStopped, Misrouted, Outcome, Reply, Stop, Unreachable
from batchrun.core.pause import STOPS, Pause, PauseScope
from batchrun.core.rewind import Rewound
from batchrun.errors import Exit
from batchrun.scheduler.terms import Ended

EXITS: Mapping[Stop, Exit] = {
    Stop.KEY: Exit.KEY,
    Stop.CREDIT: Exit.MONEY,
    Stop.SPEND_CAP: Exit.MONEY,
    Stop.BILLING: Exit.MONEY,
    Stop.HOLD: Exit.KEY,
    Stop.SETUP: Exit.KEY,
}
"""How a pass ends that a stop of the whole account ended."""


def said(reply: Reply) -> str:
    """The API's own words in one line: status, type, request id, message."""
    kind = reply.error_code or reply.error_type
    facts = [str(fact) for fact in (reply.status, kind, reply.request_id) if fact is not None]
    words = reply.message.strip()
    return f"({', '.join(facts)}): {words}" if facts and words else f"({', '.join(facts)})" if facts else words


def of_account(stop: Stop, reply: Reply, spent: Nanos) -> Ended:
    fact, cure = STOPS[stop]
    return Ended(exit=EXITS[stop], message=f"{fact} {said(reply)}".strip(), hint=_then(stop, cure), spent=spent)


def _then(stop: Stop, cure: str) -> str:
    go_on = (
        "`batchrun run`" if stop is Stop.KEY else "`batchrun resume` and `batchrun run`"
    )  # another key is news enough
    return f"{cure}, then {go_on}; the jobs stay queued"


def of_surroundings(reply: Reply, spent: Nanos) -> Ended:
    return Ended(
        exit=Exit.UNREACHABLE,
        message=f"the API cannot be reached {said(reply)}".strip(),
        hint="nothing is lost; check the network, proxy and base URL, then `batchrun run`",
        spent=spent,
    )


def of_first_call(outcome: Outcome) -> Ended:
    """Who we are could not be found out: nothing was claimed, and nothing was spent."""
    nothing = Nanos(0)
    match outcome:
        case AccountStopped(stop=stop, reply=reply):
            return of_account(stop, reply, nothing)
        case Unreachable(reply=reply) | Misrouted(reply=reply):
            return of_surroundings(reply, nothing)
        case _:
            return Ended(
                exit=Exit.UNREACHABLE,
                message=f"the API did not answer a first question {said(outcome.reply)}".strip(),
                hint="nothing was sent; try again later with `batchrun run`",
                spent=nothing,
            )


def of_pause(pause: Pause, spent: Nanos) -> Ended:
    """What stands since an earlier pass, and may not be probed yet."""
    if pause.scope is PauseScope.ACCOUNT and pause.reason in set(Stop):
        fact, cure = STOPS[pause.reason]
        message, stop = f"paused: {fact}: {pause.message}", Stop(pause.reason)
        return Ended(exit=EXITS[stop], message=message, hint=_then(stop, cure), spent=spent)
    if pause.scope is PauseScope.MODEL:
        model = pause.subject.partition(":")[2]
        return Ended(
            exit=Exit.KEY,
            message=f"`{model}` is not available to this key: {pause.message}",
            hint="correct the model in the file and submit it again, or `batchrun resume`",
            spent=spent,
        )
    if pause.reason == "user":
        return Ended(exit=Exit.OK, message="paused by hand", hint="`batchrun resume` goes on", spent=spent)
    if pause.reason == "look":
        return Ended(
            exit=Exit.OK, message=pause.message, hint="`batchrun results`, then `batchrun resume`", spent=spent
        )
    if pause.reason == "pilot":
        return Ended(
            exit=Exit.FAILED_JOBS,
            message=f"paused before any batch was sent: the first job of its kind was refused: {pause.message}",
            hint="see `batchrun errors`; correct the file and submit it again, or `batchrun resume`",
            spent=spent,
        )
    return Ended(
        exit=Exit.FAILED_JOBS,
        message=f"paused: many jobs in a row were refused with the same words: {pause.message}",
        hint="see `batchrun errors`; correct the file and submit it again, or `batchrun resume`",
        spent=spent,
    )


def of_rewound(rewound: Rewound, spent: Nanos) -> Ended:
    opens = "" if rewound.opens is None else f", at the earliest at {moment(rewound.opens)}"
    waits = (
        f"; {count(rewound.waiting, 'batch', 'batches')} of the workspace cannot be told yet" if rewound.waiting else ""
    )
    return Ended(
        exit=Exit.OK,
        message=f"this queue was restored: nothing is sent until it is known what it bought since{opens}{waits}",
        hint="`batchrun run` goes on looking; `batchrun db release` sends at once, and perhaps pays twice",
        spent=spent,
    )


def of_hours(runs: Sequence[tuple[OpenRun, Millis]], now: Millis, spent: Nanos) -> Ended:
    """*runs* come with the moments at which they may be sent again."""
    waits = [f"{run.name} waits until {hour(opens, now)}" for run, opens in runs]
    return Ended(exit=Exit.OK, message="; ".join(waits), hint="a `batchrun run` sends it then", spent=spent)


def of_money(runs: Sequence[OpenRun], left: Nanos | None, spent: Nanos) -> Ended:
    """*left* is what the call may still spend: whichever cap leaves less is the one to name."""
    own_cap = left is not None and all(run.left is None or left <= run.left for run in runs)
    names = ", ".join(run.name for run in runs)
    cap = "this call's --max-cost" if own_cap else "its --max-cost"
    return Ended(
        exit=Exit.MONEY,
        message=f"{names}: {cap} leaves no money for another job; the rest is queued",
        hint="`batchrun run` without a cap of its own, or submit with a higher one"
        if own_cap
        else "raise it: submit the same file with a higher --max-cost",
        spent=spent,
    )


def of_foreign(runs: Mapping[RunId, OpenRun], spent: Nanos) -> Ended:
    names = ", ".join(run.name for run in runs.values())
    return Ended(
        exit=Exit.KEY,
        message=f"{names}: belongs to another account than this key; left alone",
        hint="run it with a key of the account it was begun with",
        spent=spent,
    )
