"""Plans from TOML and JSON, and back to JSON.

    seed = 7
    streaks = 3

    [limits."*"]
    requests = 1000
    input_tokens = 2_000_000

    [faults]
    529 = 0.01
    lose = 0.001

    [[outages]]
    effect = "503"
    start = 600
    end = 660

Every key is a field of `plan.Plan` or of what it holds; what a file leaves out stays as it is there.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, replace
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from batchrun.errors import UsageError
from batchrun.simulator import batchplan, effects
from batchrun.simulator.batchplan import Verb
from batchrun.simulator.effects import Effect, Kind, Script, Step
from batchrun.simulator.plan import Plan


def read(path: Path) -> Plan:
    """The plan in a file. Raises UsageError for a file that cannot be read or says something unknown."""
    try:
        text = path.read_text(encoding="utf-8")
        value = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"cannot read the plan {path}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from None
    try:
        return load(value)
    except UsageError as error:
        raise UsageError(f"{path}: {error.message}", error.hint) from None


def load(value: Any, base: Plan | None = None) -> Plan:
    """*base* (else a plan without arguments) with the top-level keys of *value* instead. Raises UsageError."""
    plan = Plan() if base is None else base
    if not isinstance(value, dict):
        raise UsageError("a plan is a table of settings")
    loaded = replace(plan, **_fields(value, Plan, ""))
    for name, chance in _chances(loaded):
        if chance > 1:
            raise UsageError(f"{name}: {chance} is no probability", "write a number from 0 to 1")
    for name, kind, possible in _places(loaded):
        if kind not in possible:
            raise UsageError(f"{name}: `{kind}` cannot happen here", "one of " + ", ".join(sorted(possible)))
    return loaded


def _places(plan: Plan) -> Iterator[tuple[str, Kind, frozenset[Kind]]]:
    """(place, kind, what can happen there) of all that a plan lets happen to batches."""
    batches = plan.batches
    yield from ((f"batches.items.{kind}", kind, batchplan.ITEMS) for kind in batches.items)
    for verb in Verb:
        calls = batchplan.CALLS if verb is Verb.CREATE else batchplan.CALLS - {Kind.TWICE}
        yield from ((f"batches.faults.{verb}.{kind}", kind, calls) for kind in batches.faults.get(verb, ()))
        for step in batches.script.get(verb, ()):
            yield from ((f"batches.script.{verb}", effect.kind, calls) for effect in step.effects)


def _chances(plan: Plan) -> Iterator[tuple[str, float]]:
    batches, colleague = plan.batches, plan.batches.colleague
    yield from ((f"faults.{kind}", chance) for kind, chance in plan.faults.items())
    yield from ((f"batches.items.{kind}", chance) for kind, chance in batches.items.items())
    for verb, faults in batches.faults.items():
        yield from ((f"batches.faults.{verb}.{kind}", chance) for kind, chance in faults.items())
    yield from (("batches.stuck", batches.stuck), ("batches.cache_hits", batches.cache_hits))
    for name in ("alike", "deletes", "archives"):
        yield f"batches.colleague.{name}", getattr(colleague, name)


def dump(plan: Plan) -> dict[str, Any]:
    """The JSON value that `load` makes *plan* of."""
    value: dict[str, Any] = _plain(plan)
    return value


def _plain(value: Any) -> Any:
    match value:
        case Effect(kind=kind, seconds=seconds):
            return kind.value if seconds is None else f"{kind.value} {seconds:g}"
        case Enum():
            return value.value
        case Step():
            return _words(value)
        case tuple():
            return [_plain(each) for each in value]
        case Mapping():
            return {_plain(name): _plain(each) for name, each in value.items()}
        case _ if dataclasses.is_dataclass(value):
            return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        case _:
            return value


def _fields(value: dict[str, Any], kind: type, path: str) -> dict[str, Any]:
    hints = get_type_hints(kind)
    for name in value:
        if name not in hints:
            near = difflib.get_close_matches(name, hints, 1)
            hint = f"did you mean `{near[0]}`?" if near else "one of " + ", ".join(hints)
            raise UsageError(f"`{path}{name}` is not a setting of a plan", hint)
    for field in fields(kind):
        if field.name not in value and field.default is MISSING and field.default_factory is MISSING:
            raise UsageError(f"{path}{field.name} is missing")
    return {name: _value(each, hints[name], path + name) for name, each in value.items()}


def _value(value: Any, wanted: Any, path: str) -> Any:
    origin = get_origin(wanted)
    if origin is UnionType:
        inner = next(each for each in get_args(wanted) if each is not NoneType)
        return None if value is None else _value(value, inner, path)
    if wanted == Script:
        return _script(value, path)
    if origin is tuple:
        if not isinstance(value, list):
            raise UsageError(f"{path}: not a list")
        return tuple(_value(each, get_args(wanted)[0], f"{path}.{index}") for index, each in enumerate(value))
    if wanted is Effect:
        return _effect(value, path)
    table = dataclasses.is_dataclass(wanted)
    if origin is Mapping or table:
        if not isinstance(value, dict):
            raise UsageError(f"{path}: not a table of settings")
        if table:
            return wanted(**_fields(value, wanted, path + "."))
        key, inner = get_args(wanted)
        return {
            _value(name, key, f"{path}.{name}"): _value(each, inner, f"{path}.{name}") for name, each in value.items()
        }
    if issubclass(wanted, Enum):
        return _member(value, wanted, path)
    return _scalar(value, wanted, path)


def _scalar(value: Any, wanted: type, path: str) -> Any:
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not wanted:
        raise UsageError(f"{path}: {value!r} is not {_WORDS[wanted]}")
    if isinstance(value, int | float) and not 0 <= value < float("inf"):
        raise UsageError(f"{path}: {value!r} is negative or endless")
    return value


_WORDS: Mapping[type, str] = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _member(value: Any, wanted: type[Enum], path: str) -> Enum:
    try:
        return wanted(value)
    except ValueError:
        raise UsageError(f"{path}: {value!r} is unknown", "one of " + ", ".join(str(each) for each in wanted)) from None


def _words(step: Step) -> str:
    together = " + ".join(_plain(effect) for effect in step.effects)
    return together if step.times is None else f"{together} x{step.times}"


def _script(value: Any, path: str) -> Script:
    """From one text as in a mark, or from a list of its parts."""
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise UsageError(f"{path}: not a text", 'write it as in a mark: "529 x2, lose x1"')
    try:
        return tuple(step for part in parts for step in effects.parse(part))
    except UsageError as error:
        raise UsageError(f"{path}: {error.message}", error.hint) from None


def _effect(value: Any, path: str) -> Effect:
    if not isinstance(value, str):
        raise UsageError(f"{path}: not a text", "one of " + ", ".join(Kind))
    try:
        steps = effects.parse(value)
    except UsageError as error:
        raise UsageError(f"{path}: {error.message}", error.hint) from None
    if len(steps) != 1 or len(steps[0].effects) != 1 or steps[0].times is not None:
        raise UsageError(f"{path}: `{value}` is more than one effect")
    return steps[0].effects[0]
