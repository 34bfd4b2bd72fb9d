"""How an answer is to be: its effort, its form, and where it ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from batchrun.core.models import Model
from batchrun.core.problem import Severity
from batchrun.jobfile.codes import Code
from batchrun.jobfile.excerpt import shown
from batchrun.jobfile.faults import Fault, article, did_you_mean
from batchrun.jobfile.output_schema import faults_of_schema
from batchrun.jobfile.rules import Rules

EFFORTS = ("low", "medium", "high", "xhigh", "max")
"""From the least to the most (effort page, 2026-10)."""

_KNOWN = frozenset({"effort", "format", "task_budget"})
_FORM = '`{"type": "json_schema", "schema": {…}}`'


def check_output_config(value: Any, model: Model | None, _rules: Rules) -> Iterator[Fault]:
    here = ("output_config",)
    if not isinstance(value, dict):
        yield Fault(code=Code.OUTPUT, path=here, message=f"`output_config` must be an object, not {article(value)}")
        return
    for name in value:
        if name not in _KNOWN:
            yield Fault(
                code=Code.UNKNOWN_KEY,
                path=(*here, name),
                name=True,
                message=f"unknown key `{shown(name)}` of `output_config`; it is sent as it is",
                hint=did_you_mean(name, _KNOWN),
                severity=Severity.WARNING,
            )
    if value.get("effort") is not None:
        yield from _effort(value["effort"], model)
    if value.get("format") is not None:
        yield from _format(value["format"])


def _effort(effort: Any, model: Model | None) -> Iterator[Fault]:
    path = ("output_config", "effort")
    known = model.efforts if model is not None else None
    if not isinstance(effort, str) or effort not in EFFORTS:
        listed = f"{', '.join(EFFORTS[:-1])} or {EFFORTS[-1]}"
        meant = did_you_mean(effort, frozenset(EFFORTS)) if isinstance(effort, str) else ""
        said = f"`effort` must be {listed}, not {article(effort)}"
        yield Fault(code=Code.EFFORT, path=path, message=said, hint=meant)
    elif model is not None and known is not None and effort not in known:
        takes = ", ".join(f"`{each}`" for each in EFFORTS if each in known)
        yield Fault(
            code=Code.EFFORT,
            path=path,
            message=f"`{model.id}` takes no effort `{effort}`" if takes else f"`{model.id}` takes no `effort`",
            hint=f"it takes {takes}" if takes else "leave it out",
        )


def _format(form: Any) -> Iterator[Fault]:
    path = ("output_config", "format")
    if not isinstance(form, dict) or form.get("type") != "json_schema":
        said = article(form.get("type")) if isinstance(form, dict) else article(form)
        yield Fault(
            code=Code.OUTPUT,
            path=(*path, "type") if isinstance(form, dict) and "type" in form else path,
            message=f'`type` of `output_config.format` must be "json_schema", not {said}',
            hint=f"write {_FORM}",
        )
    elif "schema" not in form:
        openai = "json_schema" in form
        yield Fault(
            code=Code.OUTPUT,
            path=(*path, "json_schema") if openai else path,
            name=openai,
            message="`schema` of `output_config.format` is missing",
            hint=f"OpenAI's API has it one level deeper; here it is {_FORM}" if openai else f"write {_FORM}",
        )
    else:
        yield from faults_of_schema((*path, "schema"), form["schema"])


def check_stop_sequences(value: Any, _of: Model | None, _rules: Rules) -> Iterator[Fault]:
    if not isinstance(value, list):
        said = f"`stop_sequences` must be a list of texts, not {article(value)}"
        hint = "write it in brackets" if isinstance(value, str) else ""
        yield Fault(code=Code.STOP_SEQUENCES, path=("stop_sequences",), message=said, hint=hint)
        return
    for index, each in enumerate(value):
        if not isinstance(each, str) or not each.strip():
            said = "is blank: the API refuses that" if isinstance(each, str) else f"must be text, not {article(each)}"
            yield Fault(code=Code.STOP_SEQUENCES, path=("stop_sequences", index), message=f"this stop sequence {said}")


def effort_of(request: Mapping[str, Any]) -> str | None:
    """The effort that *request* names, if it is text."""
    config = request.get("output_config")
    effort = config.get("effort") if isinstance(config, dict) else None
    return effort if isinstance(effort, str) else None
