"""A settings file as JSON Schema, made of the same declarations that read it."""

from __future__ import annotations

from typing import Any

from batchrun.settings import values
from batchrun.settings.options import OPTIONS, TABLES, Option
from batchrun.settings.rows import KEYS, SHAPES


def settings_schema() -> dict[str, Any]:
    """The schema of `batchrun.toml`, or of `[tool.batchrun]` in pyproject.toml."""
    properties = {name: _option(option) for name, option in OPTIONS.items() if not option.table}
    properties |= {option.table: _within(option.table) for option in OPTIONS.values() if option.table}
    properties |= {name: _table(name) for name in TABLES}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "batchrun.toml",
        "description": "Settings of batchrun; each may be a variable or a flag as well.",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def _option(option: Option) -> dict[str, Any]:
    return {"description": option.help} | _shape(option)


def _shape(option: Option) -> dict[str, Any]:
    match option.read:
        case values.Choice(allowed):
            return {"enum": [*allowed, *(int(word) for word in allowed if word.isdecimal())]}
        case values.Whole(least, most):
            return {"type": "integer", "minimum": least, "maximum": most}
        case values.Span():
            return {"type": ["number", "string"], "examples": ["90s", "5m", "1h30m"]}
        case values.amount:
            return {"type": ["number", "string"], "minimum": 0}
        case values.codes:
            return {"type": ["string", "array"], "items": {"type": "string", "pattern": r"^BR\d{3}$"}}
        case values.api_version:
            return {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
        case _:
            return {"type": "string"}


def _within(table: str) -> dict[str, Any]:
    """A table that holds settings."""
    held = {name: _option(option) for name, option in OPTIONS.items() if option.table == table}
    return {
        "description": f"a table of settings: {', '.join(held)}",
        "type": "object",
        "additionalProperties": False,
        "properties": held,
    }


def _table(name: str) -> dict[str, Any]:
    """A table of rows, each with any of the keys that rows of this name may have."""
    return {
        "description": f"rows that change the table of {name} which batchrun ships",
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "additionalProperties": False,
            "properties": {key: SHAPES[check] for key, check in KEYS[name].items()},
        },
    }
