"""The lines of a batch's results."""

from __future__ import annotations

import json
from typing import Any

import pytest

from batchrun.claude.account import Address
from batchrun.claude.items import item_outcome
from batchrun.claude.said import Asked
from batchrun.core.outcome import (
    AccountStopped,
    Billed,
    Canceled,
    Expired,
    Outcome,
    Overloaded,
    RateLimited,
    Refused,
    ServerFailed,
    Stop,
    Succeeded,
    Unknown,
    Usage,
    billed,
)
from tests.claude.api import BASE, DECEMBER, KEY, MESSAGE, NOW, error


def outcome_of(result: Any) -> Outcome:
    asked = Asked(address=Address(origin=BASE), now=NOW, secrets=frozenset({KEY}))
    return item_outcome({"custom_id": "a", "result": result}, asked)


def test_a_message_is_an_answer() -> None:
    outcome = outcome_of({"type": "succeeded", "message": MESSAGE})
    assert isinstance(outcome, Succeeded)
    assert json.loads(outcome.answer.body) == MESSAGE
    assert outcome.answer.usage == Usage(input=10, output=5)
    assert outcome.reply.status is None


@pytest.mark.parametrize(
    ("kind", "outcome", "facts"),
    [
        ("invalid_request_error", Refused, {}),
        ("not_found_error", Refused, {}),
        ("permission_error", Refused, {}),
        ("request_too_large", Refused, {}),
        ("api_error", ServerFailed, {}),
        ("timeout_error", ServerFailed, {}),
        ("conflict_error", ServerFailed, {}),
        ("an_error_of_tomorrow", ServerFailed, {}),
        ("overloaded_error", Overloaded, {}),
        ("rate_limit_error", RateLimited, {"retry_after": None}),
        ("authentication_error", AccountStopped, {"stop": Stop.KEY}),
        ("billing_error", AccountStopped, {"stop": Stop.BILLING}),
    ],
)
@pytest.mark.parametrize("nested", [True, False])
def test_an_error_is_judged_by_its_type_and_not_billed(
    kind: str, outcome: type, facts: dict[str, Any], nested: bool
) -> None:
    body = error(kind, "why", request_id="req_7")
    found = outcome_of({"type": "errored", "error": body if nested else body["error"]})
    assert type(found) is outcome
    assert {name: getattr(found, name) for name in facts} == facts
    assert billed(found) is Billed.NO
    assert (found.reply.error_type, found.reply.message) == (kind, "why")
    assert found.reply.request_id == ("req_7" if nested else None)


@pytest.mark.parametrize(
    ("body", "stop", "until"),
    [
        (error("invalid_request_error", "Your credit balance is too low"), Stop.CREDIT, None),
        (error("invalid_request_error", code="organization_on_hold"), Stop.HOLD, None),
        (error("rate_limit_error", code="enforced_spend_limit_reached"), Stop.SPEND_CAP, DECEMBER),
    ],
)
def test_an_error_about_money_concerns_the_account(body: Any, stop: Stop, until: int | None) -> None:
    found = outcome_of({"type": "errored", "error": body})
    assert isinstance(found, AccountStopped)
    assert (found.stop, found.until) == (stop, until)


def test_an_expired_item_is_not_billed() -> None:
    found = outcome_of({"type": "expired"})
    assert isinstance(found, Expired)
    assert billed(found) is Billed.NO


def test_a_canceled_item_is_taken_for_the_users_wish_until_somebody_knows_better() -> None:
    found = outcome_of({"type": "canceled"})
    assert isinstance(found, Canceled)
    assert found.by_user


def test_a_message_under_an_unknown_label_is_still_an_answer() -> None:
    assert isinstance(outcome_of({"type": "succeeded_partly", "message": MESSAGE}), Succeeded)


@pytest.mark.parametrize("result", [{"type": "vanished", "x": 1}, {"type": "succeeded"}, {}, None, "text", {"type": 7}])
def test_a_result_nobody_knows_is_possibly_billed(result: Any) -> None:
    found = outcome_of(result)
    assert isinstance(found, Unknown)
    assert billed(found) is Billed.MAYBE
    assert found.reply.error_type == "unknown_result"


def test_the_words_of_a_result_nobody_knows_are_kept_bounded_and_without_keys() -> None:
    words = outcome_of({"type": "vanished", "why": f"{KEY} " + "word " * 10_000}).reply.message
    assert "'vanished'" in words
    assert '"why":' in words
    assert KEY not in words
    assert len(words) <= 2_000


@pytest.mark.parametrize("body", [None, "plain words", {}, {"error": None}])
def test_an_error_of_any_shape_is_worth_another_try(body: Any) -> None:
    assert isinstance(outcome_of({"type": "errored", "error": body}), ServerFailed)


def test_a_key_in_an_item_is_taken_out() -> None:
    assert KEY not in repr(outcome_of({"type": "errored", "error": error("api_error", KEY)}))
    assert KEY not in repr(outcome_of({"type": KEY}))
