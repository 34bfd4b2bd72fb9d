"""An estimate in words: one line, a block before a question, and a record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from batchrun.cli.output import amount
from batchrun.cli.screen import clean
from batchrun.core.account import origin_of
from batchrun.core.choice import Mode
from batchrun.core.estimate import Estimate
from batchrun.core.figures import count, dollars, hour, moment, span, tokens
from batchrun.core.limits import Dimension
from batchrun.settings.address import API

if TYPE_CHECKING:
    from batchrun.core.hours import Hours
    from batchrun.library.outlook import Outlook
    from batchrun.settings import Settings

LIMITS = {
    Dimension.REQUESTS: "requests a minute are the limit",
    Dimension.INPUT: "input tokens are the limit",
    Dimension.OUTPUT: "output tokens are the limit",
}


def money(estimate: Estimate) -> str:
    """What it costs: "likely $1.84, at most $4.10"; what is not known is said."""
    unknown = estimate.unbounded
    if unknown == estimate.jobs:
        return f"not known ({why(estimate)})"
    known = f"likely {dollars(estimate.likely)}, at most {dollars(estimate.most)}"
    return f"{known}, and {count(unknown, 'job')} of unknown cost ({why(estimate)})" if unknown else known


def why(estimate: Estimate) -> str:
    """Why some cost is not known."""
    if estimate.unpriced:
        models = ", ".join(f"`{clean(model)}`" for model in estimate.unpriced)
        return f"no price of {models}"
    return "nothing bounds it"


def elsewhere(settings: Settings) -> str:
    """Where requests go if that is not Anthropic, and nothing else of its address, for that may hold a secret."""
    origin = origin_of(settings.base_url)
    return "" if settings.simulate or origin == API else clean(origin)


def way(outlook: Outlook) -> str:
    """Which way they go, and why: "batch (half the price, and there is no deadline)"."""
    return f"{_mode(outlook)} ({outlook.choice.why})"


def _mode(outlook: Outlook) -> Mode:
    return Mode.BATCH if outlook.choice.batch else Mode.REALTIME


def short(outlook: Outlook) -> str:
    """The end of a line: " · in batches · cost likely $1.84, at most $4.10"."""
    batches = " · in batches" if outlook.choice.batch else ""
    return f"{batches} · cost {money(outlook.estimate)}"


def block(outlook: Outlook, settings: Settings) -> Iterator[str]:
    """The lines that stand before a question."""
    estimate = outlook.estimate
    basis = basis_of(outlook)
    likely = f"likely {tokens(estimate.output_likely)}, {basis}"
    yield f"  mode    {way(outlook)}"
    if outlook.choice.batch:
        yield from _apart(outlook)
    if to := elsewhere(settings):
        yield f"  sent to {to}, which is not Anthropic's (`base_url`)"
    yield f"  tokens  ≈ {tokens(estimate.input_tokens)} in, ≤ {tokens(estimate.output_most)} out ({likely})"
    if outlook.choice.batch and estimate.unbounded < estimate.jobs:
        yield f"  cost    {money(estimate)}; all in realtime likely {dollars(estimate.likely_realtime)}"
    else:
        yield f"  cost    {money(estimate)}"
    forecast = estimate.forecast
    if outlook.choice.batch:
        yield "  time    most batches end within the hour; what is not done in 24 h expires and is sent again"
    elif forecast is not None:
        start = "the limits to start from" if settings.tier == "auto" else f"tier {settings.tier}"
        yield f"  time    ≈ {span(forecast.seconds)} with {start}: {LIMITS[forecast.binding]}"
    if outlook.hours is not None:
        yield f"  hours   {clean(in_hours(outlook, outlook.hours))}"
    if outlook.deadline is not None:
        yield f"  until   {in_time(outlook)}"


def basis_of(outlook: Outlook) -> str:
    """Where the likely output comes from: "from 2,000 answers of 3 runs", or how much of it is a guess."""
    answers = sum(seen.answers for seen in outlook.measured.values())
    runs = max((seen.runs for seen in outlook.measured.values()), default=0)
    told = f"from {count(answers, 'answer')} of {count(runs, 'run')}"
    if outlook.measured.keys() >= outlook.models.keys():
        return told if answers else "a guess"
    guessed = ", ".join(f"`{clean(model)}`" for model in outlook.models if model not in outlook.measured)
    return f"{told}; a guess for {guessed}" if answers else "a guess"


def _apart(outlook: Outlook) -> Iterator[str]:
    """What does not go in a batch."""
    refused = outlook.estimate.realtime - outlook.pilots
    if outlook.pilots:
        yield f"  pilots  {count(outlook.pilots, 'job')} first in realtime, to see that the others are not sent in vain"
    if refused:
        yield f"  apart   {count(refused, 'job')} in realtime, for batches refuse {'it' if refused == 1 else 'them'}"


def in_hours(outlook: Outlook, hours: Hours) -> str:
    """When they are sent: "22:00-06:00 Europe/Berlin; nothing is sent before 22:00"."""
    opens = hours.opens(outlook.now)
    shut = f"before {hour(opens, outlook.now)}" if opens > outlook.now else "at other times"
    return f"{hours.text}; nothing is sent {shut}"


def in_time(outlook: Outlook) -> str:
    """Whether the deadline, which there is, will be met: "Nov 25 06:30 is met: …"."""
    assert outlook.deadline is not None
    until, choice = hour(outlook.deadline, outlook.now), outlook.choice
    if outlook.met is None or outlook.seconds is None:
        return f"{until}: nobody can tell whether it is met, for no limit is known"
    if choice.batch and choice.rescue is not None and outlook.met:
        return f"{until} is met: what batches have not done by {hour(choice.rescue, outlook.now)} goes in realtime"
    return f"{until} is {'met' if outlook.met else 'not met'}: about {span(outlook.seconds)} in realtime"


def record(outlook: Outlook) -> dict[str, Any]:
    estimate, batch, rescue = outlook.estimate, outlook.choice.batch, outlook.choice.rescue
    forecast = estimate.forecast
    seconds = None if forecast is None else round(forecast.seconds, 1)
    return {
        "jobs": estimate.jobs,
        "models": list(estimate.models),
        "mode": _mode(outlook).value,
        "why": outlook.choice.why,
        "realtime_jobs": estimate.realtime,
        "pilots": outlook.pilots,
        "input_tokens": estimate.input_tokens,
        "output_tokens_likely": estimate.output_likely,
        "output_tokens_most": estimate.output_most,
        "cost_likely": amount(estimate.likely),
        "cost_most": amount(estimate.most),
        "cost_likely_realtime": amount(estimate.likely_realtime),
        "unknown_cost": estimate.unbounded,
        "seconds": None if batch else seconds,
        "seconds_realtime": seconds,
        "binding": None if forecast is None else forecast.binding.value,
        "lane": None if forecast is None else forecast.lane,
        "deadline": None if outlook.deadline is None else moment(outlook.deadline),
        "deadline_met": outlook.met,
        "hours": None if outlook.hours is None else outlook.hours.text,
        "hours_open": None if outlook.hours is None else moment(outlook.hours.opens(outlook.now)),
        "rescue": moment(rescue) if batch and rescue is not None else None,
    }
