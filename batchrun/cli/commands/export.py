"""`batchrun export`: a run's answers as a file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.cli.screen import Mark, Screen, clean
from batchrun.core.figures import count
from batchrun.core.states import State
from batchrun.errors import Exit, UsageError
from batchrun.queue.answers import matching, unmatched
from batchrun.report.export import SUFFIXES, ExportFormat
from batchrun.report.exporting import Export
from batchrun.report.flat import COLUMNS
from batchrun.report.layout import asked
from batchrun.report.target import check_target

if TYPE_CHECKING:
    from batchrun.core.select import Selection

_SPREAD = (*COLUMNS[:-1], "metadata.*")
"""What a table of a file has by itself: a column for each name of the metadata."""


@options.command(
    "batchrun export -o answers.jsonl",
    "batchrun export nightly -o answers.csv --fields id,text,cost",
    "batchrun export -o answers.parquet --unfold --with usage",
    "batchrun export last --format anthropic > results.jsonl",
)
@options.run
@click.option("-o", "--output", metavar="FILE", default="-", help="Write there; - is stdout.  [default: -]")
@click.option(
    "--format",
    "form",
    type=click.Choice([one.value for one in ExportFormat]),
    help="jsonl (flat), anthropic (as batch results), csv, parquet; else by the end of FILE.",
)
@options.fields
@click.option("--with", "more", metavar="A,B", help="These parts too: request, response, usage, attempts.")
@options.unfold
@options.select_answers
@click.option("--force", is_flag=True, help="Replace FILE, though it is a job file or no export.")
def export(
    call: Call,
    run: str,
    output: str,
    form: str | None,
    fields: str | None,
    more: str | None,
    unfold: bool,
    select: Selection | None,
    force: bool,
) -> Exit:
    """Write what became of a run's jobs, in the order of its file: answers, and errors of those that have none.

    Jobs that are not finished are left out and counted on stderr. FILE is written under another name and renamed when
    it is whole, so that an older export is replaced at once or not at all; beside it FILE.meta.json says what is in it.
    Any other file that is there already, a job file above all, is replaced only with --force.
    --fields takes dotted paths, and json.* or metadata.* for a column of each name that is met; --unfold puts json.* in
    the place of json. In a CSV a text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    chosen = _format(form, output)
    paths = _paths(fields, more, chosen, unfold=unfold)
    with call.reading() as reading:
        found = reading.run(run)
        wanted = Export(reading=reading, run=found, selection=select, form=chosen, paths=paths)
        if output != "-":
            check_target(Path(output), found.sources, queue=reading.path, force=force)
        if select is not None and not matching(reading, found.id, selection=select):
            raise unmatched(reading, found.id, clean(found.name), select)
        if output == "-":
            _stream(call.screen, wanted)
        else:
            wanted.write(Path(output), call.now)
        _say(call, output, wanted)
    return Exit.OK


def _stream(screen: Screen, wanted: Export) -> None:
    if wanted.form is not ExportFormat.PARQUET:
        for line in wanted.lines():
            screen.write(clean(line, lines=True) if screen.tty else line)
    elif screen.tty:
        raise UsageError("a Parquet file is not for a terminal", hint="-o FILE.parquet, or a pipe")
    else:
        wanted.stream(screen.out.buffer)


def _format(form: str | None, output: str) -> ExportFormat:
    if form is not None:
        return ExportFormat(form)
    if output == "-":
        return ExportFormat.JSONL
    suffix = Path(output).suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"what format shall `{output}` have?",
            hint=f"add --format, or name it {', '.join(f'*{s}' for s in SUFFIXES)}",
        )
    return SUFFIXES[suffix]


def _paths(fields: str | None, more: str | None, chosen: ExportFormat, *, unfold: bool) -> tuple[str, ...]:
    if chosen is ExportFormat.ANTHROPIC:
        for flag, given in (("--fields", fields), ("--with", more), ("--unfold", unfold)):
            if given:
                raise UsageError(f"`{flag}` does not go with --format anthropic: its form is fixed")
        return ()
    spread = chosen in {ExportFormat.CSV, ExportFormat.PARQUET}
    return asked(fields, _SPREAD if spread else COLUMNS, more=more, unfold=unfold)


def _say(call: Call, output: str, wanted: Export) -> None:
    screen, run, written = call.screen, wanted.run, wanted.written
    parts = [count(written.get(State.SUCCEEDED, 0), "answer")]
    parts += [f"{written[state]:,} {state.value}" for state in (State.FAILED, State.CANCELLED) if state in written]
    where = "" if output == "-" else f"{screen.talk_mark(Mark.OK)} {clean(output)}   "
    screen.say(f"{where}{', '.join(parts)} of {clean(run.name)}")
    if run.left:
        verb = "is" if run.left == 1 else "are"
        screen.say(f"{count(run.left, 'job')} {verb} not finished and not in it")
