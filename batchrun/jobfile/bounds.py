"""Requests that are too large for the API, or for the model."""

from __future__ import annotations

from collections.abc import Iterable

from batchrun.core.models import Model
from batchrun.core.tokens import Weight
from batchrun.jobfile.codes import Code
from batchrun.jobfile.faults import Fault

REQUEST_BYTES = 32 * 1024 * 1024
"""The largest request the API takes: "32 MB" (errors page, 2026-09), read generously."""
NEARLY = 25_600_000
"""80 % of 32 MB."""

NEAR_CONTEXT = 95
"""Percent of the context window from which a request is warned of: the estimate may be that much too low."""

SURELY = 4
"""No text is so plain that the estimate is this many times too high."""


def faults_of_size(size: int) -> Iterable[Fault]:
    """What is wrong with a request whose compact JSON has *size* bytes."""
    if size < NEARLY:
        return ()
    too_large = size > REQUEST_BYTES
    return (
        Fault(
            code=Code.TOO_LARGE if too_large else Code.NEARLY_TOO_LARGE,
            message=f"this request has {size:,} bytes; the API takes {'' if too_large else 'about '}32 MB",
            hint="split it, or upload its files and name them by their ids" if too_large else "",
        ),
    )


def faults_of_weight(weight: Weight, max_tokens: int, model: Model | None) -> Iterable[Fault]:
    """What is wrong with a request that weighs *weight*."""
    if model is None or model.context is None:
        return ()
    whole = weight.input + max_tokens
    if whole * 100 < model.context * NEAR_CONTEXT:
        return ()
    surely = weight.input // SURELY + max_tokens > model.context
    than = "more than" if whole > model.context else "nearly"
    return (
        Fault(
            code=Code.OVER_CONTEXT if surely else Code.NEAR_CONTEXT,
            message=(
                f"about {weight.input:,} tokens of input and `max_tokens` {max_tokens:,} are "
                f"{than} the {model.context:,} of `{model.id}`"
            ),
            hint="shorten the input" if weight.input > model.context else "shorten the input or lower `max_tokens`",
        ),
    )
