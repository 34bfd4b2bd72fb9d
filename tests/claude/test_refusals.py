"""Every row of the table of errors: what each says about the job, its model, the account and the way to the API."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from batchrun.core.outcome import (
    AccountStopped,
    Billed,
    Dropped,
    Limited,
    Misrouted,
    ModelUnavailable,
    Overloaded,
    RateLimited,
    Refused,
    ServerFailed,
    Stop,
    billed,
)
from tests.claude.api import API, BASE, DECEMBER, MODEL, NOW, Said, claim, error, send

HTML = {"content-type": "text/html", "cf-ray": "8f00-FRA"}
PAGE = "<!DOCTYPE html><html><head><title>Access &amp; denied</title></head><body>no</body></html>"


@dataclass(frozen=True, kw_only=True)
class Row:
    name: str
    said: Said
    outcome: type
    facts: dict[str, Any] = field(default_factory=dict)


def row(name: str, status: int, body: Any, outcome: type, headers: dict[str, str] | None = None, **facts: Any) -> Row:
    return Row(
        name=name,
        said=Said(status=status, body=body, headers={**API, **(headers or {})}),
        outcome=outcome,
        facts=facts,
    )


def edge(name: str, status: int, body: Any, outcome: type, headers: dict[str, str] | None = None, **facts: Any) -> Row:
    """An answer without the API's request id."""
    return Row(name=name, said=Said(status=status, body=body, headers=headers or {}), outcome=outcome, facts=facts)


INVALID = "invalid_request_error"
LIMIT = "rate_limit_error"
MONEY = "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."

