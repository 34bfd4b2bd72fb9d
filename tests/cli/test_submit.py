from __future__ import annotations

import json
import re
import sqlite3
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from batchrun.queue.connect import close_queue, open_queue
from batchrun.queue.locks import Locks
from batchrun.wiring import card
from tests.cli.conftest import Batchrun, Shown, Terminal, jobs_file, settled

SIMULATED = "SIMULATED: no request leaves this machine and nothing costs money\n"

pytestmark = pytest.mark.usefixtures("swift")


@pytest.fixture
def three(tmp_path: Path) -> Path:
    return jobs_file(tmp_path / "small.jsonl", ["one", "two", "three"])


def records(shown: Shown) -> list[dict[str, Any]]:
    return [json.loads(line) for line in shown.out.splitlines()]


def test_a_submit_checks_stores_sends_and_says_what_to_type_next(batchrun: Batchrun, three: Path) -> None:
    shown = batchrun("submit", "small.jsonl", "--simulate", "--progress", "none")
    assert (shown.code, shown.out) == (0, "")
    assert settled(shown.err) == SIMULATED + (
        "Checked small.jsonl (short lines): 3 jobs, no problems · cost likely $SUM, at most $SUM\n"
        "✓ made the database /…/batchrun-simulated.db\n"
        "✓ stored run small (r-1): 3 jobs\n"
        "Done. run=small succeeded=3 failed=0 cancelled=0 total=3 cost=$SUM elapsed=SPAN\n"
        "Answers:  batchrun --simulate results small\n"
    )


def test_the_same_file_again_adds_nothing(batchrun: Batchrun, three: Path) -> None:
    batchrun("submit", "small.jsonl", "--simulate")
    shown = batchrun("submit", "small.jsonl", "--simulate")
    assert shown.code == 0
    assert shown.err == SIMULATED + (
        "Nothing to add: all of it is in run small (r-1) already: 3 succeeded\nTo run it a second time, add --again\n"
    )
    again = batchrun("submit", "small.jsonl", "--simulate", "--again")
    assert "stored run small-2 (r-2): 3 jobs" in again.err


def test_the_same_command_after_an_interruption_goes_on(batchrun: Batchrun, three: Path) -> None:
    stored = batchrun("submit", "small.jsonl", "--simulate", "--no-run")
    assert stored.err.endswith("To send them:  batchrun --simulate run small\n")
    shown = batchrun("submit", "small.jsonl", "--simulate", "--progress", "none")
    assert "already: 3 to do\n" in shown.err
    assert "Done. run=small succeeded=3" in shown.err


def test_an_edited_file_adds_what_changed(batchrun: Batchrun, tmp_path: Path, three: Path) -> None:
    batchrun("submit", "small.jsonl", "--simulate", "--no-run")
    jobs_file(three, ["one", "two, changed", "three", "four"])
    shown = batchrun("submit", "small.jsonl", "--simulate", "--no-run")
    assert "✓ added to run small (r-1): 1 new, 1 changed; 2 were there\n" in shown.err


def test_a_job_that_changed_after_its_answer_is_a_problem_until_one_says_what_to_do(
    batchrun: Batchrun, three: Path
) -> None:
    batchrun("submit", "small.jsonl", "--simulate")
    jobs_file(three, ["one", "two, changed", "three"])
    refused = batchrun("submit", "small.jsonl", "--simulate")
    assert refused.code == 2
    assert "`doc-1` changed since it was submitted from small.jsonl:2" in refused.err
    assert refused.err.endswith("error: 1 error; nothing was added\nhint: correct them and submit again\n")
    dry = batchrun("submit", "small.jsonl", "--simulate", "--changed", "keep", "--dry-run")
    assert dry.err.endswith("Nothing would be added: 1 changed, kept as it was\n")
    kept = batchrun("submit", "small.jsonl", "--simulate", "--changed", "keep")
    assert kept.code == 0
    assert (
        "Nothing to add: 1 changed, kept as it was; the rest is in run small (r-1) already: 3 succeeded\n" in kept.err
    )
    jobs_file(three, ["one", "two, changed", "three, too", "four"])
    more = batchrun("submit", "small.jsonl", "--simulate", "--changed", "keep", "--no-run")
    assert "1 new; 1 was there, 2 changed, kept as they were\n" in more.err
    jobs_file(three, ["one", "two, changed", "three", "four"])
    again = batchrun("submit", "small.jsonl", "--simulate", "--changed", "again")
    assert "1 changed" in again.err


