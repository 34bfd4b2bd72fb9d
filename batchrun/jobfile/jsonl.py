"""JSON lines: each line one job, read one at a time; a bad one never hides the next."""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from batchrun.core.job import Job, Where
from batchrun.core.problem import Problem
from batchrun.jobfile.assembly import Assembly
from batchrun.jobfile.codes import Code
from batchrun.jobfile.excerpt import KEY, shown
from batchrun.jobfile.faults import Fault, article
from batchrun.jobfile.forms import Draft, anthropic, short
from batchrun.jobfile.json_places import Blemish, blemishes, locate
from batchrun.jobfile.json_text import DEPTH, read
from batchrun.jobfile.moulds import Moulds

LINE_BYTES = 34 * 1024 * 1024
"""How much of a line is read at most: somewhat more than the largest request the API takes."""

_EXAMPLE = 'for example `{"id": "a", "model": "claude-haiku-5-5", "max_tokens": 256, "prompt": "…"}`'
_MOST_BLEMISHES = 20
_CURES = {
    "Extra data": "one line holds one object, and nothing after it",
    "Invalid control character at": "inside a text, write a line break as \\n and a tab as \\t",
    "Unterminated string starting at": "a text ends in the line it began in; write a line break as \\n",
    "Expecting property name enclosed in double quotes": "keys stand in double quotes, and no comma before `}`",
    "Invalid \\escape": "write a backslash as \\\\",
}


class JsonLines:
    """The lines of one input."""

    def __init__(self, name: str, file: int, assembly: Assembly) -> None:
        self._name = name
        self._file = file
        self._assembly = assembly
        self._moulds = Moulds(assembly)
        self._anthropic = False
        self._short = False

    @property
    def shape(self) -> str:
        """Which forms of a job were met so far, in words."""
        forms = ["Anthropic batch lines"] * self._anthropic + ["short lines"] * self._short
        return " and ".join(forms)

    def read(self, reader: io.BufferedReader) -> Iterator[Job | Problem]:
        """Each line's job, or its problems; a warning comes before its job. Raises OSError if reading fails."""
        problems: list[Problem] = []
        number = 0
        while raw := reader.readline(LINE_BYTES + 1):
            number += 1
            if number == 1:
                raw = raw.removeprefix(codecs.BOM_UTF8)
            if raw.isspace() or not raw:
                continue
            if len(raw) > LINE_BYTES and not raw.endswith(b"\n"):
                yield self._too_long(number, raw, reader)
                continue
            try:
                text = raw.decode().rstrip("\r\n")
            except UnicodeDecodeError as error:
                yield self._not_utf8(number, raw, error)
                continue
            job = self._job(number, text, problems)
            if problems:
                yield from problems
                problems.clear()
            if job is not None:
                yield job

    def _job(self, number: int, text: str, problems: list[Problem]) -> Job | None:
        """The job of one line, unless *problems*, to which all that is found is added, has an error."""
        draft: Draft | None = None
        faults: list[Fault] = []
        job = None
        secret = KEY.search(text)
        where = Where(self._name, number)
        if secret:
            problems.append(self._secret(number, text, secret))
        elif (alike := self._moulds.cast(text, where, self._file)) is not None:
            return alike
        try:
            value = read(text)
            if (misfit := _misfit(value)) is not None:
                problems.append(misfit.at(self._name, number, text, *locate(text, ())))
            else:
                draft = self._draft(value)
                job = self._assembly.job(draft, where, self._file, faults)
        except json.JSONDecodeError as error:
            problems.append(self._not_json(number, text, error))
        except (ValueError, RecursionError):
            problems += self._not_strict(number, text)
        if draft is not None and (faults or draft.faults):
            for fault in draft.faults:
                problems.append(fault.at(self._name, number, text, *locate(text, fault.path, name=fault.name)))
            for fault in faults:
                place = locate(text, draft.written(fault.path), name=fault.name)
                problems.append(fault.at(self._name, number, text, *place))
        if job is not None and secret:
            self._assembly.withhold(job.key, job.where, job.file)
            return None
        if job is not None and draft is not None and not problems:
            self._moulds.learn(text, draft, job)
        return job

    def _draft(self, value: dict[str, Any]) -> Draft:
        if "params" in value or "custom_id" in value:
            self._anthropic = True
            return anthropic(value)
        self._short = True
        return short(value)

    def _secret(self, number: int, text: str, secret: re.Match[str]) -> Problem:
        fault = Fault(
            code=Code.SECRET,
            message="this line holds an API key; it would be sent and stored",
            hint="take it out of the file; if the file was shared, revoke the key",
        )
        return fault.at(self._name, number, text, secret.start(), len(secret[0]))

    def _not_json(self, number: int, text: str, error: json.JSONDecodeError) -> Problem:
        fault = Fault(
            code=Code.NOT_JSON,
            message=f"not valid JSON: {error.msg[:1].lower()}{error.msg[1:]}",
            hint=_CURES.get(error.msg, "texts and keys stand in double quotes" if "'" in text[:32] else ""),
        )
        return fault.at(self._name, number, text, error.pos)

    def _not_strict(self, number: int, text: str) -> Iterator[Problem]:
        """Why a line is no JSON value that can be sent as it is, where its grammar need not be what is wrong."""
        empty = True
        for blemish in islice(blemishes(text), _MOST_BLEMISHES):
            empty = False
            yield _fault_of(blemish).at(self._name, number, text, blemish.offset, blemish.width)
        if empty:
            yield self._unread(number, text)

    def _unread(self, number: int, text: str) -> Problem:
        """Why a line without a blemish could not be read."""
        try:
            json.loads(text)
        except json.JSONDecodeError as error:
            return self._not_json(number, text, error)
        except (ValueError, RecursionError):
            pass  # there is no more to say than below
        return Fault(code=Code.NOT_JSON, message="not JSON that can be sent").at(self._name, number, text)

    def _not_utf8(self, number: int, raw: bytes, error: UnicodeDecodeError) -> Problem:
        return not_utf8(raw, error).at(
            self._name, number, raw.decode(errors="replace").rstrip(), len(raw[: error.start].decode())
        )

    def _too_long(self, number: int, raw: bytes, reader: io.BufferedReader) -> Problem:
        """Skips the rest of the line."""
        length = len(raw)
        while rest := reader.readline(1 << 20):
            length += len(rest)
            if rest.endswith(b"\n"):
                break
        fault = Fault(
            code=Code.LINE_TOO_LONG,
            message=f"this line has {length:,} bytes; at most {LINE_BYTES:,} are read",
            hint="a request may have 32 MB; escapes like \\u4e2d take twice the room of the characters themselves",
        )
        return fault.at(self._name, number, raw[:1000].decode(errors="replace"))


