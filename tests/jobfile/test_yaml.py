from __future__ import annotations

import json
from typing import Any

import pytest
import yaml as pyyaml

from batchrun.core.job import Where
from batchrun.jobfile import yaml_reader
from tests.jobfile.desk import HEAD, merged, read, yaml


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """PyYAML comes with and without its part in C."""
    monkeypatch.setattr(yaml_reader, "_LOADER", getattr(pyyaml, request.param))
    return str(request.param)


def metadata(text: str) -> Any:
    """The value that YAML text has."""
    job = yaml(f"  - prompt: x\n    metadata: {{value: {text}}}\n").only_job()
    return json.loads(job.metadata or "")["value"]


@pytest.mark.parametrize(
    "text",
    ["no", "yes", "on", "off", "NO", "y", "2026-11-20", "2026-11-20T12:00:00Z", "12:30:00", "1_000", "0b1", "012x",
     "0x", "1.2.3", "1e", "e1", "+", ".", "true!", "nully", "0o8", "--1", "="],
)  # fmt: skip
def test_what_looks_odd_is_a_text(text: str) -> None:
    assert metadata(f"{text} ") == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None), ("~", None), ("Null", None), ("", None),
        ("true", True), ("True", True), ("FALSE", False),
        ("0", 0), ("-17", -17), ("+5", 5), ("012", 12), ("0o17", 15), ("0xfF", 255),
        ("1.5", 1.5), ("-.5", -0.5), ("1.", 1.0), ("1e3", 1000.0), ("+1.5E-3", 0.0015),
        ('"no"', "no"), ("'12'", "12"), ("!!str 12", "12"), ('!!int "12"', 12), ("!!float 1", 1.0), ("! 12", "12"),
        ('!!null ""', None), ("!!bool true", True), ("!!map {a: 1}", {"a": 1}), ("!!seq [1]", [1]),
    ],
)  # fmt: skip
def test_types_are_those_of_json(text: str, value: Any) -> None:
    found = metadata(text)
    assert found == value
    assert type(found) is type(value)


def test_keys_are_texts_as_they_are_written() -> None:
    assert metadata("{1: a, no: b, null: c, 1.50: d}") == {"1": "a", "no": "b", "null": "c", "1.50": "d"}


def test_a_job_file_has_defaults_and_jobs_and_the_job_wins() -> None:
    found = read(
        "version: 1\n"
        "defaults:\n  model: claude-new-1\n  max_tokens: 5\n  system: Be brief.\n  metadata: {from: defaults}\n"
        "jobs:\n  - id: one\n    prompt: Hi.\n  - id: two\n    max_tokens: 7\n    messages: [{role: user, content: Hi.}]\n"
        "    metadata: {from: job}\n",
        "jobs.yaml",
    )
    one, two = found.jobs
    assert found.problems == []
    assert list(merged(one).items()) == [
        ("model", "claude-new-1"),
        ("max_tokens", 5),
        ("system", "Be brief."),
        ("messages", [{"role": "user", "content": "Hi."}]),
    ]
    assert merged(two) == merged(one) | {"max_tokens": 7}
    assert (one.metadata, two.metadata) == ('{"from":"defaults"}', '{"from":"job"}')
    assert one.request.shared == two.request.shared == '{"model":"claude-new-1","max_tokens":5,"system":"Be brief."}'
    assert one.request.own == '{"messages":[{"role":"user","content":"Hi."}]}'
    assert (one.where, two.where) == (Where("jobs.yaml", 8, 5), Where("jobs.yaml", 10, 5))


def test_a_prompt_may_stand_in_the_defaults_to_compare_models() -> None:
    found = read(
        "version: 1\ndefaults: {max_tokens: 5, prompt: Hi.}\n"
        "jobs:\n  - model: claude-new-1\n  - model: claude-old-1\n  - {model: claude-old-1, prompt: Ho.}\n",
        "jobs.yaml",
    )
    assert found.problems == []
    assert [merged(job)["messages"][0]["content"] for job in found.jobs] == ["Hi.", "Hi.", "Ho."]


@pytest.mark.parametrize("defaults", ["", "defaults:\n", "defaults: {}\n", "defaults: null\n"])
def test_defaults_may_be_left_out(defaults: str) -> None:
    text = f"version: 1\n{defaults}jobs:\n  - {{model: claude-new-1, max_tokens: 5, prompt: Hi.}}\n"
    job = read(text, "jobs.yaml").only_job()
    assert list(merged(job)) == ["model", "max_tokens", "messages"]


@pytest.mark.parametrize(
    ("text", "id_"), [("007", "007"), ("1.10", "1.10"), ("0x1F", "0x1F"), ("no", "no"), ("a b", "a b")]
)
def test_an_id_is_the_text_as_it_is_written(text: str, id_: str) -> None:
    assert yaml(f"  - id: {text}\n    prompt: x\n").keys == [id_]


