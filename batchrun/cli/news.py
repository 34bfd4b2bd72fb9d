"""What just happened, line by line: what the scheduler did, and the jobs that ended, each in an order of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from batchrun.cli.output import columns_of, shortened
from batchrun.cli.screen import Tone, clean
from batchrun.cli.telling import sentence
from batchrun.core.events import Paused, Throttled, Trouble
from batchrun.core.figures import dollars, hour, span
from batchrun.core.job import Millis
from batchrun.core.states import State
from batchrun.queue.jobrows import EventRow
from batchrun.queue.pulse import Ended
from batchrun.report.history import event_of

Piece = tuple[str, Tone | None]
Line = list[Piece]

WHOLE = frozenset({None, "end_turn", "stop_sequence", "tool_use"})
"""Reasons to stop of which nothing is to be said."""

WORDS = {"unknown": "no answer, possibly billed"}
"""What stands for an outcome whose name tells nobody anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    now: Millis
    events: Sequence[EventRow]  #: the oldest first
    ended: Sequence[Ended]  #: the newest first
    width: int
    utf8: bool

    def lines(self, room: int, *, tall: bool) -> Iterator[Line]:
        """What happened in the scheduler and to jobs, each in its own order, as they would drown one another."""
        told = list(_folded(self.events))
        least = min(len(self.ended), room * 3 // 5)
        share = min(len(told), room - least - (tall and least > 0))
        jobs = self.ended[: room - share - (tall and share > 0)]
        for event in told[-share:] if share else []:
            yield self._event(*event)
        if jobs and share and tall:
            yield []
        for one in jobs:
            yield self._job(one)

    def _event(self, row: EventRow, times: int) -> Line:
        event = event_of(row)
        text = sentence(event) if event is not None else row.kind
        again = f"  ({times:,} times)" if times > 1 else ""
        return [
            (f"{self._when(row.at)}  ", Tone.DIM),
            (f"{clean(text)}{again}", Tone.WARN if isinstance(event, Paused | Trouble) else None),
        ]

    def _job(self, one: Ended) -> Line:
        mark, tone = self._mark(one)
        facts: list[str] = []
        if one.ok:
            arrow = "→" if self.utf8 else "->"
            facts += [f"{one.input_tokens or 0:,} {arrow} {one.output_tokens or 0:,} tok"]
            facts += [one.stop_reason or ""] if one.stop_reason not in WHOLE else []
        else:
            facts.append(
                " ".join(str(part) for part in (one.status, WORDS.get(one.error, one.error)) if part is not None)
            )
            if one.state is State.WAITING and one.due is not None:
                left = (one.due - self.now) / 1000
                facts.append(f"again in {span(left)}" if left > 0 else "is due again")
            elif one.state is State.FAILED and one.message:
                facts.append(one.message)
        if one.seconds is not None:
            facts.insert(0, f"{one.seconds:.1f} s")
        if one.cost is not None:
            facts.append(dollars(one.cost))
        key = shortened(clean(one.key), max(12, self.width // 3))
        return [
            (f"{self._when(one.at)}  ", Tone.DIM),
            (f"{mark} ", tone),
            (f"{key}   {'   '.join(clean(str(fact)) for fact in facts)}", None),
        ]

    def _mark(self, one: Ended) -> tuple[str, Tone]:
        if one.ok:
            whole = one.stop_reason in WHOLE
            good, cut = ("✓", "✂") if self.utf8 else ("ok", "cut")
            return (good, Tone.GOOD) if whole else (cut, Tone.WARN)
        if one.state is State.FAILED:
            return "✗" if self.utf8 else "fail", Tone.BAD
        return "↻" if self.utf8 else "again", Tone.WARN

    def _when(self, at: Millis) -> str:
        """The clock; the day too, if it is another one."""
        day = hour(at, self.now)
        return clock(at) if ":" in day[:3] else day


def _folded(rows: Iterable[EventRow]) -> Iterator[tuple[EventRow, int]]:
    """Each event with how often it came; a lane that rests again and again is one line, and stands at the last time."""
    last: tuple[EventRow, int] | None = None
    for row in rows:
        if last is not None and row.kind == last[0].kind == "throttled" and _same_rest(row, last[0]):
            last = (row, last[1] + 1)
            continue
        if last is not None:
            yield last
        last = (row, 1)
    if last is not None:
        yield last


def _same_rest(row: EventRow, other: EventRow) -> bool:
    one, two = event_of(row), event_of(other)
    return isinstance(one, Throttled) and isinstance(two, Throttled) and (one.lane, one.why) == (two.lane, two.why)


def clock(at: Millis) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC).astimezone():%H:%M:%S}"


def cut(line: Line, width: int) -> Line:
    """*line* in at most *width* columns, with an ellipsis where something was cut."""
    left, cut = width, []
    for text, tone in line:
        short = shortened(text, left) if left > 0 else ""
        if short:
            cut.append((short, tone))
        left -= columns_of(text)
    return cut
