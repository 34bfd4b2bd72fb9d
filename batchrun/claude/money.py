"""The words for money: the few refusals that only their text tells apart, and until when they last."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from batchrun.core.job import Millis
from batchrun.core.outcome import Stop

TEXTS: Mapping[str, Stop] = {
    "credit balance is too low": Stop.CREDIT,
    "reached your specified api usage limits": Stop.SPEND_CAP,
    "reached your specified workspace api usage limits": Stop.SPEND_CAP,
    "organization has been disabled": Stop.HOLD,
}
"""Parts of messages that come without an error code (documentation and reports, 2026-09), in lower case."""

STOPS: Mapping[tuple[int, str], Stop] = {
    (400, "organization_on_hold"): Stop.HOLD,
    (400, "cmek_key_disabled"): Stop.SETUP,
    (400, "cmek_key_network_blocked"): Stop.SETUP,
    (400, "claude_code_key_creator_not_member"): Stop.SETUP,
    (400, "user_profile_required"): Stop.SETUP,
    (400, "organization_type_not_supported"): Stop.SETUP,
    (402, "linked_organization_spend_limit_reached"): Stop.SPEND_CAP,
    (402, "linked_organization_billing_unavailable"): Stop.BILLING,
    (403, "user_profile_not_billable"): Stop.SETUP,
    (403, "user_profile_billing_not_authorized"): Stop.SETUP,
    (403, "sandbox_egress_restricted"): Stop.SETUP,
    (429, "enforced_spend_limit_reached"): Stop.SPEND_CAP,
    (429, "contract_spend_limit_reached"): Stop.SPEND_CAP,
}
"""Error codes that stop the account, by status (anthropic 2.11.0, 2026-11-19)."""

_MOMENT = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:(?:T| at | )(\d\d):(\d\d)(?::(\d\d))?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """Why the account stops, and until when if that is known."""

    stop: Stop
    until: Millis | None = None


def halt_of(status: int, code: str | None, message: str, now: Millis) -> Halt | None:
    """Whether an error stops the whole account by its code, or by the words for money; None if it does neither.

    *message* is on one line. The tier's monthly cap lifts at 00:00 UTC on the first of the next month (rate limits
    page, 2026-10). A limit that the organisation set for itself names its end in the message; an end that is over
    says nothing.
    """
    if code is not None and (stop := STOPS.get((status, code))) is not None:
        return Halt(stop=stop, until=_next_month(now) if code == "enforced_spend_limit_reached" else None)
    words = message.lower()
    for text, stop in TEXTS.items():
        if text in words:
            until = _named_end(message) if stop is Stop.SPEND_CAP else None
            return Halt(stop=stop, until=until if until is not None and until > now else None)
    return None


def _next_month(now: Millis) -> Millis:
    today = datetime.fromtimestamp(now / 1000, UTC)
    first = datetime(today.year + today.month // 12, today.month % 12 + 1, 1, tzinfo=UTC)
    return Millis(int(first.timestamp()) * 1000)


def _named_end(message: str) -> Millis | None:
    """The moment a message names, as "2026-12-01 at 00:00 UTC"; without a time of day, the day's beginning."""
    found = _MOMENT.search(message)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return Millis(int(moment.timestamp()) * 1000)
