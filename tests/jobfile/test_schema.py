"""The JSON Schemas: what `check` takes they take, and forms that it refuses they refuse."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from batchrun.jobfile.codes import Code
from batchrun.library.schemas import WHAT, schema_of
from batchrun.settings.tables import tables
from tests.jobfile.desk import GOOD, PARAMS
from tests.jobfile.test_places import LINES, WARNINGS

ROOT = Path(__file__).parents[2]
MODELS = tables("auto", {}).models
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def faults(what: str, value: Any) -> list[str]:
    validator = Draft202012Validator(schema_of(what, MODELS))
    return [f"{error.json_path}: {error.message}"[:300] for error in validator.iter_errors(value)]


@pytest.mark.parametrize("what", WHAT)
def test_each_is_a_schema(what: str) -> None:
    Draft202012Validator.check_schema(schema_of(what, MODELS))


def test_the_example_is_valid_and_names_the_schema_beside_it() -> None:
    text = (ROOT / "jobs.example.yaml").read_text(encoding="utf-8")
    assert faults("jobs", yaml.safe_load(text)) == []
    target = re.match(r"# yaml-language-server: \$schema=(.*)\n", text)
    assert target is not None
    assert json.loads((ROOT / target[1]).read_text(encoding="utf-8"))["title"] == "batchrun job file"


def examples(language: str) -> list[tuple[str, str]]:
    """(page, block) of all fenced blocks in the documents."""
    pattern = re.compile(rf"^```{language}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return [(page.name, block) for page in PAGES for block in pattern.findall(page.read_text(encoding="utf-8"))]


def test_all_job_files_in_the_documents_are_valid() -> None:
    shown = [(page, block) for page, block in examples("ya?ml") if block.startswith("version: 1")]
    for page, block in shown:
        assert faults("jobs", yaml.safe_load(block)) == [], page


def test_all_job_lines_in_the_documents_are_valid() -> None:
    lines = [
        (page, line) for page, block in examples("jsonl?") for line in block.splitlines() if '"max_tokens"' in line
    ]
    assert lines
    for page, line in lines:
        assert faults("line", json.loads(line)) == [], page


@pytest.mark.parametrize(
    "line",
    [GOOD, f'{{"custom_id": "a", "params": {PARAMS}, "tags": "x"}}', *(text for code, text in WARNINGS if len(text) < 2000 and code is not Code.UNKNOWN_KEY)],
)  # fmt: skip
def test_a_line_that_can_be_sent_is_valid(line: str) -> None:
    assert faults("line", json.loads(line.replace("«", "").replace("»", ""))) == []


FORMS = {
    Code.MAX_TOKENS, Code.NO_MODEL, Code.MODEL, Code.NO_MAX_TOKENS, Code.NO_MESSAGES, Code.PROMPT, Code.PROMPT_AND_MESSAGES,
    Code.MESSAGES, Code.STREAM, Code.HEADERS, Code.SYSTEM, Code.METADATA, Code.STOP_SEQUENCES, Code.TOOL, Code.CACHE_CONTROL,
    Code.OUTPUT, Code.NO_PARAMS, Code.TAGS,
}  # fmt: skip


BEYOND = ("«5.0»", '"tags": «[»', '"tags": ["b", «""»]')
"""What JSON Schema takes for a whole number, and bounds of tags that are told better in words."""


@pytest.mark.parametrize(
    "line", [text for code, text in LINES if code in FORMS and not any(part in text for part in BEYOND)]
)
def test_a_line_of_a_wrong_form_is_not(line: str) -> None:
    assert faults("line", json.loads(line.replace("«", "").replace("»", "")))


@pytest.mark.parametrize(
    "text",
    [
        "jobs: []",
        "version: 2\njobs: [{prompt: x}]",
        "version: 1",
        "version: 1\njob: [{prompt: x}]",
        "version: 1\njobs: {prompt: x}",
        "version: 1\njobs: [{promt: x}]",
        "version: 1\ndefaults: {id: x}\njobs: [{prompt: x}]",
        "version: 1\ndefaults: {max_tokens: lots}\njobs: [{prompt: x}]",
        "version: 1\ntemplate: {promt: x}\ndata: rows.csv",
    ],
)
def test_a_job_file_of_a_wrong_form_is_not(text: str) -> None:
    assert faults("jobs", yaml.safe_load(text))


def test_settings_are_told_right_from_wrong() -> None:
    good = (
        'mode = "batch"\ntier = 2\nmax_cost = 50\ntries = 3\ngrace = "5m"\napi_version = "2023-06-01"\n'
        '[limits."*"]\nrequests = 100\n[models.claude-of-tomorrow]\nthinks = true\nefforts = ["low"]\nretires = "2030-01-01"\n'
    )
    assert faults("settings", tomllib.loads(good)) == []
    for bad in ('mode = "fast"', "tries = 0", "conurrency = 5", "[limits.x]\nrpm = 5", "max_cost = true"):
        assert faults("settings", tomllib.loads(bad)), bad


def test_every_setting_is_in_the_schema_with_its_help() -> None:
    properties = schema_of("settings", MODELS)["properties"]
    assert all(each["description"] for each in properties.values())
