"""What structured outputs refuse in a JSON Schema: they know a part of the language, and refuse the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from batchrun.jobfile.codes import Code
from batchrun.jobfile.excerpt import shown
from batchrun.jobfile.faults import Fault, Path, article

REFUSED: Mapping[str, tuple[str, ...]] = {
    "integer": ("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"),
    "number": ("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"),
    "string": ("maxLength", "minLength"),
    "array": ("maxItems", "uniqueItems"),
}
"""Keywords that the API refuses by type ("For 'integer' type, properties maximum, minimum are not supported": seen from
2026-05 to 2026-10, and the structured outputs page of 2026-09)."""

_LISTS = ("allOf", "anyOf")
_MAPS = ("$defs", "definitions", "properties")
_MOST = 5
"""Faults of one schema that are told."""


def faults_of_schema(here: Path, schema: Any) -> Iterator[Fault]:
    """What is wrong with the *schema* at *here*, the first few things."""
    for count, fault in enumerate(_faults(here, schema, schema, 0)):
        if count == _MOST:
            return
        yield fault


def _faults(here: Path, schema: Any, root: Any, depth: int) -> Iterator[Fault]:
    if not isinstance(schema, dict) or depth > 100:
        if not isinstance(schema, (dict, bool)):
            yield Fault(
                code=Code.OUTPUT_SCHEMA, path=here, message=f"a schema must be an object, not {article(schema)}"
            )
        return
    kind = schema.get("type")
    if (kind == "object" or "properties" in schema) and schema.get("additionalProperties") is not False:
        yield Fault(
            code=Code.OUTPUT_SCHEMA,
            path=(*here, "additionalProperties") if "additionalProperties" in schema else here,
            message="`additionalProperties` of this object must be false",
            hint="the API wants it written in each object of the schema",
        )
    for word in REFUSED.get(kind, ()) if isinstance(kind, str) else ():
        if word in schema:
            yield Fault(
                code=Code.OUTPUT_SCHEMA,
                path=(*here, word),
                name=True,
                message=f"the API refuses `{word}` in a schema",
                hint="leave it out, say it in the `description`, and check the answers",
            )
    if "$ref" in schema:
        yield from _reference(here, schema["$ref"], root)
    for name in _LISTS:
        for index, each in enumerate(schema[name] if isinstance(schema.get(name), list) else ()):
            yield from _faults((*here, name, index), each, root, depth + 1)
    for name in _MAPS:
        for key, each in (schema[name] if isinstance(schema.get(name), dict) else {}).items():
            yield from _faults((*here, name, key), each, root, depth + 1)
    if "items" in schema:
        yield from _faults((*here, "items"), schema["items"], root, depth + 1)


def _reference(here: Path, target: Any, root: Any) -> Iterator[Fault]:
    path = (*here, "$ref")
    if not isinstance(target, str) or not target.startswith("#"):
        said = "the API follows no reference out of the schema"
        yield Fault(code=Code.OUTPUT_SCHEMA, path=path, message=said, hint="copy what it names into `$defs`")
        return
    steps = tuple(step.replace("~1", "/").replace("~0", "~") for step in target.removeprefix("#").split("/")[1:])
    found = root
    for step in steps:
        found = found.get(step) if isinstance(found, dict) else None
    if found is None:
        yield Fault(code=Code.OUTPUT_SCHEMA, path=path, message=f"`{shown(target)}` leads nowhere in this schema")
    elif _leads_back(found, target, root, frozenset()):
        yield Fault(
            code=Code.OUTPUT_SCHEMA,
            path=path,
            message=f"`{shown(target)}` leads back to itself; the API refuses recursive schemas",
            hint="write as many levels as there are",
        )


def _leads_back(value: Any, target: str, root: Any, seen: frozenset[str]) -> bool:
    if isinstance(value, list):
        return any(_leads_back(each, target, root, seen) for each in value)
    if not isinstance(value, dict):
        return False
    other = value.get("$ref")
    if other == target:
        return True
    if isinstance(other, str) and other.startswith("#/") and other not in seen:
        found = root
        for step in other[2:].split("/"):
            found = found.get(step) if isinstance(found, dict) else None
        if _leads_back(found, target, root, seen | {other}):
            return True
    return any(_leads_back(each, target, root, seen) for name, each in value.items() if name != "$ref")
