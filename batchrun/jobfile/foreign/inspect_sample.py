"""A sample of an Inspect dataset: `input`, `target`, `choices`, `id` and `metadata` (inspect_ai's `Sample`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchrun.jobfile.excerpt import shown
from batchrun.jobfile.faults import article
from batchrun.jobfile.foreign.loss import Losses, Target
from batchrun.jobfile.foreign.openai_turns import Turns

_KNOWN = frozenset({"choices", "id", "input", "metadata", "target"})
_REFUSED = frozenset({"files", "sandbox", "setup"})


def is_inspect(value: Mapping[str, Any]) -> bool:
    return "input" in value and ("target" in value or "choices" in value) and not value.keys() & {"params", "prompt"}


def converted(sample: Mapping[str, Any], target: Target, losses: Losses) -> dict[str, Any] | None:
    """The sample as a short line, with its target and its own metadata handed back; None if it cannot be had."""
    made: dict[str, Any] = {}
    if sample.get("id") is not None:
        made["id"] = str(sample["id"])
    made |= _terms(target, losses) | _said(sample, losses)
    kept = dict(sample["metadata"]) if isinstance(sample.get("metadata"), dict) else {}
    kept |= {name: sample[name] for name in ("target", "choices") if sample.get(name) is not None}
    if kept:
        made["metadata"] = kept
    for name, value in sample.items():
        if name in _REFUSED and value:
            losses.refuse((name,), f"`{name}` of a sample needs Inspect itself")
        elif name not in _KNOWN and name not in _REFUSED:
            losses.lost((name,), f"`{shown(name)}` of this sample is left out", "what stands in `metadata` is kept")
    return None if losses.refused else made


def _terms(target: Target, losses: Losses) -> dict[str, Any]:
    model = target.models.get("")
    if model is None:
        losses.refuse((), "a sample names no model", "say which: --model claude-haiku-5-5", name=False)
    if target.max_tokens is None:
        losses.refuse((), "a sample names no bound for its answer", "say which: --max-tokens 1024", name=False)
    return {"model": model, "max_tokens": target.max_tokens}


def _said(sample: Mapping[str, Any], losses: Losses) -> dict[str, Any]:
    """What the model is told."""
    given, choices = sample.get("input"), sample.get("choices")
    listed = _listed(choices) if isinstance(choices, list) and choices else ""
    if isinstance(given, str) and given.strip():
        if listed:
            losses.changed(("choices",), "the choices are written under the input, as A), B), …")
        return {"prompt": given + listed}
    if not isinstance(given, list) or not given:
        path = ("input",) if "input" in sample else ()
        losses.refuse(path, f"`input` must be text or messages, not {article(given)}", name=False)
        return {}
    turns = Turns(losses)
    turns.chat(("input",), given)
    if listed:
        losses.lost(("choices",), "`choices` are not told to the model where `input` is a list of messages")
    return ({"system": "\n\n".join(turns.system)} if turns.system else {}) | {"messages": turns.messages}


def _listed(choices: list[Any]) -> str:
    return "\n" + "".join(f"\n{chr(ord('A') + index % 26)}) {each}" for index, each in enumerate(choices))
