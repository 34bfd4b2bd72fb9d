"""Streamed answers: put together without loss, and never taken for whole when they were cut."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from batchrun.core.outcome import (
    AccountStopped,
    Billed,
    Dropped,
    Flag,
    Outcome,
    Overloaded,
    RateLimited,
    Refused,
    ServerFailed,
    Stop,
    Succeeded,
    Usage,
    billed,
)
from tests.claude.api import MESSAGE, MODEL, Said, claim, error, send
from tests.claude.loopback import exchange, saying

SSE = {"request-id": "req_011", "content-type": "text/event-stream; charset=utf-8"}
Event = dict[str, Any]

START: Event = {
    "type": "message_start",
    "message": {
        **MESSAGE,
        "content": [],
        "stop_reason": None,
        "usage": {
            "input_tokens": 25,
            "output_tokens": 1,
            "cache_read_input_tokens": 7,
            "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4},
        },
    },
}
END: Event = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
    "usage": {"output_tokens": 15},
}
STOP: Event = {"type": "message_stop"}


def block(index: int, start: Event, *deltas: Event) -> list[Event]:
    """The events of one content block."""
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def text(index: int, *pieces: str) -> list[Event]:
    return block(index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": each} for each in pieces))


def wire(stream: Iterable[Event], newline: str = "\n") -> bytes:
    lines = (f"event: {each['type']}\ndata: {json.dumps(each, ensure_ascii=False)}\n\n" for each in stream)
    return "".join(lines).replace("\n", newline).encode()


def answered(stream: Iterable[Event], **more: Any) -> Outcome:
    return send(Said(body=wire(stream), headers=SSE), claim(max_tokens=50_000), **more)


def put_together(*stream: Event) -> dict[str, Any]:
    outcome = answered([START, *stream, END, STOP])
    assert isinstance(outcome, Succeeded)
    message = json.loads(outcome.answer.body)
    assert isinstance(message, dict)
    return message


def test_a_text_grows_from_its_pieces() -> None:
    outcome = answered([START, {"type": "ping"}, *text(0, "Grü", "ße", " 🙂"), END, STOP])
    assert isinstance(outcome, Succeeded)
    message = json.loads(outcome.answer.body)
    assert message["content"] == [{"type": "text", "text": "Grüße 🙂"}]
    assert {key: message[key] for key in ("id", "role", "model", "stop_reason")} == {
        "id": "msg_01",
        "role": "assistant",
        "model": MODEL,
        "stop_reason": "end_turn",
    }
    assert outcome.reply.request_id == "req_011"
    assert outcome.answer.model == MODEL


def test_counts_of_the_end_replace_those_of_the_start_and_the_others_stay() -> None:
    end = {**END, "usage": {"output_tokens": 15, "input_tokens": None, "output_tokens_details": {"thinking_tokens": 9}}}
    outcome = answered([START, *text(0, "a"), end, STOP])
    assert isinstance(outcome, Succeeded)
    assert outcome.answer.usage == Usage(
        input=25, output=15, thinking=9, cache_read=7, cache_write_5m=3, cache_write_1h=4
    )


def test_thinking_keeps_its_text_and_its_signature() -> None:
    message = put_together(
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "Let me"},
            {"type": "thinking_delta", "thinking": " see"},
            {"type": "signature_delta", "signature": "EqQB=="},
        ),
        *block(1, {"type": "redacted_thinking", "data": "xyz"}),
    )
    assert message["content"] == [
        {"type": "thinking", "thinking": "Let me see", "signature": "EqQB=="},
        {"type": "redacted_thinking", "data": "xyz"},
    ]


@pytest.mark.parametrize("kind", ["tool_use", "server_tool_use", "mcp_tool_use", "a_tool_of_tomorrow"])
def test_the_input_of_a_tool_is_read_from_its_pieces(kind: str) -> None:
    start = {"type": kind, "id": "toolu_1", "name": "find", "input": {}}
    pieces = ['{"where": "Mün', 'chen", "n": [1, 2', ".50]}"]
    message = put_together(*block(0, start, *({"type": "input_json_delta", "partial_json": each} for each in pieces)))
    assert message["content"] == [{**start, "input": {"where": "München", "n": [1, 2.5]}}]


def test_an_input_of_a_tool_too_deep_to_be_read_stands_as_it_came() -> None:
    start = {"type": "tool_use", "id": "toolu_1", "name": "dig", "input": {}}
    deep = "[" * 100_000
    message = put_together(*block(0, start, {"type": "input_json_delta", "partial_json": deep}))
    assert message["content"] == [{**start, "partial_json": deep}]


def test_a_tool_without_input_has_an_empty_one() -> None:
    start = {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}}
    assert put_together(*block(0, start, {"type": "input_json_delta", "partial_json": ""}))["content"] == [start]


def test_the_input_of_a_tool_cut_at_max_tokens_keeps_what_there_is() -> None:
    start = {"type": "tool_use", "id": "toolu_1", "name": "write", "input": {}}
    cut = '{"name": "a", "text": "half a sen'
    outcome = answered(
        [
            START,
            *block(0, start, {"type": "input_json_delta", "partial_json": cut}),
            {**END, "delta": {"stop_reason": "max_tokens"}},
            STOP,
        ]
    )
    assert isinstance(outcome, Succeeded)
    assert outcome.answer.flag is Flag.TRUNCATED
    (tool,) = json.loads(outcome.answer.body)["content"]
    assert tool["input"] == {"name": "a", "text": "half a sen"}
    assert tool["partial_json"] == cut


def test_an_input_that_is_no_json_stays_as_it_came() -> None:
    start = {"type": "tool_use", "id": "toolu_1", "name": "write", "input": {}}
    message = put_together(*block(0, start, {"type": "input_json_delta", "partial_json": "{]"}))
    assert message["content"] == [{**start, "partial_json": "{]"}]


def test_citations_are_gathered() -> None:
    first, second = {"type": "char_location", "cited_text": "a"}, {"type": "page_location", "cited_text": "b"}
    message = put_together(
        *block(
            0,
            {"type": "text", "text": "", "citations": None},
            {"type": "citations_delta", "citation": first},
            {"type": "text_delta", "text": "so"},
            {"type": "citations_delta", "citation": second},
        )
    )
    assert message["content"] == [{"type": "text", "text": "so", "citations": [first, second]}]


def test_blocks_that_come_whole_stay_whole() -> None:
    result = {
        "type": "web_search_tool_result",
        "tool_use_id": "srv_1",
        "content": [{"url": "https://a.test", "x": None}],
    }
    assert put_together(*block(0, result), *text(1, "ok"))["content"] == [result, {"type": "text", "text": "ok"}]


def test_a_compaction_takes_its_values_as_they_are() -> None:
    message = put_together(
        *block(
            0,
            {"type": "compaction", "content": None, "encrypted_content": None},
            {"type": "compaction_delta", "content": "short", "encrypted_content": "abc"},
        )
    )
    assert message["content"] == [{"type": "compaction", "content": "short", "encrypted_content": "abc"}]


def test_deltas_nobody_knows_lose_nothing() -> None:
    message = put_together(
        *block(
            0,
            {"type": "audio", "data": "", "marks": [1]},
            {"type": "audio_delta", "data": "ab", "marks": [2], "rate": 8},
            {"type": "audio_delta", "data": "cd", "rate": 16, "note": "x"},
            {"type": "audio_delta", "note": "y", "rate": None},
        )
    )
    assert message["content"] == [{"type": "audio", "data": "abcd", "marks": [1, 2], "rate": 16, "note": "xy"}]


def test_events_nobody_knows_are_kept() -> None:
    stray = {"type": "content_block_delta", "index": 5, "delta": {"type": "text_delta", "text": "lost?"}}
    message = put_together({"type": "weather", "sunny": True}, stray, *text(0, "a"))
    assert message["unknown_events"] == [{"type": "weather", "sunny": True}, stray]


def test_what_the_end_says_beside_the_usage_is_kept() -> None:
    end = {
        **END,
        "delta": {"stop_reason": "refusal", "stop_details": {"category": "bio"}},
        "context_management": {"n": 1},
    }
    outcome = answered([START, end, STOP])
    assert isinstance(outcome, Succeeded)
    assert outcome.answer.flag is Flag.REFUSED
    message = json.loads(outcome.answer.body)
    assert (message["stop_details"], message["context_management"]) == ({"category": "bio"}, {"n": 1})


def test_what_the_end_leaves_open_stays_as_it_began() -> None:
    start = {**START, "message": {**START["message"], "container": {"id": "c_1"}}}
    end = {**END, "delta": {"stop_reason": "end_turn", "container": None, "stop_details": None}}
    outcome = answered([start, end, STOP])
    assert isinstance(outcome, Succeeded)
    message = json.loads(outcome.answer.body)
    assert (message["container"], message["stop_details"]) == ({"id": "c_1"}, None)


def test_blocks_stand_in_the_order_of_their_index() -> None:
    assert [each["text"] for each in put_together(*text(1, "b"), *text(0, "a"))["content"]] == ["a", "b"]


def test_a_character_cut_in_two_by_the_pieces_is_whole_again() -> None:
    halves = json.loads('["\\ud83d", "\\ude42"]')
    body = (
        wire([START])
        + "".join(f"event: x\ndata: {json.dumps(each)}\n\n" for each in [*text(0, *halves), END, STOP]).encode()
    )
    outcome = send(Said(body=body, headers=SSE))
    assert isinstance(outcome, Succeeded)
    assert json.loads(outcome.answer.body)["content"][0]["text"] == "🙂"
    outcome.answer.body.encode()


# -- what is no whole answer


CUTS: Sequence[tuple[str, list[Event]]] = [
    ("nothing at all", []),
    ("only the start", [START]),
    ("in the middle of a text", [START, *text(0, "half")[:-1]]),
    ("before message_stop", [START, *text(0, "whole?"), END]),
    ("without a stop reason", [START, *text(0, "half"), STOP]),
    ("without a start", [*text(0, "half"), END, STOP]),
]


@pytest.mark.parametrize("stream", [each for _, each in CUTS], ids=[name for name, _ in CUTS])
def test_a_stream_that_ends_early_is_no_answer_and_possibly_billed(stream: list[Event]) -> None:
    outcome = answered(stream)
    assert isinstance(outcome, Dropped)
    assert billed(outcome) is Billed.MAYBE
    assert (outcome.reply.status, outcome.reply.request_id) == (200, "req_011")


@pytest.mark.parametrize("then", ["close", "reset"])
def test_a_stream_whose_connection_breaks_is_possibly_billed(then: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nRequest-Id: req_011\r\nContent-Length: 99999\r\n\r\n"
    outcome, _ = exchange(saying(head + wire([START, *text(0, "half")]), then=then), max_tokens=50_000)
    assert isinstance(outcome, Dropped)
    assert outcome.reply.request_id == "req_011"


def test_a_stream_that_falls_silent_is_possibly_billed() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nRequest-Id: req_011\r\nContent-Length: 99999\r\n\r\n"
    outcome, _ = exchange(saying(head + wire([START])), max_tokens=50_000, read=0.05)
    assert isinstance(outcome, Dropped)
    assert outcome.timed_out


def test_a_whole_stream_is_an_answer_even_if_the_connection_stays_open() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nRequest-Id: req_011\r\nContent-Length: 99999\r\n\r\n"
    outcome, server = exchange(saying(head + wire([START, *text(0, "a"), END, STOP])), max_tokens=50_000)
    assert isinstance(outcome, Succeeded)
    assert json.loads(server.bodies[0])["stream"] is True


def test_a_stream_that_is_no_text_is_possibly_billed() -> None:
    outcome = send(Said(body=wire([START]) + b"data: \xff\xfe\n\n", headers=SSE))
    assert isinstance(outcome, Dropped)
    assert outcome.reply.error_type == "connection_lost"
    assert "possibly billed" in outcome.reply.message


@pytest.mark.parametrize(
    ("kind", "outcome", "facts"),
    [
        ("overloaded_error", Overloaded, {"billed": Billed.MAYBE}),
        ("api_error", ServerFailed, {"billed": Billed.MAYBE}),
        ("timeout_error", ServerFailed, {"billed": Billed.MAYBE}),
        ("a_new_error", ServerFailed, {"billed": Billed.MAYBE}),
        ("rate_limit_error", RateLimited, {"retry_after": None}),
        ("invalid_request_error", Refused, {}),
        ("billing_error", AccountStopped, {"stop": Stop.BILLING}),
        ("authentication_error", AccountStopped, {"stop": Stop.KEY}),
    ],
)
def test_an_error_inside_a_stream_is_judged_by_its_type(kind: str, outcome: type, facts: dict[str, Any]) -> None:
    found = answered([START, *text(0, "half"), error(kind)])
    assert type(found) is outcome
    assert {name: getattr(found, name) for name in facts} == facts
    assert (found.reply.status, found.reply.error_type, found.reply.request_id) == (200, kind, "req_011")


def test_an_error_before_the_message_began_is_not_billed() -> None:
    found = answered([error("overloaded_error")])
    assert isinstance(found, Overloaded)
    assert billed(found) is Billed.NO


def test_an_error_inside_a_stream_may_be_plain_text() -> None:
    found = send(Said(body=wire([START]) + b"event: error\ndata: upstream died\n\n", headers=SSE))
    assert isinstance(found, ServerFailed)
    assert found.reply.message == "upstream died"
