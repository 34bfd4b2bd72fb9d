"""`batchrun submit`: check → estimate → ask → store → start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from json import loads
from typing import TYPE_CHECKING, Any

import click

from batchrun.cli import estimates, options, problems
from batchrun.cli.call import Call
from batchrun.cli.confirm import confirmed
from batchrun.cli.output import document, dumps
from batchrun.cli.reading import Counter, headline
from batchrun.cli.screen import Mark, Screen, clean
from batchrun.cli.work import settle, start
from batchrun.core.figures import DOLLAR, count, dollars
from batchrun.core.states import State
from batchrun.errors import Exit, UsageError

if TYPE_CHECKING:
    from batchrun.core.estimate import Estimate
    from batchrun.core.job import Job, Millis, Nanos
    from batchrun.library.inputs import Inputs
    from batchrun.library.outlook import Outlook
    from batchrun.library.submission import Submission
    from batchrun.queue.rows import RunSummary
    from batchrun.queue.submit import Added, RunTerms
    from batchrun.settings import Settings


SAMPLE = 2
"""Requests that --dry-run writes where nothing is said."""

MOST_LOOKED_AT = 10_000
"""Jobs that a person may want to look at before the others leave."""


@options.command(
    "batchrun submit jobs.jsonl",
    "batchrun submit jobs.yaml --dry-run -n 2",
    "batchrun submit jobs.jsonl --name nightly --max-cost 50 --deadline 06:30",
    "batchrun submit jobs.jsonl --pilot 20",
    "batchrun submit rows.csv --prompt 'Classify: {{ text }}' --model claude-haiku-5-5 --max-tokens 20",
    "batchrun submit template.yaml --data rows.csv --set audience=editor",
    "producer | batchrun submit - --name stream --yes",
    "batchrun submit jobs.example.yaml --simulate",
)
@options.job_files
@click.option("--name", metavar="NAME", help="The run's name; default: the first file's, without its ending.")
@click.option("--again", is_flag=True, help="Make a new run, though all of it was submitted before.")
@click.option(
    "--changed",
    type=click.Choice(["keep", "again"]),
    help="A job that changed although it is out or has its answer: keep it as it is, or ask again (and pay again).",
)
@click.option("--no-run", is_flag=True, help="Only store; `batchrun run` sends.")
@click.option("--wait", is_flag=True, help="Stay until batches are collected, too; without it they are only sent.")
@options.setting("max_cost", "What the run may spend in its whole life, at most.")
@options.setting("mode")
@click.option(
    "--deadline",
    metavar="WHEN",
    help="When the answers are needed: 06:30, a date and time, or 8h. What batches leave undone then goes realtime.",
)
@click.option(
    "--pilot",
    type=click.IntRange(1, MOST_LOOKED_AT),
    metavar="N",
    help="Send the first N jobs, in realtime, and stop so that you can look; `batchrun resume` lets the rest go.",
)
@click.option("--no-pilot", is_flag=True, help="Put all jobs into batches at once, without one of each kind ahead.")
@options.setting("hours")
@click.option("--tag", "tags", multiple=True, metavar="WORD", help="A word to find the run by; any number of them.")
@click.option("--priority", type=click.IntRange(-100, 100), metavar="N", help="Runs of a higher one go first.")
@options.setting("on_unclear")
@options.setting("on_truncated")
@options.setting("on_refused")
@options.setting("tries")
@options.setting("on_crash")
@options.setting("account")
@options.setting("tier")
@options.setting("concurrency")
@options.setting("grace")
@click.option("--all", "everything", is_flag=True, help="Show each problem, also alike ones.")
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@options.setting("ignore")
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(0, 1000),
    metavar="N",
    help=f"With --dry-run: write N whole requests instead of {SAMPLE}.",
)
@options.dry_run
@options.yes
@options.json
def submit(
    call: Call,
    inputs: Inputs,
    name: str | None,
    again: bool,
    changed: str | None,
    no_run: bool,
    wait: bool,
    deadline: str | None,
    pilot: int | None,
    no_pilot: bool,
    tags: tuple[str, ...],
    priority: int | None,
    everything: bool,
    strict: bool,
    limit: int | None,
    dry_run: bool,
    yes: bool,
    json: bool,
    **flags: str | None,
) -> Exit:
    """Check job files, add their jobs to the queue, and send them here and now.

    All problems are shown at once, and then nothing is added. The same files again add nothing; edited ones add what
    changed. `-` is standard input. Ctrl-C loses nothing: `batchrun run` goes on.

    Realtime jobs are answered when this ends; of batches it is known then that they stand at Anthropic, and
    `batchrun run` or `batchrun wait` collects them. With --simulate it is the same; simulated batches take seconds.
    """
    from batchrun.library.submission import Submission, Wanted
    from batchrun.queue.submit import Changed

    if wait and no_run:
        raise UsageError("`--wait` and `--no-run` contradict each other", hint="choose one")
    if limit is not None and not dry_run:
        raise UsageError("`-n` says how many requests --dry-run writes", hint="add --dry-run")
    settings = call.settings_with(**flags)
    terms = _terms(settings, _deadline(deadline), pilot, no_pilot=no_pilot)
    terms = replace(terms, tags=_tags(tags), priority=priority)
    seen = Counter(call.screen)
    settle()
    submission = Submission(
        settings,
        Wanted(
            inputs=inputs,
            name=name,
            terms=terms,
            again=again,
            changed=None if changed is None else Changed(changed),
        ),
        everything=everything,
        dry=dry_run,
        sample=(SAMPLE if limit is None else limit) if dry_run else 0,
        seen=seen,
    )
    with ExitStack() as stack:
        try:
            with seen:
                stack.enter_context(submission)
        except KeyboardInterrupt:
            call.screen.say("Stopped. Nothing was added.")
            raise
        _problems(call.screen, submission, strict=strict, json=json)
        if dry_run:
            return _dry(call, settings, submission, json=json)
        stored = _stored(call, settings, submission, yes=yes)
    if stored is None:
        return Exit.USAGE
    return start(call, settings, stored.run, stored.record, only_stored=no_run, wait=wait, json=json)


def _deadline(text: str | None) -> Millis | None:
    from batchrun.clock import SystemClock
    from batchrun.settings.moment import moment_ahead

    if text is None:
        return None
    try:
        return moment_ahead(text, SystemClock().wall())
    except ValueError as error:
        raise UsageError(f"`--deadline {text}` {error}") from None


def _tags(words: tuple[str, ...]) -> tuple[str, ...] | None:
    from batchrun.jobfile.labels import wrong_tag

    for word in words:
        if wrong := wrong_tag(word):
            raise UsageError(f"`--tag {clean(word)}`: {wrong}")
    return tuple(dict.fromkeys(words)) or None


def _terms(settings: Settings, deadline: Millis | None, pilot: int | None, *, no_pilot: bool) -> RunTerms:
    from batchrun.core.claim import OnCrash
    from batchrun.core.retry import OnRefused, OnTruncated
    from batchrun.queue.submit import RunTerms

    def said(option: str) -> bool:
        return settings.origin_of(option) != "default"

    if pilot is not None and no_pilot:
        raise UsageError("`--pilot` and `--no-pilot` contradict each other", hint="choose one")
    return RunTerms(
        mode=settings.mode if said("mode") else None,
        deadline=deadline,
        tries=settings.tries if said("tries") else None,
        on_crash=OnCrash(settings.on_crash) if said("on_crash") else None,
        on_unclear=settings.on_unclear if said("on_unclear") else None,
        hours=settings.hours if said("hours") else None,
        on_truncated=OnTruncated(settings.on_truncated) if said("on_truncated") else None,
        on_refused=OnRefused(settings.on_refused) if said("on_refused") else None,
        budget=settings.max_cost,
        pilot=0 if no_pilot else pilot,
        look=None if pilot is None and not no_pilot else not no_pilot,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the queue has of this submit. `record` is what a program is told of it."""

    run: str  #: r-12
    record: dict[str, Any]


