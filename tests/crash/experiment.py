"""One experiment: commands on a queue of its own, deaths on the way, and the accounts that must come out right."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from batchrun.core.batch import STANDING, BatchState
from batchrun.core.events import Turn
from batchrun.core.states import State
from batchrun.simulator.answers import digest
from tests.crash.books import Books
from tests.crash.figures import Figures
from tests.crash.lives import End, Nursery, Trace, trace_of
from tests.crash.nursery import Life
from tests.crash.simulated import Accepted, Simulated

MODEL = "claude-haiku-5-5"
CONCURRENCY = 3
TRIES = 5

ENDED = {"done", "cancelled"}

OVER = {BatchState.DONE, BatchState.REJECTED, BatchState.LOST}
AFTER: Mapping[str, frozenset[BatchState]] = {
    Turn.SUBMITTED: frozenset({*STANDING, BatchState.DONE}),
    Turn.ADOPTED: frozenset({*STANDING, BatchState.DONE}),
    Turn.COLLECTED: frozenset({BatchState.DONE}),
    Turn.REJECTED: frozenset({BatchState.REJECTED, BatchState.LOST}),
    Turn.UNCLEAR: frozenset(BatchState) - {BatchState.INTENT, BatchState.SENDING},
    Turn.LOST: frozenset({BatchState.LOST}),
}
"""States that a batch may be in once the program has said so of it."""

SETTINGS = """
tier = "custom"
mode = "realtime"
concurrency = {concurrency}
tries = {tries}
color = "never"
progress = "json"

