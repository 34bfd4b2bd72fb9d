"""Job files as JSON Schema, for editors: made of the same declarations as the checks.

It tells forms apart, not models: what a model refuses, only `batchrun check` knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from batchrun.core.job import KEY_LENGTH
from batchrun.jobfile.cache_marks import TTLS
from batchrun.jobfile.checks import MOST_TOKENS
from batchrun.jobfile.media import IMAGE_TYPES
from batchrun.jobfile.messages import ROLES
from batchrun.jobfile.output import EFFORTS
from batchrun.jobfile.parameters import ANTHROPIC, OURS, PARAMETERS, REQUIRED, SECTIONS
from batchrun.jobfile.thinking import LEAST_BUDGET, TYPES
from batchrun.jobfile.tools import CHOICES, NAME

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_OBJECT: Schema = {"type": "object"}
_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_ONE_OF_PROMPTS: list[Schema] = [{"required": ["prompt"]}, {"required": ["messages"]}]


def jobs_schema(models: Iterable[str]) -> Schema:
    """The schema of a job file in YAML; *models* are offered, and others taken."""
    entry = _entry("a job")
    return {
        "$schema": DIALECT,
        "title": "batchrun job file",
        "description": "Jobs for batchrun: what may stand where. What a model refuses, `batchrun check` tells.",
        "type": "object",
        "additionalProperties": False,
        "required": ["version"],
        "anyOf": [{"required": ["jobs"]}, {"required": ["template"]}],
        "properties": {name: {"description": told} | _section(name, entry) for name, told in SECTIONS.items()},
        "$defs": _definitions(models),
    }


def line_schema(models: Iterable[str]) -> Schema:
    """The schema of one line of a job file in JSON lines: a short line, or an Anthropic batch line."""
    short = _entry("a short line") | {"required": sorted(REQUIRED - {"messages"}), "oneOf": _ONE_OF_PROMPTS}
    params = {
        "description": "the request, sent as it is",
        "type": "object",
        "additionalProperties": False,
        "required": sorted(REQUIRED),
        "properties": _parameters(),
    }
    ours = {name: _ours(name) for name in sorted(ANTHROPIC & OURS.keys())}
    batch = {
        "description": "an Anthropic batch line",
        "type": "object",
        "additionalProperties": False,
        "required": ["custom_id", "params"],
        "properties": {"custom_id": _key("your own text"), "params": params, **ours},
    }
    return {
        "$schema": DIALECT,
        "title": "batchrun job line",
        "type": "object",
        "if": {"anyOf": [{"required": ["params"]}, {"required": ["custom_id"]}]},
        "then": batch,
        "else": short,
        "$defs": _definitions(models),
    }


def _section(name: str, entry: Schema) -> Schema:
    match name:
        case "version":
            return {"const": 1}
        case "defaults":
            return entry | {"properties": {key: each for key, each in entry["properties"].items() if key != "id"}}
        case "jobs":
            return {"type": "array", "items": entry, "minItems": 1}
        case "template":
            names = {key: {"description": each.get("description", "")} for key, each in entry["properties"].items()}
            return {"type": "object", "additionalProperties": False, "properties": names}
        case "data":
            return {"type": ["string", "array", "object"]}
        case "matrix":
            return {"type": "object", "additionalProperties": {"type": "array"}}
        case "betas":
            return {"type": ["string", "array"], "items": _TEXT}
        case _:
            return dict(_OBJECT)


def _entry(what: str) -> Schema:
    """A short line, or a job in YAML."""
    return {
        "description": what,
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _ours(name) for name in OURS}
        | {name: shape for name, shape in _parameters().items() if name not in OURS},
    }


def _ours(name: str) -> Schema:
    shapes: Mapping[str, Schema] = {
        "id": {"anyOf": [_key(OURS["id"]), {"type": "integer"}]},
        "prompt": {"type": "string", "minLength": 1},
        "metadata": _OBJECT,
        "tags": {"anyOf": [_TEXT, _TEXTS]},
        "max_cost": {"type": ["number", "string"], "minimum": 0},
    }
    return {"description": OURS[name]} | shapes.get(name, {})


def _key(description: str) -> Schema:
    return {"description": description, "type": "string", "minLength": 1, "maxLength": KEY_LENGTH}


def _parameters() -> dict[str, Schema]:
    """All but `stream`, which makes no sense in a job. One without a shape of its own takes anything."""
    return {name: _SHAPES.get(name, {}) for name in sorted(PARAMETERS - {"stream"})}


def _definitions(models: Iterable[str]) -> dict[str, Schema]:
    return {
        "model": {"anyOf": [{"enum": sorted(models)}, {"type": "string", "minLength": 1}]},
        "cache_control": {
            "type": "object",
            "required": ["type"],
            "properties": {"type": {"const": "ephemeral"}, "ttl": {"enum": list(TTLS)}},
        },
        "blocks": {"type": "array", "items": {"$ref": "#/$defs/block"}},
        "block": {
            "type": "object",
            "required": ["type"],
            "properties": {
                "type": _TEXT,
                "text": {"type": "string", "minLength": 1},
                "source": {"$ref": "#/$defs/source"},
                "cache_control": {"$ref": "#/$defs/cache_control"},
            },
            "allOf": [
                {"if": _is("text"), "then": {"required": ["text"]}},
                {"if": _is("image"), "then": {"required": ["source"], "properties": {"source": _IMAGE}}},
                {"if": _is("document"), "then": {"required": ["source"]}},
            ],
        },
        "source": {
            "type": "object",
            "required": ["type"],
            "properties": {
                "type": {"anyOf": [{"enum": ["base64", "url", "file", "text", "content"]}, _TEXT]},
                "url": {"type": "string", "pattern": "^https?://"},
                "media_type": _TEXT,
                "data": _TEXT,
                "file_id": _TEXT,
            },
        },
        "message": {
            "type": "object",
            "required": ["role", "content"],
            "properties": {
                "role": {"enum": sorted(ROLES)},
                "content": {"anyOf": [_TEXT, {"$ref": "#/$defs/blocks"}]},
            },
        },
        "tool": {
            "type": "object",
            "properties": {
                "type": _TEXT,
                "name": {"type": "string", "pattern": f"^{NAME.pattern}$"},
                "description": _TEXT,
                "input_schema": {"type": "object", "required": ["type"], "properties": {"type": {"const": "object"}}},
                "strict": {"type": "boolean"},
                "cache_control": {"$ref": "#/$defs/cache_control"},
            },
            "if": {"anyOf": [{"not": {"required": ["type"]}}, {"properties": {"type": {"const": "custom"}}}]},
            "then": {"required": ["name", "input_schema"]},
        },
    }


def _is(kind: str) -> Schema:
    return {"required": ["type"], "properties": {"type": {"const": kind}}}


_IMAGE: Schema = {
    "if": {"required": ["type"], "properties": {"type": {"const": "base64"}}},
    "then": {"required": ["media_type", "data"], "properties": {"media_type": {"enum": list(IMAGE_TYPES)}}},
}

_SHAPES: Mapping[str, Schema] = {
    "cache_control": {"$ref": "#/$defs/cache_control"},
    "inference_geo": _TEXT,
    "max_tokens": {
        "description": "the longest answer, in tokens; thoughts count too",
        "type": "integer",
        "minimum": 1,
        "maximum": MOST_TOKENS,
    },
    "mcp_servers": {"type": "array", "items": _OBJECT},
    "messages": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/message"}},
    "metadata": _OBJECT,
    "model": {"$ref": "#/$defs/model"},
    "output_config": {
        "type": "object",
        "properties": {
            "effort": {"enum": list(EFFORTS)},
            "format": {
                "type": "object",
                "required": ["type", "schema"],
                "properties": {"type": {"const": "json_schema"}, "schema": _OBJECT},
            },
        },
    },
    "service_tier": {"enum": ["auto", "standard_only"]},
    "speed": {"enum": ["standard", "fast"]},
    "stop_sequences": {"type": "array", "items": {"type": "string", "pattern": r"\S"}},
    "system": {"anyOf": [_TEXT, {"$ref": "#/$defs/blocks"}]},
    "temperature": {"description": "API version 2026-10-21 refuses it", "type": "number"},
    "thinking": {
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"enum": sorted(TYPES)}, "budget_tokens": {"type": "integer", "minimum": LEAST_BUDGET}},
    },
    "tool_choice": {
        "type": "object",
        "required": ["type"],
        "properties": {
            "type": {"enum": list(CHOICES)},
            "name": _TEXT,
            "disable_parallel_tool_use": {"type": "boolean"},
        },
    },
    "tools": {"type": "array", "items": {"$ref": "#/$defs/tool"}},
    "top_k": {"description": "API version 2026-10-21 refuses it", "type": "integer"},
    "top_p": {"description": "API version 2026-10-21 refuses it", "type": "number"},
}
