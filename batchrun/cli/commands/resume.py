"""`batchrun resume`: lift pauses, for whoever has cured what caused them."""

from __future__ import annotations

import click

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.cli.output import at, document
from batchrun.cli.screen import Mark, clean
from batchrun.core.figures import moment
from batchrun.core.pause import Pause
from batchrun.errors import Exit, UsageError


@options.command("batchrun resume", "batchrun resume nightly && batchrun run nightly")
@options.optional_run
@click.option(
    "--model", metavar="M", shell_complete=options.offered("model_names"), help="Lift the pauses of this model alone."
)
@options.json
def resume(call: Call, run: str | None, model: str | None, json: bool) -> Exit:
    """Lift what is paused, so that the next `batchrun run` sends at once.

    Without RUN everything that is paused in this queue; with it what keeps this run from being sent. A pause whose
    cause still stands comes back with the first answer.
    """
    if run is not None and model is not None:
        raise UsageError("resume a run, or `--model M`, not both")
    from batchrun.library import pauses

    with call.reading():
        pass  # says whether the queue is a simulated one
    lifted = pauses.resume(call.settings, run, model)
    screen = call.screen
    if json:
        document(screen, "resume", {"lifted": [record(pause) for pause in lifted]})
        return Exit.OK
    for pause in lifted:
        since = f"since {moment(pause.since)}"
        screen.say(f"{screen.talk_mark(Mark.OK)} lifted: {clean(pause.what)}, paused {since}")
    screen.say(f"To go on:  {call.typed('batchrun run')}" if lifted else "Nothing is paused.")
    return Exit.OK


def record(pause: Pause) -> dict[str, object]:
    """A pause as JSON."""
    return {
        "scope": pause.scope.value,
        "subject": pause.subject,
        "reason": pause.reason,
        "message": pause.message,
        "since": at(pause.since),
        "until": at(pause.until),
    }
