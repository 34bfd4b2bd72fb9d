"""Answers under 2xx: a message is kept letter by letter, and what is no message is never taken for one."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx2
import pytest

from batchrun.core.outcome import (
    Billed,
    Dropped,
    Flag,
    Misrouted,
    Overloaded,
    Refused,
    ServerFailed,
    Succeeded,
    Usage,
    billed,
)
from tests.claude.api import API, MESSAGE, MODEL, Said, claim, error, send

ODD = '{ "type":"message",\n "content": [ {"type":"text","text":"caf\\u00e9 \\ud83d \\/ 1.50e3"} ],"n":1.50E+3,"n":2,'
ODD += '"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2},"model":"m" }\n'


def test_the_text_of_an_answer_is_kept_as_it_came() -> None:
    outcome = send(Said(body=ODD))
    assert isinstance(outcome, Succeeded)
    assert outcome.answer.body == ODD
    assert outcome.answer.stop_reason == "end_turn"
    assert outcome.answer.usage == Usage(input=1, output=2)
    assert outcome.answer.model == "m"
    assert (outcome.reply.status, outcome.reply.request_id) == (200, "req_011")
    assert billed(outcome) is Billed.YES


def test_a_compressed_answer_is_the_same_text() -> None:
    outcome = send(Said(body=gzip.compress(ODD.encode()), headers={**API, "content-encoding": "gzip"}))
    assert isinstance(outcome, Succeeded)
    assert outcome.answer.body == ODD


def test_the_body_leaves_as_the_claim_has_it() -> None:
    seen: list[bytes] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.content)
        return Said(body=MESSAGE).response()

    body = '{ "model":"m", "temperature": 1.50e0, "messages":[{"role":"user","content":"Grüße \\ud83d"}] }'
    send(handler, claim(body))
    assert seen == [body.encode()]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": 5}, Usage(input=3, output=4, cache_read=5)),
        ({"cache_creation_input_tokens": 9}, Usage(cache_write_5m=9)),
        (
            {
                "cache_creation_input_tokens": 9,
                "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 7},
            },
            Usage(cache_write_5m=2, cache_write_1h=7),
        ),
        (
            {"cache_creation_input_tokens": 9, "cache_creation": {"ephemeral_1h_input_tokens": 7}},
            Usage(cache_write_5m=2, cache_write_1h=7),
        ),
        (
            {
                "output_tokens": 8,
                "output_tokens_details": {"thinking_tokens": 6},
                "server_tool_use": {"web_search_requests": 2},
                "speed": "fast",
                "inference_geo": "us",
            },
            Usage(output=8, thinking=6, web_searches=2, speed="fast", geo="us"),
        ),
        ({"input_tokens": None, "output_tokens": "many", "cache_creation": 1, "server_tool_use": None}, Usage()),
        ({"input_tokens": 10**30}, Usage()),
        (None, Usage()),
        ("much", Usage()),
    ],
)
def test_the_usage_is_read_as_it_is_billed(usage: Any, expected: Usage) -> None:
    outcome = send(Said(body={**MESSAGE, "usage": usage}))
    assert isinstance(outcome, Succeeded)
    assert outcome.answer.usage == expected


@pytest.mark.parametrize(
    ("stop_reason", "flag"),
    [
        ("end_turn", None),
        ("tool_use", None),
        ("max_tokens", Flag.TRUNCATED),
        ("refusal", Flag.REFUSED),
        ("model_context_window_exceeded", Flag.CONTEXT),
        ("pause_turn", Flag.PAUSED),
        ("a_new_reason", None),
    ],
)
def test_truncated_and_refused_answers_carry_a_flag(stop_reason: str, flag: Flag | None) -> None:
    outcome = send(Said(body={**MESSAGE, "stop_reason": stop_reason}))
    assert isinstance(outcome, Succeeded)
    assert (outcome.answer.stop_reason, outcome.answer.flag) == (stop_reason, flag)


@pytest.mark.parametrize("stop_reason", [None, 7, "bad\x00", "half \ud83d"])
def test_a_whole_message_with_an_odd_stop_reason_is_still_an_answer(stop_reason: Any) -> None:
    outcome = send(Said(body={**MESSAGE, "stop_reason": stop_reason}))
    assert isinstance(outcome, Succeeded)
    assert outcome.answer.stop_reason == ""


PAGE = "<html><head><title>Welcome to Hotel Wifi</title></head></html>"
NO_MESSAGES: list[tuple[str, Any]] = [
    ("a page", PAGE),
    ("text", "OK"),
    ("nothing", None),
    ("blanks", " \n"),
    ("broken JSON", '{"type":"message","content":['),
    ("no UTF-8", b'{"type":"message","x":"\xff"}'),
    ("too deep", "[" * 100_000),
    ("a list", []),
    ("null", "null"),
    ("another API's answer", {"object": "chat.completion", "choices": []}),
    ("a message without content", {"type": "message"}),
]


@pytest.mark.parametrize("body", [each for _, each in NO_MESSAGES], ids=[name for name, _ in NO_MESSAGES])
def test_what_is_no_message_is_the_surroundings_fault_and_possibly_billed_unless_it_is_a_page(body: Any) -> None:
    outcome = send(Said(body=body, headers={"content-type": "text/html"}))
    assert isinstance(outcome, Misrouted)
    assert billed(outcome) is (Billed.NO if body == PAGE else Billed.MAYBE)
    assert outcome.reply.status == 200
    assert "base URL" in outcome.reply.message


@pytest.mark.parametrize("body", [each for _, each in NO_MESSAGES], ids=[name for name, _ in NO_MESSAGES])
def test_what_is_no_message_under_the_apis_request_id_broke_on_its_way(body: Any) -> None:
    outcome = send(Said(body=body))
    assert isinstance(outcome, Dropped)
    assert billed(outcome) is Billed.MAYBE
    assert outcome.reply.request_id == "req_011"


def test_an_empty_answer_is_called_so() -> None:
    assert "the answer is empty" in send(Said(body=None)).reply.message
    assert "Welcome to Hotel Wifi" in send(Said(body=PAGE, headers={})).reply.message


ANSWER = "The committee found that the bridge had been closed in the spring of that year, and why."

SPOILED: list[tuple[str, Any, str]] = [
    ("cut JSON", json.dumps({"type": "message", "content": [{"text": ANSWER}]})[:-9], "JSON that is broken, "),
    ("no content", {"type": "message", "text": ANSWER}, "a JSON object of the type `message` with `type`, `text`"),
    ("other JSON", {"object": "x", "choices": [ANSWER]}, "a JSON object with `object`, `choices`"),
    ("a message of somebody", {"message": ANSWER}, "a JSON object with `message`"),
    ("an error that is none", {"error": ANSWER}, "a JSON object with `error`"),
    ("nothing in it", {}, "a JSON object without members"),
    ("many members", {str(n): ANSWER for n in range(9)}, "`7`, …"),
    ("a list", [ANSWER, ANSWER], "a JSON list of 2"),
    ("a number", "7", "a JSON value that is no object"),
    ("an answer in a page", f"<html><title>Sorry</title><p>{ANSWER}</p></html>", "an HTML page, “Sorry”"),
    ("text", f"{ANSWER} {ANSWER}", ANSWER[:79] + "…"),
]


@pytest.mark.parametrize(("body", "words"), [row[1:] for row in SPOILED], ids=[name for name, *_ in SPOILED])
@pytest.mark.parametrize("headers", [{}, API])
def test_a_spoiled_answer_is_described_and_never_written_down(body: Any, words: str, headers: dict[str, str]) -> None:
    reply = send(Said(body=body, headers=headers)).reply
    assert words in reply.message
    assert ANSWER[:80] not in repr(reply)


@pytest.mark.parametrize("status", [201, 202, 204])
def test_another_2xx_is_judged_by_its_body(status: int) -> None:
    assert isinstance(send(Said(status=status, headers={})), Misrouted)
    assert isinstance(send(Said(status=status, body=MESSAGE)), Succeeded)


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [("overloaded_error", Overloaded), ("api_error", ServerFailed), ("invalid_request_error", Refused)],
)
def test_an_error_under_200_is_judged_by_its_type(kind: str, outcome: type) -> None:
    found = send(Said(body=error(kind)))
    assert type(found) is outcome
    assert billed(found) is Billed.NO


def test_a_message_about_a_model_that_will_retire_warns_nobody() -> None:
    """Warnings are errors in these tests; the SDK's own `create` would warn."""
    old = {"model": "claude-3-opus-20240229", "max_tokens": 1, "messages": []}
    assert isinstance(send(Said(body={**MESSAGE, "model": MODEL}), claim(json.dumps(old))), Succeeded)
