"""The live block on a terminal: a bar for each run, a line of what is in flight, and messages that scroll above it."""

from __future__ import annotations

import time

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from batchrun.cli.output import columns_of, shortened
from batchrun.cli.screen import Screen, clean, drawn_bar
from batchrun.cli.tally import Progress, Tally
from batchrun.cli.telling import loudness, sentence
from batchrun.core.events import Draining, Event, JobFailed, Paused, Trouble
from batchrun.core.figures import count, dollars, hour, span, tokens
from batchrun.core.job import Millis

MOST = 6
"""Runs that get a bar; the others are one line together."""

NAME = 20
"""Columns a run's name may take."""


class Bar:
    def __init__(self, screen: Screen, tally: Tally, verbose: int, *, console: Console | None = None) -> None:
        self._utf8, self._tally, self._verbose = screen.err_utf8, tally, verbose
        # Whether this is a terminal was decided before: rich would also animate where FORCE_COLOR is set.
        self._console = console or Console(
            file=screen.err,
            force_terminal=True,
            no_color=not screen.err_color,
            color_system="standard" if screen.err_color else None,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._block: list[str] = []
        self._live = Live(console=self._console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)

    @property
    def loudness(self) -> int:
        return max(self._verbose, 1)

    def emit(self, event: Event) -> None:
        match event:
            case Draining(in_flight=n):
                text = f"Stopping: {n:,} in flight may finish. Press Ctrl-C again to drop them."
            case _ if loudness(event) <= self._verbose:
                text = clean(sentence(event))
            case _:
                return
        loud = isinstance(event, Paused | Trouble | JobFailed | Draining)
        self._console.print(Text(text, style="yellow" if loud else ""))

    def look(self) -> None:
        self._block = block(self._tally, self._console.width, utf8=self._utf8)

    def tick(self) -> None:
        if not self._live.is_started:  # not before there is something to see: it hides the cursor
            self._live.start()
        lines = [Text(line, no_wrap=True, overflow="ellipsis") for line in self._block]
        self._live.update(Group(*lines), refresh=True)

    def close(self) -> None:
        self.look()
        self.tick()
        self._live.stop()


def block(tally: Tally, width: int, *, utf8: bool = True) -> list[str]:
    """The lines of the block in at most *width* columns."""
    runs = sorted(tally.runs.values(), key=lambda run: (run.total is not None and run.final >= run.total, run.id))
    wide = min(NAME, width // 3, max((columns_of(clean(run.name)) for run in runs), default=0))
    lines = [_line(run, tally, wide, width, utf8=utf8) for run in runs[:MOST]]
    if len(runs) > MOST:
        rest = runs[MOST:]
        lines.append(shortened(f"  and {count(len(rest), 'run')} more: {sum(run.final for run in rest):,} done", width))
    lines.append(shortened(f"  {'':<{wide}}   {'   '.join(_facts(tally))}", width))
    return lines


def _line(run: Progress, tally: Tally, wide: int, width: int, *, utf8: bool) -> str:
    name = shortened(clean(run.name), wide)
    head = f"  {name}{'':<{wide - columns_of(name)}}   "
    if run.total is None:
        return f"{head}{run.final:,} done   {tally.rate(run.id):.1f}/s"
    share = run.final / run.total if run.total else 1.0
    facts = [f"{run.final:,}/{run.total:,}", f"{int(share * 100)} %", f"{tally.rate(run.id):.1f}/s"]
    eta = tally.eta(run)
    if eta is not None and run.final < run.total:
        facts.append(f"ETA {remaining(eta)}")
    if run.failed:
        facts.append(f"{run.failed:,} failed")
    tail = "   ".join(facts)
    room = min(32, width - columns_of(head) - columns_of(tail) - 3)
    if room < 8:
        return shortened(head + tail, width)
    out = (run.sent + tally.in_batches(run.id)) / run.total if run.total else 0.0
    return f"{head}{drawn_bar(share, room, started=out, utf8=utf8)}   {tail}"


def _facts(tally: Tally) -> list[str]:
    facts = [f"in flight {tally.sent:,}"]
    if tally.batches:
        first, n = min(out.since for out in tally.batches.values()), sum(out.n for out in tally.batches.values())
        now = Millis(time.time_ns() // 1_000_000)
        facts.append(
            f"{count(len(tally.batches), 'batch', 'batches')} ({count(n, 'job')}) out since {hour(first, now)}"
        )
    output = tally.output_per_minute()
    if output:
        limit = f" of {tokens(tally.output_limit)}" if tally.output_limit else ""
        facts.append(f"output {tokens(output)}{limit} tokens/min")
    unknown = any(run.partly_unknown for run in tally.runs.values())
    facts.append(f"{dollars(tally.cost)}{' + unknown' if unknown else ''}")
    rests = tally.rested - tally.clock()
    if tally.waiting:
        facts.append(f"{tally.waiting:,} waiting")
    if rests > 0:
        facts.append(f"resting {span(rests)} ({tally.limited})")
    if tally.draining:
        facts.append("stopping")
    return facts


def remaining(seconds: float) -> str:
    """A time to go as a clock shows it: "0:38", "1:02:03"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
