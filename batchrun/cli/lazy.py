"""The table of commands. `--help` and `--version` read only this; a command's module is imported when it is called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import click

from batchrun.core.suggest import did_you_mean

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


@dataclass(frozen=True, slots=True)
class Entry:
    """One command: where it is (`module:attribute` in cli.commands), its line in the help, and its section."""

    place: str
    line: str
    section: str


COMMANDS: Mapping[str, Entry] = {
    "submit": Entry("submit:submit", "check a job file, add its jobs, start them", "Start"),
    "check": Entry("check:check", "check a job file; add nothing", "Start"),
    "estimate": Entry("estimate:estimate", "what would it cost, how long would it take", "Start"),
    "convert": Entry("convert:convert", "turn OpenAI, promptfoo or Inspect files into job files", "Start"),
    "run": Entry("run:run", "do whatever is due: send, collect, retry", "Start"),
    "status": Entry("status:status", "where every job is", "Look"),
    "watch": Entry("watch:watch", "the same, live", "Look"),
    "wait": Entry("wait:wait", "stay until runs are over", "Look"),
    "results": Entry("results:results", "answers, as text, JSON or a table", "Look"),
    "errors": Entry("errors:errors", "what failed, grouped, and what to do", "Look"),
    "show": Entry("show:show", "one job: request, attempts, answer", "Look"),
    "log": Entry("log:log", "what happened and why, in order", "Look"),
    "batches": Entry("batches:batches", "the batches: list, adopt, resolve, delete", "Look"),
    "retry": Entry("retry:retry", "put failed jobs back", "Act"),
    "cancel": Entry("cancel:cancel", "stop a run or single jobs", "Act"),
    "pause": Entry("pause:pause", "send nothing more of a run, a model, or at all", "Act"),
    "resume": Entry("resume:resume", "lift pauses, so that the next run tries at once", "Act"),
    "export": Entry("export:export", "JSONL, CSV, Parquet, or Anthropic's results format", "Take away"),
    "report": Entry("report:report", "one HTML page about a run", "Take away"),
    "runs": Entry("runs:runs", "all runs: list, show, set, tag, rename, rm, prune", "Care"),
    "db": Entry("db:db", "the database: check, backup, restore, vacuum", "Care"),
    "init": Entry("init:init", "the files to start with: settings, jobs, cron, systemd", "Care"),
    "schema": Entry("schema:schema", "JSON Schemas of job files and settings, for editors", "Care"),
    "config": Entry("config:config", "settings, and where each came from", "Care"),
    "simulator": Entry("simulator:simulator", "serve the simulated API on this machine", "Care"),
    "completion": Entry("completion:completion", "completion for bash, zsh or fish", "Care"),
    "help": Entry("help:topics", "a command, or: exit-codes, environment, select, states, files", "Care"),
}

EXAMPLES = (
    ("batchrun submit jobs.jsonl", "batchrun status"),
    ("batchrun errors last", "batchrun retry last"),
)


def load(name: str) -> click.Command:
    """The command *name*, imported. Raises KeyError for an unknown one."""
    module, _, attribute = COMMANDS[name].place.partition(":")
    return cast("click.Command", getattr(importlib.import_module(f"batchrun.cli.commands.{module}"), attribute))


class LazyGroup(click.Group):
    """The program. Commands come from the table; the help screen is drawn from it too."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        return load(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS:
            raise click.UsageError(f"no such command `{name}`{did_you_mean(name, COMMANDS)}", ctx)
        return name, load(name), args[1:]

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """From the table alone; without it click would import every command."""
        from click.shell_completion import CompletionItem  # only a shell asks

        found = [
            CompletionItem(name, help=entry.line) for name, entry in COMMANDS.items() if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(f"{self.help}\n\n")
        wide = max(len(entry.section) for entry in COMMANDS.values()) + 3
        tall = max(len(name) for name in COMMANDS) + 2
        before = ""
        for name, entry in COMMANDS.items():
            section = "" if entry.section == before else entry.section
            before = entry.section
            formatter.write(f"{section:<{wide}}{name:<{tall}}{entry.line}\n")
        formatter.write("\n")
        for left, right in EXAMPLES:
            formatter.write(f"  {left:<38}{right}\n")
        flags = [record for param in self.get_params(ctx) if (record := param.get_help_record(ctx))]
        with formatter.section("Before or after any command"):
            formatter.write_dl(flags)
        formatter.write("\nExit codes: batchrun help exit-codes   Variables: batchrun help environment\n")
