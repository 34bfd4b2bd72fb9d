"""A line of OpenAI's batch format: `custom_id`, `method`, `url` and `body`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchrun.jobfile.excerpt import shown
from batchrun.jobfile.faults import article
from batchrun.jobfile.foreign.loss import Losses, Target
from batchrun.jobfile.foreign.openai_request import CHAT, RESPONSES, OpenAiRequest
from batchrun.jobfile.forms import faults_of_key

_KNOWN = frozenset({"body", "custom_id", "method", "url"})


def is_openai(value: Mapping[str, Any]) -> bool:
    return "body" in value and "url" in value and "params" not in value


def converted(line: Mapping[str, Any], target: Target, losses: Losses) -> dict[str, Any] | None:
    """The same job as an Anthropic batch line; None if it cannot be had."""
    key, url, body = line.get("custom_id"), line.get("url"), line.get("body")
    if not isinstance(key, str):
        said = f"`custom_id` must be text, not {article(key)}" if "custom_id" in line else "`custom_id` is missing"
        losses.refuse(("custom_id",) if "custom_id" in line else (), said, name=False)
    elif faults := faults_of_key(key, "custom_id"):
        losses.faults += faults
        losses.refused = True
    for name in line:
        if name not in _KNOWN:
            losses.lost((name,), f"`{shown(name)}` beside `body` is left out")
    if not isinstance(body, dict):
        losses.refuse(("body",) if "body" in line else (), f"`body` must be an object, not {article(body)}", name=False)
        return None
    path = url.removesuffix("/") if isinstance(url, str) else ""
    if path not in (CHAT, RESPONSES):
        hint = f"{CHAT} and {RESPONSES} can be"
        losses.refuse(("url",), f"requests to {article(url)} cannot be converted", hint, name=False)
        return None
    request = OpenAiRequest(path, body, target, losses)
    made: dict[str, Any] = {"custom_id": key, "params": request.convert()}
    if request.metadata is not None:
        made["metadata"] = request.metadata
    return None if losses.refused else made
