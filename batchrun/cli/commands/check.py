"""`batchrun check`: everything that is wrong with a job file, at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.cli.output import document
from batchrun.errors import Exit

if TYPE_CHECKING:
    from batchrun.library.inputs import Inputs


@options.command(
    "batchrun check jobs.yaml",
    "batchrun check *.jsonl --all",
    "producer | batchrun check -",
    "batchrun check template.yaml --data rows.csv",
)
@options.job_files
@click.option("--all", "everything", is_flag=True, help="Show each problem, also alike ones.")
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@options.json
def check(call: Call, inputs: Inputs, everything: bool, strict: bool, json: bool) -> Exit:
    """Check job files and add nothing: all problems at once, each with its place and cure.

    Ends with 2 if there are errors; warnings alone are fine. `-` is standard input.
    """
    from batchrun.cli import estimates, problems
    from batchrun.cli.reading import Counter, headline
    from batchrun.library import jobfiles

    screen = call.screen
    with Counter(screen) as seen:
        checked = jobfiles.check(call.settings, inputs, everything=everything, seen=seen)
    found = checked.problems
    if json:
        body = {"files": list(inputs.files), "shapes": list(checked.shapes), "jobs": checked.jobs}
        document(screen, "check", body | {"estimate": estimates.record(checked.outlook)} | problems.records(found))
    else:
        problems.show(found, screen, to_stdout=True)
        line = headline(inputs.files, checked.shapes, checked.jobs, len(checked.outlook.estimate.models), found)
        cost = "" if found.errors or not checked.jobs else estimates.short(checked.outlook)
        screen.say(f"{line}{cost}")
    return Exit.USAGE if found.errors or (strict and found.warnings) else Exit.OK
