"""A message as the API sends it: the text is kept, and only what money and policy need is read."""

from __future__ import annotations

import json
from collections.abc import Mapping

from batchrun.core.outcome import Answer, Usage

ABSURD = 10**15
"""No count of tokens is as large; what is would not fit into a database."""


def answer_of(body: str, message: Mapping[str, object]) -> Answer:
    """The answer whose JSON text is *body* and whose value is *message*; what is missing or odd reads as nothing."""
    usage = message.get("usage")
    return Answer(
        body=body,
        stop_reason=_text(message.get("stop_reason")) or "",
        usage=usage_of(usage) if isinstance(usage, Mapping) else Usage(),
        model=_text(message.get("model")) or "",
    )


def is_message(value: object) -> bool:
    """Whether a JSON value is a message of the API."""
    return isinstance(value, dict) and value.get("type") == "message" and isinstance(value.get("content"), list)


def usage_of(usage: Mapping[str, object]) -> Usage:
    """The tokens of `usage`. Cache writes that are not broken down by their life count as five-minute ones."""
    written = _count(usage.get("cache_creation_input_tokens"))
    creation = usage.get("cache_creation")
    hour = _count(creation.get("ephemeral_1h_input_tokens")) if isinstance(creation, Mapping) else 0
    minutes = _count(creation.get("ephemeral_5m_input_tokens")) if isinstance(creation, Mapping) else 0
    details = usage.get("output_tokens_details")
    tools = usage.get("server_tool_use")
    return Usage(
        input=_count(usage.get("input_tokens")),
        output=_count(usage.get("output_tokens")),
        thinking=_count(details.get("thinking_tokens")) if isinstance(details, Mapping) else 0,
        cache_read=_count(usage.get("cache_read_input_tokens")),
        cache_write_5m=max(minutes, written - hour),
        cache_write_1h=hour,
        web_searches=_count(tools.get("web_search_requests")) if isinstance(tools, Mapping) else 0,
        speed=_text(usage.get("speed")),
        geo=_text(usage.get("inference_geo")),
    )


def dumped(value: Mapping[str, object]) -> str:
    """Compact JSON. Halves of a character that stand apart stay escaped: no database takes them bare."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"))
    return text


def _count(value: object) -> int:
    return value if isinstance(value, int) and 0 < value < ABSURD else 0


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value.isprintable() else None
