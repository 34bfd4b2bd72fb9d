"""A lane: one rate-limit pool of the account, with its gate, its window and its rests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import ceil

from batchrun.core.claim import Claim
from batchrun.core.concurrency import Signal, Window, step
from batchrun.core.estimate import guessed_output
from batchrun.core.limits import Dimension, Limits
from batchrun.core.outcome import Limited, Told, Usage
from batchrun.core.ports import Clock
from batchrun.core.retry import LONGEST
from batchrun.core.sharing import Want
from batchrun.scheduler.gate import Gate
from batchrun.scheduler.share import Share

AHEAD = 0.25
"""Seconds of work that may be claimed and not yet sent: what a kill leaves in doubt without having been bought."""

FIRST_BREATH = 5.0
LONGEST_BREATH = 60.0
"""Seconds a lane rests after a 429 or 529 that names no time, doubling while nothing succeeds in between."""

EPISODE = 5.0
MINUTE = 60.0

OUTAGE = 3
"""Rests in a row, with no success between them, from which on the service is down and no job is at fault."""

IN_A_ROW = 8
"""Failures in a row after which the lane as a whole takes a breath."""


class Lane:
    """Not thread-safe; belongs to one event loop."""

    def __init__(
        self,
        name: str,
        limits: Limits,
        *,
        most: int,
        clock: Clock,
        told: bool,
        share: Callable[[Lane], Share],
        fixed: bool = False,
    ) -> None:
        self.name = name
        self.told = told  #: whether the limits are the account's own words, and not a table's
        self._fixed = fixed  # the user's own numbers: nothing the API says changes them
        self.window = Window(most=float(most), size=min(4.0, float(most)))
        self.in_flight = 0
        self.pending = 0  #: claimed and not yet sent; the claimer adds to it, before the claim's task has begun
        self.breaths = 0  #: rests since the last success
        self._learned = float("-inf")  # when the API's limits were taken over
        self._narrowed = float("-inf")  # when it last said that there are too many connections
        self._most = float(most)
        self._failures = 0  # in a row
        self._gate = Gate(limits)
        self._share = share(self)
        self._clock = clock
        self._blocked_until = 0.0
        self._mean_output: float | None = None
        self._input_ratio = 1.0

    @property
    def limits(self) -> Limits:
        return self._gate.limits

    def blocked_for(self) -> float:
        """Seconds until something may leave again; 0 if now."""
        return max(0.0, self._blocked_until - self._clock.steady())

    def room(self) -> int:
        """How many more jobs are worth claiming now."""
        if self.blocked_for() > 0.0:
            return 0
        free = int(self.window.size) - self.in_flight - self.pending
        requests = self.limits.of(Dimension.REQUESTS)
        if requests is None:
            return max(0, free)
        return max(0, min(free, ceil(requests / 60.0 * AHEAD) + 1 - self.pending))

    def too_large(self, claim: Claim) -> bool:
        """Whether *claim* alone is beyond a minute's input limit, so that it could never pass."""
        limit = self.limits.of(Dimension.INPUT)
        return limit is not None and self.told and self._input(claim) > limit

    def _input(self, claim: Claim) -> float:
        return claim.est_input * self._input_ratio

    def _output(self, claim: Claim) -> float:
        """What it will likely produce: the mean of what came so far. `max_tokens` is not counted by the API."""
        guess = guessed_output(claim.max_tokens) if self._mean_output is None else self._mean_output
        return min(guess, float(claim.max_tokens))

    async def enter(self, claim: Claim) -> tuple[float, float]:
        """Wait until *claim* may leave; returns what was charged (input and output tokens), for `settle`.

        It counts as pending until then, and as in flight afterwards, until `leave`.
        """
        try:
            charged = (self._input(claim), self._output(claim))
            await self._gate.enter(input_tokens=charged[0], output_tokens=charged[1])
            while True:
                while (rest := self.blocked_for()) > 0.0:
                    await self._clock.sleep(rest)
                in_time = await self._share.enter(Want(input_tokens=charged[0], output_tokens=charged[1]))
                if in_time and self.blocked_for() == 0.0:
                    break
        finally:
            self.pending -= 1
        self.in_flight += 1
        return charged

    def leave(self, signal: Signal | None, kind: Limited | None = None) -> None:
        """A request came home; *signal* is what its answer says about the window (None: nothing)."""
        if signal is not None:
            # Where the minute's limits are known, a plain 429 speaks of them; only the other kinds speak of width.
            cut = not self.told or kind is not Limited.RATE
            self.window = step(
                self.window, signal, in_flight=self.in_flight + self.pending, now=self._clock.steady(), cut=cut
            )
            if kind is Limited.CONNECTIONS:
                self._narrow()
            if signal is Signal.FINE:
                self.breaths = self._failures = 0
                self._widen()
            elif signal is Signal.FAILED:
                self._failures += 1
                if self._failures >= IN_A_ROW:
                    self._failures = 0
                    self.rest(None)
        self.in_flight -= 1

    @property
    def outage(self) -> bool:
        """Whether nothing has succeeded for so long that no single job is at fault."""
        return self.breaths >= OUTAGE

    def _narrow(self) -> None:
        """The server counts connections: for now, never again as many as there were. One episode counts once."""
        now = self._clock.steady()
        if now - self._narrowed >= EPISODE:
            most = max(1.0, float(int(self.in_flight * 0.8)))
            self.window = replace(self.window, most=min(self.window.most, most), size=min(self.window.size, most))
        self._narrowed = now

    def _widen(self) -> None:
        """A minute without a word about connections: try a few more."""
        if self.window.most < self._most and self._clock.steady() - self._narrowed >= MINUTE:
            self._narrowed = self._clock.steady()
            self.window = replace(self.window, most=min(self._most, self.window.most * 1.1 + 1.0))

    def settle(self, claim: Claim, charged: tuple[float, float], usage: Usage | None) -> None:
        """Correct what `enter` charged by what was really used (None: it used nothing)."""
        if usage is None:
            self._settle(-charged[0], -charged[1])
            return
        self._settle(usage.charged_input - charged[0], usage.output - charged[1])
        self._mean_output = _towards(self._mean_output, float(usage.output))
        ratio = usage.charged_input / max(1, claim.est_input)
        self._input_ratio = min(max(_towards(self._input_ratio, ratio), 0.1), 10.0)

    def _settle(self, input_tokens: float, output_tokens: float) -> None:
        self._gate.settle(input_tokens=input_tokens, output_tokens=output_tokens)
        self._share.settle(input_tokens=input_tokens, output_tokens=output_tokens)

    def blocked(self, seconds: float) -> None:
        """Another worker was told to wait: nothing leaves here either."""
        self._blocked_until = max(self._blocked_until, self._clock.steady() + min(seconds, LONGEST))

    async def rest_for_all(self, seconds: float) -> None:
        """Let nothing out for *seconds*, of any worker."""
        await self._share.block(seconds)

    def rest(self, seconds: float | None) -> float:
        """Let nothing out for *seconds*, a day at most (None: a growing breath); returns how long it is from now."""
        resting = self.blocked_for()
        if resting > 0.0 and seconds is None:
            return resting
        if seconds is None:
            seconds = min(FIRST_BREATH * 2.0 ** min(self.breaths, 10), LONGEST_BREATH)
        if resting == 0.0:
            self.breaths += 1  # the answers of one episode make one rest
        self._blocked_until = max(self._blocked_until, self._clock.steady() + min(seconds, LONGEST))
        return self.blocked_for()

    def learn(self, told: Told) -> bool:
        """Take the limits that an answer's headers name; True if they are news."""
        limits = Limits(
            requests=told.requests.limit if told.requests else self.limits.requests,
            input_tokens=told.input_tokens.limit if told.input_tokens else self.limits.input_tokens,
            output_tokens=told.output_tokens.limit if told.output_tokens else self.limits.output_tokens,
        )
        if self._fixed or (told.requests is None and told.input_tokens is None and told.output_tokens is None):
            return False
        if limits == self.limits and self.told:
            return False
        now = self._clock.steady()
        if self.told and now - self._learned < MINUTE and not _tighter(limits, self.limits):
            return False  # answers that differ come from different models of one pool: the tighter word holds
        self.told = True
        self._learned = now
        if limits != self.limits:
            self._gate.set(limits)
        return True


def _tighter(new: Limits, old: Limits) -> bool:
    pairs = ((new.of(dimension), old.of(dimension)) for dimension in Dimension)
    return any(after is not None and (before is None or after < before) for after, before in pairs)


def _towards(mean: float | None, value: float) -> float:
    """A running mean that forgets: the last fifty or so count."""
    return value if mean is None else mean + (value - mean) / 50.0
