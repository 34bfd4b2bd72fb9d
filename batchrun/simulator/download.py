"""The results of a batch on their way: line by line, in any order, and with what may go wrong on the way."""

from __future__ import annotations

import random
from array import array
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import BinaryIO

from batchrun.core.ports import Clock
from batchrun.simulator import mishaps
from batchrun.simulator.colleague import DONE
from batchrun.simulator.effects import Effect, Kind
from batchrun.simulator.items import line

CHUNK = 1 << 16


async def chunks(
    path: Path, ends: array[int], dice: random.Random, clock: Clock, *, stray: int, after: Effect | None
) -> AsyncIterator[bytes]:
    """The lines of the file at *path*, some at a time. *after* cuts them off at a place that *dice* choose.

    Raises `Broken` where the connection is to break.
    """
    order = list(range(len(ends) + stray))
    dice.shuffle(order)
    share = 0.2 + 0.6 * dice.random()
    last = len(order) if after is None else round(len(order) * share)
    pending: list[bytes] = []
    size = 0
    with path.open("rb") as file:
        for each in _lines(file, ends, order[:last]):
            pending.append(each)
            size += len(each)
            if size >= CHUNK:
                yield b"".join(pending)
                pending, size = [], 0
        if after is None or after.kind is Kind.SHORT:
            yield b"".join(pending)
            return
        half = next(_lines(file, ends, order[last:]), b"{")
        yield b"".join(pending) + half[: len(half) // 2]
        await mishaps.break_off(after, clock)


def _lines(file: BinaryIO, ends: array[int], order: list[int]) -> Iterator[bytes]:
    for index in order:
        if index >= len(ends):
            yield line(f"stray-{index}", DONE.result or {})
            continue
        begin = ends[index - 1] if index else 0
        if ends[index] > begin:
            file.seek(begin)
            yield file.read(ends[index] - begin)
