"""How much goes into one batch, and the bytes that carry it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from batchrun.core.batch import Intent, Line, ticket_of
from batchrun.core.job import BatchId, JobId, Nanos, RunId, WorkerId
from batchrun.core.packing import LEAST, MOST, body, draw, fitting

INTENT = Intent(
    id=BatchId(1),
    queue="queue000",
    token="token000",
    run=RunId(1),
    model="m",
    n=1,
    worker=WorkerId(1),
    worst=Nanos(0),
    betas=(),
    headers={},
)
JOBS = st.integers(1, 20_000_000)
CHANCES = st.floats(0, 1, exclude_max=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def line(job: int, params: Any, attempt: int = 1) -> Line:
    return Line(job=JobId(job), attempt=attempt, body=json.dumps(params, ensure_ascii=False))


@given(st.lists(JSON, min_size=1, max_size=5))
def test_a_body_is_the_json_of_its_requests_as_they_stand(params: list[Any]) -> None:
    lines = [line(number, each, attempt=number + 1) for number, each in enumerate(params, 1)]
    requests = json.loads(body(INTENT, lines))
    assert list(requests) == ["requests"]
    assert [each["params"] for each in requests["requests"]] == params
    assert all(list(each) == ["custom_id", "params"] for each in requests["requests"])
    for number, each in enumerate(requests["requests"], 1):
        ticket = ticket_of(each["custom_id"])
        assert ticket is not None
        assert (ticket.queue, ticket.token, ticket.job, ticket.attempt) == ("queue000", "token000", number, number + 1)


def test_numbers_and_blanks_leave_as_they_were_written() -> None:
    odd = Line(job=JobId(1), attempt=1, body='{"temperature": 1.0, "seed": 12345678901234567890}')
    assert odd.body.encode() in body(INTENT, [odd])


@given(
    st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=30),
    st.integers(0, 4_000),
    st.integers(1, 2**63 - 1),
)
def test_what_fits_never_takes_more_bytes_than_it_may(texts: list[str], most: int, first: int) -> None:
    lines = [line(first - at if first > len(texts) else first + at, text, 2**31) for at, text in enumerate(texts)]
    n = fitting((len(each.body.encode()) for each in lines), most)
    assert 1 <= n <= len(lines)
    assert n == 1 or len(body(INTENT, lines[:n])) <= most


@given(st.lists(st.integers(0, 1_000), min_size=2, max_size=30), st.integers(100, 5_000))
def test_nothing_stays_behind_that_would_have_fitted_at_its_largest(sizes: list[int], most: int) -> None:
    n = fitting(sizes, most)
    if n < len(sizes):
        assert fitting(sizes[: n + 1], most) == n
        longest = 64 + len('{"custom_id":"","params":},')
        assert len('{"requests":[]}') + sum(size + longest for size in sizes[: n + 1]) > most


def test_nothing_fits_nowhere() -> None:
    assert fitting([]) == 0
    assert fitting([10**9]) == 1  # whether the API takes it is for the API to say


@given(JOBS, JOBS, CHANCES, st.integers(1, MOST))
def test_a_batch_is_drawn_from_the_upper_tenth_and_is_all_that_is_left_when_that_fits(
    jobs: int, queued: int, chance: float, most: int
) -> None:
    n = draw(jobs, queued, chance, most)
    size = min(max(jobs // 25, LEAST), MOST, most)
    if queued <= size:
        assert n == queued
    else:
        assert size - size // 10 <= n <= size


@given(JOBS)
def test_the_whole_upper_tenth_is_drawn_from(jobs: int) -> None:
    size = draw(jobs, 10**9, 0.999_999_999)
    assert draw(jobs, 10**9, 0.0) == size - size // 10
    drawn = {draw(jobs, 10**9, chance / 5_000) for chance in range(5_000)}
    assert len(drawn) == size // 10 + 1


def test_a_run_is_seen_to_go_on_in_about_twenty_five_steps() -> None:
    left, steps = 100_000, 0
    while left:
        left -= draw(100_000, left, 0.5)
        steps += 1
    assert 25 <= steps <= 28
