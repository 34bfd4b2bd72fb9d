"""`batchrun results`: the answers of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.cli.flow import flow
from batchrun.cli.output import Format, chosen, chosen_fields, columns_of, rows
from batchrun.cli.screen import Screen, Tone, clean
from batchrun.core.figures import count, dollars
from batchrun.core.outcome import FLAGS, Flag
from batchrun.core.states import State
from batchrun.errors import Exit, NothingMatched
from batchrun.queue.answers import answers, matching
from batchrun.queue.jobrows import ResultRow
from batchrun.queue.reading import Reading
from batchrun.queue.rows import RunSummary
from batchrun.report.cures import word
from batchrun.report.export import reached
from batchrun.report.flat import COLUMNS, Seen, flat

if TYPE_CHECKING:
    from batchrun.core.select import Selection

IN_TABLE = ("id", "stop_reason", "output_tokens", "cost", "text")
RIGHT = ("input_tokens", "output_tokens", "cache_read_tokens", "cost", "attempts", "latency_s", "line")
FOR_PEOPLE = 20
"""Answers that a person gets to see unless more are asked for."""

_FORMATS = (Format.TEXT, Format.TABLE, Format.JSON, Format.JSONL, Format.CSV, Format.TSV, Format.MD)


@options.command(
    "batchrun results -n 3",
    "batchrun results nightly -s stop:max_tokens",
    "batchrun results --format jsonl --fields id,text,metadata.doi",
)
@options.run
@options.select_answers
@options.limit
@options.fields
@click.option("--raw", is_flag=True, help="The messages exactly as received, one a line.")
@options.formats(*_FORMATS)
def results(
    call: Call,
    run: str,
    select: Selection | None,
    limit: int | None,
    fields: str | None,
    raw: bool,
    format: Format | None,  # noqa: A002  # the flag's name
) -> Exit:
    """Show the answers of a run in the order of its file: as text on a terminal, as JSON lines elsewhere.

    A terminal gets the first 20 unless -n says otherwise. ✂ marks an answer that was cut off at
    max_tokens or at the context window.
    """
    screen = call.screen
    form = chosen(format, screen, person=Format.TEXT, pipe=Format.JSONL)
    if fields is not None and form is Format.TEXT:
        form = Format.TABLE
    columns = chosen_fields(fields, COLUMNS, IN_TABLE if form in {Format.TABLE, Format.MD} else COLUMNS)
    if limit is None and form is Format.TEXT and screen.tty and not raw:
        limit = FOR_PEOPLE
    with call.reading() as reading:
        found = reading.run(run)
        answered = answers(reading, found.id, selection=select, answered=True, limit=limit)
        if raw:
            n = _raw(screen, answered)
        elif form is Format.TEXT:
            n = _text(call, answered, found)
        else:
            extra = {"run": {"id": found.ref, "name": found.name}, "currency": "USD"}
            n = rows(screen, form, "results", _flat(answered, columns), columns=columns, right=RIGHT, extra=extra)
        if not n and limit != 0:
            _nothing(call, reading, found, select)
        elif form is Format.TEXT and not raw:
            _more(call, reading, found, select, n)
    return Exit.OK


def _flat(answered: Iterable[ResultRow], columns: Iterable[str]) -> Iterator[dict[str, Any]]:
    for row in answered:
        values = flat(row)
        yield {name: reached(values, name) for name in columns}


def _raw(screen: Screen, answered: Iterable[ResultRow]) -> int:
    n = 0
    for n, row in enumerate(answered, 1):  # noqa: B007  # the count is the answer
        body = row.answer.body.replace("\r", " ").replace("\n", " ") if row.answer else ""
        screen.line(clean(body) if screen.tty else body)
    return n


def _text(call: Call, answered: Iterable[ResultRow], run: RunSummary) -> int:
    screen, n = call.screen, 0
    for n, row in enumerate(answered, 1):
        if n > 1:
            screen.line()
        seen = Seen(row)
        text = seen.text
        _headline(screen, row, (seen.message or {}).get("model") or row.job.model)
        if text is None:
            screen.line(screen.style("(no text in it; --raw shows all of it)", Tone.DIM))
        else:
            screen.line(clean(text.strip("\n"), lines=True))
        note = _note(call, row, run)
        if note:
            flow(screen, (f"{' ' if at else ''}{screen.style(part, Tone.WARN)}" for at, part in enumerate(note)))
    return n


def _headline(screen: Screen, row: ResultRow, model: object) -> None:
    """The job's id and what there is to say of its answer: in one line, or in two where that does not fit."""
    attempt, usage = row.attempt, row.attempt.usage if row.attempt else None
    stop = row.answer.stop_reason if row.answer else ""
    cut = " ✂" if FLAGS.get(stop) in {Flag.TRUNCATED, Flag.CONTEXT} and screen.utf8 else ""
    arrow, dot, dash = ("→", " · ", "─") if screen.utf8 else ("->", ", ", "-")
    facts = [clean(str(model)), clean(stop) + cut]
    facts += [f"{usage.input:,} {arrow} {usage.output:,} tok"] if usage else []
    facts += [dollars(attempt.cost)] if attempt and attempt.cost is not None else []
    told, key = dot.join(facts), clean(row.job.key)
    rule = min(screen.width, 100) - columns_of(key) - columns_of(told) - 5
    head = f"{dash * 2} {screen.style(key, Tone.BOLD)}"
    if rule >= 2 or not screen.tty:
        screen.line(f"{head} {dash * max(2, rule)} {told}")
        return
    screen.line(head)
    flow(screen, [f"   {facts[0]}", *(f"{dot}{fact}" for fact in facts[1:])], indent=3)


def _note(call: Call, row: ResultRow, run: RunSummary) -> list[str]:
    """What is wrong with an answer that did come, in parts."""
    stop = row.answer.stop_reason if row.answer else ""
    match FLAGS.get(stop):
        case None:
            return []
        case Flag.TRUNCATED:
            what = "cut off at max_tokens"
        case Flag.CONTEXT:
            what = "cut off at the end of the context window"
        case Flag.REFUSED:
            what = "the model refused"
        case Flag.PAUSED:
            what = "a server tool wants another turn"
    command = call.typed(f"batchrun results {word(run.name)} -s stop:{stop}")
    return [f"({what};", "all such:", f"{clean(command)})"]


def _nothing(call: Call, reading: Reading, run: RunSummary, select: Selection | None) -> None:
    """Why there is nothing to see."""
    name = clean(run.name)
    if select is None:
        call.screen.say(f"No answers of {name} yet.  {clean(call.typed(f'batchrun status {word(run.name)}'))}")
        return
    n = matching(reading, run.id, selection=select)
    if not n:
        raise NothingMatched(f"no job of {name} matches `{select.text}`")
    call.screen.say(f"{count(n, 'job')} of {name} matched, without an answer.")


def _more(call: Call, reading: Reading, run: RunSummary, select: Selection | None, shown: int) -> None:
    every = run.n(State.SUCCEEDED) if select is None else matching(reading, run.id, selection=select, answered=True)
    command = call.typed(f"batchrun export {word(run.name)} -o {word(f'{run.name}-answers.jsonl')}")
    call.screen.say()
    call.screen.say(f"{shown:,} of {max(every, shown):,}.  All of it as a file:  {clean(command)}")