def _problems(screen: Screen, submission: Submission, *, strict: bool, json: bool) -> None:
    """Show what is wrong; if it is more than warnings, that is the end."""
    found = submission.problems
    if json:
        for problem in problems.records(found)["problems"]:
            screen.must_say(dumps({"event": "problem", **problem}, screen))
    else:
        problems.show(found, screen)
    if found.errors or (strict and found.warnings):
        raise UsageError(f"{problems.summary(found)}; nothing was added", hint="correct them and submit again")


# -- adding ----------------------------------------------------------------------------------------------------------


def _stored(call: Call, settings: Settings, submission: Submission, *, yes: bool) -> Stored | None:
    """Add what is new. None if the person who was asked did not want it."""
    if submission.same is not None:
        run = f"r-{submission.same.run}"
        _nothing_to_add(call, run, kept=0)
        return Stored(run=run, record={"new": 0, "changed": 0, "estimate": None})
    draft, outlook = submission.draft, submission.outlook
    assert draft is not None
    assert outlook is not None
    cap = None if draft.fresh else _cap(call, draft)
    if not draft.new and not draft.replaced:
        added = submission.accept()
        _nothing_to_add(call, f"r-{added.run}", kept=added.kept)
        _say_cap(call, added, cap)
        return Stored(run=f"r-{added.run}", record=_record(added, outlook))
    screen = call.screen
    if not _agreed(screen, settings, submission, outlook, yes=yes):
        screen.must_say("Nothing was added.")
        return None
    added = submission.accept()
    if submission.new_database:
        screen.say(f"{screen.talk_mark(Mark.OK)} made the database {clean(settings.db)}")
    screen.say(f"{screen.talk_mark(Mark.OK)} {_said(added)}")
    _say_cap(call, added, cap)
    return Stored(run=f"r-{added.run}", record=_record(added, outlook))


