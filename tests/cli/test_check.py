from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from batchrun.library import explain
from tests.cli.conftest import Batchrun, jobs_file


def test_a_sound_file_is_summed_up_and_nothing_is_made(batchrun: Batchrun, tmp_path: Path) -> None:
    jobs_file(tmp_path / "small.jsonl", ["one", "two"])
    shown = batchrun("check", "small.jsonl")
    assert (shown.code, shown.out) == (0, "")
    assert shown.err.startswith("Checked small.jsonl (short lines): 2 jobs, no problems · cost likely $0.")
    assert [path.name for path in tmp_path.glob("batchrun*")] == []


def test_problems_are_what_was_asked_for(batchrun: Batchrun, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("not json\n")
    shown = batchrun("check", "bad.jsonl")
    assert shown.code == 2
    assert shown.out.startswith("error: bad.jsonl:1:1: ")
    assert shown.err == "Checked bad.jsonl: 0 jobs, 1 error\n"


def test_an_id_that_stands_twice_is_found_without_a_queue(batchrun: Batchrun, tmp_path: Path) -> None:
    jobs_file(tmp_path / "a.jsonl", ["one", "two"])
    jobs_file(tmp_path / "b.jsonl", ["three"])
    shown = batchrun("check", "a.jsonl", "b.jsonl")
    assert shown.code == 2
    assert "b.jsonl:1:1: the id `doc-0` is taken by a.jsonl:1" in shown.out


def test_warnings_are_fine_unless_strict(batchrun: Batchrun, tmp_path: Path) -> None:
    jobs_file(tmp_path / "new.jsonl", ["one"], model="claude-newest-9")
    assert batchrun("check", "new.jsonl").code == 0
    assert "warning: " in batchrun("check", "new.jsonl").out
    assert batchrun("check", "new.jsonl", "--strict").code == 2


@pytest.mark.parametrize(("flags", "shown"), [([], 3), (["--all"], 20)])
def test_alike_problems_are_folded(flags: list[str], shown: int, batchrun: Batchrun, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("not json\n" * 20)
    out = batchrun("check", "bad.jsonl", *flags).out
    assert out.count("error: ") == shown
    assert ("and 17 more BR" in out) is (not flags)


def test_a_check_is_a_document(batchrun: Batchrun, tmp_path: Path) -> None:
    jobs_file(tmp_path / "small.jsonl", ["one", "two"])
    (tmp_path / "bad.jsonl").write_text("not json\n")
    shown = batchrun("check", "small.jsonl", "bad.jsonl", "--json")
    document = json.loads(shown.out)
    assert shown.code == 2
    assert (document["schema"], document["jobs"], document["errors"], document["warnings"]) == (
        "batchrun.check/1",
        2,
        1,
        0,
    )
    assert document["problems"][0]["file"] == "bad.jsonl"
    assert document["estimate"]["jobs"] == 2


def test_a_full_pipe_of_jobs_can_be_checked(
    batchrun: Batchrun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with jobs_file(tmp_path / "small.jsonl", ["one"]).open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert batchrun("check", "-").code == 0


def test_the_example_is_sound(batchrun: Batchrun) -> None:
    example = Path(__file__).parents[2] / "jobs.example.yaml"
    assert batchrun("check", str(example), "--strict").code == 0


def test_every_code_has_a_page_with_the_reason_and_the_cure() -> None:
    for code in explain.meanings():
        page = explain.page(code)
        assert page.why.endswith("."), f"{code} needs a page in data/codes.toml"
        assert page.cure.endswith("."), f"{code} needs a cure in data/codes.toml"


def test_a_code_is_explained(batchrun: Batchrun) -> None:
    shown = batchrun("check", "--explain", "br158")
    assert shown.code == 0
    assert shown.out.startswith(
        "BR158  `max_tokens` leaves the model no room to think (warning; may be ignored by --ignore)"
    )
    assert 'Example:\n  "thinking": {"type": "disabled"}\n' in shown.out
    assert len(batchrun("check", "--explain").out.splitlines()) == len(explain.meanings())
    assert json.loads(batchrun("check", "--explain", "BR101", "--json").out)["ignorable"] is False


def test_a_code_that_there_is_not_is_wrong_usage(batchrun: Batchrun) -> None:
    shown = batchrun("check", "--explain", "BR1588")
    assert shown.code == 2
    assert "did you mean `BR158`?" in shown.err


def test_a_check_needs_a_file(batchrun: Batchrun) -> None:
    assert batchrun("check").code == 2


def test_what_the_user_knows_better_is_not_told(batchrun: Batchrun, tmp_path: Path) -> None:
    jobs_file(tmp_path / "new.jsonl", ["one", "two"], model="claude-newest-9", temperature=0.5)
    assert "2 errors and 2 warnings" in batchrun("check", "new.jsonl").err
    assert "2 jobs, no problems" in batchrun("check", "new.jsonl", "--ignore", "BR117,br120").err
    (tmp_path / "batchrun.toml").write_text('ignore = ["BR117", "BR120"]\n')
    assert batchrun("submit", "new.jsonl", "--simulate", "--dry-run", "--strict").code == 0


@pytest.mark.parametrize(
    ("code", "why"), [("BR001", "cannot be sent at all"), ("BR999", "no such code"), ("nonsense", "must be codes")]
)
def test_what_cannot_be_sent_cannot_be_ignored(code: str, why: str, batchrun: Batchrun, tmp_path: Path) -> None:
    jobs_file(tmp_path / "small.jsonl", ["one"])
    shown = batchrun("check", "small.jsonl", "--ignore", code)
    assert shown.code == 2
    assert why in shown.err


def test_a_strict_submit_takes_a_warning_for_an_error(batchrun: Batchrun, tmp_path: Path) -> None:
    jobs_file(tmp_path / "new.jsonl", ["one"], model="claude-newest-9")
    shown = batchrun("submit", "new.jsonl", "--simulate", "--strict")
    assert shown.code == 2
    assert "1 warning; nothing was added" in shown.err
