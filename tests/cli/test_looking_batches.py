"""Batches as `status` shows them: what is out, since when and until when, what is unclear, and what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Batchrun
from tests.cli.looking import LATER
from tests.stock import MINUTE, NOON, Stock

DAY = 24 * 60 * MINUTE


def out(stock: Stock, run: int, n: int, state: str = "submitted", **values: Any) -> int:
    """A batch of *run* that holds *n* jobs."""
    batch = stock.batch(run, state, n=n, **values)
    for i in range(n):
        stock.job(run, f"{batch}-{i}", "in_batch", batch=batch)
    return batch


def test_the_screen_of_a_run_in_batches(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        run = stock.run("nightly", mode="auto")
        for n in range(60):
            stock.job(run, f"done-{n}", "succeeded")
        out(stock, run, 4)
        out(stock, run, 3, sent=NOON + 10 * MINUTE)
    shown = batchrun("status", "--format", "text")
    assert shown.out == (
        "nightly  r-1  auto  submitted 12:00, 51m ago   $0.00 so far\n"
        "in batches: half the price, and there is no deadline\n"
        "\n"
        "████████████████████████████▒▒▒▒  60 / 67   89 %\n"
        "\n"
        "succeeded           60\n"
        "at Anthropic         7   2 batches, the first sent 12:00, 51m ago; most end within the hour; "
        "what is not done by Nov 21 12:00 expires and is sent again\n"
        "\n"
        "No worker is running; what its batches bring is collected by: batchrun run nightly\n"
    )


def told(batchrun: Batchrun, looked_at: Path, state: str, **values: Any) -> list[str]:
    """What a status says with an exclamation mark of one batch of two jobs."""
    with Stock(looked_at) as stock:
        out(stock, stock.run("nightly", mode="batch"), 2, state, **values)
    return [line[2:] for line in batchrun("status", "--format", "text").out.splitlines() if line.startswith("! ")]


UNCLEAR = "b-1 (2 jobs, sent 12:00): not known whether it arrived; "


@pytest.mark.parametrize(
    ("state", "values", "said"),
    [
        ("submitted", {}, []),
        ("intent", {"sent": None}, ["b-1 (2 jobs) is being sent"]),
        ("sending", {}, ["b-1 (2 jobs) is being sent"]),
        ("unclear", {}, [UNCLEAR + "no listing could tell yet   batchrun batches"]),
        (
            "unclear",
            {"sent": NOON - 2 * DAY},
            [
                UNCLEAR.replace("12:00", "Nov 18 12:00") + "what may be it cannot be read; "
                "if no look finds it, only you can decide   batchrun batches resolve b-1"
            ],
        ),
        (
            "unclear",
            {"first_absent": NOON + 45 * MINUTE},
            [UNCLEAR + "decided at 13:00 at the earliest   batchrun batches"],
        ),
        (
            "unclear",
            {"first_absent": NOON + 50 * MINUTE, "answered": 1},
            [UNCLEAR + "decided at 12:52 at the earliest   batchrun batches"],
        ),
        (
            "unclear",
            {"first_absent": NOON, "cancel_reason": "user"},
            [
                UNCLEAR + "decided by the next look at the listing, unless something in it may be this batch"
                "   batchrun batches",
                "b-1 (2 jobs) cannot be cancelled before it is known whether it stands",
            ],
        ),
        ("submitted", {"processing": "ended"}, ["b-1 (2 jobs) has ended, and waits to be collected"]),
        ("collecting", {}, ["b-1 (2 jobs) has ended, and waits to be collected"]),
        (
            "submitted",
            {"cancel_reason": "user"},
            ["b-1 (2 jobs) is to be cancelled, as you wished   batchrun run"],
        ),
        (
            "submitted",
            {"cancel_reason": "rescue", "cancelled": 1, "processing": "canceling"},
            ["b-1 (2 jobs) is being cancelled, as the deadline is near; what is done by then is kept"],
        ),
        (
            "submitted",
            {"absent": NOON + 40 * MINUTE},
            ["msgbatch_01 has not been known at Anthropic since 12:40; after two hours of that it counts as gone"],
        ),
        (
            "submitted",
            {"created": LATER - 27 * DAY, "processing": "ended"},
            [
                "b-1 (2 jobs) has ended, and waits to be collected",
                "the results of msgbatch_01 vanish at Anthropic on Nov 22 12:51   batchrun run",
            ],
        ),
    ],
)
def test_what_somebody_should_know_of_a_batch(
    batchrun: Batchrun, looked_at: Path, state: str, values: dict[str, Any], said: list[str]
) -> None:
    assert told(batchrun, looked_at, state, **values) == said


def test_the_document_tells_of_each_batch(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        run = stock.run("nightly", mode="batch", deadline=LATER + 90 * MINUTE)
        out(stock, run, 2)
        out(stock, run, 1, "unclear", first_absent=NOON + 45 * MINUTE)
    (run_,) = json.loads(batchrun("status", "--json").out)["runs"]
    assert (run_["way"], run_["way_why"]) == (
        None,
        "in batches while there is time, then realtime, by the deadline 14:21, in 1h30m",
    )
    unclear, standing = run_["batches"]
    assert unclear["decided_at_earliest"] == "2026-11-20T13:00:00Z"
    assert standing == {
        "id": "b-1",
        "state": "submitted",
        "standing": "at Anthropic",
        "remote_id": "msgbatch_01",
        "jobs": 2,
        "since": "2026-11-20T12:00:00Z",
        "until": "2026-11-21T12:00:00Z",
        "decided_at_earliest": None,
        "cancel": None,
    }


@pytest.mark.parametrize(
    ("error", "why"),
    [
        ("worker_died", "possibly billed when a worker died"),
        ("batch_gone", "their batch is gone from Anthropic; possibly billed"),
        ("missing_from_results", "no line in their batch's results; possibly billed"),
    ],
)
def test_held_jobs_say_why(batchrun: Batchrun, looked_at: Path, error: str, why: str) -> None:
    with Stock(looked_at) as stock:
        stock.job(stock.run("nightly"), "held", "held", error=error)
    assert f"held                 1   {why}   batchrun errors nightly\n" in batchrun("status", "--format", "text").out


def test_money_that_batches_have_reserved_is_no_want_of_money(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        run = stock.run("nightly", mode="batch", budget=100, reserved=100)
        out(stock, run, 1)
        stock.job(run, "next", worst=50)
    assert "no money" not in batchrun("status", "--format", "text").out


# -- one job, its errors, and the night --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("submitted", "at Anthropic in b-1   msgbatch_01"),
        ("collecting", "b-1 has ended, and waits to be collected   msgbatch_01"),
        ("unclear", "in b-1, of which it is not known whether it arrived: see `batchrun batches`"),
        ("sending", "in b-1, which is being sent"),
    ],
)
def test_a_job_in_a_batch_says_where_it_is(batchrun: Batchrun, looked_at: Path, state: str, said: str) -> None:
    with Stock(looked_at) as stock:
        run = stock.run("nightly", mode="batch")
        batch = stock.batch(run, state, n=1)
        attempt = {"via": "batch", "batch": batch, "outcome": None, "ended": None, "billed": None, "request_id": None}
        stock.job(run, "doc-1", "in_batch", batch=batch, attempts=[attempt])
    shown = batchrun("show", "doc-1")
    assert f" 1  2026-11-20 12:00:00  batch     {said}\n" in shown.out
    (attempt_,) = json.loads(batchrun("show", "doc-1", "--json").out)["attempts"]
    assert (attempt_["batch_id"], attempt_["batch_state"]) == ("b-1", state)


@pytest.mark.parametrize(
    ("state", "error", "attempt", "said", "cure"),
    [
        (
            "failed",
            "expired",
            {"error_type": "expired"},
            "expired   b-1   msgbatch_01",
            "not processed within 24 hours; not billed",
        ),
        (
            "held",
            "batch_gone",
            {"outcome": "unknown", "billed": "maybe", "message": "the API does not know it any more"},
            "never came; possibly billed   b-1   msgbatch_01\n      the API does not know it any more",
            "its batch is gone from Anthropic, with its answers; possibly billed, and the run asks first",
        ),
        (
            "failed",
            "missing_from_results",
            {"outcome": "unknown", "billed": "maybe", "message": "no line in the results of its batch"},
            "never came; possibly billed   b-1   msgbatch_01\n      no line in the results of its batch",
            "the results of its batch have no line for it; possibly billed",
        ),
        (
            "held",
            "missing_from_results",
            {"outcome": "unknown", "billed": "maybe"},
            "never came; possibly billed   b-1",
            "the results of its batch have no line for it; possibly billed, and the run asks first",
        ),
        (
            "failed",
            "api_error",
            {"outcome": "unknown", "billed": "no"},
            "did not arrive; not billed   b-1",
            "the service failed",
        ),
    ],
)
def test_what_became_of_a_job_in_a_batch_has_its_words_and_its_cure(
    batchrun: Batchrun, looked_at: Path, state: str, error: str, attempt: dict[str, Any], said: str, cure: str
) -> None:
    with Stock(looked_at) as stock:
        run = stock.run("nightly", mode="batch")
        batch = stock.batch(run, "done", n=1)
        tried = {"via": "batch", "batch": batch, "request_id": None} | attempt
        stock.job(run, "doc-1", state, error=error, attempts=[tried])
    shown = batchrun("show", "doc-1").out
    assert f"batch     {said}" in shown
    assert f"  {cure}\n" in shown
    assert f"{error}: {cure}" in batchrun("errors", "--format", "text").out


def test_the_log_tells_the_life_of_a_batch(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        run = stock.run("nightly", mode="batch")
        told: dict[str, Any] = {"batch": 3, "n": 200}
        message = "it is not known whether a batch of 200 jobs arrived (timeout)"
        stock.event("batch_turned", NOON, run=run, turn="unclear", message=message, **told)
        message = "a batch of 200 jobs was found again, not sent again: msgbatch_03"
        stock.event("batch_turned", NOON + MINUTE, run=run, turn="adopted", message=message, **told)
        stock.event(
            "batch_turned",
            NOON + 2 * MINUTE,
            run=run,
            turn="collected",
            message="198 answers stored, 2 expired",
            remote="msgbatch_03",
            **told,
        )
    assert batchrun("log", "--format", "text").out.splitlines()[1:] == [
        "12:00:00  b-3: it is not known whether a batch of 200 jobs arrived (timeout)",
        "12:01:00  b-3: a batch of 200 jobs was found again, not sent again: msgbatch_03",
        "12:02:00  b-3: 198 answers stored, 2 expired (msgbatch_03)",
    ]
    first = json.loads(batchrun("log", "--format", "jsonl").out.splitlines()[0])
    assert (first["event"], first["turn"], first["batch"], first["n"]) == ("batch_turned", "unclear", "b-3", 200)


def test_a_retry_of_jobs_that_are_out_says_where_and_until_when(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        run = stock.run("nightly", mode="batch")
        out(stock, run, 3)
        out(stock, run, 2, "unclear", first_absent=NOON + 45 * MINUTE)
    shown = batchrun("retry", "-s", "state:sent", "--no-run")
    assert shown.code == 0
    assert shown.err.splitlines()[-3:] == [
        "Not 5 jobs chosen that are out in batches of this run:",
        "  b-2 (2 jobs, sent 12:00): not known whether it arrived; decided at 13:00 at the earliest",
        "  b-1 (3 jobs) at Anthropic since 12:00",
    ]
