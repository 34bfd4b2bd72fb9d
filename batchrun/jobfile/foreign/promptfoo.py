"""A promptfoo configuration: each of its prompts with the variables of each of its tests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from batchrun.jobfile.excerpt import shown
from batchrun.jobfile.faults import Path, article
from batchrun.jobfile.foreign.loss import Losses, Target
from batchrun.jobfile.foreign.openai_turns import Turns

_NAME = re.compile(r"\{\{-?\s*([\w.]+)\s*-?\}\}")
_LOGIC = re.compile(r"\{%|\{\{[^}]*[|(\[]")
_OF_TEST = frozenset({"assert", "description", "metadata", "options", "threshold", "vars"})
_QUIET = frozenset({"description", "prompts", "tests", "defaultTest"})


def is_promptfoo(value: Mapping[str, Any]) -> bool:
    return "prompts" in value and not value.keys() & {"version", "jobs", "template"}


def converted(config: Mapping[str, Any], target: Target, losses: Losses) -> Iterator[dict[str, Any]]:
    """The jobs, as short lines: the id names the prompt and the test; variables and assertions are handed back."""
    model, most = target.models.get(""), target.max_tokens
    if model is None:
        losses.refuse((), "the jobs need a model", "say which: --model claude-haiku-5-5", name=False)
    if most is None:
        losses.refuse((), "the jobs need a bound for their answers", "say which: --max-tokens 1024", name=False)
    for name in config:
        if name not in _QUIET:
            losses.lost((name,), f"`{shown(name)}` is left out", _hint(name))
    prompts = list(_prompts(config.get("prompts"), losses))
    tests = list(_tests(config, losses))
    if losses.refused:
        return
    for (label, prompt), (number, values, kept) in product(prompts, tests):
        request = _request(prompt, values, losses)
        yield {
            "id": f"{label}/{number}",
            "model": model,
            "max_tokens": most,
            **request,
            "metadata": {"prompt": label, "vars": values} | kept,
        }


def _hint(name: str) -> str:
    return "batchrun has the model from --model" if name in ("providers", "targets") else ""


def _prompts(prompts: Any, losses: Losses) -> Iterator[tuple[str, str]]:
    """(what names it, its text)."""
    here: Path = ("prompts",)
    listed = [prompts] if isinstance(prompts, str) else prompts
    if not isinstance(listed, list) or not listed:
        losses.refuse(here if prompts is not None else (), "`prompts` is missing, or no list of texts", name=False)
        return
    for index, each in enumerate(listed):
        text = each.get("raw", each.get("prompt")) if isinstance(each, dict) else each
        label = each.get("label", each.get("id")) if isinstance(each, dict) else None
        if not isinstance(text, str) or text.startswith("file://"):
            said = "a prompt from a file or a function cannot be converted" if text else "a prompt without a text"
            losses.refuse((*here, index), said, "write its text into the configuration", name=False)
        elif _LOGIC.search(text):
            said = "a prompt with filters or conditions cannot be converted"
            losses.refuse((*here, index), said, "plain `{{ names }}` can be; or write a batchrun template", name=False)
        else:
            yield str(label) if label else f"prompt-{index + 1}", text


def _tests(config: Mapping[str, Any], losses: Losses) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(what names it, its variables, what else is handed back)."""
    tests, usual = config.get("tests"), config.get("defaultTest")
    base = usual.get("vars") if isinstance(usual, dict) else None
    if isinstance(usual, str):
        losses.refuse(("defaultTest",), "a default test from a file cannot be converted", name=False)
    if tests is None:
        tests = [{}]
    if not isinstance(tests, list):
        losses.refuse(
            ("tests",), "tests from a file cannot be converted", "write them out, or use them as `data` of a template"
        )
        return
    for index, test in enumerate(tests):
        here: Path = ("tests", index)
        values = test.get("vars", {}) if isinstance(test, dict) else None
        if not isinstance(test, dict) or not isinstance(values, dict):
            losses.refuse(here, f"a test must be an object with `vars`, not {article(test)}", name=False)
            continue
        for name in test:
            if name not in _OF_TEST:
                losses.lost((*here, name), f"`{shown(name)}` of a test is left out")
        kept = {name: test[name] for name in ("assert", "description", "metadata") if test.get(name)}
        everything = {**(base if isinstance(base, dict) else {}), **values}
        for name, value in everything.items():
            if isinstance(value, str) and value.startswith("file://"):
                losses.refuse((*here, "vars", name), "a variable from a file cannot be converted", name=False)
        names = [name for name, value in everything.items() if isinstance(value, list)]
        for count, chosen in enumerate(product(*(everything[name] for name in names))):
            number = f"test-{index + 1}" + (f"-{count + 1}" if names else "")
            yield number, everything | dict(zip(names, chosen, strict=True)), kept


def _request(prompt: str, values: Mapping[str, Any], losses: Losses) -> dict[str, Any]:
    """What is sent: one message, or the conversation that the prompt is as JSON."""
    try:
        talk = json.loads(prompt) if prompt.lstrip().startswith("[") else None
    except (ValueError, RecursionError):
        talk = None
    if not isinstance(talk, list):
        return {"prompt": _filled(prompt, values, losses)}
    turns = Turns(losses)
    turns.chat(("prompts",), _filled_in(talk, values, losses))
    return ({"system": "\n\n".join(turns.system)} if turns.system else {}) | {"messages": turns.messages}


def _filled_in(value: Any, values: Mapping[str, Any], losses: Losses) -> Any:
    if isinstance(value, str):
        return _filled(value, values, losses)
    if isinstance(value, list):
        return [_filled_in(each, values, losses) for each in value]
    if isinstance(value, dict):
        return {name: _filled_in(each, values, losses) for name, each in value.items()}
    return value


def _filled(text: str, values: Mapping[str, Any], losses: Losses) -> str:
    def value_of(found: re.Match[str]) -> str:
        value: Any = values
        for step in found[1].split("."):
            value = value.get(step) if isinstance(value, dict) else None
        if value is None:
            losses.refuse(("prompts",), f"no test variable is called `{shown(found[1])}`", name=False)
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    return _NAME.sub(value_of, text)
