"""A pause: who may send nothing, why, until when, and when one probe may ask whether it is over."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from batchrun.core.job import Millis

FIRST_PROBE = 15 * 60 * 1000
LAST_PROBE = 6 * 60 * 60 * 1000
"""Milliseconds: the wait before the first probe, doubling to the last."""


STOPS = {
    "key": ("Anthropic refused the key", "set a valid key"),
    "credit": ("the prepaid credit is used up", "add credit in the Console"),
    "spend_cap": ("a spending limit of the account is reached", "raise it in the Console under Limits"),
    "billing": ("there is a payment problem", "check the billing page"),
    "hold": ("the organisation is on hold or disabled", "contact Anthropic's support"),
    "setup": ("a setting of the account forbids the request", "ask the account's administrator"),
}
"""By each `Stop` that pauses an account: the fact and the cure, in words."""


class PauseScope(StrEnum):
    ACCOUNT = "account"
    MODEL = "model"
    RUN = "run"


def paused(scope: str, subject: str) -> str:
    """A pause's subject in words: "the account", "model claude-…", "run r-12"."""
    match PauseScope(scope):
        case PauseScope.ACCOUNT:
            return "the account"
        case PauseScope.MODEL:
            return f"model {subject.partition(':')[2]}"
        case PauseScope.RUN:
            return f"run r-{subject}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Nothing of `subject` is sent. `reason` is a `Stop` value, "model", "refusals", "pilot", "look" or "user"."""

    scope: PauseScope
    subject: str  #: an account's id, "account's id:model", or a run's id, as text
    reason: str
    message: str
    since: Millis
    until: Millis | None = None  #: the end the API told
    probes: int = 0  #: probes that found it still standing
    probed: Millis | None = None  #: when the last one did
    hint: str = ""  #: which key it was met with; another key is worth a probe at once

    @property
    def what(self) -> str:
        """What is paused, in words."""
        return paused(self.scope, self.subject)

    def next_probe(self) -> Millis | None:
        """When one job may be sent to ask whether it is over; None for a pause that only its maker lifts."""
        if self.reason in {"user", "look"}:
            return self.until
        wait = min(FIRST_PROBE * 2 ** min(self.probes, 10), LAST_PROBE)
        at = Millis((self.probed if self.probed is not None else self.since) + wait)
        if self.until is not None and (self.probed is None or self.probed < self.until):
            return min(at, self.until)  # whoever is paused may see to it before the end that the API told
        return at

    def probe_due(self, now: Millis) -> bool:
        at = self.next_probe()
        return at is not None and now >= at
