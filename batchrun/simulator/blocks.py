"""What the API refuses in messages and system prompts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MOST_MESSAGES = 100_000
MOST_BREAKPOINTS = 4
FIELDS = ("role", "content")
ROLES = ("user", "assistant", "system")
USER = frozenset({"text", "image", "document", "search_result", "tool_result", "container_upload", "tool_reference"})
ASSISTANT = frozenset({"text", "thinking", "redacted_thinking", "tool_use", "server_tool_use", "container_upload"})
"""Besides these, a block of the assistant may be any server tool's result."""
NEEDED = {
    "text": "text",
    "image": "source",
    "document": "source",
    "tool_use": "input",
    "tool_result": "tool_use_id",
    "thinking": "thinking",
}


def complaints(params: Mapping[str, Any], *, prefill: bool, strict: bool) -> Iterator[str]:
    """What is wrong, the first thing first. `strict`: with the rules of version 2026-10-21."""
    yield from _system(params.get("system"))
    messages = params["messages"]
    if not messages:
        yield "messages: at least one message is required"
        return
    if len(messages) > MOST_MESSAGES:
        yield f"messages: at most {MOST_MESSAGES} messages are allowed"
    for index, message in enumerate(messages):
        yield from _message(f"messages.{index}", message, strict)
    if messages[0].get("role") != "user":
        yield 'messages: first message must use the "user" role'
    yield from _tool_results(messages)
    yield from _breakpoints(params)
    if messages[-1]["role"] == "assistant" and not is_paused(messages[-1]):
        if not prefill:
            yield "This model does not support assistant message prefill; the last message must be the user's"
        if _last_text(messages[-1]["content"]).endswith((" ", "\n", "\t")):
            yield "messages: final assistant content cannot end with trailing whitespace"


def is_paused(message: Any) -> bool:
    """Whether *message* is what the model said before it paused: it ends with the use of a server's tool."""
    content = message.get("content") if isinstance(message, dict) and message.get("role") == "assistant" else None
    last = content[-1] if isinstance(content, list) and content else None
    return isinstance(last, dict) and last.get("type") == "server_tool_use"


def _system(system: Any) -> Iterator[str]:
    if isinstance(system, list):
        for index, block in enumerate(system):
            if not isinstance(block, dict) or block.get("type") != "text":
                yield f"system.{index}.type: Input should be 'text'"
            elif not isinstance(block.get("text"), str):
                yield f"system.{index}.text: Field required"
            elif not block["text"]:
                yield "system: text content blocks must be non-empty"


def _message(where: str, message: Any, strict: bool) -> Iterator[str]:
    if not isinstance(message, dict):
        yield f"{where}: Input should be a valid dictionary"
        return
    yield from (f"{where}.{name}: Field required" for name in ("role", "content") if name not in message)
    yield from (f"{where}.{name}: Extra inputs are not permitted" for name in message if name not in FIELDS)
    role, content = message["role"], message["content"]
    if role not in ROLES:
        yield f"{where}.role: Input should be 'user', 'assistant' or 'system'"
    elif isinstance(content, str):
        if not content:
            yield f"{where}: content must be non-empty"
        elif not content.strip():
            yield "messages: text content blocks must contain non-whitespace text"
    elif isinstance(content, list):
        if not content:
            yield f"{where}: content must be non-empty"
        for index, block in enumerate(content):
            yield from _block(f"{where}.content.{index}", block, role, strict)
    else:
        yield f"{where}.content: Input should be a valid string or list"


def _block(where: str, block: Any, role: str, strict: bool) -> Iterator[str]:
    if not isinstance(block, dict) or not isinstance(block.get("type"), str):
        yield f"{where}.type: Field required"
        return
    kind = block["type"]
    if kind not in USER | ASSISTANT and not kind.endswith("_tool_result"):
        yield f"{where}: Input tag '{kind}' found using 'type' does not match any of the expected tags"
    elif not _fits(kind, role, strict):
        yield f"{where}: `{kind}` blocks are not allowed in `{role}` messages"
    needed = NEEDED.get(kind)
    if needed is not None and needed not in block:
        yield f"{where}.{kind}.{needed}: Field required"
    elif kind == "text":
        if not isinstance(block["text"], str):
            yield f"{where}.text.text: Input should be a valid string"
        elif not block["text"]:
            yield "messages: text content blocks must be non-empty"
        elif not block["text"].strip():
            yield "messages: text content blocks must contain non-whitespace text"
        if strict and role == "user" and block.get("citations"):
            yield f"{where}.text.citations: Extra inputs are not permitted"


def _fits(kind: str, role: str, strict: bool) -> bool:
    match role:
        case "user":
            return kind in USER
        case "assistant":
            # Before 2026-10-21 a document could stand in a message of the assistant.
            return kind in ASSISTANT or kind.endswith("_tool_result") or (kind == "document" and not strict)
        case _:
            return kind == "text"


def _tool_results(messages: list[dict[str, Any]]) -> Iterator[str]:
    asked: set[str] = set()
    for index, message in enumerate(messages):
        given = {str(block.get("tool_use_id")) for block in _of(message, "tool_result")}
        for one in sorted(asked - given):
            yield f"messages.{index - 1}: `tool_use` ids without `tool_result` blocks immediately after: {one}"
        for one in sorted(given - asked):
            yield f"messages.{index}: unexpected `tool_use_id` found in `tool_result` blocks: {one}"
        asked = {str(block.get("id")) for block in _of(message, "tool_use")}


def _breakpoints(params: Mapping[str, Any]) -> Iterator[str]:
    holders: list[Any] = [params, *(params.get("tools") or ())]
    for content in (params.get("system"), *(message["content"] for message in params["messages"])):
        holders += content if isinstance(content, list) else ()
    marks = [each["cache_control"] for each in holders if isinstance(each, dict) and each.get("cache_control")]
    if len(marks) > MOST_BREAKPOINTS:
        yield f"A maximum of {MOST_BREAKPOINTS} blocks with cache_control may be provided. Found {len(marks)}."
    for mark in marks:
        if not isinstance(mark, dict) or mark.get("type") != "ephemeral":
            yield "cache_control.type: Input should be 'ephemeral'"
        elif mark.get("ttl", "5m") not in {"5m", "1h"}:
            yield "cache_control.ttl: Input should be '5m' or '1h'"


def _of(message: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    content = message["content"]
    return [block for block in content if block["type"] == kind] if isinstance(content, list) else []


def _last_text(content: Any) -> str:
    if isinstance(content, str):
        return content
    text = content[-1].get("text", "")
    return text if isinstance(text, str) else ""
