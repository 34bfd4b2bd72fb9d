"""The Messages API: one request, sent once, and whatever comes of it as an outcome."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, cast

import httpx2
from anthropic import AsyncAnthropic, AsyncStream, RequestOptions

from batchrun.claude.account import told
from batchrun.claude.answer import answer_of, dumped, is_message
from batchrun.claude.exchange import TOTAL, TROUBLE, Exchanges, failed, json_of, unsendable
from batchrun.claude.head import expected
from batchrun.claude.patience import Patience, patience
from batchrun.claude.said import Asked
from batchrun.claude.stream import Assembly, events
from batchrun.claude.translate import cut, error_event, no_message
from batchrun.claude.trouble import Kind
from batchrun.core.account import Account
from batchrun.core.claim import Claim
from batchrun.core.outcome import (
    AccountStopped,
    Misrouted,
    Outcome,
    Refused,
    Reply,
    Succeeded,
)
from batchrun.core.ports import Clock
from batchrun.errors import UsageError

WHOAMI = 30.0
"""Seconds the question for the account may take."""


class Messages:
    """Sends claims through *client* (see `client.build`), streaming those of at least *stream_above* `max_tokens`.

    Is a `core.ports.Transport`. *total_timeout* is how many seconds one exchange may take, streamed or not.
    *account_name* is the user's word for the account, where the API gives none.
    """

    def __init__(
        self,
        client: AsyncAnthropic,
        clock: Clock,
        stream_above: int,
        *,
        total_timeout: float = TOTAL,
        account_name: str = "",
    ) -> None:
        self._client = client
        self._exchanges = Exchanges(client, clock, account_name)
        self._address = self._exchanges.address
        self._stream_above = stream_above
        self._total = total_timeout

    async def send(self, claim: Claim) -> Outcome:
        """POST the claim's body as it stands (with `"stream": true` where it is streamed), once."""
        options: RequestOptions = {"follow_redirects": False}
        if claim.betas or claim.headers:
            try:
                options["headers"] = self._exchanges.headers(claim.betas, claim.headers)
            except UsageError as error:
                return unsendable(error)
        body = claim.body if claim.max_tokens < self._stream_above else streamed(claim.body)
        content = body.encode()
        head = expected()
        try:
            async with patience(self._client.timeout, self._total) as limits:
                # The answer's body is left for here to read, so that what breaks after its headers keeps the headers.
                response = cast(
                    "httpx2.Response",
                    await self._client.post(
                        "/v1/messages",
                        cast_to=httpx2.Response,
                        content=content,
                        options=options,
                        stream=True,
                        stream_cls=AsyncStream[object],
                    ),
                )
                try:
                    if head.headers.get("content-type", "").lower().startswith("text/event-stream"):
                        return await self._follow(response, head.headers, claim, limits)
                    return self._whole(await response.aread(), response.status_code, head.headers, claim)
                finally:
                    if not response.is_closed:
                        await response.aclose()
        except TROUBLE as error:
            return failed(error, self._asked(claim), head)

    async def whoami(self) -> Outcome | Account:
        """Ask for the list of models, which is free; where a gateway has no such list, the account stays untold."""
        asked = self._exchanges.asked(free=True)
        head = expected()
        try:
            async with asyncio.timeout(WHOAMI):
                response = await self._client.get(
                    "/v1/models",
                    cast_to=httpx2.Response,
                    options={"follow_redirects": False, "params": {"limit": 1}},
                )
        except TROUBLE as error:
            return self._known(failed(error, asked, head))
        headers = head.headers
        value = json_of(response.content)
        if isinstance(value, dict) and isinstance(value.get("data"), list):
            return self._address.account(headers) or self._address.untold()
        outcome = no_message(response.status_code, headers, response.text if value is None else value, asked)
        return self._known(Misrouted(reply=outcome.reply))

    async def close(self) -> None:
        """Close all connections; the object cannot be used after this."""
        await self._client.close()

    def _whole(self, raw: bytes, status: int, headers: Mapping[str, str], claim: Claim) -> Outcome:
        """What a 2xx answer that is no stream says. Its text is kept as it came."""
        try:
            text = raw.decode()
            value = json.loads(text)
        except (ValueError, RecursionError):
            return no_message(status, headers, raw.decode(errors="replace"), self._asked(claim))
        if is_message(value):
            return self._succeeded(text, value, status, headers)
        if isinstance(value, dict) and value.get("type") == "error":
            return error_event(headers, value, self._asked(claim), began=False)
        return no_message(status, headers, value, self._asked(claim))

    async def _follow(
        self, response: httpx2.Response, headers: Mapping[str, str], claim: Claim, limits: Patience
    ) -> Outcome:
        """Put a stream together; what ends without `message_stop` and a stop reason was cut."""
        assembly = Assembly()
        limits.streams()
        async for name, data in events(response.aiter_bytes()):
            event = json_of(data)
            if name == "error" or (isinstance(event, dict) and event.get("type") == "error"):
                return error_event(headers, data if event is None else event, self._asked(claim), began=assembly.begun)
            if not (name == "ping" or (isinstance(event, dict) and event.get("type") == "ping")):
                limits.news()
            assembly.take(event if isinstance(event, dict) else {"event": name, "data": data})
            if assembly.done:
                break
        if not (assembly.done and assembly.begun):
            return cut("the stream ended before its message did", Kind.CUT, self._asked(claim), headers)
        message = assembly.message()
        if not message.get("stop_reason"):
            return cut("the stream ended without a stop reason", Kind.CUT, self._asked(claim), headers)
        return self._succeeded(dumped(message), message, response.status_code, headers)

    def _succeeded(self, body: str, message: Mapping[str, Any], status: int, headers: Mapping[str, str]) -> Succeeded:
        reply = Reply(status=status, request_id=headers.get("request-id"), told=told(headers, self._address))
        return Succeeded(reply=reply, answer=answer_of(body, message))

    def _known(self, outcome: Outcome) -> Outcome | Account:
        """The account, where *outcome* is no reason to stop and names it, or comes of a list that is not there."""
        reply = outcome.reply
        unlisted = reply.status in {404, 405, 501} or reply.error_code == "api_key_scope_missing"
        if unlisted or isinstance(outcome, Refused):
            return reply.told.account or self._address.untold()
        if reply.told.account is not None and not isinstance(outcome, AccountStopped):
            return reply.told.account
        return outcome

    def _asked(self, claim: Claim) -> Asked:
        return self._exchanges.asked(claim.headers, model=claim.model, body=claim.body)


def streamed(body: str) -> str:
    """The JSON text of a request that asks for a stream, otherwise as it was."""
    if '"stream"' in body:
        return dumped(json.loads(body) | {"stream": True})
    rest = body.lstrip().removeprefix("{").lstrip()
    return '{"stream":true' + ("" if rest.startswith("}") else ",") + rest
