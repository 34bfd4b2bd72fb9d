"""A template that is written on the command line: `--prompt "Classify: {{ text }}" --model … --max-tokens …`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from batchrun.core.job import Job
from batchrun.core.problem import Problem
from batchrun.jobfile.assembly import Assembly
from batchrun.jobfile.codes import Code
from batchrun.jobfile.faults import Fault
from batchrun.jobfile.row import Row
from batchrun.jobfile.sandbox import Sandbox
from batchrun.jobfile.template import Malformed, Template
from batchrun.jobfile.templated import Setting, Templated


def flag_jobs(
    template: Mapping[str, Any],
    sets: Mapping[str, Any],
    assembly: Assembly,
    rows: Iterable[Row | Problem],
    name: str,
    file: int,
) -> Iterator[Job | Problem]:
    """The jobs of *rows*, which stand in the input *name*, or what is wrong with them or with the flags."""
    try:
        compiled = Template(template, Sandbox())
    except Malformed as error:
        flag = _flag(error.path[0])
        message = f"{flag} is not a template: {error}"
        yield _nowhere(Fault(code=Code.TEMPLATE, message=message, hint='a column that is no word is `{{ row["…"] }}`'))
        return
    setting = Setting(variables={}, matrix={}, sets=sets)
    templated = Templated(compiled, setting, _Flags(), assembly)
    for fault in templated.unused():
        yield _nowhere(fault)
    yield from templated.jobs(rows, name, file)


class _Flags:
    """Flags have no place in any file."""

    def in_template(self, fault: Fault, line: int = 0) -> Problem:  # noqa: ARG002  # a flag has no lines
        flag = f"{_flag(fault.path[0])}: " if fault.path else ""
        return _nowhere(replace(fault, message=f"{flag}{fault.message}"))

    def in_defaults(self, fault: Fault) -> Problem:
        return self.in_template(fault)


def _flag(name: str | int) -> str:
    return f"--{name}".replace("_", "-")


def _nowhere(fault: Fault) -> Problem:
    return replace(fault.at("", 1), where=None)
