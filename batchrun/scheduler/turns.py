"""Whose turn it is: which run a lane asks next."""

from __future__ import annotations

from collections.abc import Iterable

from batchrun.core.claim import OpenRun
from batchrun.core.job import RunId


class Turns:
    """Higher priority first; among equals the one that was served least, so that no large run starves a small one.

    A run that joins starts level with the least served, not with a claim on the past.
    """

    def __init__(self) -> None:
        self._served: dict[RunId, float] = {}

    def pick(self, runs: Iterable[OpenRun]) -> OpenRun:
        """The run to ask among *runs*, which must not be empty."""
        candidates = list(runs)
        top = max(run.priority for run in candidates)
        equals = [run for run in candidates if run.priority == top]
        level = min((self._served[run.id] for run in equals if run.id in self._served), default=0.0)
        for run in equals:
            self._served.setdefault(run.id, level)
        return min(equals, key=lambda run: (self._served[run.id], run.id))

    def serve(self, run: RunId, n: int) -> None:
        self._served[run] = self._served.get(run, 0.0) + n
