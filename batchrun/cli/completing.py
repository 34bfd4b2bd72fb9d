"""What the shell offers while somebody types: commands, flags, choices, and the names that the queue knows.

It reads as `status` does, writes nothing, and offers nothing rather than to fail: a shell cannot show an error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing

import click
from click.shell_completion import CompletionItem, get_completion_class

from batchrun.cli.call import Call, flags_of
from batchrun.core.select import Field
from batchrun.core.states import State
from batchrun.errors import Exit, UsageError
from batchrun.queue import names
from batchrun.queue.reading import Reading

PROGRAM = "batchrun"
VARIABLE = "_BATCHRUN_COMPLETE"
SHELLS = ("bash", "zsh", "fish")
FIELDS = tuple(f"{field}:" for field in Field)

Look = Callable[[Reading], Sequence[str]]


def script(group: click.Command, shell: str) -> str:
    """What the shell has to evaluate once, for completion to work."""
    found = get_completion_class(shell)
    assert found is not None
    return found(group, {}, PROGRAM, VARIABLE).source()


def complete(group: click.Command, asked: str) -> Exit:
    """Answer what the shell asks, `zsh_complete` say, on stdout."""
    found = get_completion_class(asked.removesuffix("_complete"))
    if found is None or not asked.endswith("_complete"):
        return Exit.USAGE
    try:
        made = found(group, {"obj": Call(flags=flags_of(os.environ))}, PROGRAM, VARIABLE)
        told = made.complete()
        if told:
            click.echo(told)
    except Exception:  # noqa: BLE001  # whatever is wrong with what was typed so far, or with the queue
        return Exit.USAGE
    return Exit.OK


def run_names(ctx: click.Context, _: click.Parameter, beginning: str) -> list[str]:
    last = ["last"] if "last".startswith(beginning) else []
    return last + _asked(ctx, lambda reading: names.runs(reading, beginning))


def job_ids(ctx: click.Context, _: click.Parameter, beginning: str) -> list[str]:
    return _asked(ctx, lambda reading: names.jobs(reading, beginning))


def model_names(ctx: click.Context, _: click.Parameter, beginning: str) -> list[str]:
    return [name for name in _asked(ctx, names.models) if name.startswith(beginning)]


def selections(ctx: click.Context, _: click.Parameter, beginning: str) -> list[CompletionItem]:
    """The last term of what is typed so far: its field, then its value."""
    cut = max(beginning.rfind(mark) for mark in ", ~") + 1
    before, term = beginning[:cut], beginning[cut:]
    match term.partition(":")[0] if ":" in term else None:
        case None:
            offered: list[str] = list(FIELDS)
        case "state":
            offered = [f"state:{state.value}" for state in State]
        case "error":
            offered = [f"error:{name}" for name in _asked(ctx, names.errors)]
        case "model":
            offered = [f"model:{name}" for name in _asked(ctx, names.models)]
        case _:
            offered = []
    return [CompletionItem(before + one) for one in offered if one.startswith(term)]


def _asked(ctx: click.Context, look: Look) -> list[str]:
    """What *look* finds in the queue that the flags typed so far lead to."""
    try:
        with closing(Reading.open(ctx.find_root().ensure_object(Call).settings.db)) as reading:
            return list(look(reading))
    except Exception:  # noqa: BLE001  # no queue, no settings, no right to read: nothing to offer
        return []


def shell_of(word: str | None) -> str:
    """The shell that *word* names, or that the user has. Raises UsageError."""
    shell = word or os.path.basename(os.environ.get("SHELL", ""))  # noqa: PTH119  # a name alone
    if shell not in SHELLS:
        raise UsageError(f"no completion for the shell `{shell}`", hint=f"one of {', '.join(SHELLS)}")
    return shell
