"""What experiments went through, added up over all tests and processes of a session, in a few lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

NAME = "crash figures"
"""Of the property by which a test reports them; its value is (heading, figures as a mapping)."""


@dataclass(slots=True)
class Figures:
    experiments: int = 0
    boundaries: int = 0  #: different places at which a life was ended or stopped
    kills: int = 0
    stops: int = 0
    jobs: int = 0
    lost: int = 0  #: jobs without the end that they should have
    calls: int = 0  #: requests for which the API did the work
    repeated: int = 0  #: of those, answers to what had been answered before
    adopted: int = 0  #: batches that were found again
    settled: int = 0  #: batches that were proven not to have arrived, and sent again
    in_flight: int = 0  #: requests that had left and were not settled when their process died or stopped

    def add(self, other: Figures) -> None:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    def property(self, heading: str) -> tuple[str, Any]:
        """What a test hands to `record_property`."""
        return NAME, (heading, asdict(self))

    def __str__(self) -> str:
        parts = [f"{self.experiments} experiments", f"{self.boundaries} boundaries", f"{self.kills} kills"]
        parts += [f"{self.stops} stops"] if self.stops else []
        parts += [f"{self.jobs} jobs, {self.lost} lost", f"{self.calls} paid calls"]
        if self.adopted or self.settled:
            parts += [f"{self.adopted} batches found again, {self.settled} never arrived"]
        parts += [f"{self.repeated} repeated of {self.in_flight} in flight at a death"]
        return " · ".join(parts)


def lines(properties: Iterable[tuple[str, Any]]) -> list[str]:
    """The summary of all that tests have reported; nothing if none did."""
    by_heading: dict[str, Figures] = {}
    for name, value in properties:
        if name == NAME:
            heading, figures = value
            by_heading.setdefault(heading, Figures()).add(Figures(**figures))
    if not by_heading:
        return []
    total = Figures()
    for figures in by_heading.values():
        total.add(figures)
    return [*(f"{heading}: {figures}" for heading, figures in sorted(by_heading.items())), f"all: {total}"]