ROWS = [
    # 400
    row("invalid request", 400, error(INVALID, "max_tokens: too large"), Refused),
    row("unknown code is the bare status", 400, error(INVALID, code="never_heard_of"), Refused),
    row(
        "credit used up",
        400,
        error(INVALID, "Your CREDIT balance is\ntoo low to go on"),
        AccountStopped,
        stop=Stop.CREDIT,
    ),
    row("own limit, with its end", 400, error(INVALID, MONEY), AccountStopped, stop=Stop.SPEND_CAP, until=DECEMBER),
    row(
        "own workspace limit, without an end",
        400,
        error(INVALID, "You have reached your specified workspace API usage limits."),
        AccountStopped,
        stop=Stop.SPEND_CAP,
        until=None,
    ),
    row(
        "own limit whose end is over",
        400,
        error(INVALID, MONEY.replace("2026-12-01", "2026-11-01")),
        AccountStopped,
        stop=Stop.SPEND_CAP,
        until=None,
    ),
    row(
        "own limit with an impossible end",
        400,
        error(INVALID, MONEY.replace("2026-12-01", "2026-13-41")),
        AccountStopped,
        stop=Stop.SPEND_CAP,
        until=None,
    ),
    row("organisation on hold", 400, error(INVALID, code="organization_on_hold"), AccountStopped, stop=Stop.HOLD),
    row(
        "organisation disabled",
        400,
        error(INVALID, "This organization has been disabled."),
        AccountStopped,
        stop=Stop.HOLD,
    ),
    *[
        row(f"400 {code}", 400, error(INVALID, code=code), AccountStopped, stop=Stop.SETUP)
        for code in (
            "cmek_key_disabled",
            "cmek_key_network_blocked",
            "claude_code_key_creator_not_member",
            "user_profile_required",
        )
    ],
    row("the upload was too slow", 400, error(INVALID, code="request_body_timeout"), ServerFailed, billed=Billed.NO),
    row("400 with another type", 400, error("authentication_error"), AccountStopped, stop=Stop.KEY),
    edge("400 page of something else", 400, PAGE, Misrouted, HTML),
    edge("400 text of something else", 400, "Bad Request", Misrouted),
    edge("400 of a gateway in the API's form", 400, {"error": {"message": "bad", "type": "None"}}, Refused),
    # 401, 402
    row("key refused", 401, error("authentication_error", "invalid x-api-key"), AccountStopped, stop=Stop.KEY),
    edge("key refused by a gateway", 401, {"detail": "who are you"}, AccountStopped, stop=Stop.KEY),
    edge("401 page of something else", 401, PAGE, Misrouted, HTML),
    row("payment problem", 402, error("billing_error"), AccountStopped, stop=Stop.BILLING, until=None),
    edge("payment problem without a body", 402, None, AccountStopped, stop=Stop.BILLING),
    row(
        "linked organisation's cap",
        402,
        error("billing_error", code="linked_organization_spend_limit_reached"),
        AccountStopped,
        stop=Stop.SPEND_CAP,
    ),
    row(
        "linked organisation's billing",
        402,
        error("billing_error", code="linked_organization_billing_unavailable"),
        AccountStopped,
        stop=Stop.BILLING,
    ),
    # 403
    row("not allowed at all", 403, error("permission_error", "not for this key"), AccountStopped, stop=Stop.KEY),
    row("not allowed one model", 403, error("permission_error", f"no access to {MODEL}"), ModelUnavailable),
    row(
        "profile not billable",
        403,
        error("permission_error", code="user_profile_not_billable"),
        AccountStopped,
        stop=Stop.SETUP,
    ),
    row(
        "profile not authorized",
        403,
        error("permission_error", code="user_profile_billing_not_authorized"),
        AccountStopped,
        stop=Stop.SETUP,
    ),
    edge("403 page of the edge", 403, PAGE, Misrouted, HTML),
    edge("403 of a region", 403, error("forbidden", "Request not allowed"), Misrouted),
    edge("403 in API's form through a gateway", 403, error("permission_error"), AccountStopped, stop=Stop.KEY),
    # 404
    row("model not found", 404, error("not_found_error", f"model: {MODEL}"), ModelUnavailable),
    row("not found, nobody says what", 404, error("not_found_error", "Not found"), ModelUnavailable),
    row("file gone", 404, error("not_found_error", "gone", code="file_expired"), Refused),
    edge("404 page of something else", 404, PAGE, Misrouted, HTML),
    edge("404 of a gateway without such a route", 404, {"message": "no Route matched"}, Misrouted),
    edge("404 of a framework", 404, {"detail": "Not Found"}, Misrouted),
    # the other 4xx
    row("method not allowed", 405, error(INVALID), Misrouted),
    edge("proxy wants a password", 407, PAGE, Misrouted, HTML),
    row("request timed out", 408, error("timeout_error"), ServerFailed, billed=Billed.NO),
    row("conflict", 409, error("conflict_error"), ServerFailed, billed=Billed.NO),
    row("precondition", 412, error(INVALID), Refused),
    row("too large", 413, error("request_too_large"), Refused),
    row(
        "too large after decoding",
        413,
        error("request_too_large", code="request_body_too_large_after_decoding"),
        Refused,
    ),
    edge("too large, at the edge", 413, {"error": {"type": "request_too_large", "message": "big"}}, Refused),
    edge("too large, page of the edge", 413, PAGE, Refused, HTML),
    edge("too large, without a word", 413, None, Refused),
    row("teapot", 418, error(INVALID), Refused),
    edge("teapot that is not the API's", 418, None, Misrouted),
    row("unprocessable", 422, error(INVALID), Refused),
    row("headers too large", 431, error(INVALID), Refused),
    edge("somebody thought we had gone", 499, None, Dropped),
    # 429
    row("limit with seconds", 429, error(LIMIT), RateLimited, {"retry-after": "7"}, retry_after=7.0, kind=Limited.RATE),
    row("limit with milliseconds", 429, error(LIMIT), RateLimited, {"retry-after-ms": "1500"}, retry_after=1.5),
    row(
        "limit with a date, by the server's clock",
        429,
        error(LIMIT),
        RateLimited,
        {"retry-after": "Fri, 20 Nov 2026 08:00:30 GMT", "date": "Fri, 20 Nov 2026 08:00:00 GMT"},
        retry_after=30.0,
    ),
    row(
        "limit with a date, by our clock",
        429,
        error(LIMIT),
        RateLimited,
        {"retry-after": "Fri, 20 Nov 2026 12:01:00 GMT"},
        retry_after=60.0,
    ),
    row("limit with nonsense", 429, error(LIMIT), RateLimited, {"retry-after": "soon"}, retry_after=None),
    row("limit with infinity", 429, error(LIMIT), RateLimited, {"retry-after": "inf"}, retry_after=None),
    row("limit with a past", 429, error(LIMIT), RateLimited, {"retry-after": "-3"}, retry_after=0.0),
    row("limit without a word", 429, error(LIMIT), RateLimited, retry_after=None, kind=Limited.RATE),
    row("ramp", 429, error(LIMIT, code="ramp_limit_exceeded"), RateLimited, {"retry-after": "9"}, kind=Limited.RAMP),
    row(
        "connections",
        429,
        error(LIMIT, "Number of concurrent connections has exceeded your rate limit"),
        RateLimited,
        kind=Limited.CONNECTIONS,
    ),
    row(
        "tier's monthly cap",
        429,
        error(LIMIT, code="enforced_spend_limit_reached"),
        AccountStopped,
        stop=Stop.SPEND_CAP,
        until=DECEMBER,
    ),
    row(
        "contract's cap",
        429,
        error(LIMIT, code="contract_spend_limit_reached"),
        AccountStopped,
        stop=Stop.SPEND_CAP,
        until=None,
    ),
    row("new code and no end", 429, error(LIMIT, code="new_cap"), AccountStopped, stop=Stop.SPEND_CAP),
    row("new code and an end", 429, error(LIMIT, code="new_pace"), RateLimited, {"retry-after": "3"}, retry_after=3.0),
    edge("limit at the edge", 429, PAGE, RateLimited, {**HTML, "retry-after": "2"}, retry_after=2.0),
    # 5xx
    row("failure", 500, error("api_error"), ServerFailed, billed=Billed.NO),
    edge("failure that calls itself overloaded", 500, error("api_error", "Overloaded", request_id=None), ServerFailed),
    row("overloaded under another status", 503, error("overloaded_error"), Overloaded),
    row("not implemented", 501, error("api_error"), ServerFailed),
    row("unavailable", 503, error("api_error"), ServerFailed, {"retry-after": "4"}, retry_after=4.0),
    row("key store unreachable", 503, error("api_error", code="cmek_key_unreachable"), ServerFailed),
    row("key store without context", 503, error("api_error", code="cmek_context_unavailable"), ServerFailed),
    row("timed out", 504, error("timeout_error"), ServerFailed, billed=Billed.NO),
    *[edge(f"edge lost the API: {n}", n, PAGE, ServerFailed, HTML, billed=Billed.MAYBE) for n in (502, 504, 520, 524)],
    *[
        edge(f"edge did not reach the API: {n}", n, PAGE, ServerFailed, HTML, billed=Billed.NO)
        for n in (503, 521, 522, 523)
    ],
    edge("the network wants a login", 511, PAGE, Misrouted, HTML),
    row("overloaded", 529, error("overloaded_error"), Overloaded, retry_after=None, billed=Billed.NO),
    row("overloaded with an end", 529, error("overloaded_error"), Overloaded, {"retry-after": "12"}, retry_after=12.0),
    edge("overloaded, page of the edge", 529, PAGE, Overloaded, HTML),
    edge("status nobody knows", 599, None, ServerFailed),
    # redirects
    *[edge(f"redirect {n}", n, None, Misrouted, {"location": f"{BASE}/elsewhere"}) for n in (301, 302, 303, 307, 308)],
    edge("not modified", 304, None, Misrouted),
]


