"""The key is in no outcome, whatever the server or a library says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from batchrun.claude.redaction import wording
from tests.claude.api import API, KEY, MESSAGE, Said, claim, error, raising, send, whoami

TOKEN = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0LXRva2Vu.abcDEF123"
HEADER = "gateway-secret-0123456789"

PLACES: dict[str, Callable[[str], Said]] = {
    "the message": lambda secret: Said(status=401, body=error("authentication_error", f"invalid key {secret}!")),
    "the type": lambda secret: Said(status=400, body=error(f"bad_{secret}")),
    "the code": lambda secret: Said(status=400, body=error("invalid_request_error", code=f"c_{secret}")),
    "a foreign body": lambda secret: Said(status=400, body={"you": {"sent": secret}}),
    "a list": lambda secret: Said(status=500, body=[secret]),
    "text": lambda secret: Said(status=502, body=f"cannot forward {secret}", headers={}),
    "a page": lambda secret: Said(status=403, body=f"<html><title>{secret}</title></html>", headers={}),
    "an id": lambda secret: Said(status=500, body=error("api_error"), headers={"request-id": secret, "cf-ray": secret}),
    "a redirect": lambda secret: Said(status=307, headers={"location": f"http://{secret}@x.test/{secret}"}),
    "a 200 that is no message": lambda secret: Said(body={"echo": secret}),
    "a 200 that is text": lambda secret: Said(body=f"hello {secret}", headers={}),
    "an event": lambda secret: Said(
        body=f"event: error\ndata: {json.dumps(error('api_error', secret))}\n\n",
        headers={**API, "content-type": "text/event-stream"},
    ),
}


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("secret", [KEY, TOKEN])
def test_a_key_echoed_by_a_server_is_taken_out(place: str, secret: str) -> None:
    said = PLACES[place](secret)
    for outcome in (send(said, secret=secret), whoami(said, secret=secret)):
        assert secret not in repr(outcome)
        assert secret[:16] not in repr(outcome)


@pytest.mark.parametrize("part", [KEY[:30], KEY[-20:], KEY[10:40]])
def test_a_part_of_the_key_is_taken_out_too(part: str) -> None:
    outcome = send(Said(status=401, body=error("authentication_error", f"no key like {part}…")))
    assert part[:14] not in repr(outcome)
    assert part[-14:] not in repr(outcome)
    assert "no key like" in outcome.reply.message


def test_other_secret_headers_are_taken_out() -> None:
    said = Said(status=400, body=error("invalid_request_error", f"bad {HEADER} and {TOKEN}"))
    outcome = send(said, claim(headers={"X-Auth": TOKEN}), headers={"X-Gateway-Key": HEADER})
    assert HEADER not in repr(outcome)
    assert TOKEN not in repr(outcome)


@pytest.mark.parametrize(
    "exception",
    [
        httpx2.LocalProtocolError(f"Illegal header value b'Bearer {KEY}\\n'"),
        httpx2.ReadError(f"while sending {KEY}"),
        httpx2.ProxyError("cannot reach http://ada:pass-word@proxy.test"),
        ValueError(KEY),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_key_in_a_librarys_words_is_taken_out(exception: Exception) -> None:
    for outcome in (send(raising(exception)), whoami(raising(exception))):
        assert KEY not in repr(outcome)
        assert "pass-word" not in repr(outcome)


def test_nothing_but_the_answer_itself_passes_through_untouched() -> None:
    """What the model wrote is the user's; it is not searched for keys."""
    body = {**MESSAGE, "content": [{"type": "text", "text": "sk-ant-api03-example"}]}
    assert "sk-ant-api03-example" in repr(send(Said(body=body)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\x1b[31mred\x1b[0m\x00b", "a [31mred [0m b"),
        ("two\n lines\t here", "two lines here"),
        ("half \ud83d of it", "half of it"),
        ("Grüße 🙂", "Grüße 🙂"),
    ],
)
def test_words_are_fit_for_a_screen_and_a_database(text: str, expected: str) -> None:
    assert wording(text) == expected


def test_a_long_token_in_a_long_page_is_taken_out_in_no_time() -> None:
    token = "".join(f"{n:08x}" for n in range(300))
    outcome = send(Said(status=502, body=f"{token} " * 4_000, headers={}), secret=token)
    assert token[:16] not in repr(outcome)


def test_an_empty_secret_takes_nothing_out() -> None:
    said: Any = Said(status=400, body=error("invalid_request_error", "plain"))
    assert send(said, headers={"x-key": ""}).reply.message == "plain"