def _agreed(screen: Screen, settings: Settings, submission: Submission, outlook: Outlook, *, yes: bool) -> bool:
    """Show what it weighs and costs; ask if that is much, or not known, and nothing bounds it."""
    estimate = outlook.estimate
    line = headline(submission.files, submission.shapes, submission.jobs, len(estimate.models), submission.problems)
    much = estimate.likely > settings.confirm_likely or estimate.most > settings.confirm_most or estimate.unbounded
    if yes or settings.simulate or settings.max_cost is not None or not much:
        to = estimates.elsewhere(settings)
        screen.say(f"{line}{estimates.short(outlook)}{f' · sent to {to}' if to else ''}")
        if outlook.deadline is not None:
            screen.say(f"Deadline {estimates.in_time(outlook)}")
        return True
    refusal = _refusal(estimate)
    lines = [line, "", *estimates.block(outlook, settings), ""]
    question = f"Submit {count(estimate.jobs, 'job')}, {_at_most(estimate)}?"
    screen.must_say("\n".join(lines))
    return confirmed(screen, question, yes=False, refusal=refusal)


def _at_most(estimate: Estimate) -> str:
    if estimate.unbounded == estimate.jobs:
        return "at an unknown cost"
    unknown = f" and {count(estimate.unbounded, 'job')} of unknown cost" if estimate.unbounded else ""
    return f"at most {dollars(estimate.most)}{unknown}"


