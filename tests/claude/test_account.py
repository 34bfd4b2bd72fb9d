"""What headers tell of the account and its limits, and who one is."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from batchrun.claude.client import Connection, build
from batchrun.claude.messages import Messages
from batchrun.core.account import Account
from batchrun.core.outcome import (
    AccountStopped,
    Billed,
    Dropped,
    Meter,
    Misrouted,
    Outcome,
    RateLimited,
    ServerFailed,
    Stop,
    Told,
    Unreachable,
    billed,
)
from tests.claude.api import API, BASE, KEY, MESSAGE, NOW, Said, StillClock, error, raising, send, whoami

ORGANIZATION = {"anthropic-organization-id": "org_1", "anthropic-workspace-id": "wrk_1"}
ACCOUNT = Account(origin=BASE, organization="org_1", workspace="wrk_1")
UNTOLD = Account(origin=BASE)
LIST = {"data": [{"id": "claude-haiku-5-5"}], "has_more": True}


def told(**headers: str) -> Told:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return send(Said(body=MESSAGE, headers={**API, **names})).reply.told


def test_the_limits_of_all_three_dimensions_are_read() -> None:
    found = told(
        anthropic_ratelimit_requests_limit="1000",
        anthropic_ratelimit_requests_remaining="999",
        anthropic_ratelimit_requests_reset="2026-11-20T12:00:01Z",
        anthropic_ratelimit_input_tokens_limit="2000000",
        anthropic_ratelimit_input_tokens_remaining="1999000",
        anthropic_ratelimit_output_tokens_limit="400000",
        anthropic_ratelimit_tokens_limit="2400000",
        anthropic_ratelimit_tokens_remaining="1",
        anthropic_priority_input_tokens_limit="5",
    )
    assert found == Told(
        requests=Meter(limit=1000, remaining=999),
        input_tokens=Meter(limit=2_000_000, remaining=1_999_000),
        output_tokens=Meter(limit=400_000),
    )


@pytest.mark.parametrize("limit", ["", "many", "-5", "0", "nan", "inf", "1e300"])
def test_a_garbled_limit_is_no_limit(limit: str) -> None:
    assert told(anthropic_ratelimit_requests_limit=limit).requests is None


@pytest.mark.parametrize(("remaining", "expected"), [("", None), ("x", None), ("-1", 0), ("0", 0)])
def test_a_garbled_rest_leaves_the_limit_standing(remaining: str, expected: int | None) -> None:
    found = told(anthropic_ratelimit_requests_limit="50", anthropic_ratelimit_requests_remaining=remaining)
    assert found.requests == Meter(limit=50, remaining=expected)


def test_the_account_and_the_servers_clock_are_read_from_any_answer() -> None:
    headers = {**API, **ORGANIZATION, "date": "Fri, 20 Nov 2026 12:00:00 GMT"}
    for said in (Said(body=MESSAGE, headers=headers), Said(status=429, headers=headers)):
        found = send(said).reply.told
        assert (found.account, found.server_date) == (ACCOUNT, NOW)


def test_a_garbled_clock_is_none() -> None:
    for date in ("yesterday", "Fri, 99 Nov 2026 12:00:00 GMT", ""):
        assert told(date=date).server_date is None


def test_an_organisation_without_a_workspace_is_an_account() -> None:
    assert told(anthropic_organization_id="org_1").account == Account(origin=BASE, organization="org_1")
    assert told(anthropic_workspace_id="wrk_1").account is None


def test_whoami_asks_for_one_model_by_a_free_call() -> None:
    seen: list[httpx2.Request] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return Said(body=LIST, headers={**API, **ORGANIZATION}).response()

    assert whoami(handler) == ACCOUNT
    (request,) = seen
    assert (request.method, request.url.path, request.url.query) == ("GET", "/v1/models", b"limit=1")


def test_whoami_behind_a_gateway_that_names_nobody_is_untold() -> None:
    account = whoami(Said(body=LIST, headers={}))
    assert account == UNTOLD
    assert isinstance(account, Account)
    assert not account.told


@pytest.mark.parametrize(
    "said",
    [
        Said(status=404, body={"detail": "Not Found"}, headers={}),
        Said(status=404, body="<html></html>", headers={}),
        Said(status=404, body=error("not_found_error")),
        Said(status=405, headers={}),
        Said(status=501, headers={}),
        Said(status=400, body=error("invalid_request_error", "no such route")),
        Said(status=403, body=error("permission_error", code="api_key_scope_missing")),
    ],
    ids=lambda said: str(said.status),
)
def test_a_gateway_without_a_list_of_models_leaves_the_account_untold(said: Said) -> None:
    assert whoami(said) == UNTOLD


@pytest.mark.parametrize("status", [404, 429, 500, 529])
def test_an_answer_that_names_the_account_answers_the_question_whatever_else_it_says(status: int) -> None:
    assert whoami(Said(status=status, headers={**API, **ORGANIZATION})) == ACCOUNT


@pytest.mark.parametrize(
    ("said", "stop"),
    [
        (Said(status=401, body=error("authentication_error"), headers={**API, **ORGANIZATION}), Stop.KEY),
        (Said(status=403, body=error("permission_error"), headers={**API, **ORGANIZATION}), Stop.KEY),
        (Said(status=400, body=error("invalid_request_error", code="organization_on_hold")), Stop.HOLD),
    ],
    ids=lambda each: str(each.status) if isinstance(each, Said) else "",
)
def test_whoami_returns_the_outcome_that_said_no(said: Said, stop: Stop) -> None:
    outcome = whoami(said)
    assert isinstance(outcome, AccountStopped)
    assert outcome.stop is stop


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (Said(status=429), RateLimited),
        (Said(status=500), ServerFailed),
        (Said(status=307, headers={"location": "http://other.test"}), Misrouted),
        (Said(body="<html>login</html>", headers={}), Misrouted),
        (Said(body="{", headers={}), Misrouted),
        (Said(body={"models": []}, headers={}), Misrouted),
    ],
)
def test_whoami_tells_trouble_from_an_account(said: Said, expected: type) -> None:
    outcome = whoami(said)
    assert not isinstance(outcome, Account)
    assert type(outcome) is expected
    assert billed(outcome) is Billed.NO


@pytest.mark.parametrize(
    ("exception", "expected"),
    [(httpx2.ConnectError("no"), Unreachable), (httpx2.ReadTimeout("no"), Dropped)],
)
def test_whoami_without_a_connection_is_an_outcome(exception: Exception, expected: type) -> None:
    assert type(whoami(raising(exception))) is expected


def test_a_name_of_the_user_stands_with_the_account() -> None:
    async def main() -> Outcome | Account:
        http = httpx2.AsyncClient(
            transport=httpx2.MockTransport(lambda request: Said(body=LIST, headers={}).response())
        )
        client = build(Connection(secret=KEY, base_url=BASE), http)
        return await Messages(client, StillClock(), 1, account_name="work").whoami()

    assert asyncio.run(main()) == Account(origin=BASE, name="work")
