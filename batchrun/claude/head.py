"""Status and headers of an answer as soon as they are there: the SDK keeps them to itself when the body then breaks."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

import httpx2

from batchrun.claude.account import lowered


@dataclass(slots=True)
class Head:
    """`status` is None until an answer began; the names of `headers` are in lower case."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


_EXPECTED: ContextVar[Head | None] = ContextVar("expected", default=None)


def expected() -> Head:
    """An empty head, which the answer to the next request of this task fills."""
    head = Head()
    _EXPECTED.set(head)
    return head


async def note(response: httpx2.Response) -> None:
    """Fill the head that is expected; called by the HTTP client for each answer before its body is read."""
    head = _EXPECTED.get()
    if head is not None:
        head.status, head.headers = response.status_code, lowered(response.headers.raw)
