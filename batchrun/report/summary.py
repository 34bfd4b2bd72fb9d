"""A run in words: how far it is, what it costs, what is going on, and what to type next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from batchrun.core.choice import Mode, choose
from batchrun.core.figures import count, dollars, hour, span
from batchrun.core.job import Millis, Nanos
from batchrun.core.pause import Pause, PauseScope
from batchrun.core.states import RunState, State
from batchrun.queue.batchrows import BatchRow
from batchrun.queue.rows import Overview, RunSummary
from batchrun.report import batches
from batchrun.report.cures import pause_words, word

_LABELS = (
    (State.SUCCEEDED, "succeeded"),
    (State.RUNNING, "in flight"),
    (State.IN_BATCH, "at Anthropic"),
    (State.QUEUED, "queued"),
    (State.WAITING, "waiting"),
    (State.HELD, "held"),
    (State.BLOCKED, "blocked"),
    (State.FAILED, "failed"),
    (State.CANCELLED, "cancelled"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One state of a run's jobs: how many, and what there is to say."""

    state: State
    label: str
    n: int
    note: str = ""
    command: str = ""


def lines(
    run: RunSummary,
    seen: Overview,
    *,
    errors: Sequence[tuple[str, int | None]] = (),
    held: frozenset[str] = frozenset(),
    now: Millis,
) -> list[Line]:
    """The states that have jobs, and *succeeded* always.

    `errors` are the classes of what failed, with their counts, *held* those of what is held.
    """
    shown = []
    for state, label in _LABELS:
        n = run.n(state)
        if n or state is State.SUCCEEDED:
            note, command = _note(state, run, seen, errors, held, now)
            shown.append(Line(state=state, label=label, n=n, note=note, command=command))
    return shown


def _note(
    state: State,
    run: RunSummary,
    seen: Overview,
    errors: Sequence[tuple[str, int | None]],
    held: frozenset[str],
    now: Millis,
) -> tuple[str, str]:
    match state:
        case State.IN_BATCH:
            return batches.out(of_run(run, seen), now), ""
        case State.RUNNING if not seen.workers:
            return "their worker died; the next batchrun run takes them over", ""
        case State.WAITING if seen.next_due is not None:
            when = f"in {span((seen.next_due - now) / 1000)}" if seen.next_due > now else "is due"
            return f"the next try {when}", ""
        case State.FAILED:
            named = ", ".join(name if n is None else f"{n:,} {name}" for name, n in errors)
            return named, f"batchrun errors {word(run.name)}"
        case State.HELD:
            return held_because(held), f"batchrun errors {word(run.name)}"
        case _:
            return "", ""


def held_because(errors: frozenset[str]) -> str:
    """Why jobs are held, by their classes of error."""
    return ", ".join(
        sorted({batches.HELD.get(error, "possibly billed when a worker died") for error in errors or {""}})
    )


def of_run(run: RunSummary, seen: Overview) -> list[BatchRow]:
    """The open batches of *run*."""
    return [row for row in seen.batches if row.batch.run == run.id]


def way(run: RunSummary, now: Millis) -> tuple[Mode | None, str]:
    """Which way what is left of *run* goes, and why, as far as the database tells; None where only a pass can tell."""
    if run.deadline is None or run.mode == Mode.REALTIME:
        choice = choose(Mode(run.mode), jobs=run.total, left=run.left, now=now)
        return Mode.BATCH if choice.batch else Mode.REALTIME, choice.why
    ahead = (run.deadline - now) / 1000
    until = f"{hour(run.deadline, now)}, {f'in {span(ahead)}' if ahead >= 0 else 'which has passed'}"
    return None, f"in batches while there is time, then realtime, by the deadline {until}"


def progress(run: RunSummary, speed: float | None) -> list[str]:
    """`9,412 / 10,000`, `94 %`, `3.4/s`, `about 3m left`"""
    parts = [f"{run.finished:,} / {run.total:,}", percent(run.finished, run.total)]
    if speed and run.left:
        parts += [f"{speed:.1f}/s" if speed < 10 else f"{speed:,.0f}/s", f"about {span(run.left / speed)} left"]
    return parts


def percent(part: int, whole: int) -> str:
    """Whole per cents, rounded down: 100 % means all of it."""
    return f"{100 * part // whole if whole else 100} %"


def money(run: RunSummary) -> str:
    """`$66.10 so far, $0.40 reserved, cap $163.00`"""
    parts = [f"{dollars(run.spent)} so far"]
    if run.reserved:
        parts.append(f"{dollars(run.reserved)} reserved")
    if run.budget is not None:
        parts.append(f"cap {dollars(run.budget)}")
    return ", ".join(parts)


def possibly(n: int, cost: Nanos) -> str:
    """`3 requests without an answer, possibly billed (counted at $0.12)`"""
    counted = f"counted at {dollars(cost)}" if cost else "at a cost that is not known"
    return f"{count(n, 'request')} without an answer, possibly billed ({counted})"


