from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from batchrun.cli import main
from batchrun.core.select import Facts, Selection
from tests.cli.conftest import Batchrun, jobs_file
from tests.stock import Stock

FAILS = "[[simulate: 400]]"
BREAKS = "[[simulate: 500]]"


@pytest.fixture
def failed(swift: None, batchrun: Batchrun, tmp_path: Path) -> Batchrun:
    """The program in a folder with a run: one answer, one job that was refused, one that ran out of tries."""
    jobs_file(tmp_path / "mixed.jsonl", ["fine", FAILS, BREAKS])
    batchrun("submit", "mixed.jsonl", "--simulate", "--tries", "1", "-q")
    return batchrun


def counts(batchrun: Batchrun) -> dict[str, int]:
    found = json.loads(batchrun("status", "--simulate", "--json").out)["runs"][0]["counts"]
    return {state: n for state, n in found.items() if n}


def test_by_default_what_failed_is_put_back_but_not_what_was_refused(failed: Batchrun) -> None:
    assert counts(failed) == {"succeeded": 1, "failed": 2}
    dry = failed("retry", "--simulate", "--dry-run")
    assert dry.code == 0
    assert dry.out == "Would put back 1 job of run mixed (1 api_error)\n"
    assert "Not 1 refused (1 invalid_request_error): the same request would be refused again" in dry.err
    assert counts(failed) == {"succeeded": 1, "failed": 2}
    shown = failed("retry", "--simulate", "--progress", "none")
    assert "✓ 1 job put back (1 api_error)\n" in shown.err
    assert len(json.loads(failed("show", "doc-2", "--simulate", "--json").out)["attempts"]) == 2
    assert len(json.loads(failed("show", "doc-1", "--simulate", "--json").out)["attempts"]) == 1


def test_with_nothing_to_retry_all_is_well(swift: None, batchrun: Batchrun, tmp_path: Path) -> None:
    jobs_file(tmp_path / "fine.jsonl", ["one"])
    batchrun("submit", "fine.jsonl", "--simulate", "-q")
    shown = batchrun("retry", "--simulate")
    assert shown.code == 0
    assert shown.err.endswith("Nothing to retry.\n")


def test_with_nothing_to_retry_nothing_else_is_promised(batchrun: Batchrun, tmp_path: Path) -> None:
    jobs_file(tmp_path / "fresh.jsonl", ["one", "two"])
    batchrun("submit", "fresh.jsonl", "--simulate", "-q", "--no-run")
    for flags in ([], ["--no-run"], ["--dry-run"]):
        shown = batchrun("retry", "--simulate", *flags)
        assert shown.code == 0
        assert shown.err.endswith("Nothing to retry. 2 jobs still to do:  batchrun --simulate status fresh\n")
    assert counts(batchrun) == {"queued": 2}
    launch, done = (json.loads(line) for line in batchrun("retry", "--simulate", "--json").out.splitlines())
    assert (launch["put_back"], done["exit"]) == (0, 0)


def test_refused_ones_can_be_included(failed: Batchrun) -> None:
    shown = failed("retry", "--simulate", "--include", "refused", "--no-run")
    assert "✓ 2 jobs put back" in shown.err
    assert shown.err.endswith("To send them:  batchrun --simulate run mixed\n")


def test_a_selection_puts_back_exactly_what_it_names(failed: Batchrun) -> None:
    shown = failed("retry", "--simulate", "-s", "error:invalid_request", "--no-run")
    assert "✓ 1 job put back (1 invalid_request_error)\n" in shown.err
    assert counts(failed) == {"succeeded": 1, "failed": 1, "queued": 1}


def test_a_selection_that_fits_nothing_is_5(failed: Batchrun) -> None:
    shown = failed("retry", "--simulate", "-s", "id:nobody")
    assert shown.code == 5
    assert "no job of mixed matches `id:nobody`" in shown.err


def test_answers_are_never_asked_for_twice(failed: Batchrun) -> None:
    shown = failed("retry", "--simulate", "-s", "state:succeeded")
    assert shown.code == 0
    assert "Not 1 chosen that have their answer\n" in shown.err
    assert counts(failed) == {"succeeded": 1, "failed": 2}


