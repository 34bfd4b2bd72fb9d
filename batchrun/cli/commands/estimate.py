"""`batchrun estimate`: what jobs will cost, both ways, and how long they take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchrun.cli import estimates, options
from batchrun.cli.call import Call
from batchrun.cli.output import Format, amount, chosen, document, rows
from batchrun.cli.screen import clean
from batchrun.cli.sidebyside import COLUMNS, rows_of, table, total_of
from batchrun.core.figures import count, span
from batchrun.errors import Exit, UsageError

if TYPE_CHECKING:
    from batchrun.library.counting import Counted, Kind
    from batchrun.library.inputs import Inputs
    from batchrun.library.outlook import Outlook

FORMATS = (Format.TABLE, Format.JSON, Format.JSONL, Format.CSV, Format.TSV, Format.MD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is estimated, of what, and what was counted for it."""

    what: dict[str, Any]
    outlook: Outlook
    counted: Counted | None


@options.command(
    "batchrun estimate jobs.jsonl",
    "batchrun estimate jobs.jsonl --exact",
    "batchrun estimate nightly",
    "batchrun estimate jobs.jsonl --json | jq .total",
)
@options.job_files
@click.option(
    "--exact",
    is_flag=False,
    flag_value="sample",
    default=None,
    type=click.Choice(["sample", "all"]),
    metavar="[all]",
    help="Have the API count input tokens, which is free: 400 jobs of each kind, or with --exact=all each job.",
)
@options.setting("mode")
@options.setting("hours")
@options.setting("tier")
@options.formats(*FORMATS)
def estimate(call: Call, inputs: Inputs, exact: str | None, format: Format | None, **flags: str | None) -> Exit:  # noqa: A002  # the flag's name
    """Say what jobs are likely to cost and at most, model by model, in batches and in realtime, and how long they take.

    FILE is a job file, as for `submit`, or `-`; or a run, of which what is left is estimated. Nothing is added and
    nothing is sent; --exact asks the API to count. Answers that are in this queue already tell how long answers are
    and how well input is estimated.
    """
    settings = call.settings_with(**flags)
    found = _of_run(call, inputs.files[0], exact, flags) if _is_run(inputs) else _of_files(call, inputs, exact, flags)
    if found is None:
        return Exit.USAGE
    screen = call.screen
    form = chosen(format, screen)
    if form is Format.JSON:
        document(screen, "estimate", _record(found, settings.tables().prices.date))
        return Exit.OK
    if form is Format.TABLE:
        table(screen, found.outlook)
    else:
        rows(screen, form, "estimate", rows_of(found.outlook), columns=COLUMNS)
    notes = list(_notes(found, settings.tier, settings.tables().prices.date))
    if form is Format.TABLE:
        notes.insert(1, "x / y   likely / at most")
    for line in notes:
        screen.say(line)
    return Exit.OK


def _is_run(inputs: Inputs) -> bool:
    """A name that no file has is a run's."""
    if len(inputs.files) != 1 or inputs.given.data or inputs.given.sets:
        return False
    name = inputs.files[0]
    return name != "-" and not Path(name).exists() and not Path(name).suffix


def _of_run(call: Call, ref: str, exact: str | None, flags: dict[str, str | None]) -> Found | None:
    from batchrun.library import forecasts

    settings = call.settings_with(**flags)
    try:
        with call.reading() as reading:
            left = reading.run(ref).left
    except UsageError as error:
        raise UsageError(f"there is no file `{ref}`, and {error.message}", hint=error.hint) from None
    if not left:
        raise UsageError(f"nothing is left of run {ref}", hint="`batchrun status --all` lists the runs")
    counted = None
    if exact is not None:
        counted = _count(call, flags, forecasts.kinds_of(settings, ref, every=exact == "all"))
    found = forecasts.left_of(settings, ref, None if counted is None else dict(counted.ratios))
    what = {"run": found.run.ref, "name": found.run.name, "spent": amount(found.run.spent)}
    call.screen.say(f"What is left of run {clean(found.run.name)}: {count(found.run.left, 'job')}")
    return Found(what=what, outlook=found.outlook, counted=counted)


