"""What the API refuses in a request's parameters, in the order and nearly the words in which it does.

The rules are those that api pages and observed answers of 2026 agree on; what a model takes is data in `models`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from batchrun.simulator import blocks, schema
from batchrun.simulator.failures import Failure, invalid, not_found
from batchrun.simulator.models import Model, find

SAMPLING = ("temperature", "top_p", "top_k")
WITHOUT_SAMPLING = "2026-10-21"
"""From this version of the API on, no model takes sampling parameters."""

COUNTED = frozenset(
    {"cache_control", "messages", "model", "output_config", "system", "thinking", "tool_choice", "tools"}
)
"""What count_tokens takes; a whole request takes these and the following."""
WHOLE = COUNTED | {
    "container",
    "diagnostics",
    "inference_geo",
    "max_tokens",
    "metadata",
    "service_tier",
    "speed",
    "stop_sequences",
    "stream",
    *SAMPLING,
}
BETA = frozenset({"context_management", "mcp_servers", "fallbacks"})
"""Taken where an `anthropic-beta` header comes along, and not looked into."""

Checked = Model | Failure


def check(
    params: Any, *, models: Mapping[str, Model], version: str, beta: bool = False, counting: bool = False
) -> Checked:
    """The model that a request's parameters name, or why the API refuses them."""
    if not isinstance(params, dict):
        return invalid("Input should be a valid dictionary")
    known = (COUNTED if counting else WHOLE) | (BETA if beta else frozenset())
    required = ("model", "messages") if counting else ("model", "messages", "max_tokens")
    for name in required:
        if name not in params:
            return invalid(f"{name}: Field required")
    for name in params:
        if name not in known:
            return invalid(f"{name}: Extra inputs are not permitted")
    for name, value in params.items():
        if (value is not None or name in required) and (wrong := _shape(name, value)) is not None:
            return invalid(f"{name}: {wrong}")
    model = find(models, params["model"])
    if model is None:
        return not_found(f"model: {params['model']}")
    complaint = next(_complaints(params, model, version), None)
    return model if complaint is None else invalid(complaint)


def too_long(params: Mapping[str, Any], model: Model, tokens: int) -> Failure | None:
    """The refusal of a request of *tokens* input tokens that does not fit into the model's context window."""
    if tokens > model.context:
        return invalid(f"prompt is too long: {tokens} tokens > {model.context} maximum")
    most = params.get("max_tokens", 0)
    if tokens + most > model.context:
        return invalid(
            f"input length and `max_tokens` exceed context limit: {tokens} + {most} > {model.context}, "
            "decrease input length or `max_tokens` and try again"
        )
    return None


def _shape(name: str, value: Any) -> str | None:
    wanted, words = _SHAPES.get(name, (object, ""))
    # JSON's true is no integer, though Python's is.
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool and wanted is not object):
        return f"Input should be {words}"
    return None


_DICT = (dict, "a valid dictionary")
_TEXT = (str, "a valid string")
_LIST = (list, "a valid list")
_NUMBER = ((int, float), "a valid number")
_SHAPES: Mapping[str, tuple[Any, str]] = {
    "cache_control": _DICT,
    "inference_geo": _TEXT,
    "max_tokens": (int, "a valid integer"),
    "messages": _LIST,
    "metadata": _DICT,
    "model": _TEXT,
    "output_config": _DICT,
    "service_tier": _TEXT,
    "speed": _TEXT,
    "stop_sequences": _LIST,
    "stream": (bool, "a valid boolean"),
    "system": ((str, list), "a valid string or list"),
    "temperature": _NUMBER,
    "thinking": _DICT,
    "tool_choice": _DICT,
    "tools": _LIST,
    "top_k": (int, "a valid integer"),
    "top_p": _NUMBER,
}


def _complaints(params: Mapping[str, Any], model: Model, version: str) -> Iterator[str]:
    yield from _size(params, model)
    yield from _sampling(params, model, version)
    yield from _choices(params)
    yield from blocks.complaints(params, prefill=model.prefill, strict=version >= WITHOUT_SAMPLING)
    yield from _thinking(params, model)
    yield from _output(params, model)
    yield from _tools(params, model)


def _size(params: Mapping[str, Any], model: Model) -> Iterator[str]:
    most = params.get("max_tokens", 0)
    if most < 0:
        yield "max_tokens: Input should be greater than or equal to 0"
    if most > model.max_output:
        yield (
            f"max_tokens: {most} > {model.max_output}, which is the maximum allowed number of output tokens "
            f"for {model.id}"
        )


