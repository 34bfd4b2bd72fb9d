"""The results of a batch: line by line as they come, each answer as it was written, and what broke as an outcome."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import sys
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import httpx2
import pytest

from batchrun.core.batch import Item
from batchrun.core.outcome import (
    AccountStopped,
    Billed,
    Dropped,
    Misrouted,
    Outcome,
    Overloaded,
    RateLimited,
    Refused,
    ServerFailed,
    Succeeded,
    Unknown,
    Unreachable,
    billed,
)
from batchrun.core.ports import BatchApi
from tests.claude.api import API, BASE, KEY, MESSAGE, Handler, Said, error, raising
from tests.claude.batchroom import Pieces, asking, line, over, read
from tests.claude.loopback import answer, saying, serving
from tests.virtual import VirtualClock, run

HOUR = 3_600.0
TINY = 0.05
"""Seconds; where the time-out itself is what is tested."""

JSONL = b"200 OK\nContent-Type: application/x-jsonl\nRequest-Id: req_011"
PAGE = "<!DOCTYPE html><title>Please log in</title>"


def results(body: bytes | str | Handler, **headers: str) -> list[Item | Outcome]:
    return asking(body if callable(body) else Said(body=body, headers={**API, **headers}), read)


def in_pieces(*pieces: bytes | Exception) -> tuple[list[Item | Outcome], Pieces]:
    body = Pieces(pieces)
    return results(lambda request: httpx2.Response(200, headers=API, stream=body)), body


def item(found: Item | Outcome) -> Item:
    assert isinstance(found, Item)
    return found


def body_of(found: Item | Outcome) -> str:
    outcome = item(found).outcome
    assert isinstance(outcome, Succeeded)
    return outcome.answer.body


def ids(found: list[Item | Outcome]) -> list[str]:
    return [item(each).custom_id for each in found]


def test_a_whole_file_gives_its_items_in_its_order() -> None:
    seen: list[str] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(f"{request.method} {request.url}")
        return httpx2.Response(200, headers=API, content=line("b") + b"\n" + line("a") + b"\n")

    assert ids(results(handler)) == ["b", "a"]
    assert seen == [f"GET {BASE}/v1/messages/batches/msgbatch_01/results"]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n  \n"])
def test_a_last_line_counts_however_it_ends(end: bytes) -> None:
    assert ids(results(line("a") + b"\n" + line("b") + end)) == ["a", "b"]


def test_an_empty_file_has_no_items_and_nothing_went_wrong() -> None:
    assert results(b"") == []


def test_lines_are_the_same_however_their_bytes_are_cut() -> None:
    whole = b"\n".join(line(f"a-{n}") for n in range(5)) + b"\n"
    dice = random.Random(7)
    for size in (1, 2, 3, 100, len(whole)):
        cuts = sorted(dice.randrange(len(whole)) for _ in range(size))
        pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
        assert ids(in_pieces(*pieces)[0]) == [f"a-{n}" for n in range(5)]


VERBATIM = [
    '{"type":"message","content":[],"usage":{}}',
    '{ "content" : [ {"text": "Gr\\u00fc\\u00dfe Grüße 🙂 \\ud83d"} ],\t"type":"message", "n": 1.0, "e": 1E3 }',
    '{"type":"message","content":[{"text":"a line\\u2028b line\\u0085c \\\\\\"message\\\\\\": {}"}],"message":{"type":"message"}}',
    '{"type":"message","content":[{"type":"tool_use","input":{"message":{"type":"message","content":[]}}}]}',
    '{"type":"message","content":[{"text":"}}}}"}]}',
]


@pytest.mark.parametrize("message", VERBATIM)
@pytest.mark.parametrize(
    "form",
    [
        '{"custom_id":"a","result":{"type":"succeeded","message":%s}}',
        '{"custom_id": "a", "result": {"type": "succeeded", "message": %s}}',
        '{"result":{"message":%s,"type":"succeeded"},"custom_id":"a"}',
        '{"custom_id":"a","result":{"type":"succeeded","message":%s,"more":1},"message":{"type":"message","content":[7]}}',
        '{"message":{"type":"message","content":[7]},"custom_id":"a","result":{"type":"succeeded","message":%s}}',
        '{"custom_id":"a","result":{"type":"succeeded_partly","message":%s}}',
    ],
)
def test_an_answer_is_kept_byte_for_byte_wherever_it_stands_in_its_line(form: str, message: str) -> None:
    [found] = results((form % message).encode())
    assert body_of(found) == message


def test_a_message_that_cannot_be_found_again_is_written_anew() -> None:
    decoys = ",".join(f'"d{n}":{{"message":{{}}}}' for n in range(9))
    [found] = results(f'{{"custom_id":"a",{decoys},"result":{{"message":{VERBATIM[1]}}}}}'.encode())
    assert json.loads(body_of(found)) == json.loads(VERBATIM[1])


def test_a_stray_carriage_return_is_data_and_parts_nothing() -> None:
    message = '{"type":"message",\r"content":[{"text":"one\rtwo"}]}'
    found = results(line("a", message) + b"\r\n" + line("b"))
    assert ids(found) == ["a", "b"]
    assert json.loads(body_of(found[0]))["content"] == [{"text": "one\rtwo"}]  # and it is JSON now


def test_two_ids_in_one_line_are_no_way_to_another_job() -> None:
    text = '{"custom_id":"a","result":{"type":"succeeded","message":%s},"custom_id":"b"}'
    assert ids(results((text % VERBATIM[0]).encode())) == ["b"]


def test_the_tokens_of_an_answer_are_read() -> None:
    outcome = item(results(line())[0]).outcome
    assert isinstance(outcome, Succeeded)
    assert (outcome.answer.usage.input, outcome.answer.usage.output) == (10, 5)
    assert (outcome.answer.stop_reason, outcome.answer.model) == (MESSAGE["stop_reason"], MESSAGE["model"])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("invalid_request_error", Refused),
        ("authentication_error", AccountStopped),
        ("billing_error", AccountStopped),
        ("permission_error", Refused),
        ("not_found_error", Refused),
        ("conflict_error", ServerFailed),
        ("request_too_large", Refused),
        ("rate_limit_error", RateLimited),
        ("api_error", ServerFailed),
        ("timeout_error", ServerFailed),
        ("overloaded_error", Overloaded),
        ("an_error_of_tomorrow", ServerFailed),
    ],
)
def test_an_item_that_failed_is_judged_by_its_type(kind: str, expected: type) -> None:
    result = {"type": "errored", "error": error(kind, "why", request_id="req_7")}
    outcome = item(results(json.dumps({"custom_id": "a", "result": result}))[0]).outcome
    assert type(outcome) is expected
    assert (outcome.reply.message, outcome.reply.request_id) == ("why", "req_7")
    assert billed(outcome) is Billed.NO


def test_an_item_of_an_unknown_type_is_kept_and_the_next_one_follows() -> None:
    odd = b'{"custom_id":"a","result":{"type":"deferred","until":"tomorrow"}}\n'
    first, second = results(odd + line("b"))
    outcome = item(first).outcome
    assert isinstance(outcome, Unknown)
    assert '"until":"tomorrow"' in outcome.reply.message
    assert item(second).custom_id == "b"


CUT = [
    b'{"custom_id":"b","resu',
    b"{",
    b"7",
    b"null",
    b"[]",
    b'{"result":{}}',
    b'{"custom_id":7,"result":{}}',
    b"\xff",
    b"[" * 100_000,
]


@pytest.mark.parametrize("rest", CUT, ids=lambda each: repr(each[:20]))
@pytest.mark.parametrize("after", [b"", b"\n" + line("c") + b"\n"], ids=["at the end", "in the middle"])
def test_a_line_that_is_no_item_ends_it_with_an_outcome(rest: bytes, after: bytes) -> None:
    first, last = results(line("a") + b"\n" + rest + after)
    assert item(first).custom_id == "a"
    assert isinstance(last, Dropped)
    assert last.reply.request_id == "req_011"
    assert "after 1 results" in last.reply.message


@pytest.mark.parametrize("rest", [b"", line("b")[:30]], ids=["at a line end", "in a line"])
def test_a_connection_lost_on_the_way_ends_it_with_an_outcome(rest: bytes) -> None:
    (first, last), body = in_pieces(line("a") + b"\n" + rest, httpx2.ReadError("gone"))
    assert item(first).custom_id == "a"
    assert isinstance(last, Dropped)
    assert (last.reply.status, last.reply.request_id) == (200, "req_011")
    assert "gone" in last.reply.message
    assert "billed" not in last.reply.message
    assert body.closed


def test_a_line_without_an_end_is_given_up_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchrun.claude.lines.LONGEST", 1_000)
    (last,), body = in_pieces(*[b"x" * 100] * 1_000)
    assert isinstance(last, Dropped)
    assert "longer than 1,000 bytes" in last.reply.message
    assert body.read == 11
    assert body.closed


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (Said(body=PAGE, headers={"content-type": "text/html"}), Misrouted),
        (Said(body="hello", headers={}), Misrouted),
        (Said(status=404, body=error("not_found_error", "no results")), Refused),
        (Said(status=404, body=PAGE, headers={}), Misrouted),
        (Said(status=401, body=error("authentication_error")), AccountStopped),
        (Said(status=529, body=error("overloaded_error")), Overloaded),
        (Said(status=307, headers={"location": "http://elsewhere.test/results"}), Misrouted),
        (Said(body=error("api_error")), ServerFailed),
        (Said(body=error("not_found_error")), Refused),
    ],
    ids=["page", "text", "404", "404 page", "401", "529", "307", "error under 200", "404 under 200"],
)
def test_a_download_that_never_began_is_one_outcome(said: Said, expected: type) -> None:
    (found,) = asking(said, read)
    assert type(found) is expected
    assert not isinstance(found, Item)
    assert expected is Dropped or billed(found) is Billed.NO


@pytest.mark.parametrize(
    ("exception", "expected"), [(httpx2.ConnectError("no"), Unreachable), (httpx2.ReadTimeout("slow"), Dropped)]
)
def test_a_connection_that_fails_is_one_outcome(exception: Exception, expected: type) -> None:
    (found,) = results(raising(exception))
    assert type(found) is expected


def test_whoever_stops_early_has_read_no_more_than_that_and_the_connection_is_free() -> None:
    body = Pieces([line(f"a-{n}") + b"\n" for n in range(100)])
    kept: list[object] = []

    async def one(room: BatchApi) -> list[Item | Outcome]:
        sys.set_asyncgen_hooks(firstiter=kept.append)  # so that nothing is closed by not being needed any more
        found = await read(room, 1)
        assert body.closed
        return found

    assert ids(asking(lambda request: httpx2.Response(200, headers=API, stream=body), one)) == ["a-0"]
    assert body.read == 1


def test_whoever_is_called_back_in_the_middle_leaves_nothing_open() -> None:
    body = Pieces([line("a") + b"\n"] * 2, pause=HOUR)

    async def main(clock: VirtualClock, dice: random.Random) -> None:
        transport = httpx2.MockTransport(lambda request: httpx2.Response(200, headers=API, stream=body))
        task = asyncio.create_task(read(over(httpx2.AsyncClient(transport=transport), clock)))
        await clock.sleep(1.5 * HOUR)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main)
    assert body.closed


def test_a_download_may_take_as_long_as_it_moves() -> None:
    body = Pieces((line(f"a-{n}") + b"\n" for n in range(200)), pause=500.0)

    async def main(clock: VirtualClock, dice: random.Random) -> int:
        transport = httpx2.MockTransport(lambda request: httpx2.Response(200, headers=API, stream=body))
        return len(await read(over(httpx2.AsyncClient(transport=transport), clock)))

    assert run(main) == 200


@pytest.fixture(params=["aiohttp", "httpx2"])
def client(request: pytest.FixtureRequest) -> Callable[[], httpx2.AsyncClient | None]:
    """Both transports that the SDK has; None makes the room use its own."""
    return lambda: None if request.param == "aiohttp" else httpx2.AsyncClient()


Client = Callable[[], httpx2.AsyncClient | None]


def served(client: Client, *said: bytes, then: str = "", most: int | None = None, **more: Any) -> list[Item | Outcome]:
    """What a server on the loopback gives that says this and then does *then*."""

    async def main() -> list[Item | Outcome]:
        async with serving(saying(*said, then=then)) as server:
            room = over(client(), base_url=f"http://127.0.0.1:{server.port}", **more)
            try:
                return await read(room, most)
            finally:
                await room._client.close()

    return asyncio.run(main())


def test_a_file_comes_whole_over_the_wire(client: Client) -> None:
    body = b"".join(line(f"a-{n}") + b"\n" for n in range(1_000))
    assert ids(served(client, answer(JSONL, body))) == [f"a-{n}" for n in range(1_000)]


def test_a_file_that_comes_compressed_is_read(client: Client) -> None:
    body = gzip.compress(b"".join(line(f"a-{n}") + b"\n" for n in range(100)))
    found = served(client, answer(JSONL + b"\nContent-Encoding: gzip", body))
    assert ids(found) == [f"a-{n}" for n in range(100)]


def test_a_compressed_file_that_breaks_off_ends_with_an_outcome(client: Client) -> None:
    dice = random.Random(7)
    noise = "".join(f'"{dice.random()}",' for _ in range(2_000))
    body = gzip.compress(line("a") + b"\n" + line("b", f'{{"type":"message","content":[{noise}0]}}') + b"\n")
    found = served(client, answer(JSONL + b"\nContent-Encoding: gzip", body[: len(body) // 2]))
    assert isinstance(found[-1], Dropped)


@pytest.mark.parametrize("then", ["close", "reset"])
def test_a_connection_lost_over_the_wire_ends_it_with_an_outcome(client: Client, then: str) -> None:
    body = line("a") + b"\n" + line("b") + b"\n"
    found = served(client, answer(JSONL, body, length=len(body) + 1), then=then)
    assert isinstance(found[-1], Dropped)
    assert found[-1].reply.request_id == "req_011"


def test_silence_in_the_middle_ends_it_with_an_outcome(client: Client) -> None:
    body = line("a") + b"\n"
    first, last = served(client, answer(JSONL, body, length=1_000), read=TINY)
    assert item(first).custom_id == "a"
    assert isinstance(last, Dropped)
    assert last.timed_out


def test_a_file_that_is_silently_short_ends_as_a_whole_one_does(client: Client) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-jsonl\r\nConnection: close\r\n\r\n"
    assert ids(served(client, head + line("a") + b"\n", then="close")) == ["a"]


def test_a_redirect_of_the_results_is_never_followed(client: Client) -> None:
    async def main() -> tuple[list[Item | Outcome], int]:
        async with serving(saying(answer(JSONL, line()))) as other:
            location = f"http://127.0.0.1:{other.port}/results".encode()
            async with serving(saying(answer(b"302 Found\nLocation: " + location))) as server:
                room = over(client(), base_url=f"http://127.0.0.1:{server.port}")
                found = await read(room)
                await room._client.close()
                return found, other.connections

    found, followed = asyncio.run(main())
    assert [type(each) for each in found] == [Misrouted]
    assert followed == 0


def test_the_only_connection_is_free_again_once_the_reader_stopped(client: Client) -> None:
    """The server keeps the first download going for ever."""

    async def main() -> list[str]:
        async with serving(saying(answer(JSONL, line("a") + b"\n", length=10**9))) as server:
            room = over(client(), base_url=f"http://127.0.0.1:{server.port}", connections=1, pool=5.0)
            found = [*await read(room, 1), *await read(room, 1)]
            await room._client.close()
            return ids(found)

    assert asyncio.run(main()) == ["a", "a"]


@pytest.mark.parametrize(
    "body",
    [
        f'{{"custom_id":"a","result":{{"type":"errored","error":{{"type":"api_error","message":"{KEY}"}}}}}}',
        f'{{"custom_id":"a","result":{{"type":"{KEY}"}}}}',
        f"hello {KEY}",
        f'{{"type":"error","error":{{"type":"api_error","message":"{KEY}"}}}}',
        f'{{"custom_id":"a","result":{{"type":"canceled"}}}}\n{{"you sent": "{KEY}',
    ],
)
def test_no_key_is_in_what_is_told_of_a_result(body: str) -> None:
    assert KEY[:16] not in repr(results(body))


def test_the_next_item_may_be_waited_for_in_another_way() -> None:
    """`anext` with a default, as whoever proves a batch by its first line does."""

    async def first(room: Any) -> Item | Outcome | None:
        async with aclosing(room.results("msgbatch_01")) as found:
            return await anext(found, None)

    assert asking(Said(body=b""), first) is None
    assert item(asking(Said(body=line("a")), first)).custom_id == "a"  # type: ignore[arg-type]
