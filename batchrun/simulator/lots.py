"""What the ledger knows of batches: their custom_ids, and what became of each item. Kept in columns, for there may be
a hundred thousand items in each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from batchrun.core.job import Millis

DIGEST = 16
"""Characters of a prompt's digest; an item without one (its params could not be read) has as many blanks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """One item of a batch that has ended. `outcome` is `succeeded`, `errored`, `canceled` or `expired`."""

    batch: str
    custom_id: str
    at: Millis
    prompt: str | None
    outcome: str
    billed: bool
    output: int
    cost: int


@dataclass(slots=True, kw_only=True)
class Lot:
    """One batch. What is below `ended` is empty until its items were looked at after its end."""

    batch: str
    at: Millis
    size: int
    foreign: bool
    custom_ids: str  #: one a line
    ended: Millis | None = None
    outcomes: str = ""  #: the first letter of each
    prompts: str = ""  #: digests, one after the other
    outputs: list[int] = field(default_factory=list)
    costs: list[int] = field(default_factory=list)  #: nano-dollars
    marked: list[str] = field(default_factory=list)  #: the digests of prompts with marks

    def bare(self) -> Lot:
        """As it was when it was accepted."""
        return Lot(batch=self.batch, at=self.at, size=self.size, foreign=self.foreign, custom_ids=self.custom_ids)

    def plain(self) -> dict[str, Any]:
        """Its fields; not copies of them, as `asdict` makes."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def ids(self) -> list[str]:
        return self.custom_ids.split("\n")

    def items(self) -> Iterator[Bought]:
        """Its items in the order of the request; none before its end, and none of a colleague's."""
        if self.ended is None or self.foreign:
            return
        for index, (custom_id, letter) in enumerate(zip(self.ids, self.outcomes, strict=True)):
            prompt = self.prompts[index * DIGEST : (index + 1) * DIGEST].strip()
            yield Bought(
                batch=self.batch,
                custom_id=custom_id,
                at=self.ended,
                prompt=prompt or None,
                outcome=_WORDS[letter],
                billed=letter == "s",
                output=self.outputs[index],
                cost=self.costs[index],
            )


_WORDS = {"s": "succeeded", "e": "errored", "c": "canceled", "x": "expired"}
LETTERS = {word: letter for letter, word in _WORDS.items()}