def _sampling(params: Mapping[str, Any], model: Model, version: str) -> Iterator[str]:
    for name in SAMPLING:
        if params.get(name) is None:
            continue
        if version >= WITHOUT_SAMPLING:
            yield f"{name}: Extra inputs are not permitted"
        if not model.sampling and params[name] != (1 if name != "top_k" else None):
            yield f"`{name}` is not supported by {model.id}"
        if name != "top_k" and not 0 <= params[name] <= 1:
            yield f"{name}: Input should be less than or equal to 1 and greater than or equal to 0"


def _choices(params: Mapping[str, Any]) -> Iterator[str]:
    for name, allowed in (("service_tier", ("auto", "standard_only")), ("speed", ("standard", "fast"))):
        value = params.get(name)
        if value is not None and value not in allowed:
            yield f"{name}: Input should be {' or '.join(repr(each) for each in allowed)}"
    for index, stop in enumerate(params.get("stop_sequences") or ()):
        if not isinstance(stop, str):
            yield f"stop_sequences.{index}: Input should be a valid string"
        elif not stop.strip():
            yield "stop_sequences: each stop sequence must contain non-whitespace"
    for name in params.get("metadata") or {}:
        if name != "user_id":
            yield f"metadata.{name}: Extra inputs are not permitted"


def _thinking(params: Mapping[str, Any], model: Model) -> Iterator[str]:
    thinking = params.get("thinking")
    if thinking is None:
        return
    kind = thinking.get("type")
    if kind not in {"adaptive", "enabled", "disabled", "between_tools"}:
        yield (
            "thinking: Input tag should be one of the expected tags: 'adaptive', 'between_tools', 'disabled', 'enabled'"
        )
    elif kind not in model.thinking:
        yield f"thinking.type: '{kind}' is not supported by {model.id}"
    if kind == "disabled" and (params.get("output_config") or {}).get("effort") in model.efforts_that_think:
        yield "thinking.type: 'disabled' cannot be used with this effort"
    if kind == "enabled":
        budget = thinking.get("budget_tokens")
        if not isinstance(budget, int):
            yield "thinking.enabled.budget_tokens: Field required"
        elif budget < 1024:
            yield "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
        elif "max_tokens" in params and budget >= params["max_tokens"]:
            yield "`max_tokens` must be greater than `thinking.budget_tokens`"


def _output(params: Mapping[str, Any], model: Model) -> Iterator[str]:
    config = params.get("output_config") or {}
    for name in config:
        if name not in {"effort", "format"}:
            yield f"output_config.{name}: Extra inputs are not permitted"
    effort = config.get("effort")
    if effort is not None and not model.efforts:
        yield f"output_config.effort: not supported by {model.id}"
    elif effort is not None and effort not in model.efforts:
        yield f"output_config.effort: Input should be one of {', '.join(repr(each) for each in model.efforts)}"
    wish = config.get("format")
    if wish is None:
        return
    if not isinstance(wish, dict) or wish.get("type") != "json_schema":
        yield "output_config.format.type: Input should be 'json_schema'"
    elif "schema" not in wish:
        yield "output_config.format.schema: Field required"
    elif (objection := schema.objection(wish["schema"])) is not None:
        yield f"output_config.format.schema: {objection}"


def _tools(params: Mapping[str, Any], model: Model) -> Iterator[str]:
    tools = params.get("tools") or []
    names = set()
    for index, tool in enumerate(tools):
        if not isinstance(tool, dict):
            yield f"tools.{index}: Input should be a valid dictionary"
            continue
        if "name" not in tool:
            yield f"tools.{index}.name: Field required"
            continue
        if tool["name"] in names:
            yield "tools: Tool names must be unique."
        names.add(tool["name"])
        if tool.get("type") in {None, "custom"} and not isinstance(tool.get("input_schema"), dict):
            yield f"tools.{index}.custom.input_schema: Field required"
    choice = params.get("tool_choice")
    if choice is not None:
        yield from _tool_choice(choice, names, params, model)


def _tool_choice(choice: Mapping[str, Any], names: set[str], params: Mapping[str, Any], model: Model) -> Iterator[str]:
    kind = choice.get("type")
    if kind not in {"auto", "any", "tool", "none"}:
        yield "tool_choice: Input tag should be one of the expected tags: 'any', 'auto', 'none', 'tool'"
    if not names:
        yield "tool_choice: may only be specified while providing tools"
    if kind == "tool" and choice.get("name") not in names:
        yield f"tool_choice: Tool '{choice.get('name')}' not found in provided tools"
    if kind in {"any", "tool"}:
        if not model.forced_tools:
            yield f"tool_choice: '{kind}' is not supported by {model.id}"
        if (params.get("thinking") or {}).get("type") in {"enabled", "adaptive"}:
            yield "Thinking may not be enabled when tool_choice forces tool use."
