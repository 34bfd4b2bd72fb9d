"""`batchrun errors`, `show` and `log`: what failed, one job's story, and the night."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from batchrun.core.job import Millis, RunId
from batchrun.queue.connect import close_queue, open_queue
from batchrun.queue.events import Log, record
from batchrun.queue.writing import perform_now
from tests.cli.conftest import Batchrun
from tests.cli.looking import nightly
from tests.stock import MINUTE, NOON, SECOND, Stock


@pytest.fixture
def night(looked_at: Path) -> Path:
    with Stock(looked_at) as stock:
        nightly(stock)
    return looked_at


# -- errors -----------------------------------------------------------------------------------------------------------


def test_errors_are_grouped_with_a_sample_and_the_cure(batchrun: Batchrun, night: Path) -> None:
    shown = batchrun("errors", "--format", "text")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out == (
        "5 jobs of nightly failed, 1 job held; 3 groups\n"
        "\n"
        "3 × invalid_request_error (400): the request itself is at fault; sent again it would be refused again\n"
        "     messages.2.content: text is empty\n"
        "     e.g. bad-0 (jobs.jsonl:7)   req_10_1\n"
        "     last 12:00\n"
        "     cure: correct these jobs in jobs.jsonl, then  batchrun submit jobs.jsonl  (only what changed is added)\n"
        "     list: batchrun errors nightly -s error:invalid_request_error --format jsonl\n"
        "\n"
        "2 × overloaded_error (529): the service was short of capacity; not your limit\n"
        "     Overloaded\n"
        "     e.g. over-0 (jobs.jsonl:10)   req_13_5\n"
        "     after 5 tries, last 12:00\n"
        "     cure: batchrun retry nightly -s error:overloaded_error\n"
        "     list: batchrun errors nightly -s error:overloaded_error --format jsonl\n"
        "\n"
        "1 × worker_died: possibly billed when its worker died, and the run asks first\n"
        "     e.g. held (jobs.jsonl:12)\n"
        "     last 12:00\n"
        "     cure: batchrun retry nightly -s state:held  sends them again,"
        " batchrun cancel nightly -s state:held  gives them up\n"
    )


def test_a_run_without_failures_says_so(batchrun: Batchrun, night: Path) -> None:
    shown = batchrun("errors", "--format", "text", "small")
    assert (shown.code, shown.out) == (0, "Nothing failed in small.\n")


def test_every_failed_job_is_a_line_in_the_other_formats(batchrun: Batchrun, night: Path) -> None:
    found = [json.loads(line) for line in batchrun("errors", "--format", "jsonl").out.splitlines()]
    assert [one["id"] for one in found] == ["bad-0", "bad-1", "bad-2", "over-0", "over-1", "held"]
    assert found[3] == {
        "id": "over-0",
        "state": "failed",
        "error": "overloaded_error",
        "status": 529,
        "code": None,
        "message": "Overloaded",
        "request_id": "req_13_5",
        "request_ids": ["req_13_5"],
        "attempts": 5,
        "tries": 5,
        "model": "claude-test-1",
        "file": "jobs.jsonl",
        "line": 10,
        "ended": "2026-11-20T12:00:02Z",
    }
    assert len(batchrun("errors", "--format", "tsv", "-n", "2").out.splitlines()) == 2
    assert batchrun("errors", "--format", "csv", "--fields", "id,status", "-s", "error:overloaded").out == (
        "id,status\nover-0,529\nover-1,529\n"
    )


def test_the_document_of_groups(batchrun: Batchrun, night: Path) -> None:
    document = json.loads(batchrun("errors", "--json", "-s", "error:overloaded").out)
    samples = document["groups"][0].pop("samples")
    assert [one["id"] for one in samples] == ["over-0", "over-1"]
    assert document == {
        "schema": "batchrun.errors/1",
        "run": {"id": "r-2", "name": "nightly"},
        "failed": 5,
        "held": 1,
        "groups": [
            {
                "error": "overloaded_error",
                "state": "failed",
                "status": 529,
                "code": None,
                "message": "Overloaded",
                "n": 2,
                "at_least": False,
                "last": "2026-11-20T12:00:02Z",
                "most_tries": 5,
                "means": "the service was short of capacity; not your limit",
                "cure": "batchrun retry nightly -s error:overloaded_error",
            }
        ],
    }


def test_a_selection_of_no_job_ends_with_its_code_and_one_of_sound_jobs_does_not(
    batchrun: Batchrun, night: Path
) -> None:
    assert batchrun("errors", "--format", "text", "-s", "id:nothing").code == 5
    shown = batchrun("errors", "--format", "text", "-s", "id:doc-1")
    assert (shown.code, shown.out) == (0, "Nothing failed in nightly.\n")


def test_many_failures_are_sampled_and_counted_when_asked(
    batchrun: Batchrun, looked_at: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchrun.queue.failures.LOOKED_AT", 10)
    with Stock(looked_at) as stock:
        stock.many(stock.run("one"), 25, "failed", error="overloaded_error")
    shown = batchrun("errors", "--format", "text").out
    assert "25 jobs of one failed; 1 group" in shown
    assert "≥10 × overloaded_error (529)" in shown
    assert "--all counts every one" in shown
    assert "\n25 × overloaded_error (529)" in batchrun("errors", "--format", "text", "--all").out


def test_only_the_first_groups_if_so_wished(batchrun: Batchrun, night: Path) -> None:
    shown = batchrun("errors", "--format", "text", "-n", "1").out
    assert "overloaded" not in shown
    assert shown.endswith("\n2 more groups; without -n all are shown\n")


def test_messages_of_others_do_not_reach_the_terminal(batchrun: Batchrun, looked_at: Path) -> None:
    evil = "\x1b]0;title\x07\u202e"
    with Stock(looked_at) as stock:
        run = stock.run(f"run{evil}", source=json.dumps([f"file{evil}"]))
        attempt = {
            "status": 400,
            "message": evil,
            "error_type": evil,
            "request_id": evil,
            "other_ids": json.dumps([evil]),
        }
        stock.job(run, f"key{evil}", "failed", error=evil, attempts=[attempt])
        stock.event("trouble", code="x", message=evil)
        stock.event(f"new{evil}", what=evil)
    for args in (
        ["errors"],
        ["errors", "--json"],
        ["errors", "--format", "jsonl"],
        ["errors", "--format", "table"],
        ["show", f"key{evil}"],
        ["show", f"kex{evil}"],
        ["log"],
        ["log", "--json"],
        ["log", "--format", "jsonl"],
    ):
        shown = batchrun(*args)
        assert shown.code in {0, 5}, args
        assert not {"\x1b", "\x07", "\u202e"} & set(shown.out + shown.err), args


# -- show -------------------------------------------------------------------------------------------------------------


def test_the_story_of_a_job(batchrun: Batchrun, night: Path) -> None:
    shown = batchrun("show", "doc-tried")
    assert shown.code == 0
    assert shown.out == (
        "doc-tried   nightly   succeeded on attempt 3   jobs.jsonl:6\n"
        "   1  2026-11-20 12:00:00  realtime  529 overloaded_error   2.0 s   req_9_1\n"
        "      Overloaded\n"
        "   2  2026-11-20 12:00:00  realtime  given back; it never left   req_9_2\n"
        "   3  2026-11-20 12:05:00  realtime  200   10 → 5 tok   2.1 s   $0.0013   req_9_3   cf-ray 8f1\n"
        "  stop_reason end_turn · claude-test-1 · $0.0013\n"
        "\n"
        '{"score": 7}\n'
    )
    assert shown.err == (
        "\nWhat was sent: batchrun show r-2:doc-tried --request   All of it: batchrun show r-2:doc-tried --json\n"
    )


def test_a_failed_job_is_shown_with_its_cure(batchrun: Batchrun, night: Path) -> None:
    shown = batchrun("show", "over-1")
    assert shown.out.startswith("over-1   nightly   failed after 5 attempts   jobs.jsonl:11\n")
    assert shown.out.count("Overloaded\n") == 1
    assert shown.out.endswith(
        "\n  the service was short of capacity; not your limit\n  cure: batchrun retry nightly -s error:overloaded_error\n"
    )


@pytest.mark.parametrize(
    ("key", "standing"),
    [
        ("later", "waiting; tried again in 1m00s"),
        ("out", "sent, attempt 0"),
        ("next-1", "queued"),
        ("held", "held"),
        ("doc-1", "succeeded"),
    ],
)
def test_where_a_job_stands(batchrun: Batchrun, night: Path, key: str, standing: str) -> None:
    assert batchrun("show", key).out.splitlines()[0].split("   ")[2] == standing.replace("1m00s", "1m")


def test_of_many_attempts_the_first_and_the_last_are_shown(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        attempt = {"status": 529, "error_type": "overloaded_error", "message": "Overloaded"}
        stock.job(stock.run("one"), "a", "failed", error="overloaded_error", attempts=[attempt] * 30)
    shown = batchrun("show", "a").out
    assert "   … 20 more; --attempts shows them\n" in shown
    assert shown.count("realtime") == 10
    assert batchrun("show", "a", "--attempts").out.count("realtime") == 30


def test_the_request_is_shown_as_it_is_sent(batchrun: Batchrun, night: Path) -> None:
    shown = batchrun("show", "doc-1", "--request")
    assert json.loads(shown.out) == {
        "model": "claude-test-1",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "hi"}],
    }
    assert shown.err == ""


def test_the_document_of_a_job(batchrun: Batchrun, night: Path) -> None:
    document = json.loads(batchrun("show", "doc-1", "--json").out)
    assert document.pop("result")["message"]["content"][0]["text"] == "The report number 1 argues that …"
    (attempt,) = document.pop("attempts")
    assert (attempt["request_id"], attempt["usage"]["output_tokens"]) == ("req_4_1", 5)
    assert attempt["cost"] == {"amount": "0.0013", "currency": "USD"}
    assert document == {
        "schema": "batchrun.job/1",
        "id": "doc-1",
        "run": {"id": "r-2", "name": "nightly"},
        "state": "succeeded",
        "file": "jobs.jsonl",
        "line": 1,
        "model": "claude-test-1",
        "tries": 1,
        "due": None,
        "error": None,
        "finished": "2026-11-20T12:00:00Z",
        "request": {"model": "claude-test-1", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]},
        "aside": None,
        "tags": [],
        "metadata": {"doi": "10/1"},
    }


def test_a_job_is_found_by_run_and_id_or_by_a_request_id(batchrun: Batchrun, night: Path) -> None:
    assert batchrun("show", "r-2:doc-1").out.startswith("doc-1   nightly")
    assert batchrun("show", "nightly:doc-1").out.startswith("doc-1   nightly")
    assert batchrun("show", "req_9_1").out.startswith("doc-tried")


def test_a_job_is_found_by_each_id_of_each_of_its_requests(batchrun: Batchrun, night: Path) -> None:
    with sqlite3.connect(night) as sql:
        sql.execute("UPDATE attempts SET other_ids = '[\"cf-ray: 8f1\"]' WHERE job = 9 AND n = 3")
    sql.close()
    for request_id in ("req_9_1", "req_9_3", "8f1", "cf-ray: 8f1"):
        assert batchrun("show", "--request-id", request_id).out.startswith("doc-tried"), request_id
    unknown = batchrun("show", "--request-id", "8f")
    assert (unknown.code, unknown.err) == (5, "error: no attempt of this queue has the id `8f`\n")
    assert batchrun("show").code == batchrun("show", "doc-1", "--request-id", "req_9_1").code == 2


def test_an_id_that_several_runs_have_shows_the_newest_and_names_the_others(
    batchrun: Batchrun, looked_at: Path
) -> None:
    with Stock(looked_at) as stock:
        for name in ("monday", "tuesday", "wednesday"):
            stock.job(stock.run(name), "a:b")
    shown = batchrun("show", "a:b")
    assert shown.out.startswith("a:b   wednesday")
    assert "2 other runs with this id: r-2:a:b, r-1:a:b\n" in shown.err
    assert batchrun("show", "r-1:a:b").out.startswith("a:b   monday")


@pytest.mark.parametrize(
    ("ref", "code", "said"),
    [
        ("doc-tride", 5, "error: no job `doc-tride`; did you mean `doc-tried`"),
        ("r-2:doc-tride", 5, "error: no job `doc-tride` in nightly; did you mean `doc-tried`"),
        ("r-9:doc-1", 2, "error: no run `r-9`"),
        ("zzzzzz", 5, "error: no job `zzzzzz`\n"),
        ("nightly", 5, "hint: that is a run: `batchrun status nightly` shows it"),
        ("last", 5, "hint: that is a run: `batchrun status last` shows it"),
    ],
)
def test_an_unknown_job_is_answered_with_near_ones(
    batchrun: Batchrun, night: Path, ref: str, code: int, said: str
) -> None:
    shown = batchrun("show", ref)
    assert (shown.code, shown.out) == (code, "")
    assert said in shown.err


# -- log --------------------------------------------------------------------------------------------------------------


def _told(path: Path) -> None:
    """Events as the scheduler writes them."""
    from batchrun.core import events as e

    def at(minutes: float) -> Millis:
        return Millis(NOON + round(minutes * MINUTE))

    run, other = RunId(2), RunId(1)
    told: list[e.Event] = [
        e.PassStarted(at=at(0), runs=((run, "nightly"), (other, "small"))),
        e.Recovered(at=at(0), released=2, unknown=1),
        e.LimitsLearned(
            at=at(1), lane="sonnet-5", requests=1000, input_tokens=None, output_tokens=80_000, source="headers"
        ),
        *(e.Throttled(at=at(2 + n / 10), lane="sonnet-5", why="rate limit", seconds=6.0) for n in range(4)),
        e.RunDone(at=at(3), run=other, name="small"),
        e.Paused(
            at=at(12 * 60),
            scope="account",
            subject="1",
            reason="credit",
            message="Your credit balance is too low",
            until=None,
            request_id="req_7",
        ),
        e.Probed(at=at(12 * 60 + 15), scope="account", subject="1", lifted=True),
        e.PassEnded(at=at(13 * 60), why=""),
    ]
    engine = open_queue(path)
    perform_now(engine, lambda tx: record(tx, Log().thinned(told)))
    close_queue(engine)


def test_the_night_is_told_in_sentences(batchrun: Batchrun, night: Path) -> None:
    _told(night)
    shown = batchrun("log", "--format", "text")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out == (
        "2026-11-20  (UTC+0000)\n"
        "12:00:00  working on nightly, small\n"
        "12:00:00  taken over from a worker that died: 2 jobs never left, 1 request may have been billed\n"
        "12:01:00  limits of sonnet-5 a minute: 1,000 requests, 80,000 output tokens (from headers)\n"
        "12:02:00  sonnet-5 rests 6.0 s (rate limit)  (4 times)\n"
        "12:03:00  run small is done\n"
        "2026-11-21  (UTC+0000)\n"
        "00:00:00  the account is paused: the prepaid credit is used up: Your credit balance is too low (req_7)\n"
        "00:15:00  the account goes on: a probe was answered\n"
        "01:00:00  ended: nothing more is due\n"
    )


def test_the_log_of_one_run_leaves_out_the_others(batchrun: Batchrun, night: Path) -> None:
    _told(night)
    assert "run small is done" not in batchrun("log", "--format", "text", "nightly").out
    assert "run small is done" in batchrun("log", "--format", "text", "small").out
    assert (
        batchrun("log", "--format", "text", "-n", "1").out
        == "2026-11-21  (UTC+0000)\n01:00:00  ended: nothing more is due\n"
    )


def test_events_for_programs_are_those_of_a_run_in_progress(batchrun: Batchrun, night: Path) -> None:
    _told(night)
    lines = [json.loads(line) for line in batchrun("log", "--format", "jsonl").out.splitlines()]
    assert lines[0] == {
        "event": "pass_started",
        "at": "2026-11-20T12:00:00Z",
        "runs": [{"id": "r-2", "name": "nightly"}, {"id": "r-1", "name": "small"}],
    }
    document = json.loads(batchrun("log", "--json").out)
    assert document == {"schema": "batchrun.log/1", "run": None, "events": lines}
    assert json.loads(batchrun("log", "small", "--json").out)["run"] == {"id": "r-1", "name": "small"}


def test_an_event_of_another_version_is_shown_as_it_is(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        stock.run("one")
        stock.event("batch_adopted", at=NOON + SECOND, batch="msgbatch_1")
        stock.event("throttled", at=NOON + SECOND, lane="x", unexpected="thing")
    shown = batchrun("log", "--format", "text").out
    assert '12:00:01  batch_adopted {"batch": "msgbatch_1"}\n' in shown
    assert json.loads(batchrun("log", "--format", "jsonl").out.splitlines()[0]) == {
        "event": "batch_adopted",
        "at": "2026-11-20T12:00:01Z",
        "run": None,
        "lane": None,
        "batch": "msgbatch_1",
    }


def test_an_empty_log_says_so(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        stock.run("one")
    shown = batchrun("log", "--format", "text")
    assert (shown.code, shown.out) == (0, "")
    assert shown.err == "Nothing happened yet: `batchrun run` writes here what it does.\n"


def test_into_a_pipe_the_log_and_the_errors_are_rows(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        nightly(stock)
        stock.event("run_done", run=2, name="nightly")
    (event,) = batchrun("log").out.splitlines()
    assert event.split("\t")[1:] == ["run_done", "r-2", "run nightly is done"]
    failed = [line.split("\t") for line in batchrun("errors").out.splitlines()]
    assert {row[0] for row in failed} == {"bad-0", "bad-1", "bad-2", "over-0", "over-1", "held"}
