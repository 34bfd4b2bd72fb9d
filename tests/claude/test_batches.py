"""Batches: each call is made once, under our own address, and whatever comes of it is a value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx2
import pytest

from batchrun.core.batch import Clarity, Page, Processing, Remote
from batchrun.core.job import Millis
from batchrun.core.outcome import (
    AccountStopped,
    Billed,
    Dropped,
    Misrouted,
    Outcome,
    RateLimited,
    Refused,
    ServerFailed,
    Unreachable,
    billed,
)
from tests.claude.api import API, BASE, KEY, NOW, Handler, Said, error, raising
from tests.claude.batchroom import BATCH, BODY, COUNTS, Ask, asking, created, creating, stands

DATED = {**API, "date": "Fri, 20 Nov 2026 12:00:00 GMT"}
HTML = {"content-type": "text/html"}
PAGE = "<!DOCTYPE html><title>Please log in</title>"


class Heard:
    """A server that keeps its requests, and answers each with the next of *answers*."""

    def __init__(self, *answers: Said) -> None:
        self.requests: list[httpx2.Request] = []
        self._answers = list(answers)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return self._answers.pop(0).response()

    @property
    def paths(self) -> list[str]:
        return [f"{request.method} {request.url}" for request in self.requests]


ASKS: Mapping[str, Ask[Any]] = {
    "create": creating,
    "page": lambda room: room.page(),
    "find": lambda room: room.find("msgbatch_01"),
    "cancel": lambda room: room.cancel("msgbatch_01"),
    "delete": lambda room: room.delete("msgbatch_01"),
}


def refused(answer: Said | Handler, ask: str, **connection: Any) -> Outcome:
    outcome: Outcome | Remote | Page | None = asking(answer, ASKS[ask], **connection)
    assert outcome is not None
    assert not isinstance(outcome, Remote | Page)
    return outcome


def test_a_batch_is_created_with_the_very_bytes_given() -> None:
    server = Heard(Said(body=BATCH))
    remote = created(server)
    assert remote == Remote(
        id="msgbatch_01",
        processing=Processing.IN_PROGRESS,
        counts=COUNTS,
        created=Millis(NOW + 250),
        expires=Millis(NOW + 250 + 86_400_000),
    )
    assert remote.n == 2
    assert server.paths == [f"POST {BASE}/v1/messages/batches"]
    request = server.requests[0]
    assert request.content == BODY
    assert request.headers["content-length"] == str(len(BODY))
    assert "transfer-encoding" not in request.headers
    assert request.headers["content-type"] == "application/json"


def test_betas_of_the_client_the_headers_and_the_batch_add_up() -> None:
    server = Heard(Said(body=BATCH))
    asking(
        server,
        lambda room: room.create(
            BODY, betas=["third-1", "first-1"], headers={"Anthropic-Beta": "second-1", "X-A": "b"}
        ),
        headers={"anthropic-beta": "first-1"},
    )
    headers = server.requests[0].headers
    assert headers["anthropic-beta"] == "first-1,second-1,third-1"
    assert headers["x-a"] == "b"
    assert headers["content-length"] == str(len(BODY))


def test_a_header_that_cannot_be_sent_is_refused_before_anything_is() -> None:
    server = Heard()
    outcome = asking(server, lambda room: room.create(BODY, betas=(), headers={"X-A": "b\r\nX-C: d"}))
    assert isinstance(outcome, Refused)
    assert stands(outcome) is Clarity.REFUSED
    assert "x-a" in outcome.reply.message
    assert server.requests == []


@pytest.mark.parametrize(
    ("answer", "whole"),
    [
        (Said(body=PAGE, headers=HTML), Misrouted),
        (Said(body="", headers={}), Misrouted),
        (Said(body='{"id": "msgbatch_01", "ty', headers={}), Misrouted),
        (Said(body='{"id": "msgbatch_01", "ty'), Dropped),
        (Said(body=PAGE), Dropped),
        (Said(body={"id": "msgbatch_01"}), Misrouted),
        (Said(body={**BATCH, "request_counts": {"processing": 2}}), Misrouted),
        (Said(body={**BATCH, "created_at": "soon"}), Misrouted),
        (Said(body=[BATCH]), Misrouted),
        (Said(body=error("invalid_request_error")), Misrouted),
        (Said(status=204), Dropped),
    ],
    ids=[
        "page",
        "nothing",
        "cut",
        "cut by the API",
        "page by the API",
        "id alone",
        "counts",
        "date",
        "list",
        "no",
        "204",
    ],
)
def test_a_good_answer_that_is_no_batch_leaves_open_whether_there_is_one(answer: Said, whole: type) -> None:
    outcome = refused(answer, "create")
    assert type(outcome) is whole
    assert billed(outcome) is Billed.MAYBE
    assert stands(outcome) is Clarity.UNCLEAR


@pytest.mark.parametrize("ask", ["page", "find", "cancel", "delete"])
@pytest.mark.parametrize("body", [PAGE, "", "{", {"data": []}, {"has_more": False}, [], 7, {**BATCH, "id": ""}])
def test_what_is_free_is_never_possibly_billed_whatever_answers(ask: str, body: Any) -> None:
    outcome = refused(Said(body=body, headers={}), ask)
    assert isinstance(outcome, Misrouted)
    assert billed(outcome) is Billed.NO


@pytest.mark.parametrize("ask", ["page", "find", "cancel", "delete"])
def test_what_is_free_is_not_said_to_be_billed(ask: str) -> None:
    outcome = refused(raising(httpx2.ReadTimeout("slow")), ask)
    assert isinstance(outcome, Dropped)
    assert "billed" not in outcome.reply.message


@pytest.mark.parametrize(
    ("status", "processing", "ended"),
    [
        ("in_progress", Processing.IN_PROGRESS, None),
        ("canceling", Processing.CANCELING, None),
        ("ended", Processing.ENDED, "2026-11-20T12:00:01Z"),
        ("finalizing", Processing.IN_PROGRESS, None),
        ("settled", Processing.ENDED, "2026-11-20T12:00:01Z"),
    ],
)
def test_a_batch_is_read_as_far_as_it_is(status: str, processing: Processing, ended: str | None) -> None:
    body = {**BATCH, "processing_status": status, "ended_at": ended, "news": {"of": ["tomorrow"]}}
    remote = asking(Said(body=body), ASKS["find"])
    assert isinstance(remote, Remote)
    assert remote.processing is processing
    assert remote.ended == (None if ended is None else NOW + 1_000)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-20T12:00:00Z", 0),
        ("2026-11-20t12:00:00z", 0),
        ("2026-11-20T14:00:00+02:00", 0),
        ("2026-11-20T12:00:00", 0),
        ("2026-11-20T12:00:00.123456789Z", 123),
    ],
)
def test_times_are_read_in_every_form_of_rfc_3339(text: str, moment: int) -> None:
    remote = asking(Said(body={**BATCH, "created_at": text}), ASKS["find"])
    assert isinstance(remote, Remote)
    assert remote.created == NOW + moment


def test_a_count_of_tomorrow_belongs_to_the_requests_too() -> None:
    remote = asking(Said(body={**BATCH, "request_counts": {**COUNTS, "refused": 3}}), ASKS["find"])
    assert isinstance(remote, Remote)
    assert remote.n == 5


def test_an_archived_batch_says_so() -> None:
    remote = asking(Said(body={**BATCH, "archived_at": "2026-12-20T12:00:00Z"}), ASKS["find"])
    assert isinstance(remote, Remote)
    assert remote.archived


def test_pages_are_asked_for_by_what_they_come_after() -> None:
    first = {"data": [BATCH, {**BATCH, "id": "msgbatch_00"}], "has_more": True, "first_id": "x", "last_id": "y"}
    server = Heard(Said(body=first, headers=DATED), Said(body={"data": [], "has_more": False}, headers=DATED))

    async def both(room: Any) -> tuple[Any, Any]:
        return await room.page(), await room.page("msgbatch_00")

    newest, older = asking(server, both)
    assert [each.id for each in newest.batches] == ["msgbatch_01", "msgbatch_00"]
    assert (newest.more, newest.date) == (True, NOW)
    assert older == Page(batches=(), more=False, date=NOW)
    address = f"GET {BASE}/v1/messages/batches?limit=1000"
    assert server.paths == [address, f"{address}&after_id=msgbatch_00"]


def test_a_page_without_a_date_has_none() -> None:
    page = asking(Said(body={"data": [BATCH], "has_more": False}), ASKS["page"])
    assert isinstance(page, Page)
    assert page.date is None


@pytest.mark.parametrize(
    "body",
    [
        {"data": [BATCH, {**BATCH, "id": None}], "has_more": False},
        {"data": [BATCH, "odd"], "has_more": False},
        {"data": [BATCH]},
        {"data": [BATCH], "has_more": "no"},
        {"data": [], "has_more": True},
        {"data": {"0": BATCH}, "has_more": False},
    ],
    ids=["a batch without an id", "no batch", "no end", "an odd end", "more of nothing", "no list"],
)
def test_a_page_with_a_hole_is_no_page_for_what_is_missing_would_be_taken_for_lost(body: Any) -> None:
    outcome = refused(Said(body=body), "page")
    assert isinstance(outcome, Misrouted)
    assert outcome.reply.request_id == "req_011"


@pytest.mark.parametrize("ask", ["find", "cancel", "delete"])
@pytest.mark.parametrize(
    "body",
    [error("not_found_error", "Batch msgbatch_01 not found"), error("not_found_error", "Not found"), None],
    ids=["named", "unnamed", "without a word"],
)
def test_a_batch_that_is_not_there_is_never_taken_for_a_model(ask: str, body: Any) -> None:
    outcome = refused(Said(status=404, body=body), ask)
    assert isinstance(outcome, Refused)
    assert outcome.reply.status == 404


@pytest.mark.parametrize("ask", ["find", "cancel", "delete"])
def test_a_404_of_something_else_says_nothing_about_the_batch(ask: str) -> None:
    assert isinstance(refused(Said(status=404, body=PAGE, headers=HTML), ask), Misrouted)


def test_an_id_is_never_a_way_to_another_address() -> None:
    server = Heard(Said(body=BATCH), Said(body=BATCH))

    async def both(room: Any) -> None:
        await room.find("../models?x=1#y")
        await room.cancel("a/b")

    asking(server, both)
    assert server.paths == [
        f"GET {BASE}/v1/messages/batches/..%2Fmodels%3Fx%3D1%23y",
        f"POST {BASE}/v1/messages/batches/a%2Fb/cancel",
    ]


def test_a_cancel_tells_the_batch_as_it_is_now() -> None:
    server = Heard(Said(body={**BATCH, "processing_status": "canceling"}))
    remote = asking(server, ASKS["cancel"])
    assert isinstance(remote, Remote)
    assert remote.processing is Processing.CANCELING
    assert server.paths == [f"POST {BASE}/v1/messages/batches/msgbatch_01/cancel"]


@pytest.mark.parametrize(
    ("status", "kind", "outcome"), [(400, "invalid_request_error", Refused), (409, "conflict_error", ServerFailed)]
)
@pytest.mark.parametrize("ask", ["cancel", "delete"])
def test_what_its_state_forbids_is_an_outcome(ask: str, status: int, kind: str, outcome: type) -> None:
    found = refused(Said(status=status, body=error(kind, "the batch has ended")), ask)
    assert type(found) is outcome
    assert (found.reply.status, found.reply.message) == (status, "the batch has ended")


def test_a_deleted_batch_is_gone_without_a_word() -> None:
    server = Heard(Said(body={"id": "msgbatch_01", "type": "message_batch_deleted"}))
    assert asking(server, ASKS["delete"]) is None
    assert server.paths == [f"DELETE {BASE}/v1/messages/batches/msgbatch_01"]


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Said(status=401, body=error("authentication_error")), AccountStopped),
        (Said(status=403, body=error("permission_error")), AccountStopped),
        (Said(status=429, body=error("rate_limit_error"), headers={**API, "retry-after": "7"}), RateLimited),
        (Said(status=500, body=error("api_error")), ServerFailed),
        (Said(status=307, headers={"location": f"{BASE}/elsewhere"}), Misrouted),
        (raising(httpx2.ReadError("gone")), Dropped),
    ],
    ids=["401", "403", "429", "500", "307", "reset"],
)
def test_every_call_is_judged_by_the_same_table(ask: str, answer: Said | Handler, outcome: type) -> None:
    assert type(refused(answer, ask)) is outcome


@pytest.mark.parametrize("ask", [ask for ask in ASKS if ask != "create"])
def test_what_fails_before_sending_sent_nothing(ask: str) -> None:
    assert isinstance(refused(raising(httpx2.ConnectError("no")), ask), Unreachable)


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize(
    "answer",
    [
        Said(status=400, body=error("invalid_request_error", f"what is {KEY}?")),
        Said(body={"echo": KEY}),
        Said(body=f"hello {KEY}", headers={}),
        Said(status=502, body=KEY, headers={}),
        raising(httpx2.ReadError(f"while sending {KEY}")),
        raising(ValueError(KEY)),
    ],
    ids=["refusal", "JSON", "text", "gateway", "library", "odd library"],
)
def test_no_key_is_in_any_outcome(ask: str, answer: Said | Handler) -> None:
    assert KEY[:16] not in repr(refused(answer, ask))


def test_a_secret_among_the_headers_of_a_batch_is_taken_out_too() -> None:
    said = Said(status=400, body=error("invalid_request_error", "no such token gateway-secret-0123456789"))
    outcome = asking(
        said, lambda room: room.create(BODY, betas=(), headers={"X-Gateway-Token": "gateway-secret-0123456789"})
    )
    assert isinstance(outcome, Refused)
    assert "gateway-secret" not in repr(outcome)


def test_json_too_deep_is_an_outcome() -> None:
    assert stands(created(Said(body="[" * 100_000))) is Clarity.UNCLEAR


def test_a_batch_may_come_as_any_json_text() -> None:
    remote = created(Said(body=json.dumps(BATCH, indent=4)))
    assert isinstance(remote, Remote)
