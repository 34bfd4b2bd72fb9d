"""What a check of a value against a JSON Schema is made of, and what it says where the value does not fit."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

SHOWN = 40
"""Characters of a value in a reason."""


class Unusable(ValueError):
    """The schema cannot be checked against; the message says why."""


class Misfit(Exception):
    """The value does not fit. `path` leads to the place, from the outside in."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.path: list[str] = []

    def within(self, step: str | int) -> Misfit:
        self.path.insert(0, f"[{step}]" if isinstance(step, int) else f".{step}")
        return self


Check = Callable[[Any, "Walk"], None]


class Walk:
    """How far the check of one value has gone."""

    __slots__ = ("depth", "steps")

    def __init__(self) -> None:
        self.depth = 0
        self.steps = 0


class Reader(Protocol):
    """Reads the schemas within a schema."""

    def compiled(self, schema: Any) -> Check: ...

    def referred(self, target: Any) -> Check: ...


Make = Callable[[Reader, Mapping[str, Any], str], "Check | None"]
"""Makes the check of one keyword of a schema, by its name; None where it asks for nothing."""


def short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def anything(_value: Any, _walk: Walk) -> None:
    pass


def nothing(value: Any, _walk: Walk) -> None:
    raise Misfit(f"{short(value)} may not be here")


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: true is not 1, but 1.0 is."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    return bool(one == other)
