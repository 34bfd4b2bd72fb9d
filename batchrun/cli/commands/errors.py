"""`batchrun errors`: what failed, alike failures together, and what to do about each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.cli.flow import advice, flow, words
from batchrun.cli.output import Format, at, chosen, chosen_fields, document, rows
from batchrun.cli.screen import Tone, clean
from batchrun.core.figures import count, hour
from batchrun.core.states import State
from batchrun.errors import Exit
from batchrun.queue.answers import matching, unmatched
from batchrun.queue.failures import LOOKED_AT, ErrorGroup, Failure, failures, groups
from batchrun.queue.reading import Reading
from batchrun.queue.rows import RunSummary
from batchrun.report.cures import Typed, cure_of, word

if TYPE_CHECKING:
    from batchrun.core.select import Selection

COLUMNS = (
    "id",
    "state",
    "error",
    "status",
    "code",
    "message",
    "request_id",
    "request_ids",
    "attempts",
    "tries",
    "model",
    "file",
    "line",
    "ended",
)
IN_TABLE = ("id", "error", "status", "message", "request_id", "file", "line")
PAD = 5
MESSAGE = 300
"""Columns before what belongs to a group, and characters of a message on the screen."""


@options.command("batchrun errors", "batchrun errors nightly -s error:overloaded", "batchrun errors --format jsonl")
@options.run
@options.select
@click.option("--all", "every", is_flag=True, help=f"Read every message, not only the first {LOOKED_AT:,} of a kind.")
@options.limit
@options.fields
@options.formats(Format.TEXT, Format.TABLE, Format.JSON, Format.JSONL, Format.CSV, Format.TSV, Format.MD)
def errors(
    call: Call,
    run: str,
    select: Selection | None,
    every: bool,
    limit: int | None,
    fields: str | None,
    format: Format | None,  # noqa: A002  # the flag's name
) -> Exit:
    """Show what failed in a run: groups of alike errors, a sample of each with its place and request id, and the cure.

    --json gives the groups; jsonl, csv, tsv, md and table list the jobs, one a line, as does a pipe.
    """
    screen = call.screen
    form = chosen(format, screen, person=Format.TEXT)
    with call.reading() as reading:
        found = reading.run(run)
        if select is not None and not matching(reading, found.id, selection=select):
            raise unmatched(reading, found.id, clean(found.name), select)
        match form:
            case Format.TEXT:
                _text(call, found, groups(reading, found.id, select, every=every), limit)
            case Format.JSON:
                document(
                    screen, "errors", _record(found, groups(reading, found.id, select, every=every), limit, call.typed)
                )
            case _:
                columns = chosen_fields(fields, COLUMNS, IN_TABLE if form is Format.TABLE else COLUMNS)
                rows(screen, form, "errors", _jobs(reading, found, select, limit), columns=columns, right=("line",))
    return Exit.OK


def _jobs(reading: Reading, run: RunSummary, select: Selection | None, limit: int | None) -> Iterator[dict[str, Any]]:
    for n, failure in enumerate(failures(reading, run.id, select)):
        if limit is not None and n >= limit:
            return
        yield _job(failure)


def _job(failure: Failure) -> dict[str, Any]:
    job, attempt = failure.job, failure.attempt
    request_id = attempt.request_id if attempt else None
    return {
        "id": job.key,
        "state": job.state.value,
        "error": job.error,
        "status": attempt.status if attempt else None,
        "code": attempt.error_code if attempt else None,
        "message": attempt.message or None if attempt else None,
        "request_id": request_id,
        "request_ids": [one for one in (request_id, *(attempt.other_ids if attempt else ())) if one],
        "attempts": job.attempts,
        "tries": job.tries,
        "model": job.model,
        "file": job.file,
        "line": job.line,
        "ended": at(attempt.ended if attempt else job.finished),
    }


def _record(run: RunSummary, found: Sequence[ErrorGroup], limit: int | None, typed: Typed) -> dict[str, Any]:
    return {
        "run": {"id": run.ref, "name": run.name},
        "failed": run.n(State.FAILED),
        "held": run.n(State.HELD),
        "groups": [_group(run, group, typed) for group in found[:limit]],
    }


def _group(run: RunSummary, group: ErrorGroup, typed: Typed) -> dict[str, Any]:
    cure = cure_of(group.error, group.status, held=group.state is State.HELD)
    return {
        "error": group.error or None,
        "state": group.state.value,
        "status": group.status,
        "code": group.code,
        "message": group.message or None,
        "n": group.n,
        "at_least": group.at_least,
        "last": at(group.last),
        "most_tries": group.most_tries,
        "means": cure.means or None,
        "cure": cure.written(run=run.name, file=_file(group), error=group.error, typed=typed),
        "samples": [_job(failure) for failure in group.samples],
    }


def _file(group: ErrorGroup) -> str:
    return group.samples[0].job.file or "FILE"


def _text(call: Call, run: RunSummary, found: Sequence[ErrorGroup], limit: int | None) -> None:
    screen = call.screen
    name = clean(run.name)
    if not found:
        screen.line(f"Nothing failed in {name}.")
        return
    flow(screen, words(_headline(run, found)))
    for group in found[:limit]:
        screen.line()
        _draw(call, run, group)
    if limit is not None and len(found) > limit:
        screen.line()
        flow(screen, words(f"{count(len(found) - limit, 'more group')}; without -n all are shown"))
    if any(group.at_least for group in found):
        screen.line()
        least = "≥" if screen.utf8 else ">="
        flow(screen, words(f"{least}: counted among the first {LOOKED_AT:,} of its kind; --all counts every one"))


def _headline(run: RunSummary, found: Sequence[ErrorGroup]) -> str:
    parts = []
    if run.n(State.FAILED):
        parts.append(f"{count(run.n(State.FAILED), 'job')} of {clean(run.name)} failed")
    if run.n(State.HELD):
        parts.append(f"{count(run.n(State.HELD), 'job')} held")
    return f"{', '.join(parts) or 'Failed jobs'}; {count(len(found), 'group')}"


def _draw(call: Call, run: RunSummary, group: ErrorGroup) -> None:
    screen, typed = call.screen, call.typed
    held = group.state is State.HELD
    cure = cure_of(group.error, group.status, held=held)
    least = ("≥" if screen.utf8 else ">=") if group.at_least else ""
    times = "×" if screen.utf8 else "x"
    status = f" ({group.status})" if group.status is not None else ""
    title = screen.style(f"{least}{group.n:,} {times} {clean(group.error) or 'unknown'}{status}", Tone.BAD)
    flow(screen, words(f"{title}: {cure.means}") if cure.means else [title], indent=PAD)
    pad = " " * PAD
    if group.message:
        flow(screen, words(f"{pad}{clean(group.message[:MESSAGE])}"), indent=PAD)
    for failure in group.samples[:1]:
        ids = failure.attempt.request_id if failure.attempt else None
        named = [f"{pad}e.g. {clean(failure.job.key)}", f" ({clean(failure.job.place)})"]
        flow(screen, [*named, f"   {clean(ids)}"] if ids else named, indent=PAD)
    tried = f"after {count(group.most_tries, 'try', 'tries')}" if group.most_tries > 1 else ""
    last = f"last {hour(group.last, call.now)}" if group.last is not None else ""
    if tried or last:
        screen.line(pad + ", ".join(part for part in (tried, last) if part))
    written = cure.written(run=run.name, file=_file(group), error=group.error, typed=typed)
    hint = (screen.style(part, Tone.HINT) if part.startswith("batchrun ") else part for part in advice(clean(written)))
    flow(screen, [f"{pad}cure: ", *hint], indent=PAD)
    if group.n > 1:
        listed = f"batchrun errors {word(run.name)} -s {word(f'error:{group.error}')} --format jsonl"
        flow(screen, [f"{pad}list:", f" {clean(typed(listed))}"], indent=PAD)
