"""Runs by hand: what is set of one that is under way, its name and tags, and removing what is over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchrun.clock import SystemClock
from batchrun.core.events import Trouble
from batchrun.core.figures import count, dollars
from batchrun.core.job import Millis
from batchrun.core.suggest import did_you_mean
from batchrun.errors import UsageError
from batchrun.library.queue import changing
from batchrun.queue import events, removing, runfacts, runlist
from batchrun.queue.reading import Reading, UnknownRun
from batchrun.queue.removing import Removed
from batchrun.queue.rows import RunSummary
from batchrun.queue.transaction import Transaction
from batchrun.settings import OPTIONS, Settings
from batchrun.settings.moment import moment_ahead
from batchrun.settings.values import integer

LONGEST_NAME = 200


def _option(name: str) -> Callable[[str, Millis], Any]:
    return lambda text, _: OPTIONS[name].read(text)


def _or_none(read: Callable[[str, Millis], Any]) -> Callable[[str, Millis], Any]:
    return lambda text, now: None if text == "none" else read(text, now)


FACTS: Mapping[str, tuple[str, Callable[[str, Millis], Any]]] = {
    "priority": ("priority", lambda text, _: integer(-1_000, 1_000)(text)),
    "deadline": ("deadline", _or_none(moment_ahead)),
    "max_cost": ("budget", _or_none(_option("max_cost"))),
    "mode": ("mode", _option("mode")),
    "hours": ("hours", _or_none(_option("hours"))),
    "on_crash": ("on_crash", _option("on_crash")),
    "on_unclear": ("on_unclear", _option("on_unclear")),
}
"""What can be set, by its name for people: the column, and who reads it."""


def read_facts(words: Sequence[str], now: Millis) -> dict[str, Any]:
    """`key=value` words as columns. Raises UsageError for what cannot be set, or cannot be that."""
    found: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        name = name.replace("-", "_")
        if name not in FACTS or not equals:
            raise UsageError(
                f"`{word}` sets nothing{did_you_mean(name, FACTS)}", hint=f"one of {', '.join(FACTS)}, as name=value"
            )
        column, read = FACTS[name]
        try:
            found[column] = read(text.strip(), now)
        except ValueError as error:
            raise UsageError(f"{name} {error}, not `{text}`") from None
    if not found:
        raise UsageError("set what?", hint=f"one of {', '.join(FACTS)}, as in `batchrun runs set nightly max_cost=50`")
    return found


def set_facts(settings: Settings, ref: str, facts: Mapping[str, Any]) -> RunSummary:
    """Change *facts* (columns) of the run that *ref* names, which is under way; a worker heeds it at its next look.

    Raises UsageError for a run that is over, and for a cap where a job's cost has no bound.
    """
    run = _run(settings, ref)

    def change(tx: Transaction) -> None:
        if facts.get("budget") is not None and (job := runfacts.unbounded(tx, run.id)) is not None:
            raise UsageError(
                f"the cost of job {job} has no bound: under a cap it would never be sent",
                hint="cancel such jobs, or leave the run without a cap",
            )
        if not runfacts.set_facts(tx, run.id, facts):
            raise UsageError(f"run {run.name} is not under way", hint="submit its file again, or `batchrun retry`")

    with changing(settings) as perform:
        perform(change)
    return _run(settings, run.ref)


def tag(settings: Settings, ref: str, words: Sequence[str]) -> list[str]:
    """Add tags to a run, or take away those that begin with `~`; returns those it has."""
    run = _run(settings, ref)
    for word in words:
        if not word.removeprefix("~") or any(c.isspace() or c == "," or not c.isprintable() for c in word):
            raise UsageError(f"`{word}` cannot be a tag", hint="one word, without blanks and commas")
    more = [word for word in words if not word.startswith("~")]
    fewer = [word[1:] for word in words if word.startswith("~")]
    with changing(settings) as perform:
        return perform(lambda tx: runfacts.tag(tx, run.id, more, fewer))


def rename(settings: Settings, ref: str, name: str) -> RunSummary:
    """Give a run another name. Its file still leads to it: the same submit adds nothing.

    Raises UsageError for a name that cannot be one or that another run has.
    """
    run = _run(settings, ref)
    bad = not name or name.startswith(("~", "-")) or name == "last" or len(name) > LONGEST_NAME
    if bad or not name.isprintable() or name != name.strip():
        raise UsageError(f"a run cannot be called `{name}`", hint="no `~` or `-` in front, not `last`, and printable")
    if name.startswith("r-") and name[2:].isdecimal():
        raise UsageError(f"a run cannot be called `{name}`: that is how ids are written")
    with changing(settings) as perform:
        if not perform(lambda tx: runfacts.rename(tx, run.id, name)):
            raise UsageError(f"there is another run `{name}`, or the jobs of {run.name} are being added")
    return _run(settings, run.ref)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """A run that would be removed, or why it cannot be."""

    run: RunSummary
    answers: int
    batches: int
    why_not: str | None

    @property
    def words(self) -> str:
        """What would go with it."""
        return f"{count(self.run.total, 'job')}, {count(self.answers, 'answer')}, {dollars(self.run.spent)} spent"


def doomed(settings: Settings, refs: Sequence[str]) -> list[Doomed]:
    """The runs that *refs* name. Raises UnknownRun."""
    with Reading.open(settings.db) as reading:
        return _doomed(settings, reading, [reading.run(ref) for ref in dict.fromkeys(refs)])


def old(settings: Settings, before: Millis) -> list[Doomed]:
    """The runs that were over before that moment."""
    with Reading.open(settings.db) as reading:
        over = [run for run, _ in runlist.runs(reading) if (at := runlist.ended(run)) is not None and at < before]
        return _doomed(settings, reading, over)


def _doomed(settings: Settings, reading: Reading, found: Sequence[RunSummary]) -> list[Doomed]:
    now = SystemClock().wall()
    made = []
    with changing(settings) as perform:
        for run in found:
            answers, batches = runlist.answers_and_batches(reading, run.id)
            why = perform(lambda tx, run=run: removing.why_not(tx, run.id, now))  # type: ignore[misc]  # bound at once
            made.append(Doomed(run=run, answers=answers, batches=batches, why_not=why))
    return made


def remove(settings: Settings, chosen: Sequence[Doomed], events_before: Millis | None = None) -> Removed:
    """Remove the *chosen* runs, and what happened *events_before* from the log; others may work meanwhile.

    What another call began to remove and did not finish goes too. A run that came to life since, or bought more, is
    left alone. That it is gone, and what it had cost, stays in the log.
    """
    now = SystemClock().wall()
    jobs = told = 0
    with changing(settings) as perform:
        for one in chosen:

            def take(tx: Transaction, one: Doomed = one) -> None:
                if removing.take(tx, one.run.id, now, spent=one.run.spent):
                    message = f"run {one.run.name} ({one.run.ref}) was removed: {one.words}"
                    events.record(tx, [events.row_of(Trouble(at=now, code="removed", message=message))])

            perform(take)
        for run in perform(removing.taken):
            gone = removing.remove(perform, run, now)
            jobs, told = jobs + gone.jobs, told + gone.events
        if events_before is not None:
            told += removing.forget_events(perform, events_before)
        return Removed(jobs=jobs, events=told, shared=removing.drop_shared(perform))


def _run(settings: Settings, ref: str) -> RunSummary:
    with Reading.open(settings.db) as reading:
        found = reading.run(ref)
    if found.name.startswith("~"):
        raise UnknownRun(f"run {found.ref} is being added or removed")
    return found
