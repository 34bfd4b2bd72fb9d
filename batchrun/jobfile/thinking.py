"""Thinking: what a model takes, and what else of a request it goes with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from batchrun.core.models import Model
from batchrun.core.problem import Severity
from batchrun.jobfile.codes import Code
from batchrun.jobfile.faults import Fault, article
from batchrun.jobfile.output import effort_of
from batchrun.jobfile.rules import Rules
from batchrun.jobfile.tools import FORCED

LEAST_BUDGET = 1_024
"""Tokens (extended thinking page, 2026-09)."""

ROOM = 64
"""Tokens of `max_tokens` below which a model that thinks can hardly come to its answer. A guess on the low side: how
much it thinks is its own choice."""

TYPES = frozenset({"adaptive", "between_tools", "disabled", "enabled"})
_OFF = frozenset({"disabled", "between_tools"})


def check_thinking(value: Any, model: Model | None, _rules: Rules) -> Iterator[Fault]:
    kind = kind_of(value)
    if not isinstance(value, dict):
        said = f"`thinking` must be an object, not {article(value)}"
        yield Fault(code=Code.THINKING, path=("thinking",), message=said, hint='for example `{"type": "adaptive"}`')
    elif model is not None and model.thinking is not None and kind in TYPES and kind not in model.thinking:
        takes = " or ".join(f"`{each}`" for each in sorted(model.thinking)) or "none"
        yield Fault(
            code=Code.THINKING,
            path=("thinking", "type"),
            message=f"`{model.id}` refuses thinking of type `{kind}`",
            hint=f"it takes {takes}" + ("; how much it thinks is its `effort`" if kind == "enabled" else ""),
        )
    elif kind == "enabled":
        yield from _budget(value)


def _budget(thinking: Mapping[str, Any]) -> Iterator[Fault]:
    budget = thinking.get("budget_tokens")
    if type(budget) is not int or budget < LEAST_BUDGET:
        said = f", not {article(budget)}" if "budget_tokens" in thinking else ""
        yield Fault(
            code=Code.THINKING_BUDGET,
            path=("thinking", "budget_tokens") if "budget_tokens" in thinking else ("thinking",),
            message=f"`budget_tokens` must be a whole number from {LEAST_BUDGET:,}{said}",
        )


def faults_of_thinking(request: Mapping[str, Any], model: Model | None, rules: Rules) -> Iterator[Fault]:
    """What is wrong with thinking beside the rest of *request*."""
    thinking = request.get("thinking")
    kind, most = kind_of(thinking), request.get("max_tokens")
    if type(most) is not int or most < 1:
        most = None
    takes = model is None or model.thinking is None or kind in model.thinking
    if kind == "enabled" and takes and isinstance(thinking, dict) and most is not None and not rules.betas:
        budget = thinking.get("budget_tokens")
        if type(budget) is int and budget >= LEAST_BUDGET and most <= budget:  # with a beta, the budget may be larger
            yield Fault(
                code=Code.THINKING_BUDGET,
                path=("thinking", "budget_tokens"),
                message=f"`budget_tokens` {budget:,} leaves nothing of `max_tokens` {most:,} for the answer",
                hint="thoughts count towards `max_tokens`: write a larger one",
            )
    if kind in {"enabled", "adaptive"} and takes and kind_of(request.get("tool_choice")) in FORCED:
        yield Fault(
            code=Code.THINKING_AND_TOOL,
            path=("thinking", "type"),
            message=f"thinking of type `{kind}` does not go with a `tool_choice` that forces a tool",
            hint="turn thinking off, or write `auto` and say in the prompt when to use the tool",
            severity=Severity.ERROR if kind == "enabled" else Severity.WARNING,
        )
    if model is not None:
        yield from _with_effort(kind, effort_of(request), model)
        if most is not None and most < ROOM and _thinks(kind, model):
            yield _no_room(most, model)


def _with_effort(kind: str, effort: str | None, model: Model) -> Iterator[Fault]:
    if kind in _OFF and effort in model.thinks_at and (model.thinking is None or kind in model.thinking):
        yield Fault(
            code=Code.THINKING_EFFORT,
            path=("thinking", "type"),
            message=f"`{model.id}` refuses thinking of type `{kind}` at effort `{effort}`",
            hint="write a lower effort, or leave thinking on",
        )


def _thinks(kind: str, model: Model) -> bool:
    return kind == "adaptive" or (model.thinks and kind not in _OFF)


def _no_room(most: int, model: Model) -> Fault:
    off = next((kind for kind in ("disabled", "between_tools") if model.thinking and kind in model.thinking), "")
    turned = f', or turn thinking off in a job file: `"thinking": {{"type": "{off}"}}`' if off else ""
    return Fault(
        code=Code.THINKING_ROOM,
        path=("max_tokens",),
        message=f"`{model.id}` thinks before it answers, and its thoughts count towards `max_tokens` {most}",
        hint=f"the answer may be cut off, or empty: write a larger `max_tokens`{turned}",
    )


def kind_of(value: Any) -> str:
    """The `type` of an object, "" where it has none."""
    kind = value.get("type") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else ""
