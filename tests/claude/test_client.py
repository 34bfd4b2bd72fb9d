"""The client: one credential, no repeats, no traces, and headers that add up."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpx2
import pytest
from anthropic import APIStatusError

from batchrun.claude import client as client_module
from batchrun.claude.client import Connection, KeyKind, build, probing_socket
from batchrun.core.claim import Claim
from batchrun.core.outcome import Refused, Scope, Succeeded, scope
from batchrun.errors import KeyRefused, UsageError
from tests.claude.api import BASE, KEY, MESSAGE, Said, claim, raising, send
from tests.claude.loopback import answer, exchange, room, saying, sent, serving

OK = answer(b"200 OK\nContent-Type: application/json", b'{"type":"message","content":[],"stop_reason":"end_turn"}')


def requested(one: Any = None, **connection: Any) -> httpx2.Request:
    """The request as it leaves."""
    seen: list[httpx2.Request] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return Said(body=MESSAGE).response()

    assert isinstance(send(handler, one, **connection), Succeeded)
    (request,) = seen
    return request


@pytest.mark.parametrize("kind", list(KeyKind))
def test_only_the_credential_given_is_sent_whatever_the_environment_holds(
    kind: KeyKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-api03-stray")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "stray-token")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://stray.test")
    request = requested(kind=kind)
    assert request.headers.get_list("authorization") == [f"Bearer {KEY}"]
    assert "x-api-key" not in request.headers
    assert "stray" not in str(request.headers.raw)
    assert request.url == f"{BASE}/v1/messages"


def test_the_version_of_the_api_is_the_sdks_own_or_the_one_given() -> None:
    assert requested().headers["anthropic-version"] == "2026-10-21"
    assert requested(api_version="2023-06-01").headers["anthropic-version"] == "2023-06-01"


def test_headers_of_the_environment_and_of_the_settings_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "X-Team: blue\nX-Cost: 7")
    headers = requested(headers={"x-cost": "9"}).headers
    assert (headers["x-team"], headers.get_list("x-cost")) == ("blue", ["9"])


def test_betas_of_settings_run_and_claim_add_up() -> None:
    one = claim(betas=("b-2", "b-3"), headers={"Anthropic-Beta": "b-1, b-2", "X-Run": "night"})
    headers = requested(one, headers={"anthropic-beta": "b-0,b-1"}).headers
    assert headers.get_list("anthropic-beta") == ["b-0,b-1,b-2,b-3"]
    assert headers["x-run"] == "night"


def test_the_client_itself_follows_no_redirect_either() -> None:
    async def main() -> tuple[int, int]:
        async with serving(saying(OK)) as other:
            location = f"http://127.0.0.1:{other.port}/".encode()
            async with serving(saying(answer(b"307 Moved\nLocation: " + location))) as server:
                async with build(Connection(secret=KEY, base_url=f"http://127.0.0.1:{server.port}")) as client:
                    with pytest.raises(APIStatusError):
                        await client.post("/v1/messages/batches", cast_to=object, content=b"{}")
                return len(server.requests), other.connections

    assert asyncio.run(main()) == (1, 0)


def test_nothing_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_OPEN_TELEMETRY", "true")
    client = build(Connection(secret=KEY), httpx2.AsyncClient())
    assert client.open_telemetry["traces"]["enabled"] is False
    assert "traceparent" not in requested().headers


@pytest.mark.parametrize(
    ("job", "named"),
    [
        (claim(headers={"x-note": "a\r\nevil: 1"}), "`x-note`"),
        (claim(headers={"x evil": "1"}), "`x evil`"),
        (claim(betas=("new\nevil: 1",)), "`anthropic-beta`"),
    ],
    ids=["value", "name", "beta"],
)
def test_a_header_of_the_job_that_cannot_be_sent_is_the_jobs_own_fault(job: Claim, named: str) -> None:
    outcome = send(raising(AssertionError("sent")), job)
    assert isinstance(outcome, Refused)
    assert scope(outcome) is Scope.JOB
    assert outcome.reply.error_type == "unsendable"
    assert outcome.reply.status is None
    assert named in outcome.reply.message
    assert "nothing was sent" in outcome.reply.message
    assert "evil:" not in outcome.reply.message


@pytest.mark.parametrize("headers", [{"x y": "1"}, {"": "1"}, {"x": "1\n2"}, {"x": "\x00"}])
def test_a_connection_with_headers_that_cannot_be_sent_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        build(Connection(secret=KEY, headers=headers), httpx2.AsyncClient())


@pytest.mark.parametrize("secret", ["", "  \n", "sk-ant api", "sk-ant-\napi", "ключ-ключ"])
def test_a_key_that_is_none_is_refused_without_repeating_it(secret: str) -> None:
    with pytest.raises(KeyRefused) as refused:
        build(Connection(secret=secret), httpx2.AsyncClient())
    assert not secret.strip() or secret.strip() not in str(refused.value)


def test_blanks_round_a_key_are_taken_off() -> None:
    assert requested(secret=f" {KEY}\n").headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "url", ["api.test", "ftp://api.test", "http://", "http://a:b@api.test", "http://api.test:port"]
)
def test_a_base_url_that_cannot_work_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        build(Connection(secret=KEY, base_url=url), httpx2.AsyncClient())


@pytest.mark.parametrize("url", [BASE, f"{BASE}/", f"{BASE}/v1", f"{BASE}/v1/"])
def test_the_version_at_the_end_of_a_base_url_is_not_said_twice(url: str) -> None:
    assert requested(base_url=url).url == f"{BASE}/v1/messages"


def test_a_path_in_the_base_url_is_kept() -> None:
    assert requested(base_url=f"{BASE}/anthropic").url == f"{BASE}/anthropic/v1/messages"


def test_a_connection_does_not_show_its_secrets() -> None:
    connection = Connection(secret=KEY, headers={"x-api-key": KEY})
    assert KEY not in repr(connection)


def test_connections_are_used_again_and_never_more_than_allowed() -> None:
    async def main() -> int:
        async with serving(saying(OK)) as server:
            messages = room(server.port, connections=2)
            try:
                outcomes = await asyncio.gather(*(messages.send(claim()) for _ in range(20)))
                assert all(isinstance(each, Succeeded) for each in outcomes)
            finally:
                await messages.close()
            return server.connections

    assert asyncio.run(main()) == 2


def test_a_silent_peer_is_asked_whether_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[socket.socket] = []

    def noting(address: tuple[Any, ...]) -> socket.socket:
        made.append(probing_socket(address))
        options = made[-1]
        assert options.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert options.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 60
        return options

    monkeypatch.setattr(client_module, "probing_socket", noting)
    outcome, _ = exchange(saying(OK))
    assert isinstance(outcome, Succeeded)
    assert len(made) == 1


def test_a_proxy_of_the_environment_carries_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> tuple[Any, list[str]]:
        async with serving(saying(OK)) as proxy:
            monkeypatch.setenv("HTTP_PROXY", f"http://ada:pass-word@127.0.0.1:{proxy.port}")
            return await sent(room(1, base_url="http://api.test")), proxy.requests

    outcome, (request,) = asyncio.run(main())
    assert isinstance(outcome, Succeeded)
    assert request.startswith("post http://api.test/v1/messages http/1.1")
    assert "proxy-authorization: basic " in request
