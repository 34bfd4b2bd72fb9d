"""The HTTP round an answer: status, headers and the pages that come from the edge instead of the API."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from batchrun.core.ports import Clock
from batchrun.simulator.account import Account
from batchrun.simulator.effects import Kind
from batchrun.simulator.failures import PAGE, Failure
from batchrun.simulator.ledger import Entry, Ledger
from batchrun.simulator.plan import Plan
from batchrun.simulator.wire import Broken, How, Response

LOGIN = "https://login.example/"
TOO_LARGE = b'{"error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}'
"""What the edge says to a body that is too large: no request id, and not the API's shape."""

_PAGES = {
    Kind.HTML: (200, "Welcome to our network"),
    Kind.BLOCKED: (403, "Access denied"),
    Kind.GATEWAY: (502, "502 Bad Gateway"),
}


@dataclass(slots=True, kw_only=True)
class Envelope:
    """Makes responses, and notes in the ledger how each request ended."""

    plan: Plan
    clock: Clock
    dice: random.Random
    account: Account
    ledger: Ledger

    def respond(
        self,
        entry: Entry,
        body: bytes | AsyncIterator[bytes],
        *,
        status: int = 200,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        ended: Callable[[bool], None] | None = None,
        length: int | None = None,
    ) -> Response:
        """A response of the API itself. `ended` is called once before the entry is closed."""
        told = {
            **self._edge(content_type),
            "request-id": entry.request_id,
            "anthropic-organization-id": self.plan.organization,
            **(self.account.headers(entry.lane) if entry.lane is not None else {}),
            **(headers or {}),
        }
        if status != 401:
            told["anthropic-workspace-id"] = entry.workspace or self.plan.workspace
        return self._close(entry, status, told, body, ended=ended, length=length)

    def json(self, entry: Entry, value: Any) -> Response:
        """200 with *value*."""
        return self.respond(entry, json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())

    def fail(self, entry: Entry, failure: Failure) -> Response:
        """An error of the API."""
        after = {} if failure.retry_after is None else {"retry-after": f"{failure.retry_after:g}"}
        entry.error = failure.code or failure.type
        return self.respond(entry, failure.body(entry.request_id), status=failure.status, headers=after)

    def edge(self, entry: Entry, kind: Kind) -> Response:
        """What something before the API answers. Raises `Broken` where it answers nothing."""
        entry.error = kind.value
        if kind is Kind.REFUSE:
            raise Broken(How.NOT_REACHED, kind)
        if kind is Kind.DROP:
            raise Broken(How.RESET, kind)
        if kind is Kind.TOO_LARGE:
            return self._close(entry, 413, self._edge("application/json"), TOO_LARGE)
        if kind is Kind.REDIRECT:
            return self._close(entry, 307, {**self._edge("text/html"), "location": LOGIN}, b"")
        status, title = _PAGES[kind]
        return self._close(entry, status, self._edge("text/html"), PAGE.format(title=title).encode())

    def _edge(self, content_type: str) -> dict[str, str]:
        return {
            "date": _date(self.clock.wall() // 1000),
            "content-type": content_type,
            "server": "cloudflare",
            "cf-ray": f"{self.dice.getrandbits(64):016x}-SIM",
        }

    def _close(
        self,
        entry: Entry,
        status: int,
        headers: Mapping[str, str],
        body: bytes | AsyncIterator[bytes],
        *,
        ended: Callable[[bool], None] | None = None,
        length: int | None = None,
    ) -> Response:
        self.ledger.note(entry, status=status, error=entry.error)

        def end(delivered: bool) -> None:
            if ended is not None:
                ended(delivered)
            self.leave(entry)

        return Response(status=status, headers=headers, body=body, length=length, ended=end)

    def leave(self, entry: Entry) -> None:
        """The request is no longer in flight."""
        self.account.in_flight -= 1
        self.ledger.note(entry, ended=self.clock.wall())


@functools.lru_cache(maxsize=16)
def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
