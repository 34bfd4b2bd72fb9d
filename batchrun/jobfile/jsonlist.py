"""The items of a JSON list, read one at a time: a list of any length, in memory that does not grow with it."""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from batchrun.core.problem import Problem
from batchrun.jobfile.codes import Code
from batchrun.jobfile.faults import Fault
from batchrun.jobfile.json_text import DEPTH
from batchrun.jobfile.textlines import LINE_BYTES, not_utf8

CHUNK = 1 << 20
"""Bytes that are read at a time."""
_NEAR = 16
"""Characters from the end of what was read within which a mistake may only mean that more is to come."""

_BLANK = re.compile(r"[ \t\r\n]*")
_LIST = re.compile(r"\[")
_scan = json.JSONDecoder(parse_int=len, parse_float=len, parse_constant=len).raw_decode
"""(something, where the value ends)."""


class Item(NamedTuple):
    """One item as it is written, and where it begins, from 1."""

    line: int
    column: int
    text: str


class JsonList:
    """The items of the list that begins, behind *lead*, in the input *name*. *more* is what ends it beside its bracket.

    *lead* matches the beginning of the text up to and with the opening bracket.
    """

    def __init__(self, name: str, reader: io.BufferedReader, lead: re.Pattern[str] = _LIST, more: str = "") -> None:
        self._name = name
        self._reader = reader
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._lead = lead
        self._more = more
        self._text = ""
        self._at = 0  # how far it is read
        self._line, self._column = 1, 1
        self._ended = False

    def __iter__(self) -> Iterator[Item | Problem]:
        """Each item; at a mistake of the list itself its problem, which is the last. Raises OSError."""
        try:
            yield from self._items()
        except _Wrong as wrong:
            yield wrong.problem

    def _items(self) -> Iterator[Item]:
        while not self._ended and len(self._text) < CHUNK:
            self._read()
        lead = self._lead.match(self._text, self._blank())
        self._pass(lead.end() if lead else self._at)
        if self._next() != "]":
            while True:
                yield self._item()
                match self._next():
                    case ",":
                        self._pass(self._at + 1)
                        self._next()
                    case "]":
                        break
                    case _:
                        raise self._wrong("a comma or the closing bracket of the list is missing here")
        self._pass(self._at + 1)
        for mark in self._more:
            if self._next() != mark:
                raise self._wrong(f"behind the list stands more than `{mark}`", "only the items of the list are read")
            self._pass(self._at + 1)
        if self._next():
            raise self._wrong("behind the list stands more", "a file holds one list")

    def _item(self) -> Item:
        """The value that begins here, with more read as long as it may only be cut short."""
        while True:
            try:
                _value, end = _scan(self._text, self._at)
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - _NEAR
                if self._ended or not cut:
                    raise self._broken(error) from None
            except RecursionError:
                raise self._wrong(f"nested more than {DEPTH} times", code=Code.TOO_DEEP) from None
            else:
                item = Item(self._line, self._column, self._text[self._at : end])
                self._pass(end)
                return item
            if len(self._text) - self._at > LINE_BYTES:
                raise self._wrong(f"this item has more than {LINE_BYTES:,} characters", code=Code.LINE_TOO_LONG)
            have = len(self._text) - self._at
            while not self._ended and len(self._text) - self._at < 2 * have + CHUNK:
                self._read()

    def _next(self) -> str:
        """The next character that is no blank; "" at the end."""
        self._pass(self._blank())
        return self._text[self._at : self._at + 1]

    def _blank(self) -> int:
        while True:
            found = _BLANK.match(self._text, self._at)
            end = found.end() if found else self._at
            if end < len(self._text) or self._ended:
                return end
            self._pass(end)
            self._read()

    def _pass(self, end: int) -> None:
        down = self._text.count("\n", self._at, end)
        if down:
            self._line += down
            self._column = end - self._text.rfind("\n", self._at, end)
        else:
            self._column += end - self._at
        self._at = end

    def _read(self) -> None:
        """More of the input; what is passed is forgotten."""
        raw = self._reader.read(CHUNK)
        self._ended = len(raw) < CHUNK
        if self._at:
            self._text, self._at = self._text[self._at :], 0
        try:
            self._text += self._decoder.decode(raw, final=self._ended)
        except UnicodeDecodeError as error:
            line = self._line + self._text.count("\n") + raw.count(b"\n", 0, error.start)
            raise _Wrong(not_utf8(bytes(error.object), error).at(self._name, line)) from None

    def _broken(self, error: json.JSONDecodeError) -> _Wrong:
        begin = self._at
        self._pass(max(begin, min(error.pos, len(self._text))))
        return self._wrong(f"not valid JSON: {error.msg[:1].lower()}{error.msg[1:]}", "the list is read up to here")

    def _wrong(self, message: str, hint: str = "", code: Code = Code.NOT_JSON) -> _Wrong:
        begin = self._text.rfind("\n", 0, self._at) + 1
        line = self._text[begin:].partition("\n")[0]
        # The beginning of a long line may be forgotten already: then columns count from what is left of it.
        return _Wrong(Fault(code=code, message=message, hint=hint).at(self._name, self._line, line, self._at - begin))


class _Wrong(Exception):
    """The list cannot be read on."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem = problem
