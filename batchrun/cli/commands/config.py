"""`batchrun config`: the settings that hold here, where each came from, and the dated tables behind the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import click

from batchrun.cli import options, output
from batchrun.cli.call import Call
from batchrun.cli.output import Format
from batchrun.core.figures import decimal_string
from batchrun.errors import Exit, UsageError

if TYPE_CHECKING:
    from batchrun.core.job import Nanos
    from batchrun.core.pricing import PriceTable, Rates
    from batchrun.settings import Settings
    from batchrun.settings.tables import Tables


@options.command(
    "batchrun config show --origin",
    "batchrun config show prices",
    "batchrun config path",
    "batchrun config show --json",
)
@click.argument("what", type=click.Choice(["show", "path"]), default="show", metavar="[show|path]")
@click.argument("table", type=click.Choice(["prices", "limits", "models"]), required=False, metavar="[TABLE]")
@click.option("--origin", is_flag=True, help="Show where each value came from.")
@options.formats(Format.TABLE, Format.JSON, Format.JSONL, Format.CSV, Format.TSV, Format.MD)
def config(call: Call, what: str, table: str | None, origin: bool, format: Format | None) -> Exit:  # noqa: A002  # the flag's name
    """Show the settings, or which settings files are read.

    TABLE is prices, limits or models: the dated numbers behind estimates and limits, with what your files change in
    them. Secrets are never shown, only their last characters.
    """
    form = output.chosen(format, call.screen)
    if what == "path":
        if table is not None:
            raise UsageError(f"`config path` takes no table; did you mean `config show {table}`?")
        return _paths(call, form)
    if table is not None:
        return _table(call, table, form)
    columns = ("name", "value", "origin") if origin else ("name", "value")
    output.rows(call.screen, form, "config", _settings(call.settings), columns=columns, key="settings")
    return Exit.OK


def _settings(settings: Settings) -> Iterator[dict[str, Any]]:
    from batchrun.core.secrets import ending
    from batchrun.settings import OPTIONS

    for name in OPTIONS:
        yield {"name": name, "value": settings.shown(name), "origin": settings.origin_of(name)}
    for name, variable in settings.variables.items():
        yield {"name": name, "value": ending(variable.value), "origin": variable.origin}


def _paths(call: Call, form: Format) -> Exit:
    if form in {Format.JSON, Format.JSONL}:
        output.rows(
            call.screen,
            form,
            "config_files",
            ({"path": path} for path in call.settings.files),
            columns=("path",),
            key="files",
        )
        return Exit.OK
    for path in call.settings.files:
        call.screen.line(path)
    if not call.settings.files:
        call.screen.say("no settings file is read here; a batchrun.toml in this folder or one above would be")
    return Exit.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One dated table, ready to be written."""

    rows: Sequence[dict[str, Any]]
    columns: Sequence[str]
    right: Sequence[str]
    date: str
    source: str
    note: str
    more: dict[str, Any] = field(default_factory=dict)


def _table(call: Call, name: str, form: Format) -> Exit:
    tables = call.settings.tables()
    for warning in tables.warnings:
        call.screen.warn(warning)
    shown = {"prices": _prices, "limits": _limits, "models": _models}[name](tables, call.settings)
    head = {"date": shown.date, "source": shown.source, **shown.more}
    output.rows(call.screen, form, name, shown.rows, columns=shown.columns, right=shown.right, extra=head)
    call.screen.say(f"{shown.note} As of {shown.date}: {shown.source}")
    return Exit.OK


def _prices(tables: Tables, _: Settings) -> Shown:
    kinds = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read")
    return Shown(
        rows=list(_price_rows(tables.prices, kinds)),
        columns=("model", *kinds, "over", "speed"),
        right=(*kinds, "over"),
        date=tables.prices.date,
        source=tables.prices.source,
        note=f"Dollars per million tokens; batches cost {tables.prices.batch_percent} %.",
        more={"currency": "USD", "per_tokens": 1_000_000, "batch_percent": tables.prices.batch_percent},
    )


def _price_rows(table: PriceTable, kinds: Sequence[str]) -> Iterator[dict[str, Any]]:
    def row(model: str, rates: Rates, over: int | None, speed: str) -> dict[str, Any]:
        amounts = {kind: _dollars(getattr(rates, kind)) for kind in kinds}
        return {"model": model, **amounts, "over": over, "speed": speed}

    for model, price in table.prices.items():
        yield row(model, price.rates, None, "standard")
        for band in price.bands:
            yield row(model, band.rates, band.over, "standard")
        if price.fast is not None:
            yield row(model, price.fast, None, "fast")


def _dollars(rate: Nanos) -> str:
    return decimal_string(rate)


def _limits(tables: Tables, settings: Settings) -> Shown:
    lanes = dict(tables.limits.tiers[settings.tier]) | dict(tables.custom)
    numbers = ("requests", "input_tokens", "output_tokens")
    return Shown(
        rows=[{"lane": lane, **asdict(limits)} for lane, limits in lanes.items()],
        columns=("lane", *numbers),
        right=numbers,
        date=tables.limits.date,
        source=tables.limits.source,
        note=f"A minute, for tier {settings.tier}; what the API tells wins over these.",
        more={"tier": settings.tier},
    )


def _models(tables: Tables, _: Settings) -> Shown:
    facts = ("context", "max_output", "deprecated", "retires", "retired")
    return Shown(
        rows=[
            {"model": model.id, **{fact: getattr(model, fact) for fact in facts}}
            for model in tables.models.models.values()
        ],
        columns=("model", *facts),
        right=("context", "max_output"),
        date=tables.models.date,
        source=tables.models.source,
        note="A model that is missing here may still exist.",
    )
