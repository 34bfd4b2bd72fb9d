"""A batch's own ids: whatever they name is found in them again, and the API takes them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.core.batch import ID_LENGTH, Processing, Remote, Ticket, ticket_of
from batchrun.core.job import JobId, Millis

PATTERN = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""What the API takes as a custom_id (batch guide, 2026-09-26)."""

LARGEST = 2**63 - 1
"""Of the numbers that a database keeps."""

WORDS = st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8)
TICKETS = st.builds(Ticket, WORDS, WORDS, st.integers(0, LARGEST).map(JobId), st.integers(0, 2**31 - 1))


@given(TICKETS)
def test_a_custom_id_says_what_it_was_made_of(ticket: Ticket) -> None:
    assert ticket_of(str(ticket)) == ticket


@given(TICKETS)
def test_the_api_takes_every_custom_id(ticket: Ticket) -> None:
    assert PATTERN.fullmatch(str(ticket))


def test_the_largest_ids_that_there_can_be_fit() -> None:
    largest = str(Ticket("z" * 8, "z" * 8, JobId(LARGEST), LARGEST))
    assert len(largest) <= ID_LENGTH
    assert ticket_of(largest) == Ticket("z" * 8, "z" * 8, JobId(LARGEST), LARGEST)


@given(st.lists(TICKETS, unique=True, max_size=20))
def test_no_two_requests_share_an_id(tickets: list[Ticket]) -> None:
    assert len({str(ticket) for ticket in tickets}) == len(tickets)


@pytest.mark.parametrize(
    "foreign",
    [
        "",
        "colleague-0",
        "br-queue-token-1",
        "br-queue-token-1-2-3",
        "br-queue-token--1",
        "br-Queue-token-1-1",
        "br-queue-token-1-1\n",
        "br-queue-token-1-+1",
        "br-queue-token-1-\u0661",
        "br-queue-token-1-" + "1" * 64,
    ],
)
def test_an_id_that_we_did_not_make_is_nobody_s(foreign: str) -> None:
    assert ticket_of(foreign) is None


@given(st.text())
def test_any_text_is_a_ticket_or_none(text: str) -> None:
    ticket = ticket_of(text)
    assert ticket is None or ticket_of(str(ticket)) == ticket


def test_a_batch_has_as_many_requests_as_its_counts_say_together() -> None:
    counts = {"processing": 3, "succeeded": 4, "errored": 5, "canceled": 6, "expired": 7}
    assert Remote(id="b", processing=Processing.IN_PROGRESS, counts=counts, created=Millis(0)).n == 25