@pytest.mark.parametrize("each", ROWS, ids=lambda each: each.name)
def test_each_row_of_the_table_of_errors(each: Row) -> None:
    outcome = send(each.said)
    assert type(outcome) is each.outcome
    assert {name: getattr(outcome, name) for name in each.facts} == each.facts
    assert outcome.reply.status == each.said.status
    if type(outcome) is not Dropped:
        assert billed(outcome) is each.facts.get("billed", Billed.NO)


def test_no_row_is_there_twice() -> None:
    assert len({each.name for each in ROWS}) == len(ROWS)


def test_a_refusal_keeps_the_facts_for_support() -> None:
    body = error(INVALID, "messages: at least one", code="some_code", request_id="req_body")
    reply = send(Said(status=400, body=body, headers={**API, "cf-ray": "8f00-FRA"})).reply
    assert (reply.error_type, reply.error_code, reply.request_id) == (INVALID, "some_code", "req_011")
    assert reply.message == "messages: at least one"
    assert reply.other_ids == ("cf-ray: 8f00-FRA",)


def test_the_request_id_of_the_body_stands_in_for_a_missing_header() -> None:
    outcome = send(Said(status=400, body=error(INVALID, request_id="req_body"), headers={}))
    assert outcome.reply.request_id == "req_body"


