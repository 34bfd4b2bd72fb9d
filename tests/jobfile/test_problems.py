from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.core.job import Where
from batchrun.core.problem import Problem, Severity
from batchrun.jobfile import assembly
from batchrun.jobfile.excerpt import excerpt, masked, shown
from batchrun.jobfile.problems import KEPT, Problems, changed_while_read
from tests.jobfile.desk import GOOD, HEAD, REST, read

KEY = "sk-ant-api03-" + "Zz9_" * 20


def problem(line: int, code: str = "BR107", file: str = "a.jsonl", severity: Severity = Severity.ERROR) -> Problem:
    return Problem(code=code, where=Where(file, line), message="m", severity=severity)


def test_alike_problems_are_counted_and_the_first_few_kept() -> None:
    problems = Problems()
    for line in range(12, 1905):
        problems.add(problem(line))
    (group,) = problems.groups
    assert (group.code, group.file, group.count) == ("BR107", "a.jsonl", 1893)
    assert (group.first, group.last) == (12, 1904)
    assert [kept.where and kept.where.line for kept in group.kept] == list(range(12, 12 + KEPT))
    assert (problems.errors, problems.warnings, problems.files) == (1893, 0, 1)


def test_other_files_codes_and_severities_stand_apart_in_the_order_they_came() -> None:
    problems = Problems()
    for each in (
        problem(1),
        problem(2, code="BR103"),
        problem(3, file="b.jsonl"),
        problem(4, severity=Severity.WARNING),
        problem(5),
    ):
        problems.add(each)
    assert [(group.code, group.file, group.severity.value, group.count) for group in problems.groups] == [
        ("BR107", "a.jsonl", "error", 2),
        ("BR103", "a.jsonl", "error", 1),
        ("BR107", "b.jsonl", "error", 1),
        ("BR107", "a.jsonl", "warning", 1),
    ]
    assert (problems.errors, problems.warnings, problems.files) == (4, 1, 2)


def test_all_are_kept_on_request() -> None:
    problems = Problems(keep=None)
    for line in range(100):
        problems.add(problem(line))
    assert len(problems.groups[0].kept) == 100


def test_a_problem_without_a_place_is_counted_too() -> None:
    problems = Problems()
    problems.add(changed_while_read())
    assert (problems.errors, problems.groups[0].first, problems.groups[0].file) == (1, None, "")


def test_a_short_line_is_shown_whole() -> None:
    assert excerpt("  max_tokens: lots", 14, 4) == ("  max_tokens: lots", 14, 4)


@pytest.mark.parametrize("offset", [0, 3, 50, 500, 980, 999, 1000])
def test_a_long_line_is_shortened_round_the_place(offset: int) -> None:
    line = "".join(chr(0x4E00 + n) for n in range(1000))
    text, mark, width = excerpt(line, offset, 5)
    assert len(text) <= 90
    assert text[mark : mark + width] == (line[offset : offset + 5] or text[mark:])


def test_what_a_terminal_would_obey_is_written_out() -> None:
    text, mark, width = excerpt("a\x1b[31m\u202eb\tc", 8, 1)
    assert text == "a\\x1b[31m\\u202eb\\x09c"
    assert text[mark : mark + width] == "\\x09"


@given(st.text(max_size=200), st.integers(0, 250), st.integers(1, 60), st.integers(0, 200))
def test_no_excerpt_and_no_message_ever_shows_a_key_or_moves_the_cursor(
    line: str, offset: int, width: int, at: int
) -> None:
    secret = line[:at] + KEY + line[at:]
    for text in (*excerpt(secret, offset, width)[:1], shown(secret), masked(secret)):
        assert "Zz9" not in text
    text, mark, marked = excerpt(line, offset, width)
    assert 0 <= mark <= len(text)
    assert marked >= 1
    assert not any(char < " " or "\x7f" <= char <= "\x9f" or char in "\u202e\u2028\ud800" for char in text)


def test_the_ids_of_jobs_with_an_error_are_known_too() -> None:
    lines = [
        GOOD,
        f'{{"id": "no prompt", {REST}}}',
        '{"custom_id": "no params"}',
        '{"id": "no model", "max_tokens": 5, "prompt": "x"}',
        f'{{"id": "a secret", {REST}, "prompt": "{KEY}"}}',
        f'{{"id": "{KEY}", {REST}, "prompt": "x"}}',
        f'{{"prompt": 7, {REST}}}',
        '{"id": "no JSON"',
    ]
    assert read("\n".join(lines)).unfit == [("no prompt", 2), ("no params", 3), ("no model", 4), ("a secret", 5)]


@pytest.mark.parametrize(
    "defaults",
    ["{model: claude-new-1, max_tokens: lots}", "{model: claude-new-1, max_tokens: 5, id: x}", "claude-new-1"],
)
def test_so_are_those_of_all_jobs_when_the_defaults_have_one(defaults: str) -> None:
    jobs = "jobs:\n  - {id: one, prompt: x}\n  - {id: one, prompt: y}\n  - 7\n"
    assert read(f"version: 1\ndefaults: {defaults}\n{jobs}", "jobs.yaml").unfit == [("one", 4), ("one", 5)]


def test_and_those_of_a_file_that_holds_a_key() -> None:
    text = f"{HEAD}jobs:\n  - {{id: one, prompt: x}}\n# {KEY}\n  - {{id: one, prompt: y}}\n"
    assert read(text, "jobs.yaml").unfit == [("one", 4), ("one", 6)]


def test_no_more_of_them_than_anybody_corrects_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "REMEMBERED", 3)
    assert len(read("\n".join(f'{{"id": "{n}", "prompt": "x"}}' for n in range(9))).unfit) == 3
