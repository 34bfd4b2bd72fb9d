"""The keywords of JSON Schema, each as a function that makes a check of a value."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from batchrun.core.misfit import Check, Make, Misfit, Reader, Unusable, Walk, same, short

T = TypeVar("T")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": _number,
    "integer": lambda value: _number(value) and (isinstance(value, int) or value.is_integer()),
}


def _as(kind: type[T], schema: Mapping[str, Any], name: str) -> T:
    """The value of a keyword. Raises Unusable if it is of another kind."""
    value = schema[name]
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise Unusable(f"`{name}` cannot be {short(value)}")
    return value


def _ref(reader: Reader, schema: Mapping[str, Any], name: str) -> Check:
    return reader.referred(schema[name])


def _type(_reader: Reader, schema: Mapping[str, Any], name: str) -> Check:
    kinds = schema[name] if isinstance(schema[name], list) else [schema[name]]
    unknown = [kind for kind in kinds if not isinstance(kind, str) or kind not in _TYPES]
    if unknown:
        raise Unusable(f"there is no type {short(unknown[0])}")
    tests, words = [_TYPES[kind] for kind in kinds], " or ".join(kinds)

    def check(value: Any, _walk: Walk) -> None:
        if not any(test(value) for test in tests):
            raise Misfit(f"{short(value)} is no {words}")

    return check


def _enum(_reader: Reader, schema: Mapping[str, Any], name: str) -> Check:
    known = _as(list, schema, name)
    texts = frozenset(value for value in known if isinstance(value, str))

    def check(value: Any, _walk: Walk) -> None:
        if (value not in texts) if isinstance(value, str) else not any(same(value, one) for one in known):
            raise Misfit(f"{short(value)} is none of {short(known)}")

    return check


def _const(_reader: Reader, schema: Mapping[str, Any], name: str) -> Check:
    wanted = schema[name]

    def check(value: Any, _walk: Walk) -> None:
        if not same(value, wanted):
            raise Misfit(f"{short(value)} is not {short(wanted)}")

    return check


def _object(reader: Reader, schema: Mapping[str, Any], name: str) -> Check | None:
    """`properties`, `patternProperties` and `additionalProperties` together, at the first of them that is there."""
    if name != next(one for one in _OF_OBJECTS if one in schema):
        return None
    named = {
        key: reader.compiled(inner) for key, inner in _as(dict, {"properties": {}, **schema}, "properties").items()
    }
    by_pattern = [
        (_regex(key), reader.compiled(inner))
        for key, inner in _as(dict, {"patternProperties": {}, **schema}, "patternProperties").items()
    ]
    closed = schema.get("additionalProperties") is False
    others = reader.compiled(schema.get("additionalProperties", True))

    def check(value: Any, walk: Walk) -> None:
        if not isinstance(value, dict):
            return
        for key, inner in value.items():
            asked = [named[key]] if key in named else []
            asked += [one for regex, one in by_pattern if regex.search(key)]
            if not asked and closed:
                raise Misfit(f"{short(key)} is no name of this object")
            try:
                for one in asked or (others,):
                    one(inner, walk)
            except Misfit as misfit:
                raise misfit.within(key) from None

    return check


_OF_OBJECTS = ("properties", "patternProperties", "additionalProperties")


def _required(_reader: Reader, schema: Mapping[str, Any], name: str) -> Check:
    names = _as(list, schema, name)

    def check(value: Any, _walk: Walk) -> None:
        if isinstance(value, dict):
            for one in names:
                if one not in value:
                    raise Misfit(f"{short(one)} is missing")

    return check


def _items(reader: Reader, schema: Mapping[str, Any], name: str) -> Check | None:
    """`prefixItems` and `items` together, at the first of them that is there."""
    if name == "items" and "prefixItems" in schema:
        return None
    first = [reader.compiled(inner) for inner in _as(list, {"prefixItems": [], **schema}, "prefixItems")]
    rest = reader.compiled(schema.get("items", True))

    def check(value: Any, walk: Walk) -> None:
        if isinstance(value, list):
            for at, inner in enumerate(value):
                try:
                    (first[at] if at < len(first) else rest)(inner, walk)
                except Misfit as misfit:
                    raise misfit.within(at) from None

    return check


def _any_of(reader: Reader, schema: Mapping[str, Any], name: str) -> Check:
    checks = [reader.compiled(inner) for inner in _as(list, schema, name)]
    most = len(checks) if name == "anyOf" else 1

    def check(value: Any, walk: Walk) -> None:
        fitting, deepest = 0, Misfit(f"{short(value)} fits nothing in {name}")
        for one in checks:
            try:
                one(value, walk)
            except Misfit as misfit:
                if len(misfit.path) > len(deepest.path):
                    deepest = misfit  # the one that was nearest tells most
            else:
                fitting += 1
                if name == "anyOf":
                    return
        if not fitting:
            raise deepest
        if fitting > most:
            raise Misfit(f"{short(value)} fits {fitting} of {name}, which wants one")

    return check


def _all_of(reader: Reader, schema: Mapping[str, Any], name: str) -> Check:
    checks = [reader.compiled(inner) for inner in _as(list, schema, name)]

    def check(value: Any, walk: Walk) -> None:
        for one in checks:
            one(value, walk)

    return check


def _not(reader: Reader, schema: Mapping[str, Any], name: str) -> Check:
    unwanted = reader.compiled(schema[name])

    def check(value: Any, walk: Walk) -> None:
        try:
            unwanted(value, walk)
        except Misfit:
            return
        raise Misfit(f"{short(value)} is what may not be here")

    return check


def _pattern(_reader: Reader, schema: Mapping[str, Any], name: str) -> Check:
    regex = _regex(_as(str, schema, name))

    def check(value: Any, _walk: Walk) -> None:
        if isinstance(value, str) and not regex.search(value):
            raise Misfit(f"{short(value)} does not match {short(regex.pattern)}")

    return check


def _regex(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error:
        raise Unusable(f"{short(text)} is no pattern") from None


def _bound(
    kind: Callable[[Any], bool], measure: Callable[[Any], Any], ok: Callable[[Any, Any], bool], words: str
) -> Make:
    """A keyword that compares the measure of a value of one kind with a number."""

    def make(_reader: Reader, schema: Mapping[str, Any], name: str) -> Check:
        limit = schema[name]
        if not _number(limit):
            raise Unusable(f"`{name}` cannot be {short(limit)}")

        def check(value: Any, _walk: Walk) -> None:
            if kind(value) and not ok(measure(value), limit):
                raise Misfit(f"{short(value)} {words} {limit}")

        return check

    return make


def _itself(value: Any) -> Any:
    return value


def _divides(value: float, limit: float) -> bool:
    if not limit:
        return True
    if isinstance(value, int) and isinstance(limit, int):
        return value % limit == 0
    try:
        quotient = value / limit
        return quotient == int(quotient)
    except OverflowError:
        return False


def _unique(_reader: Reader, schema: Mapping[str, Any], name: str) -> Check | None:
    if schema[name] is not True:
        return None

    def check(value: Any, _walk: Walk) -> None:
        if isinstance(value, list) and _doubles(value):
            raise Misfit("it holds the same twice")

    return check


def _doubles(values: Sequence[Any]) -> bool:
    texts = {json.dumps(_plain(value), sort_keys=True) for value in values}
    return len(texts) < len(values)


def _plain(value: Any) -> Any:
    """Numbers that are equal, written alike."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_plain(one) for one in value]
        case dict():
            return {name: _plain(one) for name, one in value.items()}
        case _:
            return value


