"""The models that the simulated API serves, and what each of them refuses: data, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from batchrun.core.job import Nanos

EPOCH = "1970-01-01T00:00:00Z"
"""What the Models API gives where the day of release is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Nano-dollars a token: a dollar a million tokens is 1,000."""

    input: Nanos
    output: Nanos
    write_5m: Nanos
    write_1h: Nanos
    read: Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model. The defaults are those of the newest generation."""

    id: str
    name: str
    prices: Prices
    aliases: tuple[str, ...] = ()
    context: int = 1_000_000  #: tokens of input and output together
    max_output: int = 128_000
    density: float = 0.32  #: tokens a byte of English prose; older tokenizers count about 30 % fewer
    cacheable: int = 1024  #: the shortest prefix, in tokens, that is cached
    sampling: bool = False  #: takes temperature, top_p and top_k, with the older API version only
    prefill: bool = False  #: goes on from a last message of the assistant
    thinking: frozenset[str] = frozenset({"adaptive", "disabled", "between_tools"})
    forced_tools: bool = True  #: takes tool_choice "any" and "tool"
    efforts: tuple[str, ...] = ("low", "medium", "high", "xhigh", "max")
    efforts_that_think: frozenset[str] = frozenset()  #: with these, "disabled" is refused
    lifecycle: str = "active"
    created: str = EPOCH
    deprecated: str | None = None
    retires: str | None = None


def _prices(input_: float, output: float, read: float) -> Prices:
    """From dollars a million tokens; writing to the cache costs 1.25 and 2 times the input."""
    return Prices(
        input=Nanos(round(input_ * 1000)),
        output=Nanos(round(output * 1000)),
        write_5m=Nanos(round(input_ * 1250)),
        write_1h=Nanos(round(input_ * 2000)),
        read=Nanos(round(read * 1000)),
    )


_ALWAYS_THINKS = frozenset({"adaptive", "between_tools"})
_ADAPTIVE = frozenset({"adaptive", "disabled"})
_EITHER = frozenset({"adaptive", "enabled", "disabled"})
_BUDGET = frozenset({"enabled", "disabled"})


def published() -> Mapping[str, Model]:
    """The models of November 2026 by id (pricing, models and errors pages of 2026-09 to 2026-11)."""
    rows = (
        Model(
            id="claude-fable-5-2",
            name="Claude Fable 5.2",
            prices=_prices(8, 40, 0.20),
            thinking=_ALWAYS_THINKS,
            forced_tools=False,
            created="2026-11-09T00:00:00Z",
        ),
        Model(
            id="claude-fable-5-1",
            name="Claude Fable 5.1",
            prices=_prices(10, 50, 0.25),
            thinking=_ALWAYS_THINKS,
            forced_tools=False,
        ),
        Model(id="claude-fable-5", name="Claude Fable 5", prices=_prices(10, 50, 1), thinking=_ALWAYS_THINKS),
        Model(
            id="claude-opus-5-5",
            name="Claude Opus 5.5",
            prices=_prices(4, 20, 0.20),
            thinking=_ALWAYS_THINKS,
            forced_tools=False,
        ),
        Model(
            id="claude-opus-5",
            name="Claude Opus 5",
            prices=_prices(5, 25, 0.50),
            thinking=_ADAPTIVE,
            efforts_that_think=frozenset({"xhigh", "max"}),
            created="2026-07-24T00:00:00Z",
        ),
        Model(id="claude-opus-4-8", name="Claude Opus 4.8", prices=_prices(5, 25, 0.50), thinking=_ADAPTIVE),
        Model(id="claude-opus-4-7", name="Claude Opus 4.7", prices=_prices(5, 25, 0.50), thinking=_ADAPTIVE),
        Model(
            id="claude-opus-4-6",
            name="Claude Opus 4.6",
            prices=_prices(5, 25, 0.50),
            density=0.25,
            sampling=True,
            thinking=_EITHER,
            efforts=("low", "medium", "high", "max"),
        ),
        Model(
            id="claude-opus-4-5-20251101",
            aliases=("claude-opus-4-5",),
            name="Claude Opus 4.5",
            prices=_prices(5, 25, 0.50),
            context=200_000,
            max_output=64_000,
            density=0.25,
            sampling=True,
            prefill=True,
            thinking=_BUDGET,
            efforts=("low", "medium", "high"),
            created="2025-11-01T00:00:00Z",
        ),
        Model(
            id="claude-sonnet-5-5",
            name="Claude Sonnet 5.5",
            prices=_prices(2, 10, 0.10),
            thinking=_ALWAYS_THINKS,
            forced_tools=False,
        ),
        Model(id="claude-sonnet-5", name="Claude Sonnet 5", prices=_prices(2, 10, 0.20), thinking=_ADAPTIVE),
        Model(
            id="claude-sonnet-4-6",
            name="Claude Sonnet 4.6",
            prices=_prices(3, 15, 0.30),
            density=0.25,
            sampling=True,
            thinking=_EITHER,
            efforts=("low", "medium", "high", "max"),
        ),
        Model(
            id="claude-sonnet-4-5-20250929",
            aliases=("claude-sonnet-4-5",),
            name="Claude Sonnet 4.5",
            prices=_prices(3, 15, 0.30),
            context=200_000,
            max_output=64_000,
            density=0.25,
            sampling=True,
            prefill=True,
            thinking=_BUDGET,
            efforts=(),
            lifecycle="deprecated",
            created="2025-09-29T00:00:00Z",
            retires="2026-11-30T00:00:00Z",
        ),
        Model(id="claude-haiku-5-5", name="Claude Haiku 5.5", prices=_prices(0.10, 0.50, 0.01), thinking=_ADAPTIVE),
        Model(
            id="claude-haiku-4-5-20251001",
            aliases=("claude-haiku-4-5",),
            name="Claude Haiku 4.5",
            prices=_prices(1, 5, 0.10),
            context=200_000,
            max_output=64_000,
            density=0.25,
            sampling=True,
            prefill=True,
            thinking=_BUDGET,
            efforts=(),
            created="2025-10-01T00:00:00Z",
        ),
    )
    return {row.id: row for row in rows}


def find(models: Mapping[str, Model], id_: str) -> Model | None:
    """The model that a request names by its id or an alias, unless it is retired."""
    model = models.get(id_) or next((each for each in models.values() if id_ in each.aliases), None)
    return None if model is None or model.lifecycle == "retired" else model
