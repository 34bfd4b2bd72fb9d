"""What the tests of batches share: plans, requests, and the six calls as short words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from batchrun.simulator.api import Simulator
from batchrun.simulator.batchplan import BatchPlan, Verb
from batchrun.simulator.effects import Script, parse
from batchrun.simulator.plan import Plan
from batchrun.simulator.wire import Request
from tests.simulator.world import HEADERS, asks, instant, post, text_of

PATH = "/v1/messages/batches"


def planned(**batches: Any) -> Plan:
    """A plan whose batches take ten minutes unless they are told otherwise."""
    return instant(batches=BatchPlan(**{"minutes": 10.0, "spread": 0.0, **batches}))


def script(**words: str) -> Mapping[Verb, Script]:
    """What happens to the first calls of each verb, in the words of marks."""
    return {Verb(verb): parse(text) for verb, text in words.items()}


def wants(custom_id: str, text: str | None = None, **more: Any) -> dict[str, Any]:
    """One request of a batch."""
    return {"custom_id": custom_id, "params": asks(custom_id if text is None else text, **more)}


def some(n: int, what: str = "job") -> list[dict[str, Any]]:
    return [wants(f"{what}-{nth}") for nth in range(n)]


def asked(
    method: str, path: str = "", headers: Mapping[str, str] | None = None, query: Mapping[str, str] | None = None
) -> Request:
    """A call without a body."""
    return Request(
        method=method,
        path=PATH + path,
        headers={**HEADERS, **(headers or {})},
        query={name: (value,) for name, value in (query or {}).items()},
    )


class Desk:
    """Calls at the simulator's own door. Each gives the status and the JSON body."""

    def __init__(self, simulator: Simulator, key: str = "sk-test") -> None:
        self.simulator = simulator
        self._headers = {"x-api-key": key}

    async def said(self, request: Request) -> tuple[int, Any]:
        response = await self.simulator.handle(request)
        return response.status, json.loads(await text_of(response))

    async def create(self, requests: Any, **headers: str | None) -> tuple[int, Any]:
        body = requests if isinstance(requests, bytes) else {"requests": requests}
        return await self.said(post(body, path=PATH, headers={**self._headers, **headers}))

    async def made(self, requests: Sequence[Any]) -> str:
        """The id of a batch of *requests*."""
        status, body = await self.create(requests)
        assert status == 200, body
        return str(body["id"])

    async def get(self, id_: str) -> tuple[int, Any]:
        return await self.said(asked("GET", f"/{id_}", self._headers))

    async def listed(self, **query: Any) -> tuple[int, Any]:
        return await self.said(asked("GET", "", self._headers, {name: str(value) for name, value in query.items()}))

    async def cancel(self, id_: str) -> tuple[int, Any]:
        return await self.said(asked("POST", f"/{id_}/cancel", self._headers))

    async def delete(self, id_: str) -> tuple[int, Any]:
        return await self.said(asked("DELETE", f"/{id_}", self._headers))

    async def lines(self, id_: str) -> list[dict[str, Any]]:
        """The results in the order in which they came."""
        response = await self.simulator.handle(asked("GET", f"/{id_}/results", self._headers))
        raw = await text_of(response)
        assert response.status == 200, raw
        return [json.loads(line) for line in raw.split(b"\n")[:-1]]

    async def results(self, id_: str) -> dict[str, Any]:
        """The results by custom_id."""
        return {line["custom_id"]: line["result"] for line in await self.lines(id_)}
