"""Tokens of a request: near the truth for prose, never quite what an estimate by bytes says, and always the same."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

from batchrun.simulator.models import Model

MESSAGE = 4
TOOLS = 300
IMAGE = 1_500
PAGE = 2_000
PAGE_BYTES = 60_000
"""Rounded from the vision, PDF and tool-use pages (2026-09): a full image, a page of a PDF, the tools' own prompt."""


def count(params: Mapping[str, Any], model: Model) -> int:
    """The input tokens of a checked request, at least 1."""
    total = text(params.get("system"), model) + sum(message(each, model) for each in params["messages"])
    if tools := params.get("tools"):
        total += TOOLS + sum(tool(each, model) for each in tools)
    return max(1, total)


def message(value: Mapping[str, Any], model: Model) -> int:
    return MESSAGE + text(value["content"], model)


def tool(value: Mapping[str, Any], model: Model) -> int:
    bare = {name: each for name, each in value.items() if name != "cache_control"}
    return text(json.dumps(bare, ensure_ascii=False), model)


def text(value: Any, model: Model) -> int:
    """The tokens of a string, a content block or a list of blocks."""
    match value:
        case str():
            raw = value.encode(errors="replace")
            # Texts of one length differ by up to a tenth either way, as they do under a real tokenizer.
            return round(len(raw) * model.density * (0.9 + (zlib.crc32(raw) % 2001) / 10_000)) if raw else 0
        case list():
            return sum(text(each, model) for each in value)
        case {"type": "image"}:
            return IMAGE
        case {"type": "document", "source": {"type": "base64", "data": str(data)}}:
            return PAGE * (1 + len(data) // PAGE_BYTES)
        case dict():
            return sum(text(each, model) for key, each in value.items() if key not in {"type", "cache_control"})
        case _:
            return 0
