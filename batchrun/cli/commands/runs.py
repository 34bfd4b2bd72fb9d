"""`batchrun runs`: all runs, what is set of them, their names and tags, and removing those that are over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.cli.confirm import confirmed
from batchrun.cli.output import Format, amount, at, chosen, document, rows
from batchrun.cli.screen import Mark, clean
from batchrun.core.figures import count, dollars, hour, span
from batchrun.core.job import Millis
from batchrun.core.server import is_server
from batchrun.core.states import State
from batchrun.errors import Exit, UsageError
from batchrun.queue import runlist
from batchrun.queue.rows import RunSummary
from batchrun.queue.runlist import RunFacts

if TYPE_CHECKING:
    from batchrun.library.runs import Doomed

ACTIONS = ("list", "show", "set", "tag", "rename", "rm", "prune")
COLUMNS = (
    "id",
    "name",
    "state",
    "mode",
    "priority",
    "jobs",
    "left",
    "succeeded",
    "failed",
    "spent",
    "max_cost",
    "tags",
    "created",
    "ended",
    "deadline",
    "account",
    "files",
)
IN_TABLE = ("id", "name", "state", "mode", "jobs", "left", "failed", "spent", "tags", "created")
OLD = "90d"


@options.command(
    "batchrun runs",
    "batchrun runs show nightly",
    "batchrun runs set nightly max_cost=50 deadline=06:30 priority=5",
    "batchrun runs tag nightly urgent ~draft",
    "batchrun runs rename nightly nightly-of-monday",
    "batchrun runs rm nightly-2",
    "batchrun runs prune --older-than 90d --dry-run",
)
@click.argument("what", type=click.Choice(ACTIONS), default="list", metavar="[ACTION]")
@click.argument("words", nargs=-1, metavar="[RUN] [WORD]...", shell_complete=options.offered("run_names"))
@click.option("--older-than", metavar="TIME", help=f"With prune: over for longer than this; default {OLD}.")
@options.limit
@options.dry_run
@options.yes
@options.formats(Format.TABLE, Format.JSON, Format.JSONL, Format.CSV, Format.TSV, Format.MD)
def runs(
    call: Call,
    what: str,
    words: tuple[str, ...],
    older_than: str | None,
    limit: int | None,
    dry_run: bool,
    yes: bool,
    format: Format | None,  # noqa: A002  # the flag's name
) -> Exit:
    """List runs, change what is set of one, or remove those that are over.

    `set RUN NAME=VALUE...` changes priority, deadline, max_cost, mode, hours, on_crash or on_unclear of a run that is
    under way (`none` takes a deadline, cap or hours away); a worker heeds it within seconds. `tag RUN WORD...` adds
    tags, `~WORD` takes one away. `rename RUN NAME`: its file still leads to it. `rm RUN...` and `prune` remove runs
    with their answers, and refuse while anything of one is out, unclear or may still come.
    """
    form = chosen(format, call.screen)
    if older_than is not None and what != "prune":
        raise UsageError("`--older-than` belongs to `runs prune`")
    if dry_run and what not in {"rm", "prune"}:
        raise UsageError("`--dry-run` belongs to `runs rm` and `runs prune`")
    match what:
        case "list":
            return _list(call, words, form, limit)
        case "show":
            return _show(call, words, form)
        case "set":
            return _set(call, words, form)
        case "tag":
            return _tag(call, words, form)
        case "rename":
            return _rename(call, words, form)
        case "rm":
            return _rm(call, words, form, dry=dry_run, yes=yes)
        case _:
            return _prune(call, words, older_than or OLD, form, dry=dry_run, yes=yes)


def _list(call: Call, words: Sequence[str], form: Format, limit: int | None) -> Exit:
    if words:
        raise UsageError("`runs list` takes no run", hint=f"`batchrun runs show {words[0]}`, or `batchrun status`")
    with call.reading() as reading:
        found = runlist.runs(reading)
    records = [_record(run, facts) for run, facts in found[:limit]]
    if form is Format.TABLE:
        for record, (run, facts) in zip(records, found, strict=False):
            record |= {
                "spent": dollars(run.spent),
                "created": hour(run.created, call.now),
                "tags": " ".join(facts.tags),
            }
    columns = IN_TABLE if form is Format.TABLE else COLUMNS
    if records or form is not Format.TABLE:
        rows(call.screen, form, "runs", records, columns=columns, right=("jobs", "left", "failed", "spent"))
    else:
        call.screen.say("No runs yet: `batchrun submit FILE` makes one.")
    return Exit.OK


def _record(run: RunSummary, facts: RunFacts) -> dict[str, Any]:
    return {
        "id": run.ref,
        "name": run.name,
        "state": run.state.value,
        "mode": run.mode,
        "priority": facts.priority,
        "jobs": run.total,
        "left": run.left,
        "succeeded": run.n(State.SUCCEEDED),
        "failed": run.n(State.FAILED),
        "spent": amount(run.spent),
        "max_cost": amount(run.budget),
        "tags": list(facts.tags),
        "created": at(run.created),
        "ended": at(runlist.ended(run)),
        "deadline": at(run.deadline),
        "account": run.account_label or run.account_name or None,
        "files": list(run.sources),
    }


def _show(call: Call, words: Sequence[str], form: Format) -> Exit:
    if len(words) > 1:
        raise UsageError("`runs show` takes one run")
    with call.reading() as reading:
        run = reading.run(words[0] if words else "last")
        facts = runlist.facts(reading, run.id)
        answers, batches = runlist.answers_and_batches(reading, run.id)
    record = _record(run, facts) | {
        "submitted_as": facts.stem or run.name,
        "reserved": amount(run.reserved),
        "possibly_billed": run.possibly,
        "answers": answers,
        "batches": batches,
        "tries": facts.tries,
        "on_crash": facts.on_crash,
        "on_unclear": facts.on_unclear,
        "on_truncated": facts.on_truncated,
        "on_refused": facts.on_refused,
        "hours": facts.hours,
        "betas": list(facts.betas),
        "headers": list(facts.headers),
    }
    if form is Format.JSON:
        document(call.screen, "run", record)
        return Exit.OK
    facts_of = ({"name": name, "value": value} for name, value in record.items())
    rows(call.screen, form, "run", facts_of, columns=("name", "value"))
    return Exit.OK


def _set(call: Call, words: Sequence[str], form: Format) -> Exit:
    from batchrun.library import runs as library

    if not words or "=" in words[0]:
        raise UsageError("set of which run? `runs set RUN NAME=VALUE...`")
    facts = library.read_facts(words[1:], call.now)
    with call.reading():
        pass  # says whether the queue is a simulated one
    run = library.set_facts(call.settings, words[0], facts)
    screen = call.screen
    if form is Format.JSON:
        with call.reading() as reading:
            document(screen, "run", _record(run, runlist.facts(reading, run.id)))
        return Exit.OK
    screen.say(f"{screen.talk_mark(Mark.OK)} {clean(run.name)}: {clean(', '.join(words[1:]))}")
    if "budget" in facts and run.budget is not None and run.budget <= run.spent + run.reserved:
        used = f"{dollars(run.spent)} spent and {dollars(run.reserved)} reserved"
        screen.say(f"{used}: nothing more is sent until something comes home or the cap is raised")
    return Exit.OK


def _tag(call: Call, words: Sequence[str], form: Format) -> Exit:
    from batchrun.library import runs as library

    if len(words) < 2:
        raise UsageError("tag which run, and how? `runs tag RUN WORD...`")
    with call.reading() as reading:
        name = reading.run(words[0]).name
    tags = library.tag(call.settings, words[0], words[1:])
    if form is Format.JSON:
        document(call.screen, "run_tags", {"run": words[0], "tags": tags})
    else:
        call.screen.say(f"{call.screen.talk_mark(Mark.OK)} {clean(name)}: {clean(' '.join(tags)) or 'no tags'}")
    return Exit.OK


def _rename(call: Call, words: Sequence[str], form: Format) -> Exit:
    from batchrun.library import runs as library

    if len(words) != 2:
        raise UsageError("which run, and how shall it be called? `runs rename RUN NAME`")
    with call.reading():
        pass
    run = library.rename(call.settings, *words)
    if form is Format.JSON:
        document(call.screen, "run_name", {"id": run.ref, "name": run.name})
    else:
        call.screen.say(f"{call.screen.talk_mark(Mark.OK)} {run.ref} is {clean(run.name)}")
    return Exit.OK


def _rm(call: Call, words: Sequence[str], form: Format, *, dry: bool, yes: bool) -> Exit:
    from batchrun.library import runs as library

    if not words:
        raise UsageError("which? `runs rm RUN...`", hint="`batchrun runs` lists them")
    with call.reading():
        pass
    found = library.doomed(call.settings, words)
    for one in found:
        if one.why_not is not None:
            cure = f"`{call.typed('batchrun run')}` brings it to its end, `{call.typed('batchrun cancel')}` stops it"
            raise UsageError(f"run {one.run.name} cannot be removed: {one.why_not}", hint=cure)
    return _remove(call, found, form, None, dry=dry, yes=yes)


def _prune(call: Call, words: Sequence[str], older: str, form: Format, *, dry: bool, yes: bool) -> Exit:
    from batchrun.library import runs as library
    from batchrun.settings.values import duration

    if words:
        raise UsageError("`runs prune` takes no run", hint="`batchrun runs rm RUN` removes one")
    try:
        seconds = duration(older)
    except ValueError as error:
        raise UsageError(f"--older-than {error}", hint="such as 90d or 12h") from None
    with call.reading():
        pass
    before = Millis(call.now - round(seconds * 1000))
    found = library.old(call.settings, before)
    for one in found:
        if one.why_not is not None:
            call.screen.say(f"Kept: {clean(one.run.name)}: {one.why_not}")
    chosen_ones = [one for one in found if one.why_not is None]
    return _remove(call, chosen_ones, form, before, dry=dry, yes=yes)


def _remove(call: Call, found: Sequence[Doomed], form: Format, before: Millis | None, *, dry: bool, yes: bool) -> Exit:
    from batchrun.library import runs as library

    screen = call.screen
    if not yes or dry:
        for one in found:
            over = runlist.ended(one.run)
            ago = "" if over is None else f", over {span((call.now - over) / 1000)} ago"
            screen.must_say(f"{clean(one.run.name)} ({one.run.ref}): {one.words}{ago}")
    log = "" if before is None else f", and the log before {hour(before, call.now)}"
    n = count(len(found), "run")
    if not dry:
        refusal = UsageError(f"this removes {n} with all answers{log}; pass --yes")
        question = f"Remove {n} with all answers{log}? They cannot be had again."
        if not confirmed(screen, question, yes=yes, refusal=refusal):
            screen.must_say("Nothing was removed.")
            return Exit.USAGE
        done = library.remove(call.settings, found, before)
    if form is Format.JSON:
        record = {"dry_run": dry, "runs": [_gone(one) for one in found]}
        more = {} if dry else {"jobs": done.jobs, "events": done.events, "shared": done.shared}
        document(screen, "runs_removed", record | more)
    elif dry:
        screen.say(f"Would remove {n}{log}.")
    else:
        screen.say(f"{screen.talk_mark(Mark.OK)} removed {n}, {count(done.jobs, 'job')}")
        if not is_server(call.settings.db):
            screen.say(f"The file gets smaller by  {clean(call.typed('batchrun db vacuum'))}")
    return Exit.OK


def _gone(one: Doomed) -> dict[str, Any]:
    run = one.run
    return {"id": run.ref, "name": run.name, "jobs": run.total, "answers": one.answers, "spent": amount(run.spent)}
