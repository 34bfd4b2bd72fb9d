"""Answers: the same for the same request, always, and each with the digest of what it answers."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from batchrun.simulator import blocks, schema
from batchrun.simulator.effects import Effect, Kind
from batchrun.simulator.models import Model
from batchrun.simulator.plan import Length

WORDS = (
    "the night was quiet and every lamp along the river kept its own small circle of light while "
    "boats passed under the bridge one after another carrying letters that somebody had written with care "
)
_FILLER = WORDS * 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the model says. `output` are its tokens with those of thinking."""

    content: tuple[Mapping[str, Any], ...]
    stop_reason: str
    output: int
    thinking: int = 0
    stop_sequence: str | None = None
    stop_details: Mapping[str, Any] | None = None


def digest(request: Mapping[str, Any]) -> str:
    """Sixteen characters that name what *request* asks: its messages and its system prompt, and nothing else.

    A test that has the body of a request finds these characters in its answer, and in no other. One that goes on from
    a pause asks what it asked before.
    """
    messages = request.get("messages")
    while isinstance(messages, list) and messages and blocks.is_paused(messages[-1]):
        messages = messages[:-1]
    asked = {"messages": messages, "system": request.get("system")}
    canonical = json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode(errors="surrogatepass")).hexdigest()[:16]


def compose(params: Mapping[str, Any], name: str, model: Model, length: Length, effects: Sequence[Effect]) -> Answer:
    """The answer to a checked request whose digest is *name*."""
    dice = random.Random(int(name, 16))  # noqa: S311  # simulation, not secrecy
    wanted = max(8, round(length.median * 2.718281828 ** dice.gauss(0.0, length.spread)))
    most: int = params["max_tokens"]
    if most == 0:
        return Answer(content=(), stop_reason="max_tokens", output=0)
    thinking = _thinks(params)
    thought = min(round(wanted * 0.5), most) if thinking else 0
    answer = _spoken(params, model, name, wanted, most - thought)
    if thinking:
        block = {"type": "thinking", "thinking": _prose(name, thought, model), "signature": name * 4}
        answer = replace(answer, content=(block, *answer.content), output=answer.output + thought, thinking=thought)
    for effect in effects:
        answer = _bend(answer, effect.kind)
    return answer


def _thinks(params: Mapping[str, Any]) -> bool:
    return (params.get("thinking") or {}).get("type") in {"adaptive", "enabled"}


def _spoken(params: Mapping[str, Any], model: Model, name: str, wanted: int, most: int) -> Answer:
    if most == 0:
        return Answer(content=(), stop_reason="max_tokens", output=0)
    if tool := _forced_tool(params):
        block = {
            "type": "tool_use",
            "id": f"toolu_{name}",
            "name": tool["name"],
            "input": schema.instance(tool["input_schema"], name),
        }
        return Answer(content=(block,), stop_reason="tool_use", output=min(wanted, most))
    wish = (params.get("output_config") or {}).get("format")
    if wish is not None:
        text = json.dumps(schema.instance(wish["schema"], name))
        wanted = max(1, round(len(text) * model.density))
        if wanted > most:
            text = text[: len(text) * most // wanted]
        return _text(text, wanted, most)
    text = f"[answer {name}] " + _prose(name, min(wanted, most) - 8, model)
    for stop in params.get("stop_sequences") or ():
        # The digest is never cut off: it is what tests look for.
        if (place := text.find(stop, 26)) >= 0:
            share = max(1, round(min(wanted, most) * place / len(text)))
            cut = _text(text[:place], share, most)
            return replace(cut, stop_reason="stop_sequence", stop_sequence=stop)
    return _text(text, wanted, most)


def _text(text: str, wanted: int, most: int) -> Answer:
    return Answer(
        content=({"type": "text", "text": text},),
        stop_reason="max_tokens" if wanted > most else "end_turn",
        output=min(wanted, most),
    )


def _prose(name: str, tokens: int, model: Model) -> str:
    size = max(0, round(tokens / model.density))
    start = WORDS.index(" ", int(name[:6], 16) % (len(WORDS) // 2)) + 1
    whole = _FILLER[start:] if start + size <= len(_FILLER) else _FILLER[start:] + _FILLER * (size // len(_FILLER) + 1)
    return whole[:size]


def _forced_tool(params: Mapping[str, Any]) -> Mapping[str, Any] | None:
    own: list[Mapping[str, Any]] = [tool for tool in params.get("tools") or () if "input_schema" in tool]
    match params.get("tool_choice"):
        case {"type": "any"} if own:
            return own[0]
        case {"type": "tool", "name": name}:
            return next((tool for tool in own if tool["name"] == name), None)
        case _:
            return None


def _bend(answer: Answer, kind: Kind) -> Answer:
    if kind is Kind.REFUSAL:
        details = {"type": "refusal", "category": "general_harms", "explanation": "simulated"}
        return replace(answer, content=(), stop_reason="refusal", output=1, thinking=0, stop_details=details)
    if kind is Kind.EMPTY:
        least = min(2, answer.output)
        return replace(answer, content=(), stop_reason="end_turn", stop_sequence=None, output=least, thinking=0)
    if kind is Kind.PAUSE:
        use = {"type": "server_tool_use", "id": "srvtoolu_01simulated", "name": "web_search", "input": {"query": "?"}}
        return replace(answer, content=(*answer.content, use), stop_reason="pause_turn", stop_sequence=None)
    return replace(answer, stop_reason=_STOPS.get(kind, answer.stop_reason))


_STOPS = {
    Kind.TRUNCATE: "max_tokens",
    Kind.CONTEXT: "model_context_window_exceeded",
}