def _refusal(estimate: Estimate) -> UsageError:
    if estimate.unbounded:
        return UsageError(f"what this costs is not known ({estimates.why(estimate)}); pass --yes")
    bound = -(-estimate.most // DOLLAR)
    return UsageError(f"this may cost up to {dollars(estimate.most)}; pass --yes, or --max-cost {bound} to bound it")


def _said(added: Added) -> str:
    name = f"run {clean(added.name)} (r-{added.run})"
    if added.fresh:
        return f"stored {name}: {count(added.new, 'job')}"
    parts = [f"{added.new:,} new"] if added.new else []
    parts += [f"{added.replaced:,} changed"] if added.replaced else []
    rest = [f"{added.unchanged:,} {'was' if added.unchanged == 1 else 'were'} there"] if added.unchanged else []
    rest += [_kept(added.kept)] if added.kept else []
    return f"added to {name}: {', '.join(parts)}{'; ' if rest else ''}{', '.join(rest)}"


def _kept(n: int) -> str:
    return f"{n:,} changed, kept as {'it was' if n == 1 else 'they were'}"


def _cap(call: Call, draft: Added) -> Nanos | None:
    """The cost cap of the known run that *draft* adds to, as it is now."""
    with call.reading() as reading:
        return reading.run(f"r-{draft.run}").budget


def _say_cap(call: Call, added: Added, before: Nanos | None) -> None:
    """Say that a known run has another cost cap than *before*."""
    if added.fresh:
        return
    now = _cap(call, added)
    if now != before:
        was = "it had none" if before is None else f"it was {dollars(before)}"
        mark = call.screen.talk_mark(Mark.OK)
        call.screen.say(f"{mark} the cost cap of run {clean(added.name)} (r-{added.run}) is {dollars(now)} now; {was}")


def _nothing_to_add(call: Call, ref: str, *, kept: int) -> None:
    with call.reading() as reading:
        run = reading.run(ref)
    facts = ", ".join(_facts(run))
    what = f"{_kept(kept)}; the rest" if kept else "all of it"
    call.screen.say(f"Nothing to add: {what} is in run {clean(run.name)} ({ref}) already: {facts}")
    if not run.left:
        call.screen.say("To run it a second time, add --again")


def _facts(run: RunSummary) -> Iterator[str]:
    for state in (State.SUCCEEDED, State.FAILED, State.CANCELLED):
        if run.n(state):
            yield f"{run.n(state):,} {state}"
    if run.n(State.IN_BATCH):
        yield f"{run.n(State.IN_BATCH):,} in batches"
    if run.left > run.n(State.IN_BATCH):
        yield f"{run.left - run.n(State.IN_BATCH):,} to do"


def _record(added: Added, outlook: Outlook) -> dict[str, Any]:
    return {
        "new": added.new,
        "changed": added.replaced,
        "unchanged": added.unchanged,
        "kept": added.kept,
        "estimate": estimates.record(outlook) if added.new or added.replaced else None,
    }


# -- only looking ----------------------------------------------------------------------------------------------------


def _dry(call: Call, settings: Settings, submission: Submission, *, json: bool) -> Exit:
    """Say what would be added, and write the first requests as they would be sent."""
    from batchrun.library.request import request_of

    screen, draft, outlook = call.screen, submission.draft, submission.outlook
    same = submission.same is not None or (draft is not None and not draft.new and not draft.replaced)
    if json:
        body: dict[str, Any] = {"dry_run": True, "name": submission.name, "jobs": submission.jobs}
        body["estimate"] = None if outlook is None or same else estimates.record(outlook)
        body["new"] = 0 if same or draft is None else draft.new
        body["changed"] = 0 if draft is None else draft.replaced
        body["requests"] = [_sampled(job, request_of(job)) for job in submission.sample]
        document(screen, "submit", body)
        return Exit.OK
    for job in submission.sample:
        _show(screen, job, request_of(job))
    if same or draft is None or outlook is None:
        kept = _kept(draft.kept) if draft is not None and draft.kept else "all of it was submitted before"
        screen.say(f"Nothing would be added: {kept}")
        return Exit.OK
    models = len(outlook.estimate.models)
    screen.say(headline(submission.files, submission.shapes, submission.jobs, models, submission.problems))
    for line in ("", *estimates.block(outlook, settings), ""):
        screen.say(line)
    if draft.fresh:
        screen.say(f"Would store run {clean(draft.name)}: {count(draft.new, 'job')}")
    else:
        screen.say(f"Would have {_said(draft)}")
    return Exit.OK


def _sampled(job: Job, request: str) -> dict[str, Any]:
    """A job as a program is shown it: what it is called, where it stands, and what is sent."""
    beside = {
        "tags": None if job.tags is None else loads(job.tags),
        "metadata": None if job.metadata is None else loads(job.metadata),
    }
    given = {name: value for name, value in beside.items() if value is not None}
    return {"id": job.key, "file": job.where.file, "line": job.where.line, **given, "request": loads(request)}


def _show(screen: Screen, job: Job, request: str) -> None:
    """A job: to a program in one line, its request as it is sent; to a person spread out."""
    if screen.tty:
        screen.line(dumps(_sampled(job, request), screen, indent=2))
    else:
        screen.line(f'{{"id": {dumps(job.key, screen)}, "request": {request}}}')