def times(run: RunSummary, now: Millis) -> str:
    """`submitted 22:00, 51m ago`, or when it ended."""
    if run.done is not None:
        return f"done {hour(run.done, now)}, {span((run.done - run.created) / 1000)} after its submit"
    if run.cancelled is not None:
        return f"cancelled {hour(run.cancelled, now)}"
    return f"submitted {hour(run.created, now)}, {span((now - run.created) / 1000)} ago"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """What is going on with a run, and what to type if somebody has to do something."""

    words: str
    command: str = ""


def doing(run: RunSummary, seen: Overview, now: Millis) -> Doing:
    """What is going on with *run*."""
    match run.state:
        case RunState.LOADING if run.loader in seen.loaders:
            return Doing(words="its jobs are being added")
        case RunState.LOADING:
            return Doing(words="adding its jobs was cut short", command=f"batchrun submit {_files(run)}")
        case RunState.CANCELLED if run.left:
            return Doing(words=f"cancelled; {count(run.left, 'job')} not stopped yet", command="batchrun run")
        case RunState.CANCELLED:
            return Doing(words="cancelled")
        case RunState.DONE:
            return Doing(words="done")
        case RunState.OPEN:
            return _open(run, seen, now)


def _open(run: RunSummary, seen: Overview, now: Millis) -> Doing:
    if not run.left:
        return Doing(words="done")
    held = pause_of(run, seen.pauses)
    if held is not None:
        return Doing(words=f"paused since {hour(held.since, now)}", command="batchrun resume")
    if _penniless(run) and not (
        run.n(State.IN_BATCH) or (seen.workers and run.sent)
    ):  # what is out gives back most of what is reserved for it
        command = f"batchrun submit {_files(run)}{_named(run)} --max-cost MORE"
        return Doing(words="its cost cap leaves no money for another job", command=command)
    if run.left == run.n(State.HELD):
        return Doing(words="waits for a word from you", command=f"batchrun errors {word(run.name)}")
    opens = opening(run, now)
    if opens is not None and not run.sent:
        command = "" if seen.workers else f"batchrun run {word(run.name)}"
        return Doing(words=f"waits until {hour(opens, now)}", command=command)
    if seen.workers:
        n = len(seen.workers)
        return Doing(words="is being worked on" if n == 1 else f"is being worked on by {n} workers")
    if run.left == run.n(State.IN_BATCH, State.HELD):
        return Doing(
            words="no worker is running; what its batches bring is collected by",
            command=f"batchrun run {word(run.name)}",
        )
    return Doing(words="nobody is running it", command=f"batchrun run {word(run.name)}")


def opening(run: RunSummary, now: Millis) -> Millis | None:
    """When what *run* has to send may be sent, if its hours keep it back now; None if they do not."""
    if run.hours is None or not run.n(State.QUEUED, State.WAITING):
        return None
    from batchrun.core.hours import hours  # noqa: PLC0415  # time zones are for runs with hours

    try:
        read = hours(run.hours)
    except ValueError:
        return None  # the next pass says what is wrong with them
    opens = None if read is None else read.opens(now)
    return opens if opens is not None and opens > now else None


def _penniless(run: RunSummary) -> bool:
    """Whether its cost cap keeps back what may be sent next: a pass would end at once."""
    if run.budget is None or not run.n(State.QUEUED, State.WAITING):
        return False
    left = run.budget - run.spent - run.reserved
    return left <= 0 or (run.next_worst is not None and run.next_worst > left)


def _named(run: RunSummary) -> str:
    """The flag that leads to *run* where its file's name would not."""
    usual = "stdin" if run.sources[0] == "-" else Path(run.sources[0]).stem
    return "" if run.name == usual else f" --name {word(run.name)}"


def _files(run: RunSummary) -> str:
    return " ".join(word(name) for name in run.sources)


def pause_of(run: RunSummary, pauses: Sequence[Pause]) -> Pause | None:
    """The pause that keeps *run* from being sent; those of single models let the others go."""
    for pause in pauses:
        match pause.scope:
            case PauseScope.RUN if pause.subject == str(run.id):
                return pause
            case PauseScope.ACCOUNT if run.account is None or pause.subject == str(run.account):
                return pause
            case _:
                continue
    return None


def pause_line(pause: Pause, runs: Sequence[RunSummary], now: Millis) -> tuple[str, str]:
    """Whom it concerns, since when and why, with the API's words; and what to do, with commands in ticks."""
    match pause.scope:
        case PauseScope.RUN:
            names = [run.name for run in runs if str(run.id) == pause.subject]
            whom = f"run {names[0]}" if names else f"run r-{pause.subject}"
        case PauseScope.MODEL:
            whom = f"model {pause.subject.partition(':')[2]}"
        case PauseScope.ACCOUNT:
            labels = [run.account_label for run in runs if str(run.account) == pause.subject and run.account_label]
            whom = f"account {labels[0]}" if labels else "the account"
    why, cure = pause_words(pause)
    said = f" ({pause.message})" if pause.message else ""
    again = pause.next_probe()
    if again is None:
        then = "until `batchrun resume`"
    elif again <= now:
        then = "the next `batchrun run` asks again"
    else:
        then = f"asked again from {hour(again, now)} on, or at once after  `batchrun resume`"
    return f"{whom} paused since {hour(pause.since, now)}: {why}{said}", f"{cure}; {then}" if cure else then
