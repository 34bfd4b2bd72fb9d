"""A JSON Schema as structured outputs take it: closed objects, and none of the words that the API refuses."""

from __future__ import annotations

from typing import Any

from batchrun.jobfile.faults import Path
from batchrun.jobfile.foreign.loss import Losses
from batchrun.jobfile.output_schema import REFUSED

_MAPS = ("$defs", "definitions", "properties")
_LISTS = ("allOf", "anyOf")
_DEEPEST = 100


def closed(here: Path, schema: Any, losses: Losses, depth: int = 0) -> Any:
    """*schema* with what the API wants of it; what that changes is told."""
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return schema
    made: dict[str, Any] = {}
    kind = schema.get("type")
    for name, value in schema.items():
        if isinstance(kind, str) and name in REFUSED.get(kind, ()):
            losses.lost(
                (*here, name), f"`{name}` is left out of the schema: the API refuses it", "check it in the answers"
            )
        elif name in _MAPS and isinstance(value, dict):
            made[name] = {key: closed((*here, name, key), each, losses, depth + 1) for key, each in value.items()}
        elif name in _LISTS and isinstance(value, list):
            made[name] = [closed((*here, name, index), each, losses, depth + 1) for index, each in enumerate(value)]
        elif name == "items":
            made[name] = closed((*here, name), value, losses, depth + 1)
        else:
            made[name] = value
    if (kind == "object" or "properties" in schema) and schema.get("additionalProperties") is not False:
        losses.changed(here, "an object of the schema gets `additionalProperties: false`, which the API wants")
        made["additionalProperties"] = False
    return made
