"""Where in a JSON text a value stands, and what a strict reader refuses in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite

from batchrun.jobfile.codes import Code
from batchrun.jobfile.faults import Path
from batchrun.jobfile.json_text import DEPTH, is_whole

_BLANK = re.compile(r"[ \t\n\r]*")
_TOKEN = re.compile(
    r'[ \t\n\r]*+(?:(?P<text>"(?:[^"\\]++|\\.)*+")|(?P<mark>[{}\[\],:])|(?P<word>[^\s"{}\[\],:]++))', re.DOTALL
)
_NUMBER = re.compile(r"-?[0-9]++(?P<fraction>(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)")
_PLACES = json.JSONDecoder()


def locate(text: str, path: Path, *, name: bool = False) -> tuple[int, int]:
    """(offset, width) of the value at *path* in *text*, which is valid JSON; with *name*, of its key.

    A path that ends nowhere gives the last value on the way. A list or object is marked by its first character.
    """
    at, key = _skip(text, 0), -1
    for step in path:
        found = _member(text, at, step)
        if found is None:
            break
        key, at = found
    if name and key >= 0:
        at = key
    if text[at : at + 1] in {"{", "["}:
        return at, 1
    return at, _PLACES.raw_decode(text, at)[1] - at


def _member(text: str, at: int, step: str | int) -> tuple[int, int] | None:
    """(offset of the key, offset of the value) of one member of the object or list that begins at *at*."""
    is_object = text[at] == "{"
    if text[at] not in "{[" or is_object != isinstance(step, str):
        return None
    at, index = _skip(text, at + 1), 0
    while text[at] not in "]}":
        key, name = at, index
        if is_object:
            name, at = _PLACES.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)
        if name == step:
            return key, at
        at = _skip(text, _PLACES.raw_decode(text, at)[1])
        if text[at] == ",":
            at = _skip(text, at + 1)
        index += 1
    return None


def _skip(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at


@dataclass(frozen=True, slots=True)
class Blemish:
    """What a strict reader refuses in a text whose grammar is right, and where."""

    code: Code
    offset: int
    width: int
    what: str = ""


@dataclass(slots=True)
class _Open:
    """An object or list whose end has not come. In an object, `wants_key` says that the next text is a key."""

    is_object: bool
    wants_key: bool
    keys: set[str] = field(default_factory=set)


def blemishes(text: str) -> Iterator[Blemish]:
    """All that is wrong with *text* beside its grammar, in order; ends at nesting that is too deep.

    Where the grammar is wrong, too, what is found need not be all.
    """
    stack: list[_Open] = []
    at = 0
    while token := _TOKEN.match(text, at):
        at = token.end()
        start = token.start(token.lastgroup or 0)
        top = stack[-1] if stack else None
        match token[token.lastgroup or 0]:
            case "{" | "[" as mark:
                if len(stack) > DEPTH:
                    yield Blemish(Code.TOO_DEEP, start, 1)
                    return
                stack.append(_Open(is_object=mark == "{", wants_key=mark == "{"))
            case "}" | "]":
                if stack:
                    stack.pop()
            case ",":
                if top:
                    top.wants_key = top.is_object
            case ":":
                pass
            case word if token.lastgroup == "word":
                yield from _number(word, start)
            case literal:
                yield from _text(literal, start, top)


def _number(word: str, start: int) -> Iterator[Blemish]:
    if word in {"NaN", "Infinity", "-Infinity"}:
        yield Blemish(Code.NO_JSON_NUMBER, start, len(word), word)
    elif (number := _NUMBER.fullmatch(word)) is None:
        return  # the grammar's business
    elif number["fraction"]:
        if not isfinite(float(word)):
            yield Blemish(Code.NO_JSON_NUMBER, start, len(word), word)
    elif not is_whole(word):
        yield Blemish(Code.TOO_MANY_DIGITS, start, len(word))


def _text(literal: str, start: int, top: _Open | None) -> Iterator[Blemish]:
    try:
        value = json.loads(literal)
    except ValueError:
        return  # the grammar's business
    if not _sendable(value):
        offset, width = _half_character(literal)
        yield Blemish(Code.LONE_SURROGATE, start + offset, width)
    if top and top.wants_key:
        top.wants_key = False
        if value in top.keys:
            yield Blemish(Code.KEY_TWICE, start, len(literal), value)
        top.keys.add(value)


_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)


def _half_character(literal: str) -> tuple[int, int]:
    """Where in a JSON text with a lone surrogate that surrogate is written."""
    high: re.Match[str] | None = None
    for escape in _ESCAPE.finditer(literal):
        point = int(escape[1], 16) if escape[1] else 0
        if high and high.end() == escape.start() and 0xDC00 <= point < 0xE000:
            high = None
            continue
        if high or 0xDC00 <= point < 0xE000:
            found = high or escape
            return found.start(), len(found[0])
        high = escape if 0xD800 <= point < 0xDC00 else None
    return (high.start(), len(high[0])) if high else (0, len(literal))


def _sendable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
