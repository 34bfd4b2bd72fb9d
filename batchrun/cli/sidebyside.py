"""What jobs cost in batches and in realtime, side by side and model by model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from batchrun.cli.output import Format, amount, columns_of, rows
from batchrun.cli.screen import Screen
from batchrun.core.figures import dollars, tokens

if TYPE_CHECKING:
    from batchrun.core.estimate import Estimate
    from batchrun.library.outlook import Both, Outlook

COLUMNS = (
    "model",
    "jobs",
    "input_tokens",
    "output_tokens_likely",
    "output_tokens_most",
    "batch_likely",
    "batch_most",
    "realtime_likely",
    "realtime_most",
    "unknown_cost",
    "answers_seen",
)


def rows_of(outlook: Outlook) -> Iterator[dict[str, Any]]:
    for model, both in outlook.models.items():
        seen = outlook.measured.get(model)
        yield {"model": model, **_figures(both.batch, both.realtime), "answers_seen": seen.answers if seen else 0}


def _figures(batch: Estimate, realtime: Estimate) -> dict[str, Any]:
    known = batch.unbounded < batch.jobs
    return {
        "jobs": batch.jobs,
        "input_tokens": batch.input_tokens,
        "output_tokens_likely": batch.output_likely,
        "output_tokens_most": batch.output_most,
        "batch_likely": amount(batch.likely) if known else None,
        "batch_most": amount(batch.most) if known else None,
        "realtime_likely": amount(realtime.likely) if known else None,
        "realtime_most": amount(realtime.most) if known else None,
        "unknown_cost": batch.unbounded,
    }


def total_of(outlook: Outlook) -> dict[str, Any]:
    def sum_of(name: str, way: str) -> int:
        return sum(getattr(getattr(both, way), name) for both in outlook.models.values())

    made = outlook.estimate
    costs = {
        f"{way}_{name}": amount(sum_of(name, way)) if made.unbounded < made.jobs else None  # type: ignore[arg-type]  # sums of nanos are nanos
        for way in ("batch", "realtime")
        for name in ("likely", "most")
    }
    return {
        "jobs": made.jobs,
        "input_tokens": made.input_tokens,
        "output_tokens_likely": made.output_likely,
        "output_tokens_most": made.output_most,
        **costs,
        "unknown_cost": made.unbounded,
    }


def table(screen: Screen, outlook: Outlook) -> None:
    def line(name: str, parts: list[Both]) -> dict[str, str]:
        def sum_of(way: str, attribute: str) -> int:
            return sum(getattr(getattr(both, way), attribute) for both in parts)

        def cost(way: str) -> str:
            if all(both.batch.unbounded == both.batch.jobs for both in parts):
                return "not known"
            more = "+" if any(both.batch.unbounded for both in parts) else ""
            likely, most = sum_of(way, "likely"), sum_of(way, "most")
            return f"{dollars(likely)} / {dollars(most)}{more}"  # type: ignore[arg-type]  # sums of nanos are nanos

        return {
            "model": name,
            "jobs": f"{sum_of('batch', 'jobs'):,}",
            "in": tokens(sum_of("batch", "input_tokens")),
            "out": " / ".join(tokens(sum_of("batch", name)) for name in ("output_likely", "output_most")),
            "in batches": cost("batch"),
            "in realtime": cost("realtime"),
        }

    lines = [line(model, [both]) for model, both in outlook.models.items()]
    if len(lines) > 1:
        lines.append(line("total", list(outlook.models.values())))
    columns = ["model", "jobs", "in", "out", "in batches", "in realtime"]
    wide = sum(max(columns_of(text) for text in [name, *(row[name] for row in lines)]) for name in columns)
    if screen.tty and wide + 2 * (len(columns) - 1) > screen.width:
        columns = [name for name in columns if name not in {"in", "out"}]  # what it costs is what people come for
    rows(screen, Format.TABLE, "estimate", lines, columns=columns, right=columns[1:])
