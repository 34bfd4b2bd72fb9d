"""Who the account is and what it may use, as the headers of any answer tell it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache

from batchrun.core.account import Account
from batchrun.core.job import Millis
from batchrun.core.outcome import Meter, Told

EDGE_IDS = ("cf-ray", "x-amzn-requestid", "x-amz-cf-id", "x-request-id", "x-azure-ref")
"""Headers in which edges and gateways name a request; their owners ask for them."""


ABSURD = 1e15
"""No number in a header means more than this; larger ones would not fit into a database."""


def lowered(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers as a mapping from lower-case names; of a name that comes twice, the last value."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where answers come from: the origin of the base URL, and the user's word for the account behind it."""

    origin: str
    name: str = ""

    def account(self, headers: Mapping[str, str]) -> Account | None:
        """The account *headers* name; None if they name none."""
        organization = headers.get("anthropic-organization-id")
        if not organization:
            return None
        return _account(self.origin, organization, headers.get("anthropic-workspace-id") or None, self.name)

    def untold(self) -> Account:
        """The account behind a gateway that names none."""
        return Account(origin=self.origin, name=self.name)


def told(headers: Mapping[str, str], address: Address) -> Told:
    """What *headers* (lower-case names) tell beside the answer; what is missing or garbled is None.

    The combined header `anthropic-ratelimit-tokens-*` only repeats the tighter of the two token limits, and the
    `-priority-` and `-fast-` ones speak of other pools (rate limits page, 2026-09): they are not read.
    """
    return Told(
        account=address.account(headers),
        requests=_meter(headers, "requests"),
        input_tokens=_meter(headers, "input-tokens"),
        output_tokens=_meter(headers, "output-tokens"),
        server_date=_moment(headers.get("date", "")),
    )


def retry_after(headers: Mapping[str, str], now: Millis) -> float | None:
    """Seconds the server asks to wait: `retry-after-ms`, else `retry-after` as a number or as a date.

    A date is compared with the server's own `Date`, and with *now* only if that is missing. None if neither header
    makes sense; never negative.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or text is None:
        return seconds
    until = _moment(text)
    if until is None:
        return None
    since = _moment(headers.get("date", ""))
    return max(0.0, (until - (now if since is None else since)) / 1000)


def edge_ids(headers: Mapping[str, str]) -> tuple[str, ...]:
    """The ids of edges and gateways, each with the name of its header."""
    return tuple(f"{name}: {headers[name]}" for name in EDGE_IDS if name in headers)


def _meter(headers: Mapping[str, str], dimension: str) -> Meter | None:
    limit = _number(headers.get(f"anthropic-ratelimit-{dimension}-limit"))
    if limit is None or limit < 1:
        return None
    remaining = _number(headers.get(f"anthropic-ratelimit-{dimension}-remaining"))
    return Meter(limit=int(limit), remaining=None if remaining is None else int(remaining))


def _number(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) and number < ABSURD else None


@lru_cache(maxsize=64)
def _account(origin: str, organization: str, workspace: str | None, name: str) -> Account:
    return Account(origin=origin, organization=organization, workspace=workspace, name=name)


@lru_cache(maxsize=64)
def _moment(http_date: str) -> Millis | None:
    """An HTTP date; all answers of one second carry the same text."""
    try:
        return Millis(round(parsedate_to_datetime(http_date).timestamp() * 1000))
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None
