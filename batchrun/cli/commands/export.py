"""`batchrun export`: a run's answers as a file for other programs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchrun import __version__
from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.cli.output import at
from batchrun.cli.screen import Mark, clean
from batchrun.core.figures import count
from batchrun.core.states import FINAL, State
from batchrun.errors import Exit, NothingMatched, UsageError
from batchrun.queue.answers import answers, matching, metadata_names
from batchrun.queue.jobrows import ResultRow
from batchrun.queue.reading import Reading
from batchrun.queue.rows import RunSummary
from batchrun.report.export import SUFFIXES, ExportFormat, lines
from batchrun.report.flat import COLUMNS
from batchrun.report.target import SCHEMA, check_target, label_of
from batchrun.report.wholefile import whole_file

if TYPE_CHECKING:
    from batchrun.core.select import Selection

_FINAL = tuple(sorted(FINAL))


@options.command(
    "batchrun export -o answers.jsonl",
    "batchrun export nightly -o answers.csv --fields id,text,cost",
    "batchrun export last --format anthropic > results.jsonl",
)
@options.run
@click.option("-o", "--output", metavar="FILE", default="-", help="Write there; - is stdout.  [default: -]")
@click.option(
    "--format",
    "form",
    type=click.Choice([one.value for one in ExportFormat]),
    help="jsonl (flat), anthropic (as batch results), csv; else by the end of FILE.",
)
@options.fields
@options.select_answers
@click.option("--force", is_flag=True, help="Replace FILE, though it is a job file or no export.")
def export(
    call: Call, run: str, output: str, form: str | None, fields: str | None, select: Selection | None, force: bool
) -> Exit:
    """Write what became of a run's jobs, in the order of its file: answers, and errors of those that have none.

    Jobs that are not finished are left out and counted on stderr. FILE is written under another name and renamed when
    it is whole, so that an older export is replaced at once or not at all; beside it FILE.meta.json says what is in it.
    Any other file that is there already, a job file above all, is replaced only with --force.
    In a CSV a text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    chosen = _format(form, output)
    columns = _columns(fields, chosen)
    with call.reading() as reading:
        found = reading.run(run)
        wanted = _Wanted(reading=reading, run=found, selection=select)
        if output != "-":
            check_target(Path(output), found.sources, queue=reading.path, force=force)
        if select is not None and not matching(reading, found.id, selection=select):
            raise NothingMatched(f"no job of {found.name} matches `{select.text}`")
        names = wanted.metadata() if chosen is ExportFormat.CSV and columns is None else []
        text = lines(chosen, wanted.tallied(), columns=columns, metadata=names)
        if output == "-":
            for line in text:
                call.screen.write(clean(line, lines=True) if call.screen.tty else line)
        else:
            _write(call, Path(output), text, wanted, chosen)
    _say(call, output, wanted)
    return Exit.OK


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


def _columns(fields: str | None, chosen: ExportFormat) -> tuple[str, ...] | None:
    if fields is None:
        return None
    if chosen is ExportFormat.ANTHROPIC:
        raise UsageError("`--fields` does not go with --format anthropic: its form is fixed")
    from batchrun.cli.output import chosen_fields

    return chosen_fields(fields, COLUMNS, COLUMNS)


@dataclass(kw_only=True)
class _Wanted:
    """The jobs to be written, and how many of each state were."""

    reading: Reading
    run: RunSummary
    selection: Selection | None
    written: dict[State, int] | None = None

    def metadata(self) -> list[str]:
        return metadata_names(self.reading, self.run.id, selection=self.selection, states=_FINAL)

    def tallied(self) -> Iterable[ResultRow]:
        self.written = {}
        for row in answers(self.reading, self.run.id, selection=self.selection, states=_FINAL):
            # Between two looks at it a job may have been put back.
            if row.job.state in FINAL:
                self.written[row.job.state] = self.written.get(row.job.state, 0) + 1
                yield row


def _write(call: Call, path: Path, text: Iterable[str], wanted: _Wanted, chosen: ExportFormat) -> None:
    digest = hashlib.sha256()
    with whole_file(path) as file:
        for line in text:
            digest.update(line.encode("utf-8", "backslashreplace"))
            file.write(line)
    if path.is_file():
        with whole_file(label_of(path)) as file:
            file.write(json.dumps(_meta(call, wanted, chosen, digest.hexdigest()), ensure_ascii=False, indent=2) + "\n")


def _meta(call: Call, wanted: _Wanted, chosen: ExportFormat, sha256: str) -> dict[str, Any]:
    run, written = wanted.run, wanted.written or {}
    return {
        "schema": f"{SCHEMA}1",
        **({"simulated": True} if wanted.reading.simulated else {}),
        "batchrun": __version__,
        "written": at(call.now),
        "run": {"id": run.ref, "name": run.name, "created": at(run.created), "done": at(run.done)},
        "files": list(run.sources),
        "source_digest": run.digest.hex() if run.digest else None,
        "select": wanted.selection.text if wanted.selection else None,
        "format": chosen.value,
        "currency": "USD",
        "rows": sum(written.values()),
        "counts": {state.value: written.get(state, 0) for state in (State.SUCCEEDED, State.FAILED, State.CANCELLED)},
        "not_finished": run.left,
        "sha256": sha256,
    }


def _say(call: Call, output: str, wanted: _Wanted) -> None:
    screen, run, written = call.screen, wanted.run, wanted.written or {}
    parts = [count(written.get(State.SUCCEEDED, 0), "answer")]
    parts += [f"{written[state]:,} {state.value}" for state in (State.FAILED, State.CANCELLED) if state in written]
    where = "" if output == "-" else f"{screen.talk_mark(Mark.OK)} {clean(output)}   "
    screen.say(f"{where}{', '.join(parts)} of {clean(run.name)}")
    if run.left:
        verb = "is" if run.left == 1 else "are"
        screen.say(f"{count(run.left, 'job')} {verb} not finished and not in it")
