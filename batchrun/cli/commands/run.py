"""`batchrun run`: do whatever is due. The command that resumes, and the one for cron."""

from __future__ import annotations

import click

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.errors import Exit


@options.command(
    "batchrun run",
    "batchrun run nightly --max-cost 50",
    "*/10 * * * *  cd /srv/nightly && batchrun run --once --quiet",
)
@options.optional_run
@click.option("--once", is_flag=True, help="Do what is due now and end; do not wait for what is due later.")
@options.setting("max_cost", "What this call may spend at most.")
@options.setting("concurrency")
@options.setting("tier")
@options.setting("grace")
@options.json
def run(call: Call, run: str | None, once: bool, json: bool, **flags: str | None) -> Exit:
    """Send, retry and collect whatever is due, until nothing is left.

    Without RUN it works on every run. After a crash, Ctrl-C or a spending limit it goes on where it stopped. The first
    Ctrl-C lets what is in flight come home, the second drops it.
    """
    from batchrun.cli.work import work
    from batchrun.wiring import Wish

    settings = call.settings_with(**flags)
    with call.reading() as reading:
        only = None if run is None else reading.run(run).id
    return work(call, settings, Wish(only=only, once=once, max_cost=settings.max_cost), json=json)