[limits."*"]
requests = 6_000_000
input_tokens = 6_000_000_000
output_tokens = 6_000_000_000
"""


@dataclass(slots=True, kw_only=True)
class Experiment:
    """Make a folder for each. What goes wrong is collected in `problems`, for negative controls want to see it."""

    folder: Path
    nursery: Nursery
    simulated: Simulated
    plant: str | None = None
    concurrency: int = CONCURRENCY
    tries: int = TRIES
    jobs: dict[str, str] = field(default_factory=dict)  #: digest of what each job asks now, by key
    asked: dict[str, str] = field(default_factory=dict)  #: key of each digest that was ever written into a file
    expected: dict[str, State] = field(default_factory=dict)  #: the end of jobs that do not succeed, by key
    rounds: dict[str, int] = field(default_factory=dict)  #: of jobs that are asked more than once: how often, by key
    called_off: bool = False  #: whether all jobs should be cancelled, but for those that were bought all the same
    visible: dict[str, str] = field(default_factory=dict)  #: what the queue showed last, as `jobs`
    sent: Counter[str] = field(default_factory=Counter)  #: requests that have left in lives that are over, by key
    in_flight: Counter[str] = field(default_factory=Counter)  #: at deaths, by digest: what may be answered once more
    problems: list[str] = field(default_factory=list)
    figures: Figures = field(default_factory=Figures)
    elsewhere: bool = False  #: whether lives from now on run on another boot of the machine, as far as they can tell
    ahead: float = 0.0  #: seconds that the clock on the wall is on, for lives from now on
    batches: Mapping[str, Any] | None = None  #: how the API behaves with batches; None for an experiment without them
    since: int = 0
    _names: Iterable[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        settings = SETTINGS.format(concurrency=self.concurrency, tries=self.tries)
        (self.folder / "batchrun.toml").write_text(settings, encoding="utf-8")
        self.since = self.simulated.arrived()
        if self.batches is not None:
            # In a workspace of its own: what others have made does not get in the way.
            self.simulated.change({"workspaces": {self._key: f"wrkspc_{self.since}"}, "batches": self.batches})

    @property
    def _key(self) -> str:
        return "sk-ant-simulated" if self.batches is None else f"sk-ant-simulated-{self.since}"

    @property
    def database(self) -> Path:
        return self.folder / "batchrun.db"

    def write(self, file: str, prompts: Mapping[str, str]) -> None:
        """A job file with one line per key; every prompt is of this experiment alone."""
        lines = []
        for key, prompt in prompts.items():
            # The folder makes the prompt unlike those of all other experiments, in all tests.
            messages = [{"role": "user", "content": f"{self.folder} {key}: {prompt}"}]
            params = {"model": MODEL, "max_tokens": 64, "messages": messages}
            self.jobs[key] = digest(params)
            self.asked[self.jobs[key]] = key
            lines.append(json.dumps({"custom_id": key, "params": params}))
        (self.folder / file).write_text("\n".join(lines) + "\n", encoding="utf-8")

    def life(self, *args: str, die: int | None = None, stop: int | None = None) -> Life:
        return Life(
            args=args,
            folder=str(self.folder),
            name=f"life-{next(iter(self._names))}",
            die=die,
            stop=stop,
            plant=self.plant,
            elsewhere=self.elsewhere,
            ahead=self.ahead,
            hours=stop is not None and self.batches is not None,
            env={
                "HOME": str(self.folder),
                "PATH": "/usr/bin:/bin",
                "ANTHROPIC_API_KEY": self._key,
                "ANTHROPIC_BASE_URL": self.simulated.url,
            },
        )

    def live(self, *args: str, die: int | None = None) -> tuple[Life, End]:
        """One life to its end, and what can be said after it."""
        life = self.life(*args, die=die)
        end = self.nursery.wait(self.nursery.begin(life))
        assert end is not None
        self.look(life, killed=end.killed)
        return life, end

    def look(self, life: Life, *, killed: bool, alone: bool = True) -> None:
        """Hold what a process left behind that ended or was killed against what it did and said.

        *alone* is whether no other process has the database open: then a commit that was cut short at its very end
        counts, as it stands in the log. Others who live have an index of the log, and may not find it there.
        """
        trace = trace_of(life)
        with self._books() as books:
            self._look(life, trace, books)
            if killed:
                self.figures.kills += 1
                said = None if alone else set(trace.said)
                self._lose(life, {self.asked[prompt] for prompt in trace.sent}, books, said)
        self.sent.update(self.asked[prompt] for prompt in trace.sent)
        turns = Counter(turn for _batch, turn in trace.turned)
        self.figures.adopted += turns[Turn.ADOPTED]
        self.figures.settled += turns[Turn.LOST]

    def stopped(self, life: Life) -> None:
        """The same for one that stands still. All that it has claimed may leave, and be bought, once it goes on."""
        with self._books() as books:
            self.figures.stops += 1
            self._look(life, trace_of(life), books)
            self._lose(life, set(self.jobs), books)

    def _books(self) -> AbstractContextManager[Books]:
        return closing(Books(self.database, self.folder / "copy.db"))

    def _look(self, life: Life, trace: Trace, books: Books) -> None:
        self.problems += [f"{life.name}: {problem}" for problem in books.problems()]
        ended = {(attempt.job, attempt.n) for attempt in books.attempts if attempt.outcome is not None}
        self.problems += [
            f"{life.name}: attempt {attempt} was spoken of and is not durable"
            for attempt in trace.said
            if attempt not in ended
        ]
        self.problems += [
            f"{life.name}: it said {turn} of {books.batches.get(batch)}"
            for batch, turn in trace.turned
            if batch not in books.batches or books.batches[batch].state not in AFTER.get(turn, BatchState)
        ]
        if books.visible not in (self.visible, self.jobs):
            self.problems.append(f"{life.name}: half of a submit is open, {len(books.visible)} jobs")
        self.visible = dict(books.visible)
        booked = self._booked(books)
        self.problems += [
            f"{life.name}: {n} requests of {key} have left, {booked[key]} are on the books"
            for key, n in (self.sent + Counter(self.asked[prompt] for prompt in trace.sent)).items()
            if n > booked[key]
        ]

    def _lose(self, life: Life, keys: set[str], books: Books, said: set[tuple[int, int]] | None = None) -> None:
        """Note what of *keys* is out, on the books, and may be bought once more; and what ended and was not *said*.

        Never what is in a batch: whatever happens, that is bought once.
        """
        out = {
            books.keys[attempt.job]
            for attempt in books.attempts
            if attempt.via == "realtime"
            and (attempt.outcome is None or (said is not None and (attempt.job, attempt.n) not in said))
        } & keys
        self.in_flight.update(self.jobs[key] for key in out)
        self.figures.in_flight += len(out)
        if len(out) > self.concurrency:
            self.problems.append(f"{life.name}: {len(out)} answers are not kept, {self.concurrency} may be out")

    def _booked(self, books: Books) -> Counter[str]:
        """How many attempts each job has that were not given back unsent, by key."""
        return Counter(books.keys[attempt.job] for attempt in books.attempts if attempt.outcome != "released")

    def settle(self) -> None:
        """The accounts at the end, when every command has come to its own."""
        with self._books() as books:
            self._settle(books)

    def _settle(self, books: Books) -> None:
        self.problems += books.problems()
        accepted = self.simulated.accepted(self.since, self.asked)
        if self.called_off:
            bought = {call.prompt for call in accepted if call.answered}
            self.expected |= {key: State.CANCELLED for key, prompt in self.jobs.items() if prompt not in bought}
        ends = {books.keys[job]: state for job, state in books.states.items()}
        wanted = {key: self.expected.get(key, State.SUCCEEDED) for key in self.jobs}
        lost = [key for key in sorted({*ends, *wanted}) if ends.get(key) is not wanted.get(key)]
        self.problems += [f"job {key} should be {wanted.get(key)} and is {ends.get(key)}" for key in lost]
        if len(books.states) != len(ends):
            self.problems.append(f"{len(books.states)} jobs have {len(ends)} keys")
        self.problems += [f"run {name} is {state}" for name, state in books.runs.items() if state not in ENDED]
        self.problems += [f"{attempt} has no end" for attempt in books.attempts if attempt.outcome is None]
        self.problems += [f"{batch} has no end" for batch in books.batches.values() if batch.state not in OVER]
        for answer in books.answers:
            key = books.keys[answer.job]
            own = [self.jobs[key]] if answer.winning else [one for one, its in self.asked.items() if its == key]
            refused = '"stop_reason":"refusal"' in answer.body  # and says nothing
            if not refused and not any(f"[answer {prompt}]" in answer.body for prompt in own):
                self.problems.append(f"job {key} has another's answer: {answer.body[:200]}")
        self.figures.lost += len(lost)
        self._settle_calls(books, accepted)

    def _settle_calls(self, books: Books, accepted: Sequence[Accepted]) -> None:
        """What the API did for us: all of it on the books, and nothing twice but what was in flight at a death."""
        booked = self._booked(books)
        for key, n in Counter(self.asked[call.prompt] for call in accepted).items():
            if n > booked[key]:
                self.problems.append(f"{n} requests of {key} were accepted, {booked[key]} are on the books")
        answered = Counter(call.prompt for call in accepted if call.answered)
        for prompt, n in answered.items():
            lost = self.in_flight[prompt]
            if n > self._rounds(prompt) + lost:
                self.problems.append(f"{self.asked[prompt]} was answered {n} times and in flight at {lost} deaths")
        costs = {call.item or call.request_id: call.cost for call in accepted}
        for attempt in books.attempts:
            cost = costs.get((attempt.job, attempt.n) if attempt.via == "batch" else attempt.request_id)
            if attempt.outcome == "ok" and attempt.cost != cost:
                self.problems.append(f"{attempt} cost {cost}")
        self.figures.experiments += 1
        self.figures.jobs += len(books.states)
        self.figures.calls += len(accepted)
        self.figures.repeated += sum(max(0, n - self._rounds(prompt)) for prompt, n in answered.items())

    def _rounds(self, prompt: str) -> int:
        """How often what asks this is answered, when nothing dies."""
        return self.rounds.get(self.asked[prompt], 1)
