"""An estimate in words: one line, a block before a question, and a record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from batchrun.cli.output import amount
from batchrun.cli.screen import clean
from batchrun.core.account import origin_of
from batchrun.core.estimate import Estimate
from batchrun.core.figures import count, dollars, span, tokens
from batchrun.core.limits import Dimension
from batchrun.settings.address import API

if TYPE_CHECKING:
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


def block(estimate: Estimate, mode: str, settings: Settings) -> Iterator[str]:
    """The lines that stand before a question."""
    basis = "from answers seen" if estimate.seen else "a guess"
    likely = f"likely {tokens(estimate.output_likely)}, {basis}"
    yield f"  mode    {mode}"
    if to := elsewhere(settings):
        yield f"  sent to {to}, which is not Anthropic's (`base_url`)"
    yield f"  tokens  ≈ {tokens(estimate.input_tokens)} in, ≤ {tokens(estimate.output_most)} out ({likely})"
    yield f"  cost    {money(estimate)}"
    forecast = estimate.forecast
    if forecast is not None:
        start = "the limits to start from" if settings.tier == "auto" else f"tier {settings.tier}"
        yield f"  time    ≈ {span(forecast.seconds)} with {start}: {LIMITS[forecast.binding]}"


def record(estimate: Estimate) -> dict[str, Any]:
    forecast = estimate.forecast
    return {
        "jobs": estimate.jobs,
        "models": list(estimate.models),
        "input_tokens": estimate.input_tokens,
        "output_tokens_likely": estimate.output_likely,
        "output_tokens_most": estimate.output_most,
        "cost_likely": amount(estimate.likely),
        "cost_most": amount(estimate.most),
        "unknown_cost": estimate.unbounded,
        "seconds": None if forecast is None else round(forecast.seconds, 1),
        "binding": None if forecast is None else forecast.binding.value,
        "lane": None if forecast is None else forecast.lane,
    }
