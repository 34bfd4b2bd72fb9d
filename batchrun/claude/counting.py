"""The endpoint that counts tokens: free, with a rate limit of its own, so calls are paced here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx2
from anthropic import AsyncAnthropic, RequestOptions

from batchrun.claude.answer import dumped
from batchrun.claude.exchange import TROUBLE, Exchanges, failed, json_of, unsendable
from batchrun.claude.head import expected
from batchrun.claude.patience import patience
from batchrun.claude.translate import no_message
from batchrun.core.outcome import Outcome, Overloaded, RateLimited, ServerFailed
from batchrun.core.ports import Clock
from batchrun.errors import UsageError

PATH = "/v1/messages/count_tokens"

COUNTED = frozenset(
    {"cache_control", "messages", "model", "output_config", "speed", "system", "thinking", "tool_choice", "tools"}
)
"""The parameters it takes (anthropic 2.14, `message_count_tokens_params.py`)."""
COUNTED_IN_BETA = COUNTED | {"compaction", "context_management", "mcp_servers"}
"""What it takes where a beta is asked for."""

PER_SECOND = 20.0
"""Calls. Copies of the rate limits page of 2026 disagree on what the lowest tier may: 2,000 or 5,000 a minute."""

TRIES = 3
"""How often a count is asked for that a limit or the service put off: it is free."""

ANSWER = 120.0
"""Seconds an answer may take."""

LONGEST = 60.0
"""Seconds a call waits for the API's sake. Who is told to wait longer hears it at once."""


class Counting:
    """Counts through *client* (see `client.build`). Is a `core.ports.TokenCounter`.

    *per_second* is how many calls it makes in a second, however many ask at once; None for no pace.
    """

    def __init__(
        self, client: AsyncAnthropic, clock: Clock, *, per_second: float | None = PER_SECOND, account_name: str = ""
    ) -> None:
        self._client = client
        self._clock = clock
        self._exchanges = Exchanges(client, clock, account_name)
        self._between = 1 / per_second if per_second else 0.0
        self._free_at = clock.steady()

    async def count_tokens(
        self, request: Mapping[str, Any], *, betas: Sequence[str] = (), headers: Mapping[str, str] | None = None
    ) -> int | Outcome:
        """The input tokens of *request*, of which only what bears on them is sent; or why nobody knows."""
        tries = 0
        while True:
            await self._turn()
            answer = await self._once(request, betas, headers or {})
            tries += 1
            wait = _wait(answer, tries)
            if wait is None or wait > LONGEST or tries >= TRIES:
                return answer
            if isinstance(answer, RateLimited):
                self._between *= 2
            self._free_at = max(self._free_at, self._clock.steady() + wait)

    async def _turn(self) -> None:
        """Wait until the next call may leave: first come, first served."""
        now = self._clock.steady()
        at = max(now, self._free_at)
        self._free_at = at + self._between
        if at > now:
            await self._clock.sleep(at - now)

    async def _once(
        self, request: Mapping[str, Any], betas: Sequence[str], headers: Mapping[str, str]
    ) -> int | Outcome:
        try:
            merged = self._exchanges.headers(betas, headers)
        except UsageError as error:
            return unsendable(error)
        taken = COUNTED_IN_BETA if betas else COUNTED
        body = dumped({name: value for name, value in request.items() if name in taken})
        asked = self._exchanges.asked(headers, model=str(request.get("model", "")), body=body, free=True)
        options: RequestOptions = {"follow_redirects": False, "headers": merged}
        head = expected()
        try:
            async with patience(self._client.timeout, ANSWER):
                response = await self._client.post(
                    PATH, cast_to=httpx2.Response, content=body.encode(), options=options
                )
        except TROUBLE as error:
            return failed(error, asked, head)
        value = json_of(response.content)
        count = value.get("input_tokens") if isinstance(value, dict) else None
        if type(count) is int and count >= 0:
            return count
        said = response.text if value is None else value
        return no_message(response.status_code, head.headers, said, asked, "count")


def _wait(answer: int | Outcome, tries: int) -> float | None:
    """Seconds after which another try makes sense; None if none does."""
    if isinstance(answer, (RateLimited, Overloaded, ServerFailed)):
        return 2.0**tries if answer.retry_after is None else answer.retry_after
    return None
