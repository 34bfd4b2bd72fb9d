"""The limits that all workers share: for each account, lane and dimension how full its bucket is, and since when.

Levels outlive whoever took from them: a program that is started again and again gets no new burst.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from batchrun.core.limits import Dimension, gate
from batchrun.core.sharing import Asked, Granted, depart
from batchrun.queue.statement import Statement, insert_or, param
from batchrun.queue.tables import buckets
from batchrun.queue.transaction import Transaction

TABLE = "table"
"""The source of a limit that nobody told: the row is there for its level alone."""

_OF_LANE = (buckets.c.account == param("whose"), buckets.c.lane == param("the_lane"))
_LEVELS = Statement(
    sa.select(
        buckets.c.dimension,
        buckets.c.level,
        buckets.c.updated,
        buckets.c.boot,
        buckets.c.blocked_until,
    )
    .where(*_OF_LANE)
    .order_by(buckets.c.dimension)
    .with_for_update()
)
_SET = Statement(
    buckets.update()
    .where(*_OF_LANE, buckets.c.dimension == param("the_dimension"))
    .values(level=param("full"), updated=param("at"), boot=param("now_boot"), blocked_until=param("blocked"))
)
_FIRST = Statement(
    insert_or(
        buckets, "account", "lane", "dimension", "capacity", "refill", "updated", "boot", "source", "learned"
    ).on_conflict_do_nothing()  # another worker may be the first meanwhile
)
_BLOCK = Statement(
    buckets.update()
    .where(*_OF_LANE, buckets.c.boot == param("now_boot"), buckets.c.blocked_until < param("until"))
    .values(blocked_until=param("until"))
)


_CLOCK = Statement(sa.select(sa.cast(sa.func.extract("epoch", sa.func.clock_timestamp()), sa.Float)))
_SERVER = "server"
"""The boot that a server's clock is of: it goes on over all of them."""


def _clock(tx: Transaction, now: float, boot: str) -> tuple[float, str]:
    """The clock that all workers read: the machine's where all are on one, else the server's."""
    if not tx.on_server:
        return now, boot
    row = tx.row(_CLOCK)
    assert row is not None
    return float(row[0]), _SERVER


def take(tx: Transaction, account: int, asked: Asked) -> Granted:
    """When each of the requests that are *asked* for may leave; it counts from now on as if it did."""
    empty: dict[Dimension, float] = {}
    blocked_until = 0.0
    rates = {each: gate(limit)[1] for each in Dimension if (limit := asked.limits.of(each)) is not None}
    levels = tx.rows(_LEVELS, whose=account, the_lane=asked.lane)
    new = rates.keys() - {row[0] for row in levels}
    if new:
        _begin(tx, account, asked, sorted(new), rates)
        levels = tx.rows(_LEVELS, whose=account, the_lane=asked.lane)
    now, here = _clock(tx, asked.now, asked.boot)  # once the rows are locked: else two would go back in time
    rows = {Dimension(row[0]): row[1:] for row in levels}
    for dimension, (level, updated, boot, blocked) in rows.items():
        if boot == here and dimension in rates:
            blocked_until = max(blocked_until, blocked)
            # A limit that changed leaves what is there as it is, in units.
            empty[dimension] = updated - level / rates[dimension]
    for dimension, more in asked.settled.items():
        if dimension in rates:
            empty[dimension] = empty.get(dimension, now) + more / rates[dimension]
    moments = depart(empty, asked.limits, asked.wants, now, blocked_until)
    for dimension, rate in rates.items():
        tx.run(
            _SET,
            whose=account,
            the_lane=asked.lane,
            the_dimension=dimension,
            full=(now - empty.get(dimension, now)) * rate,
            at=now,
            now_boot=here,
            blocked=blocked_until,
        )
    return Granted(
        waits=[moment - now for moment in moments],
        blocked=max(0.0, blocked_until - now),
        since=None if tx.on_server else now,
    )


def _begin(
    tx: Transaction, account: int, asked: Asked, dimensions: Sequence[Dimension], rates: Mapping[Dimension, float]
) -> None:
    """Rows for *dimensions*, with nothing in their buckets."""
    now, here = _clock(tx, asked.now, asked.boot)
    for dimension in dimensions:
        tx.run(
            _FIRST,
            account=account,
            lane=asked.lane,
            dimension=dimension,
            capacity=asked.limits.of(dimension),
            refill=rates[dimension],
            updated=now,
            boot=here,
            source=TABLE,
            learned=0,
        )


def block(tx: Transaction, account: int, lane: str, seconds: float, now: float, boot: str) -> None:
    """Let nobody leave in *lane* for *seconds* from the steady time *now* of *boot* on."""
    now, boot = _clock(tx, now, boot)
    tx.run(_BLOCK, whose=account, the_lane=lane, until=now + seconds, now_boot=boot)
