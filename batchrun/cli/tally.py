"""What the events of one pass add up to: how far each run is, how fast, and when it may be done."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from batchrun.core.events import (
    BatchTurned,
    Draining,
    Event,
    HookCalled,
    HoursShut,
    JobAsksOn,
    JobFailed,
    JobsSent,
    JobSucceeded,
    JobWaits,
    LimitsLearned,
    PassEnded,
    PassStarted,
    Paused,
    Probed,
    Recovered,
    RunDone,
    Throttled,
    Trouble,
    Turn,
    WayChosen,
)
from batchrun.core.job import BatchId, Millis, Nanos, RunId

NOTHING = Nanos(0)

WINDOW = 60.0
"""Seconds over which a speed is taken."""


TELLING = 10
"""Jobs that must have ended in it before it tells when all will be done."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far one run is. `total` is None where nobody counted its jobs."""

    id: RunId
    name: str
    total: int | None = None
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    sent: int = 0  #: out now
    waiting: int = 0  #: came back and will be tried again
    cost: Nanos = NOTHING
    partly_unknown: bool = False  #: some answers have no known cost

    @property
    def final(self) -> int:
        return self.succeeded + self.failed + self.cancelled

    def pay(self, cost: Nanos | None) -> None:
        """An answer cost so much."""
        self.cost = Nanos(self.cost + (cost or 0))
        self.partly_unknown |= cost is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Out:
    """A batch that is at Anthropic, or may be."""

    run: RunId
    n: int
    since: Millis


OVER = frozenset({Turn.REJECTED, Turn.LOST, Turn.COLLECTED, Turn.MISSING, Turn.GONE})
"""Turns after which a batch holds no job."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """Everything heard so far. `clock` gives steady seconds."""

    clock: Callable[[], float]
    runs: dict[RunId, Progress] = field(default_factory=dict)
    limited: str = ""  #: why a lane rests, last heard
    rested: float = 0.0  #: steady seconds until which it does
    output_limit: int | None = None  #: tokens a minute, where one lane told
    draining: bool = False
    batches: dict[BatchId, Out] = field(default_factory=dict)
    retrying: dict[tuple[RunId, str], None] = field(default_factory=dict)
    _ends: deque[tuple[float, RunId, int]] = field(default_factory=deque)
    _began: float = -1.0

    def know(self, runs: Iterable[Progress]) -> None:
        """Start from what the database says."""
        self.runs.update((run.id, run) for run in runs)

    def strangers(self) -> list[RunId]:
        """Runs of which more is heard than is known: somebody else made them, or added to them, meanwhile."""
        runs = self.runs.values()
        return [run.id for run in runs if run.total is None or run.final + run.sent > run.total]

    def meet(self, known: Progress) -> None:
        """Add to what was heard of a run how far it was when it came up, and its name."""
        heard = self.runs[known.id]
        if heard.total is None:
            heard.succeeded += known.succeeded
            heard.failed += known.failed
            heard.cancelled += known.cancelled
            heard.cost = Nanos(heard.cost + known.cost)
        heard.name, heard.total = known.name, known.total

    def hear(self, event: Event) -> None:  # noqa: PLR0912  # one arm for each event
        match event:
            case PassStarted(runs=runs):
                for run, name in runs:
                    self.runs.setdefault(run, Progress(id=run, name=name))
            case JobsSent(run=run, n=n):
                self._began = self.clock() if self._began < 0 else self._began
                self._run(run).sent += n
            case JobSucceeded():
                progress = self._ended(event.run, event.key, event.usage.output)
                progress.succeeded += 1
                progress.pay(event.cost)
            case JobFailed():
                progress = self._ended(event.run, event.key, 0)
                progress.failed += 1
                progress.pay(event.cost)
            case JobAsksOn():
                progress = self._run(event.run)
                progress.sent = max(0, progress.sent - 1)
                progress.pay(event.cost)
            case JobWaits(run=run, key=key):
                progress = self._run(run)
                progress.sent = max(0, progress.sent - 1)
                if (run, key) not in self.retrying:
                    self.retrying[run, key] = None
                    progress.waiting += 1
            case Throttled(why=why, seconds=seconds):
                self.limited = why
                self.rested = max(self.rested, self.clock() + seconds)
            case LimitsLearned(output_tokens=limit):
                self.output_limit = limit if limit is not None else self.output_limit
            case BatchTurned():
                self._turned(event)
            case Draining():
                self.draining = True
            case (
                WayChosen()
                | HoursShut()
                | HookCalled()
                | Recovered()
                | Paused()
                | Probed()
                | Trouble()
                | RunDone()
                | PassEnded()
            ):
                pass

    def _turned(self, event: BatchTurned) -> None:
        """Of a batch it is told as a whole what it brought: what failed in it shows in the end."""
        if event.turn is Turn.COLLECTED:
            self._run(event.run).succeeded += event.n
        if event.turn in OVER:
            self.batches.pop(event.batch, None)
        elif event.turn in {Turn.SUBMITTED, Turn.UNCLEAR}:
            self.batches[event.batch] = Out(run=event.run, n=event.n, since=event.at)

    def in_batches(self, run: RunId) -> int:
        """Jobs of *run* that are out in batches."""
        return sum(out.n for out in self.batches.values() if out.run == run)

    def rate(self, run: RunId | None = None) -> float:
        """Jobs that ended per second, of one run or of all, over the last minute."""
        ends = self._recent()
        return sum(run is None or one == run for _, one, _ in ends) / self._span()

    def output_per_minute(self) -> int:
        return round(sum(tokens for _, _, tokens in self._recent()) / self._span() * 60)

    def eta(self, progress: Progress) -> float | None:
        """Seconds until *progress* may be done, if it goes on like this; None where nothing tells."""
        if progress.total is None or sum(one == progress.id for _, one, _ in self._recent()) < TELLING:
            return None
        rate = self.rate(progress.id)
        return (progress.total - progress.final) / rate

    @property
    def sent(self) -> int:
        return sum(progress.sent for progress in self.runs.values())

    @property
    def waiting(self) -> int:
        return sum(progress.waiting for progress in self.runs.values())

    @property
    def cost(self) -> Nanos:
        return Nanos(sum(progress.cost for progress in self.runs.values()))

    def _run(self, run: RunId) -> Progress:
        return self.runs.setdefault(run, Progress(id=run, name=f"r-{run}"))

    def _ended(self, run: RunId, key: str, output: int) -> Progress:
        progress = self._run(run)
        progress.sent = max(0, progress.sent - 1)
        if self.retrying.pop((run, key), 0) is None:
            progress.waiting -= 1
        self._ends.append((self.clock(), run, output))
        return progress

    def _recent(self) -> deque[tuple[float, RunId, int]]:
        while self._ends and self._ends[0][0] < self.clock() - WINDOW:
            self._ends.popleft()
        return self._ends

    def _span(self) -> float:
        """Seconds that the window really covers: at the start less than a minute, never less than one."""
        return min(WINDOW, max(1.0, self.clock() - self._began)) if self._began >= 0 else WINDOW
