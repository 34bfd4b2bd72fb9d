"""`batchrun results`: the answers of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.cli.flow import flow
from batchrun.cli.output import Format, chosen, columns_of, dumps, rows, shortened
from batchrun.cli.screen import Screen, Tone, clean
from batchrun.core.figures import count, dollars
from batchrun.core.message import WORDS, tool_calls_of
from batchrun.core.outcome import FLAGS, Flag
from batchrun.core.states import State
from batchrun.errors import Exit
from batchrun.queue.answers import matching, unmatched
from batchrun.queue.jobrows import ResultRow
from batchrun.queue.reading import Reading
from batchrun.queue.rows import RunSummary
from batchrun.report.cures import word
from batchrun.report.flat import COLUMNS, Kind, Seen
from batchrun.report.layout import asked
from batchrun.report.shown import Shown

if TYPE_CHECKING:
    from batchrun.core.select import Selection

IN_TABLE = ("id", "stop_reason", "output_tokens", "cost", "text")
UNFOLDED = ("id", "stop_reason", "valid", "json")
_NUMBERS = {Kind.INTEGER, Kind.NUMBER, Kind.DOLLARS}
_MARKS = {Flag.TRUNCATED: "✂", Flag.CONTEXT: "✂", Flag.REFUSED: "✗"}
FOR_PEOPLE = 20
"""Answers that a person gets to see unless more are asked for."""

WHY = 200
"""Characters of a reason why an answer does not fit."""

_FORMATS = (Format.TEXT, Format.TABLE, Format.JSON, Format.JSONL, Format.CSV, Format.TSV, Format.MD)


@options.command(
    "batchrun results -n 3",
    "batchrun results nightly -s stop:max_tokens",
    "batchrun results --sort -output_tokens -n 5 --format table",
    "batchrun results --unfold -s valid:yes",
    "batchrun results --format jsonl --fields id,text,metadata.doi",
)
@options.run
@options.select_answers
@options.limit
@options.fields
@options.unfold
@click.option("--sort", metavar="FIELD", help="In the order of a field; -FIELD: the largest first.")
@click.option("--raw", is_flag=True, help="The messages exactly as received, one a line.")
@options.formats(*_FORMATS)
def results(
    call: Call,
    run: str,
    select: Selection | None,
    limit: int | None,
    fields: str | None,
    unfold: bool,
    sort: str | None,
    raw: bool,
    format: Format | None,  # noqa: A002  # the flag's name
) -> Exit:
    """Show the answers of a run in the order of its file: as text on a terminal, as JSON lines elsewhere.

    A terminal gets the first 20 unless -n says otherwise. ✂ marks an answer that was cut off at
    max_tokens or at the context window, ✗ one that was refused. --fields takes dotted paths, and json.*
    or metadata.* for a column of each name that is met; --unfold puts json.* in the place of the text.
    """
    screen = call.screen
    form = chosen(format, screen, person=Format.TEXT, pipe=Format.JSONL)
    if (fields is not None or unfold) and form is Format.TEXT:
        form = Format.TABLE
    narrow = form in {Format.TABLE, Format.MD}
    paths = asked(fields, (IN_TABLE if not unfold else UNFOLDED) if narrow else COLUMNS, unfold=unfold)
    if limit is None and form is Format.TEXT and screen.tty and not raw:
        limit = FOR_PEOPLE
    with call.reading() as reading:
        found = reading.run(run)
        shown = Shown(reading=reading, run=found.id, selection=select, sort=sort, limit=limit)
        if raw:
            n = _raw(screen, shown.rows())
        elif form is Format.TEXT:
            n = _text(call, shown.rows(), found)
        else:
            layout = shown.layout(paths)
            extra = {"run": {"id": found.ref, "name": found.name}, "currency": "USD"}
            items = _marked(screen, shown.flat(layout)) if form is Format.TABLE else shown.flat(layout)
            right = [path for path, kind in layout.columns.items() if kind in _NUMBERS]
            n = rows(screen, form, "results", items, columns=layout.paths, right=right, extra=extra)
        if not n and limit != 0:
            _nothing(call, reading, found, select)
        elif form is Format.TEXT and not raw:
            _more(call, reading, found, select, n)
    return Exit.OK


def _marked(screen: Screen, items: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """For people: what is wrong with an answer beside the reason why it ended."""
    for item in items:
        stop = item.get("stop_reason")
        yield item | {"stop_reason": f"{stop}{_mark(screen, stop)}"} if stop in FLAGS else item


def _mark(screen: Screen, stop: str) -> str:
    """Cut off, or refused."""
    return f" {_MARKS[FLAGS[stop]]}" if stop in FLAGS and screen.utf8 and FLAGS[stop] in _MARKS else ""


def _raw(screen: Screen, answered: Iterable[ResultRow]) -> int:
    n = 0
    for n, row in enumerate(answered, 1):  # noqa: B007  # the count is the answer
        body = row.answer.body.replace("\r", " ").replace("\n", " ") if row.answer else ""
        screen.line(clean(body) if screen.tty else body)
    return n


def _text(call: Call, answered: Iterable[ResultRow], run: RunSummary) -> int:
    screen, n, told = call.screen, 0, set[str]()
    arrow = "→" if screen.utf8 else "->"
    for n, row in enumerate(answered, 1):
        if n > 1:
            screen.line()
        seen = Seen(row)
        text = seen.text
        _headline(screen, row, (seen.message or {}).get("model") or row.job.model)
        if text is not None:
            screen.line(clean(text.strip("\n"), lines=True))
        for called in tool_calls_of(seen.message):
            screen.line(clean(f"{arrow} {called['name']} {dumps(called['input'], screen)}"))
            text = ""
        if text is None:
            screen.line(screen.style("(no text in it; --raw shows all of it)", Tone.DIM))
        note = _note(call, seen, run, told)
        if note:
            flow(screen, (f"{' ' if at else ''}{screen.style(part, Tone.WARN)}" for at, part in enumerate(note)))
    return n


def _headline(screen: Screen, row: ResultRow, model: object) -> None:
    """The job's id and what there is to say of its answer: in one line, or in two where that does not fit."""
    attempt, usage = row.attempt, row.attempt.usage if row.attempt else None
    stop = row.answer.stop_reason if row.answer else ""
    arrow, dot, dash = ("→", " · ", "─") if screen.utf8 else ("->", ", ", "-")
    facts = [clean(str(model)), clean(stop) + _mark(screen, stop)]
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