def not_utf8(raw: bytes, error: UnicodeDecodeError) -> Fault:
    """The fault of bytes that are not UTF-8."""
    return Fault(
        code=Code.NOT_UTF8,
        message=f"byte 0x{raw[error.start]:02x} is not UTF-8",
        hint="save the file as UTF-8, for example `iconv -f LATIN1 -t UTF-8 FILE`",
    )


def _misfit(value: Any) -> Fault | None:
    """Why a value is no job at all."""
    if not isinstance(value, dict):
        return Fault(
            code=Code.NOT_AN_OBJECT,
            message=f"a line must hold an object, not {article(value)}",
            hint="`jq -c '.[]' FILE > jobs.jsonl` makes lines of a list" if isinstance(value, list) else _EXAMPLE,
        )
    if "params" in value:
        return None
    if "body" in value and "url" in value:
        return Fault(
            code=Code.OPENAI_LINE,
            message="this is a line of an OpenAI batch file",
            hint="`batchrun convert openai-batch FILE -o jobs.jsonl --model claude-haiku-5-5` makes jobs of it",
        )
    if "input" in value and ("target" in value or "choices" in value) and not value.keys() & {"prompt", "messages"}:
        return Fault(
            code=Code.FOREIGN,
            message="this is a sample of an Inspect dataset",
            hint="`batchrun convert inspect FILE -o jobs.jsonl --model MODEL --max-tokens 1024` makes jobs of it",
        )
    if isinstance(value.get("requests"), list):
        return Fault(
            code=Code.UNKNOWN_SHAPE,
            message="this is the body of a whole batch; each request must stand in a line of its own",
            hint="`jq -c '.requests[]' FILE > jobs.jsonl`",
        )
    if isinstance(value.get("jobs"), list):
        return Fault(
            code=Code.UNKNOWN_SHAPE,
            message="this is a whole job file in one line; in JSON lines, each line is one job",
            hint="name the file `.yaml`: JSON is YAML, too",
        )
    return None


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
