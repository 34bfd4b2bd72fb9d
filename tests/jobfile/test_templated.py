"""Rows times a template."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from batchrun.core.job import Job
from batchrun.jobfile import templated
from batchrun.jobfile.given import Given, variable
from batchrun.jobfile.reading import Reading, digest_of
from batchrun.jobfile.source import Source
from tests.jobfile.desk import HEAD, RULES, Found, merged, read

TEMPLATE = """\
template:
  id: "{{ doi }}"
  prompt: |
    Summarise for {{ audience | default("a colleague") }}:
    {{ abstract }}
  metadata: {year: "{{ year }}"}
  tags: ["{{ journal }}"]
"""
ROWS = 'doi,abstract,year,journal\na/1,First.,2025,Nature\na/2,"Second,\nin two lines.",2026,Science\n'


def written(folder: Path, yaml: str, rows: str = ROWS, name: str = "rows.csv", **given: Any) -> Found:
    (folder / "jobs.yaml").write_text(HEAD + yaml)
    (folder / name).write_text(rows)
    return found([Source(str(folder / "jobs.yaml"))], Given(**given))


def found(sources: list[Source], given: Given) -> Found:
    reading, kept = Reading(sources, RULES, given), Found()
    for item in reading:
        if isinstance(item, Job):
            kept.jobs.append(item)
        else:
            kept.problems.append(item)
    kept.digest = reading.digest
    return kept


def prompt(job: Job) -> str:
    text = merged(job)["messages"][0]["content"]
    assert isinstance(text, str)
    return text


def test_each_row_is_a_job_at_the_place_of_the_row(tmp_path: Path) -> None:
    read = written(tmp_path, TEMPLATE + "data: rows.csv\n")
    assert not read.problems
    assert read.keys == ["a/1", "a/2"]
    assert [(job.where.file, job.where.line, job.file) for job in read.jobs] == [
        (str(tmp_path / "rows.csv"), 2, 1),
        (str(tmp_path / "rows.csv"), 3, 1),
    ]
    assert prompt(read.jobs[1]) == "Summarise for a colleague:\nSecond,\nin two lines.\n"
    assert [job.tags for job in read.jobs] == ['["Nature"]', '["Science"]']
    assert [job.metadata for job in read.jobs] == ['{"year":"2025"}', '{"year":"2026"}']


def test_set_wins_over_rows_and_rows_over_vars(tmp_path: Path) -> None:
    yaml = "template: {prompt: '{{ a }} {{ b }} {{ c }}'}\ndata: [{a: row, b: row}]\nvars: {a: var, b: var, c: var}\n"
    assert prompt(written(tmp_path, yaml, sets={"a": "set"}).only_job()) == "set row var"


def test_a_matrix_makes_a_job_of_each_row_for_each_combination(tmp_path: Path) -> None:
    yaml = TEMPLATE + "data: rows.csv\nmatrix: {model: [claude-old-1, claude-wide-1], audience: [x, y]}\n"
    read = written(tmp_path, yaml)
    assert not read.problems
    assert read.keys[:4] == ["a/1/claude-old-1/x", "a/1/claude-old-1/y", "a/1/claude-wide-1/x", "a/1/claude-wide-1/y"]
    assert [job.model for job in read.jobs[:4]] == ["claude-old-1"] * 2 + ["claude-wide-1"] * 2
    assert len(read.jobs) == 8
    one = written(tmp_path, yaml, sets={"model": "claude-old-1"})
    assert [job.model for job in one.jobs] == ["claude-old-1"] * 4


def test_a_row_without_the_column_is_a_problem_that_names_it_and_those_there_are(tmp_path: Path) -> None:
    read = written(tmp_path, "template: {prompt: '{{ abstrakt }}'}\ndata: rows.csv\n")
    assert [(problem.code, problem.where and problem.where.line) for problem in read.errors] == [
        ("BR057", 2),
        ("BR057", 3),
    ]
    assert read.errors[0].message == "no `abstrakt` in this row"
    assert read.errors[0].hint == "did you mean `abstract`? it has: doi, abstract, year, journal"
    assert read.errors[0].common


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        ('{"n": 7, "turns": [{"role": "user", "content": "x"}], "ok": true, "none": null}\n', "rows.jsonl"),
        ('[{"n": 7, "turns": [{"role": "user", "content": "x"}],\n "ok": true, "none": null}]', "rows.json"),
    ],
)
def test_a_text_that_is_one_expression_keeps_the_type_of_its_value(tmp_path: Path, rows: str, name: str) -> None:
    yaml = f"""template:
  id: "{{{{ n }}}}"
  max_tokens: "{{{{ n }}}}"
  messages: "{{{{ turns }}}}"
  metadata: {{ok: "{{{{ ok }}}}", none: "{{{{ none }}}}", twice: "{{{{ n * 2 }}}}", text: "n={{{{ n }}}}"}}
