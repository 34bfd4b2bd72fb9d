"""Jobs in JSON: one in each line, or the items of a list; read one at a time, and a bad one never hides the next."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

from batchrun.core.job import Job, Where
from batchrun.core.problem import Problem
from batchrun.jobfile.assembly import Assembly
from batchrun.jobfile.codes import Code
from batchrun.jobfile.excerpt import KEY
from batchrun.jobfile.faults import Fault, article, listed
from batchrun.jobfile.forms import Draft, anthropic, short
from batchrun.jobfile.json_places import locate
from batchrun.jobfile.json_text import read
from batchrun.jobfile.jsonlist import JsonList
from batchrun.jobfile.jsontexts import JsonTexts
from batchrun.jobfile.moulds import Moulds
from batchrun.jobfile.textlines import TextLines

_OF_JOBS = frozenset({"custom_id", "params", "model", "max_tokens", "prompt", "messages", "system"})
"""What a line has at least one of that means a job."""
_EXAMPLE = 'for example `{"id": "a", "model": "claude-haiku-5-5", "max_tokens": 256, "prompt": "…"}`'


class JsonLines:
    """The lines, or items, of one input."""

    def __init__(self, name: str, file: int, assembly: Assembly) -> None:
        self._name = name
        self._file = file
        self._assembly = assembly
        self._texts = JsonTexts(name)
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
        lines = TextLines(self._name, reader)
        problems: list[Problem] = []
        for line in lines:
            if isinstance(line, Problem):
                yield line
                continue
            if not line or line.isspace():
                continue
            job = self._job(lines.number, line.rstrip("\r\n"), problems)
            if problems:
                yield from problems
                problems.clear()
            if job is not None:
                yield job

    def read_list(self, items: JsonList) -> Iterator[Job | Problem]:
        """The same for the items of a list."""
        problems: list[Problem] = []
        for item in items:
            if isinstance(item, Problem):
                yield item
                continue
            self._texts.column = item.column
            job = self._job(item.line, item.text, problems)
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
        where = Where(self._name, number, self._texts.column)
        if secret:
            problems.append(self._texts.secret(number, text, secret))
        elif (alike := self._moulds.cast(text, where, self._file)) is not None:
            return alike
        try:
            value = read(text)
            if (misfit := _misfit(value)) is not None:
                problems.append(self._texts.at(misfit, number, text, *locate(text, ())))
            else:
                draft = self._draft(value)
                job = self._assembly.job(draft, where, self._file, faults)
        except json.JSONDecodeError as error:
            problems.append(self._texts.not_json(number, text, error))
        except (ValueError, RecursionError):
            problems += self._texts.not_strict(number, text)
        if draft is not None and (faults or draft.faults):
            for fault in draft.faults:
                place = locate(text, fault.path, name=fault.name)
                problems.append(self._texts.at(fault, number, text, *place))
            for fault in faults:
                place = locate(text, draft.written(fault.path), name=fault.name)
                problems.append(self._texts.at(fault, number, text, *place))
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
    if value and _OF_JOBS.isdisjoint(value):
        return Fault(
            code=Code.TABLE,
            message=f"this is a row and not a job: it has {listed(list(value))}; a prompt makes jobs of such rows",
            hint='`batchrun submit FILE --prompt "… {{ name }}" --model claude-haiku-5-5 --max-tokens 256`',
        )
    return None
