"""What the model said: the text, the calls of tools, and the JSON that was asked for, out of a message as received."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from batchrun.core.misfit import Unusable
from batchrun.core.outcome import FLAGS, Flag
from batchrun.core.schemas import schema_of

WORDS: Final = {
    Flag.TRUNCATED: "cut off at max_tokens",
    Flag.CONTEXT: "cut off at the end of the context window",
    Flag.REFUSED: "the model refused",
    Flag.PAUSED: "a server tool wants another turn",
}
"""What is wrong with an answer that did come."""


def parsed(body: str) -> dict[str, Any]:
    """The message. A body that is no JSON object stands as a message without content."""
    try:
        message = _LENIENT.decode(body)
    except (ValueError, RecursionError):
        message = None
    return message if isinstance(message, dict) else {}


def _nothing(_: str) -> None:
    """NaN and Infinity are no JSON; whoever put them into a message meant no number."""


_LENIENT = json.JSONDecoder(parse_constant=_nothing)


def _blocks(message: dict[str, Any] | None, kind: str) -> list[dict[str, Any]]:
    content = (message or {}).get("content")
    blocks = content if isinstance(content, list) else []
    return [block for block in blocks if isinstance(block, dict) and block.get("type") == kind]


def text_of(message: dict[str, Any] | None) -> str | None:
    """The text blocks one after the other; None where there are none."""
    texts = [text for block in _blocks(message, "text") if isinstance(text := block.get("text"), str)]
    return "".join(texts) if texts else None


def tool_calls_of(message: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The calls of tools: `id`, `name` and `input` of each."""
    return [{name: block.get(name) for name in ("id", "name", "input")} for block in _blocks(message, "tool_use")]


def json_of(message: dict[str, Any] | None, text: str | None) -> Any:
    """The answer as JSON: its text if that is an object or a list, else the input of its only tool call; else None."""
    if text is not None and text.lstrip()[:1] in {"{", "["}:
        try:
            return _STRICT.decode(text)
        except (ValueError, RecursionError):
            pass
    calls = _blocks(message, "tool_use")
    return calls[0].get("input") if len(calls) == 1 else None


def _no_json(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")  # and would make an export that nobody can read


_STRICT = json.JSONDecoder(parse_constant=_no_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class Structured:
    """The JSON of an answer of which a schema was asked. `fits` is None where the schema itself cannot be used."""

    value: Any = None
    fits: bool | None
    why: str | None = None  #: it does not fit, or cannot be checked


def structured(message: dict[str, Any], text: str | None, schema: str) -> Structured:
    """Whether an answer is what `output_config.format` asked for; *schema* is JSON text."""
    known = schema_of(schema)
    flag = FLAGS.get(str(message.get("stop_reason")))
    before = f"{WORDS[flag]}: " if flag is not None else ""
    if text is None:
        return Structured(fits=False, why=f"{before}it has no text")
    try:
        value = _STRICT.decode(text)
    except ValueError as error:
        return Structured(fits=False, why=f"{before}no JSON: {_where(error)}")
    except RecursionError:
        return Structured(fits=False, why=f"{before}no JSON that can be read: it is nested too deeply")
    if isinstance(known, str):
        return Structured(value=value, fits=None, why=f"the schema cannot be used: {known}")
    try:
        objection = known.objection(value)
    except Unusable as problem:
        return Structured(value=value, fits=None, why=f"the schema cannot be used: {problem}")
    if objection is not None:
        return Structured(value=value, fits=False, why=f"{before}{objection}")
    return Structured(value=value, fits=True)


def _where(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg[:1].lower()}{error.msg[1:]} at character {error.pos + 1:,}"
    return str(error)
