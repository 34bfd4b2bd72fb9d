"""`batchrun batches`: the batches of this queue and of the workspace, and what a person may do about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.cli.confirm import confirmed
from batchrun.cli.output import Format, at, chosen, rows
from batchrun.cli.screen import Mark, clean
from batchrun.core.batch import BatchState, Verdict
from batchrun.core.figures import count, hour
from batchrun.core.job import Millis
from batchrun.errors import Exit, UsageError
from batchrun.queue.batchlist import batches as all_batches
from batchrun.queue.batchlist import suspects
from batchrun.queue.batchrows import BatchRow
from batchrun.queue.reading import Reading
from batchrun.report import batches as told

COLUMNS = (
    "id",
    "run",
    "state",
    "standing",
    "jobs",
    "remote_id",
    "since",
    "until",
    "ended",
    "results",
    "brought",
    "candidates",
    "cancel",
    "message",
)
IN_TABLE = ("id", "run", "standing", "jobs", "remote_id", "since", "until", "brought")
REMOTE = ("remote_id", "ours", "processing", "requests", "created", "ended", "until", "results", "archived")
LAST = 50
"""Batches that a person gets to see unless more are asked for."""


@options.command(
    "batchrun batches",
    "batchrun batches list nightly --json",
    "batchrun batches list --remote",
    "batchrun batches adopt b-3 msgbatch_01Ab…",
    "batchrun batches resolve b-3 --resend",
    "batchrun batches delete b-1 b-2",
)
@click.argument("what", type=click.Choice(["list", "adopt", "resolve", "delete"]), default="list", metavar="[ACTION]")
@click.argument("names", nargs=-1, metavar="[RUN|BATCH]...")
@click.option("--remote", is_flag=True, help="With list: the batches of the key's workspace, as the API shows them.")
@click.option("--resend", is_flag=True, help="With resolve: send the jobs of an unclear batch again.")
@options.limit
@options.yes
@options.formats(Format.TABLE, Format.JSON, Format.JSONL, Format.CSV, Format.TSV, Format.MD)
def batches(
    call: Call,
    what: str,
    names: tuple[str, ...],
    remote: bool,
    resend: bool,
    limit: int | None,
    yes: bool,
    format: Format | None,  # noqa: A002  # the flag's name
) -> Exit:
    """List batches, or settle by hand what `run` settles by itself in time.

    `list [RUN]` shows the batches of this queue, the newest first. `adopt BATCH REMOTE` says that REMOTE is the batch
    that is unclear or lost; it is refused unless its first line proves it. `resolve BATCH` tells what is known of an
    unclear batch. `delete BATCH...` deletes results at Anthropic that are all stored here.

    An unclear batch may have arrived: what `resolve BATCH --resend` sends again may be paid twice. It is still looked
    for, and what it brings is kept.
    """
    if remote and what != "list":
        raise UsageError("`--remote` belongs to `batches list`")
    if resend and what != "resolve":
        raise UsageError("`--resend` belongs to `batches resolve`")
    match what:
        case "list":
            return _list(call, _at_most_one(names), chosen(format, call.screen), limit, remote=remote)
        case "adopt":
            return _adopt(call, names)
        case "resolve":
            return _resolve(call, names, resend=resend, yes=yes)
        case _:
            return _delete(call, names, yes=yes)


def _at_most_one(names: Sequence[str]) -> str | None:
    if len(names) > 1:
        raise UsageError("`batches list` takes one RUN at most")
    return names[0] if names else None


# -- looking -----------------------------------------------------------------------------------------------------------


def _list(call: Call, ref: str | None, form: Format, limit: int | None, *, remote: bool) -> Exit:
    screen = call.screen
    with call.reading() as reading:
        if remote:
            return _remote(call, reading, form, limit)
        run = None if ref is None else reading.run(ref)
        most = limit if limit is not None else LAST if form is Format.TABLE and screen.tty else None
        found = all_batches(reading, None if run is None else run.id, most=most)
        columns = IN_TABLE if form is Format.TABLE else COLUMNS
        shown = (_record(reading, row) | (_times(row, call.now) if form is Format.TABLE else {}) for row in found)
        if found or form is not Format.TABLE:
            rows(screen, form, "batches", shown, columns=columns, right=("jobs",))
        if not found:
            screen.say("No batches here yet: `batchrun submit FILE --mode batch` sends some.")
        for row in found:
            if told.is_unclear(row):
                screen.say(clean(_story(call, reading, row), lines=True))
    return Exit.OK


def _record(reading: Reading, row: BatchRow) -> dict[str, Any]:
    batch = row.batch
    return {
        "id": told.ref(row),
        "run": batch.run_name,
        "state": batch.state.value,
        "standing": told.word(row),
        "jobs": batch.n,
        "remote_id": batch.remote,
        "since": at(row.since),
        "until": at(batch.expires),
        "ended": at(row.ended),
        "results": told.results(row),
        "brought": told.figures(row) or None,
        "candidates": _candidates(reading, row),
        "cancel": None if batch.cancel is None else batch.cancel.value,
        "message": row.message or None,
    }


def _times(row: BatchRow, now: Millis) -> dict[str, str]:
    """Its times for people."""
    until = row.batch.expires
    return {"since": hour(row.since, now), "until": "" if until is None else hour(until, now)}


def _candidates(reading: Reading, row: BatchRow) -> list[str]:
    """Batches of the workspace that may be *row*."""
    if row.batch.state not in {BatchState.UNCLEAR, BatchState.LOST}:
        return []
    return [each.remote for each in suspects(reading, row.batch.id) if each.verdict is Verdict.OPEN]


def _story(call: Call, reading: Reading, row: BatchRow) -> str:
    """What is known of an unclear batch, and what to do."""
    lines = [told.unclear(row, call.now)]
    if row.message:
        lines.append(f"  {row.message}")
    lines += [f"  {remote}, of as many requests, may be it" for remote in _candidates(reading, row)]
    lines.append(f"  `{call.typed('batchrun run')}` finds out by itself; sending again may be paid twice:")
    lines.append(f"  {call.typed(f'batchrun batches resolve {told.ref(row)} --resend')}")
    return "\n".join(lines)


def _remote(call: Call, reading: Reading, form: Format, limit: int | None) -> Exit:
    from batchrun.library.batches import listed

    ours = {row.batch.remote: told.ref(row) for row in all_batches(reading)}
    found = listed(call.settings)
    shown = found.batches if limit is None else found.batches[:limit]

    def records() -> Iterator[dict[str, Any]]:
        for each in shown:
            yield {
                "remote_id": each.id,
                "ours": ours.get(each.id),
                "processing": each.processing.value,
                "requests": each.n,
                "created": at(each.created),
                "ended": at(each.ended),
                "until": at(each.expires),
                "results": {name: n for name, n in each.counts.items() if n and name != "processing"} or None,
                "archived": each.archived,
            }

    columns = REMOTE[:6] if form is Format.TABLE else REMOTE
    rows(call.screen, form, "remote_batches", records(), columns=columns, right=("requests",), key="batches")
    if found.more and limit is None:
        call.screen.say(f"The newest {len(shown):,}; the workspace has older ones.")
    return Exit.OK


# -- acting ------------------------------------------------------------------------------------------------------------


def _adopt(call: Call, names: Sequence[str]) -> Exit:
    from batchrun.library.batches import adopt

    if len(names) != 2:
        raise UsageError("which? `batches adopt BATCH REMOTE`", hint="`batchrun batches` shows the candidates of each")
    with call.reading():
        pass  # says whether the queue is a simulated one
    row = adopt(call.settings, *names)
    screen = call.screen
    screen.say(f"{screen.talk_mark(Mark.OK)} {told.ref(row)} is {clean(names[1])}, proven by its first line")
    screen.say(f"To collect:  {clean(call.typed('batchrun run'))}")
    return Exit.OK


def _resolve(call: Call, names: Sequence[str], *, resend: bool, yes: bool) -> Exit:
    from batchrun.library import batches as library

    screen = call.screen
    if len(names) != 1:
        raise UsageError("which? `batches resolve BATCH --resend`", hint="`batchrun batches` lists them")
    row = library.named(call.settings, names[0])
    with call.reading() as reading:
        if not told.is_unclear(row):
            raise UsageError(f"{told.ref(row)} is {row.batch.state}: there is nothing to resolve")
        story = clean(_story(call, reading, row), lines=True)
    if not resend:
        screen.line(story)
        return Exit.OK
    n = count(row.batch.n, "job")
    if not yes:
        screen.must_say(story)
    refusal = UsageError(f"this sends {n} again, which may be paid twice; pass --yes")
    if not confirmed(screen, f"Send {n} again, and perhaps pay twice?", yes=yes, refusal=refusal):
        screen.must_say("Nothing was changed.")
        return Exit.USAGE
    queued = library.resend(call.settings, row)
    screen.say(
        f"{screen.talk_mark(Mark.OK)} {count(queued, 'job')} queued again; {told.ref(row)} is looked for two days"
    )
    screen.say(f"To send:  {clean(call.typed('batchrun run'))}")
    return Exit.OK


def _delete(call: Call, names: Sequence[str], *, yes: bool) -> Exit:
    from batchrun.library import batches as library

    screen = call.screen
    if not names:
        raise UsageError("which? `batches delete BATCH...`", hint="`batchrun batches` lists them")
    with call.reading():
        pass  # says whether the queue is a simulated one
    found = [library.named(call.settings, name) for name in names]
    n = count(len(found), "batch", "batches")
    refusal = UsageError(f"this deletes the results of {n} at Anthropic; pass --yes")
    question = f"Delete the results of {n} at Anthropic? The answers stored here stay."
    if not confirmed(screen, question, yes=yes, refusal=refusal):
        screen.must_say("Nothing was deleted.")
        return Exit.USAGE
    for row in found:
        was = library.delete(call.settings, row)
        remote = clean(row.batch.remote or "")
        screen.say(f"{screen.talk_mark(Mark.OK)} {remote} {'deleted' if was else 'was not there any more'}")
    return Exit.OK
