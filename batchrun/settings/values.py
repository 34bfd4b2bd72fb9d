"""How one value is read, from a flag, a variable or a settings file alike, and how it is shown again.

A reader takes text, or a TOML value, and raises ValueError with the end of a sentence: "must be …".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from batchrun.core.figures import MOST_DOLLARS, parse_dollars

Read = Callable[[object], Any]

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


def text(raw: object) -> str:
    if not isinstance(raw, str):
        raise ValueError("must be text")  # noqa: TRY004  # every bad value alike
    if "\0" in raw:
        raise ValueError("must not contain a NUL character")
    return raw


def command(raw: object) -> str:
    """A command line, which is cut into words as a shell does it."""
    import shlex  # noqa: PLC0415  # only who uses such a command pays for it

    try:
        words = shlex.split(text(raw))
    except ValueError:
        raise ValueError("must be a command whose quotes close") from None
    if not words:
        raise ValueError("must be a command")
    return text(raw)


def path(raw: object) -> str:
    if not text(raw):
        raise ValueError("must not be empty")
    return text(raw)


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number within bounds."""

    least: int
    most: int

    def __call__(self, raw: object) -> int:
        if isinstance(raw, str) and re.fullmatch(r"\d{1,12}", raw.strip().replace("_", "").replace(",", "")):
            raw = int(raw.strip().replace("_", "").replace(",", ""))
        if not isinstance(raw, int) or isinstance(raw, bool) or not self.least <= raw <= self.most:
            raise ValueError(f"must be a whole number from {self.least:,} to {self.most:,}")
        return raw


integer = Whole  # as the settings read: a reader is made like a function


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words."""

    allowed: tuple[str, ...]

    def __call__(self, raw: object) -> str:
        word = str(raw) if isinstance(raw, str | int) and not isinstance(raw, bool) else ""
        if word not in self.allowed:
            raise ValueError(f"must be one of {', '.join(self.allowed)}")
        return word


def choice(*allowed: str) -> Choice:
    return Choice(allowed)


def amount(raw: object) -> int:
    """Dollars as nano-dollars."""
    wanted = f"must be an amount of dollars up to {MOST_DOLLARS:,}, such as 50 or 0.25"
    if isinstance(raw, bool) or raw is None:
        raise ValueError(wanted)
    try:
        return parse_dollars(str(raw))
    except ValueError:
        raise ValueError(wanted) from None


def duration(raw: object) -> float:
    """Seconds: `90`, `90s`, `5m`, `1h30m`, `2d`."""
    words = str(raw).strip() if not isinstance(raw, bool) else ""
    if re.fullmatch(r"\d+(\.\d+)?", words):
        return float(words)
    parts = _SPAN.findall(words)
    if not parts or "".join(number + unit for number, unit in parts) != words:
        raise ValueError("must be a time, such as 90, 90s, 5m or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


@dataclass(frozen=True, slots=True)
class Span:
    """A duration within bounds, in seconds."""

    least: float
    most: float

    def __call__(self, raw: object) -> float:
        seconds = duration(raw)
        if not self.least <= seconds <= self.most:
            raise ValueError(f"must be from {self.least:g} to {self.most:g} seconds")
        return seconds


span = Span


def hours(raw: object) -> str:
    """When jobs may be sent, as `core.hours` reads it, with single blanks."""
    from batchrun.core.hours import hours as read  # noqa: PLC0415  # only who sets hours pays for time zones

    words = " ".join(text(raw).split())
    read(words)
    return words


def api_version(raw: object) -> str:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", str(raw)):
        raise ValueError("must be a version of the API, such as 2023-06-01")
    return str(raw)


def codes(raw: object) -> tuple[str, ...]:
    """Codes of problems, in a list or with commas between them: `BR117,BR158`."""
    words = raw if isinstance(raw, list | tuple) else str(raw).replace(",", " ").split()
    if not all(isinstance(word, str) and re.fullmatch(r"BR\d{3}", word.upper()) for word in words):
        raise ValueError("must be codes of problems, such as BR117 or BR117,BR158")
    return tuple(word.upper() for word in words)
