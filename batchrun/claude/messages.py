"""The Messages API: one request, sent once, and whatever comes of it as an outcome."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, cast

import aiohttp
import httpx2
from anthropic import APIError, APIStatusError, AsyncAnthropic, AsyncStream, RequestOptions

from batchrun.claude.account import Address, lowered, told
from batchrun.claude.answer import answer_of, dumped, is_message
from batchrun.claude.client import check_headers
from batchrun.claude.head import Head, expected
from batchrun.claude.patience import Patience, patience
from batchrun.claude.redaction import secrets_in
from batchrun.claude.said import Asked
from batchrun.claude.stream import Assembly, events
from batchrun.claude.translate import broken_refusal, cut, error_event, lost, no_message, refusal
from batchrun.claude.trouble import Kind
from batchrun.core.account import Account, origin_of
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

TROUBLE = (
    APIError,
    httpx2.HTTPError,
    httpx2.StreamError,
    httpx2.InvalidURL,
    aiohttp.ClientError,
    OSError,
    ValueError,
    RecursionError,
)
"""All that the way to the API raises, and JSON too deep; the SDK wraps only what comes before an answer's headers."""

BETA = "anthropic-beta"

WHOAMI = 30.0
"""Seconds the question for the account may take."""

TOTAL = 3_600.0
"""Seconds any other exchange may take."""

UNSENDABLE = "unsendable"
"""The error's type where the claim itself cannot be sent; where the surroundings are at fault, it is one of `Kind`."""


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
        defaults = {name.lower(): str(value) for name, value in client.default_headers.items()}
        self._client = client
        self._clock = clock
        self._stream_above = stream_above
        self._address = Address(origin=origin_of(str(client.base_url)), name=account_name)
        self._secrets = secrets_in(defaults)
        self._betas = defaults.get(BETA, "")
        self._total = total_timeout

    async def send(self, claim: Claim) -> Outcome:
        """POST the claim's body as it stands (with `"stream": true` where it is streamed), once."""
        options: RequestOptions = {"follow_redirects": False}
        if claim.betas or claim.headers:
            try:
                options["headers"] = self._headers(claim)
            except UsageError as error:
                return Refused(reply=Reply(error_type=UNSENDABLE, message=f"{error}: nothing was sent"))
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
        except APIStatusError as error:
            return _refusal(error, self._asked(claim))
        except TROUBLE as error:
            return _lost(error, self._asked(claim), head)

    async def whoami(self) -> Outcome | Account:
        """Ask for the list of models, which is free; where a gateway has no such list, the account stays untold."""
        asked = self._asked()
        head = expected()
        try:
            async with asyncio.timeout(WHOAMI):
                response = await self._client.get(
                    "/v1/models",
                    cast_to=httpx2.Response,
                    options={"follow_redirects": False, "params": {"limit": 1}},
                )
        except APIStatusError as error:
            return self._known(_refusal(error, asked))
        except TROUBLE as error:
            return self._known(_lost(error, asked, head))
        headers = head.headers
        value = _json(response.content)
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
            event = _json(data)
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

    def _headers(self, claim: Claim) -> dict[str, str]:
        """The headers of this claim over the client's; betas of all three sources add up."""
        headers = {name.lower(): value for name, value in claim.headers.items()}
        check_headers(headers)
        betas = dict.fromkeys([*_split(self._betas), *_split(headers.get(BETA, "")), *claim.betas])
        if betas:
            headers[BETA] = ",".join(betas)
            check_headers({BETA: headers[BETA]})
        return headers

    def _asked(self, claim: Claim | None = None) -> Asked:
        now = self._clock.wall()
        if claim is None:
            return Asked(address=self._address, now=now, secrets=self._secrets)
        secrets = self._secrets | secrets_in(claim.headers)
        return Asked(address=self._address, now=now, secrets=secrets, model=claim.model, body=claim.body)


def streamed(body: str) -> str:
    """The JSON text of a request that asks for a stream, otherwise as it was."""
    if '"stream"' in body:
        return dumped(json.loads(body) | {"stream": True})
    rest = body.lstrip().removeprefix("{").lstrip()
    return '{"stream":true' + ("" if rest.startswith("}") else ",") + rest


def _refusal(error: APIStatusError, asked: Asked) -> Outcome:
    return refusal(error.status_code, lowered(error.response.headers.raw), error.body, asked)


def _lost(error: BaseException, asked: Asked, head: Head) -> Outcome:
    """What *error* means after as much of an answer as *head* tells."""
    if head.status is None or head.good:
        return lost(error, asked, head.headers if head.good else None)
    return broken_refusal(error, head.status, head.headers, asked)


def _split(betas: str) -> list[str]:
    return [beta for each in betas.split(",") if (beta := each.strip())]


def _json(text: str | bytes) -> Any:
    """The JSON value of *text*; None where it has none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
