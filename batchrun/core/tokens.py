"""How many tokens a request weighs: a fast estimate for limits and forecasts, and a bound for money.

Nothing here counts tokens; the tokenizer is not public. The estimate goes by length and the published number of
characters in a token: English prose comes near, code, tables and other languages may be off by half, pictures and
documents by a factor of two. Whoever needs more corrects it by what answers report. The bound never relies on it: a
byte-level tokenizer makes at most one token of each byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

BYTES_PER_TOKEN = 2.6
BYTES_PER_TOKEN_BEFORE_4_7 = 3.4
"""A million tokens hold about 2.5 million characters, of the former tokenizer a third more (models overview, 2026-10);
JSON adds its escapes."""
FORMER_TOKENIZER = (
    "claude-3",
    "claude-haiku-4",
    "claude-sonnet-4",
    "claude-opus-4-0",
    "claude-opus-4-1",
    "claude-opus-4-2",
    "claude-opus-4-5",
    "claude-opus-4-6",
)
"""How the ids begin that count by the former tokenizer ("claude-opus-4-2" begins the dated id of Opus 4)."""

ENVELOPE = 60
"""Bytes of a request that are only JSON around its text."""

IMAGE = 4_784
IMAGE_BEFORE_4_7 = 1_568
"""Tokens of the largest picture after the API has scaled it down (vision page, 2026-09)."""
IMAGE_BYTES_PER_TOKEN = 260
"""Base64 bytes per token of a photograph: a token is a square of 28 pixels, and a JPEG takes about a quarter byte a
pixel."""
DOCUMENT_BYTES_PER_TOKEN = 25
"""Base64 bytes per token of a PDF: some 75 KB and 3,000 tokens a page. A guess."""
REFERENCED = 5_000
"""Tokens assumed for a document that the request only names."""

TOOL_PROMPT = 1_500
"""Tokens at most that the API adds once for tools or a schema, and again for each of its own client tools (pricing
page, 2026-09: 290 to 804, and 245 to 735 each)."""

_CLIENT_TOOLS = ("bash_", "computer_2", "memory_", "text_editor_")
_ODD = frozenset({"container", "context_management", "fallbacks", "mcp_servers"})
_BOUND_BLOCKS = frozenset({"text", "tool_use", "thinking", "redacted_thinking", "search_result", "tool_reference"})

_DEEPEST = 4
"""Blocks within blocks that are looked into; the API allows fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """What a request weighs before it is sent."""

    input: int  #: estimated input tokens, at least 1
    most: int | None  #: input tokens at most; None where nothing bounds them
    unbounded: str = ""  #: why not, in words
    cached: bool = False  #: it writes to the cache
    cache_1h: bool = False  #: for an hour


class _Tally:
    """What a walk through the content found."""

    __slots__ = ("cache_1h", "cached", "extra", "largest", "likely", "media", "unbounded")

    def __init__(self, largest: int) -> None:
        self.largest = largest  # tokens of one picture at most
        self.media = 0  # bytes of size that are pictures or documents
        self.likely = 0  # tokens those are likely to cost
        self.extra = 0  # tokens at most beside the bytes that are text
        self.unbounded = ""
        self.cached = False
        self.cache_1h = False

    def blocks(self, content: object, depth: int = 0) -> None:
        if not isinstance(content, list):
            return
        for block in content:
            if isinstance(block, dict):
                self.block(block, depth)

    def block(self, block: Mapping[str, Any], depth: int) -> None:
        if "cache_control" in block:
            self.cache(block["cache_control"])
        kind = str(block.get("type"))
        if kind in _BOUND_BLOCKS:
            return
        if kind == "tool_result" and depth < _DEEPEST:
            self.blocks(block.get("content"), depth + 1)
        elif kind == "image":
            self.image(block.get("source"))
        elif kind == "document" and depth < _DEEPEST:
            self.document(block.get("source"), depth)
        else:
            self.unbounded = f"a content block of type `{kind}` has no known size"

    def cache(self, control: object) -> None:
        if isinstance(control, dict):
            self.cached = True
            self.cache_1h = self.cache_1h or control.get("ttl", "5m") != "5m"

    def image(self, source: object) -> None:
        data = source.get("data") if isinstance(source, dict) else None
        length = len(data) if isinstance(data, str) else 0
        self.media += length
        self.likely += min(self.largest, max(100, length // IMAGE_BYTES_PER_TOKEN)) if length else self.largest // 2
        self.extra += self.largest

    def document(self, source: object, depth: int) -> None:
        kind = source.get("type") if isinstance(source, dict) else None
        if isinstance(source, dict) and kind == "text":
            return
        if isinstance(source, dict) and kind == "content":
            self.blocks(source.get("content"), depth + 1)
            return
        data = source.get("data") if isinstance(source, dict) else None
        if isinstance(data, str):
            self.media += len(data)
            self.likely += max(500, len(data) // DOCUMENT_BYTES_PER_TOKEN)
        else:
            self.likely += REFERENCED
        self.unbounded = "the pages of a document have no known number of tokens"

    def tools(self, tools: object) -> None:
        if not isinstance(tools, list) or not tools:
            return
        self.extra += TOOL_PROMPT
        self.likely += TOOL_PROMPT // 4
        for tool in tools:
            if not isinstance(tool, dict):
                continue
            if "cache_control" in tool:
                self.cache(tool["cache_control"])
            kind = tool.get("type") or "custom"
            if kind == "custom":
                continue
            self.extra += TOOL_PROMPT
            self.likely += TOOL_PROMPT // 4
            if not str(kind).startswith(_CLIENT_TOOLS):
                self.unbounded = f"the tool `{kind}` may add any number of tokens"

    def odd(self, request: Mapping[str, Any]) -> None:
        if request.get("mcp_servers"):
            self.unbounded = "the tools of an MCP server may add any number of tokens"
        if request.get("container"):
            self.unbounded = "a container may add any number of tokens"
        if request.get("fallbacks"):
            self.unbounded = "a fallback model may answer at its own price"
        management = request.get("context_management")
        if isinstance(management, dict) and "compact" in str(management.get("edits")):
            self.unbounded = "compaction writes a summary beyond `max_tokens`"


@lru_cache(maxsize=64)
def _former(model: str) -> bool:
    """Whether *model* counts by the former tokenizer."""
    return model.startswith(FORMER_TOKENIZER)


def weigh(request: Mapping[str, Any], size: int) -> Weight:
    """What *request* weighs, whose compact UTF-8 JSON has *size* bytes. A malformed request weighs by its size."""
    former = _former(str(request.get("model")))
    tally = _Tally(IMAGE_BEFORE_4_7 if former else IMAGE)
    messages = request.get("messages")
    if isinstance(messages, list):
        for message in messages:
            if isinstance(message, dict) and not isinstance(content := message.get("content"), str):
                tally.blocks(content)
    if "system" in request and not isinstance(request["system"], str):
        tally.blocks(request["system"])
    if "tools" in request:
        tally.tools(request["tools"])
    if "output_config" in request:
        tally.extra += TOOL_PROMPT
    if "cache_control" in request:
        tally.cache(request["cache_control"])
    if not _ODD.isdisjoint(request):
        tally.odd(request)
    text = size - tally.media
    each = BYTES_PER_TOKEN_BEFORE_4_7 if former else BYTES_PER_TOKEN
    return Weight(
        input=max(1, round((text - ENVELOPE) / each) + tally.likely),
        most=None if tally.unbounded else text + tally.extra,
        unbounded=tally.unbounded,
        cached=tally.cached,
        cache_1h=tally.cache_1h,
    )
