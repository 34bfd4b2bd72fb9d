"""What the tests of this room share: a claim, a clock that stands still, and answers given through the real SDK."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from batchrun.claude.client import Connection, build
from batchrun.claude.messages import Messages
from batchrun.core.account import Account
from batchrun.core.claim import Claim
from batchrun.core.job import JobId, Millis, RunId, WorkerId
from batchrun.core.outcome import Outcome
from batchrun.core.ports import Transport

NOW = Millis(1_795_176_000_000)
"""2026-11-20 12:00:00 UTC."""

DECEMBER = Millis(1_796_083_200_000)
"""2026-12-01 00:00:00 UTC."""

KEY = "sk-ant-api03-" + "Zq9" * 20
MODEL = "claude-haiku-5-5"
BASE = "http://api.test"

MESSAGE: dict[str, Any] = {
    "id": "msg_01",
    "type": "message",
    "role": "assistant",
    "model": MODEL,
    "content": [{"type": "text", "text": "Grüße"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 10, "output_tokens": 5},
}

API = {"request-id": "req_011", "content-type": "application/json"}
"""Headers by which the API is known."""

Handler = Callable[[httpx2.Request], httpx2.Response]


class StillClock:
    """Noon of one day, for ever."""

    def wall(self) -> Millis:
        return NOW

    def steady(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("the transport never waits")


def claim(body: Mapping[str, Any] | str | None = None, *, max_tokens: int = 100, **more: Any) -> Claim:
    if body is None:
        body = {"model": MODEL, "max_tokens": max_tokens, "messages": [{"role": "user", "content": "Hi"}]}
    return Claim(
        job=JobId(1),
        run=RunId(1),
        key="one",
        model=MODEL,
        attempt=1,
        tries=0,
        worker=WorkerId(1),
        body=body if isinstance(body, str) else json.dumps(body),
        est_input=10,
        max_tokens=max_tokens,
        worst=None,
        claimed=NOW,
        **more,
    )


@dataclass(frozen=True, kw_only=True)
class Said:
    """One answer of the server."""

    status: int = 200
    body: Any = None  #: bytes and text as they are, everything else as JSON
    headers: Mapping[str, str] = field(default_factory=lambda: API)

    def response(self) -> httpx2.Response:
        body = self.body
        content = (
            body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        )
        return httpx2.Response(self.status, headers=dict(self.headers), content=b"" if body is None else content)


def error(kind: str, message: str = "no", code: str | None = None, **more: Any) -> dict[str, Any]:
    """The body of an error as the API writes it."""
    details = {"details": {"error_code": code}} if code else {}
    return {"type": "error", "error": {"type": kind, "message": message, **details}, **more}


def messages(handler: Handler, *, stream_above: int = 10_000, **connection: Any) -> Messages:
    """The room over *handler* in place of a network."""
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(handler))
    settings = Connection(**{"secret": KEY, "base_url": BASE, **connection})
    return Messages(build(settings, http), StillClock(), stream_above)


def send(answer: Said | Handler, one: Claim | None = None, **more: Any) -> Outcome:
    """What becomes of one claim when the server answers so."""
    handler = (lambda request: answer.response()) if isinstance(answer, Said) else answer

    async def main() -> Outcome:
        room: Transport = messages(handler, **more)
        try:
            return await room.send(one if one is not None else claim())
        finally:
            await room.close()

    return asyncio.run(main())


def whoami(answer: Said | Handler, **more: Any) -> Outcome | Account:
    handler = (lambda request: answer.response()) if isinstance(answer, Said) else answer

    async def main() -> Outcome | Account:
        room = messages(handler, **more)
        try:
            return await room.whoami()
        finally:
            await room.close()

    return asyncio.run(main())


def raising(exception: Exception) -> Handler:
    def handler(request: httpx2.Request) -> httpx2.Response:
        raise exception

    return handler