data: {name}
"""
    job = written(tmp_path, yaml, rows, name).only_job()
    assert job.key == "7"
    assert job.max_tokens == 7
    assert merged(job)["messages"] == [{"role": "user", "content": "x"}]
    assert json.loads(job.metadata or "") == {"ok": True, "none": None, "twice": 14, "text": "n=7"}


def test_where_text_is_wanted_numbers_are_written_out_and_lists_as_json(tmp_path: Path) -> None:
    yaml = "template: {prompt: '{{ n }}', system: 'Of {{ list }} and {{ none }}.'}\ndata: [{n: 5, list: [1, a], none: null}]\n"
    job = written(tmp_path, yaml).only_job()
    assert prompt(job) == "5"
    assert merged(job)["system"] == 'Of [1,"a"] and .'


def test_an_at_sign_or_braces_in_data_are_text_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("SECRET")
    rows = 'text\n"@secret.txt"\n@/etc/passwd\n{{ 7 * 7 }}\n'
    read = written(tmp_path, "template: {prompt: '{{ text }}', system: '@secret.txt'}\ndata: rows.csv\n", rows)
    assert [prompt(job) for job in read.jobs] == ["@secret.txt", "@/etc/passwd", "{{ 7 * 7 }}"]
    assert merged(read.jobs[0])["system"] == "SECRET"


def test_a_file_that_a_template_names_is_part_of_the_template(tmp_path: Path) -> None:
    (tmp_path / "p.md").write_text("Say {{ word }}.")
    job = written(tmp_path, 'template: {prompt: "@p.md"}\ndata: [{word: hello}]\n').only_job()
    assert prompt(job) == "Say hello."


def test_braces_in_jobs_and_defaults_are_no_template(tmp_path: Path) -> None:
    job = read(HEAD + "jobs: [{prompt: 'Say {{ x }}'}]\n", "jobs.yaml").only_job()
    assert prompt(job) == "Say {{ x }}"


@pytest.mark.parametrize("data", ["../rows.csv", "/etc/passwd", "sub/../../rows.csv", ""])
def test_data_of_a_file_stand_below_its_folder(tmp_path: Path, data: str) -> None:
    (tmp_path / "in").mkdir()
    problem = written(tmp_path / "in", f"template: {{prompt: '{{{{ a }}}}'}}\ndata: '{data}'\n").only_error()
    assert problem.code == "BR055"


def test_data_given_by_hand_may_stand_anywhere_and_take_the_place_of_the_files(tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("doi,abstract,year,journal\nz,Z.,2000,Q\n")
    (tmp_path / "in").mkdir()
    read = written(tmp_path / "in", TEMPLATE + "data: none.csv\n", data=[Source(str(other))])
    assert read.keys == ["z"]


WRONG = [
    ("BR054", "template:\n  prompt: |\n    ok\n    {{ a b }}\ndata: [{a: 1}]\n", 6),
    ("BR054", "template:\n  prompt: '{% macro f() %}{% endmacro %}'\ndata: [{a: 1}]\n", 4),
    ("BR054", "template:\n  prompt: '{{ a | shout }}'\ndata: [{a: 1}]\n", 4),
    ("BR054", "template: [x]\ndata: [{a: 1}]\n", 3),
    ("BR053", "template: {prompt: '{{ a }}'}\n", 3),
    ("BR053", "jobs: [{prompt: x}]\nvars: {a: 1}\n", 4),
    ("BR053", "jobs: [{prompt: x}]\ndata: rows.csv\n", 4),
    ("BR055", "template: {prompt: '{{ a }}'}\ndata: 5\n", 4),
    ("BR051", "template: {prompt: '{{ a }}'}\ndata: [x]\n", 4),
    ("BR012", "template: {prompt: '{{ a }}'}\ndata: []\n", 4),
    ("BR056", "template: {prompt: '{{ a }}'}\ndata: [{a: 1}]\nvars: [a]\n", 5),
    ("BR056", "template: {prompt: '{{ a }}'}\ndata: [{a: 1}]\nmatrix: {a: 1}\n", 5),
    ("BR058", "template: {prompt: '{{ a.upper(1) }}'}\ndata: [{a: x}]\n", 4),
    ("BR058", "template: {prompt: '{{ a / 0 }}'}\ndata: [{a: 1}]\n", 4),
    (
        "BR058",
        "template: {prompt: '{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}'}\ndata: [{a: 1}]\n",
        4,
    ),
    ("BR103", "template: {prompt: '{{ a }}', max_tokens: lots}\ndata: [{a: x}, {a: y}]\n", 3),
    ("BR102", "template: {id: '{{ a }}', prompt: x}\ndata: [{a: ''}]\n", 4),
    ("BR113", "template: {prompt: '{{ a }}'}\ndata: [{a: ' '}]\n", 4),
]


@pytest.mark.parametrize(("code", "yaml", "line"), WRONG)
def test_a_mistake_is_told_once_at_its_place(tmp_path: Path, code: str, yaml: str, line: int) -> None:
    problem = written(tmp_path, yaml).only_error()
    assert problem.where
    assert (problem.code, problem.where.line) == (code, line)


def test_a_row_with_a_key_gives_no_job(tmp_path: Path) -> None:
    read = written(tmp_path, TEMPLATE + "data: rows.csv\n", ROWS.replace("First", "my sk-ant-abc"))
    assert (read.only_error().code, read.keys) == ("BR124", ["a/2"])
    assert "sk-ant-abc" not in read.only_error().source


def test_a_set_that_nothing_asks_for_is_a_problem(tmp_path: Path) -> None:
    problem = written(tmp_path, TEMPLATE + "data: rows.csv\n", sets={"audiense": "x"}).only_error()
    assert (problem.code, problem.hint) == ("BR056", "did you mean `audience`?")


def test_an_id_of_the_row_is_the_jobs_where_the_template_has_none(tmp_path: Path) -> None:
    read = written(tmp_path, "template: {prompt: '{{ t }}'}\ndata: [{id: a, t: x}, {id: 7, t: y}, {id: '', t: z}]\n")
    assert read.keys[:2] == ["a", "7"]
    assert read.keys[2].startswith("content-")


def test_a_column_whose_name_is_no_word_is_found_in_the_row(tmp_path: Path) -> None:
    job = written(
        tmp_path, """template: {prompt: "{{ row['Product name'] }}"}\ndata: rows.csv\n""", "Product name\nLamp\n"
    )
    assert prompt(job.only_job()) == "Lamp"


def test_alike_rows_take_the_quick_way_to_the_same_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "doi,abstract,year,journal\n" + "".join(
        f"a/{n},{text},{n},J{n % 2}\n"
        for n, text in enumerate(["x", "é\u2028", "", "y", '"q""uote\n"', "  ", "sk-ant-a1", "z" * 50])
    )
    quick = written(tmp_path, TEMPLATE + "data: rows.csv\n", rows)
    monkeypatch.setattr(templated, "LESSONS", 0)
    slow = written(tmp_path, TEMPLATE + "data: rows.csv\n", rows)
    assert quick.jobs == slow.jobs
    assert quick.problems == slow.problems
    assert len(quick.jobs) == 7


def test_the_digest_is_over_the_data_and_what_was_set(tmp_path: Path) -> None:
    yaml = TEMPLATE + "data: rows.csv\n"
    sources = [Source(str(tmp_path / "jobs.yaml"))]
    first = written(tmp_path, yaml).digest
    assert first == digest_of(sources)
    other = written(tmp_path, yaml, ROWS.replace("First", "Other")).digest
    assert other == digest_of(sources)
    set_ = written(tmp_path, yaml, sets={"audience": "x"}).digest
    assert set_ == digest_of(sources, Given(sets={"audience": "x"}))
    assert len({first, other, set_}) == 3


def test_a_template_in_flags_makes_jobs_of_the_files_themselves(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(ROWS)
    flags = {"id": "{{ doi }}", "model": "claude-new-1", "max_tokens": 5, "prompt": "{{ abstract }}"}
    read = found([Source(str(tmp_path / "rows.csv"))], Given(template=flags))
    assert read.keys == ["a/1", "a/2"]
    assert read.digest == digest_of([Source(str(tmp_path / "rows.csv"))], Given(template=flags))
    wrong = found([Source(str(tmp_path / "rows.csv"))], Given(template=flags | {"prompt": "{{ a b }}"})).only_error()
    assert wrong.where is None
    assert wrong.message.startswith("--prompt is not a template: ")
    static = found(
        [Source(str(tmp_path / "rows.csv"))], Given(template=flags | {"model": "claude-gone-1"})
    ).only_error()
    assert static.message.startswith("--model: `claude-gone-1` is retired")


@pytest.mark.parametrize(
    ("text", "value"),
    [("a=5", 5), ("a=1.5", 1.5), ("a=1.10", "1.10"), ("a=007", "007"), ("a=true", True), ("a=", ""), ("a=x=y", "x=y"), ('a=["b"]', ["b"]), ("a=1e3", "1e3")],
)  # fmt: skip
def test_a_set_is_json_only_where_that_says_the_same(text: str, value: object) -> None:
    assert variable(text) == ("a", value)
    assert type(variable(text)[1]) is type(value)


def test_a_warning_that_each_row_has_is_told_once_and_does_not_slow_the_others(tmp_path: Path) -> None:
    yaml = "template: {id: '{{ doi }}', prompt: '{{ abstract }}', model: claude-late-1}\ndata: rows.csv\n"
    read = written(tmp_path, yaml)
    assert (read.codes, read.keys) == (["BR119"], ["a/1", "a/2"])