@pytest.mark.parametrize(
    ("status", "words"),
    [(403, "region"), (404, "base URL"), (407, "HTTPS_PROXY"), (511, "login")],
)
def test_a_page_of_something_else_says_what_helps(status: int, words: str) -> None:
    reply = send(Said(status=status, body=PAGE, headers=HTML)).reply
    assert words in reply.message
    assert "an HTML page, “Access & denied”" in reply.message


def test_a_redirect_names_the_host_it_wants_and_nothing_more() -> None:
    reply = send(Said(status=307, headers={"location": "https://user:pw@login.test/in?token=abc"})).reply
    assert "https://login.test" in reply.message
    assert "pw" not in reply.message
    assert "abc" not in reply.message


def test_a_redirect_to_nonsense_is_still_a_redirect() -> None:
    reply = send(Said(status=302, headers={"location": "http://[nowhere"})).reply
    assert "an address that is none" in reply.message


def test_silence_has_words_too() -> None:
    assert send(Said(status=502, headers={})).reply.message == "status 502 without a word"


def test_a_404_that_names_a_file_of_the_request_concerns_this_job_alone() -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": [{"file_id": "file_011CNha8iCJcU1wX"}]}]}
    said = Said(status=404, body=error("not_found_error", "File not found: file_011CNha8iCJcU1wX"))
    assert isinstance(send(said, claim(body)), Refused)


def test_a_404_in_words_that_the_prompt_has_too_does_not_speak_of_the_prompt() -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Which requested resources were missing?"}]}
    said = Said(status=404, body=error("not_found_error", "The requested resource was missing"))
    assert isinstance(send(said, claim(body)), ModelUnavailable)


def test_a_403_that_names_a_file_of_the_request_concerns_this_job_alone() -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": [{"file_id": "file_011CNha8iCJcU1wX"}]}]}
    said = Said(status=403, body=error("permission_error", "no access to file_011CNha8iCJcU1wX"))
    assert isinstance(send(said, claim(body)), Refused)


def test_the_end_of_a_monthly_cap_goes_by_the_servers_clock() -> None:
    headers = {**API, "date": "Thu, 31 Dec 2026 23:59:58 GMT"}
    outcome = send(Said(status=429, body=error(LIMIT, code="enforced_spend_limit_reached"), headers=headers))
    assert isinstance(outcome, AccountStopped)
    assert outcome.until == 1_798_761_600_000  # 2027-01-01
    assert outcome.until > NOW


def test_an_end_that_is_only_a_day_is_its_beginning() -> None:
    text = "You have reached your specified API usage limits. You will regain access on 2026-12-01."
    outcome = send(Said(status=400, body=error(INVALID, text)))
    assert isinstance(outcome, AccountStopped)
    assert outcome.until == DECEMBER


@pytest.mark.parametrize("body", [[1, 2], 7, "null", {"error": "plain words"}, {"error": {"error": {"type": 3}}}, "{"])
def test_a_body_of_any_shape_is_read_without_complaint(body: Any) -> None:
    outcome = send(Said(status=400, body=body))
    assert isinstance(outcome, Refused)
    assert outcome.reply.error_type is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"detail": "Method Not Allowed"}, "Method Not Allowed"),
        ({"error": "unauthorized_client", "error_description": "no such client"}, "no such client"),
        ({"title": "Not Found", "status": 404}, "Not Found"),
        ({"detail": [{"msg": "field required", "input": "my prompt"}]}, "a JSON object with `detail`"),
        ({"echo": {"messages": ["my prompt"]}}, "a JSON object with `echo`"),
        ("the gateway cannot read this: " + "x" * 60, "the gateway cannot read this: " + "x" * 49 + "…"),
    ],
    ids=["FastAPI", "OAuth", "problem details", "a validation error", "an echo", "text"],
)
def test_a_refusal_in_another_form_keeps_its_few_words_and_no_echo_of_the_request(body: Any, words: str) -> None:
    assert send(Said(status=422, body=body)).reply.message == words


def test_an_endless_message_is_cut() -> None:
    reply = send(Said(status=400, body=error(INVALID, "x" * 100_000))).reply
    assert len(reply.message) == 2000
