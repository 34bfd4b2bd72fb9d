"""The dated tables of the package, with what the user's files change in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from batchrun.core.figures import DOLLAR
from batchrun.core.job import Nanos
from batchrun.core.limits import BatchLimits, Limits, LimitTable
from batchrun.core.models import Model, ModelTable
from batchrun.core.pricing import Band, Price, PriceTable, Rates
from batchrun.errors import UsageError
from batchrun.settings.rows import Rows, merged

DATA = Path(__file__).parent.parent / "data"

CUSTOM = "custom"
ANY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """`custom` are the limits the user wrote, by lane: they win over what the API tells."""

    limits: LimitTable
    prices: PriceTable
    models: ModelTable
    custom: Mapping[str, Limits]
    warnings: tuple[str, ...] = ()


def tables(tier: str, rows: Mapping[str, Rows]) -> Tables:
    """The tables for *tier* with the user's *rows*, which have the form that `rows.check` asks for.

    Raises UsageError for a price without its main numbers, and for the tier *custom* without limits.
    """
    limits = limit_table(_shipped("limits"), rows.get("limits", {}).get(ANY))
    custom = _custom(limits, tier, rows.get("limits", {}))
    if tier == CUSTOM and not rows.get("limits"):
        raise UsageError(
            "`tier = custom` needs numbers", hint='write them in batchrun.toml: [limits."*"] requests = 100'
        )
    warnings = []
    if tier in limits.obsolete:
        warnings.append(f"tier {tier} exists no more since 2026-06-26; using its last published numbers")
    return Tables(
        limits=limits,
        prices=price_table(_shipped("prices"), rows.get("prices", {})),
        models=model_table(_shipped("models"), rows.get("models", {})),
        custom=custom,
        warnings=tuple(warnings),
    )


def _shipped(name: str) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415  # 14 ms that reading commands do not need

    with (DATA / f"{name}.toml").open("rb") as stream:
        return tomllib.load(stream, parse_float=Decimal)


def limit_table(data: Mapping[str, Any], others: Mapping[str, Any] | None = None) -> LimitTable:
    """*others* are the user's limits for lanes that no row names."""
    tiers = {tier: {lane: Limits(**row) for lane, row in lanes.items()} for tier, lanes in data["tiers"].items()}
    tiers["auto"] = tiers[data["auto"]]
    tiers[CUSTOM] = {ANY: Limits()}
    if others is not None:
        tiers = {tier: {**lanes, ANY: _over(lanes[ANY], others)} for tier, lanes in tiers.items()}
    return LimitTable(
        date=data["date"],
        source=data["source"],
        tiers=tiers,
        pools=data["pools"],
        obsolete=frozenset(data["obsolete"]),
        batches={tier: BatchLimits(**row) for tier, row in data["batches"].items()},
    )


def _custom(table: LimitTable, tier: str, rows: Rows) -> dict[str, Limits]:
    """By lane. A row may be named by its lane or by a model; what it does not say, the tier's row does."""
    custom = {}
    for name, row in rows.items():
        if name != ANY:
            lane = name if name in table.pools.values() else table.lane_of(name)
            custom[lane] = _over(table.limits(tier, lane), row)
    return custom


def _over(limits: Limits, row: Mapping[str, Any]) -> Limits:
    return Limits(
        requests=row.get("requests", limits.requests),
        input_tokens=row.get("input_tokens", limits.input_tokens),
        output_tokens=row.get("output_tokens", limits.output_tokens),
    )


def price_table(data: Mapping[str, Any], rows: Rows) -> PriceTable:
    return PriceTable(
        date=data["date"],
        source=data["source"],
        prices={name: _price(name, row) for name, row in merged(data["prices"], rows).items()},
        batch_percent=data["batch_percent"],
        geo_percent=data["geo_percent"],
        web_search=_nanos(data["web_search"]),
    )


def _price(name: str, row: Mapping[str, Any]) -> Price:
    if "input" not in row or "output" not in row:
        raise UsageError(f"the price of `{name}` needs `input` and `output`", hint="dollars per million tokens")
    bands = sorted(row.get("bands", ()), key=lambda band: int(band["over"]))
    return Price(
        rates=_rates(row),
        bands=tuple(Band(over=band["over"], rates=_rates(band)) for band in bands),
        fast=_rates(row["fast"]) if "fast" in row else None,
    )


def _rates(row: Mapping[str, Any]) -> Rates:
    """What a row does not say follows the published multipliers of the input price."""
    base = Decimal(row["input"])
    return Rates(
        input=_nanos(base),
        output=_nanos(row["output"]),
        cache_write_5m=_nanos(row.get("cache_write_5m", base * 5 / 4)),
        cache_write_1h=_nanos(row.get("cache_write_1h", base * 2)),
        cache_read=_nanos(row.get("cache_read", base / 10)),
    )


def _nanos(amount: Decimal | int) -> Nanos:
    """Dollars as nano-dollars, rounded up."""
    return Nanos(-int(-(Decimal(amount) * DOLLAR) // 1))


def model_table(data: Mapping[str, Any], rows: Rows) -> ModelTable:
    return ModelTable(
        date=data["date"],
        source=data["source"],
        models={name: _model(name, row) for name, row in merged(data["models"], rows).items()},
    )


def _model(name: str, row: Mapping[str, Any]) -> Model:
    known = dict(row)
    for name_of_set in ("thinking", "efforts", "thinks_at"):
        if name_of_set in known:
            known[name_of_set] = frozenset(known[name_of_set])
    if "retires" in known:
        known["retires"] = str(known["retires"])
    return Model(id=name, **known)
