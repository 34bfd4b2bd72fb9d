"""An answer as server-sent events (streaming page, 2026-09)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

PIECES = 16
"""How many deltas a block has at most."""


def frame(event: Mapping[str, Any]) -> bytes:
    """One event on the wire."""
    data = json.dumps(event, separators=(",", ":"), ensure_ascii=False)
    return f"event: {event['type']}\ndata: {data}\n\n".encode()


def events(message: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], float]]:
    """The events of a whole message, each with the share of its output that comes with it (all together 1)."""
    usage = message["usage"]
    opening = {**message, "content": [], "stop_reason": None, "stop_sequence": None, "stop_details": None}
    yield {"type": "message_start", "message": {**opening, "usage": {**usage, "output_tokens": 1}}}, 0.0
    yield {"type": "ping"}, 0.0
    content: Sequence[Mapping[str, Any]] = message["content"]
    for index, block in enumerate(content):
        yield {"type": "content_block_start", "index": index, "content_block": _empty(block)}, 0.0
        deltas = list(_deltas(block))
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}, 1 / len(deltas) / len(content)
        yield {"type": "content_block_stop", "index": index}, 0.0
    ending = {name: message[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    yield {"type": "message_delta", "delta": ending, "usage": usage}, 0.0 if content else 1.0
    yield {"type": "message_stop"}, 0.0


def _empty(block: Mapping[str, Any]) -> Mapping[str, Any]:
    if block["type"] == "text":
        return {"type": "text", "text": ""}
    if block["type"] == "thinking":
        return {"type": "thinking", "thinking": "", "signature": ""}
    return {**block, "input": {}}


def _deltas(block: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if block["type"] == "text":
        yield from ({"type": "text_delta", "text": part} for part in _parts(block["text"]))
    elif block["type"] == "thinking":
        yield from ({"type": "thinking_delta", "thinking": part} for part in _parts(block["thinking"]))
        yield {"type": "signature_delta", "signature": block["signature"]}
    else:
        whole = json.dumps(block["input"], ensure_ascii=False)
        yield from ({"type": "input_json_delta", "partial_json": part} for part in _parts(whole))


def _parts(text: str) -> Iterator[str]:
    size = max(1, -(-len(text) // PIECES))
    yield from (text[start : start + size] for start in range(0, max(1, len(text)), size))
