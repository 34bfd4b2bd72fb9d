"""`batchrun log`: what the scheduler did and why, in order: the night in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.cli.flow import flow, words
from batchrun.cli.output import Format, at, chosen, dumps, headed, rows
from batchrun.cli.screen import Screen, Tone, clean
from batchrun.cli.telling import record, sentence
from batchrun.core.events import BatchTurned, Event, Paused, Throttled, Trouble, Turn
from batchrun.core.figures import count
from batchrun.core.job import Millis
from batchrun.errors import Exit
from batchrun.queue.jobrows import EventRow
from batchrun.queue.rows import RunSummary
from batchrun.queue.story import events
from batchrun.report.history import event_of

ALARMING = frozenset({Turn.UNCLEAR, Turn.GONE, Turn.MISSING, Turn.TWICE, Turn.VANISHING})

COLUMNS = ("at", "event", "run", "message")

LAST = 200
"""Events that a person gets to see unless more are asked for."""


@options.command("batchrun log", "batchrun log nightly -n 50", "batchrun log --format jsonl | jq .event")
@options.optional_run
@options.limit
@options.formats(Format.TEXT, Format.TABLE, Format.JSON, Format.JSONL, Format.CSV, Format.TSV, Format.MD)
def log(call: Call, run: str | None, limit: int | None, format: Format | None) -> Exit:  # noqa: A002  # the flag's name
    """Show what happened and why: passes, pauses, probes, limits, the life of each batch, what was taken over from a
    worker that died.

    Without RUN of all runs. On a terminal the last 200 unless -n says otherwise. What became of each job stands with
    its attempts: batchrun show JOB, batchrun errors.
    """
    screen = call.screen
    form = chosen(format, screen, person=Format.TEXT)
    with call.reading() as reading:
        found = reading.run(run) if run is not None else None
        last = limit if limit is not None else LAST if form is Format.TEXT and screen.tty else None
        told = events(reading, found.id if found else None, last=last)
        if form is not Format.TEXT:
            if form in {Format.JSON, Format.JSONL}:
                _records(screen, form, told, found)
            else:
                rows(screen, form, "log", (_row(screen, row) for row in told), columns=COLUMNS)
            return Exit.OK
        shown = _text(screen, told)
    if not shown:
        screen.say("Nothing happened yet: `batchrun run` writes here what it does.")
    elif limit is None and last is not None and shown >= last:
        screen.say(f"The last {count(last, 'event')}; -n shows more.")
    return Exit.OK


def _records(screen: Screen, form: Format, told: Iterable[EventRow], run: RunSummary | None) -> None:
    if form is Format.JSONL:
        for row in told:
            screen.line(dumps(_record(row), screen))
        return
    head = dumps(headed(screen, "log", {"run": {"id": run.ref, "name": run.name} if run else None}), screen)
    screen.write(f'{head[:-1]}, "events": [')
    between = "\n"
    for row in told:
        screen.write(between + dumps(_record(row), screen))
        between = ",\n"
    screen.line("\n]}")


def _record(row: EventRow) -> dict[str, Any]:
    """As in the JSON lines of `run --progress json`; an event that is not known keeps what it came with."""
    event = event_of(row)
    if event is not None:
        return record(event)
    run = f"r-{row.run}" if row.run is not None else None
    return {"event": row.kind, "at": at(row.at), "run": run, "lane": row.lane, **row.detail}


def _row(screen: Screen, row: EventRow) -> dict[str, Any]:
    run = f"r-{row.run}" if row.run is not None else None
    return {"at": at(row.at), "event": row.kind, "run": run, "message": _words(screen, row, event_of(row))}


def _text(screen: Screen, told: Iterable[EventRow]) -> int:
    """A heading for each day, a line for each event; returns how many events there were."""
    n, day = 0, ""
    for entry in _folded(screen, told):
        n += entry.n
        local = datetime.fromtimestamp(entry.at / 1000, UTC).astimezone()
        heading = f"{local:%Y-%m-%d}  (UTC{local:%z})"
        if heading != day:
            screen.line(screen.style(heading, Tone.BOLD))
            day = heading
        times = f"  ({entry.n:,} times)" if entry.n > 1 else ""
        line = f"{local:%H:%M:%S}  {clean(entry.text)}{times}"
        flow(screen, words(screen.style(line, Tone.WARN) if entry.loud else line), indent=len("00:00:00  "))
    return n


@dataclass(slots=True, kw_only=True)
class _Entry:
    at: Millis
    text: str
    loud: bool
    n: int
    alike: object


def _folded(screen: Screen, told: Iterable[EventRow]) -> Iterator[_Entry]:
    """Lines to be shown; a lane that rests again and again for one reason is one line."""
    last: _Entry | None = None
    for row in told:
        event = event_of(row)
        alike = (event.lane, event.why) if isinstance(event, Throttled) else None
        if last is not None and alike is not None and last.alike == alike:
            last.n += 1
            continue
        if last is not None:
            yield last
        loud = isinstance(event, Paused | Trouble) or (isinstance(event, BatchTurned) and event.turn in ALARMING)
        last = _Entry(at=row.at, text=_words(screen, row, event), loud=loud, n=1, alike=alike)
    if last is not None:
        yield last


def _words(screen: Screen, row: EventRow, event: Event | None) -> str:
    if event is not None:
        return sentence(event)
    detail = f" {dumps(dict(row.detail), screen)}" if row.detail else ""
    return f"{row.kind}{detail}"