def test_all_problems_are_shown_and_nothing_is_added(batchrun: Batchrun, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text(
        '{"id": "a", "model": "claude-haiku-5-5", "max_tokens": "lots", "prompt": "x"}\nnot json\n'
    )
    shown = batchrun("submit", "bad.jsonl", "missing.jsonl", "--simulate")
    assert shown.code == 2
    assert "bad.jsonl:1:56: `max_tokens` must be a whole number" in shown.err
    assert "bad.jsonl:2:1: " in shown.err
    assert "missing.jsonl:1:1: there is no such file" in shown.err
    assert "error: 3 errors in 2 files; nothing was added\n" in shown.err
    assert not (tmp_path / "batchrun-simulated.db").exists()


SHORT = '"model": "claude-haiku-5-5", "max_tokens": 64'
MIXED = [
    f'{{"id": "a", {SHORT}, "prompt": "1"}}',
    f'{{"id": "b", {SHORT}, "prompt": 2}}',
    f'{{"id": "a", {SHORT}, "prompt": "3"}}',
    f'{{"id": "c", {SHORT}}}',
    f'{{"id": "c", {SHORT}, "prompt": "5"}}',
    f'{{"id": "b", {SHORT}, "prompt": "6", "max_tokens": 9}}',
]
YAML = """version: 1
defaults: {model: claude-haiku-5-5, max_tokens: lots}
jobs:
  - {id: one, prompt: x}
  - {id: two, prompt: x}
  - {id: one, prompt: y}
"""


def told(shown: Shown) -> set[str]:
    """Place and beginning of each error."""
    lines = (shown.out + shown.err).splitlines()
    return {line.partition(": ")[2] for line in lines if line.startswith("error: ") and "   BR" in line}


@pytest.mark.parametrize("before", [0, 999, 1_000, 2_500])
@pytest.mark.parametrize("known", [False, True])
def test_an_error_hides_no_id_that_stands_twice(
    before: int, known: bool, batchrun: Batchrun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = [f'{{"id": "good-{n}", {SHORT}, "prompt": "x"}}' for n in range(before)]
    path = tmp_path / "bad.jsonl"
    if known:
        path.write_text("\n".join([*good, MIXED[0]]))
        batchrun("submit", "bad.jsonl", "--simulate", "--no-run")
    path.write_text("\n".join([*good, *MIXED]))
    shown = batchrun("submit", "bad.jsonl", "--simulate")
    assert shown.code == 2
    assert f"bad.jsonl:{before + 3}:1: the id `a` is taken by bad.jsonl:{before + 1}   BR101\n" in shown.err
    assert f"bad.jsonl:{before + 5}:1: the id `c` is taken by bad.jsonl:{before + 4}   BR101\n" in shown.err
    assert "error: 5 errors; nothing was added\n" in shown.err
    assert told(shown) == told(batchrun("check", "bad.jsonl"))
    assert batchrun("status", "--simulate", "--json").code == 0


def test_nor_does_one_in_the_defaults_of_a_file(batchrun: Batchrun, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(YAML)
    shown = batchrun("submit", "bad.yaml", "--simulate")
    assert "bad.yaml:6:5: the id `one` is taken by bad.yaml:4   BR101\n" in shown.err
    assert "error: 2 errors; nothing was added\n" in shown.err
    assert told(shown) == told(batchrun("check", "bad.yaml"))
    assert not (tmp_path / "batchrun-simulated.db").exists()


def test_a_dry_run_without_a_queue_finds_what_a_submit_finds(batchrun: Batchrun, tmp_path: Path) -> None:
    (tmp_path / "twice.jsonl").write_text("\n".join([MIXED[0], MIXED[2]]))
    shown = batchrun("submit", "twice.jsonl", "--simulate", "--dry-run")
    assert shown.code == 2
    assert "the id `a` is taken by twice.jsonl:1" in shown.err
    assert [path.name for path in tmp_path.iterdir()] == ["twice.jsonl"]


def test_requests_that_do_not_go_to_anthropic_name_where_they_go(
    batchrun: Batchrun, three: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "sent to" not in batchrun("submit", "small.jsonl", "--dry-run").err
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "https://gateway.example:8443/team-7/")
    shown = batchrun("submit", "small.jsonl", "--dry-run")
    assert "\n  sent to https://gateway.example:8443, which is not Anthropic's (`base_url`)\n" in shown.err
    assert batchrun("submit", "small.jsonl", "--no-run").err.startswith("Checked small.jsonl")
    assert " · sent to https://gateway.example:8443\n" in batchrun("submit", "small.jsonl", "--again", "--no-run").err
    assert "sent to" not in batchrun("submit", "small.jsonl", "--simulate", "--no-run").err
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "https://api.anthropic.com/v1")
    assert "sent to" not in batchrun("submit", "small.jsonl", "--dry-run", "--again").err


def test_jobs_whose_cost_has_no_bound_are_one_folded_problem(batchrun: Batchrun, tmp_path: Path) -> None:
    jobs_file(tmp_path / "new.jsonl", ["x"] * 1_200, model="claude-newest-9")
    shown = batchrun("submit", "new.jsonl", "--simulate", "--max-cost", "1")
    assert shown.code == 2
    assert shown.err.count("(the price of `claude-newest-9` is unknown), and its run has a cost cap   BR201\n") == 1
    assert "… and 1,199 more BR201 in new.jsonl (lines 2–1,200); --all shows each\n" in shown.err
    assert "error: 1,200 errors and 1,200 warnings; nothing was added\n" in shown.err
    jobs_file(tmp_path / "known.jsonl", ["x"])
    batchrun("submit", "known.jsonl", "--simulate", "--max-cost", "1", "--no-run")
    jobs_file(tmp_path / "known.jsonl", ["x", "y"], model="claude-newest-9")
    assert "error: 2 errors" in batchrun("submit", "known.jsonl", "--simulate", "--changed", "keep").err


def test_more_errors_than_can_be_listed_are_counted(batchrun: Batchrun, tmp_path: Path) -> None:
    known = jobs_file(tmp_path / "known.jsonl", ["x"] * 1_200)
    known.write_text(known.read_text() * 2)
    shown = batchrun("submit", "known.jsonl", "--simulate")
    assert "… and 200 more errors: too many to list\n" in shown.err
    assert "error: 1,200 errors; nothing was added\n" in shown.err


def test_under_json_problems_are_lines_and_the_error_is_the_last(batchrun: Batchrun, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("not json\n")
    shown = batchrun("submit", "bad.jsonl", "--json")
    problem, error = (json.loads(line) for line in shown.err.splitlines())
    assert (problem["event"], problem["file"], problem["line"]) == ("problem", "bad.jsonl", 1)
    assert (error["event"], error["exit"], error["message"]) == ("error", 2, "1 error; nothing was added")


def test_json_is_one_launch_and_one_done(batchrun: Batchrun, three: Path) -> None:
    shown = batchrun("submit", "small.jsonl", "--simulate", "--json", "--progress", "none")
    launch, done = records(shown)
    assert (launch["event"], launch["schema"], launch["simulated"]) == ("launch", "batchrun.launch/1", True)
    assert launch["runs"] == [{"id": "r-1", "name": "small"}]
    assert (launch["new"], launch["changed"], launch["unchanged"]) == (3, 0, 0)
    assert launch["estimate"]["jobs"] == 3
    assert launch["estimate"]["cost_most"]["currency"] == "USD"
    assert (done["event"], done["schema"], done["exit"]) == ("done", "batchrun.done/1", 0)
    assert done["runs"][0]["counts"] == {"succeeded": 3}


@pytest.mark.parametrize("more", [["--no-run"], []])
def test_json_is_the_same_two_records_where_nothing_is_sent(more: list[str], batchrun: Batchrun, three: Path) -> None:
    if not more:
        batchrun("submit", "small.jsonl", "--simulate")
    launch, done = records(batchrun("submit", "small.jsonl", "--simulate", "--json", *more))
    assert (launch["event"], launch["pid"]) == ("launch", None)
    assert (done["event"], done["exit"]) == ("done", 0)


def test_a_dry_run_changes_nothing_and_shows_whole_requests(batchrun: Batchrun, tmp_path: Path, three: Path) -> None:
    shown = batchrun("submit", "small.jsonl", "--simulate", "--dry-run", "-n", "2")
    assert shown.code == 0
    first, second = records(shown)
    assert first == {
        "id": "doc-0",
        "request": {
            "model": "claude-haiku-5-5",
            "max_tokens": 64,
            "messages": [{"role": "user", "content": "one"}],
        },
    }
    assert second["id"] == "doc-1"
    assert "Would store run small: 3 jobs" in shown.err
    assert list(tmp_path.glob("*.db")) == []
    batchrun("submit", "small.jsonl", "--simulate", "--no-run")
    assert "Nothing would be added" in batchrun("submit", "small.jsonl", "--simulate", "--dry-run").err


def test_a_dry_run_over_a_known_run_says_what_would_change(batchrun: Batchrun, three: Path) -> None:
    batchrun("submit", "small.jsonl", "--simulate", "--no-run")
    jobs_file(three, ["one", "two", "three", "four"])
    document = json.loads(batchrun("submit", "small.jsonl", "--simulate", "--dry-run", "--json").out)
    assert (document["schema"], document["dry_run"]) == ("batchrun.submit/1", True)
    assert (document["new"], document["changed"], document["jobs"]) == (1, 0, 4)
    assert json.loads(batchrun("status", "--simulate", "--json").out)["runs"][0]["total"] == 3


def test_failures_are_exit_1_with_the_next_command(batchrun: Batchrun, tmp_path: Path) -> None:
    jobs_file(tmp_path / "mixed.jsonl", ["fine", "[[simulate: 400]]"])
    shown = batchrun("submit", "mixed.jsonl", "--simulate", "--progress", "none")
    assert shown.code == 1
    assert "Done. run=mixed succeeded=1 failed=1 cancelled=0 total=2" in shown.err
    assert "What failed, and what to do:  batchrun --simulate errors mixed\n" in shown.err


def test_quiet_says_nothing_when_all_is_well(batchrun: Batchrun, three: Path) -> None:
    shown = batchrun("submit", "small.jsonl", "--simulate", "--quiet")
    assert (shown.code, shown.out, shown.err) == (0, "", SIMULATED)


def test_quiet_sums_up_what_is_not_well(batchrun: Batchrun, tmp_path: Path) -> None:
    jobs_file(tmp_path / "mixed.jsonl", ["fine", "[[simulate: 400]]"])
    shown = batchrun("submit", "mixed.jsonl", "--simulate", "--quiet")
    assert shown.code == 1
    (line,) = shown.err.removeprefix(SIMULATED).splitlines()
    assert line.startswith("Done. run=mixed succeeded=1 failed=1")


def test_plain_progress_has_a_line_at_once(batchrun: Batchrun, three: Path) -> None:
    shown = batchrun("submit", "small.jsonl", "--simulate", "--progress", "plain", "-v")
    assert "MOMENT working on small\n" in settled(shown.err)


def test_json_progress_tells_of_failed_jobs(batchrun: Batchrun, tmp_path: Path) -> None:
    jobs_file(tmp_path / "mixed.jsonl", ["fine", "[[simulate: 400]]"])
    shown = batchrun("submit", "mixed.jsonl", "--simulate", "--progress", "json", "--quiet")
    events = [json.loads(line) for line in shown.err.splitlines() if line.startswith("{")]
    (failed,) = [event for event in events if event["event"] == "job_failed"]
    assert (failed["key"], failed["status"], failed["error"]) == ("doc-1", 400, "invalid_request_error")
    assert [event for event in events if event["event"] == "progress"][-1]["failed"] == 1
    assert (events[0]["event"], events[-1]["event"], events[-1]["exit"]) == ("launch", "done", 1)


def test_ctrl_c_while_reading_adds_nothing(batchrun: Batchrun, three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("batchrun.queue.loading.Loading.draft", interrupted)
    shown = batchrun("submit", "small.jsonl", "--simulate")
    assert shown.code == 130
    assert shown.err.endswith("Stopped. Nothing was added.\n")
    assert "No runs yet." in batchrun("status", "--format", "text", "--simulate").out


def test_answers_that_were_seen_make_the_estimate(batchrun: Batchrun, tmp_path: Path) -> None:
    jobs_file(tmp_path / "many.jsonl", [f"number {n}" for n in range(30)], max_tokens=8_000)
    guessed = json.loads(batchrun("submit", "many.jsonl", "--simulate", "--dry-run", "--json").out)["estimate"]
    batchrun("submit", "many.jsonl", "--simulate", "-q")
    seen = json.loads(batchrun("submit", "many.jsonl", "--simulate", "--again", "--dry-run", "--json").out)["estimate"]
    spent = json.loads(batchrun("status", "--simulate", "--json").out)["runs"][0]["spent"]["amount"]
    assert float(seen["cost_likely"]["amount"]) == pytest.approx(float(spent), rel=0.2)
    assert float(guessed["cost_likely"]["amount"]) > 2 * float(spent)
    assert "from 30 answers of 1 run" in batchrun("submit", "many.jsonl", "--simulate", "--again", "--dry-run").err


# -- asking ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def dear(tmp_path: Path) -> Path:
    """Jobs that may cost more than one is asked for."""
    return jobs_file(tmp_path / "dear.jsonl", ["x"] * 300, model="claude-opus-5-5", max_tokens=8_000)


def test_without_a_person_a_dear_submit_needs_a_flag(batchrun: Batchrun, dear: Path) -> None:
    shown = batchrun("submit", "dear.jsonl", "--no-run", "--mode", "realtime")
    assert shown.code == 2
    assert shown.err.endswith(
        "  mode    realtime (asked for)\n"
        "  tokens  ≈ 3,300 in, ≤ 2.4 M out (likely 379 k, a guess)\n"
        "  cost    likely $7.59, at most $48.11\n"
        "  time    ≈ 57s with the limits to start from: output tokens are the limit\n"
        "\n"
        "error: this may cost up to $48.11; pass --yes, or --max-cost 49 to bound it\n"
    )
    assert batchrun("status", "--format", "text").out == "No runs yet.\n"


@pytest.mark.parametrize("flags", [["--yes"], ["--max-cost", "49"]])
def test_a_flag_answers_the_question(flags: list[str], batchrun: Batchrun, dear: Path) -> None:
    shown = batchrun("submit", "dear.jsonl", "--no-run", *flags)
    assert shown.code == 0
    assert "stored run dear (r-1): 300 jobs" in shown.err


@pytest.mark.parametrize(("typed", "code", "said"), [("y\n", 0, "stored run dear"), ("n\n", 2, "Nothing was added.")])
def test_a_person_is_asked(
    typed: str, code: int, said: str, dear: Path, monkeypatch: pytest.MonkeyPatch, batchrun: Batchrun
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    monkeypatch.setattr("batchrun.cli.confirm.is_terminal", lambda stream: True)
    shown = batchrun("submit", "dear.jsonl", "--no-run", "--mode", "realtime")
    assert shown.code == code
    assert "Submit 300 jobs, at most $48.11? [y/N] " in shown.err
    assert said in shown.err


def test_batches_are_asked_about_at_their_price(batchrun: Batchrun, tmp_path: Path) -> None:
    jobs_file(tmp_path / "dear.jsonl", ["x"] * 600, model="claude-opus-5-5", max_tokens=8_000)
    shown = batchrun("submit", "dear.jsonl", "--no-run")
    assert shown.code == 2
    assert shown.err.endswith(
        "  mode    batch (half the price, and there is no deadline)\n"
        "  pilots  1 job first in realtime, to see that the others are not sent in vain\n"
        "  tokens  ≈ 6,600 in, ≤ 4.8 M out (likely 758 k, a guess)\n"
        "  cost    likely $7.60, at most $48.19; all in realtime likely $15.18\n"
        "  time    most batches end within the hour; what is not done in 24 h expires and is sent again\n"
        "\n"
        "error: this may cost up to $48.19; pass --yes, or --max-cost 49 to bound it\n"
    )
    assert batchrun("submit", "dear.jsonl", "--no-run", "--mode", "realtime", "--max-cost", "1").code == 0


def test_an_unknown_price_is_said_and_asked_about(batchrun: Batchrun, tmp_path: Path) -> None:
    jobs_file(tmp_path / "new.jsonl", ["x"], model="claude-newest-9")
    shown = batchrun("submit", "new.jsonl", "--no-run")
    assert shown.code == 2
    assert "  cost    not known (no price of `claude-newest-9`)\n" in shown.err
    assert "error: what this costs is not known (no price of `claude-newest-9`); pass --yes\n" in shown.err
    capped = batchrun("submit", "new.jsonl", "--no-run", "--max-cost", "5")
    assert capped.code == 2
    assert "its run has a cost cap" in capped.err
    assert batchrun("submit", "new.jsonl", "--no-run", "--yes").code == 0


def test_a_cost_cap_stops_the_run_with_6(batchrun: Batchrun, three: Path) -> None:
    shown = batchrun("submit", "small.jsonl", "--simulate", "--max-cost", "0.00006", "--progress", "none")
    assert shown.code == 6
    assert "the rest is queued" in shown.err
    assert "Open. run=small succeeded=" in shown.err
    status = batchrun("status", "--format", "text", "--simulate").out
    said = "Its cost cap leaves no money for another job: batchrun --simulate submit small.jsonl --max-cost MORE\n"
    assert status.endswith(said)
    assert batchrun("run", "--simulate").code == 6
    assert batchrun("submit", "small.jsonl", "--simulate", "--max-cost", "1").code == 0


def test_a_named_run_is_named_where_it_is_told_how_to_go_on(batchrun: Batchrun, three: Path) -> None:
    batchrun("submit", "small.jsonl", "--simulate", "--name", "night", "--max-cost", "0.00001", "-q")
    assert (
        "submit small.jsonl --name night --max-cost MORE\n" in batchrun("status", "--format", "text", "--simulate").out
    )
    batchrun("submit", "small.jsonl", "--simulate", "--name", "night", "--max-cost", "1", "-q")
    assert "Look: " in batchrun("status", "--format", "text", "--simulate").out


def test_a_cap_that_changes_is_said(batchrun: Batchrun, three: Path) -> None:
    said = "✓ the cost cap of run small (r-1) is "
    first = batchrun("submit", "small.jsonl", "--simulate", "--no-run")
    assert said not in first.err
    given = batchrun("submit", "small.jsonl", "--simulate", "--no-run", "--max-cost", "0.01")
    assert f"{said}$0.01 now; it had none\n" in given.err
    assert said not in batchrun("submit", "small.jsonl", "--simulate", "--no-run", "--max-cost", "0.01").err
    assert said not in batchrun("submit", "small.jsonl", "--simulate", "--dry-run", "--max-cost", "0.02").err
    jobs_file(three, ["one", "two", "three", "four"])
    raised = batchrun("submit", "small.jsonl", "--simulate", "--no-run", "--max-cost", "0.02")
    assert f"{said}$0.02 now; it was $0.01\n" in raised.err
    assert json.loads(batchrun("status", "--simulate", "--json").out)["runs"][0]["max_cost"]["amount"] == "0.02"


# -- batches or realtime ---------------------------------------------------------------------------------------------


@pytest.fixture
def hundred(tmp_path: Path) -> Path:
    path = jobs_file(tmp_path / "hundred.jsonl", [f"number {n}" for n in range(100)])
    fast = '{"id": "fast", "model": "claude-opus-5-5", "max_tokens": 64, "speed": "fast", "prompt": "x"}\n'
    path.write_text(path.read_text() + "\n" + fast)
    return path


def terms(batchrun: Batchrun, *columns: str) -> list[Any]:
    """What the last run's row says."""
    path = json.loads(batchrun("status", "--simulate", "--json").out)["database"]
    with sqlite3.connect(path) as database:
        return list(database.execute(f"SELECT {', '.join(columns)} FROM runs ORDER BY id DESC").fetchone())


def estimate_of(batchrun: Batchrun, *args: str) -> Any:
    return json.loads(batchrun("submit", *args, "--simulate", "--dry-run", "--json").out)["estimate"]


def test_more_than_a_few_jobs_go_in_batches(batchrun: Batchrun, three: Path, hundred: Path) -> None:
    few, many = estimate_of(batchrun, "small.jsonl"), estimate_of(batchrun, "hundred.jsonl")
    assert (few["mode"], few["why"], few["realtime_jobs"]) == ("realtime", "3 jobs are too few for a batch", 3)
    assert (many["mode"], many["why"]) == ("batch", "half the price, and there is no deadline")
    assert (many["realtime_jobs"], many["pilots"]) == (2, 1)
    assert few["seconds"] == few["seconds_realtime"] is not None
    assert many["seconds"] is None
    assert many["seconds_realtime"] is not None


def test_half_the_price_is_what_is_told(batchrun: Batchrun, hundred: Path) -> None:
    batch = estimate_of(batchrun, "hundred.jsonl", "--no-pilot")
    realtime = estimate_of(batchrun, "hundred.jsonl", "--mode", "realtime")
    for bound in ("cost_likely", "cost_most"):
        share = float(batch[bound]["amount"]) / float(realtime[bound]["amount"])
        assert 0.5 < share < 0.75, bound  # one job is fast, and dear
    assert batch["cost_likely_realtime"] == realtime["cost_likely"] == realtime["cost_likely_realtime"]
    shown = batchrun("submit", "hundred.jsonl", "--simulate", "--no-run")
    assert "101 jobs, 2 models, no problems · in batches · cost likely $" in shown.err
    checked = batchrun("check", "hundred.jsonl")
    assert "101 jobs, 2 models, no problems · in batches · cost likely $" in checked.err


def test_a_dry_run_says_which_jobs_go_apart(batchrun: Batchrun, hundred: Path) -> None:
    shown = batchrun("submit", "hundred.jsonl", "--simulate", "--dry-run", "--pilot", "7")
    assert "  mode    batch (half the price, and there is no deadline)\n" in shown.err
    assert "  pilots  7 jobs first in realtime, to see that the others are not sent in vain\n" in shown.err
    assert "  apart   1 job in realtime, for batches refuse it\n" in shown.err


def test_a_deadline_is_kept_with_the_run_and_it_is_said_whether_it_is_met(batchrun: Batchrun, hundred: Path) -> None:
    far = batchrun("submit", "hundred.jsonl", "--simulate", "--no-run", "--deadline", "3h")
    assert re.search(r"^Deadline .+ is met: what batches have not done by .+ goes in realtime$", far.err, re.MULTILINE)
    (deadline,) = terms(batchrun, "deadline")
    assert deadline == pytest.approx(time.time() * 1000 + 3 * 3_600_000, abs=600_000)
    near = estimate_of(batchrun, "hundred.jsonl", "--deadline", "30m")
    assert near is None  # there is nothing to add
    batchrun("submit", "hundred.jsonl", "--simulate", "--no-run", "--deadline", "30m")
    assert terms(batchrun, "deadline")[0] < deadline
    near = estimate_of(batchrun, "hundred.jsonl", "--again", "--deadline", "30m")
    assert near["mode"] == "realtime"
    assert near["why"].endswith("too near the deadline for batches")
    assert (near["deadline_met"], near["rescue"]) == (True, None)
    missed = estimate_of(batchrun, "hundred.jsonl", "--again", "--deadline", "1s")
    assert missed["deadline_met"] is False
    shown = batchrun("submit", "hundred.jsonl", "--simulate", "--again", "--dry-run", "--deadline", "1s")
    assert re.search(r"^  until   .+ is not met: about .+ in realtime$", shown.err, re.MULTILINE)


def test_what_a_run_has_still_to_do_counts_towards_its_deadline(batchrun: Batchrun, hundred: Path) -> None:
    batchrun("submit", "hundred.jsonl", "--simulate", "--no-run")
    hundred.write_text(hundred.read_text() + MIXED[0] + "\n")
    found = estimate_of(batchrun, "hundred.jsonl", "--deadline", "10m")
    assert (found["jobs"], found["why"].partition(" take")[0]) == (1, "102 jobs")
    shown = batchrun("submit", "hundred.jsonl", "--simulate", "--dry-run", "--deadline", "5s")
    assert re.search(r"^  until   .+ is not met: about 6s in realtime$", shown.err, re.MULTILINE)


def test_terms_are_told_to_the_run_and_stay_where_nothing_is_said(batchrun: Batchrun, three: Path) -> None:
    names = ("mode", "deadline", "pilot", "look", "on_unclear")
    batchrun("submit", "small.jsonl", "--simulate", "--no-run")
    assert terms(batchrun, *names) == ["auto", None, 1, 0, "wait"]
    batchrun(
        "submit", "small.jsonl", "--simulate", "--no-run", "--mode", "batch", "--pilot", "2", "--on-unclear", "resend"
    )
    assert terms(batchrun, *names) == ["batch", None, 2, 1, "resend"]
    batchrun("submit", "small.jsonl", "--simulate", "--no-run")
    assert terms(batchrun, *names) == ["batch", None, 2, 1, "resend"]
    batchrun("submit", "small.jsonl", "--simulate", "--no-run", "--no-pilot", "--on-unclear", "wait")
    assert terms(batchrun, *names) == ["batch", None, 0, 0, "wait"]


def test_new_jobs_go_the_way_of_their_run(batchrun: Batchrun, hundred: Path) -> None:
    batchrun("submit", "hundred.jsonl", "--simulate", "--no-run", "--mode", "realtime")
    hundred.write_text(hundred.read_text() + MIXED[0] + "\n")
    assert estimate_of(batchrun, "hundred.jsonl")["mode"] == "realtime"
    assert estimate_of(batchrun, "hundred.jsonl", "--mode", "auto")["mode"] == "batch"  # the run has 102 jobs


def test_a_file_of_which_nothing_may_go_in_a_batch_goes_realtime(batchrun: Batchrun, three: Path) -> None:
    found = estimate_of(batchrun, "small.jsonl", "--mode", "batch", "--pilot", "3")
    assert (found["mode"], found["why"]) == ("realtime", "none of these jobs goes in a batch")


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["small.jsonl", "--mode", "fast"], "`mode` must be one of auto, batch, realtime"),
        (["small.jsonl", "--deadline", "tomorrow"], "`--deadline tomorrow` must be a time such as 06:30"),
        (["small.jsonl", "--deadline", "2026-01-01 06:30"], "`--deadline 2026-01-01 06:30` is past"),
        (["small.jsonl", "--pilot", "2", "--no-pilot"], "`--pilot` and `--no-pilot` contradict each other"),
        (["small.jsonl", "--pilot", "0"], "`--pilot`: 0 is not in the range"),
        (["small.jsonl", "-n", "2"], "`-n` says how many requests --dry-run writes"),
        (["-", "-"], "standard input can be read only once"),
        (["small.jsonl", "--max-cost", "much"], "`max_cost` must be an amount of dollars"),
        (["small.jsonl", "--name", "~x"], "a run cannot be called `~x`"),
        ([], "no job file is named"),
    ],
)
def test_what_cannot_be_meant_is_refused(args: list[str], words: str, batchrun: Batchrun, three: Path) -> None:
    shown = batchrun("submit", *args)
    assert shown.code == 2
    assert words in shown.err


def test_without_a_key_the_jobs_stay_queued_and_it_says_what_to_do_then(batchrun: Batchrun, three: Path) -> None:
    shown = batchrun("submit", "small.jsonl")
    assert shown.code == 4
    assert "✓ stored run small (r-1): 3 jobs\n" in shown.err
    assert "error: there is no API key; 3 jobs of run small are stored\n" in shown.err
    assert "hint: `batchrun run small` sends them once there is a good key: set ANTHROPIC_API_KEY, " in shown.err
    quiet = batchrun("submit", "small.jsonl", "--json", "--quiet")
    assert (quiet.code, quiet.out) == (4, "")
    error = json.loads(quiet.err.splitlines()[-1])
    assert (error["code"], error["exit"]) == ("key", 4)
    assert "3 jobs of run small are stored" in error["message"]


def test_a_real_queue_and_a_simulated_one_never_mix(batchrun: Batchrun, three: Path) -> None:
    batchrun("submit", "small.jsonl", "--simulate", "--no-run")
    shown = batchrun("submit", "small.jsonl", "--db", "batchrun-simulated.db", "--no-run")
    assert shown.code == 2
    batchrun("submit", "small.jsonl", "--no-run")
    assert batchrun("submit", "small.jsonl", "--simulate", "--db", "batchrun.db", "--no-run").code == 2


def test_while_somebody_works_here_jobs_are_only_stored(batchrun: Batchrun, tmp_path: Path, three: Path) -> None:
    path = tmp_path / "batchrun-simulated.db"
    close_queue(open_queue(path, simulated=True))
    locks = Locks(path)
    locks.hold_run(card(), exclusive=True)
    shown = batchrun("submit", "small.jsonl", "--simulate")
    locks.close()
    assert shown.code == 0
    assert "batchrun is already running here" in shown.err
    assert "It takes these jobs too. To look:  batchrun --simulate status small\n" in shown.err


def test_standard_input_is_a_file_too(batchrun: Batchrun, three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with three.open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        shown = batchrun("submit", "-", "--simulate", "--name", "stream", "--progress", "none")
    assert shown.code == 0
    assert "Done. run=stream succeeded=3" in shown.err


def test_an_input_that_names_itself_cleverly_moves_no_cursor(batchrun: Batchrun, tmp_path: Path) -> None:
    name = "a\x1b[2Jb.jsonl"
    jobs_file(tmp_path / name, ["x"])
    shown = batchrun("submit", name, "--simulate", "--no-run")
    assert "\x1b" not in shown.err
    assert "a\\x1b[2Jb" in shown.err


def test_a_run_waits_for_its_hours_and_every_screen_says_until_when(batchrun: Batchrun, tmp_path: Path) -> None:
    jobs_file(tmp_path / "night.jsonl", ["one", "two"])
    now = datetime.now(UTC)
    sent = f"{now + timedelta(hours=2):%H}:00-{now + timedelta(hours=3):%H}:00 UTC"
    shown = batchrun("submit", "night.jsonl", "--simulate", "--hours", sent)
    assert shown.code == 0
    assert "night waits until " in shown.err
    assert "queued=2" in shown.err
    status = batchrun("status", "--format", "text", "--simulate")
    assert f"sent {sent}" in status.out
    assert "Waits until " in status.out
    (run,) = json.loads(batchrun("status", "--simulate", "--json").out)["runs"]
    assert run["hours"] == sent
    assert run["hours_open"].endswith(":00:00Z")
    assert "night waits until " in batchrun("run", "--once", "--simulate").err
    dry = batchrun("submit", "night.jsonl", "--again", "--simulate", "--hours", sent, "--dry-run")
    assert f"hours   {sent}; nothing is sent before " in dry.err
    shown = batchrun("submit", "night.jsonl", "--simulate", "--hours", "always")
    assert "succeeded=2" in shown.err


def test_hours_that_are_none_are_refused_before_anything_is_read(batchrun: Batchrun) -> None:
    shown = batchrun("submit", "night.jsonl", "--simulate", "--hours", "22:00-06:00 Berlin")
    assert shown.code == 2
    assert "--hours: `hours` must end with a time zone such as Europe/Berlin or UTC: `Berlin` is none here" in shown.err
