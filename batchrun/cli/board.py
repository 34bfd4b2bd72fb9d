"""What `batchrun watch` shows: how far each run is, what the lanes take against their limits, and what just happened.

Pure: a `View` goes in, lines come out, cut to the width and the height that there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from batchrun.cli.flow import flowed
from batchrun.cli.news import Line, News, clock, cut
from batchrun.cli.output import columns_of, shortened
from batchrun.cli.screen import Tone, clean, drawn_bar
from batchrun.core.batch import UNRESOLVED
from batchrun.core.choice import Mode
from batchrun.core.events import Throttled
from batchrun.core.figures import count, hour, span, tokens
from batchrun.core.job import Millis, RunId
from batchrun.core.limits import Dimension
from batchrun.core.states import RunState, State
from batchrun.queue.batchrows import BatchRow
from batchrun.queue.jobrows import EventRow
from batchrun.queue.pulse import Ended
from batchrun.queue.rows import Overview, RunSummary
from batchrun.report import batches, summary
from batchrun.report.history import event_of
from batchrun.report.rates import WINDOW, Lane, Meter, condensed

RUNS = 6
BATCHES = 4
WORKERS = 3
"""Runs, batches and workers that get lines of their own; the others are counted."""

NAME = 24
BAR = 32
SPARK = 60
"""Columns that a run's name, a bar and a curve may take."""

TALL = 30
"""Lines from which on there is room for blank ones."""

