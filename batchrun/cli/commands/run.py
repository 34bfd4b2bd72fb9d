"""`batchrun run`: do whatever is due. The command that resumes, and the one for cron."""

from __future__ import annotations

import click

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.errors import Exit


@options.command(
    "batchrun run",
    "batchrun run nightly --max-cost 50",
    "batchrun run --max-duration 6h",
    "*/10 * * * *  cd /srv/nightly && batchrun run --once --quiet",
)
@options.optional_run
@click.option("--once", is_flag=True, help="Do what is due now and end; do not wait for what is due later.")
@click.option("--exclusive", is_flag=True, help="Work only if nobody else does: exit with 75 where somebody is at it.")
@click.option(
    "--until",
    type=click.Choice(["idle", "done"]),
    default="done",
    help="done: until nothing is left. idle: until all is sent and answered but what batches still hold.",
)
@click.option(
    "--max-duration", metavar="TIME", help="Work no longer than this (90s, 30m, 6h); then exit with 7, the rest queued."
)
@options.setting("max_cost", "What this call may spend at most.")
@options.setting("concurrency")
@options.setting("tier")
@options.setting("grace")
@options.json
def run(
    call: Call,
    run: str | None,
    once: bool,
    exclusive: bool,
    until: str,
    max_duration: str | None,
    json: bool,
    **flags: str | None,
) -> Exit:
    """Send, retry and collect whatever is due, until nothing is left.

    Without RUN it works on every run. Any number may run at once: they share the work and the limits of the account.
    After a crash, Ctrl-C or a spending limit it goes on where it stopped. The first Ctrl-C lets what is in flight come
    home, the second drops it.
    """
    from batchrun.cli.work import work
    from batchrun.wiring import Wish

    settings = call.settings_with(**flags)
    with call.reading() as reading:
        only = None if run is None else reading.run(run).id
    wish = Wish(
        only=only,
        once=once,
        exclusive=exclusive,
        detach=until == "idle",
        max_cost=settings.max_cost,
        seconds=options.seconds("--max-duration", max_duration),
        over=Exit.DURATION,
    )
    return work(call, settings, wish, json=json)
