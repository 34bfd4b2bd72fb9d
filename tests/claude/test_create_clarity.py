"""Whether a batch stands whose create went wrong: each row of the table of errors, through the real SDK and real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from batchrun.core.batch import Clarity, Remote
from batchrun.core.outcome import Dropped, Outcome, Unreachable
from tests.claude.api import API, Said, error, raising
from tests.claude.batchroom import BATCH, BODY, created, creating, over, stands
from tests.claude.loopback import Behaviour, Server, answer, saying, serving

HTML = {"content-type": "text/html", "cf-ray": "8f00-FRA"}
PAGE = "<!DOCTYPE html><html><title>Bad gateway</title></html>"
INVALID = "invalid_request_error"
TINY = 0.05
"""Seconds; where the time-out itself is what is tested."""

LARGE = b"x" * 40_000_000
"""More than the buffers of a loopback hold."""

JSON = b"200 OK\nContent-Type: application/json\nRequest-Id: req_011"


def api(status: int, kind: str, code: str | None = None, **headers: str) -> Said:
    """What the API itself says."""
    return Said(status=status, body=error(kind, "no", code), headers={**API, **headers})


def gateway(status: int) -> Said:
    """What something on the way says."""
    return Said(status=status, body=PAGE, headers=HTML)


@pytest.mark.parametrize(
    "said",
    [
        api(400, INVALID),
        api(400, INVALID, "organization_on_hold"),
        api(400, INVALID, "request_body_timeout"),
        api(401, "authentication_error"),
        api(402, "billing_error"),
        api(403, "permission_error"),
        api(404, "not_found_error"),
        api(413, "request_too_large"),
        api(422, INVALID),
        api(425, INVALID),
        api(429, "rate_limit_error", **{"retry-after": "7"}),
        api(429, "rate_limit_error"),
        api(429, "rate_limit_error", "enforced_spend_limit_reached"),
        *[gateway(status) for status in (400, 401, 403, 404, 405, 407, 413, 421, 429)],
        *[Said(status=status, headers={"location": "/elsewhere"}) for status in (301, 302, 303, 307, 308)],
        Said(status=413, body={"error": {"type": "request_too_large"}}, headers={}),
        Said(status=418, headers={}),
    ],
    ids=lambda said: f"{said.status} {'' if said.headers is HTML else said.body and said.body['error']}",
)
def test_a_clear_refusal_made_no_batch(said: Said) -> None:
    outcome = created(said)
    assert not isinstance(outcome, Remote)
    assert outcome.reply.status == said.status
    assert stands(outcome) is Clarity.REFUSED


@pytest.mark.parametrize(
    "said",
    [
        api(408, INVALID),
        api(409, "conflict_error"),
        api(500, "api_error"),
        api(502, "api_error"),
        api(503, "api_error", "cmek_key_unreachable"),
        api(529, "overloaded_error"),
        Said(status=500, body=error("api_error", "Overloaded", request_id=None), headers={}),
        Said(status=529, body=error("overloaded_error"), headers={}),
        Said(status=500, body="Internal Server Error", headers=API),
    ],
    ids=lambda said: f"{said.status} {said.body}",
)
def test_a_failure_that_the_api_itself_told_may_have_made_one_and_is_over(said: Said) -> None:
    assert stands(created(said)) is Clarity.ANSWERED


@pytest.mark.parametrize(
    "said",
    [
        *[gateway(status) for status in (408, 409, 499, 500, 502, 503, 504, 511, 520, 521, 522, 523, 524, 529, 599)],
        api(504, "timeout_error"),
        api(499, "api_error"),
        Said(status=500, headers={}),
        Said(status=502, body={"message": "upstream"}, headers={}),
    ],
    ids=lambda said: f"{said.status} {'page' if said.headers is HTML else said.body}",
)
def test_what_a_gateway_tells_or_who_no_longer_waits_leaves_everything_open(said: Said) -> None:
    assert stands(created(said)) is Clarity.UNCLEAR


@pytest.mark.parametrize(
    "exception",
    [
        httpx2.ReadTimeout("slow"),
        httpx2.WriteTimeout("slow"),
        httpx2.ReadError("gone"),
        httpx2.RemoteProtocolError("gone"),
        TimeoutError(),
        OSError("odd"),
        ValueError("odd"),
        httpx2.LocalProtocolError("odd"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_trouble_once_all_was_handed_over_leaves_everything_open(exception: Exception) -> None:
    """The transport of these tests takes the whole body before it fails."""
    outcome = created(raising(exception))
    assert isinstance(outcome, Dropped)
    assert stands(outcome) is Clarity.UNCLEAR


@pytest.fixture(params=["aiohttp", "httpx2"])
def client(request: pytest.FixtureRequest) -> Callable[[], httpx2.AsyncClient | None]:
    """Both transports that the SDK has; None makes the room use its own."""
    return lambda: None if request.param == "aiohttp" else httpx2.AsyncClient(follow_redirects=False)


Client = Callable[[], httpx2.AsyncClient | None]


async def create_at(port: int, client: Client, body: bytes = BODY, **connection: Any) -> Remote | Outcome:
    room = over(client(), **{"base_url": f"http://127.0.0.1:{port}", **connection})
    try:
        return await creating(room, body)
    finally:
        await room._client.close()


def exchanged(behave: Behaviour, client: Client, **connection: Any) -> tuple[Remote | Outcome, Server]:
    async def main() -> tuple[Remote | Outcome, Server]:
        async with serving(behave) as server:
            return await create_at(server.port, client, **connection), server

    return asyncio.run(main())


def test_a_refused_connection_made_no_batch(client: Client) -> None:
    outcome = asyncio.run(create_at(1, client))
    assert isinstance(outcome, Unreachable)
    assert stands(outcome) is Clarity.REFUSED


def test_an_unknown_host_made_no_batch(client: Client) -> None:
    outcome = asyncio.run(create_at(1, client, base_url="http://no-such-host.invalid"))
    assert stands(outcome) is Clarity.REFUSED


def test_a_server_without_tls_made_no_batch(client: Client) -> None:
    async def main() -> Remote | Outcome:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await create_at(port, client, base_url=f"https://127.0.0.1:{port}")

    assert stands(asyncio.run(main())) is Clarity.REFUSED


def test_a_proxy_that_refuses_the_tunnel_made_no_batch(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> Remote | Outcome:
        async with serving(saying(answer(b"407 Proxy Authentication Required"), then="close")) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            return await create_at(1, client, base_url="https://api.test")

    assert stands(asyncio.run(main())) is Clarity.REFUSED


@pytest.mark.parametrize("then", ["close", "reset"])
def test_a_connection_lost_after_the_body_leaves_it_open(client: Client, then: str) -> None:
    outcome, server = exchanged(saying(then=then), client)
    assert stands(outcome) is Clarity.UNCLEAR
    assert server.bodies == [BODY]


def test_silence_after_the_body_leaves_it_open(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchrun.claude.batches.ANSWER", TINY)
    outcome, server = exchanged(saying(), client, read=TINY)
    assert isinstance(outcome, Dropped)
    assert outcome.timed_out
    assert stands(outcome) is Clarity.UNCLEAR
    assert len(server.bodies) == 1


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize(
    ("head", "clear"),
    [
        (b"200 OK\nRequest-Id: req_011", Clarity.UNCLEAR),
        (b"400 Bad Request\nRequest-Id: req_011", Clarity.REFUSED),
        (b"413 Payload Too Large", Clarity.REFUSED),
        (b"429 Too Many Requests\nRetry-After: 7", Clarity.REFUSED),
        (b"529 Overloaded\nRequest-Id: req_011", Clarity.UNCLEAR),
        (b"500 Internal Server Error\nRequest-Id: req_011", Clarity.UNCLEAR),
    ],
    ids=["200", "400", "413", "429", "529", "500"],
)
def test_an_answer_that_breaks_off_is_worth_its_status_and_no_more(
    client: Client, head: bytes, clear: Clarity, then: str
) -> None:
    outcome, _ = exchanged(
        saying(answer(head, b'{"type": "error", "error": {"type": "api_', length=100), then=then), client
    )
    assert stands(outcome) is clear


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed_so_that_nothing_is_sent_twice(client: Client, status: int) -> None:
    async def main() -> tuple[Remote | Outcome, int, int]:
        async with serving(saying(answer(b"200 OK"))) as other:
            location = f"http://127.0.0.1:{other.port}/v1/messages/batches".encode()
            async with serving(saying(answer(b"%d Moved\nLocation: %s" % (status, location)))) as server:
                outcome = await create_at(server.port, client)
                return outcome, len(server.bodies), other.connections

    outcome, sent, followed = asyncio.run(main())
    assert stands(outcome) is Clarity.REFUSED
    assert (sent, followed) == (1, 0)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503, 529])
def test_no_create_is_repeated_whatever_the_server_asks(client: Client, status: int) -> None:
    head = b"%d No\nx-should-retry: true\nretry-after: 0" % status
    assert len(exchanged(saying(answer(head)), client)[1].bodies) == 1


def test_a_large_body_arrives_as_it_is(client: Client) -> None:
    body = bytes(range(256)) * 1_000
    outcome, server = exchanged(saying(answer(JSON, httpx2.Response(200, json=BATCH).content)), client)
    assert isinstance(outcome, Remote)

    async def main() -> Server:
        async with serving(saying(answer(JSON, httpx2.Response(200, json=BATCH).content))) as server:
            assert isinstance(await create_at(server.port, client, body), Remote)
            return server

    server = asyncio.run(main())
    assert server.bodies == [body]
    assert f"content-length: {len(body)}" in server.requests[0]
    assert "transfer-encoding" not in server.requests[0]


Connected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def uploaded(connected: Connected, client: Client, **connection: Any) -> Remote | Outcome:
    """What becomes of a large create at a server of few words, which is let go at the end."""

    async def main() -> Remote | Outcome:
        ended = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await connected(reader, writer)
            await ended.wait()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1024)
        async with server:
            try:
                return await create_at(server.sockets[0].getsockname()[1], client, LARGE, **connection)
            finally:
                ended.set()

    return asyncio.run(main())


def test_a_connection_lost_before_all_was_sent_made_no_batch(client: Client) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(100_000)
        writer.transport.abort()

    outcome = uploaded(connected, client)
    assert isinstance(outcome, Unreachable)
    assert "of 40,000,000 bytes were sent, so nothing was done" in outcome.reply.message
    assert stands(outcome) is Clarity.REFUSED


def test_an_upload_that_stalls_ends_and_made_no_batch(client: Client) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(100_000)

    outcome = uploaded(connected, client, write=TINY)
    assert isinstance(outcome, Unreachable)
    assert "nothing was done" in outcome.reply.message
    assert stands(outcome) is Clarity.REFUSED


def test_a_refusal_that_comes_before_all_was_sent_made_no_batch(client: Client) -> None:
    """One transport hears it, the other one finds that nothing moves any more."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"413 Payload Too Large"))
        await writer.drain()

    outcome = uploaded(connected, client, write=TINY)
    assert stands(outcome) is Clarity.REFUSED
