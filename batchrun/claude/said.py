"""What an answer that is no message said, whoever gave it: the API, its edge, a gateway or a captive portal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from batchrun.claude.account import Address, edge_ids, told
from batchrun.claude.kept import error_of, is_page, kept_of, title_of
from batchrun.claude.redaction import wording
from batchrun.core.job import Millis
from batchrun.core.outcome import Reply

STATUS_OF_TYPE: Mapping[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The API's error types and the status each goes with (errors page, 2026-06 and later)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is known on this side when an answer is judged. `secrets` never get into any word."""

    address: Address
    now: Millis
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    model: str = ""
    body: str = field(default="", repr=False)  #: JSON text of the request
    free: bool = False  #: nothing it asks for is ever billed


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """`genuine`: it is the API that speaks. `shaped`: it has at least the API's form, as a gateway's words may have.

    `message` is all that it said, to be judged; `kept` is what of it may be written down.
    """

    type: str | None
    code: str | None
    message: str
    kept: str
    request_id: str | None
    genuine: bool
    shaped: bool = False
    page: bool = False  #: an HTML page


def heard(headers: Mapping[str, str], body: object, asked: Asked) -> Said:
    """What *body* (JSON value, or text where it was none) says under *headers* (lower-case names).

    The API is known by its request id, in the header or in the body, or by one of its error types.
    """
    error = error_of(body)
    kind, message = _text(error.get("type")), _text(error.get("message"))
    details = error.get("details")
    code = _text(details.get("error_code")) if isinstance(details, Mapping) else None
    request_id = headers.get("request-id") or (_text(body.get("request_id")) if isinstance(body, Mapping) else None)
    text = body if isinstance(body, str) else ""
    page = is_page(text)
    return Said(
        type=kind and wording(kind, asked.secrets),
        code=code and wording(code, asked.secrets),
        message=wording(message or (title_of(text) if page else _dumped(body)), asked.secrets),
        kept=wording(message, asked.secrets) if message else kept_of(body, asked.secrets),
        request_id=request_id and wording(request_id, asked.secrets),
        genuine=kind in STATUS_OF_TYPE or bool(request_id),
        shaped=isinstance(body, Mapping) and error is not body and bool(kind or message),
        page=page,
    )


def reply_of(status: int | None, headers: Mapping[str, str], said: Said, asked: Asked, hint: str = "") -> Reply:
    """The facts of an answer, for its attempt; *hint* is added to the words."""
    return Reply(
        status=status,
        error_type=said.type,
        error_code=said.code,
        message=wording(": ".join(part for part in (hint, said.kept) if part), asked.secrets)
        or (f"status {status} without a word" if status is not None else ""),
        request_id=said.request_id,
        other_ids=tuple(wording(each, asked.secrets) for each in edge_ids(headers)),
        genuine=said.genuine,
        told=told(headers, asked.address),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _dumped(body: object) -> str:
    if body is None or isinstance(body, str):
        return body or ""
    try:
        return json.dumps(body, ensure_ascii=False)
    except RecursionError:
        return "JSON too deep to be shown"
