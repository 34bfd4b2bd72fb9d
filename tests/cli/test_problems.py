from __future__ import annotations

from batchrun.cli import problems
from batchrun.core.job import Where
from batchrun.core.problem import Problem, Severity
from batchrun.jobfile.problems import Problems
from tests.cli.conftest import screen


def problem(line: int = 10, *, code: str = "BR103", file: str = "jobs.yaml", **more: object) -> Problem:
    defaults: dict[str, object] = {
        "message": '`max_tokens` must be a whole number, not "lots"',
        "hint": "write `max_tokens: 1024`",
        "source": "    max_tokens: lots",
        "mark": 16,
        "width": 4,
    }
    return Problem(code=code, where=Where(file, line, 17), **(defaults | more))  # type: ignore[arg-type]  # by name


def gathered(*found: Problem, everything: bool = False) -> Problems:
    made = Problems(keep=None) if everything else Problems()
    for one in found:
        made.add(one)
    return made


def told(*found: Problem, everything: bool = False) -> str:
    shown, out, err = screen()
    problems.show(gathered(*found, everything=everything), shown)
    assert out.getvalue() == ""
    return err.getvalue()


def test_a_problem_shows_place_line_caret_and_cure() -> None:
    assert told(problem()) == (
        'error: jobs.yaml:10:17: `max_tokens` must be a whole number, not "lots"   BR103\n'
        "   10 |     max_tokens: lots\n"
        "      |                 ^^^^\n"
        "hint: write `max_tokens: 1024`\n"
        "\n"
    )


def test_the_caret_stands_under_the_place_also_behind_wide_characters() -> None:
    lines = told(problem(source="日本: lots", mark=4, width=4)).splitlines()
    assert lines[1:3] == ["   10 | 日本: lots", "      |       ^^^^"]


def test_alike_ones_of_one_file_are_folded() -> None:
    found = [problem(line, source="", hint="") for line in range(12, 352)]
    lines = [line for line in told(*found).splitlines() if line]
    assert len(lines) == 4
    assert lines[-1] == "… and 337 more BR103 in jobs.yaml (lines 15–351); --all shows each"
    assert told(*found, everything=True).count("error: ") == 340


def test_one_more_than_shown_is_shown_instead_of_folded() -> None:
    assert "…" not in told(*[problem(line) for line in range(4)])


def test_what_jobs_have_in_common_is_said_once_for_all_of_them() -> None:
    new = [problem(line, code="BR117", message="no model `new-1`", common=True) for line in (2, 3, 5)]
    newer = problem(4, code="BR117", message="no model `new-2`", common=True)
    lines = [line for line in told(*new, newer).splitlines() if line.startswith(("error:", "…"))]
    assert lines == [
        "error: jobs.yaml:2:17: no model `new-1`   BR117",
        "error: jobs.yaml:4:17: no model `new-2`   BR117",
        "… and 2 more BR117 in jobs.yaml (lines 3–5); --all shows each",
    ]
    assert told(*new, newer, everything=True).count("error: ") == 4
    assert "… and 1 more BR117 in jobs.yaml (line 3); --all shows each" in told(*new[:2])


def test_many_things_that_jobs_have_in_common_are_folded_like_others() -> None:
    found = [problem(line, message=f"no model `new-{line % 50}`", common=True) for line in range(12, 352)]
    lines = [line for line in told(*found).splitlines() if line.startswith(("error:", "…"))]
    assert len(lines) == 4
    assert lines[-1] == "… and 337 more BR103 in jobs.yaml (lines 15–351); --all shows each"


def test_problems_of_different_kinds_or_files_do_not_hide_each_other() -> None:
    found = [problem(n) for n in range(9)] + [problem(1, code="BR104"), problem(1, file="other.yaml")]
    text = told(*found)
    assert "BR104" in text
    assert "other.yaml:1:17" in text


def test_what_a_file_says_cannot_move_the_cursor() -> None:
    hostile = problem(file="a\x1b[2J.yaml", message="unknown key `\x1b]0;x\x07`", source="\x9b31m: 1", hint="\u202e")
    assert not set(told(hostile)) & set("\x1b\x07\x9b\u202e")


def test_the_summary_counts_errors_warnings_and_files() -> None:
    warning = problem(severity=Severity.WARNING, file="b.yaml")
    assert problems.summary(gathered()) == "no problems"
    assert problems.summary(gathered(problem())) == "1 error"
    assert problems.summary(gathered(problem(), problem(), warning)) == "2 errors and 1 warning in 2 files"
    assert problems.summary(gathered(warning)) == "1 warning"


def test_a_record_has_everything_a_program_needs() -> None:
    assert problems.record(problem()) == {
        "code": "BR103",
        "severity": "error",
        "file": "jobs.yaml",
        "line": 10,
        "column": 17,
        "message": '`max_tokens` must be a whole number, not "lots"',
        "hint": "write `max_tokens: 1024`",
    }


def test_a_problem_without_a_place_is_still_told() -> None:
    lost = Problem(code="BR001", where=None, message="standard input is empty")
    assert told(lost) == "error: standard input is empty   BR001\n\n"
    assert problems.record(lost)["file"] is None


def test_records_say_how_many_more_there_are() -> None:
    found = problems.records(gathered(*[problem(line) for line in range(12, 20)]))
    assert (found["errors"], found["warnings"], len(found["problems"])) == (8, 0, 3)
    assert found["more"] == [
        {"code": "BR103", "severity": "error", "file": "jobs.yaml", "count": 5, "first_line": 15, "last_line": 19}
    ]


def test_what_a_flag_said_wrong_counts_as_no_file() -> None:
    found = gathered(problem(), problem(file="--max-tokens"))
    assert problems.summary(found) == "2 errors"


def test_a_command_in_a_cure_leads_to_the_same_queue() -> None:
    shown, _, err = screen()
    shown.typed = lambda text: text.replace("batchrun ", "batchrun --simulate ")
    problems.show(gathered(problem(hint="`batchrun submit rows.csv`")), shown)
    assert "hint: `batchrun --simulate submit rows.csv`" in err.getvalue()
