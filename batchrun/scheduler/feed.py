"""What to claim next: which lane has room, which run's turn it is, and who must not be asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from batchrun.core.choice import FEW, Choice, Mode, choose
from batchrun.core.claim import OpenRun, Taken
from batchrun.core.events import HoursShut, WayChosen
from batchrun.core.job import Millis, RunId
from batchrun.core.pause import Pause
from batchrun.core.ports import Clock
from batchrun.scheduler.circuit import Circuit
from batchrun.scheduler.lane import Lane
from batchrun.scheduler.lanes import Lanes
from batchrun.scheduler.standing import Standing
from batchrun.scheduler.turns import Turns

CLOSING = 2_000
"""Milliseconds before the end of its hours from which on nothing of a run is claimed: it would leave too late."""


GATHER = 600.0
"""Seconds that a few jobs which came back from batches wait for others of their like, so that they go in one."""

TAIL = 5.0
"""Seconds after a batch in which what is left over, however little, belongs to the same packing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A claim worth making."""

    run: OpenRun
    model: str
    lane: Lane
    n: int
    probe: bool  #: at most this one may be out, to ask whether a pause is over
    realtime_only: bool = False  #: the others of its run go in batches


class Feed:
    """The runs with work as last seen, less what was claimed since."""

    def __init__(
        self, *, account: int, lanes: Lanes, standing: Standing, circuit: Circuit, clock: Clock, gathers: bool = True
    ) -> None:
        self.account = account
        self.sure = True  #: False until the API itself has said who the account is: one job at a time till then
        self.closed = False  #: nothing is sent, whatever there is
        self.foreign: dict[RunId, OpenRun] = {}  #: runs that belong to another account
        self.penniless: dict[RunId, OpenRun] = {}  #: runs that a cost cap stopped, until something comes home
        self._lanes = lanes
        self._standing = standing
        self._circuit = circuit
        self._clock = clock
        self._turns = Turns()
        self.choices: dict[RunId, Choice] = {}  #: which way each run goes, and why
        self._told: dict[RunId, bool] = {}  # which way was told of each
        self._shut: dict[RunId, Millis] = {}  # until when, as was told of each
        self._packable: dict[tuple[RunId, str], int] = {}
        self._gathers = gathers  # whether it stays long enough for others to come
        self._few: dict[tuple[RunId, str], float] = {}  # since when so few are there that they wait for others
        self._sent: dict[tuple[RunId, str], float] = {}  # when a batch of them was made last
        self._runs: dict[RunId, OpenRun] = {}
        self._queued: dict[tuple[RunId, str], int] = {}
        self._doubtful = False

    def show(self, runs: list[OpenRun]) -> None:
        """Take over what the queue says there is."""
        self._runs = {run.id: run for run in runs}
        self.choices = {run.id: self._choose(run) for run in runs}
        self._queued, self._packable = {}, {}
        for run in runs:
            batch = self.choices[run.id].batch
            for model, n in run.queued.items():
                realtime = run.realtime.get(model, 0) if batch or run.look else n
                if realtime > 0:
                    self._queued[run.id, model] = realtime
                if batch and n > realtime:
                    self._packable[run.id, model] = n - realtime
        self.foreign = {run.id: run for run in runs if run.account not in (None, self.account)}
        # A cap that was raised meanwhile is worth another look.
        self.penniless = {
            run.id: run
            for run in runs
            if run.id in self.penniless
            and (run.left is None) == (self.penniless[run.id].left is None)
            and (run.left or 0) <= (self.penniless[run.id].left or 0)
        }
        self._doubtful = False

    def _choose(self, run: OpenRun) -> Choice:
        return choose(
            Mode(run.mode),
            jobs=run.jobs,
            left=sum(run.unfinished.values()),
            now=self._clock.wall(),
            deadline=run.deadline,
            seconds=self._lanes.seconds(run.unfinished),
            hours=run.hours,
        )

    def ways(self) -> Iterator[WayChosen]:
        """Which way runs go of which that is news."""
        for run in self._runs.values():
            choice = self.choices[run.id]
            if run.id not in self.foreign and self._told.get(run.id) is not choice.batch:
                self._told[run.id] = choice.batch
                yield WayChosen(
                    at=self._clock.wall(),
                    run=run.id,
                    name=run.name,
                    batch=choice.batch,
                    why=choice.why,
                    rescue=choice.rescue,
                )

    @property
    def doubtful(self) -> bool:
        """Whether the queue gave less than it had said, so that it should be asked again."""
        return self._doubtful or not (self._queued or self._packable)

    def _allowed(self, run: OpenRun, model: str) -> int | None:
        """How many jobs may be out: None for any number."""
        if self.closed or run.id in self.foreign or run.id in self.penniless or self._is_shut(run):
            return 0
        return self._standing.may_send(run.id, model, self._clock.wall())

    def _is_shut(self, run: OpenRun) -> bool:
        now = self._clock.wall()
        return run.hours is not None and not (run.hours.open(now) and run.hours.open(Millis(now + CLOSING)))

    def shut(self) -> list[tuple[OpenRun, Millis]]:
        """Runs with something to send that their hours keep back, and until when; the first to open comes first."""
        now = self._clock.wall()
        found = [
            (run, run.hours.opens(Millis(now + CLOSING)))
            for run in self._runs.values()
            if run.hours is not None and self._is_shut(run)
            if run.id not in self.foreign and (run.queued or run.waiting)
        ]
        return sorted(found, key=lambda each: each[1])

    def shut_news(self) -> Iterator[HoursShut]:
        """Runs that wait for their hours of which that is news."""
        for run, opens in self.shut():
            if self._shut.get(run.id) != opens and run.hours is not None:
                self._shut[run.id] = opens
                yield HoursShut(at=self._clock.wall(), run=run.id, name=run.name, until=opens, hours=run.hours.text)

    def next_due(self, waiting: Sequence[tuple[RunId, str, Millis]]) -> Millis | None:
        """When the first of these waiting jobs is due that may be sent then."""
        return next(
            (due for run, model, due in waiting if run in self._runs and self._allowed(self._runs[run], model) != 0),
            None,
        )

    def open(self) -> Iterator[tuple[OpenRun, str]]:
        """Each (run, model) that has queued jobs which may be sent, if not at once then when its lane has room."""
        for run, model in list(self._queued):
            if self._allowed(self._runs[run], model) != 0:
                yield self._runs[run], model
        for run, model in list(self._packable):
            # One job asks whether a pause is over, not a batch.
            if (run, model) not in self._queued and self._allowed(self._runs[run], model):
                yield self._runs[run], model

    def packable(self) -> Iterator[tuple[OpenRun, str, int]]:
        """Each (run, model) whose queued jobs may go in a batch now, and how many they are."""
        if not self._circuit.open and self.sure:
            yield from (each for each in self.may_pack() if self._gathered(*each))

    def _gathered(self, run: OpenRun, model: str, n: int) -> bool:
        """Whether *n* are worth a batch now: a trickle from batches that end one by one goes in one, not in dozens."""
        key, now = (run.id, model), self._clock.steady()
        rescue, then = self.choices[run.id].rescue, Millis(self._clock.wall() + round(GATHER * 1000))
        hurried = (rescue is not None and then >= rescue) or (run.hours is not None and not run.hours.open(then))
        alone = run.unfinished.get(model, n) - run.held.get(model, 0) <= n
        tail = now - self._sent.get(key, float("-inf")) < TAIL
        if not self._gathers or n >= FEW or alone or hurried or tail:
            self._few.pop(key, None)
            return True
        return now - self._few.setdefault(key, now) >= GATHER

    def gathering(self) -> float | None:
        """Seconds until the first of those that wait for others go without them; None if none wait."""
        now = self._clock.steady()
        begun = [self._few[run.id, model] for run, model, _ in self.may_pack() if (run.id, model) in self._few]
        return max(0.0, min(begun) + GATHER - now) if begun else None

    def may_pack(self) -> Iterator[tuple[OpenRun, str, int]]:
        """The same once the way to the API is open and the account is known."""
        for (run, model), n in list(self._packable.items()):
            if model not in self._runs[run].pilots and self._allowed(self._runs[run], model) is None:
                yield self._runs[run], model, n

    @property
    def wants_batches(self) -> bool:
        """Whether any job is queued that may go in a batch, now or later."""
        return bool(self._packable)

    @property
    def wants(self) -> bool:
        """Whether any job is queued, whether it may be sent or not."""
        return bool(self._queued or self._packable)

    def packed(self, run: RunId, model: str) -> None:
        """A batch of them is being made: the queue is asked what is left."""
        self._packable.pop((run, model), None)
        self._few.pop((run, model), None)
        self._sent[run, model] = self._clock.steady()
        self._doubtful = True

    def rescues(self) -> Iterator[RunId]:
        """Runs with batches out whose deadline is so near that they are wanted back."""
        now = self._clock.wall()
        for run in self._runs.values():
            rescue = self.choices[run.id].rescue
            if run.in_batch and rescue is not None and now >= rescue:
                yield run.id

    def pause(self) -> Pause | None:
        """One of the pauses that keep jobs back."""
        pauses = (self._standing.over(run, model) for run, model in {**self._queued, **self._packable})
        return next((pause for pause in pauses if pause is not None), None)

    def rest(self) -> float | None:
        """Seconds until a lane that has jobs, or the way to the API, opens again; None if nothing rests."""
        rests = [self._lanes.of(model).blocked_for() for _, model in self.open()]
        rests = [max(rest, self._circuit.rest(self._clock.steady())) for rest in rests]
        return min((rest for rest in rests if rest > 0.0), default=None)

    def next(self, out: int) -> Offer | None:
        """The next claim worth making while *out* jobs are claimed or sent; None if there is none for now."""
        most = self._most_at_once()
        if most is not None and out >= most:
            return None
        by_lane: dict[str, list[tuple[OpenRun, str]]] = {}
        for run, model in self.open():
            lane = self._lanes.of(model)
            if lane.room() > 0:
                by_lane.setdefault(lane.name, []).append((run, model))
        for choices in by_lane.values():
            run = self._turns.pick({run.id: run for run, _ in choices}.values())
            model = next(model for candidate, model in choices if candidate.id == run.id)
            allowed = self._allowed(run, model)
            lane = self._lanes.of(model)
            n = min(lane.room(), self._queued.get((run.id, model), 1))
            if most is not None:
                n = min(n, most - out)
            return Offer(
                run=run,
                model=model,
                lane=lane,
                n=n if allowed is None else min(n, allowed),
                probe=allowed is not None,
                realtime_only=(self.choices[run.id].batch or run.look) and allowed is None,
            )
        return None

    def _most_at_once(self) -> int | None:
        if self._circuit.open:
            return 1 if self._circuit.rest(self._clock.steady()) == 0.0 else 0
        return None if self.sure else 1

    def taken(self, offer: Offer, taken: Taken) -> None:
        """What the queue gave for *offer*."""
        key = (offer.run.id, offer.model)
        got = len(taken.claims)
        self._turns.serve(offer.run.id, got)
        if taken.penniless:
            self.penniless[offer.run.id] = offer.run
        left = self._queued.get(key, 0) - got
        if got < offer.n and not taken.penniless:
            self._doubtful = True
            left = 0
        if left > 0:
            self._queued[key] = left
        else:
            self._queued.pop(key, None)

    def money_came_back(self) -> None:
        """Something came home: what its worst case had reserved is free again."""
        self.penniless.clear()
