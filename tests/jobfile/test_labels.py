"""What stands beside a request: tags, what a job may cost, and the terms of a whole file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from batchrun.core.job import Nanos
from tests.jobfile.desk import HEAD, PARAMS, REST, read, read_files, yaml

SEARCHES = '"tools": [{"type": "web_search_20250305", "name": "web_search"}]'
DOLLAR = 1_000_000_000


def test_tags_are_kept_beside_the_request_each_once() -> None:
    job = read(f'{{"id": "a", {REST}, "prompt": "x", "tags": ["b", "a", "b"]}}').only_job()
    assert job.tags == '["b","a"]'
    assert "tags" not in job.request.own


def test_one_tag_may_stand_without_its_list_and_beside_params() -> None:
    job = read(f'{{"custom_id": "a", "params": {PARAMS}, "tags": "urgent"}}').only_job()
    assert job.tags == '["urgent"]'


def test_lines_with_the_same_tags_are_alike_and_those_with_others_are_read_as_well() -> None:
    text = "".join(
        json.dumps({"id": f"j{n}", "model": "claude-new-1", "max_tokens": 5, "prompt": f"p{n}", "tags": [tag]}) + "\n"
        for n, tag in enumerate(["a", "a", "b", "a"])
    )
    found = read(text)
    assert not found.problems
    assert [job.tags for job in found.jobs] == ['["a"]', '["a"]', '["b"]', '["a"]']


def test_jobs_take_tags_and_max_cost_from_the_defaults_unless_they_say_others() -> None:
    head = "version: 1\ndefaults: {model: claude-new-1, max_tokens: 5, tags: [all], max_cost: 900000}\n"
    found = read(head + "jobs: [{prompt: x}, {prompt: y, tags: [one]}]\n", "jobs.yaml")
    assert not found.problems
    assert [job.tags for job in found.jobs] == ['["all"]', '["one"]']


def test_a_stated_cost_counts_where_nothing_else_bounds_it() -> None:
    without = read(f'{{"id": "a", {REST}, {SEARCHES}, "prompt": "x"}}').only_job()
    assert without.worst is None
    job = read(f'{{"id": "a", {REST}, {SEARCHES}, "prompt": "x", "max_cost": 0.5}}').only_job()
    assert (job.worst, job.unbounded) == (Nanos(DOLLAR // 2), "")


def test_a_stated_cost_over_what_can_come_up_reserves_no_more_than_that() -> None:
    bare = read(f'{{"id": "a", {REST}, "prompt": "x"}}').only_job()
    said = read(f'{{"id": "a", {REST}, "prompt": "x", "max_cost": "$1,000,000"}}').only_job()
    assert said.worst == bare.worst
    assert said.digest == bare.digest


def test_lines_that_are_alike_keep_what_they_say_they_cost() -> None:
    line = f'{{"id": "ID", {REST}, {SEARCHES}, "max_cost": 2, "prompt": "x"}}\n'
    found = read("".join(line.replace("ID", str(n)) for n in range(4)))
    assert [job.worst for job in found.jobs] == [2 * DOLLAR] * 4


def test_betas_of_a_file_raise_what_its_checks_allow_and_of_no_other_file(tmp_path: Path) -> None:
    long = "{prompt: x, model: claude-new-1, max_tokens: 9000}"
    (tmp_path / "a.yaml").write_text(f"version: 1\nbetas: [output-300k-2026-03-24]\njobs: [{long}]\n")
    (tmp_path / "b.jsonl").write_text('{"id": "b", "model": "claude-new-1", "max_tokens": 9000, "prompt": "x"}\n')
    assert not read_files(tmp_path / "a.yaml").problems
    assert read_files(tmp_path / "a.yaml", tmp_path / "b.jsonl").codes == ["BR108"]


def test_two_files_with_other_headers_are_no_run(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(HEAD + "headers: {x-team: blue}\njobs: [{prompt: x}]\n")
    (tmp_path / "b.yaml").write_text(HEAD + "jobs: [{prompt: y}]\n")
    assert read_files(tmp_path / "a.yaml", tmp_path / "b.yaml").codes == ["BR138"]


@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "Cookie", "x-my-secret", "X-Auth-Token"])
def test_no_header_may_hold_a_secret(name: str) -> None:
    problem = read(HEAD + f"headers: {{{name}: x}}\njobs: [{{prompt: x}}]\n", "jobs.yaml").only_error()
    assert problem.code == "BR139"


def test_a_wrong_tag_in_the_defaults_stops_all_jobs_and_is_told_once() -> None:
    found = yaml("  - prompt: x\n    tags: [7]\n  - prompt: y\n")
    assert [problem.where.line for problem in found.problems if problem.where] == [5]
    assert len(found.jobs) == 1