def test_parameters_can_be_set_anew(failed: Batchrun, tmp_path: Path) -> None:
    shown = failed("retry", "--simulate", "--set", "max_tokens=99", "--set", 'system="Briefly."', "--no-run")
    assert "✓ 2 jobs put back" in shown.err
    request = json.loads(failed("show", "doc-1", "--simulate", "--request").out)
    assert (request["max_tokens"], request["system"]) == (99, "Briefly.")


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        ("max_token=5", "`--set max_token`: no such parameter; did you mean `max_tokens`?"),
        ("max_tokens=lots", "`--set max_tokens`: `max_tokens` must be a whole number"),
        ("max_tokens", "`--set max_tokens` is not NAME=VALUE"),
        ("temperature=NaN", "`--set temperature`: "),
    ],
)
def test_a_parameter_that_cannot_be_is_refused_before_anything_is_put_back(
    sets: str, words: str, failed: Batchrun
) -> None:
    shown = failed("retry", "--simulate", "--set", sets)
    assert shown.code == 2
    assert words in shown.err
    assert counts(failed) == {"succeeded": 1, "failed": 2}


def test_what_somebody_else_put_back_meanwhile_is_not_counted(
    failed: Batchrun, monkeypatch: pytest.MonkeyPatch
) -> None:
    holds = Selection.holds

    def slow(self: Selection, job: Facts) -> bool:
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(Selection, "holds", holds)
            main.run(["retry", "--simulate", "-s", "id:doc-1", "--no-run", "-q"])
        return holds(self, job)

    monkeypatch.setattr(Selection, "holds", slow)
    launch, _ = (
        json.loads(line)
        for line in failed("retry", "--simulate", "-s", "state:failed", "--no-run", "--json").out.splitlines()
    )
    assert launch["put_back"] == 1
    assert counts(failed) == {"succeeded": 1, "queued": 2}


def test_a_dry_run_is_a_document(failed: Batchrun) -> None:
    document = json.loads(failed("retry", "--simulate", "--dry-run", "--json").out)
    assert document == {
        "schema": "batchrun.retry/1",
        "simulated": True,
        "dry_run": True,
        "run": {"id": "r-1", "name": "mixed"},
        "put_back": 1,
        "by_error": {"api_error": 1},
        "refused": 1,
        "left": {},
    }


def test_a_retry_is_a_launch_and_a_done(failed: Batchrun) -> None:
    launch, done = (json.loads(line) for line in failed("retry", "--simulate", "--json", "-q").out.splitlines())
    assert (launch["event"], launch["put_back"]) == ("launch", 1)
    assert (done["event"], done["exit"]) == ("done", 1)


HELD = (
    "2 held: possibly billed when its worker died, and the run asks first. "
    "batchrun --simulate retry night -s state:held  sends them again, "
    "batchrun --simulate cancel night -s state:held  gives them up\n"
)


@pytest.fixture
def holding(swift: None, batchrun: Batchrun, tmp_path: Path) -> Batchrun:
    """The program in a folder with a run whose last two jobs are held."""
    with Stock(tmp_path / "batchrun-simulated.db", simulated=True) as stock:
        run = stock.run("night")
        stock.job(run, "a", "succeeded")
        died = {"outcome": "unknown", "billed": "maybe", "worst": 9_000_000, "request_id": None}
        for key in ("b", "c"):
            stock.job(run, key, "held", error="worker_died", attempts=[died])
    return batchrun


def test_a_pass_that_leaves_only_held_jobs_says_what_to_type(holding: Batchrun) -> None:
    shown = holding("run", "--simulate", "--progress", "none")
    assert shown.code == 0
    assert "Open. run=night succeeded=1 failed=0 cancelled=0 queued=0 waiting=0 held=2" in shown.err
    assert shown.err.endswith(HELD)


@pytest.mark.parametrize("flags", [["--dry-run"], ["--no-run"], []])
def test_a_retry_without_a_selection_speaks_of_the_held_ones_it_leaves(holding: Batchrun, flags: list[str]) -> None:
    shown = holding("retry", "--simulate", *flags)
    assert shown.code == 0
    assert shown.err.endswith(f"Nothing to retry.\n{HELD}")
    assert counts(holding) == {"succeeded": 1, "held": 2}


def test_held_ones_that_are_chosen_are_put_back_without_a_word(holding: Batchrun) -> None:
    shown = holding("retry", "--simulate", "-s", "state:held", "--no-run")
    assert "✓ 2 jobs put back (2 worker_died)\n" in shown.err
    assert "held:" not in shown.err


# -- cancelling ------------------------------------------------------------------------------------------------------