_string, _array, _dict = _TYPES["string"], _TYPES["array"], _TYPES["object"]

KEYWORDS: Mapping[str, Make] = {
    "$ref": _ref,
    "$dynamicRef": _ref,
    "type": _type,
    "enum": _enum,
    "const": _const,
    "required": _required,
    "properties": _object,
    "patternProperties": _object,
    "additionalProperties": _object,
    "prefixItems": _items,
    "items": _items,
    "anyOf": _any_of,
    "oneOf": _any_of,
    "allOf": _all_of,
    "not": _not,
    "pattern": _pattern,
    "uniqueItems": _unique,
    "minLength": _bound(_string, len, lambda n, limit: n >= limit, "is shorter than"),
    "maxLength": _bound(_string, len, lambda n, limit: n <= limit, "is longer than"),
    "minItems": _bound(_array, len, lambda n, limit: n >= limit, "has fewer items than"),
    "maxItems": _bound(_array, len, lambda n, limit: n <= limit, "has more items than"),
    "minProperties": _bound(_dict, len, lambda n, limit: n >= limit, "has fewer names than"),
    "maxProperties": _bound(_dict, len, lambda n, limit: n <= limit, "has more names than"),
    "minimum": _bound(_number, _itself, lambda n, limit: n >= limit, "is less than"),
    "maximum": _bound(_number, _itself, lambda n, limit: n <= limit, "is more than"),
    "exclusiveMinimum": _bound(_number, _itself, lambda n, limit: n > limit, "is not more than"),
    "exclusiveMaximum": _bound(_number, _itself, lambda n, limit: n < limit, "is not less than"),
    "multipleOf": _bound(_number, _itself, _divides, "is no multiple of"),
}
