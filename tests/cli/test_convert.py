"""`batchrun convert` writes a job file whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Batchrun

GOOD = '{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-4o", "max_tokens": 99, "seed": 1, "messages": [{"role": "user", "content": "Hi."}]}}\n'
MODEL = ("--model", "claude-haiku-5-5")


def test_what_is_converted_can_be_submitted(batchrun: Batchrun, tmp_path: Path) -> None:
    (tmp_path / "old.jsonl").write_text(GOOD * 1 + GOOD.replace('"a"', '"b"'))
    shown = batchrun("convert", "openai-batch", "old.jsonl", "-o", "jobs.jsonl", *MODEL)
    assert shown.code == 0
    assert "wrote 2 jobs to jobs.jsonl; 2 warnings" in shown.err
    assert shown.err.count("`seed` is left out") == 1  # and the second is counted
    assert (tmp_path / "jobs.jsonl").stat().st_mode & 0o777 == 0o600
    assert batchrun("check", "jobs.jsonl").code == 0


def test_one_line_that_cannot_be_had_leaves_nothing_behind(batchrun: Batchrun, tmp_path: Path) -> None:
    (tmp_path / "old.jsonl").write_text(GOOD + "nonsense\n")
    shown = batchrun("convert", "openai-batch", "old.jsonl", "-o", "jobs.jsonl", *MODEL, "--json")
    assert shown.code == 2
    assert (json.loads(shown.out)["jobs"], json.loads(shown.out)["errors"]) == (0, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["old.jsonl"]


def test_no_file_is_replaced_unasked(batchrun: Batchrun, tmp_path: Path) -> None:
    (tmp_path / "old.jsonl").write_text(GOOD)
    (tmp_path / "jobs.jsonl").write_text("mine")
    convert = ("convert", "openai-batch", "old.jsonl", *MODEL, "-o")
    assert batchrun(*convert, "jobs.jsonl").code == 2
    assert batchrun(*convert, "old.jsonl", "--force").code == 2
    assert (tmp_path / "jobs.jsonl").read_text() == "mine"
    assert batchrun(*convert, "jobs.jsonl", "--force").code == 0


def test_a_job_file_may_go_to_a_pipe(batchrun: Batchrun, tmp_path: Path) -> None:
    (tmp_path / "old.jsonl").write_text(GOOD)
    shown = batchrun("convert", "openai-batch", "old.jsonl", "-o", "-", *MODEL)
    assert json.loads(shown.out)["params"]["model"] == "claude-haiku-5-5"
    (tmp_path / "old.jsonl").write_text(GOOD + "nonsense\n")
    assert batchrun("convert", "openai-batch", "old.jsonl", "-o", "-", *MODEL).out == ""


def test_models_that_contradict_each_other_are_wrong_usage(batchrun: Batchrun, tmp_path: Path) -> None:
    (tmp_path / "old.jsonl").write_text(GOOD)
    for models in (("--model", "a", "--model", "b"), ("--model", "x=")):
        assert batchrun("convert", "openai-batch", "old.jsonl", "-o", "-", *models).code == 2
