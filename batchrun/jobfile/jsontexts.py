"""JSON values as texts in an input: read strictly, and what is wrong with them told in its place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from batchrun.core.job import Where
from batchrun.core.problem import Problem
from batchrun.jobfile.codes import Code
from batchrun.jobfile.excerpt import shown
from batchrun.jobfile.faults import Fault
from batchrun.jobfile.json_places import Blemish, blemishes
from batchrun.jobfile.json_text import DEPTH, read

_MOST_BLEMISHES = 20
_CURES = {
    "Extra data": "one line holds one object, and nothing after it",
    "Invalid control character at": "inside a text, write a line break as \\n and a tab as \\t",
    "Unterminated string starting at": "a text ends in the line it began in; write a line break as \\n",
    "Expecting property name enclosed in double quotes": "keys stand in double quotes, and no comma before `}`",
    "Invalid \\escape": "write a backslash as \\\\",
}


class JsonTexts:
    """The texts of the input *name*. `column` is where the one that is read begins in its line, from 1."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.column = 1

    def at(self, fault: Fault, number: int, text: str, offset: int = 0, width: int = 1) -> Problem:
        """The problem of *fault* at *offset* of *text*, which begins in line *number* and may go over several."""
        if self.column == 1 and "\n" not in text:
            return fault.at(self._name, number, text, offset, width)
        down = text.count("\n", 0, offset)
        begin = text.rfind("\n", 0, offset) + 1
        line = text[begin:].partition("\n")[0]
        problem = fault.at(self._name, number + down, line, offset - begin, min(width, max(1, len(line))))
        if down or self.column == 1:
            return problem
        return replace(problem, where=Where(self._name, number, self.column + offset))

    def value(self, number: int, text: str, problems: list[Problem]) -> Any:
        """The value of *text*, or None with *problems*."""
        try:
            return read(text)
        except json.JSONDecodeError as error:
            problems.append(self.not_json(number, text, error))
        except (ValueError, RecursionError):
            problems += self.not_strict(number, text)
        return None

    def secret(self, number: int, text: str, secret: re.Match[str]) -> Problem:
        fault = Fault(
            code=Code.SECRET,
            message="this line holds an API key; it would be sent and stored",
            hint="take it out of the file; if the file was shared, revoke the key",
        )
        return self.at(fault, number, text, secret.start(), len(secret[0]))

    def not_json(self, number: int, text: str, error: json.JSONDecodeError) -> Problem:
        fault = Fault(
            code=Code.NOT_JSON,
            message=f"not valid JSON: {error.msg[:1].lower()}{error.msg[1:]}",
            hint=_CURES.get(error.msg, "texts and keys stand in double quotes" if "'" in text[:32] else ""),
        )
        return self.at(fault, number, text, error.pos)

    def not_strict(self, number: int, text: str) -> Iterator[Problem]:
        """Why a line is no JSON value that can be sent as it is, where its grammar need not be what is wrong."""
        empty = True
        for blemish in islice(blemishes(text), _MOST_BLEMISHES):
            empty = False
            yield self.at(_fault_of(blemish), number, text, blemish.offset, blemish.width)
        if empty:
            yield self._unread(number, text)

    def _unread(self, number: int, text: str) -> Problem:
        """Why a line without a blemish could not be read."""
        try:
            json.loads(text)
        except json.JSONDecodeError as error:
            return self.not_json(number, text, error)
        except (ValueError, RecursionError):
            pass  # there is no more to say than below
        return self.at(Fault(code=Code.NOT_JSON, message="not JSON that can be sent"), number, text)


def _fault_of(blemish: Blemish) -> Fault:
    match blemish.code:
        case Code.KEY_TWICE:
            message = f"the key `{shown(blemish.what)}` stands twice in one object"
            hint = "remove one of them"
        case Code.LONE_SURROGATE:
            message, hint = "this escape is half a character, and cannot be sent", "write the character itself"
        case Code.TOO_DEEP:
            message, hint = f"nested more than {DEPTH} times", ""
        case Code.TOO_MANY_DIGITS:
            message, hint = f"a number of {blemish.width:,} digits", "write it as text"
        case _:
            message = f"JSON has no number `{shown(blemish.what)}`"
            hint = "write null, or leave it out"
    return Fault(code=blemish.code, message=message, hint=hint)
