"""`batchrun check`: everything that is wrong with a job file, at once; and what a code means."""

from __future__ import annotations

import functools
from collections.abc import Callable
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.cli.output import document
from batchrun.core.figures import count
from batchrun.core.suggest import did_you_mean
from batchrun.errors import Exit, UsageError

if TYPE_CHECKING:
    from batchrun.cli.screen import Screen
    from batchrun.library.inputs import Inputs

ALL = "all"


def _or_explain(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--explain`, which needs no file."""

    @click.option(
        "--explain",
        metavar="CODE",
        is_flag=False,
        flag_value=ALL,
        help="Say what a code means; without one, list all.",
    )
    @functools.wraps(function)
    def called(call: Call, *, explain: str | None, json: bool, **named: Any) -> Any:
        if explain is not None:
            return _explain(call.screen, explain, json=json)
        return function(call, json=json, **named)

    return called


@options.command(
    "batchrun check jobs.yaml",
    "batchrun check *.jsonl --all",
    "producer | batchrun check -",
    "batchrun check template.yaml --data rows.csv",
    "batchrun check jobs.jsonl --ignore BR117 --strict",
    "batchrun check jobs.jsonl --probe",
    "batchrun check --explain BR104",
)
@_or_explain
@options.job_files
@click.option("--all", "everything", is_flag=True, help="Show each problem, also alike ones.")
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@click.option("--probe", is_flag=True, help="Show one request of each kind to the API's free count of tokens.")
@options.setting("ignore")
@options.json
def check(
    call: Call, inputs: Inputs, everything: bool, strict: bool, probe: bool, json: bool, **flags: str | None
) -> Exit:
    """Check job files and add nothing: all problems at once, each with its place and cure.

    Ends with 2 if there are errors; warnings alone are fine. `-` is standard input. --probe needs a key (or
    --simulate) and costs nothing: the API refuses there what it would refuse in a batch.
    """
    from batchrun.cli import estimates, problems
    from batchrun.cli.reading import Counter, headline
    from batchrun.library import jobfiles

    screen = call.screen
    with Counter(screen) as seen:
        settings = call.settings_with(**flags)
        checked = jobfiles.check(settings, inputs, everything=everything, probing=probe, seen=seen)
    found = checked.problems
    if json:
        body = {"files": list(inputs.files), "shapes": list(checked.shapes), "jobs": checked.jobs}
        body |= {"probed": checked.probed} if probe else {}
        document(screen, "check", body | {"estimate": estimates.record(checked.outlook)} | problems.records(found))
    else:
        problems.show(found, screen, to_stdout=True)
        line = headline(inputs.files, checked.shapes, checked.jobs, len(checked.outlook.estimate.models), found)
        cost = "" if found.errors or not checked.jobs else estimates.short(checked.outlook)
        shown = f" · {count(checked.probed, 'kind')} of requests shown to the API" if probe else ""
        screen.say(f"{line}{cost}{shown}")
    return Exit.USAGE if found.errors or (strict and found.warnings) else Exit.OK


def _explain(screen: Screen, code: str, *, json: bool) -> Exit:
    from dataclasses import asdict

    from batchrun.library import explain

    known = explain.meanings()
    wanted = code.upper()
    if code == ALL:
        pages = [explain.page(each) for each in known]
        if json:
            document(screen, "codes", {"date": explain.date(), "codes": [asdict(page) for page in pages]})
            return Exit.OK
        for page in pages:
            screen.line(f"{page.code}  {page.severity.value:<7}  {page.meaning}")
        screen.say("One of them in full:  batchrun check --explain BR104")
        return Exit.OK
    if wanted not in known:
        raise UsageError(f"there is no code `{code}`{did_you_mean(wanted, known)}", hint="--explain lists them")
    page = explain.page(wanted)
    if json:
        document(screen, "code", asdict(page))
        return Exit.OK
    told = "may be ignored by --ignore" if page.ignorable else "cannot be ignored"
    screen.line(f"{page.code}  {page.meaning} ({page.severity.value}; {told})")
    for label, text in (("Why", page.why), ("Cure", page.cure), ("Example", page.example)):
        if text:
            screen.line("")
            screen.line(f"{label}:")
            for each in text.splitlines() if label == "Example" else wrap(text, 96):
                screen.line(f"  {each}")
    return Exit.OK
