from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from batchrun import wiring
from batchrun.core.outcome import AccountStopped, Outcome, Refused, Reply, Stop, Unreachable
from batchrun.core.ports import TokenCounter
from batchrun.library import explain
from batchrun.settings import Settings
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


CALLED = [
    {"role": "user", "content": "x"},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
    {"role": "user", "content": "y"},
]


def test_a_probe_finds_what_only_the_api_knows_once_for_each_kind(batchrun: Batchrun, tmp_path: Path) -> None:
    fine = {"model": "claude-haiku-5-5", "max_tokens": 300, "prompt": "x"}
    wrong = {"model": "claude-haiku-5-5", "max_tokens": 300, "messages": CALLED, "system": "x"}
    lines = [json.dumps({"id": str(n), **job}) for n, job in enumerate([fine, fine, wrong, wrong])]
    (tmp_path / "jobs.jsonl").write_text("\n".join(lines))
    assert batchrun("check", "jobs.jsonl", "--simulate").code == 0
    shown = batchrun("check", "jobs.jsonl", "--probe", "--simulate")
    assert shown.code == 2
    assert "2 kinds of requests shown to the API" in shown.err
    assert shown.out.count("error: jobs.jsonl:3:1: the API refuses this request: ") == 1
    document = json.loads(batchrun("check", "jobs.jsonl", "--probe", "--simulate", "--json").out)
    assert (document["probed"], [one["code"] for one in document["problems"]]) == (2, ["BR301"])


class Says:
    """Gives one answer to every count."""

    def __init__(self, answer: int | Outcome) -> None:
        self._answer = answer

    async def count_tokens(self, *_: object, **__: object) -> int | Outcome:
        return self._answer

    def ask(self, _settings: Settings, question: Callable[[TokenCounter], Coroutine[None, None, object]]) -> object:
        return asyncio.run(question(self))


ODD: dict[str, object] = {"tools": [{"type": "web_search_20260209", "name": "web_search"}]}
NO = Reply(status=400, message="no \x1b[31mway, sk-ant-api03-abcdefgh")


@pytest.mark.parametrize(
    ("answer", "more", "code", "said"),
    [
        (7, {}, 0, ""),
        (990_000, {"max_tokens": 64_000}, 2, "990,000 tokens of input, as counted"),
        (Refused(reply=NO), {}, 2, "BR301"),
        (Refused(reply=NO), ODD, 0, "BR302"),
        (Unreachable(reply=Reply(message="no way out")), {}, 0, "no answer on this request: no way out"),
        (AccountStopped(reply=NO, stop=Stop.KEY), {}, 4, "the API refuses"),
        (AccountStopped(reply=NO, stop=Stop.CREDIT), {}, 2, "the API refuses"),
    ],
)
def test_each_answer_to_a_probe_is_told_for_what_it_is(
    answer: int | Outcome,
    more: dict[str, object],
    code: int,
    said: str,
    batchrun: Batchrun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wiring, "ask_counter", Says(answer).ask)
    jobs_file(tmp_path / "jobs.jsonl", ["one"], **more)
    shown = batchrun("check", "jobs.jsonl", "--probe", "--simulate")
    assert shown.code == code
    assert said in shown.out + shown.err
    assert "abcdefgh" not in shown.out + shown.err
    assert "\x1b[31m" not in shown.out + shown.err
