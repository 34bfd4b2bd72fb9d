"""Scenarios with batches: what is killed while a run goes in batches, and how the API behaves meanwhile.

Each time the program lists batches five minutes pass at the API (`simulated.LEAP`). So a batch of four minutes has
ended when it is listed, an answered create that left nothing is settled at the second listing after it, and one that
was never answered at the fourth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from batchrun.core.states import State
from tests.crash.experiment import TRIES, Experiment
from tests.crash.scenarios import Scenario, asks_on, to_its_end

SUBMIT = ("submit", "jobs.jsonl", "--yes", "--mode", "batch")

PLAIN = {f"job-{n}": "How are you?" for n in range(7)}
"""Two batches: one of four and one of three."""

ITEMS = {
    "plain": "How are you?",
    "overloaded": "[[simulate: 529 x1]]",
    "failed": "[[simulate: 500 x1]]",
    "expired": "[[simulate: expired x1]]",
    "refused": "[[simulate: 400]]",
}
"""Each but the first and the last comes out without an answer, and goes in another batch."""

QUICK: Mapping[str, Any] = {"minutes": 4.0, "spread": 0.0}
SLOW: Mapping[str, Any] = {"minutes": 24.0, "spread": 0.0}
"""They are cancelled while some of their items are done and others are not."""

LAGGING: Mapping[str, Any] = {**QUICK, "listed_after": 12 * 60.0, "script": {"create": "lose x1"}}
"""The reply to the first create is lost, and what it made is listed only after the second settle time of a 5xx."""

FAILING: Mapping[str, Any] = {**QUICK, "script": {"create": "500 x1", "results": "cut x1, short x1"}}

LATER: Mapping[str, Any] = {**QUICK, "script": {"create": "slow 0 x1, lose x1", "results": "slow 0 x1, cut x1"}}
"""The first batch comes and goes; the second has no reply, and its results break off."""


def _stored(prompts: Mapping[str, str], *flags: str) -> Callable[[Experiment], None]:
    def prepare(experiment: Experiment) -> None:
        experiment.write("jobs.jsonl", prompts)
        if "refused" in prompts:
            experiment.expected["refused"] = State.FAILED
        to_its_end(experiment, *SUBMIT, *flags, "--no-run")

    return prepare


def _sent(experiment: Experiment) -> None:
    """All jobs are in batches that are out."""
    _stored(PLAIN, "--no-pilot")(experiment)
    to_its_end(experiment, "run", "--once")


def _doomed(experiment: Experiment) -> None:
    _sent(experiment)
    experiment.called_off = True


def _cancelled(experiment: Experiment) -> None:
    _doomed(experiment)
    to_its_end(experiment, "cancel", "jobs", "--yes")


def _late(experiment: Experiment) -> None:
    """Batches are out, and the deadline is so near that they are wanted back."""
    _stored(PLAIN, "--no-pilot", "--deadline", "60m")(experiment)
    to_its_end(experiment, "run", "--once")
    experiment.ahead = 40 * 60.0


def _scenario(
    name: str,
    prepare: Callable[[Experiment], None],
    *args: str,
    api: Mapping[str, Any] = QUICK,
    least: int,
    tries: int = TRIES,
) -> Scenario:
    return Scenario(
        name=name, args=args or ("run",), prepare=prepare, least=least, batches=api, tries=tries, reads=False
    )


UNFINISHED = {
    "short": ("[[simulate: truncate x1]]", 2),
    "denied": ("[[simulate: truncate x1, 400]]", 1),
    "paused": ("[[simulate: pause x2]]", 3),
    "halted": ("[[simulate: pause x1, expired]]", 1),
    "declined": ("[[simulate: refusal]]", 1),
}
"""No death takes an answer of a batch, so each job comes to the same end by the same answers."""


def _asks_on(experiment: Experiment) -> None:
    asks_on(experiment, UNFINISHED, "--mode", "batch", "--no-pilot")


PLAIN_RUN = _scenario("run of batches", _stored(PLAIN, "--no-pilot"), least=60)
PILOT = _scenario("run of a pilot and a batch", _stored({"a": "One.", "b": "Two.", "c": "Three."}), least=60)
LOST = _scenario("run whose create has no answer", _stored(PLAIN, "--no-pilot"), api=LAGGING, least=60)
FAILED = _scenario("run whose create fails", _stored(PLAIN, "--no-pilot"), api=FAILING, least=60)
SPOILED = _scenario("run with spoiled items", _stored(ITEMS, "--no-pilot"), least=60)
CANCEL = _scenario("cancel of batches", _doomed, "cancel", "jobs", "--yes", api=SLOW, least=6)
CANCELLED = _scenario("run of what was cancelled", _cancelled, api=SLOW, least=30)
RESCUE = _scenario("run that rescues", _late, api=SLOW, least=50)
ON = _scenario("run of batches that asks on", _asks_on, api=LATER, least=60)

BATCHED: Sequence[Scenario] = (PLAIN_RUN, PILOT, LOST, FAILED, SPOILED, CANCEL, CANCELLED, RESCUE)
