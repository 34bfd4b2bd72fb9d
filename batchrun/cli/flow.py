"""Lines that fit a narrow terminal: what does not fit goes on in the next one, and nothing is cut.

Commands are never broken: whoever marks one with the mouse gets all of it. Where no terminal is, a line stays a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from batchrun.cli.output import columns_of
from batchrun.cli.screen import Screen

INDENT = 4

_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_COMMAND = re.compile(r"(batchrun .+?)(?=  |$)")
"""A command goes on to the end of the text or to two blanks."""


def flow(screen: Screen, parts: Iterable[str], *, indent: int = INDENT) -> None:
    """Write *parts* to stdout, one after another as they are; one that does not fit begins a new, indented line."""
    for line in flowed(parts, screen.width if screen.tty else None, indent=indent):
        screen.line(line)


def flowed(parts: Iterable[str], width: int | None, *, indent: int = INDENT) -> Iterator[str]:
    """The lines of `flow` in at most *width* columns; None for any number. A part that is longer stands alone."""
    line, turned = "", False
    for part in parts:
        if width is not None and line.strip() and _columns(line + part.rstrip()) > width:
            yield line.rstrip()
            line, turned = " " * indent, True
        line += part.lstrip() if turned and not line.strip() else part
    yield line.rstrip()


def words(text: str) -> Iterator[str]:
    """*text* as parts that may stand in lines of their own: its words."""
    for n, word in enumerate(text.split(" ")):
        yield f" {word}" if n else word


def items(text: str) -> Iterator[str]:
    """*text* as parts that may stand in lines of their own: what commas set apart."""
    *most, last = text.split(", ")
    for n, item in enumerate(most):
        yield f"{' ' if n else ''}{item},"
    yield f" {last}" if most else last


def advice(text: str) -> Iterator[str]:
    """*text* as parts: its words, but each command in one piece."""
    for n, piece in enumerate(_COMMAND.split(text)):
        if n % 2:
            yield piece
        else:
            yield from words(piece)


def _columns(text: str) -> int:
    return columns_of(_STYLE.sub("", text))
