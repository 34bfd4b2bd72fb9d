"""Every option once: its spelling, its help and its meaning are the same in each command.

A command is made by `command(*examples)` from a function that takes the `Call` first and returns its `Exit`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from batchrun import __version__
from batchrun.cli.call import Call
from batchrun.cli.output import Format
from batchrun.errors import Exit, UsageError

if TYPE_CHECKING:
    from batchrun.core.select import Selection

Function = TypeVar("Function", bound=Callable[..., Any])


class Decorator(Protocol):
    """Adds an option or argument to a command's function."""

    def __call__(self, function: Function, /) -> Function: ...


class Command(click.Command):
    """A command whose help ends with examples and which takes the global flags too."""

    examples: Sequence[str] = ()

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")
        formatter.write_paragraph()
        formatter.write_text("Flags for every command (--db, --simulate, -q, …): batchrun --help")


def command(*examples: str) -> Callable[[Callable[..., Exit]], Command]:
    """Make a command of a function; its docstring is the help, *examples* are lines to type."""

    def decorate(function: Callable[..., Exit]) -> Command:
        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Exit:
            return function(click.get_current_context().find_root().ensure_object(Call), *args, **kwargs)

        made = click.command(cls=Command, context_settings=CONTEXT)(global_flags(hidden=True)(called))
        made.examples = examples
        return made

    return decorate


CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def _set(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Note a global flag. Given before and after the command, the later one counts; `-v` adds up."""
    if value is None or value is False or value == 0:
        return
    call = ctx.find_root().ensure_object(Call)
    name = param.name
    if name == "verbose":
        value += call.flags.verbose
    call.flags = replace(call.flags, **{name: value})


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"batchrun {__version__}")
        ctx.exit()


def global_flags(*, hidden: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The global flags. Their variables (`BATCHRUN_DB` …) are read with the settings, or by `call.flags_of`."""

    def flag(*names: str, help: str, **more: Any) -> Callable[..., Any]:  # noqa: A002  # click's word
        return click.option(*names, help=help, hidden=hidden, expose_value=False, callback=_set, **more)

    flags = [
        flag("--db", metavar="PATH|URL", help="The database; default: batchrun.db of this folder or one above."),
        flag("--config-file", metavar="PATH", help="Read this settings file and no other."),
        flag("--no-config", is_flag=True, help="Read no settings file."),
        flag(
            "--simulate",
            is_flag=True,
            help="Use the simulated API and its own database: no key, no cost.",
        ),
        flag("-q", "--quiet", is_flag=True, help="Say nothing when all is well."),
        flag("-v", "--verbose", count=True, help="Say more: -v each event, -vv each attempt."),
        flag(
            "--color",
            metavar="WHEN",
            type=click.Choice(["auto", "always", "never"]),
            help="Colour: auto, always or never.",
        ),
        flag(
            "--progress",
            metavar="HOW",
            type=click.Choice(["auto", "bar", "plain", "json", "none"]),
            help="Progress on stderr: auto, bar, plain, json or none.",
        ),
        flag("--log-file", metavar="PATH", help="Append what happens as JSON lines."),
        click.option(
            "-V",
            "--version",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_version,
            hidden=hidden,
            help="Show the version.",
        ),
    ]

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for one in reversed(flags):
            function = one(function)
        return function

    return decorate


def offered(name: str) -> Callable[[click.Context, click.Parameter, str], Any]:
    """What the shell may offer: the function *name* of `cli.completing`, imported when it is asked."""

    def offer(ctx: click.Context, param: click.Parameter, beginning: str) -> Any:
        from batchrun.cli import completing

        return getattr(completing, name)(ctx, param, beginning)

    return offer


def run(function: Function) -> Function:
    """`RUN`: a name, an id like r-12, or `last`."""
    return click.argument("run", default="last", metavar="[RUN]", shell_complete=offered("run_names"))(function)


def optional_run(function: Function) -> Function:
    """`RUN` where none means all of them."""
    names = offered("run_names")
    return click.argument("run", default=None, required=False, metavar="[RUN]", shell_complete=names)(function)


def job_files(function: Function) -> Function:
    """`FILE...`, and the flags that make jobs of data; the command gets `inputs: Inputs`."""

    @functools.wraps(function)
    def called(*args: Any, files: tuple[str, ...], set_: tuple[str, ...], id_: str | None, **named: Any) -> Any:
        from batchrun.library.inputs import Flags, inputs_of

        said = {name: named.pop(name) for name in ("template", "data", "prompt", "system", "model", "max_tokens")}
        return function(*args, inputs=inputs_of(files, Flags(sets=set_, id=id_, **said)), **named)

    flags = [
        click.argument("files", nargs=-1, metavar="FILE..."),
        click.option("--data", multiple=True, metavar="FILE", help="The rows for the template of the job file."),
        click.option("--template", metavar="FILE", help="The job file whose template makes jobs of the rows in FILE."),
        click.option(
            "--set", "set_", multiple=True, metavar="K=V", help="A variable of the template; wins over all others."
        ),
        click.option(
            "--prompt", metavar="TEXT", help="Make a job of each row: names in {{ }} are its columns; @FILE reads it."
        ),
        click.option("--system", metavar="TEXT", help="With --prompt: the system prompt."),
        click.option("--model", metavar="MODEL", help="With --prompt: the model."),
        click.option("--max-tokens", type=click.IntRange(1), metavar="N", help="With --prompt: the longest answer."),
        click.option("--id", "id_", metavar="TEXT", help="With --prompt: each job's id, such as '{{ sku }}'."),
    ]
    made: Any = called
    for flag in reversed(flags):
        made = flag(made)
    return made  # type: ignore[no-any-return]  # the same function with other arguments


def formats(*allowed: Format) -> Decorator:
    """`--format` with `--json` as its short form; the command gets `format: Format | None`."""

    def shorten(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            ctx.params["format"] = Format.JSON

    def read(ctx: click.Context, _: click.Parameter, value: str | None) -> Format | None:
        return Format(value) if value is not None else ctx.params.get("format")

    def decorate(function: Function) -> Function:
        function = click.option(
            "--json", is_flag=True, is_eager=True, expose_value=False, callback=shorten, help="Short for --format json."
        )(function)
        return click.option(
            "--format",
            metavar="FORMAT",
            type=click.Choice([one.value for one in allowed]),
            callback=read,
            help=f"How it is written: {', '.join(allowed[:-1])} or {allowed[-1]}.",
        )(function)

    return decorate


def setting(name: str, help: str = "") -> Decorator:  # noqa: A002  # click's word
    """A setting as a flag of one command; its value is read with the settings. The command gets it as it was typed."""
    from batchrun.settings import OPTIONS

    option = OPTIONS[name]

    def offer(_: click.Context, __: click.Parameter, beginning: str) -> list[str]:
        return [word for word in getattr(option.read, "allowed", ()) if word.startswith(beginning)]

    def decorate(function: Function) -> Function:
        made = click.option(option.flag, name, metavar=option.metavar, help=help or option.help, shell_complete=offer)
        return made(function)

    return decorate


def seconds(flag: str, text: str | None) -> float | None:
    """The time that *flag* gives, as `settings.values.duration` reads it; None where it was not given."""
    from batchrun.settings.values import duration

    if text is None:
        return None
    try:
        return duration(text)
    except ValueError as error:
        raise UsageError(f"`{flag} {text}` {error}") from None


def json(function: Function) -> Function:
    """`--json` alone, for commands that have one form for people and one for programs; gives `json: bool`."""
    return click.option("--json", is_flag=True, help="Write JSON on stdout.")(function)


fields = click.option("--fields", metavar="A,B,C", help="Only these columns; dots reach inside.")


unfold = click.option("--unfold", is_flag=True, help="A column for each name in the answers' JSON.")
limit = click.option("-n", "--limit", type=click.IntRange(min=0), metavar="N", help="At most this many.")
output = click.option("-o", "--output", metavar="FILE", help="Write there instead; - is stdout.")
yes = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
dry_run = click.option("--dry-run", is_flag=True, help="Say what would happen, and do nothing.")


def _select(*, answers: bool) -> Decorator:
    def read(_: click.Context, __: click.Parameter, value: str | None) -> Selection | None:
        if value is None:
            return None
        from batchrun.core.select import parse

        return parse(value, answers=answers)

    fields = "state: error: model: id: stop: tag: batch: attempt:" + (" valid:" if answers else "")
    words = f"Only such jobs: {fields}. See `batchrun help select`."
    offer = offered("selections")
    return click.option("-s", "--select", metavar="EXPR", callback=read, help=words, shell_complete=offer)


select = _select(answers=False)
select_answers = _select(answers=True)
"""The same with `valid:`, for commands that look at answers."""
