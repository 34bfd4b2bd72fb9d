"""TOML with exact numbers and mistakes in our words, and the line of each key, which no standard library tells."""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from typing import Any

from batchrun.errors import UsageError


def parsed(text: str, name: str) -> Any:
    """The values in *text*, decimals as Decimal. Raises UsageError, with *name*, line and column, if it is not TOML."""
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{name}{_at(str(error))}: not valid TOML: {_plain(str(error))}") from None


_PART = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*""")
_KEY = re.compile(rf"(?P<key>{_PART.pattern}(?:\.{_PART.pattern})*)=")
_TABLE = re.compile(rf"\s*\[\[?(?P<key>{_PART.pattern}(?:\.{_PART.pattern})*)\]\]?\s*(?:#.*)?$")


def lines_of(text: str) -> dict[tuple[str, ...], int]:
    """The line of each key and table header in TOML *text*, outside of texts of several lines."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    inside = ""
    for number, line in enumerate(text.split("\n"), start=1):
        if inside:
            inside = "" if inside in line else inside
            continue
        if match := _TABLE.match(line):
            table = _path(match["key"])
            lines.setdefault(table, number)
        elif match := _KEY.match(line):
            lines.setdefault(table + _path(match["key"]), number)
        inside = next((quotes for quotes in ('"""', "'''") if line.count(quotes) % 2), "")
    return lines


def _path(key: str) -> tuple[str, ...]:
    return tuple(double or single or bare for double, single, bare in _PART.findall(key))


def _at(message: str) -> str:
    match = re.search(r"\(at line (\d+), column (\d+)\)", message)
    return f":{match[1]}:{match[2]}" if match else ""


def _plain(message: str) -> str:
    words = re.sub(r"\s*\(at .*\)$", "", message)
    return words[:1].lower() + words[1:]
