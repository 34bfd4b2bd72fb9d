"""The page on the simulator says what the simulator does."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from batchrun.simulator.effects import Kind, Stage
from batchrun.simulator.plan import Metering, Plan
from batchrun.simulator.planfile import load

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("| word |")[2].partition("## Batches")[0]
EXAMPLE = tomllib.loads(PAGE.partition("```toml\n")[2].partition("```")[0])


def test_the_table_has_every_word_once_and_no_other() -> None:
    words = [word for row in TABLE.splitlines()[2:] if row for word in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert sorted(words) == sorted(Kind)


def test_the_table_says_what_is_billed() -> None:
    for row in TABLE.splitlines()[2:]:
        if row:
            words, billed = row.split("|")[1], row.split("|")[3].strip()
            stages = {Kind(word).stage for word in re.findall(r"`([^`]+)`", words)}
            assert (billed == "yes") == (stages <= {Stage.AFTER, Stage.ANSWER}), row


def test_the_example_is_a_plan_that_names_every_setting() -> None:
    assert load(EXAMPLE).metering == Metering(connections=50, ramp=load(EXAMPLE).metering.ramp)
    assert missing(Plan(), EXAMPLE) == []


def missing(value: Any, shown: dict[str, Any], path: str = "") -> list[str]:
    """The fields of *value* that the example leaves out."""
    names = [path + field.name for field in fields(value) if field.name not in shown]
    for field in fields(value):
        inner = getattr(value, field.name)
        if is_dataclass(inner) and isinstance(shown.get(field.name), dict):
            names += missing(inner, shown[field.name], f"{path}{field.name}.")
    return names
