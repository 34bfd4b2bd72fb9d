"""Whatever a server says, it becomes an outcome: nothing is raised, and nothing is stored that no database takes."""

from __future__ import annotations

import json
from typing import Any

import httpx2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchrun.core.account import Account
from batchrun.core.batch import Item, Page, Remote
from batchrun.core.outcome import Dropped, Outcome, Succeeded, billed, scope
from tests.claude.api import API, MESSAGE, Said, error, send, whoami
from tests.claude.batchroom import BATCH, COUNTS, asking, read
from tests.claude.test_batches import ASKS
from tests.claude.test_stream import END, SSE, START, STOP, text
from tests.examples import examples

KEYS = [
    "type",
    "error",
    "message",
    "details",
    "error_code",
    "request_id",
    "content",
    "usage",
    "model",
    "stop_reason",
    "index",
    "delta",
    "content_block",
    "citation",
    "citations",
    "partial_json",
    "input_tokens",
    "cache_creation",
]
TYPES = [
    "message",
    "error",
    "api_error",
    "rate_limit_error",
    "not_found_error",
    "message_start",
    "content_block_start",
    "content_block_delta",
    "text_delta",
    "input_json_delta",
    "citations_delta",
    "message_delta",
    "message_stop",
]
NAMES = [
    "request-id",
    "retry-after",
    "retry-after-ms",
    "date",
    "location",
    "anthropic-organization-id",
    "cf-ray",
    "content-type",
    "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-requests-remaining",
]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(TYPES)
JSON: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)
PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
HEADERS = st.dictionaries(st.sampled_from(NAMES), PRINTABLE, max_size=5)
QUICK = settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])


def storable(outcome: Outcome) -> None:
    """All of it may go to a screen and into a database."""
    billed(outcome)
    scope(outcome)
    reply = outcome.reply
    for each in (reply.message, reply.error_type, reply.error_code, reply.request_id, *reply.other_ids):
        assert (each or "").isprintable()
    if isinstance(outcome, Succeeded):
        answer = outcome.answer
        answer.body.encode()
        json.loads(answer.body)
        assert (answer.stop_reason + answer.model + (answer.usage.speed or "") + (answer.usage.geo or "")).isprintable()


@QUICK
@given(st.integers(200, 599), JSON, HEADERS)
def test_any_json_under_any_status_is_an_outcome(status: int, body: Any, headers: dict[str, str]) -> None:
    said = Said(status=status, body=json.dumps(body), headers=headers)
    storable(send(said))
    found = whoami(said)
    assert isinstance(found, Account) or found is not None
    if not isinstance(found, Account):
        storable(found)


@QUICK
@given(st.integers(200, 599), st.binary(max_size=200))
def test_any_bytes_under_any_status_are_an_outcome(status: int, body: bytes) -> None:
    storable(send(Said(status=status, body=body, headers={})))


@QUICK
@given(JSON)
def test_any_message_is_an_answer_or_none(fields: Any) -> None:
    extra = fields if isinstance(fields, dict) else {"usage": fields}
    storable(send(Said(body={**MESSAGE, **extra})))


@QUICK
@given(st.lists(st.sampled_from([START, *text(0, "a"), END, STOP, error("api_error")]) | JSON, max_size=8))
def test_any_events_in_any_order_are_an_outcome(stream: list[Any]) -> None:
    body = "".join(f"event: x\ndata: {json.dumps(each)}\n\n" for each in stream)
    storable(send(Said(body=body, headers=SSE)))


@QUICK
@given(st.binary(max_size=300))
def test_any_bytes_in_a_stream_are_an_outcome(body: bytes) -> None:
    storable(send(Said(body=body, headers=SSE)))


MEMBERS = {
    "id": LEAVES,
    "processing_status": LEAVES | st.just("ended"),
    "request_counts": st.fixed_dictionaries(dict.fromkeys(COUNTS, st.integers() | st.booleans())) | JSON,
    "created_at": LEAVES | st.datetimes().map(lambda each: each.isoformat()),
    "has_more": LEAVES,
}


@QUICK
@given(st.fixed_dictionaries({}, optional=MEMBERS), st.integers(0, 3))
def test_any_batch_is_one_or_an_outcome(fields: Any, n: int) -> None:
    one = {**BATCH, **fields}
    for ask, body in [("create", one), ("find", one), ("page", {"has_more": False, **fields, "data": [one] * n})]:
        found = asking(Said(body=body), ASKS[ask])
        for remote in found.batches if isinstance(found, Page) else [found]:
            if isinstance(remote, Remote):
                assert remote.id.isprintable()
                assert 0 <= remote.n < 2**63
                assert abs(remote.created) < 2**63
            else:
                storable(remote)


@QUICK
@given(JSON | st.fixed_dictionaries({"custom_id": st.text(), "result": JSON}), st.booleans(), st.binary(max_size=50))
def test_any_line_of_the_results_is_an_item_or_an_outcome(value: Any, escaped: bool, rest: bytes) -> None:
    text = json.dumps(value, ensure_ascii=escaped).encode(errors="replace")
    for each in asking(Said(body=text + b"\n" + rest), read):
        storable(each.outcome if isinstance(each, Item) else each)


def test_json_of_any_depth_is_an_outcome() -> None:
    for depth in (500, 900, 990, 5_000, 100_000):
        for status in (200, 400, 500):
            body = '{"error":' * depth + "1" + "}" * depth
            storable(send(Said(status=status, body=body)))


def test_a_stream_of_any_depth_is_an_outcome() -> None:
    body = "event: x\ndata: " + "[" * 100_000 + "\n\n"
    assert isinstance(send(Said(body=body, headers=SSE)), Dropped)


def test_an_answer_under_no_header_at_all_is_an_outcome() -> None:
    outcome = send(lambda request: httpx2.Response(200, content=json.dumps(MESSAGE).encode()))
    assert isinstance(outcome, Succeeded)
    assert outcome.reply.request_id is None
    assert API["request-id"] not in repr(outcome)