def _of_files(call: Call, inputs: Inputs, exact: str | None, flags: dict[str, str | None]) -> Found | None:
    from batchrun.cli import problems
    from batchrun.cli.reading import Counter, headline
    from batchrun.library import jobfiles
    from batchrun.library.counting import Tasting

    settings, screen = call.settings_with(**flags), call.screen
    tasting = Tasting(every=exact == "all")
    results: list[Counted] = []

    def count_all() -> dict[str, float]:
        results.append(_count(call, flags, tasting.kinds))
        return dict(results[0].ratios)

    with Counter(screen) as seen:
        checked = jobfiles.check(
            settings,
            inputs,
            seen=seen,
            each=None if exact is None else tasting,
            counted=None if exact is None else count_all,
        )
    problems.show(checked.problems, screen)
    if checked.problems.errors:
        raise UsageError(f"{problems.summary(checked.problems)}; nothing is estimated", hint="correct them first")
    models = len(checked.outlook.models)
    screen.say(headline(inputs.files, checked.shapes, checked.jobs, models, checked.problems))
    return Found(what={"files": list(inputs.files)}, outlook=checked.outlook, counted=results[0] if results else None)


def _count(call: Call, flags: dict[str, str | None], kinds: Sequence[Kind]) -> Counted:
    from batchrun.cli.reading import Counter
    from batchrun.library import counting

    with Counter(call.screen, "counted") as seen:
        return counting.count(call.settings_with(**flags), kinds, seen)


# -- words -----------------------------------------------------------------------------------------------------------


def _notes(found: Found, tier: str, prices: str) -> Iterator[str]:
    outlook = found.outlook
    yield ""
    yield f"mode    {estimates.way(outlook)}"
    yield "time    in batches: most end within the hour; what is not done in 24 h expires and is sent again"
    yield f"        in realtime: {_pace(outlook, tier)}"
    if outlook.hours is not None:
        yield f"hours   {clean(estimates.in_hours(outlook, outlook.hours))}"
    if outlook.deadline is not None:
        yield f"until   {estimates.in_time(outlook)}"
    yield f"input   {_input(found)}"
    yield f"output  {estimates.basis_of(outlook)}; at most what `max_tokens` allows"
    if outlook.estimate.unbounded:
        yield f"cost    of {count(outlook.estimate.unbounded, 'job')} is not known ({estimates.why(outlook.estimate)})"
    yield f"prices  of {prices}; `[prices]` in batchrun.toml changes them"
    if found.counted is not None:
        for message in found.counted.refused:
            yield f"refused {clean(message)}"
        if found.counted.more_refused:
            yield f"refused {found.counted.more_refused:,} more of those that were counted"


def _pace(outlook: Outlook, tier: str) -> str:
    forecast = outlook.estimate.forecast
    if forecast is None:
        return "not known, for no limit is"
    start = "the limits to start from" if tier == "auto" else f"tier {tier}"
    return f"≈ {span(forecast.seconds)} with {start} ({estimates.LIMITS[forecast.binding]})"


def _input(found: Found) -> str:
    """How the input is known."""
    counted = found.counted
    if counted is not None:
        n = f"{counted.requests:,} of {count(counted.jobs, 'job')} counted by the API"
        if counted.broken_off:
            n += ", then broken off"
        if counted.requests == counted.jobs:
            return n
        return f"{n}, the others by them: ± {100 * counted.error:.1f} %"
    measured = found.outlook.measured
    if measured:
        told = ", ".join(f"`{clean(model)}` × {seen.input:.2f}" for model, seen in measured.items())
        return f"estimated from length, corrected by what answers had ({told}); --exact counts it"
    return "estimated from length, which may be off by a third; --exact counts it"


def _record(found: Found, prices: str) -> dict[str, Any]:
    counted = found.counted
    return {
        **found.what,
        "models": list(rows_of(found.outlook)),
        "total": total_of(found.outlook),
        "plan": estimates.record(found.outlook),
        "measured": {
            model: {
                "answers": seen.answers,
                "runs": seen.runs,
                "output_tokens": round(seen.output, 1),
                "input_ratio": round(seen.input, 4),
            }
            for model, seen in found.outlook.measured.items()
        },
        "counted": None
        if counted is None
        else {
            "requests": counted.requests,
            "jobs": counted.jobs,
            "error": round(counted.error, 4),
            "refused": list(counted.refused),
            "more_refused": counted.more_refused,
            "broken_off": counted.broken_off,
        },
        "prices_date": prices,
    }
