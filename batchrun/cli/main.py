"""The entry point: runs one command and turns whatever becomes of it into an exit code and at most a few lines."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from batchrun.cli import options
from batchrun.cli.call import Call, flags_of
from batchrun.cli.lazy import LazyGroup
from batchrun.cli.screen import Screen, Tone, clean, silence
from batchrun.errors import BatchrunError, Exit


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    help="Queue, run and collect Claude requests. Survives crashes; safe to run again.",
    context_settings=options.CONTEXT,
)
@options.global_flags(hidden=False)
@click.pass_context
def program(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> NoReturn:
    sys.exit(run(sys.argv[1:]))


def run(args: Sequence[str]) -> int:
    """Run the program with *args* and return its exit code. Never raises."""
    _open_streams()
    call = Call()
    code = _guarded(args, call)
    return code or _flushed(call)


def _guarded(args: Sequence[str], call: Call) -> int:
    try:
        return _called(args, call)
    except click.exceptions.Exit as left:
        return left.exit_code
    except click.UsageError as error:
        from batchrun.cli.misuse import usage_error

        return fatal(usage_error(error), args, call)
    except click.ClickException as error:
        return fatal(BatchrunError(error.format_message()), args, call)
    except BatchrunError as error:
        return fatal(error, args, call)
    except (KeyboardInterrupt, click.Abort):
        return Exit.INTERRUPTED
    except OSError as error:
        if error.errno == errno.EPIPE:
            silence(sys.stdout)
            return Exit.PIPE
        return fatal(_out_of_room(error), args, call) if error.errno in _FULL else _bug(error, args, call)
    except Exception as error:  # noqa: BLE001  # the last resort: a page for whoever mends it
        return _bug(error, args, call)


def _called(args: Sequence[str], call: Call) -> int:
    """Without click's own `main`, which has other ideas of exit codes."""
    asked = os.environ.get("_BATCHRUN_COMPLETE")
    if asked:
        from batchrun.cli.completing import complete

        return complete(program, asked)
    call.flags = flags_of(os.environ)
    with program.make_context("batchrun", list(args), obj=call) as ctx:
        code = program.invoke(ctx)
    return int(code or Exit.OK)


def _bug(error: Exception, args: Sequence[str], call: Call) -> int:
    from batchrun.cli.crash import report

    return report(error, args, call)


_FULL = {errno.ENOSPC, errno.EDQUOT}


def _out_of_room(error: OSError) -> BatchrunError:
    from batchrun.errors import StoreError

    where = f"`{error.filename}`" if error.filename else "the output"
    return StoreError(
        f"cannot write {where}: {os.strerror(error.errno or 0).lower()}", hint="free some room and try again"
    )


def fatal(error: BatchrunError, args: Sequence[str], call: Call) -> int:
    """Say what is wrong and what cures it; under `--json` as one JSON line, the last on stderr."""
    _forget_stdout_if_broken()
    screen = call.screen
    if wants_json(args):
        import json

        record = {
            "event": "error",
            "code": error.exit.name.lower(),
            "exit": int(error.exit),
            "message": error.message,
            "hint": screen.typed(error.hint),
        }
        screen.must_say(json.dumps(record))
    else:
        screen.must_say(rendered(error, screen))
    return int(error.exit)


def rendered(error: BatchrunError, screen: Screen) -> str:
    text = f"{screen.talk_style('error:', Tone.BAD, Tone.BOLD)} {clean(error.message, lines=True)}"
    if error.hint:
        text += f"\n{screen.talk_style('hint:', Tone.HINT)} {clean(screen.typed(error.hint), lines=True)}"
    return text


def wants_json(args: Sequence[str]) -> bool:
    """Whether the caller is a program. Read from the words themselves: they may not have been understood."""
    words = list(args[: args.index("--")] if "--" in args else args)
    return "--json" in words or any(
        word in {"--format=json", "--format=jsonl"} or (word == "--format" and after in {"json", "jsonl"})
        for word, after in zip(words, [*words[1:], ""], strict=False)
    )


def _open_streams() -> None:
    """Give the three standard descriptors something to stand for, and never die of a character."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:  # closed by the caller; else the database would get this number
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(os.dup(descriptor), mode, encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _flushed(call: Call) -> int:
    """What is still in the buffer may meet a closed pipe or a full disk; the interpreter would only grumble."""
    try:
        sys.stdout.flush()
    except OSError as error:
        silence(sys.stdout)
        if error.errno == errno.EPIPE:
            return Exit.PIPE
        return fatal(_out_of_room(error), (), call)
    return Exit.OK


def _forget_stdout_if_broken() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        silence(sys.stdout)


if __name__ == "__main__":
    main()
