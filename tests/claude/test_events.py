"""Asking for a stream, and reading its events however the network cuts them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.claude.messages import streamed
from batchrun.claude.stream import Assembly, events
from batchrun.core.outcome import Succeeded
from tests.claude.api import MESSAGE, Said, claim, send
from tests.claude.test_stream import END, SSE, START, STOP, text, wire


def test_only_large_requests_are_streamed() -> None:
    sent: list[dict[str, Any]] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        sent.append(json.loads(request.content))
        return Said(body=MESSAGE).response()

    for max_tokens in (99, 100, 101):
        send(handler, claim(max_tokens=max_tokens), stream_above=100)
    assert [each.get("stream") for each in sent] == [None, True, True]


def test_a_gateway_that_does_not_stream_is_understood() -> None:
    outcome = send(Said(body=MESSAGE), claim(max_tokens=50_000))
    assert isinstance(outcome, Succeeded)


def test_a_gateway_that_streams_unasked_is_understood() -> None:
    outcome = send(Said(body=wire([START, *text(0, "a"), END, STOP]), headers=SSE))
    assert isinstance(outcome, Succeeded)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"a":1}', '{"stream":true,"a":1}'),
        (' { "a": 1 }', '{"stream":true,"a": 1 }'),
        ("{ }", '{"stream":true}'),
        ('{"stream":false,"a":1}', '{"stream":true,"a":1}'),
        ('{"a":"say \\"stream\\""}', '{"stream":true,"a":"say \\"stream\\""}'),
        ('{"a":{"stream":1}}', '{"a":{"stream":1},"stream":true}'),
    ],
)
def test_the_wish_to_stream_is_added_and_nothing_else_is_changed(body: str, expected: str) -> None:
    assert streamed(body) == expected


def read(chunks: Iterable[bytes]) -> list[tuple[str, str]]:
    async def given_() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def main() -> list[tuple[str, str]]:
        return [each async for each in events(given_())]

    return asyncio.run(main())


@given(st.data(), st.sampled_from(["\n", "\r\n"]))
def test_events_are_the_same_however_the_network_cuts_them(data: st.DataObject, newline: str) -> None:
    stream = [START, *text(0, "Grüße\u2028", "\x85🙂\r\n"), END, STOP]
    whole = wire(stream, newline)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    chunks = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert [json.loads(each) for _, each in read(chunks)] == stream


def test_comments_and_other_fields_are_passed_over() -> None:
    assert read([b": hello\nid: 7\nretry: 10\nevent: a\ndata: 1\ndata:2\n\n"]) == [("a", "1\n2")]


def test_the_last_event_needs_no_blank_line() -> None:
    assert read([b"event: a\ndata: 1"]) == [("a", "1")]
    assert read([b"event: a\ndata: 1\n"]) == [("a", "1")]


def test_an_assembly_without_a_start_has_no_message() -> None:
    with pytest.raises(ValueError, match="message_start"):
        Assembly().message()
