"""`batchrun report`: a run as one page for a browser."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.cli.screen import Mark, clean
from batchrun.core.figures import count
from batchrun.errors import Exit, UsageError
from batchrun.report.target import check_page
from batchrun.report.wholefile import whole_file

if TYPE_CHECKING:
    from batchrun.queue.books import Chosen

SAMPLE = 500
ENOUGH = 20_000
"""Jobs that did not fail which are shown, and how many may be asked for: a page with more is no joy in a browser."""


@options.command("batchrun report", "batchrun report nightly -o nightly.html --open", "batchrun report --sample 50")
@options.run
@click.option("-o", "--output", metavar="FILE", help="Write there; - is stdout.  [default: the run's name, .html]")
@click.option("--open", "opened", is_flag=True, help="Show it in the browser.")
@click.option(
    "--sample",
    type=click.IntRange(0, ENOUGH),
    default=SAMPLE,
    metavar="N",
    help=f"How many jobs that did not fail are shown one by one.  [default: {SAMPLE}]",
)
@click.option("--force", is_flag=True, help="Replace FILE, though it is no report.")
def report(call: Call, run: str, output: str | None, opened: bool, sample: int, force: bool) -> Exit:
    """Write one HTML page about a run: counts, cost, time, errors with cures, batches, and jobs with their answers.

    It is one file that loads nothing and sends nothing; send it by mail, or open it from anywhere. It shows each job
    that failed, up to 1,000, and a sample of the others, with requests and answers: keep it as safe as those.
    """
    if opened and output == "-":
        raise UsageError("`--open` needs a file", hint="leave `-o -` away, or name a file")
    with call.reading() as reading:
        found = reading.run(run)
        path = Path(_name(found.name) if output is None else output)
        if output != "-":
            check_page(path, queue=reading.path, force=force)
        from batchrun.report.page import Page, page

        wanted = Page(
            now=call.now,
            database=reading.place,
            sample=sample,
            batch_percent=call.settings.tables().prices.batch_percent,
            typed=call.typed,
        )
        picked, text = page(reading, found, wanted)
        if output == "-":
            for piece in text:
                call.screen.write(piece)
            return Exit.OK
        size = _write(path, text)
    _say(call, path, picked, size)
    if opened:
        _open(call, path)
    return Exit.OK


def _name(run: str) -> str:
    """A file in this folder, whatever the run is called."""
    return f"{''.join(c if c.isalnum() or c in '-_.+@' else '-' for c in run).lstrip('.-')[:120] or 'report'}.html"


def _write(path: Path, text: Iterable[str]) -> int:
    size = 0
    with whole_file(path) as file:
        for piece in text:
            size += len(piece.encode("utf-8", "backslashreplace"))
            file.write(piece)
    return size


def _say(call: Call, path: Path, picked: Chosen, size: int) -> None:
    screen = call.screen
    parts = ["one file, no network: summary, cost, timing"]
    if picked.all_failed:
        parts.append("errors, " + count(picked.failed, "failed job"))
    some = "all" if picked.others == picked.all_others else "a sample of"
    parts.append(f"{some} {count(picked.others, 'other job' if picked.failed else 'job')}")
    kilobytes = f"{size / 1_000_000:.1f} MB" if size >= 10_000_000 else f"{size / 1000:,.0f} kB"
    screen.say(f"{screen.talk_mark(Mark.OK)} {clean(str(path))}   {kilobytes}, {', '.join(parts)}")


def _open(call: Call, path: Path) -> None:
    import webbrowser

    if not webbrowser.open(path.resolve().as_uri()):
        call.screen.warn(f"no browser was found; open {clean(str(path))} yourself")
