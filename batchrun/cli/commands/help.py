"""`batchrun help`: a command's help, or one of the topics that belong to all commands."""

from __future__ import annotations

import click

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.cli.lazy import COMMANDS, load
from batchrun.core.suggest import did_you_mean
from batchrun.errors import Exit, UsageError

EXIT_CODES = {
    Exit.OK: "done, or nothing to do",
    Exit.FAILED_JOBS: "ran to its end, and some jobs of runs that ended in this call failed",
    Exit.USAGE: "wrong usage, wrong configuration, invalid job file; nothing was changed",
    Exit.UNREACHABLE: "the API or the database could not be reached or kept failing; jobs are stored, run again later",
    Exit.KEY: "key missing, wrong, or not allowed; or the run belongs to another account",
    Exit.NO_MATCH: "the selection matched no job at all",
    Exit.MONEY: "a cost cap or the account's spending limit is reached; the rest is queued",
    Exit.DURATION: "the time given is over; the rest is queued",
    Exit.PENDING: "not finished yet (`wait`, `status --check`)",
    Exit.BUG: "a bug in batchrun; a report file was written",
    Exit.BUSY: "another worker works on this database",
    Exit.INTERRUPTED: "interrupted by Ctrl-C; everything that came in is stored",
    Exit.PIPE: "the reader of the output went away",
    Exit.TERMINATED: "ended by SIGTERM; everything that came in is stored",
}

VARIABLES = {
    "ANTHROPIC_API_KEY": "the key",
    "ANTHROPIC_AUTH_TOKEN": "a bearer token instead of a key",
    "ANTHROPIC_BASE_URL": "another address for the API: a gateway, or `batchrun simulator`",
    "BATCHRUN_DB": "as --db",
    "BATCHRUN_SIMULATE": "as --simulate: 1 or 0",
    "BATCHRUN_QUIET": "as --quiet: 1 or 0",
    "BATCHRUN_COLOR": "as --color: auto, always, never",
    "BATCHRUN_PROGRESS": "as --progress: auto, bar, plain, json, none",
    "BATCHRUN_LOG_FILE": "as --log-file",
    "BATCHRUN_DEBUG": "1 shows the traceback of a bug",
    "NO_COLOR": "no colour, if it is not empty; FORCE_COLOR and CLICOLOR_FORCE turn it on without a terminal",
    "CI": "no bars",
    "COLUMNS": "the width of a screen",
    "TERM": "dumb means no colour and no bars",
    "XDG_CONFIG_HOME": "where your own settings file lies, in batchrun/config.toml; else ~/.config",
    "XDG_STATE_HOME": "where reports of bugs are written, in batchrun/; else ~/.local/state",
}

FIELDS = {
    "state:": "queued, waiting, sent (or running, in_batch), held, blocked, succeeded, failed, cancelled",
    "error:": "the class of the last error; overloaded also finds overloaded_error",
    "model:": "the model that is asked",
    "id:": "the job's id in its file",
    "stop:": "why the answer ended: end_turn, max_tokens, refusal, tool_use, …",
    "tag:": "one of its tags, or of its run's",
    "batch:": "a batch that it was sent in at any time: b-12, or msgbatch_…",
    "attempt:": "how many attempts it has had: attempt:1 needed no other",
    "valid:": "yes or no: the answer fits the schema that was asked for (results and export alone)",
}
SELECTING = """\
-s takes terms of a field and a value; in a value * stands for anything and ? for one character.
A comma means and, a space means or, ~ means not; values with spaces, commas or quotes go into double quotes.

  batchrun results -s stop:max_tokens
  batchrun errors -s "tag:urgent,~error:overloaded"
  batchrun export -s 'id:"a b" batch:b-12' -o some.jsonl

A job with several tags or batches fits if one of them does; with ~ none may."""

STATES = {
    "queued": "waits to be sent",
    "waiting": "tries again later: the API asked for patience, or something failed on the way",
    "sent": "out: a realtime request in flight (running), or in a batch at Anthropic (in_batch)",
    "held": "possibly billed and without an answer: it waits for your word, `batchrun errors` says why",
    "blocked": "waits for other jobs",
    "succeeded": "its answer is stored",
    "failed": "refused, or out of tries: `batchrun errors` says what to do",
    "cancelled": "stopped by you before an answer came",
}
FILES = {
    "batchrun.db": "the queue: in this folder or the nearest above; `batchrun db path` tells",
    "batchrun.db-wal, -shm": "its log, while somebody works: never copy the queue without it (`batchrun db backup`)",
    "batchrun.db-locks/": "who is at work: locks of living processes; safe to remove when none lives",
    "batchrun-simulated.db": "the queue of --simulate, with the simulated API's batches in batchrun-simulated.db-api/",
    "batchrun.toml": "settings, of this folder or the nearest above; [tool.batchrun] in pyproject.toml too",
    "~/.config/batchrun/config.toml": "your own settings",
    "OUT.meta.json": "beside an export: what is in it",
}

TOPICS = ("exit-codes", "environment", "select", "states", "files")


@options.command("batchrun help submit", "batchrun help exit-codes", "batchrun help select")
@click.argument("topic", required=False, metavar="[COMMAND|TOPIC]")
def topics(call: Call, topic: str | None) -> Exit:
    """Show the help of a command, or a topic: exit-codes, environment, select, states, files."""
    root = click.get_current_context().find_root()
    match topic:
        case None:
            call.screen.line(root.get_help().rstrip())
        case "exit-codes":
            for code, meaning in EXIT_CODES.items():
                call.screen.line(f"{int(code):>4}  {meaning}")
            call.screen.line("Any other code means failure.")
        case "environment":
            wide = max(map(len, VARIABLES)) + 2
            for name, meaning in VARIABLES.items():
                call.screen.line(f"{name:<{wide}}{meaning}")
            call.screen.line("Each setting of `batchrun config show` has one too: BATCHRUN_ and its name in capitals.")
        case "select":
            for name, meaning in FIELDS.items():
                call.screen.line(f"{name:<10}{meaning}")
            call.screen.line()
            call.screen.line(SELECTING)
        case "states" | "files":
            told = STATES if topic == "states" else FILES
            wide = max(map(len, told)) + 2
            for name, meaning in told.items():
                call.screen.line(f"{name:<{wide}}{meaning}")
        case _ if topic in COMMANDS:
            with click.Context(load(topic), info_name=topic, parent=root) as ctx:
                call.screen.line(ctx.get_help().rstrip())
        case _:
            near = did_you_mean(topic, [*COMMANDS, *TOPICS])
            raise UsageError(f"no help on `{topic}`{near}", hint=f"topics: {', '.join(TOPICS)}, or a command")
    return Exit.OK
