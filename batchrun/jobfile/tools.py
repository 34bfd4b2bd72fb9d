"""Tools and the choice among them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from batchrun.core.models import Model
from batchrun.jobfile.codes import Code
from batchrun.jobfile.excerpt import shown
from batchrun.jobfile.faults import Fault, Path, article, did_you_mean
from batchrun.jobfile.output_schema import faults_of_schema
from batchrun.jobfile.rules import Rules

NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
"""What a tool may be called (tool use page, 2026-09)."""

_EXAMPLE = 'for example `{"name": "weather", "description": "…", "input_schema": {"type": "object", "properties": {}}}`'


def check_tools(value: Any, _of: Model | None, _rules: Rules) -> Iterator[Fault]:
    if not isinstance(value, list):
        yield Fault(code=Code.TOOL, path=("tools",), message=f"`tools` must be a list, not {article(value)}")
        return
    known: set[str] = set()
    for index, tool in enumerate(value):
        here: Path = ("tools", index)
        if not isinstance(tool, dict):
            said = f"a tool must be an object, not {article(tool)}"
            yield Fault(code=Code.TOOL, path=here, message=said, hint=_EXAMPLE)
            continue
        if tool.get("type") in (None, "custom"):
            yield from _own(here, tool)
        name = tool.get("name")
        if isinstance(name, str):
            if name in known:
                yield Fault(
                    code=Code.TOOL_TWICE, path=(*here, "name"), message=f"there is a tool `{shown(name)}` before"
                )
            known.add(name)


def _own(here: Path, tool: Mapping[str, Any]) -> Iterator[Fault]:
    """What is wrong with a tool that is described here; those of the API itself are its own business."""
    name = tool.get("name")
    if "function" in tool:
        yield Fault(
            code=Code.TOOL,
            path=(*here, "function"),
            name=True,
            message="this is a tool as OpenAI's API takes it",
            hint="write `name`, `description` and `input_schema` (there: `parameters`) into the tool itself",
        )
        return
    if not isinstance(name, str) or not NAME.fullmatch(name):
        what = "is missing" if "name" not in tool else f"must be 1 to 128 letters, digits, _ or -, not {article(name)}"
        path = (*here, "name") if "name" in tool else here
        yield Fault(code=Code.TOOL, path=path, message=f"`name` of this tool {what}", hint=_EXAMPLE)
    schema = tool.get("input_schema")
    if not isinstance(schema, dict):
        said = f"must be an object, not {article(schema)}" if "input_schema" in tool else "is missing"
        path = (*here, "input_schema") if "input_schema" in tool else here
        yield Fault(code=Code.TOOL, path=path, message=f"`input_schema` of this tool {said}", hint=_EXAMPLE)
    elif schema.get("type") != "object":
        yield Fault(
            code=Code.TOOL,
            path=(*here, "input_schema"),
            message='`type` of an `input_schema` must be "object"',
            hint=_EXAMPLE,
        )
    elif tool.get("strict") is True:
        yield from faults_of_schema((*here, "input_schema"), schema)


def check_tool_choice(value: Any, model: Model | None, _rules: Rules) -> Iterable[Fault]:
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        said = (
            "must be an object with a `type`" if isinstance(value, dict) else f"must be an object, not {article(value)}"
        )
        return (
            Fault(
                code=Code.TOOL_CHOICE,
                path=("tool_choice",),
                message=f"`tool_choice` {said}",
                hint='`{"type": "auto"}`, `{"type": "any"}`, `{"type": "none"}` or `{"type": "tool", "name": "…"}`',
            ),
        )
    if model is None or model.forced_tool or value["type"] not in FORCED:
        return ()
    return (
        Fault(
            code=Code.FORCED_TOOL,
            path=("tool_choice", "type"),
            message=f"`{model.id}` refuses to be forced to a tool",
            hint="write `auto`, and say in the prompt when to use it; `output_config.format` asks for JSON",
        ),
    )


CHOICES = ("any", "auto", "none", "tool")
FORCED = frozenset({"any", "tool"})
"""Types of a `tool_choice` that force one."""


def faults_of_choice(request: Mapping[str, Any]) -> Iterator[Fault]:
    """What is wrong with `tool_choice` beside the tools there are."""
    choice, tools = request.get("tool_choice"), request.get("tools")
    if not isinstance(choice, dict) or choice.get("type") not in CHOICES or request.get("mcp_servers"):
        return
    if not tools:
        yield Fault(
            code=Code.TOOL_CHOICE,
            path=("tool_choice",),
            name=True,
            message="`tool_choice` without `tools`: the API refuses that",
            hint="leave it out",
        )
    elif choice.get("type") == "tool" and isinstance(tools, list):
        names = [str(tool["name"]) for tool in tools if isinstance(tool, dict) and "name" in tool]
        name = choice.get("name")
        if not isinstance(name, str) or name not in names:
            said = f"there is no tool `{shown(name)}`" if isinstance(name, str) else "`name` of the tool is missing"
            yield Fault(
                code=Code.TOOL_CHOICE,
                path=("tool_choice", "name") if "name" in choice else ("tool_choice",),
                message=said,
                hint=did_you_mean(str(name), frozenset(names)),
            )
