"""One small function for each parameter that can be wrong; a parameter without one is nobody's business here.

A check answers with what the API surely refuses. What it may refuse is a warning, and what is new is let through: the
API grows faster than these lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

from batchrun.core.figures import count
from batchrun.core.models import Model
from batchrun.jobfile.cache_marks import faults_of_marks
from batchrun.jobfile.codes import Code
from batchrun.jobfile.excerpt import shown
from batchrun.jobfile.faults import Fault, article, did_you_mean
from batchrun.jobfile.json_text import too_deep
from batchrun.jobfile.messages import check_messages, text_block
from batchrun.jobfile.output import check_output_config, check_stop_sequences
from batchrun.jobfile.parameters import PARAMETERS, REQUIRED
from batchrun.jobfile.rules import Rules
from batchrun.jobfile.thinking import check_thinking, faults_of_thinking
from batchrun.jobfile.tools import check_tool_choice, check_tools, faults_of_choice

Check = Callable[[Any, Model | None, Rules], Iterable[Fault]]
"""(the parameter's value, the model if the table has it, the rules) -> what is wrong."""

MOST_TOKENS = 2**31 - 1
"""No model writes more; what is more is a mistake even where the model is not known."""

_EXTENDED = "output-300k-2026-03-24"
_NEUTRAL: Mapping[str, tuple[float, ...]] = {"temperature": (1,), "top_p": (0.99, 1)}
"""Values of sampling parameters that models without them take: the defaults (models page, 2026-09)."""
_HEADERS = frozenset({"headers", "extra_headers"})
"""What other programs call them: they could replace the key, or break a request apart."""
_FOREIGN: Mapping[str, str] = {
    "frequency_penalty": "the API has no such parameter",
    "functions": "write `tools`",
    "logit_bias": "the API has no such parameter",
    "max_completion_tokens": "write `max_tokens`",
    "max_output_tokens": "write `max_tokens`",
    "n": "write a job for each answer",
    "output_format": "write `output_config` with `format`",
    "presence_penalty": "the API has no such parameter",
    "reasoning_effort": "write `output_config` with `effort`",
    "response_format": "write `output_config` with `format`",
    "seed": "the API has no such parameter",
    "stop": "write `stop_sequences`",
    "user": "write `metadata` with `user_id`, in a line with `params`",
}
"""What other APIs, or earlier versions of this one, call it."""


def faults_of(request: Mapping[str, Any], model: Model | None, known: frozenset[str], rules: Rules) -> list[Fault]:
    """All that is wrong with *request*; *known* are the names among which a misspelt one is looked for."""
    found: list[Fault] = []
    for name, value in request.items():
        check = CHECKS.get(name)
        if name != "messages" and (type(value) is dict or type(value) is list) and too_deep(value):
            found.append(Fault(code=Code.TOO_DEEP, path=(name,), message=f"`{shown(name)}` is nested too deeply"))
        elif check is not None:
            if value is not None or name in REQUIRED:  # null is as good as absent
                found += check(value, model, rules)
        elif name not in PARAMETERS:
            found.append(_headers(name) if name in _HEADERS else _unknown(name, known))
    if not request.keys() >= REQUIRED:
        found += _missing(request)
    if "tool_choice" in request:
        found += faults_of_choice(request)
    found += faults_of_thinking(request, model, rules)
    found += faults_of_marks(request)
    return [fault for fault in found if fault.code not in rules.ignored] if found and rules.ignored else found


def _model(value: Any, model: Model | None, rules: Rules) -> Iterable[Fault]:
    if model is not None and not (model.deprecated or model.retires or model.retired):
        return ()
    if not isinstance(value, str) or not value:
        return (
            Fault(code=Code.MODEL, path=("model",), message=f"`model` must be a model's name, not {article(value)}"),
        )
    if model is None:
        return (
            Fault(
                code=Code.UNKNOWN_MODEL,
                path=("model",),
                message=f"no model `{shown(value)}` in the table of {rules.models.date}; it may be new",
                hint=did_you_mean(value, _served(rules)),
            ),
        )
    if model.gone(rules.today):
        since = f" since {model.retires}" if model.retires else ""
        return (
            Fault(
                code=Code.MODEL_RETIRED,
                path=("model",),
                message=f"`{shown(value)}` is retired{since}; requests for it fail",
                hint="name a current model",
            ),
        )
    when = (
        f"will be switched off on {model.retires}{_soon(model.retires, rules.today)}"
        if model.retires
        else "is deprecated"
    )
    return (
        Fault(
            code=Code.MODEL_RETIRES,
            path=("model",),
            message=f"`{shown(value)}` {when}",
            hint="jobs sent after that fail; name a current model",
        ),
    )


def _served(rules: Rules) -> frozenset[str]:
    return frozenset(name for name, model in rules.models.models.items() if not model.gone(rules.today))


def _soon(day: str, today: str) -> str:
    """How many days are left, where they can be counted."""
    try:
        days = (date.fromisoformat(day) - date.fromisoformat(today)).days
    except ValueError:
        return ""
    return f", in {count(days, 'day')}"


def _max_tokens(value: Any, model: Model | None, rules: Rules) -> Iterable[Fault]:
    most = None if model is None else model.max_output
    if model is not None and model.batch_output is not None and _EXTENDED in rules.betas:
        most = model.batch_output
    if type(value) is not int or value < 1:
        said = shown(f"{value:,}") if type(value) is int else article(value)
        return (
            Fault(
                code=Code.MAX_TOKENS,
                path=("max_tokens",),
                message=f"`max_tokens` must be a whole number from 1, not {said}",
                hint="for example 1024",
            ),
        )
    if value <= (MOST_TOKENS if most is None else most):
        return ()
    whose = "no model writes so much" if model is None or most is None else f"`{model.id}` writes at most {most:,}"
    return (
        Fault(
            code=Code.MAX_TOKENS_OVER,
            path=("max_tokens",),
            message=f"`max_tokens` is {shown(f'{value:,}')}; {whose}",
            hint="" if most is None else f"write {most} or less",
        ),
    )


def _stream(_value: Any, _of: Model | None, _rules: Rules) -> Iterable[Fault]:
    return (
        Fault(
            code=Code.STREAM,
            path=("stream",),
            name=True,
            message="`stream` makes no sense here: answers are stored, not watched",
            hint="remove it; large answers are streamed where that is needed",
        ),
    )


def _system(value: Any, _of: Model | None, _rules: Rules) -> Iterable[Fault]:
    if isinstance(value, str):
        return ()
    if not isinstance(value, list):
        return (
            Fault(
                code=Code.SYSTEM,
                path=("system",),
                message=f"`system` must be text or a list of text blocks, not {article(value)}",
            ),
        )
    found: list[Fault] = []
    for index, block in enumerate(value):
        here = ("system", index)
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            found.append(
                Fault(
                    code=Code.SYSTEM,
                    path=here,
                    message="each block of `system` must be an object with a `type`",
                    hint='for example `{"type": "text", "text": "…"}`',
                )
            )
        elif block["type"] == "text":
            found += text_block(here, block)
    return found


def _sampling(name: str) -> Check:
    def check(value: Any, model: Model | None, rules: Rules) -> Iterable[Fault]:
        if rules.strict:
            old = model is not None and model.sampling
            return (
                Fault(
                    code=Code.SAMPLING,
                    path=(name,),
                    name=True,
                    message=f"API version {rules.api_version} refuses `{name}`",
                    hint="remove it" + (', or set `api_version = "2023-06-01"`: this model takes it' if old else ""),
                ),
            )
        if model is None or model.sampling or value in _NEUTRAL.get(name, ()):
            return ()
        return (
            Fault(
                code=Code.SAMPLING,
                path=(name,),
                name=True,
                message=f"`{model.id}` refuses `{name}`",
                hint="remove it",
            ),
        )

    return check


def _geo(_value: Any, model: Model | None, _rules: Rules) -> Iterable[Fault]:
    if model is None or model.geo:
        return ()
    return (
        Fault(
            code=Code.GEO,
            path=("inference_geo",),
            name=True,
            message=f"`{model.id}` refuses `inference_geo`",
            hint="remove it",
        ),
    )


def _missing(request: Mapping[str, Any]) -> Iterable[Fault]:
    if "model" not in request:
        yield Fault(code=Code.NO_MODEL, message="`model` is missing", hint="for example `claude-haiku-5-5`")
    if "max_tokens" not in request:
        yield Fault(code=Code.NO_MAX_TOKENS, message="`max_tokens` is missing", hint="for example 1024")
    if "messages" not in request:
        yield Fault(code=Code.NO_MESSAGES, message="neither `prompt` nor `messages` is given")


def _headers(name: str) -> Fault:
    return Fault(
        code=Code.HEADERS,
        path=(name,),
        name=True,
        message=f"a job has no headers of its own: `{name}` would be sent as a parameter, which the API refuses",
        hint="headers of all jobs stand in YAML, beside `defaults`; the key and the version are settings",
    )


def _unknown(name: str, known: frozenset[str]) -> Fault:
    return Fault(
        code=Code.UNKNOWN_KEY,
        path=(name,),
        name=True,
        message=f"unknown parameter `{shown(name)}`; it is sent as it is",
        hint=_FOREIGN.get(name) or did_you_mean(name, known),
    )


CHECKS: Mapping[str, Check] = {
    "inference_geo": _geo,
    "max_tokens": _max_tokens,
    "messages": check_messages,
    "model": _model,
    "output_config": check_output_config,
    "stop_sequences": check_stop_sequences,
    "stream": _stream,
    "system": _system,
    "temperature": _sampling("temperature"),
    "thinking": check_thinking,
    "tool_choice": check_tool_choice,
    "tools": check_tools,
    "top_k": _sampling("top_k"),
    "top_p": _sampling("top_p"),
}
