"""What all exchanges through one client have in common: the headers that go out, and how what comes back is judged."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import aiohttp
import httpx2
from anthropic import APIError, APIStatusError, AsyncAnthropic

from batchrun.claude.account import Address, lowered
from batchrun.claude.client import check_headers
from batchrun.claude.head import Head
from batchrun.claude.redaction import secrets_in
from batchrun.claude.said import Asked
from batchrun.claude.translate import broken_refusal, lost, refusal
from batchrun.core.account import origin_of
from batchrun.core.outcome import Outcome, Refused, Reply
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

TOTAL = 3_600.0
"""Seconds an exchange may take, where nothing else is said."""

UNSENDABLE = "unsendable"
"""The error's type where the request itself cannot be sent; where the surroundings are at fault, it is a `Kind`."""


class Exchanges:
    """The exchanges through *client* (see `client.build`); *account_name* is the user's word for the account."""

    def __init__(self, client: AsyncAnthropic, clock: Clock, account_name: str = "") -> None:
        defaults = {name.lower(): str(value) for name, value in client.default_headers.items()}
        self.address = Address(origin=origin_of(str(client.base_url)), name=account_name)
        self._clock = clock
        self._secrets = secrets_in(defaults)
        self._betas = defaults.get(BETA, "")

    def headers(self, betas: Iterable[str], headers: Mapping[str, str]) -> dict[str, str]:
        """The headers of one request over the client's; betas of all three sources add up.

        Raises UsageError, which names the header, for one that cannot be sent.
        """
        merged = {name.lower(): value for name, value in headers.items()}
        check_headers(merged)
        every = dict.fromkeys([*_split(self._betas), *_split(merged.get(BETA, "")), *betas])
        if every:
            merged[BETA] = ",".join(every)
            check_headers({BETA: merged[BETA]})
        return merged

    def asked(self, headers: Mapping[str, str] | None = None, **more: Any) -> Asked:
        """What is known on this side of a request with these *headers*; *more* are fields of `Asked`."""
        secrets = self._secrets | secrets_in(headers) if headers else self._secrets
        return Asked(address=self.address, now=self._clock.wall(), secrets=secrets, **more)


def unsendable(error: UsageError) -> Refused:
    """A request that was not sent, because it cannot be."""
    return Refused(reply=Reply(error_type=UNSENDABLE, message=f"{error}: nothing was sent"))


def failed(error: BaseException, asked: Asked, head: Head) -> Outcome:
    """What *error*, one of `TROUBLE`, means after as much of an answer as *head* tells."""
    if isinstance(error, APIStatusError):
        return refusal(error.status_code, lowered(error.response.headers.raw), error.body, asked)
    if head.status is None or head.good:
        return lost(error, asked, head.headers if head.good else None)
    return broken_refusal(error, head.status, head.headers, asked)


def json_of(text: str | bytes) -> Any:
    """The JSON value of *text*; None where it has none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _split(betas: str) -> list[str]:
    return [beta for each in betas.split(",") if (beta := each.strip())]
