"""Somebody else in the workspace: batches that are not ours, and batches of ours that he cleans away."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from batchrun.core.job import Millis
from batchrun.simulator.batch import Batch
from batchrun.simulator.batchplan import Colleague
from batchrun.simulator.items import Done
from batchrun.simulator.shelf import Shelf

DONE = Done(
    outcome="succeeded",
    result={
        "type": "succeeded",
        "message": {
            "id": "msg_of_a_colleague",
            "type": "message",
            "role": "assistant",
            "model": "claude-haiku-5-5",
            "content": [{"type": "text", "text": "Not for you."}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 10, "output_tokens": 4, "service_tier": "batch"},
        },
    },
)
"""What all his requests come to."""


def ids(size: int) -> str:
    """The custom_ids of a batch of his, one a line."""
    return "\n".join(f"colleague-{nth}" for nth in range(size))


@dataclass(slots=True, kw_only=True)
class Arrivals:
    """When his batches come, and how large they are. One seed is one sequence."""

    dice: random.Random
    next: Millis | None = None

    def until(self, now: Millis, plan: Colleague, shelf: Shelf) -> Iterator[tuple[Millis, int]]:
        """(created, size) of each that came until *now*."""
        if plan.every is None:
            self.next = None
            return
        if self.next is None:
            self.next = Millis(now + self._gap(plan.every))
        while self.next <= now:
            newest = next((batch for batch in reversed(shelf.batches.values()) if not batch.foreign), None)
            alike = self.dice.random() < plan.alike
            yield self.next, newest.size if alike and newest is not None else plan.size
            self.next = Millis(self.next + self._gap(plan.every))

    def _gap(self, every: float) -> int:
        return max(1, round(self.dice.expovariate(1.0 / max(every, 0.001)) * 1000))


class Whim(Enum):
    """What he does to a batch, his or not."""

    DELETE = "delete"
    ARCHIVE = "archive"


def whim(batch: Batch, now: Millis, plan: Colleague) -> Whim | None:
    """What he does to *batch* now, if it is one of those that he does something to, and the time has come."""
    if batch.deleted or now < batch.ends + plan.after * 1000:
        return None
    drawn = random.Random(batch.id).random()  # noqa: S311  # simulation, not secrecy
    if drawn < plan.deletes:
        return Whim.DELETE
    if drawn < plan.deletes + plan.archives and batch.archived is None:
        return Whim.ARCHIVE
    return None