@pytest.fixture
def stored(swift: None, batchrun: Batchrun, tmp_path: Path) -> Batchrun:
    jobs_file(tmp_path / "small.jsonl", ["one", "two", "three"])
    batchrun("submit", "small.jsonl", "--simulate", "--no-run")
    return batchrun


def test_cancelling_a_run_needs_its_name_and_a_yes(stored: Batchrun) -> None:
    assert stored("cancel", "--simulate").code == 2
    asked = stored("cancel", "small", "--simulate")
    assert asked.code == 2
    assert "run small has 0 answers, which are kept. 3 jobs would be stopped.\n" in asked.err
    assert "error: this cancels 3 jobs; pass --yes\n" in asked.err
    shown = stored("cancel", "small", "--simulate", "--yes")
    assert shown.code == 0
    assert shown.err.endswith("✓ cancelled 3 jobs of run small\n")
    assert counts(stored) == {"cancelled": 3}
    assert "Nothing to cancel" in stored("cancel", "small", "--simulate", "--yes").err


def test_single_jobs_can_be_cancelled_and_put_back(stored: Batchrun) -> None:
    assert stored("cancel", "--simulate", "-s", "id:doc-1", "--yes").code == 0
    assert counts(stored) == {"queued": 2, "cancelled": 1}
    assert stored("cancel", "--simulate", "-s", "id:nobody", "--yes").code == 5
    assert "1 job put back" in stored("retry", "--simulate", "-s", "state:cancelled", "--no-run").err
    assert counts(stored) == {"queued": 3}


def test_a_cancelled_run_can_be_put_back_and_is_sent(stored: Batchrun) -> None:
    stored("cancel", "small", "--simulate", "--yes")
    shown = stored("retry", "small", "--simulate", "-s", "state:cancelled", "--progress", "none")
    assert "✓ 3 jobs put back\n" in shown.err
    assert "Done. run=small succeeded=3 failed=0 cancelled=0" in shown.err
    assert counts(stored) == {"succeeded": 3}


def test_an_edited_file_opens_its_cancelled_run_again(stored: Batchrun, tmp_path: Path) -> None:
    stored("cancel", "small", "--simulate", "--yes")
    jobs_file(tmp_path / "small.jsonl", ["one", "two, changed", "three", "four"])
    shown = stored("submit", "small.jsonl", "--simulate", "--progress", "none")
    assert "1 new, 1 changed; 2 were there" in shown.err
    assert counts(stored) == {"succeeded": 2, "cancelled": 2}


def test_a_dry_cancel_changes_nothing(stored: Batchrun) -> None:
    document = json.loads(stored("cancel", "small", "--simulate", "--dry-run", "--json").out)
    assert (document["schema"], document["open"], document["cancelled"]) == ("batchrun.cancel/1", 3, 0)
    assert counts(stored) == {"queued": 3}


def test_cancelling_is_a_document(stored: Batchrun) -> None:
    document = json.loads(stored("cancel", "small", "--simulate", "--yes", "--json").out)
    assert (document["cancelled"], document["wished"], document["dry_run"]) == (3, 0, False)


def test_a_cancelled_run_sends_nothing(stored: Batchrun) -> None:
    stored("cancel", "small", "--simulate", "--yes")
    assert "Nothing is due." in stored("run", "--simulate").err


@pytest.mark.parametrize(
    ("member", "ways"),
    [("speed=fast", [1, 1, 1]), ('thinking={"type": "adaptive"}', [2, 0, 0]), ("max_tokens=9", [2, 0, 0])],
)
def test_what_is_set_decides_the_way_of_a_job(member: str, ways: list[int], batchrun: Batchrun, tmp_path: Path) -> None:
    jobs_file(tmp_path / "three.jsonl", ["one", "two", "three"])
    batchrun("submit", "three.jsonl", "--simulate", "-q", "--no-run")
    batchrun("cancel", "three", "--simulate", "--yes", "-q")
    assert batchrun("retry", "--simulate", "-q", "--no-run", "-s", "state:cancelled", "--set", member).code == 0
    assert counts(batchrun) == {"queued": 3}
    with sqlite3.connect(tmp_path / "batchrun-simulated.db") as database:
        assert [way for (way,) in database.execute("SELECT way FROM jobs ORDER BY seq")] == ways
        kinds = database.execute("SELECT COUNT(*) FROM shapes").fetchone()[0]
    assert kinds == (2 if "thinking" in member else 1)
