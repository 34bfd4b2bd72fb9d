"""The shape of a request: jobs of one shape stand or fall together, and a batch refuses some of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from batchrun.core.job import Job
from batchrun.core.models import Model
from batchrun.jobfile import shapes
from tests.jobfile.desk import HEAD, REST, RULES, read, yaml

TOOL = '{"name": "look", "input_schema": {"type": "object"}}'


def one(more: str = "", text: str = "Hi.", rest: str = REST) -> Job:
    (job,) = read(f'{{"id": "a", {rest}, "prompt": "{text}"{more}}}').jobs
    return job


def test_jobs_that_differ_in_their_texts_and_numbers_have_one_shape() -> None:
    lines = [f'{{"id": "{n}", {REST[:-1]}{n + 1}, "system": "{n}", "prompt": "{n}"}}' for n in range(5)]
    found = read("\n".join(lines))
    assert len({job.shape for job in found.jobs}) == 1
    assert len(found.jobs[0].shape) == shapes.SIZE


def test_neither_the_order_of_parameters_nor_the_form_of_the_file_matters() -> None:
    other = read(
        '{"custom_id": "a", "params": {"messages": [{"role": "user", "content": "x"}], "tools": [], ' + REST + "}}"
    )
    entry = yaml("  - {id: a, prompt: x, tools: []}\n")
    assert one(', "tools": []').shape == other.jobs[0].shape == entry.jobs[0].shape


def test_nor_whether_the_tools_are_common_to_all_jobs() -> None:
    common = HEAD.replace("5}", f"5, tools: [{TOOL}]}}")
    (job,) = read(f"{common}jobs:\n  - {{id: a, prompt: x}}\n", "jobs.yaml").jobs
    assert job.shape == one(f', "tools": [{TOOL}]').shape


@pytest.mark.parametrize(
    "more",
    [
        f', "tools": [{TOOL}]',
        f', "tools": [{TOOL.replace("look", "find")}]',
        ', "thinking": {"type": "adaptive"}',
        ', "output_config": {"effort": "low"}',
        ', "output_config": {"effort": "high"}',
        ', "stop_sequences": ["x"]',
        ', "system": "x"',
    ],
)
def test_another_parameter_or_other_tools_are_another_shape(more: str) -> None:
    plain, tools = one().shape, one(', "tools": []').shape
    assert one(more).shape not in {plain, tools}
    assert one(more).shape == one(more, "other").shape


def test_another_model_is_another_shape() -> None:
    assert one().shape != one(rest=REST.replace("new", "wide")).shape


def test_fast_mode_goes_realtime_only_and_a_standard_speed_that_is_named_too() -> None:
    assert not one().realtime_only
    assert not one(', "speed": null').realtime_only
    assert one(', "speed": "fast"').realtime_only
    assert one(', "speed": "standard"').realtime_only  # whether a batch takes the word at all is not known


def test_so_does_a_model_that_batches_do_not_serve() -> None:
    models = {**RULES.models.models, "claude-live-1": Model(id="claude-live-1", batch=False)}
    rules = replace(RULES, models=replace(RULES.models, models=models))
    found = read(
        f'{{"id": "a", {REST.replace("new", "live")}, "prompt": "x"}}\n{{"id": "b", {REST}, "prompt": "x"}}',
        rules=rules,
    )
    assert [job.realtime_only for job in found.jobs] == [True, False]


def test_a_line_that_is_like_another_one_has_its_shape() -> None:
    lines = [f'{{"id": "{n}", {REST}, "speed": "fast", "prompt": "{n}"}}' for n in range(1_000)]
    kinds = {(job.shape, job.realtime_only) for job in read("\n".join(lines)).jobs}
    assert kinds == {(one(', "speed": "fast"').shape, True)}


def test_more_shapes_than_are_remembered_are_told_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "REMEMBERED", 2)
    lines = [
        f'{{"id": "{n}", {REST}, "stop_sequences": ["x"], "unheard_{n % 5}": 1, "prompt": "x"}}' for n in range(20)
    ]
    found = [job.shape for job in read("\n".join(lines)).jobs]
    assert len(set(found)) == 5
    assert found[:5] == found[5:10] == found[15:]
