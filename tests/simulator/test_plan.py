"""Plans are read from files, refused with the place and the cure, and written back as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from batchrun.core.limits import BatchLimits, Dimension, Limits
from batchrun.errors import UsageError
from batchrun.simulator.batchplan import BatchPlan, Broke, Colleague, Verb
from batchrun.simulator.effects import Effect, Kind, Step
from batchrun.simulator.plan import Length, Metering, Money, Outage, Pace, Plan, Ramp
from batchrun.simulator.planfile import dump, load, read

TOML = """
seed = 7
streaks = 3
organization = "org-1"

[pace]
first = 2
per_token = 0.01

[limits."*"]
requests = 1000
input_tokens = 2_000_000

[limits.opus]
output_tokens = 400_000

[pools]
claude-opus-4 = "opus"

[metering]
buckets = ["requests"]
windows = []
connections = 10
told = false

[metering.ramp]
free = 5

[money]
spend_cap = 2.5

[faults]
529 = 0.01
500-late = 1

[[outages]]
effect = "503 20"
start = 60
end = 120.5

[workspaces]
-other = "wrkspc_other"

[batches]
minutes = 5
broke = "errored"

[batches.limits]
calls = 1000
queued = 200_000
size = 100_000

[batches.items]
expired = 0.5

[batches.faults.create]
lose = 0.25

[batches.script]
create = "529 2 + slow x2, twice"
results = ["cut x1", "short"]

[batches.colleague]
every = 60
"""

PLAN = Plan(
    seed=7,
    streaks=3,
    organization="org-1",
    pace=Pace(first=2.0, per_token=0.01),
    limits={"*": Limits(requests=1000, input_tokens=2_000_000), "opus": Limits(output_tokens=400_000)},
    pools={"claude-opus-4": "opus"},
    metering=Metering(buckets=(Dimension.REQUESTS,), windows=(), connections=10, told=False, ramp=Ramp(free=5)),
    money=Money(spend_cap=2.5),
    faults={Kind.OVERLOADED: 0.01, Kind.FAILED_LATE: 1.0},
    outages=(Outage(effect=Effect(Kind.NOT_NOW, 20.0), start=60.0, end=120.5),),
    workspaces={"-other": "wrkspc_other"},
    batches=BatchPlan(
        minutes=5.0,
        broke=Broke.ERRORED,
        limits=BatchLimits(calls=1000, queued=200_000, size=100_000),
        items={Kind.EXPIRED: 0.5},
        faults={Verb.CREATE: {Kind.LOSE: 0.25}},
        script={
            Verb.CREATE: (
                Step((Effect(Kind.OVERLOADED, 2.0), Effect(Kind.SLOW)), 2),
                Step((Effect(Kind.TWICE),)),
            ),
            Verb.RESULTS: (Step((Effect(Kind.CUT),), 1), Step((Effect(Kind.SHORT),))),
        },
        colleague=Colleague(every=60.0),
    ),
)


def test_a_plan_is_read_from_toml_and_from_json(tmp_path: Path) -> None:
    toml = tmp_path / "plan.toml"
    toml.write_text(TOML)
    assert read(toml) == PLAN
    written = tmp_path / "plan.json"
    written.write_text(json.dumps(dump(PLAN)))
    assert read(written) == PLAN


def test_an_empty_plan_is_the_healthy_account() -> None:
    assert load({}) == Plan()


def test_a_change_leaves_what_it_does_not_name() -> None:
    changed = load({"length": {"median": 5}, "faults": {}}, PLAN)
    assert changed.length == Length(median=5.0)
    assert changed.faults == {}
    assert (changed.limits, changed.money) == (PLAN.limits, PLAN.money)


def test_what_is_dumped_is_plain_json() -> None:
    assert load(json.loads(json.dumps(dump(PLAN)))) == PLAN


WRONG: list[tuple[Any, str]] = [
    ([], "a plan is a table"),
    ({"fault": {}}, "`fault` is not a setting"),
    ({"pace": {"frist": 1}}, "`pace.frist` is not a setting"),
    ({"pace": 1}, "pace: not a table"),
    ({"pace": {"first": "1"}}, "pace.first: '1' is not a number"),
    ({"pace": {"first": True}}, "pace.first: True is not a number"),
    ({"pace": {"first": -1}}, "pace.first: -1.0 is negative"),
    ({"seed": 1.5}, "seed: 1.5 is not a whole number"),
    ({"limits": {"*": {"requests": "many"}}}, r"limits\.\*\.requests"),
    ({"faults": {"599": 0.1}}, "faults.599: '599' is unknown"),
    ({"faults": {"529": 1.1}}, "faults.529: 1.1 is no probability"),
    ({"metering": {"buckets": "requests"}}, "metering.buckets: not a list"),
    ({"metering": {"buckets": ["tokens"]}}, "metering.buckets.0: 'tokens' is unknown"),
    ({"outages": [{"effect": "529", "start": 1}]}, "outages.0.end is missing"),
    ({"outages": [{"effect": "nope", "start": 1, "end": 2}]}, "outages.0.effect: cannot simulate `nope`"),
    ({"outages": [{"effect": "529 x2", "start": 1, "end": 2}]}, "more than one effect"),
    ({"outages": [{"effect": 529, "start": 1, "end": 2}]}, "outages.0.effect: not a text"),
    ({"batches": {"minute": 1}}, "`batches.minute` is not a setting"),
    ({"batches": {"broke": "no"}}, "batches.broke: 'no' is unknown"),
    ({"batches": {"stuck": 2}}, "batches.stuck: 2.0 is no probability"),
    ({"batches": {"limits": {"calls": 1}}}, "batches.limits.queued is missing"),
    ({"batches": {"items": {"529": 2}}}, "batches.items.529: 2.0 is no probability"),
    ({"batches": {"items": {"lose": 0.1}}}, "batches.items.lose: `lose` cannot happen here"),
    ({"batches": {"faults": {"post": {}}}}, "batches.faults.post: 'post' is unknown"),
    ({"batches": {"faults": {"get": {"lose": 2}}}}, "batches.faults.get.lose: 2.0 is no probability"),
    ({"batches": {"faults": {"get": {"twice": 1}}}}, "batches.faults.get.twice: `twice` cannot happen here"),
    ({"batches": {"script": {"get": "nope"}}}, "batches.script.get: cannot simulate `nope`"),
    ({"batches": {"script": {"get": "refusal"}}}, "batches.script.get: `refusal` cannot happen here"),
    ({"batches": {"script": {"get": 5}}}, "batches.script.get: not a text"),
    ({"batches": {"colleague": {"deletes": 1.5}}}, "batches.colleague.deletes: 1.5 is no probability"),
]


@pytest.mark.parametrize(("value", "message"), WRONG)
def test_a_mistake_is_named_with_its_place(value: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load(value)


def test_a_misspelt_setting_gets_a_hint() -> None:
    with pytest.raises(UsageError) as caught:
        load({"metering": {"burts": 2}})
    assert caught.value.hint == "did you mean `burst`?"


@pytest.mark.parametrize("text", ["seed = ", "seed = 1\nseed = 2"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"plan\.toml"):
        read(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the plan"):
        read(tmp_path / "none.toml")


def test_a_mistake_in_a_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text("sed = 1")
    with pytest.raises(UsageError, match=r"plan\.toml: `sed` is not a setting") as caught:
        read(path)
    assert caught.value.hint == "did you mean `seed`?"
