"""What becomes of a request whose connection fails: whether it was sent, and whether it may have been billed."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import aiohttp
import httpx2
import pytest

from batchrun.claude.trouble import HINTS, Kind, trouble_of
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
    Unreachable,
    billed,
)
from tests.claude.api import KEY, claim, raising, send
from tests.claude.loopback import answer, exchange, room, saying, sent, serving

PEM = Path(__file__).with_name("loopback.pem")
"""Certificate and key of a server on the loopback; no other program trusts it."""

TINY = 0.05
"""Seconds; where the time-out itself is what is tested."""

JSON = b"200 OK\nContent-Type: application/json\nRequest-Id: req_011"
REQUEST = httpx2.Request("POST", "http://api.test/v1/messages")


def unreachable(outcome: Outcome, kind: Kind, *words: str) -> None:
    assert isinstance(outcome, Unreachable)
    assert billed(outcome) is Billed.NO
    assert outcome.reply.error_type == kind
    assert outcome.reply.status is None
    for each in ("nothing was sent", HINTS[kind], *words):
        assert each in outcome.reply.message


def dropped(outcome: Outcome, kind: Kind, *, status: int | None = None, request_id: str | None = None) -> None:
    assert isinstance(outcome, Dropped)
    assert billed(outcome) is Billed.MAYBE
    assert outcome.timed_out is (kind is Kind.TIMEOUT)
    assert outcome.reply.error_type == kind
    assert (outcome.reply.status, outcome.reply.request_id) == (status, request_id)
    assert "possibly billed" in outcome.reply.message


def test_a_refused_connection_sent_nothing() -> None:
    unreachable(asyncio.run(sent(room(1))), Kind.REFUSED, "127.0.0.1")


def test_an_unknown_host_sent_nothing() -> None:
    outcome = asyncio.run(sent(room(1, base_url="http://no-such-host.invalid")))
    unreachable(outcome, Kind.DNS, "no-such-host.invalid")


def test_a_server_without_tls_sent_nothing() -> None:
    async def main() -> Outcome:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        async with server:
            return await sent(room(server.sockets[0].getsockname()[1], "https"))

    unreachable(asyncio.run(main()), Kind.TLS)


def secure() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    return context


def test_a_certificate_nobody_vouches_for_is_named_with_the_cure() -> None:
    async def main() -> Outcome:
        async with serving(saying(), secure()) as server:
            return await sent(room(server.port, "https"))

    outcome = asyncio.run(main())
    unreachable(outcome, Kind.TLS, "SSL_CERT_FILE")
    assert "CERTIFICATE_VERIFY_FAILED" in outcome.reply.message or "certificate" in outcome.reply.message


def test_a_certificate_named_in_the_environment_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    body = b'{"type":"message","content":[],"stop_reason":"end_turn"}'

    async def main() -> Outcome:
        async with serving(saying(answer(JSON, body)), secure()) as server:
            return await sent(room(server.port, "https"))

    assert isinstance(asyncio.run(main()), Succeeded)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_that_does_not_answer_sent_nothing(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "http://user:pass-word@127.0.0.1:1")
    outcome = asyncio.run(sent(room(1, base_url="http://api.test")))
    unreachable(outcome, Kind.PROXY, "127.0.0.1")
    assert "pass-word" not in repr(outcome)


def test_a_proxy_that_refuses_the_tunnel_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> Outcome:
        async with serving(saying(answer(b"407 Proxy Authentication Required"), then="close")) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            return await sent(room(1, base_url="https://api.test"))

    unreachable(asyncio.run(main()), Kind.PROXY, "Proxy Authentication Required")


def test_a_host_in_no_proxy_is_reached_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    outcome, server = exchange(saying(answer(JSON, b"{}")))
    assert len(server.requests) == 1
    assert isinstance(outcome, Dropped)


@pytest.mark.parametrize("then", ["close", "reset"])
def test_a_connection_lost_before_the_answer_is_possibly_billed(then: str) -> None:
    outcome, server = exchange(saying(then=then))
    dropped(outcome, Kind.CUT)
    assert len(server.requests) == 1


def test_silence_is_a_time_out_and_possibly_billed() -> None:
    outcome, server = exchange(saying(), read=TINY)
    dropped(outcome, Kind.TIMEOUT)
    assert len(server.requests) == 1


@pytest.mark.parametrize("then", ["close", "reset"])
def test_an_answer_cut_in_its_body_keeps_the_request_id(then: str) -> None:
    outcome, _ = exchange(saying(answer(JSON, b'{"type"', length=100), then=then))
    dropped(outcome, Kind.CUT, status=200, request_id="req_011")


def test_an_answer_that_stops_in_its_body_keeps_the_request_id() -> None:
    outcome, _ = exchange(saying(answer(JSON, b'{"type"', length=100)), read=TINY)
    dropped(outcome, Kind.TIMEOUT, status=200, request_id="req_011")


@pytest.mark.parametrize("then", ["close", "reset", "open"])
@pytest.mark.parametrize(
    ("head", "kind", "cost"),
    [
        (b"413 Payload Too Large", Refused, Billed.NO),
        (b"429 Too Many Requests\nRetry-After: 7", RateLimited, Billed.NO),
        (b"402 Payment Required", AccountStopped, Billed.NO),
        (b"500 Internal Server Error", ServerFailed, Billed.NO),
        (b"502 Bad Gateway", ServerFailed, Billed.MAYBE),
        (b"529 Overloaded", Overloaded, Billed.NO),
        (b"511 Network Authentication Required", Misrouted, Billed.NO),
        (b"302 Found\nLocation: http://login.test/", Misrouted, Billed.NO),
    ],
    ids=lambda each: each.split(b" ")[0].decode() if isinstance(each, bytes) else "",
)
def test_a_refusal_whose_words_break_off_is_judged_by_its_status(
    head: bytes, kind: type, cost: Billed, then: str
) -> None:
    outcome, server = exchange(saying(answer(head, b'{"type"', length=100), then=then), read=TINY)
    assert type(outcome) is kind
    assert billed(outcome) is cost
    assert outcome.reply.status == int(head[:3])
    assert "what it said broke off" in outcome.reply.message
    assert getattr(outcome, "retry_after", None) == (7.0 if kind is RateLimited else None)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_that_needs_its_lost_words_is_worth_another_try(status: int) -> None:
    """They might speak of the account, of the model or of the job; the next answer will tell."""
    head = b"%d No\nRequest-Id: req_011" % status
    outcome, _ = exchange(saying(answer(head, b'{"type"', length=100), then="close"))
    assert isinstance(outcome, ServerFailed)
    assert billed(outcome) is Billed.NO
    assert (outcome.reply.status, outcome.reply.request_id) == (status, "req_011")


def test_an_answer_that_breaks_off_says_nothing_about_the_next_request() -> None:
    async def main() -> Outcome:
        async with serving(saying(answer(b"413 Too Large", b"{", length=100), then="close")) as server:
            messages = room(server.port)
            assert isinstance(await messages.send(claim()), Refused)
        return await sent(messages)

    unreachable(asyncio.run(main()), Kind.REFUSED)


def test_an_answer_whose_compression_is_broken_is_possibly_billed() -> None:
    outcome, _ = exchange(saying(answer(JSON + b"\nContent-Encoding: gzip", b"this is no gzip")))
    dropped(outcome, Kind.CUT, status=200, request_id="req_011")


def test_an_answer_that_is_no_http_is_possibly_billed() -> None:
    outcome, _ = exchange(saying(b"220 mail.test ESMTP\r\n\r\n", then="close"))
    dropped(outcome, Kind.CUT)


def test_an_upload_that_stalls_ends() -> None:
    """The transport watches only what it reads; a server that takes no more would hold the request for ever."""

    async def main() -> Outcome:
        release = asyncio.Event()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await release.wait()
            writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=1024)
        async with server:
            port = server.sockets[0].getsockname()[1]
            outcome = await sent(
                room(port, connect=TINY, read=TINY, write=TINY, pool=TINY), body='"' + "x" * 40_000_000 + '"'
            )
            release.set()
            return outcome

    outcome = asyncio.run(main())
    assert isinstance(outcome, Dropped)
    assert outcome.timed_out


def test_a_refusal_that_comes_before_the_upload_is_over_is_heard_or_ends() -> None:
    """An edge may say 413 and read no further. It is heard if the system lets it through; it never hangs."""

    async def main() -> Outcome:
        release = asyncio.Event()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(answer(b"413 Payload Too Large"))
            await writer.drain()
            await release.wait()
            writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=1024)
        async with server:
            outcome = await sent(room(server.sockets[0].getsockname()[1]), body='"' + "x" * 40_000_000 + '"')
            release.set()
            return outcome

    assert isinstance(asyncio.run(main()), Refused)


def test_a_request_that_is_called_back_gives_its_connection_up() -> None:
    async def main() -> int:
        async with serving(saying()) as server:
            messages = room(server.port, connections=1)
            for _ in range(2):
                task = asyncio.create_task(messages.send(claim()))
                await server.arrived.get()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            await messages.close()
            return server.connections

    assert asyncio.run(main()) == 2


def test_no_free_connection_in_time_sent_nothing() -> None:
    async def main() -> tuple[Outcome, int]:
        async with serving(saying()) as server:
            messages = room(server.port, connections=1, connect=TINY, pool=TINY, read=1.0)
            first = asyncio.create_task(sent(messages))
            await server.arrived.get()
            second = await messages.send(claim())
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            return second, len(server.requests)

    second, requests = asyncio.run(main())
    unreachable(second, Kind.CONNECT_TIMEOUT)
    assert requests == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(status: int) -> None:
    async def main() -> tuple[Outcome, int, int]:
        async with serving(saying(answer(b"200 OK"))) as other:
            location = f"http://127.0.0.1:{other.port}/v1/messages".encode()
            async with serving(saying(answer(b"%d Moved\nLocation: %s" % (status, location)))) as server:
                outcome = await sent(room(server.port))
                return outcome, len(server.requests), other.connections

    outcome, requests, followed = asyncio.run(main())
    assert isinstance(outcome, Misrouted)
    assert (requests, followed) == (1, 0)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503, 529])
def test_the_sdk_repeats_nothing(status: int) -> None:
    _, server = exchange(saying(answer(b"%d No\nx-should-retry: true\nretry-after: 0" % status)))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("exception", "kind"),
    [
        (httpx2.ConnectError("no"), Kind.CONNECT),
        (httpx2.ConnectTimeout("slow"), Kind.CONNECT_TIMEOUT),
        (httpx2.PoolTimeout("full"), Kind.POOL),
        (httpx2.ProxyError("407"), Kind.PROXY),
        (httpx2.UnsupportedProtocol("ftp"), Kind.UNSENDABLE),
        (httpx2.LocalProtocolError(f"Illegal header value b'Bearer {KEY}\\n'"), Kind.UNSENDABLE),
        (ValueError("Forbidden control character detected in headers."), Kind.UNSENDABLE),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else "",
)
def test_what_fails_before_sending_is_not_billed(exception: Exception, kind: Kind) -> None:
    unreachable(send(raising(exception)), kind)


@pytest.mark.parametrize(
    ("exception", "kind"),
    [
        (httpx2.ReadTimeout("slow"), Kind.TIMEOUT),
        (httpx2.WriteTimeout("slow"), Kind.TIMEOUT),
        (httpx2.ReadError("gone"), Kind.CUT),
        (httpx2.WriteError("gone"), Kind.CUT),
        (httpx2.CloseError("gone"), Kind.CUT),
        (httpx2.RemoteProtocolError("gone"), Kind.CUT),
        (TimeoutError(), Kind.TIMEOUT),
        (OSError("odd"), Kind.CUT),
        (RuntimeError("odd"), Kind.CUT),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else "",
)
def test_what_fails_after_sending_or_nobody_knows_when_is_possibly_billed(exception: Exception, kind: Kind) -> None:
    dropped(send(raising(exception)), kind)


def caused(outer: Exception, *inner: Exception) -> Exception:
    current = outer
    for cause in inner:
        current.__cause__ = cause
        current = cause
    return outer


@pytest.mark.parametrize("wrapper", [httpx2.ConnectError, httpx2.ConnectTimeout])
def test_a_lost_connection_that_the_sdk_calls_a_failed_one_is_possibly_billed(wrapper: type[Exception]) -> None:
    """SDK 2.10 and later calls it an error of connecting, those before a time-out of connecting."""
    error = caused(wrapper("Server disconnected"), aiohttp.ServerDisconnectedError())
    assert trouble_of(error).sent


def test_the_reason_of_a_failed_connection_is_found_in_its_causes() -> None:
    for inner, kind in [
        (ConnectionRefusedError(), Kind.REFUSED),
        (ssl.SSLError("bad"), Kind.TLS),
        (TimeoutError(), Kind.CONNECT_TIMEOUT),
        (OSError("network is unreachable"), Kind.CONNECT),
    ]:
        trouble = trouble_of(caused(httpx2.ConnectError(""), OSError(""), inner))
        assert (trouble.kind, trouble.sent) == (kind, False)


def test_causes_in_a_ring_end() -> None:
    first, second = OSError("one"), OSError("two")
    first.__cause__, second.__cause__ = second, first
    assert trouble_of(first).sent


def test_a_lost_connection_of_an_oversized_request_says_so() -> None:
    trouble = trouble_of(httpx2.ReadError("reset"))
    assert "the API takes 33,554,432" in trouble.message(40_000_000)
    assert "the API takes" not in trouble.message(1_000)


def test_every_trouble_before_sending_has_a_hint() -> None:
    assert set(HINTS) == set(Kind) - {Kind.TIMEOUT, Kind.CUT}
