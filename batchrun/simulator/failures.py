"""The errors of the API in their real shapes (errors page 2026-09; observed ones where it is silent)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from batchrun.simulator.effects import Effect, Kind, Stage

PAGE = "<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One error answer. `retry_after` is in seconds."""

    status: int
    type: str
    message: str
    code: str | None = None
    retry_after: float | None = None

    def body(self, request_id: str) -> bytes:
        error: dict[str, Any] = {"type": self.type, "message": self.message}
        if self.code is not None:
            error["details"] = {"error_code": self.code}
        return json.dumps({"type": "error", "error": error, "request_id": request_id}, ensure_ascii=False).encode()


def invalid(message: str) -> Failure:
    """400: the request is at fault."""
    return Failure(status=400, type="invalid_request_error", message=message)


def not_found(message: str) -> Failure:
    return Failure(status=404, type="not_found_error", message=message)


def limited(what: str, retry_after: float) -> Failure:
    """429 of a limit a minute."""
    return Failure(
        status=429,
        type="rate_limit_error",
        message=f"This request would exceed your organization's rate limit of {what}. "
        "Lower the rate, or ask for a higher limit.",
        retry_after=retry_after,
    )


def queue_full(most: int) -> Failure:
    """429 for a batch that finds no room; what the API really says is not published."""
    return Failure(
        status=429,
        type="rate_limit_error",
        message=f"This batch would exceed your organization's limit of {most} batch requests in processing.",
    )


TOO_MANY_CONNECTIONS = Failure(
    status=429,
    type="rate_limit_error",
    message="Number of concurrent connections has exceeded your rate limit. Please try again later.",
    retry_after=5,
)
TOO_STEEP = Failure(
    status=429,
    type="rate_limit_error",
    message="Usage has risen too sharply. Increase it gradually.",
    code="ramp_limit_exceeded",
    retry_after=10,
)
SPEND_CAP = Failure(
    status=429,
    type="rate_limit_error",
    message="The monthly spend limit of this organization's usage tier is reached.",
    code="enforced_spend_limit_reached",
)
NO_CREDIT = invalid("Your credit balance is too low to access the Anthropic API.")

FAILURES: Mapping[Kind, Failure] = {
    Kind.INVALID: invalid("simulated: the request is invalid"),
    Kind.KEY: Failure(status=401, type="authentication_error", message="invalid x-api-key"),
    Kind.BILLING: Failure(status=402, type="billing_error", message="There is a problem with the payment details."),
    Kind.FORBIDDEN: Failure(status=403, type="permission_error", message="This key may not use this resource."),
    Kind.MISSING: not_found("model: simulated"),
    Kind.TIMED_OUT: Failure(status=408, type="timeout_error", message="Request timed out"),
    Kind.CONFLICT: Failure(status=409, type="conflict_error", message="The resource is being changed."),
    Kind.LIMITED: limited("5 requests per minute", 5),
    Kind.BARE_LIMITED: Failure(status=429, type="rate_limit_error", message="Too many requests"),
    Kind.RAMP: TOO_STEEP,
    Kind.CONNECTIONS: TOO_MANY_CONNECTIONS,
    Kind.SPEND_CAP: SPEND_CAP,
    Kind.CONTRACT_CAP: Failure(
        status=429,
        type="rate_limit_error",
        message="The spend limit of this organization's contract is reached.",
        code="contract_spend_limit_reached",
    ),
    Kind.CREDIT: NO_CREDIT,
    Kind.USAGE_LIMIT: invalid(
        "You have reached your specified API usage limits. You will regain access on 2027-01-01 at 00:00 UTC."
    ),
    Kind.HOLD: Failure(
        status=400,
        type="invalid_request_error",
        message="This organization is on hold.",
        code="organization_on_hold",
    ),
    Kind.DISABLED: invalid("This organization has been disabled."),
    Kind.FAILED: Failure(status=500, type="api_error", message="Internal server error"),
    Kind.NOT_NOW: Failure(status=503, type="api_error", message="Service unavailable"),
    Kind.SLOW_GATEWAY: Failure(status=504, type="timeout_error", message="Gateway timeout"),
    Kind.OVERLOADED: Failure(status=529, type="overloaded_error", message="Overloaded"),
}
"""What each kind of the stage API answers."""


def first(wished: Sequence[Effect]) -> Failure | None:
    """The first error of the API among *wished*."""
    effect = next((each for each in wished if each.kind.stage is Stage.API), None)
    if effect is None:
        return None
    failure = FAILURES[effect.kind]
    return failure if effect.seconds is None else replace(failure, retry_after=effect.seconds)