def test_an_anchor_may_be_named_again() -> None:
    found = yaml("  - {id: a, prompt: &p Hi.}\n  - {id: b, prompt: *p}\n")
    assert [merged(job)["messages"][0]["content"] for job in found.jobs] == ["Hi.", "Hi."]


def test_aliases_that_expand_without_end_are_stopped_early() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    assert "BR021" in read(HEAD + bomb + "jobs: *a11\n", "jobs.yaml").codes


def test_long_texts_that_are_named_very_often_are_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_reader, "EXPANDED", 10_000)
    text = f"  - &j {{prompt: {'long ' * 100}}}\n" + "  - *j\n" * 30
    assert yaml(text).only_problem().code == "BR021"


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "- " * 100_000 + "x", "{a: " * 100_000, "? " * 50_000, "a: " + "[[" * 50_000]
)
def test_nesting_without_end_ends_neither_the_process_nor_the_stack(text: str) -> None:
    assert set(read(text, "jobs.yaml").codes) <= {"BR007", "BR020"}


def test_two_hundred_levels_are_fine() -> None:
    deep = "[" * 190 + "]" * 190
    assert yaml(f"  - prompt: x\n    metadata: {{a: {deep}}}\n").problems == []


def test_one_bad_job_never_hides_the_next() -> None:
    found = yaml(
        "  - {id: a, prompt: x}\n  - text\n  - {id: b, max_tokens: lots, prompt: x}\n  - {id: c, prompt: x, prompt: y}\n"
        "  - {id: d, prompt: !!binary eA==}\n  - {id: e, prompt: x}\n"
    )
    assert found.keys == ["a", "e"]
    assert sorted(found.codes) == ["BR004", "BR009", "BR022", "BR103"]


def test_a_mistake_in_the_defaults_is_told_once_and_stops_all_jobs() -> None:
    text = "version: 1\ndefaults: {model: claude-gone-1, max_tokens: 5, temprature: 1}\njobs:\n"
    found = read(text + "  - prompt: x\n" * 50, "jobs.yaml")
    assert [(problem.code, problem.where) for problem in found.problems] == [
        ("BR118", Where("jobs.yaml", 2, 19)),
        ("BR104", Where("jobs.yaml", 2, 49)),
    ]
    assert found.jobs == []


def test_a_key_anywhere_in_the_file_stops_its_jobs_and_is_shown_masked() -> None:
    found = yaml("  - {id: a, prompt: x}\n  # sk-ant-api03-abcdefghijklmnop\n")
    assert found.jobs == []
    assert found.codes == ["BR124"]
    assert "abcdefgh" not in repr(found.problems)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("  - id: a\n\tprompt: x\n", "indent with spaces"),
        ("  - prompt: `ls`\n", 'put it in quotes: `"`…"`'),
        ("  - prompt: Note: this\n", "a text with `: ` in it needs quotes"),
        ('  - prompt: "open\n', "a quote or bracket is not closed"),
        ("  - prompt: x\n    metadata: {<<: {}}\n", "write `defaults`"),
        ("  - prompt: \x07\n", "remove it"),
    ],
)
def test_mistakes_of_grammar_have_a_cure(text: str, hint: str) -> None:
    assert hint in yaml(text).problems[0].hint


@pytest.mark.parametrize("where", ["prompt", "system"])
def test_half_a_character_is_told_however_it_is_found(where: str) -> None:
    text = f'version: 1\ndefaults: {{model: claude-new-1, max_tokens: 5, {where}: "\\ud800"}}\njobs: [{{prompt: x}}]\n'
    assert set(read(text, "jobs.yaml").codes) <= {"BR006", "BR020"}
    found = yaml('  - prompt: "\\ud800"\n')
    assert found.jobs == []
    assert set(found.codes) <= {"BR006", "BR020"}


def test_a_control_character_is_shown_at_its_place() -> None:
    problem = yaml("  - prompt: é😀 \x07\n").only_problem()
    assert problem.where == Where("jobs.yaml", 4, 16)
    assert problem.source[problem.mark : problem.mark + problem.width] == "\\x07"


def test_a_misspelt_section_is_asked_about() -> None:
    found = read("version: 1\njob:\n  - prompt: x\n", "jobs.yaml")
    assert found.errors[0].message == "unknown key `job`"
    assert found.errors[0].hint == "did you mean `jobs`?"


def test_lines_are_counted_as_yaml_counts_them() -> None:
    problem = yaml('  - prompt: "a\u2028b\u0085c"\n    max_tokens: lots\n').only_problem()
    assert problem.where is not None
    assert problem.source == "    max_tokens: lots"
