"""`batchrun simulator`: the simulated API on a loopback port, for this program and for anybody's tests."""

from __future__ import annotations

from pathlib import Path

import click

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.errors import Exit


@options.command(
    "batchrun simulator --port 8787",
    "batchrun simulator --plan night.toml",
    "ANTHROPIC_BASE_URL=http://127.0.0.1:8787 ANTHROPIC_API_KEY=any batchrun run",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="The port; 0 takes a free one.")
@click.option("--plan", metavar="FILE", help="TOML or JSON: pace, limits, money, batches, faults and outages.")
@click.option("--keep", metavar="DIR", help="Where batches are kept, to go on with them after a restart.")
def simulator(call: Call, port: int, plan: str | None, keep: str | None) -> Exit:
    """Serve the simulated API on this machine until Ctrl-C.

    It has the real API's rules, limits and errors, and makes answers up. Its address is written to stdout once it
    takes requests.
    """
    import asyncio

    from batchrun.simulator import planfile, server
    from batchrun.simulator.plan import Plan
    from batchrun.simulator.shelf import Shelf

    screen = call.screen

    def ready(url: str) -> None:
        screen.line(url)
        screen.out.flush()
        screen.say(f"Use it with  ANTHROPIC_BASE_URL={url} ANTHROPIC_API_KEY=any   Ctrl-C ends it.")

    wanted = Plan() if plan is None else planfile.read(Path(plan))
    asyncio.run(server.run(wanted, port=port, ready=ready, shelf=None if keep is None else Shelf(Path(keep))))
    return Exit.OK
