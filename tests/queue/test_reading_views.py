"""The views are an interface: their columns stay, and they say what the tables say."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batchrun.queue.reading import Reading
from batchrun.queue.views import VIEWS
from tests.stock import NOON, SECOND, Stock

COLUMNS = {
    "v_runs": "run name state mode priority deadline_ms account_id account source queued waiting sent held blocked "
    "succeeded failed cancelled total spent_nanos spent_usd reserved_nanos reserved_usd budget_nanos budget_usd "
    "created_ms done_ms cancelled_ms tags",
    "v_jobs": "job_id run run_name key seq source file line model state exact_state attempts tries due_ms bytes est_input "
    "max_tokens error finished_ms metadata id tags",
    "v_results": "job_id run run_name key seq source file line attempt via model stop_reason body input_tokens output_tokens "
    "thinking_tokens cache_read_tokens cache_write_5m_tokens cache_write_1h_tokens cost_nanos cost_usd request_id sent_ms "
    "ended_ms received_ms metadata id attempts latency_s tags",
    "v_texts": "job_id run run_name id seq model stop_reason text output_tokens cost_usd tags metadata",
    "v_attempts": "job_id run run_name key attempt via batch_id batch model claimed_ms sent_ms ended_ms outcome status "
    "error_type error_code message request_id other_ids input_tokens output_tokens thinking_tokens cache_read_tokens "
    "cache_write_5m_tokens cache_write_1h_tokens cost_nanos cost_usd worst_nanos worst_usd billed winning id "
    "latency_s",
    "v_errors": "job_id run run_name key seq source file line model state error attempt via status error_type error_code "
    "message request_id ended_ms tries finished_ms id tags metadata",
    "v_costs": "run run_name model via attempts input_tokens output_tokens thinking_tokens cache_read_tokens "
    "cache_write_5m_tokens cache_write_1h_tokens cost_nanos cost_usd maybe_nanos maybe_usd unpriced",
    "v_batches": "batch_id batch run run_name state model jobs bytes intended_ms sent_ms submitted_ms ended_ms expires_ms "
    "processing counts cancel_reason message reserved_nanos reserved_usd",
}


@pytest.fixture
def sql(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    path = tmp_path / "batchrun.db"
    with Stock(path) as stock:
        run = stock.run("nightly", spent=66_100_000_001, budget=163_000_000_000)
        stock.job(
            run, "a", "succeeded", attempts=[{"status": 529, "billed": "maybe", "worst": 40}, {"cost": 1_300_000}]
        )
        stock.job(run, "b", "succeeded", attempts=[{"cost": None}], metadata='{"doi":"x"}')
        stock.job(run, "c", "failed", error="overloaded_error", attempts=[{"status": 529, "message": "Overloaded"}])
        stock.job(run, "d", "running")
        stock.job(run, "e", "held", error="worker_died")
        stock.run("empty")
    made = sqlite3.connect(path)
    made.row_factory = sqlite3.Row
    yield made
    made.close()


def rows(sql: sqlite3.Connection, view: str) -> list[dict[str, Any]]:
    return [dict(row) for row in sql.execute(f"SELECT * FROM {view}")]


def test_each_view_has_the_columns_it_is_known_for(sql: sqlite3.Connection) -> None:
    assert {name for name, _ in VIEWS} == set(COLUMNS)
    for name, columns in COLUMNS.items():
        found = [column[0] for column in sql.execute(f"SELECT * FROM {name}").description]
        assert found == columns.split(), name


def test_runs_have_their_counts_and_their_money(sql: sqlite3.Connection) -> None:
    nightly, empty = rows(sql, "v_runs")
    assert (nightly["run"], nightly["succeeded"], nightly["failed"], nightly["sent"], nightly["held"]) == (
        "r-1",
        2,
        1,
        1,
        1,
    )
    assert (nightly["total"], nightly["queued"]) == (5, 0)
    assert (nightly["spent_nanos"], nightly["spent_usd"]) == (66_100_000_001, pytest.approx(66.1))
    assert (empty["total"], empty["budget_usd"]) == (0, None)


def test_jobs_that_are_out_read_as_sent(sql: sqlite3.Connection) -> None:
    states = {row["key"]: (row["state"], row["exact_state"]) for row in rows(sql, "v_jobs")}
    assert states["d"] == ("sent", "running")
    assert states["a"] == ("succeeded", "succeeded")


def test_results_are_one_a_job_with_what_won(sql: sqlite3.Connection) -> None:
    a, b = rows(sql, "v_results")
    assert (a["key"], a["attempt"], a["cost_usd"], a["received_ms"]) == ("a", 2, pytest.approx(0.0013), NOON + SECOND)
    assert (b["metadata"], b["cost_nanos"], b["cost_usd"]) == ('{"doi":"x"}', None, None)
    assert '"content"' in a["body"]


def test_the_text_of_a_result_is_that_of_its_blocks_whatever_stands_in_the_body(tmp_path: Path) -> None:
    bodies = {
        '{"content":[{"type":"text","text":"a"},{"type":"tool_use"},{"type":"text","text":"b"}],"stop_reason":"x"}': "ab",
        '{"content":"odd","stop_reason":"x"}': None,
        '{"content":["odd",1,null],"stop_reason":"x"}': None,
        '{"content":[],"stop_reason":"x"}': None,
        '{"stop_reason":"x"}': None,
    }
    path = tmp_path / "batchrun.db"
    with Stock(path) as stock:
        run = stock.run("one", tags='["night"]')
        for n, body in enumerate(bodies):
            job = stock.job(run, f"{n}", "succeeded", answer=body, attempts=[{}, {"via": "batch" if n else "realtime"}])
        stock.sql.execute("UPDATE results SET body = 'no json' WHERE job = ?", (job,))
        stock.sql.execute("UPDATE requests SET tags = '[\"urgent\"]' WHERE job = ?", (job,))
        batch = stock.batch(run, "done", n=5)
    with Reading.open(path) as reading:
        assert reading.rows("SELECT text FROM v_texts ORDER BY seq") == [(text,) for text in bodies.values()]
        assert reading.rows("SELECT id, attempts, latency_s, tags FROM v_results WHERE seq IN (1, 5) ORDER BY seq") == [
            ("0", 2, 2.0, None),
            ("4", 2, None, '["urgent"]'),
        ]
        assert reading.rows("SELECT tags FROM v_runs") == [('["night"]',)]
        assert reading.rows("SELECT batch_id, state, jobs FROM v_batches") == [(f"b-{batch}", "done", 5)]


def test_errors_are_failed_and_held_jobs_with_their_last_attempt(sql: sqlite3.Connection) -> None:
    c, e = rows(sql, "v_errors")
    assert (c["error"], c["status"], c["message"], c["line"]) == ("overloaded_error", 529, "Overloaded", 3)
    assert (e["state"], e["attempt"]) == ("held", None)


def test_costs_tell_certain_from_possible_and_unknown_from_nothing(sql: sqlite3.Connection) -> None:
    (costs,) = rows(sql, "v_costs")
    assert (costs["attempts"], costs["cost_nanos"], costs["maybe_nanos"], costs["unpriced"]) == (4, 1_300_000, 40, 1)


def test_attempts_are_all_there(sql: sqlite3.Connection) -> None:
    found = [(row["key"], row["attempt"], row["outcome"], row["winning"]) for row in rows(sql, "v_attempts")]
    assert found == [("a", 1, "error", None), ("a", 2, "ok", 1), ("b", 1, "ok", 1), ("c", 1, "error", None)]


def test_the_views_are_there_in_every_queue(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    with Stock(path) as stock:
        stock.run("one")
    with Reading.open(path) as reading:
        for name, _ in VIEWS:
            reading.rows(f"SELECT * FROM {name}")
