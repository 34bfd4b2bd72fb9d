"""The lanes of one account: which model goes through which, and what each may use in a minute."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from batchrun.core.claim import LearnedLimit
from batchrun.core.limits import Limits
from batchrun.core.ports import Clock, Store
from batchrun.scheduler.lane import Lane
from batchrun.scheduler.share import Share
from batchrun.scheduler.terms import Terms

ANSWER = 20.0
"""Seconds that one answer takes, roughly, when nothing limits it but how many are out at once."""


class Lanes:
    """Made as models turn up. The user's numbers win, then what the API told, then the table's row for the tier."""

    def __init__(
        self, terms: Terms, clock: Clock, learned: Iterable[LearnedLimit], store: Store, account: Callable[[], int]
    ) -> None:
        self._terms = terms
        self._clock = clock
        self._store = store
        self._account = account
        self._learned = {limit.lane: limit for limit in learned}
        self._lanes: dict[str, Lane] = {}

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes.values())

    def of(self, model: str) -> Lane:
        """The lane of *model*."""
        name = self._terms.limits.lane_of(model)
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = self._make(name)
        return lane

    def seconds(self, unfinished: Mapping[str, int]) -> float | None:
        """About how long so many jobs of each model take in realtime; None where nothing is known of a lane."""
        longest = 0.0
        for model, n in unfinished.items():
            limit = self.of(model).limits.requests
            if limit is None:
                return None
            longest = max(longest, n / limit * 60.0, n * ANSWER / self._terms.most)
        return longest

    def _make(self, name: str) -> Lane:
        custom, learned = self._terms.custom.get(name), self._learned.get(name)
        if custom is not None:
            limits = custom
        elif learned is not None:
            limits = Limits(
                requests=learned.requests, input_tokens=learned.input_tokens, output_tokens=learned.output_tokens
            )
        else:
            limits = self._terms.limits.limits(self._terms.tier, name)
        return Lane(
            name,
            limits,
            most=self._terms.most,
            clock=self._clock,
            told=custom is not None or learned is not None,
            share=self._share,
            fixed=custom is not None,
        )

    def _share(self, lane: Lane) -> Share:
        return Share(
            lane=lane.name,
            limits=lambda: lane.limits,
            store=self._store,
            clock=self._clock,
            account=self._account,
            boot=self._terms.card.boot,
            blocked=lane.blocked,
        )
