"""What every request has to get past: key, version, content type, and JSON that can be read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from batchrun.simulator.effects import Kind
from batchrun.simulator.failures import FAILURES, Failure, invalid
from batchrun.simulator.plan import VERSIONS
from batchrun.simulator.wire import Request


def key(request: Request) -> str:
    """The key of a request, in whichever header; "" if it has none."""
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    return request.headers.get("x-api-key") or (bearer if scheme == "Bearer" else "")


def workspace(request: Request, workspaces: Mapping[str, str]) -> str | None:
    """The workspace of the request's key where it is not the account's usual one."""
    ending = next((name for name in workspaces if key(request).endswith(name)), None)
    return None if ending is None else workspaces[ending]


def refusal(request: Request) -> Failure | None:
    """Why a request does not get in, whatever it asks."""
    who = key(request)
    if not who:
        return Failure(status=401, type="authentication_error", message="x-api-key header is required")
    if who.startswith("bad"):
        return FAILURES[Kind.KEY]
    version = request.headers.get("anthropic-version")
    if version is None:
        return invalid("anthropic-version: header is required")
    if version not in VERSIONS:
        return invalid(f"anthropic-version: {version!r} is not a valid version")
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    has_body = request.body or request.upload is not None
    if request.method == "POST" and has_body and content_type != "application/json":
        return invalid("content-type: should be `application/json`")
    return None


def parse(body: bytes) -> tuple[Any, Failure | None]:
    """The value of a JSON body, and why the API cannot read it."""
    try:
        params = json.loads(body, parse_constant=_no_constant)
        if b"\\ud" in body or b"\\uD" in body:
            json.dumps(params, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        return None, invalid(f"The request body is not valid JSON: {error}")
    return params, None


def mark(params: Any) -> str | None:
    """`metadata.user_id`."""
    metadata = params.get("metadata") if isinstance(params, dict) else None
    found = metadata.get("user_id") if isinstance(metadata, dict) else None
    return found if isinstance(found, str) else None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")
