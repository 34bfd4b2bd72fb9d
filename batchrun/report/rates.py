"""How fast things go: what came back in the last minutes, lane by lane, against the limits that are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from batchrun.core.job import Millis, RunId
from batchrun.core.limits import Dimension
from batchrun.queue.pulse import SLOT, Beat, Known

WINDOW = 10 * 60_000
"""Milliseconds that are looked back on."""

OVERLAP = 60_000
"""Milliseconds that are read again at each look: a slow disk keeps what ended a while ago."""

MINUTE = 60_000
BINDS = 0.9
"""The share of a limit from which on it is said to bind."""


@dataclass(slots=True)
class History:
    """The beats of the last `WINDOW`, look by look. Each look begins at `since` and goes to `add`."""

    beats: dict[int, list[Beat]] = field(default_factory=dict)
    whole: int = 0  #: the first slot of which everything is known
    _looked: Millis | None = None

    def since(self, now: Millis) -> Millis:
        """From when on the next look has to read."""
        back = now - WINDOW
        return Millis(back if self._looked is None else max(back, self._looked - OVERLAP))

    def add(self, now: Millis, first: int, found: Iterable[Beat]) -> None:
        """What a look at *now* found, which is everything from the slot *first* on."""
        gap = self._looked is not None and first * SLOT > self._looked
        self.whole = first if self._looked is None or gap else min(first, self.whole)
        self.whole = max(self.whole, (now - WINDOW) // SLOT)
        for slot in [slot for slot in self.beats if slot >= first or slot < self.whole]:
            del self.beats[slot]
        for beat in found:
            self.beats.setdefault(beat.slot, []).append(beat)
        self._looked = now

    def each(self) -> Iterator[Beat]:
        for slot in sorted(self.beats):
            yield from self.beats[slot]


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """One dimension of a lane: what it took in each slot of the window, as units a minute; None before all is known."""

    dimension: Dimension
    series: tuple[float | None, ...]
    now: float  #: a minute, over the last one
    limit: int | None

    @property
    def share(self) -> float | None:
        return self.now / self.limit if self.limit else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One rate-limit pool in the last minutes."""

    name: str
    account: int | None
    meters: tuple[Meter, ...]
    limited: tuple[int, ...]  #: 429s by slot
    overloaded: tuple[int, ...]  #: 529s by slot

    @property
    def binds(self) -> Dimension | None:
        """The limit that is as good as used up, if one is."""
        known = [(meter.share, meter.dimension) for meter in self.meters if meter.share is not None]
        share, dimension = max(known, default=(0.0, None))
        return dimension if share >= BINDS else None


def lanes(history: History, known: Sequence[Known], lane_of: Callable[[str], str], now: Millis) -> list[Lane]:
    """The lanes in which something came back within the window, the busiest first."""
    grouped: dict[tuple[str, int | None], list[Beat]] = {}
    for beat in history.each():
        grouped.setdefault((lane_of(beat.model), beat.account), []).append(beat)
    told: dict[tuple[str, int | None], dict[Dimension, int]] = {}
    for limit in known:
        told.setdefault((limit.lane, limit.account), {})[limit.dimension] = limit.limit
    found = [
        _lane(name, account, some, told.get((name, account), {}), history, now)
        for (name, account), some in grouped.items()
    ]
    return sorted(found, key=lambda lane: (-lane.meters[0].now, lane.name))


def _lane(
    name: str,
    account: int | None,
    beats: Sequence[Beat],
    limits: Mapping[Dimension, int],
    history: History,
    now: Millis,
) -> Lane:
    def by_slot(value: Callable[[Beat], int]) -> dict[int, int]:
        sums: dict[int, int] = {}
        for beat in beats:
            sums[beat.slot] = sums.get(beat.slot, 0) + value(beat)
        return sums

    slots = range(now // SLOT - WINDOW // SLOT + 1, now // SLOT + 1)
    counted = {
        Dimension.REQUESTS: by_slot(lambda beat: beat.n),
        Dimension.INPUT: by_slot(lambda beat: beat.input_tokens),
        Dimension.OUTPUT: by_slot(lambda beat: beat.output_tokens),
    }
    first = min(beat.slot for beat in beats)
    return Lane(
        name=name,
        account=account,
        meters=tuple(
            Meter(
                dimension=dimension,
                series=tuple(_paces(sums, slots, history.whole, now)),
                now=per_minute(sums, max(first, history.whole), now),
                limit=limits.get(dimension),
            )
            for dimension, sums in counted.items()
        ),
        limited=tuple(_picked(by_slot(lambda beat: beat.limited), slots)),
        overloaded=tuple(_picked(by_slot(lambda beat: beat.overloaded), slots)),
    )


def _paces(sums: Mapping[int, int], slots: Iterable[int], whole: int, now: Millis) -> Iterator[float | None]:
    """Units a minute, slot by slot. The last one is still going on: what is in it so far stands for all of it."""
    for slot in slots:
        lasted = min(SLOT, max(1_000, now - slot * SLOT))
        yield None if slot < whole else sums.get(slot, 0) * MINUTE / lasted


def _picked(sums: Mapping[int, int], slots: Iterable[int]) -> Iterator[int]:
    return (sums.get(slot, 0) for slot in slots)


def per_minute(sums: Mapping[int, int], first: int, now: Millis) -> float:
    """The pace over the last whole minute and what is begun of the next slot; over less where it began in *first*."""
    current = now // SLOT
    begin = max(first, current - MINUTE // SLOT)
    lasted = max(now - begin * SLOT, 5_000)
    return sum(n for slot, n in sums.items() if begin <= slot <= current) * MINUTE / lasted


def answers_per_second(history: History, run: RunId, now: Millis) -> float:
    """Realtime answers of *run* a second, over the last minute."""
    sums: dict[int, int] = {}
    for beat in history.each():
        if beat.run == run:
            sums[beat.slot] = sums.get(beat.slot, 0) + beat.ok
    return per_minute(sums, max(min(sums), history.whole), now) / 60 if sums else 0.0


def condensed(series: Sequence[float | None], columns: int) -> list[float | None]:
    """*series* in at most *columns* values: means of neighbours, the newest ones whole; None where nothing is known."""
    if columns <= 0:
        return []
    each = -(-len(series) // columns)
    parts = [series[max(0, end - each) : end] for end in range(len(series), 0, -each)]
    return [_mean(part) for part in reversed(parts)]


def _mean(part: Sequence[float | None]) -> float | None:
    known = [value for value in part if value is not None]
    return sum(known) / len(known) if known else None
