"""Requests put together from their parts, to the letter: numbers keep their digits, texts their escapes."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping

_DECODER = json.JSONDecoder()
_BLANK = " \t\n\r"

Pieces = Mapping[str, str]
"""The members of a JSON object: each name with the text of its value."""


def pieces_of(text: str) -> dict[str, str]:
    """The members of the JSON object *text*, cut out of it and not rewritten.

    Raises ValueError if it is none.
    """
    pieces: dict[str, str] = {}
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise ValueError("not a JSON object")
    at = _skip(text, at + 1)
    if text[at : at + 1] == "}":
        return pieces
    while True:
        name, at = _DECODER.raw_decode(text, at)
        at = _skip(text, at)
        if not isinstance(name, str) or text[at : at + 1] != ":":
            raise ValueError("not a JSON object")
        start = _skip(text, at + 1)
        _value, end = _DECODER.raw_decode(text, start)
        pieces[name] = text[start:end]
        at = _skip(text, end)
        if text[at : at + 1] == "}":
            return pieces
        if text[at : at + 1] != ",":
            raise ValueError("not a JSON object")
        at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] and text[at] in _BLANK:
        at += 1
    return at


def object_of(members: Pieces) -> str:
    """The JSON object of *members*."""
    return "{" + ",".join(f"{json.dumps(name, ensure_ascii=False)}:{text}" for name, text in members.items()) + "}"


def said_by(message: str) -> tuple[str, str | None]:
    """What the API's *message* says as a message to send back, to the letter, and the id of its container, as JSON."""
    members = pieces_of(message)
    container = pieces_of(members["container"]) if members.get("container", "null") != "null" else {}
    return object_of({"role": '"assistant"', "content": members["content"]}), container.get("id")


def whole(
    own: str, shared: Pieces | None, order: str | None, overrides: str | None, continued: str | None = None
) -> str:
    """The request as it is sent: *own* over *shared*, its members in *order* (a JSON list), *overrides* over all.

    What the model said before it paused, *continued* (a JSON list), stands behind its messages.
    """
    if shared is None and overrides is None and continued is None:
        return own
    merged = {**(shared or {}), **pieces_of(own)}
    if order is not None:
        names = json.loads(order)
        merged = {**{name: merged[name] for name in names if name in merged}, **merged}
    if overrides is not None:
        merged.update(pieces_of(overrides))
    if continued is not None:
        merged["messages"] = f"{merged['messages'].rstrip(_BLANK)[:-1]},{continued[1:]}"
    return object_of(merged)


class SharedParts:
    """Shared parts that were read already, by id; an id never comes to mean another part."""

    def __init__(self, room: int = 16_000_000) -> None:
        self._room = room  # characters
        self._parts: OrderedDict[int, tuple[Pieces, int]] = OrderedDict()

    def get(self, part: int) -> Pieces | None:
        found = self._parts.get(part)
        if found is None:
            return None
        self._parts.move_to_end(part)
        return found[0]

    def put(self, part: int, body: str) -> Pieces:
        pieces = pieces_of(body)
        self._parts[part] = (pieces, len(body))
        self._room -= len(body)
        while self._room < 0 and len(self._parts) > 1:
            _id, (_pieces, size) = self._parts.popitem(last=False)
            self._room += size
        return pieces
