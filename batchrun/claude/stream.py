"""A streamed message put together again: nothing the events carried is lost, known to this program or not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jiter

REPLACING = frozenset({"signature_delta", "compaction_delta"})
"""Deltas that carry whole values (anthropic 2.11.0); in all others texts and lists grow."""

UNKNOWN_EVENTS = "unknown_events"
"""Where a message keeps events of a type that this program does not know, as they came."""


async def events(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[str, str]]:
    """Name and data of each server-sent event. The last one counts even without the blank line after it.

    Only a line feed ends a line, with or without a carriage return before it: the data is JSON, where neither stands
    bare. Raises UnicodeDecodeError for what is not UTF-8.
    """
    rest = b""
    name, data = "", list[str]()
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for raw in lines:
            line = raw.rstrip(b"\r").decode()
            if line:
                name = _field(line, name, data)
            elif data or name:
                yield name, "\n".join(data)
                name, data = "", []
    if rest:
        name = _field(rest.rstrip(b"\r").decode(), name, data)
    if data:
        yield name, "\n".join(data)


def _field(line: str, name: str, data: list[str]) -> str:
    """Take in one line of an event: its data is added to *data*; returns the event's name."""
    key, _, value = line.partition(":")
    value = value.removeprefix(" ")
    if key == "data":
        data.append(value)
    return value if key == "event" else name


@dataclass(slots=True)
class _Block:
    """A content block while it grows; `growing` holds the pieces of its texts."""

    value: dict[str, Any]
    growing: dict[str, list[str]] = field(default_factory=dict)
    json: list[str] = field(default_factory=list)

    def take(self, delta: Mapping[str, Any]) -> None:
        kind = delta.get("type")
        for key, new in delta.items():
            if key == "type":
                continue
            if kind == "input_json_delta" and key == "partial_json":
                self.json.append(str(new))
            elif kind == "citations_delta" and key == "citation":
                self.value["citations"] = [*_list(self.value.get("citations")), new]
            elif kind not in REPLACING and isinstance(new, str) and isinstance(self.value.get(key, ""), str):
                self.growing.setdefault(key, [self.value.get(key, "")]).append(new)
            elif kind not in REPLACING and isinstance(new, list) and isinstance(self.value.get(key), list):
                self.value[key] = [*self.value[key], *new]
            elif new is not None:
                self.value[key] = new

    def whole(self) -> dict[str, Any]:
        value = self.value | {key: "".join(pieces) for key, pieces in self.growing.items()}
        text = "".join(self.json)
        return value | _tool_input(text) if text else value


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _tool_input(text: str) -> dict[str, Any]:
    """The input of a tool call from its pieces. One that was cut off at `max_tokens` keeps what there is of it.

    What cannot be read at all stands as it came, under `partial_json`.
    """
    try:
        return {"input": json.loads(text)}
    except (ValueError, RecursionError):
        pass
    try:
        return {"input": jiter.from_json(text.encode(), partial_mode="trailing-strings"), "partial_json": text}
    except ValueError:
        return {"partial_json": text}


class Assembly:
    """Takes the events of one stream in their order. `done` once `message_stop` came."""

    def __init__(self) -> None:
        self.done = False
        self._message: dict[str, Any] | None = None
        self._blocks: dict[int, _Block] = {}
        self._unknown: list[Any] = []

    @property
    def begun(self) -> bool:
        return self._message is not None

    def take(self, event: Mapping[str, Any]) -> None:
        """Take in one event, not an error; pings say nothing."""
        match event:
            case {"type": "ping"}:
                pass
            case {"type": "message_start", "message": dict(message)}:
                self._message = dict(message)
            case {"type": "content_block_start", "index": int(index), "content_block": dict(block)}:
                self._blocks[index] = _Block(dict(block))
            case {"type": "content_block_delta", "index": int(index), "delta": dict(delta)} if index in self._blocks:
                self._blocks[index].take(delta)
            case {"type": "content_block_stop"}:
                pass
            case {"type": "message_delta", **fields} if self._message is not None:
                self._change(self._message, fields)
            case {"type": "message_stop"}:
                self.done = True
            case _:
                self._unknown.append(event)

    def message(self) -> dict[str, Any]:
        """The whole message. Raises ValueError if no message began."""
        if self._message is None:
            raise ValueError("the stream has no message_start")
        blocks = (self._blocks[index].whole() for index in sorted(self._blocks))
        content = [*_list(self._message.get("content")), *blocks]
        message = self._message | {"content": content}
        return message | {UNKNOWN_EVENTS: self._unknown} if self._unknown else message

    @staticmethod
    def _change(message: dict[str, Any], fields: Mapping[str, Any]) -> None:
        """`message_delta`: its counts are totals and replace those of the start; what it leaves out or null stays."""
        for key, new in fields.items():
            if key == "delta" and isinstance(new, dict):
                message.update({name: value for name, value in new.items() if value is not None or name not in message})
            elif key == "usage" and isinstance(new, dict):
                old = message.get("usage")
                kept = old if isinstance(old, dict) else {}
                message["usage"] = kept | {name: value for name, value in new.items() if value is not None}
            elif new is not None:
                message[key] = new
