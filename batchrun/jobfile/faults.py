"""A fault is a mistake before it has a place: which check, which value, the reason and the cure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

from batchrun.core.job import Where
from batchrun.core.problem import Problem, Severity
from batchrun.jobfile.codes import COMMON, Code
from batchrun.jobfile.excerpt import excerpt, shown

_LISTED = 12

_FILE = re.compile(r"(`[^`]*(?<!--data )(?<=[ ]))FILE\b")
"""In a command between back-ticks; after --data it is another one."""

Path = tuple[str | int, ...]
"""The way to a value inside a JSON value: keys of objects and indexes of lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One mistake at `path`; `name` says that the last key of it is meant, not its value."""

    code: Code
    path: Path = ()
    message: str
    hint: str = ""
    severity: Severity | None = None  #: None: the code's own
    name: bool = False

    def at(self, file: str, line: int, text: str = "", offset: int = 0, width: int = 1) -> Problem:
        """The problem this is at *offset* (from 0) of *text*, which is line *line* of *file*."""
        source, mark, width = excerpt(text, offset, width)
        return Problem(
            code=self.code.value,
            where=Where(file, line, offset + 1),
            message=self.message,
            hint=_naming(self.hint, file),
            severity=self.severity or self.code.severity,
            source=source,
            mark=mark,
            width=width,
            common=self.code in COMMON,
            path=self.path,
        )


def _naming(hint: str, file: str) -> str:
    """*hint* with the file itself where a command in it says FILE, so that it can be typed as it stands."""
    if "FILE" not in hint or not file or file.startswith(("-", "<")):
        return hint
    name = shlex.quote(file)
    return _FILE.sub(lambda found: f"{found[1]}{name}", hint)


def article(value: object) -> str:
    """How a message names a value that stands in a wrong place: short, and never a whole text."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{shown(value)}"'
        case int() | float():
            return shown(str(value))
        case list():
            return "a list"
        case _:
            return "an object"


@lru_cache(maxsize=256)
def did_you_mean(word: str, known: frozenset[str]) -> str:
    """The question whether the nearest known word was meant, or "" if none is near."""
    near = get_close_matches(word[:64], sorted(known), n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else ""


def listed(names: Sequence[str]) -> str:
    """The first dozen of *names* in a message, and how many more there are."""
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return ", ".join(shown(name) for name in names[:_LISTED]) + more
