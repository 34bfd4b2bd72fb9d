"""What the simulator's tests share: requests as clients send them, and the SDK's client at either door."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import httpx2

from batchrun.simulator.api import Simulator
from batchrun.simulator.breakage import Manner
from batchrun.simulator.inprocess import InProcess
from batchrun.simulator.plan import Length, Pace, Plan
from batchrun.simulator.wire import Request, Response

MODEL = "claude-opus-5"
AT_ONCE = Pace(first=0.0, per_token=0.0)
SHORT = Length(median=40.0, spread=0.3)
HEADERS = {"x-api-key": "sk-test", "anthropic-version": "2023-06-01", "content-type": "application/json"}


def instant(**settings: Any) -> Plan:
    """A plan whose answers take no time."""
    return Plan(**{"pace": AT_ONCE, "length": SHORT, **settings})


def asks(text: str, **more: Any) -> dict[str, Any]:
    """A small request body."""
    return {"model": MODEL, "max_tokens": 1000, "messages": [{"role": "user", "content": text}], **more}


def post(body: Any, *, path: str = "/v1/messages", headers: Mapping[str, str | None] | None = None) -> Request:
    """A request as a client sends it; a header that is None is left out."""
    sent = {name: value for name, value in {**HEADERS, **(headers or {})}.items() if value is not None}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Request(method="POST", path=path, headers=sent, body=raw)


async def text_of(response: Response) -> bytes:
    """The whole body; tells the simulator that it arrived."""
    body = response.body
    whole = body if isinstance(body, bytes) else b"".join([chunk async for chunk in body])
    response.ended(True)
    return whole


async def reply(simulator: Simulator, request: Request) -> tuple[int, Any, Mapping[str, str]]:
    """Status, JSON body and headers of the answer to *request*."""
    response = await simulator.handle(request)
    return response.status, json.loads(await text_of(response)), response.headers


@asynccontextmanager
async def sdk(
    simulator: Simulator, *, manner: Manner = Manner.HTTPX2, patience: float = 600.0
) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """The real SDK's client at the door within the process; without retries, as batchrun uses it."""
    http = httpx2.AsyncClient(transport=InProcess(simulator, manner=manner), timeout=patience)
    async with anthropic.AsyncAnthropic(
        api_key="sk-test", base_url="https://api.anthropic.com", max_retries=0, timeout=patience, http_client=http
    ) as client:
        yield client