def _note(call: Call, seen: Seen, run: RunSummary, told: set[str]) -> list[str]:
    """What is wrong with an answer that did come, in parts; *told*: which selections were named already."""
    row = seen.row
    stop = row.answer.stop_reason if row.answer else ""
    why = seen.structured.why if seen.structured is not None else None
    if stop in FLAGS:
        what, which = WORDS[FLAGS[stop]], f"stop:{stop}"
    elif why is None:
        return []
    elif seen.structured is not None and seen.structured.fits is None:
        return [f"({clean(shortened(why, WHY))})"]
    else:
        what, which = f"does not fit: {shortened(why, WHY)}", "valid:no"
    if which in told:
        return [f"({clean(what)})"]
    told.add(which)
    command = call.typed(f"batchrun results {word(run.name)} -s {which}")
    return [f"({clean(what)};", "all such:", f"{clean(command)})"]


def _nothing(call: Call, reading: Reading, run: RunSummary, select: Selection | None) -> None:
    """Why there is nothing to see."""
    name = clean(run.name)
    if select is None:
        call.screen.say(f"No answers of {name} yet.  {clean(call.typed(f'batchrun status {word(run.name)}'))}")
        return
    n = matching(reading, run.id, selection=select)
    if not n:
        raise unmatched(reading, run.id, name, select)
    call.screen.say(f"{count(n, 'job')} of {name} matched, without an answer.")


def _more(call: Call, reading: Reading, run: RunSummary, select: Selection | None, shown: int) -> None:
    every = run.n(State.SUCCEEDED) if select is None else matching(reading, run.id, selection=select, answered=True)
    command = call.typed(f"batchrun export {word(run.name)} -o {word(f'{run.name}-answers.jsonl')}")
    call.screen.say()
    call.screen.say(f"{shown:,} of {max(every, shown):,}.  All of it as a file:  {clean(command)}")
