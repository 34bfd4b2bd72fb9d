"""`batchrun pause`: send nothing more of a run, of a model, or at all, until somebody resumes."""

from __future__ import annotations

import click

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.cli.commands.resume import record
from batchrun.cli.output import document
from batchrun.cli.screen import Mark, clean
from batchrun.core.pause import PauseScope
from batchrun.errors import Exit, UsageError


@options.command(
    'batchrun pause nightly --reason "the prompt is wrong"',
    "batchrun pause --model claude-haiku-5-5",
    "batchrun pause --all",
    "batchrun resume nightly",
)
@options.optional_run
@click.option(
    "--model", metavar="M", shell_complete=options.offered("model_names"), help="Pause this model in every run."
)
@click.option("--all", "every", is_flag=True, help="Pause all that this queue would send.")
@click.option("--reason", metavar="TEXT", default="", help="Why, for whoever looks next.")
@options.json
def pause(call: Call, run: str | None, model: str | None, every: bool, reason: str, json: bool) -> Exit:
    """Send nothing more of RUN, of a model, or at all. A worker that is at it stops sending within seconds.

    What is out comes home and is kept. A pause made by hand stands until `batchrun resume`; nothing lifts it by itself.
    """
    if sum((run is not None, model is not None, every)) != 1:
        raise UsageError("pause what? one of RUN, `--model M` and `--all`", hint="`batchrun status` names the runs")
    from batchrun.library import pauses

    with call.reading() as reading:
        name = None if run is None else reading.run(run).name
    made = pauses.pause(call.settings, run, model, reason, every=every)
    screen = call.screen
    if json:
        document(screen, "pause", {"paused": [record(one) for one in made]})
        return Exit.OK
    for one in made:
        what = f"run {name}" if one.scope is PauseScope.RUN and name is not None else one.what
        screen.say(f"{screen.talk_mark(Mark.OK)} paused: {clean(what)}; what is out comes home and is kept")
    lift = "batchrun resume" + (f" {name}" if name else f" --model {model}" if model else "")
    screen.say(f"To go on:  {clean(call.typed(lift))}")
    return Exit.OK
