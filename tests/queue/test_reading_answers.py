"""Paging through jobs and failures: everything once, in order, whatever is selected."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchrun.core.job import JobId, RunId
from batchrun.core.select import Facts, Field, Selection, Term, parse
from batchrun.core.states import FINAL, State
from batchrun.queue import answers as paging
from batchrun.queue import failures as failing
from batchrun.queue.answers import answers, in_order, matching, metadata
from batchrun.queue.connect import close_queue, open_queue
from batchrun.queue.failures import failures, groups, pattern
from batchrun.queue.jobrows import ResultRow
from batchrun.queue.reading import Reading
from batchrun.queue.retrying import SOURCES, retry
from batchrun.queue.writing import perform_now
from batchrun.report.flat import Seen
from tests.examples import examples
from tests.stock import MINUTE, NOON, Stock, message


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "batchrun.db"


RUN = RunId(1)


# -- answers ----------------------------------------------------------------------------------------------------------


def test_every_job_comes_once_in_the_order_of_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("FIRST_WINDOW", 3), ("LAST_WINDOW", 7), ("PAGE", 2)):
        monkeypatch.setattr(paging, name, value)
    with Stock(path) as stock:
        run, other = stock.run("one"), stock.run("two")
        for n in range(50):
            stock.job(run, f"doc-{n}", "succeeded" if n % 5 else "failed", seq=1_000 * n - 7_000)
            stock.job(other, f"doc-{n}", "succeeded")
    with Reading.open(path) as reading:
        assert [row.job.key for row in answers(reading, RUN)] == [f"doc-{n}" for n in range(50)]
        answered = [row.job.key for row in answers(reading, RUN, answered=True)]
        assert answered == [f"doc-{n}" for n in range(50) if n % 5]
        assert [row.job.key for row in answers(reading, RUN, answered=True, limit=5)] == answered[:5]
        assert list(answers(reading, RUN, limit=0)) == []
        assert matching(reading, RUN, answered=True) == 40
        assert matching(reading, RUN, states=(State.FAILED,)) == 10


def test_a_row_has_the_winning_attempt_and_the_answer_as_received(path: Path) -> None:
    body = '{ "content": [], "stop_reason": "end_turn", "n": 1.50 }'
    with Stock(path) as stock:
        run = stock.run("one")
        job = stock.job(
            run,
            "a",
            "succeeded",
            attempts=[{"status": 529, "message": "Overloaded"}, {"cost": 7, "output": 3}],
            answer=body,
            metadata='{"doi":"x"}',
        )
        stock.attempt(job, 3, ok=True)
        stock.add(
            "results", job=job, attempt=3, winning=0, body="{}", stop_reason="end_turn", received=NOON
        )  # bought twice
    with Reading.open(path) as reading:
        (row,) = answers(reading, RUN)
    assert row.answer is not None
    assert row.attempt is not None
    assert (row.answer.body, row.answer.stop_reason) == (body, "end_turn")
    assert (row.attempt.n, row.attempt.cost) == (2, 7)
    assert row.attempt.usage is not None
    assert row.attempt.usage.output == 3
    assert row.metadata == '{"doi":"x"}'


def test_a_job_that_never_left_has_neither_attempt_nor_answer(path: Path) -> None:
    with Stock(path) as stock:
        stock.job(stock.run("one"), "a")
    with Reading.open(path) as reading:
        (row,) = answers(reading, RUN)
    assert (row.attempt, row.answer, row.metadata) == (None, None, None)


def test_jobs_that_change_between_pages_are_neither_lost_nor_doubled(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("FIRST_WINDOW", 2), ("LAST_WINDOW", 2), ("PAGE", 2)):
        monkeypatch.setattr(paging, name, value)
    with Stock(path) as stock:
        run = stock.run("one")
        for n in range(10):
            stock.job(run, f"doc-{n}", "queued" if n % 2 else "succeeded")
    writer = sqlite3.connect(path, isolation_level=None)
    seen = Counter[str]()
    with Reading.open(path) as reading:
        for row in answers(reading, RUN):
            seen[row.job.key] += 1
            writer.execute("UPDATE jobs SET state = 'cancelled', finished = 1 WHERE state = 'queued'")
    writer.close()
    assert seen == {f"doc-{n}": 1 for n in range(10)}


def test_metadata_can_be_read_alone(path: Path) -> None:
    with Stock(path) as stock:
        run = stock.run("one")
        stock.job(run, "a", metadata='{"doi":1}')
        stock.job(run, "b", metadata="[1]")
        stock.job(run, "c")
        stock.job(run, "d", "succeeded", metadata='{"tag":1}')
    with Reading.open(path) as reading:
        assert list(metadata(reading, RUN)) == [{"doi": 1}, [1], {"tag": 1}]
        assert list(metadata(reading, RUN, states=tuple(FINAL))) == [{"tag": 1}]


def test_jobs_come_in_the_order_that_is_asked_for_with_what_was_sent_and_each_attempt(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "PAGE", 2)
    with Stock(path) as stock:
        run = stock.run("one")
        shared = stock.add("shared", digest=b"1", body='{"model":"a","system":"s"}')
        ids = [
            stock.job(run, f"doc-{n}", "succeeded", own=f'{{"n":{n}}}', attempts=[{"status": 529}] * n + [{}])
            for n in range(5)
        ]
        stock.sql.execute("UPDATE requests SET shared = ? WHERE job > ?", (shared, ids[1]))
    wanted = [JobId(ids[n]) for n in (4, 0, 3)] + [JobId(99)]
    with Reading.open(path) as reading:
        found = list(in_order(reading, wanted, requests=True, attempts=True))
        assert [row.job.key for row in found] == ["doc-4", "doc-0", "doc-3"]
        assert [json.loads(row.request or "") for row in found] == [
            {"model": "a", "system": "s", "n": 4},
            {"n": 0},
            {"model": "a", "system": "s", "n": 3},
        ]
        assert [[one.status for one in row.tried or ()] for row in found] == [
            [529] * 4 + [200],
            [200],
            [529] * 3 + [200],
        ]
        (plain,) = in_order(reading, wanted[:1])
        assert (plain.request, plain.tried) == (None, None)


# -- selections -------------------------------------------------------------------------------------------------------

ALPHABET = "ab[]*?%_-^\\\"'A é"
WORDS = st.text(ALPHABET, min_size=1, max_size=4)
KEYS = ["a", "b", "A", "ab", "a-b", "[a]", "a*", "a?b", "%", "_", "é", "\\", '"', "^a", "a]b", "aaa b"]


TOLD = ["urgent", "night", "b-1", "b-?", "msgbatch_02", "msg*", "0", "1", "2", "yes", "no", "?*"]
ASKED = '{"model":"a","output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}}}'


def _terms() -> st.SearchStrategy[Term]:
    states = st.sampled_from(["sent", "failed", "*ed", "?ueued", "succeeded", "*"])
    fields = st.sampled_from(
        [Field.ID, Field.ERROR, Field.MODEL, Field.STOP, Field.TAG, Field.BATCH, Field.ATTEMPT, Field.VALID]
    )
    others = st.builds(
        Term,
        fields,
        WORDS | st.sampled_from([*KEYS, "overloaded", "end_*", "[a]*", "[*", "*]", "[!a]?", "[^a]*", *TOLD]),
        st.booleans(),
    )
    return others | st.builds(Term, st.just(Field.STATE), states, st.booleans())


SELECTIONS = st.lists(st.lists(_terms(), min_size=1, max_size=3).map(tuple), min_size=1, max_size=3).map(
    lambda groups: Selection(tuple(groups), "")
)


@pytest.fixture(scope="module")
def assorted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("assorted") / "batchrun.db"
    states = ["succeeded", "failed", "queued", "running", "waiting", "cancelled", "held"]
    with Stock(path) as stock:
        run = stock.run("one", tags='["night", "a"]')
        batches = [stock.batch(run, "done"), stock.batch(run, "done"), stock.batch(run, "lost")]
        for n, key in enumerate(KEYS * 2):
            state = states[n % len(states)]
            tried: list[dict[str, Any]] = [{"via": "batch", "batch": batches[n % 3]}] * (n % 4 % 3)
            job = stock.job(
                run,
                key if n < len(KEYS) else f"{key}+",
                state,
                attempts=[*tried, {}] if state == "succeeded" else tried,
                model=("a", "ab", "*")[n % 3],
                error=("overloaded_error", "a", "[a]")[n % 3] if state in {"failed", "held", "waiting"} else None,
                answer=message(("x", "{}", "[]")[n % 3], stop=("end_turn", "ab")[n % 2])
                if state == "succeeded"
                else None,
                **({"own": ASKED} if n % 5 else {}),
            )
            if n % 3:
                stock.sql.execute(
                    "UPDATE requests SET tags = ? WHERE job = ?", ('["urgent", "a*"]' if n % 2 else "[]", job)
                )
    return path


def _facts(row: ResultRow) -> Facts:
    batches = [(f"b-{one.batch_id}", one.batch) for one in row.tried or () if one.batch_id is not None]
    fits = Seen(row).structured
    return {
        Field.STATE: row.job.state.value,
        Field.ERROR: row.job.error,
        Field.MODEL: row.job.model,
        Field.ID: row.job.key,
        Field.STOP: row.answer.stop_reason if row.answer else None,
        Field.TAG: row.tags,
        Field.BATCH: tuple(name for both in batches for name in both if name),
        Field.ATTEMPT: str(row.job.attempts),
        Field.VALID: {True: "yes", False: "no", None: None}[fits.fits if fits else None],
    }


@settings(max_examples=examples(400), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(selection=SELECTIONS)
def test_sql_selects_what_the_selection_means(assorted: Path, selection: Selection) -> None:
    with Reading.open(assorted) as reading:
        every = list(answers(reading, RUN, attempts=True))
        meant = [row.job.key for row in every if selection.holds(_facts(row))]
        assert [row.job.key for row in answers(reading, RUN, selection=selection)] == meant
        assert matching(reading, RUN, selection=selection) == len(meant)


@settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(selection=SELECTIONS.filter(lambda chosen: Field.VALID not in chosen.fields))
def test_a_retry_chooses_what_the_selection_means(assorted: Path, retriable: sa.Engine, selection: Selection) -> None:
    with Reading.open(assorted) as reading:
        meant = [row.job for row in answers(reading, RUN, attempts=True) if selection.holds(_facts(row))]
    found = retry(lambda op: perform_now(retriable, op), RUN, NOON, selection.holds, dry=True, asks=selection.fields)
    assert found.queued == sum(job.state in SOURCES for job in meant)
    assert found.left == Counter(job.state for job in meant if job.state not in SOURCES)


@pytest.fixture(scope="module")
def retriable(assorted: Path) -> Iterator[sa.Engine]:
    engine = open_queue(assorted)
    yield engine
    close_queue(engine)


def test_jobs_named_by_their_ids_are_found_without_a_walk_through_the_run(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Stock(path) as stock:
        stock.many(stock.run("one"), 50_000)
    with Reading.open(path) as reading:
        asked = 0
        rows = reading.rows

        def counted(sql: str, *values: object) -> list[object]:
            nonlocal asked
            asked += 1
            return rows(sql, *values)

        monkeypatch.setattr(reading, "rows", counted)
        found = answers(reading, RUN, selection=parse("id:doc-49999 id:doc-3,state:queued"))
        assert [row.job.key for row in found] == ["doc-3", "doc-49999"]
        assert asked == 2


# -- failures ---------------------------------------------------------------------------------------------------------


def _failed(stock: Stock, run: int, n: int, message_: str, status: int = 400, **values: Any) -> None:
    error = values.pop("error", "invalid_request_error")
    stock.job(
        run,
        f"bad-{n}",
        str(values.pop("state", "failed")),
        error=error,
        attempts=[{"status": status, "message": message_, "ended": NOON + n}],
        **values,
    )


def test_alike_errors_are_one_group_whatever_their_numbers_and_ids(path: Path) -> None:
    with Stock(path) as stock:
        run = stock.run("one")
        stock.job(run, "fine", "succeeded")
        for n in range(5):
            _failed(stock, run, n, f"messages.{n}.content: text is empty (req_01{n}abc)")
        _failed(stock, run, 5, "max_tokens: too large")
        _failed(stock, run, 6, "Overloaded", 529, error="overloaded_error", tries=1)
        _failed(stock, run, 7, "Overloaded", 529, error="overloaded_error", state="held")
    with Reading.open(path) as reading:
        found = groups(reading, RUN)
    assert [(group.error, group.n, group.state.value) for group in found] == [
        ("invalid_request_error", 5, "failed"),
        ("invalid_request_error", 1, "failed"),
        ("overloaded_error", 1, "failed"),
        ("overloaded_error", 1, "held"),
    ]
    first = found[0]
    assert first.message == "messages.4.content: text is empty (req_014abc)"
    assert [failure.job.key for failure in first.samples] == ["bad-0", "bad-1", "bad-2"]
    assert first.last == NOON + 4
    assert not first.at_least


def test_groups_read_only_the_first_messages_of_a_class_and_say_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failing, "LOOKED_AT", 4)
    monkeypatch.setattr(failing, "PAGE", 3)
    with Stock(path) as stock:
        run = stock.run("one")
        for n in range(10):
            _failed(stock, run, n, "first" if n < 3 else "second")
        _failed(stock, run, 10, "third", error="other")
    with Reading.open(path) as reading:
        quick = [(group.message, group.n, group.at_least) for group in groups(reading, RUN)]
        exact = [(group.message, group.n, group.at_least) for group in groups(reading, RUN, every=True)]
        assert len(list(failures(reading, RUN))) == 11
    assert quick == [("first", 3, True), ("second", 1, True), ("third", 1, False)]
    assert exact == [("second", 7, False), ("first", 3, False), ("third", 1, False)]


def test_failures_are_selected_and_come_by_class_and_file_order(path: Path) -> None:
    with Stock(path) as stock:
        run = stock.run("one")
        for n in range(6):
            _failed(stock, run, n, "m", error=("b", "a", None)[n % 3])
    with Reading.open(path) as reading:
        assert [one.job.key for one in failures(reading, RUN)] == ["bad-2", "bad-5", "bad-1", "bad-4", "bad-0", "bad-3"]
        assert [one.job.key for one in failures(reading, RUN, parse("error:a ~error:*"))] == [
            "bad-2",
            "bad-5",
            "bad-1",
            "bad-4",
        ]


def test_a_failure_without_an_attempt_has_a_group_too(path: Path) -> None:
    with Stock(path) as stock:
        run = stock.run("one")
        job = stock.job(run, "a", "failed", error="worker_died", finished=NOON + MINUTE)
        stock.sql.execute("DELETE FROM attempts WHERE job = ?", (job,))
    with Reading.open(path) as reading:
        (group,) = groups(reading, RUN)
    assert (group.message, group.status, group.last) == ("", None, NOON + MINUTE)


def test_a_pattern_leaves_words_and_drops_numbers_and_ids() -> None:
    assert pattern("messages.12.content: 5 of 9") == pattern("messages.3.content: 1 of 2")
    assert pattern("see req_011CQabc") == pattern("see req_9")
    assert pattern("max_tokens: too large") != pattern("max_tokens: too small")
