"""What just happened: realtime attempts as they ended, and the limits that the account was found to have.

An index of the ends leads to them, so that a look costs the same in a queue of any age. What goes in batches has no
pace of its own, and is not in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from batchrun.core.job import Millis, Nanos, RunId
from batchrun.core.limits import Dimension
from batchrun.core.states import State
from batchrun.queue.reading import Reading

SLOT = 10_000
"""Milliseconds that are summed up in one beat."""

MOST = 20_000
"""Attempts that one look reads at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """Requests of one run and model that came back within one `SLOT`, and the tokens they are charged for."""

    slot: int  #: its number since 1970
    run: RunId
    account: int | None
    model: str
    n: int
    ok: int
    limited: int  #: answered 429
    overloaded: int  #: answered 529
    input_tokens: int  #: what counts against the limit: cache reads do not
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """One realtime attempt that ended, and where its job stands now."""

    at: Millis
    run_name: str
    key: str
    ok: bool
    status: int | None
    error: str
    message: str
    seconds: float | None
    input_tokens: int | None
    output_tokens: int | None
    cost: Nanos | None
    stop_reason: str | None
    state: State
    due: Millis | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A minute's limit of one lane of an account, and where it is known from."""

    account: int
    lane: str
    dimension: Dimension
    limit: int
    source: str


_OURS = "via = 'realtime' AND ended IS NOT NULL"
_BEATS = f"""
SELECT a.ended / {SLOT}, j.run, r.account, j.model, COUNT(*), COUNT(*) FILTER (WHERE a.outcome = 'ok'),
       COUNT(*) FILTER (WHERE a.status = 429), COUNT(*) FILTER (WHERE a.status = 529),
       SUM(COALESCE(a.input, 0) + COALESCE(a.cache_write_5m, 0) + COALESCE(a.cache_write_1h, 0)),
       SUM(COALESCE(a.output, 0))
FROM (SELECT * FROM attempts WHERE {_OURS} AND ended >= ? ORDER BY ended DESC LIMIT ?) a
CROSS JOIN jobs j ON j.id = a.job CROSS JOIN runs r ON r.id = j.run
WHERE a.outcome <> 'released'
GROUP BY 1, 2, 3, 4
"""
_ENDED = f"""
SELECT a.ended, j.run, r.name, j.key, a.outcome, a.status, COALESCE(a.error_code, a.error_type, a.outcome), a.message,
       a.sent, a.input, a.output, a.cost, s.stop_reason, j.state, j.due
FROM (SELECT * FROM attempts WHERE {_OURS} ORDER BY ended DESC LIMIT ?) a
CROSS JOIN jobs j ON j.id = a.job CROSS JOIN runs r ON r.id = j.run
LEFT JOIN results s ON s.job = a.job AND s.attempt = a.n
WHERE a.outcome <> 'released'
"""
_LIMITS = (
    "SELECT account, lane, dimension, capacity, source FROM buckets WHERE source <> 'table' ORDER BY account, lane"
)


def beats(reading: Reading, since: Millis, *, most: int = MOST) -> tuple[int, Sequence[Beat]]:
    """The first slot that was read whole, from *since* on, and what ended in it and after it."""
    found = [_beat(row) for row in reading.rows(_BEATS, since // SLOT * SLOT, most)]
    if sum(beat.n for beat in found) < most:
        return since // SLOT, found
    first = min(beat.slot for beat in found) + 1  # the oldest one was cut
    return first, [beat for beat in found if beat.slot >= first]


def ended(reading: Reading, most: int, run: RunId | None = None) -> list[Ended]:
    """The last realtime attempts that ended, the newest first: of *run* those among the last *most* of all."""
    return [_ended(row) for row in reading.rows(_ENDED, most) if run is None or row[1] == run]


def limits(reading: Reading) -> list[Known]:
    """What is known of every account's limits."""
    return [
        Known(account=account, lane=lane, dimension=Dimension(dimension), limit=capacity, source=source)
        for account, lane, dimension, capacity, source in reading.rows(_LIMITS)
    ]


def _beat(row: Any) -> Beat:
    slot, run, account, model, n, ok, limited, overloaded, input_tokens, output_tokens = row
    return Beat(
        slot=slot,
        run=RunId(run),
        account=account,
        model=model,
        n=n,
        ok=ok,
        limited=limited,
        overloaded=overloaded,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
    )


def _ended(row: Any) -> Ended:
    at, _, run_name, key, outcome, status, error, message, sent, input_, output, cost, stop_reason, state, due = row
    return Ended(
        at=Millis(at),
        run_name=run_name,
        key=key,
        ok=outcome == "ok",
        status=status,
        error="" if outcome == "ok" else error,
        message=message or "",
        seconds=None if sent is None else (at - sent) / 1000,
        input_tokens=input_,
        output_tokens=output,
        cost=None if cost is None else Nanos(cost),
        stop_reason=stop_reason,
        state=State(state),
        due=due,
    )
