"""What a submit or a check reads, as the command line names it: job files, or data with a template."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import Any

from batchrun.errors import UsageError
from batchrun.jobfile.given import NOTHING, Given, variable
from batchrun.jobfile.source import Source

STDIN = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The flags that say of templates, as they were typed."""

    template: str | None = None
    data: Sequence[str] = ()
    sets: Sequence[str] = ()
    prompt: str | None = None
    system: str | None = None
    model: str | None = None
    max_tokens: int | None = None
    id: str | None = None

    @property
    def of_prompt(self) -> dict[str, Any]:
        """Those of a template in flags, by the names of a job."""
        flags = {
            "id": self.id,
            "model": self.model,
            "max_tokens": self.max_tokens,
            "system": self.system,
            "prompt": self.prompt,
        }
        return {name: value for name, value in flags.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """`files` are read in their order; `given` says what else is known of them."""

    files: Sequence[str]
    given: Given = NOTHING
    stream: RawIOBase | None = None  #: what is read in the place of the only file, which is but its name

    @property
    def sources(self) -> list[Source]:
        """Raises UsageError if standard input is named twice."""
        return sources_of(self.files) if self.stream is None else [Source(name, self.stream) for name in self.files]


def inputs_of(files: Sequence[str], flags: Flags) -> Inputs:
    """What *files* and *flags* mean together. Raises UsageError where they contradict each other."""
    sets = dict(_variable(text) for text in flags.sets)
    if flags.prompt is not None:
        return _prompted(files, flags, sets)
    if flags.of_prompt:
        flag = "--" + next(iter(flags.of_prompt)).replace("_", "-")
        raise UsageError(f"{flag} is for a --prompt", hint="a template in a file says it itself")
    data = list(flags.data)
    if flags.template is not None:
        files, data = [flags.template], [*data, *files]
    if not files:
        raise UsageError(
            "no job file is named", hint="`batchrun submit jobs.jsonl`, or `batchrun submit rows.csv --prompt …`"
        )
    if data and len(files) > 1:
        raise UsageError("--data is for one job file with a template", hint="submit them one after the other")
    if STDIN in data and STDIN in files:
        raise UsageError("standard input can be read only once", hint="name `-` once")
    return Inputs(files=files, given=Given(sets=sets, data=sources_of(data)))


def _prompted(files: Sequence[str], flags: Flags, sets: dict[str, Any]) -> Inputs:
    if flags.template is not None:
        raise UsageError("`--prompt` and `--template` contradict each other", hint="choose one")
    data = [*files, *flags.data]
    if not data:
        raise UsageError("--prompt makes jobs of rows, and no data are named", hint="name a CSV or JSON lines file")
    missing = [flag for flag, value in (("--model", flags.model), ("--max-tokens", flags.max_tokens)) if value is None]
    if missing:
        hint = "for example --model claude-haiku-5-5 --max-tokens 256"
        raise UsageError(f"--prompt needs {' and '.join(missing)}", hint=hint)
    template = {
        name: _text(name, value) if name in {"prompt", "system"} else value for name, value in flags.of_prompt.items()
    }
    return Inputs(files=data, given=Given(sets=sets, template=template))


def sources_of(files: Sequence[str]) -> list[Source]:
    """The inputs that *files* name; "-" is standard input. Raises UsageError if that is named twice."""
    if list(files).count(STDIN) > 1:
        raise UsageError("standard input can be read only once", hint="name `-` once")
    return [Source(name, sys.stdin.buffer if name == STDIN else None) for name in files]


def _variable(text: str) -> tuple[str, Any]:
    try:
        return variable(text)
    except ValueError as error:
        raise UsageError(f"`--set {text}` {error}") from None


def _text(name: str, said: str) -> str:
    """A text from the command line; `@path` is what that file holds, and `@@` begins a literal @."""
    if said.startswith("@@"):
        return said[1:]
    if not said.startswith("@"):
        return said
    try:
        return Path(said[1:]).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is not text in UTF-8"
        raise UsageError(
            f"`--{name} {said}`: {reason.lower()}", hint="`@` names a file; a literal @ is written `@@`"
        ) from None
