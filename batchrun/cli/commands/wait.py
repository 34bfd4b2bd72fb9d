"""`batchrun wait`: stay until runs are over, doing what is due, or watching whoever does it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.cli.screen import clean
from batchrun.core.figures import count
from batchrun.core.states import RunState, State
from batchrun.errors import Exit, WorkerBusy
from batchrun.report.cures import word

if TYPE_CHECKING:
    from batchrun.queue.rows import RunSummary

LOOK = 1.0
"""Seconds between two looks at a queue that another worker works on."""


@options.command(
    "batchrun wait",
    "batchrun wait nightly --timeout 4h",
    "batchrun wait nightly && batchrun export nightly -o out.jsonl",
)
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--timeout", metavar="TIME", help="Wait no longer than this (90s, 30m, 4h); then exit with 8.")
@options.setting("max_cost", "What this call may spend at most.")
@options.json
def wait(call: Call, runs: tuple[str, ...], timeout: str | None, json: bool, **flags: str | None) -> Exit:
    """Stay until the named runs are over, or all that are open: send, retry and collect as `run` does.

    Where another worker is at it, only watch. Exits with 0 when all is done, 1 when jobs failed, 8 when something is
    left that no waiting brings about, or when the time is over; else as `run` does. Ctrl-C loses nothing.
    """
    settings = call.settings_with(**flags)
    seconds = options.seconds("--timeout", timeout)
    with call.reading() as reading:
        named = tuple(dict.fromkeys(reading.run(run).id for run in runs))
        if not named:
            seen = reading.overview().runs
            named = tuple(run.id for run in seen if run.state in {RunState.OPEN, RunState.LOADING})
    refs = [f"r-{run}" for run in named]
    if not refs:
        call.screen.say("Nothing to wait for: no run is open.")
        return Exit.OK
    begun = time.monotonic()

    def left() -> float | None:
        return None if seconds is None else seconds - (time.monotonic() - begun)

    from batchrun.cli.work import work
    from batchrun.wiring import Wish

    told = False
    while not _over(found := _look(call, refs)):
        remains = left()
        if remains is not None and remains <= 0:
            return _pending(call, found, "the time given is over")
        wish = Wish(
            only=named[0] if len(named) == 1 else None,
            patient=True,
            max_cost=settings.max_cost,
            seconds=remains,
            until=None if not runs or len(named) == 1 else lambda: _over(_look(call, refs)),
        )
        try:
            code = work(call, settings, wish, json=json)
        except WorkerBusy as busy:
            if not told:
                call.screen.say(f"{clean(busy.message)}\nWaiting for it.")
                told = True
            time.sleep(LOOK if remains is None else min(LOOK, remains))
            continue
        found = _look(call, refs)
        if code not in {Exit.OK, Exit.FAILED_JOBS, Exit.PENDING}:
            return code
        if code is not Exit.PENDING and any(run.n(State.RUNNING) for run in found):
            time.sleep(LOOK if remains is None else min(LOOK, remains))  # another worker has them
            continue
        if not _over(found):
            over = "the time given is over" if code is Exit.PENDING else "what is left needs a word from you"
            return _pending(call, found, over)
        break
    return Exit.FAILED_JOBS if any(run.n(State.FAILED) for run in found) else Exit.OK


def _look(call: Call, refs: Sequence[str]) -> list[RunSummary]:
    with call.reading() as reading:
        return [reading.run(ref) for ref in refs]


def _over(runs: Sequence[RunSummary]) -> bool:
    return all(run.state is not RunState.LOADING and not run.left for run in runs)


def _pending(call: Call, runs: Sequence[RunSummary], why: str) -> Exit:
    """Say what is left, and where to look."""
    left = sum(run.left for run in runs)
    look = clean(call.typed(f"batchrun status {word(runs[0].name)}" if len(runs) == 1 else "batchrun status"))
    call.screen.must_say(f"{count(left, 'job')} {'is' if left == 1 else 'are'} not finished: {why}. To look:  {look}")
    return Exit.PENDING
