"""A run in words: how far, how much, what is going on, and what to type next."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from batchrun.core.figures import hour
from batchrun.core.job import Millis, Nanos, RunId, WorkerId
from batchrun.core.outcome import Stop
from batchrun.core.pause import STOPS, Pause, PauseScope
from batchrun.core.states import RunState, State
from batchrun.queue.rows import Overview, RunSummary, WorkerRow
from batchrun.report.cures import CURES, cure_of, pause_words, typed_in, word
from batchrun.report.summary import doing, lines, money, pause_line, pause_of, percent, progress, times

NOON = Millis(1_795_176_000_000)
MINUTE = 60_000
DOLLAR = 1_000_000_000


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def at(minutes: float) -> Millis:
    return Millis(NOON + round(minutes * MINUTE))


def run(counts: Mapping[State, int] | None = None, **values: Any) -> RunSummary:
    facts: dict[str, Any] = {
        "id": RunId(12),
        "name": "nightly",
        "state": RunState.OPEN,
        "mode": "realtime",
        "loader": None,
        "counts": counts or {State.QUEUED: 1},
        "sources": ("jobs.jsonl",),
        "digest": None,
        "account": 1,
        "account_name": "",
        "account_label": "org",
        "budget": None,
        "spent": Nanos(0),
        "reserved": Nanos(0),
        "created": NOON,
    }
    return RunSummary(**(facts | values))


def seen(**values: Any) -> Overview:
    facts: dict[str, Any] = {
        "simulated": False,
        "runs": (),
        "pauses": (),
        "workers": (),
        "loaders": frozenset(),
        "next_due": None,
        "older": 0,
    }
    return Overview(**(facts | values))


WORKER = WorkerRow(id=WorkerId(1), role="worker", pid=1, host="h", command="batchrun run", started=NOON)


def pause(scope: str = "account", subject: str = "1", reason: str = "credit", **values: Any) -> Pause:
    facts: dict[str, Any] = {"message": "it says no", "since": NOON}
    return Pause(scope=PauseScope(scope), subject=subject, reason=reason, **(facts | values))


# -- how far ----------------------------------------------------------------------------------------------------------


def test_only_states_with_jobs_are_named_and_success_always() -> None:
    shown = lines(run({State.QUEUED: 3, State.CANCELLED: 0}), seen(), now=NOON)
    assert [(line.label, line.n) for line in shown] == [("succeeded", 0), ("queued", 3)]


def test_every_state_has_a_name() -> None:
    shown = lines(run(dict.fromkeys(State, 1)), seen(), now=NOON)
    assert {line.state for line in shown} == set(State)


def test_failures_are_told_by_class_with_the_command_that_shows_them() -> None:
    counts = {State.FAILED: 41}
    (_, failed) = lines(run(counts, name="my run"), seen(), errors=[("overloaded_error", 40), ("x", None)], now=NOON)
    assert failed.note == "40 overloaded_error, x"
    assert failed.command == "batchrun errors 'my run'"


def test_waiting_jobs_say_when_the_next_one_is_tried() -> None:
    counts = {State.WAITING: 1}
    assert lines(run(counts), seen(next_due=at(1.5)), now=NOON)[1].note == "the next try in 1m30s"
    assert lines(run(counts), seen(next_due=NOON), now=NOON)[1].note == "the next try is due"


def test_jobs_in_flight_without_a_worker_are_told_to_be_orphans() -> None:
    counts = {State.RUNNING: 1}
    assert "worker died" in lines(run(counts), seen(), now=NOON)[1].note
    assert lines(run(counts), seen(workers=(WORKER,)), now=NOON)[1].note == ""


def test_a_hundred_per_cent_is_all_of_it() -> None:
    assert [percent(9_999, 10_000), percent(10_000, 10_000), percent(0, 0)] == ["99 %", "100 %", "100 %"]


def test_progress_has_speed_and_rest_only_where_they_are_known() -> None:
    half = run({State.SUCCEEDED: 5_000, State.QUEUED: 5_000})
    assert progress(half, None) == ["5,000 / 10,000", "50 %"]
    assert progress(half, 2.5) == ["5,000 / 10,000", "50 %", "2.5/s", "about 33m left"]
    assert progress(half, 250.4) == ["5,000 / 10,000", "50 %", "250/s", "about 20s left"]
    assert progress(run({State.SUCCEEDED: 5}), 2.5) == ["5 / 5", "100 %"]


def test_money_is_what_was_spent_what_is_out_and_the_cap() -> None:
    assert money(run()) == "$0.00 so far"
    rich = run(spent=66 * DOLLAR, reserved=DOLLAR // 2, budget=163 * DOLLAR)
    assert money(rich) == "$66.00 so far, $0.50 reserved, cap $163.00"


def test_times_are_those_of_the_state() -> None:
    assert times(run(), at(51)) == "submitted 12:00, 51m ago"
    assert times(run(done=at(65)), at(90)) == "done 13:05, 1h05m after its submit"
    assert times(run(cancelled=at(5)), at(90)) == "cancelled 12:05"


def test_moments_of_other_days_have_their_day() -> None:
    assert hour(NOON, at(60)) == "12:00"
    assert hour(NOON, at(24 * 60)) == "Nov 20 12:00"
    assert hour(NOON, at(60 * 24 * 60)) == "2026-11-20 12:00"


def test_moments_are_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "TZ", "UTC-14")  # fourteen hours ahead
    time.tzset()
    assert hour(NOON, NOON) == "02:00"
    assert hour(NOON, at(-13 * 60)) == "Nov 21 02:00"


# -- what is going on -------------------------------------------------------------------------------------------------


CAPPED = "its cost cap leaves no money for another job"
MORE = "batchrun submit jobs.jsonl"


@pytest.mark.parametrize(
    ("found", "overview", "words", "command"),
    [
        (run(state=RunState.DONE), seen(), "done", ""),
        (run(), seen(), "nobody is running it", "batchrun run nightly"),
        (run(), seen(workers=(WORKER,)), "is being worked on", ""),
        (run(), seen(pauses=(pause(),)), "paused since 12:00", "batchrun resume"),
        (run(), seen(pauses=(pause("run", "12", "refusals"),)), "paused since 12:00", "batchrun resume"),
        (run(), seen(pauses=(pause("run", "13"),)), "nobody is running it", "batchrun run nightly"),
        (run(account=2), seen(pauses=(pause(),)), "nobody is running it", "batchrun run nightly"),
        (run(account=None), seen(pauses=(pause(),)), "paused since 12:00", "batchrun resume"),
        (run(), seen(pauses=(pause("model", "1:m"),)), "nobody is running it", "batchrun run nightly"),
        (run(spent=Nanos(6), reserved=Nanos(4), budget=Nanos(10)), seen(), CAPPED, f"{MORE} --name nightly --max-cost MORE"),
        (run(spent=Nanos(6), budget=Nanos(10), next_worst=Nanos(5), name="jobs"), seen(), CAPPED, f"{MORE} --max-cost MORE"),
        (run(spent=Nanos(6), budget=Nanos(10), next_worst=Nanos(5), name="stdin", sources=("-",)), seen(workers=(WORKER,)), CAPPED, "batchrun submit - --max-cost MORE"),
        (run({State.QUEUED: 1, State.RUNNING: 1}, budget=Nanos(10), next_worst=Nanos(11)), seen(workers=(WORKER,)), "is being worked on", ""),
        (run(spent=Nanos(6), budget=Nanos(10), next_worst=Nanos(4)), seen(), "nobody is running it", "batchrun run nightly"),
        (run(spent=Nanos(6), budget=Nanos(10)), seen(), "nobody is running it", "batchrun run nightly"),
        (run({State.HELD: 1}, spent=Nanos(10), budget=Nanos(10)), seen(), "waits for a word from you", "batchrun errors nightly"),
        (run({State.HELD: 2}), seen(), "waits for a word from you", "batchrun errors nightly"),
        (run(state=RunState.LOADING, loader=7), seen(loaders={7}), "its jobs are being added", ""),
        (run(state=RunState.LOADING, loader=7), seen(), "adding its jobs was cut short", "batchrun submit jobs.jsonl"),
        (run(state=RunState.CANCELLED), seen(), "cancelled; 1 job not stopped yet", "batchrun run"),
        (run({State.CANCELLED: 1}, state=RunState.CANCELLED), seen(), "cancelled", ""),
    ],
)  # fmt: skip
def test_what_is_going_on_ends_with_what_to_type(
    found: RunSummary, overview: Overview, words: str, command: str
) -> None:
    told = doing(found, overview, at(1))
    assert (told.words, told.command) == (words, command)


def test_a_pause_tells_whom_since_when_why_and_what_to_do() -> None:
    what, cure = pause_line(pause(), [run()], at(1))
    assert what == "account org paused since 12:00: the prepaid credit is used up (it says no)"
    assert cure == "add credit in the Console; asked again from 12:15 on, or at once after  `batchrun resume`"
    assert pause_line(pause(), [run()], at(20))[1] == "add credit in the Console; the next `batchrun run` asks again"
    assert pause_line(pause(subject="7"), [run()], at(1))[0].startswith("the account paused")


def test_a_pause_by_hand_waits_for_a_hand() -> None:
    what, cure = pause_line(pause("run", "12", "user", message=""), [run()], NOON)
    assert (what, cure) == ("run nightly paused since 12:00: by hand", "until `batchrun resume`")


def test_a_pause_of_a_model_or_of_a_run_that_is_not_shown_is_named() -> None:
    assert pause_line(pause("model", "1:claude-x", "model"), [], NOON)[0].startswith("model claude-x paused")
    assert pause_line(pause("run", "3", "refusals"), [run()], NOON)[0].startswith("run r-3 paused")


def test_the_pause_that_stops_a_run_is_found_among_others() -> None:
    pauses = (pause("model", "1:m"), pause(subject="2"), pause("run", "12", "user"))
    assert pause_of(run(), pauses) == pauses[2]
    assert pause_of(run(account=9), pauses[:2]) is None


# -- cures ------------------------------------------------------------------------------------------------------------


def test_every_reason_of_a_stopped_account_has_words() -> None:
    assert set(STOPS) == {stop.value for stop in Stop}
    for stop in Stop:
        why, cure = pause_words(pause(reason=stop.value))
        assert why != stop.value
        assert cure
    assert pause_words(pause(reason="new one")) == ("new one", "")


def test_every_error_type_of_the_api_has_a_cure() -> None:
    api = "invalid_request authentication billing permission not_found conflict rate_limit timeout overloaded api"
    for name in api.split():
        assert CURES[f"{name}_error"].means
    assert CURES["request_too_large"].means


@pytest.mark.parametrize(
    ("error", "status", "means"),
    [
        ("overloaded_error", 529, "short of capacity"),
        ("ramp_limit_exceeded", 429, "over the rate limit"),
        ("some_code", 400, "at fault"),
        ("some_code", 503, "the service failed"),
        ("dns_failed", None, "could not be reached"),
        ("connection_refused", None, "could not be reached"),
        ("worker_died", None, "possibly billed"),
        ("worker_stopped", None, "possibly billed"),
        ("never heard of", None, ""),
        ("", None, ""),
    ],
)
def test_a_cure_is_found_by_class_then_by_status(error: str, status: int | None, means: str) -> None:
    found = cure_of(error, status)
    assert means in found.means if means else not found.means
    assert found.cure


def test_held_jobs_need_a_decision_whatever_their_error() -> None:
    assert "state:held" in cure_of("overloaded_error", 529, held=True).cure


def test_cures_are_written_for_the_shell() -> None:
    for cure in CURES.values():
        written = cure.written(run="my run", file="a b.jsonl", error="x y", typed=str)
        assert "{" not in written
        assert " my run" not in written
        assert "`" not in written
    api_error = cure_of("api_error", 500)
    assert api_error.written(run="n", file="f", error="api_error", typed=str) == "batchrun retry n -s error:api_error"
    assert word("r-1:doc/7") == "r-1:doc/7"
    assert word("it's") == "'it'\"'\"'s'"
    assert word("") == "''"


def test_commands_in_a_text_are_written_as_they_are_typed_and_other_ticks_stay() -> None:
    text = "`claude-x` is gone; `batchrun retry {run}`, then  `batchrun status`"
    written = typed_in(text, lambda command: f"{command} --simulate", run="n`1")
    assert written == "`claude-x` is gone; batchrun retry n`1 --simulate, then  batchrun status --simulate"


def test_a_summary_that_changes_in_counts_alone_is_another_one() -> None:
    assert replace(run(), counts={State.FAILED: 1}) != run()


def test_a_cure_for_rows_of_a_table_names_no_command_that_would_take_the_table_for_a_job_file() -> None:
    cure = CURES["invalid_request_error"]
    said = cure.written(run="r", file="rows.csv.gz", error="invalid_request_error", typed=lambda text: text)
    assert "correct these jobs in rows.csv.gz" in said
    assert "submit rows" not in said
    assert "batchrun submit jobs.yaml" in cure.written(run="r", file="jobs.yaml", error="x", typed=lambda text: text)
