"""Rows of the dated tables as files write them: which keys they may have, and what a nearer file changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from batchrun.core.suggest import did_you_mean

Row = Mapping[str, Any]
MOST_PRICE = 1_000_000
"""Dollars for a million tokens: at more, what one job may cost would not fit into a database."""

Rows = dict[str, dict[str, Any]]


def _whole(value: Any) -> str:
    return "" if isinstance(value, int) and not isinstance(value, bool) and value > 0 else "must be a whole number"


def _truth(value: Any) -> str:
    return "" if isinstance(value, bool) else "must be true or false"


def _dollars(value: Any) -> str:
    number = isinstance(value, int | Decimal) and not isinstance(value, bool) and Decimal(value).is_finite()
    return "" if number and 0 <= value <= MOST_PRICE else f"must be dollars per million tokens, up to {MOST_PRICE:,}"


def _words(value: Any) -> str:
    fine = isinstance(value, list) and all(isinstance(word, str) for word in value)
    return "" if fine else "must be a list of texts"


def _day(value: Any) -> str:
    try:
        date.fromisoformat(str(value))
    except ValueError:
        return "must be a day, such as 2026-11-30"
    return ""


_RATES: dict[str, Callable[[Any], str]] = dict.fromkeys(
    ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read"), _dollars
)


def _fast(value: Any) -> str:
    return _first_fault(_RATES, value, needs=("input", "output"))


def _bands(value: Any) -> str:
    if not isinstance(value, list):
        return "must be a list of bands"
    known = _RATES | {"over": _whole}
    return next(
        (fault for band in value if (fault := _first_fault(known, band, needs=("over", "input", "output")))), ""
    )


SHAPES: dict[Callable[[Any], str], dict[str, Any]] = {
    _whole: {"type": "integer", "minimum": 1},
    _truth: {"type": "boolean"},
    _dollars: {"type": "number", "minimum": 0, "maximum": MOST_PRICE},
    _words: {"type": "array", "items": {"type": "string"}},
    _day: {"type": "string", "format": "date"},
    _fast: {"type": "object"},
    _bands: {"type": "array", "items": {"type": "object"}},
}
"""What each check takes, as JSON Schema."""

KEYS: dict[str, dict[str, Callable[[Any], str]]] = {
    "limits": {"requests": _whole, "input_tokens": _whole, "output_tokens": _whole},
    "prices": _RATES | {"fast": _fast, "bands": _bands},
    "models": {
        "context": _whole,
        "max_output": _whole,
        "batch_output": _whole,
        "prefill": _truth,
        "sampling": _truth,
        "forced_tool": _truth,
        "thinking": _words,
        "thinks": _truth,
        "efforts": _words,
        "thinks_at": _words,
        "geo": _truth,
        "batch": _truth,
        "deprecated": _truth,
        "retires": _day,
        "retired": _truth,
    },
}


def check(table: str, rows: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    """(path below *table*, what is wrong there) for each fault of *rows*."""
    if not isinstance(rows, dict):
        yield (), f"`{table}` must be a table of tables, such as [{table}.name]"
        return
    for name, row in rows.items():
        if not isinstance(row, dict):
            yield (name,), f"`{table}.{name}` must be a table"
            continue
        for key, fault in _faults(KEYS[table], row):
            yield (name, key), fault


def merged(rows: Rows, over: Any) -> Rows:
    """*rows* with those of *over*, key by key."""
    if not isinstance(over, dict):
        return rows
    changed = {name: {**rows.get(name, {}), **row} for name, row in over.items() if isinstance(row, dict)}
    return {**rows, **changed}


def _faults(known: Mapping[str, Callable[[Any], str]], row: Row) -> Iterator[tuple[str, str]]:
    for key, value in row.items():
        if key not in known:
            yield key, f"unknown key `{key}`{did_you_mean(key, known)}"
        elif fault := known[key](value):
            yield key, f"`{key}` {fault}"


def _first_fault(known: Mapping[str, Callable[[Any], str]], row: Any, *, needs: tuple[str, ...]) -> str:
    if not isinstance(row, dict):
        return "must be a table"
    if missing := [key for key in needs if key not in row]:
        return f"needs `{missing[0]}`"
    return next((fault for _, fault in _faults(known, row)), "")
