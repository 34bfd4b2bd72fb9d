"""Charts as SVG, made by us: what ended when, and how long answers took. Colours are classes; the page gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from math import ceil, floor, log10

from batchrun.core.figures import span
from batchrun.report.books import BATCH, ERROR, REALTIME, quantile

WIDTH, HEIGHT = 560, 190
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 22, 26
"""Units of the drawing, and its margins."""

KINDS = (REALTIME, BATCH, ERROR)
"""From the ground up."""

SLOTS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400)
MOST_SLOTS = 90
"""Seconds that one bar may stand for, and how many bars there are at most."""

TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400)
BINS_A_DECADE = 12

_X0, _X1, _Y0, _Y1 = LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM, TOP


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """What ended, by kind, in stretches of `seconds` from `start` on (seconds since 1970)."""

    seconds: int
    start: int
    counts: Mapping[str, Sequence[int]]

    @property
    def n(self) -> int:
        return len(self.counts[REALTIME])


def slots(seconds: Mapping[tuple[int, str], int]) -> Slots | None:
    """Stretches of one length over all the time, those in which nothing ended too; None where nothing ended."""
    if not seconds:
        return None
    first, last = min(second for second, _ in seconds), max(second for second, _ in seconds)
    size = next((one for one in SLOTS if last // one - first // one < MOST_SLOTS), 0)
    if not size:  # months: whole days
        size = 86_400 * ceil((last - first + 86_400) / 86_400 / MOST_SLOTS)
    start = first // size
    counts = {kind: [0] * (last // size - start + 1) for kind in KINDS}
    for (second, kind), n in seconds.items():
        counts[kind][second // size - start] += n
    return Slots(seconds=size, start=start * size, counts=counts)


def timeline(told: Slots) -> str:
    """Bars over time, answers from the ground and failed attempts above them."""
    tops = [sum(told.counts[kind][i] for kind in KINDS) for i in range(told.n)]
    highest = max(tops)
    scale = _Scale(highest)
    each = (_X1 - _X0) / told.n
    parts = [*scale.grid(f"attempts ended per {_length(told.seconds)}")]
    for kind in KINDS:
        path = []
        for i in range(told.n):
            n = told.counts[kind][i]
            if n:
                below = sum(told.counts[other][i] for other in KINDS[: KINDS.index(kind)])
                path.append(_bar(_X0 + i * each, each, scale.y(below + n), scale.y(below)))
        if path:
            parts.append(f'<path class="k-{kind}" d="{"".join(path)}"/>')
    parts += _time_axis(told, each)
    answers = sum(sum(told.counts[kind]) for kind in (REALTIME, BATCH))
    failed = sum(told.counts[ERROR])
    words = (
        f"{answers:,} answers and {failed:,} failed attempts over {span(told.n * told.seconds)}; at most {highest:,} "
    )
    return _svg("timeline", "When attempts ended", f"{words}in {_length(told.seconds)}", parts)


def histogram(counts: Mapping[int, int]) -> str:
    """Answers by how long they took (milliseconds), on a logarithmic axis, with the median and the tails."""
    low = floor(log10(max(1, min(counts))) * BINS_A_DECADE)
    high = max(low + 3, floor(log10(max(1, *counts)) * BINS_A_DECADE))
    bins = [0] * (high - low + 1)
    for value, n in counts.items():
        bins[floor(log10(max(1, value)) * BINS_A_DECADE) - low] += n
    scale = _Scale(max(bins))
    each = (_X1 - _X0) / len(bins)
    parts = [*scale.grid("answers")]
    path = "".join(_bar(_X0 + i * each, each, scale.y(n), scale.y(0)) for i, n in enumerate(bins) if n)
    parts.append(f'<path class="k-realtime" d="{path}"/>')

    def x(value: float) -> float:
        return _X0 + (log10(max(1.0, value)) * BINS_A_DECADE - low) * each

    parts += _latency_axis(x, 10 ** (low / BINS_A_DECADE), 10 ** ((high + 1) / BINS_A_DECADE))
    marks = [(name, quantile(counts, share) or 0) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))]
    taken = -1e9
    for name, value in marks:
        at = x(value)
        parts.append(f'<path class="mark" d="M{at:.1f} {_Y1 - 4}V{_Y0}"/>')
        if at - taken > 14:  # where two fall together, the first one's name stands
            near = at - taken <= 26
            anchor = "start" if near else "middle"
            place = f'x="{at + 4 * near:.1f}" y="{_Y1 - 8}" text-anchor="{anchor}"'
            parts.append(f'<text class="mark" {place}>{name}</text>')
            taken = at
    words = ", ".join(f"{name} {latency(value)}" for name, value in marks)
    return _svg("latency", "How long realtime answers took", f"{sum(counts.values()):,} answers: {words}", parts)


# -- the parts --------------------------------------------------------------------------------------------------------


class _Scale:
    """The upright axis: from 0 to a round number that is no less than *highest*."""

    def __init__(self, highest: int) -> None:
        self._step = _round_step(highest / 4)
        self._top = max(1, ceil(highest / self._step)) * self._step

    def y(self, value: float) -> float:
        return _Y0 - (_Y0 - _Y1) * value / self._top

    def grid(self, unit: str) -> Iterator[str]:
        yield f'<text class="unit" x="{LEFT - 40}" y="{_Y1 - 10}">{escape(unit)}</text>'
        value = 0
        while value <= self._top:
            y = self.y(value)
            yield f'<path class="{"ground" if value == 0 else "grid"}" d="M{_X0} {y:.1f}H{_X1}"/>'
            yield f'<text x="{_X0 - 6}" y="{y + 3.5:.1f}" text-anchor="end">{_short(value)}</text>'
            value += self._step


def _round_step(least: float) -> int:
    """1, 2 or 5 times a power of ten, no less than *least*."""
    power: int = 10 ** max(0, floor(log10(max(1.0, least))))
    return next(step for step in (power, 2 * power, 5 * power, 10 * power) if step >= least)


def _short(n: int) -> str:
    """`1.5k`, `20M`: for an axis."""
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if n >= size:
            return f"{n / size:g}{unit}"
    return str(n)


def _bar(x: float, each: float, top: float, ground: float) -> str:
    gap = min(1.0, each * 0.15)
    return f"M{x + gap / 2:.2f} {ground:.2f}V{top:.2f}h{each - gap:.2f}V{ground:.2f}z"


def _time_axis(told: Slots, each: float) -> Iterator[str]:
    """At most eight moments, at round times; the day stands with the first one and where another begins."""
    length = told.n * told.seconds
    step = next((one for one in TICKS if length / one <= 7), 86_400 * ceil(length / 86_400 / 7))
    day = ""
    for i, at in enumerate(range(-(-told.start // step) * step, told.start + length, step)):
        moment = datetime.fromtimestamp(at, UTC)
        x = _X0 + (at - told.start) / told.seconds * each
        form = "%H:%M:%S" if step < 60 else "%H:%M"
        text, today = f"{moment:{form}}", f"{moment:%b} {moment.day}"
        if step >= 86_400:
            text = today
        elif day and day != today:
            text = f"{today} {text}"
        day = today
        odd = ' class="odd"' if i % 2 else ""
        yield f'<path class="tick" d="M{x:.1f} {_Y0}v4"/>'
        anchor = "start" if x < _X0 + 20 else "end" if x > _X1 - 20 else "middle"
        place = f'x="{x:.1f}" y="{_Y0 + 16}" text-anchor="{anchor}"'
        yield f'<text{odd} {place} data-at="{at}" data-step="{step}">{text}</text>'


def _latency_axis(at: Callable[[float], float], low: float, high: float) -> Iterator[str]:
    """1, 2 and 5 of each power of ten."""
    last, n = -1e9, 0
    for power in range(6):
        for digit in (1, 2, 5):
            value = digit * 10**power
            if not low <= value <= high:
                continue
            here = at(value)
            yield f'<path class="tick" d="M{here:.1f} {_Y0}v4"/>'
            if here - last < 34:
                continue
            odd = ' class="odd"' if n % 2 else ""
            yield f'<text{odd} x="{here:.1f}" y="{_Y0 + 16}" text-anchor="middle">{latency(value)}</text>'
            last, n = here, n + 1


def latency(millis: float) -> str:
    """`350 ms`, `1.9 s`, `2m05s`"""
    if millis < 1_000:
        return f"{millis:.0f} ms"
    seconds = millis / 1000
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s" if seconds < 100 else span(seconds)


def _length(seconds: int) -> str:
    """`10 s`, `5 min`, `2 h`, `3 days`"""
    for size, unit in ((86_400, "day"), (3_600, "h"), (60, "min")):
        if seconds % size == 0:
            n = seconds // size
            if unit == "day":
                return "day" if n == 1 else f"{n} days"
            return unit if n == 1 else f"{n} {unit}"
    return f"{seconds} s" if seconds > 1 else "second"


def _svg(id_: str, title: str, words: str, parts: Iterable[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{id_}-title {id_}-desc">'
        f'<title id="{id_}-title">{escape(title)}</title><desc id="{id_}-desc">{escape(words)}</desc>'
        f"{''.join(parts)}</svg>"
    )
