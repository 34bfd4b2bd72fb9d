"""The smallest JSON value that a schema allows, and what the API refuses in one (structured-outputs page, 2026-09)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UNSUPPORTED = {
    "string": ("minLength", "maxLength"),
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "array": ("maxItems", "uniqueItems"),
}
SAMPLES = {
    "date-time": "2026-11-20T00:00:00Z",
    "date": "2026-11-20",
    "time": "00:00:00Z",
    "duration": "PT1S",
    "email": "nobody@example.com",
    "hostname": "example.com",
    "uri": "https://example.com/",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


_PLAIN = {"integer": 0, "number": 0, "boolean": False, "null": None}


def objection(schema: Any) -> str | None:
    """Why the API would refuse *schema*, in its words; None if it takes it."""
    return _objection(schema, schema, ())


def _objection(schema: Any, root: Any, path: tuple[str, ...]) -> str | None:
    if not isinstance(schema, dict):
        return None if isinstance(schema, bool) else "Input should be a valid dictionary"
    if isinstance(target := schema.get("$ref"), str):
        if target in path:
            return "Recursive schemas are not supported"
        found = _follow(target, root)
        return f"Invalid reference '{target}'" if found is None else _objection(found, root, (*path, target))
    kind = schema.get("type")
    if kind == "object" and schema.get("additionalProperties") is not False:
        return "For 'object' type, 'additionalProperties' must be explicitly set to false"
    for name in UNSUPPORTED.get(kind, ()) if isinstance(kind, str) else ():
        if name in schema:
            return f"For '{kind}' type, property '{name}' is not supported"
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", ()), *schema.get("allOf", ())]
    if "items" in schema:
        inner.append(schema["items"])
    return next((found for each in inner if (found := _objection(each, root, path)) is not None), None)


def instance(schema: Mapping[str, Any], word: str) -> Any:
    """The smallest value that *schema* allows, with *word* in each string that is free."""
    return _instance(schema, schema, word)


def _instance(schema: Any, root: Mapping[str, Any], word: str) -> Any:
    match schema:
        case {"$ref": str(target)}:
            return _instance(_follow(target, root), root, word)
        case {"const": value} | {"enum": [value, *_]}:
            return value
        case {"allOf": [*parts]}:
            values = [_instance(part, root, word) for part in parts]
            merged: dict[str, Any] = {}
            for value in values:
                merged |= value if isinstance(value, dict) else {}
            return merged or (values[0] if values else {})
        case {"anyOf": [first, *_]} | {"oneOf": [first, *_]}:
            return _instance(first, root, word)
        case {"type": [first, *_]}:
            return _instance({**schema, "type": first}, root, word)
        case {"type": "object"} | {"properties": _}:
            needed = schema.get("required", ())
            inner = schema.get("properties", {})
            return {name: _instance(inner.get(name, {}), root, word) for name in inner if name in needed}
        case {"type": "array"}:
            return [_instance(schema.get("items", {}), root, word)] * int(schema.get("minItems", 0))
        case {"type": str(kind)} if kind in _PLAIN:
            return _PLAIN[kind]
        case {"format": str(name)} if name in SAMPLES:
            return SAMPLES[name]
        case _:
            return word


def _follow(target: str, root: Any) -> Any:
    """What a local reference points to, or None."""
    found = root
    for part in target.removeprefix("#").strip("/").split("/") if target != "#" else ():
        found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found
