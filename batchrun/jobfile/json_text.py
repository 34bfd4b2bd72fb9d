"""JSON values: read strictly, and written compactly."""

from __future__ import annotations

import json
from typing import Any, NoReturn

DEPTH = 200
"""How deeply objects and lists may be nested; far below what Python's own reader and writer can take."""

compact = json.JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")).encode
"""A value as it is stored and sent, in its own order. Raises ValueError for an infinite number."""

canonical = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":"), sort_keys=True
).encode
"""A value as it is compared: equal for equal JSON values, whatever the order of their keys. As long as `compact`."""


class NotStrict(ValueError):
    """A text that Python's reader would take, and whose value would not be the text's."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise NotStrict
    return value


def _constant(name: str) -> NoReturn:
    raise NotStrict(name)


_STRICT = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)

read = _STRICT.decode
"""The value of a JSON text. Raises json.JSONDecodeError where the text is not JSON, another ValueError or a
RecursionError where `blemishes` tells what is wrong with it. Numbers over the range of a double, half surrogate pairs
and nesting deeper than DEPTH come through: `compact` refuses the first, `str.encode` the second, `too_deep` the third.
"""

read_at = _STRICT.raw_decode
"""(the value that begins at a place of a text, where it ends). Raises what `read` raises."""


def too_deep(value: Any, limit: int = DEPTH) -> bool:
    """Whether objects and lists are nested in *value* more than *limit* times."""
    level = [value]
    for _ in range(limit):
        level = [
            item
            for outer in level
            for item in (outer.values() if type(outer) is dict else outer)
            if type(item) is dict or type(item) is list
        ]
        if not level:
            return False
    return True


def is_whole(digits: str) -> bool:
    """Whether Python reads *digits* as a whole number; it refuses more than 4,300 of them."""
    try:
        int(digits)
    except ValueError:
        return False
    return True