_UNITS = {Dimension.REQUESTS: "requests/min", Dimension.INPUT: "tokens in/min", Dimension.OUTPUT: "tokens out/min"}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All that was found at one look."""

    now: Millis
    database: str
    seen: Overview
    runs: tuple[RunSummary, ...]
    lanes: Sequence[Lane] = ()
    speeds: Mapping[RunId, float] = field(default_factory=dict)  #: realtime answers a second
    ended: Sequence[Ended] = ()  #: the newest first
    events: Sequence[EventRow] = ()  #: the oldest first
    trouble: str = ""  #: why the last look found nothing new
    typed: Callable[[str], str] = str  #: a command as it has to be typed to reach this queue


def board(view: View, width: int, height: int, *, utf8: bool = True) -> list[Line]:
    """At most *height* lines of at most *width* columns."""
    drawing = _Drawing(view, width, utf8=utf8)
    head = [drawing.head(), []]
    runs = list(drawing.runs(height))
    alarms = list(drawing.alarms())
    lanes = list(drawing.lanes(tall=height >= TALL))
    out = list(drawing.out())
    sections = [section for section in (runs, alarms, lanes, out) if section]
    fixed = head + [line for n, section in enumerate(sections) for line in ([[], *section] if n else section)]
    room = height - len(fixed) - 1
    news = list(drawing.news.lines(room, tall=height >= TALL)) if room >= 2 else []
    lines = [*fixed, [], *news] if news else fixed
    return [cut(line, width) for line in lines[:height]]


class _Drawing:
    def __init__(self, view: View, width: int, *, utf8: bool) -> None:
        self.view, self.width, self.utf8 = view, width, utf8
        self.now = view.now
        self.news = News(now=view.now, events=view.events, ended=view.ended, width=width, utf8=utf8)

    def head(self) -> Line:
        view = self.view
        right = f"{clock(self.now)}   q quits"
        left: Line = [("batchrun watch", Tone.BOLD), (f"   {clean(view.database)}", Tone.DIM)]
        if view.seen.simulated:
            left.insert(1, ("   SIMULATED", Tone.WARN))
        if view.trouble:
            left = [*left[:-1], (f"   {clean(view.trouble)}", Tone.WARN)]
        left = cut(left, max(0, self.width - len(right) - 2))
        gap = self.width - sum(columns_of(text) for text, _ in left) - len(right)
        return [*left, (" " * max(gap, 1) + right, Tone.DIM)]

    # -- runs -----------------------------------------------------------------------------------------------------

    def runs(self, height: int) -> Iterator[Line]:
        runs = self.view.runs
        if not runs:
            yield [("No runs yet; `batchrun submit FILE` makes one.", None)]
            return
        room = max(1, min(RUNS, (height - 8) // 3))
        tall = len(runs) * 2 <= max(4, height // 3)
        wide = min(NAME, self.width // 3, max(columns_of(clean(run.name)) for run in runs[:room]))
        for run in runs[:room]:
            yield self._run(run, wide)
            if tall or run is runs[0]:
                yield from self._facts(run)
        if len(runs) > room:
            left = sum(run.left for run in runs[room:])
            yield [(f"and {count(len(runs) - room, 'run')} more, {count(left, 'job')} left", Tone.DIM)]

    def _run(self, run: RunSummary, wide: int) -> Line:
        name = shortened(clean(run.name), wide)
        share = run.finished / run.total if run.total else 1.0
        facts = [f"{run.finished:,} / {run.total:,}", summary.percent(run.finished, run.total)]
        if eta := self._eta(run):
            facts.append(eta)
        tail = "   ".join(facts)
        room = min(BAR, self.width - wide - 2 - len(tail) - 3)
        head: Line = [(f"{name}{'':<{wide - columns_of(name)}}  ", Tone.BOLD)]
        if room >= 8:
            started = run.sent / run.total if run.total else 0.0
            tone = Tone.GOOD if run.finished == run.total else None
            head.append((f"{drawn_bar(share, room, started=started, utf8=self.utf8)}   ", tone))
        return [*head, (tail, None)]

    def _eta(self, run: RunSummary) -> str:
        """Only where requests come back one by one: a batch tells nothing before it ends."""
        speed = self.view.speeds.get(run.id, 0.0)
        if speed <= 0 or not run.left or run.n(State.IN_BATCH):
            return ""
        return f"about {span(run.left / speed)} left"

    def _facts(self, run: RunSummary) -> Iterator[Line]:
        parts = [run.ref, _mode(run, self.now)]
        for state, word in (
            (State.RUNNING, "in flight"),
            (State.IN_BATCH, "at Anthropic"),
            (State.QUEUED, "queued"),
            (State.WAITING, "waiting"),
            (State.HELD, "held"),
            (State.BLOCKED, "blocked"),
            (State.FAILED, "failed"),
            (State.CANCELLED, "cancelled"),
        ):
            if n := run.n(state):
                parts.append(f"{n:,} {word}")
        speed = self.view.speeds.get(run.id, 0.0)
        if speed:
            parts.append(f"{speed:.1f}/s" if speed < 10 else f"{speed:,.0f}/s")
        parts += summary.money(run).split(", ")
        doing = summary.doing(run, self.view.seen, self.now)
        if run.state is not RunState.OPEN or not self.view.seen.workers:
            parts.append(f"{doing.words}{f': {self.view.typed(doing.command)}' if doing.command else ''}")
        for text in flowed(_apart(clean(part) for part in parts), self.width - 2, indent=0):
            yield [(f"  {text}", None)]

    # -- what needs an eye ----------------------------------------------------------------------------------------

    def alarms(self) -> Iterator[Line]:
        for pause in self.view.seen.pauses:
            what, cure = summary.pause_line(pause, self.view.runs, self.now)
            yield from self._warned(f"{clean(what)}; {clean(self.view.typed(cure).replace('`', ''))}")
        for alert in batches.alerts(self._batches(), self.now):
            yield from self._warned(
                f"{clean(alert.text)}{f':  {self.view.typed(alert.command)}' if alert.command else ''}"
            )

    def _warned(self, text: str) -> Iterator[Line]:
        parts = (f" {word}" if n else word for n, word in enumerate(f"! {text}".split(" ")))
        for line in flowed(parts, self.width, indent=2):
            yield [(line, Tone.WARN)]

    # -- rates ----------------------------------------------------------------------------------------------------

    def lanes(self, *, tall: bool) -> Iterator[Line]:
        most = 3 if tall else 2
        # The busiest; but each keeps its place, whichever is the busier one at this look.
        for n, lane in enumerate(sorted(self.view.lanes[:most], key=lambda lane: lane.name)):
            if n and tall:
                yield []
            refused = self._refused(lane)
            title: Line = [(clean(lane.name), Tone.BOLD), (f"   last {WINDOW // 60_000} min", Tone.DIM)]
            if refused and not tall:
                title.append((f"   refused: {refused}", Tone.WARN))
            if rests := self._rests(lane):
                title.append((f"   {rests}", Tone.WARN))
            yield title
            for meter in lane.meters:
                yield self._meter(lane, meter)
            if tall and refused:
                yield self._refusals(lane, refused)
        if len(self.view.lanes) > most:
            yield [(f"and {count(len(self.view.lanes) - most, 'lane')} more", Tone.DIM)]

    def _meter(self, lane: Lane, meter: Meter) -> Line:
        of = f" of {tokens(meter.limit)}" if meter.limit else ""
        share = f"{meter.share:.0%}".replace("%", " %") if meter.share is not None else ""
        binds = lane.binds is meter.dimension
        head = f"  {_UNITS[meter.dimension]:<15}{tokens(round(meter.now)):>7}{of:<11}{share:>6}  "
        note = " < the limit" if binds else ""
        if binds and self.utf8:
            note = " ← the limit"
        # Room for the note in every row, so that the curves end below one another.
        curve = self._curve(meter.series, meter.limit, self.width - len(head) - len(" ← the limit"))
        return [(head, Tone.WARN if binds else None), (curve, Tone.HINT), (note, Tone.WARN)]

    def _rests(self, lane: Lane) -> str:
        """Why it is closed right now, as it last told."""
        for row in reversed(self.view.events):
            event = event_of(row) if row.kind == "throttled" and row.lane == lane.name else None
            if isinstance(event, Throttled):
                left = (event.at - self.now) / 1000 + event.seconds
                return f"rests {span(left)} more ({clean(event.why)})" if left >= 1 else ""
        return ""

    def _refused(self, lane: Lane) -> str:
        """`2 × 429, 1 × 529`"""
        told = ((sum(lane.limited), 429), (sum(lane.overloaded), 529))
        return ", ".join(f"{n:,} {'×' if self.utf8 else 'x'} {status}" for n, status in told if n)

    def _refusals(self, lane: Lane, refused: str) -> Line:
        head = f"{'  refused':<17}{refused}"
        head = f"{head:<43}"
        both = [float(a + b) or None for a, b in zip(lane.limited, lane.overloaded, strict=True)]
        return [(head, Tone.WARN), (self._curve(both, None, self.width - len(head) - len(" ← the limit")), Tone.WARN)]

    def _curve(self, series: Sequence[float | None], limit: int | None, room: int) -> str:
        return spark(condensed(series, min(SPARK, max(0, room))), limit, utf8=self.utf8)

    # -- what is out ----------------------------------------------------------------------------------------------

    def _batches(self) -> list[BatchRow]:
        ids = {run.id for run in self.view.runs}
        return [row for row in self.view.seen.batches if row.batch.run in ids]

    def out(self) -> Iterator[Line]:
        standing = [row for row in self._batches() if row.batch.state not in UNRESOLVED]
        rows = [self._batch(row) for row in standing[:BATCHES]]
        wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            yield [("   ".join(f"{part:<{wide[i]}}" for i, part in enumerate(row)).rstrip(), None)]
        if len(standing) > BATCHES:
            jobs = sum(row.batch.n for row in standing[BATCHES:])
            yield [(f"and {count(len(standing) - BATCHES, 'batch', 'batches')} more, {count(jobs, 'job')}", Tone.DIM)]
        if standing:
            yield [("how far a batch is, Anthropic tells only when it has ended", Tone.DIM)]
        workers = self.view.seen.workers
        for worker in workers[:WORKERS]:
            yield [
                (f"worker pid {worker.pid} on {clean(worker.host)} since {hour(worker.started, self.now)}", Tone.DIM)
            ]
        if len(workers) > WORKERS:
            yield [(f"and {count(len(workers) - WORKERS, 'worker')} more", Tone.DIM)]
        if not workers and any(run.left for run in self.view.runs):
            yield [("no worker is running", Tone.WARN)]

    def _batch(self, row: BatchRow) -> list[str]:
        batch, age = row.batch, span((self.now - row.since) / 1000)
        expires = None if batches.has_ended(row) else batch.expires
        return [
            batches.ref(row),
            batches.word(row),
            count(batch.n, "job"),
            f"sent {hour(row.since, self.now)}, {age} ago",
            f"expires {hour(expires, self.now)}" if expires is not None else "",
            clean(batch.run_name) if len(self.view.runs) > 1 else "",
        ]


def spark(series: Iterable[float | None], limit: int | None, *, utf8: bool = True) -> str:
    """A curve of one character a value: against *limit*, or else against its own top; a gap where nothing is known."""
    values = list(series)
    levels = "▁▂▃▄▅▆▇█" if utf8 else ".:-=+*#@"
    top = limit or max((value for value in values if value is not None), default=0.0)

    def one(value: float | None) -> str:
        if value is None or not top:
            return " "
        if value <= 0:
            return "·" if utf8 else "_"
        return levels[min(len(levels) - 1, int(value / top * len(levels)))]

    return "".join(map(one, values))


def _mode(run: RunSummary, now: Millis) -> str:
    if run.mode != Mode.AUTO or not run.left:
        return run.mode
    way, _ = summary.way(run, now)
    return run.mode if way is None else f"{run.mode}, {'in batches' if way is Mode.BATCH else 'realtime'}"


def _apart(parts: Iterable[str]) -> Iterator[str]:
    for n, part in enumerate(parts):
        yield f"   {part}" if n else part
