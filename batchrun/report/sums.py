"""Money and time of a run in words and pictures, as a page shows them."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from batchrun.core.figures import count, dollars, span
from batchrun.core.job import Nanos
from batchrun.queue.rows import RunSummary
from batchrun.report import charts, summary
from batchrun.report.books import BATCH, Account, Books, quantile, saved

ENOUGH = 20
"""Realtime answers from which on a histogram tells something."""


def sums(run: RunSummary, told: Books, batch_percent: int) -> dict[str, Any]:
    """What the page's template asks of money and time; batches cost *batch_percent* of the realtime price."""
    whole = told.total()
    over = charts.slots(told.seconds)
    enough = sum(told.latencies.values()) >= ENOUGH
    return {
        "money": _money(run, told, batch_percent),
        "accounts": [_account(one) for _, one in sorted(told.accounts.items())],
        "total": _account(whole),
        "cached": whole.cache_read + whole.cache_write > 0,
        "timeline": Markup(charts.timeline(over)) if over else "",  # noqa: S704  # our own
        "histogram": Markup(charts.histogram(told.latencies)) if enough else "",  # noqa: S704  # our own
        "kinds": [(kind, label) for kind, label in _KINDS if any(over.counts[kind])] if over else [],
        "batched": any(via == BATCH for _, via in told.accounts),
        "pace": _pace(told),
        "latencies": _latencies(told),
        "retries": _retries(told),
    }


_KINDS = (("realtime", "answers in realtime"), ("batch", "answers in batches"), ("error", "failed attempts"))


def _money(run: RunSummary, told: Books, percent: int) -> list[tuple[str, str, str]]:
    whole, in_batches = told.total(), told.total(BATCH)
    rows = [("spent", dollars(run.spent), "")]
    if run.possibly:
        rows.append((f"of that {count(run.possibly, 'attempt')} possibly billed", dollars(run.possibly_cost), "warn"))
    if run.reserved:
        rows.append(("reserved for what is out", dollars(run.reserved), ""))
    if run.budget is not None:
        rows.append((f"cap, {summary.percent(run.spent, run.budget)} used", dollars(run.budget), ""))
    if in_batches.cost:
        rows.append(("saved by batches", dollars(saved(in_batches.cost, percent)), "good"))
    if whole.unpriced:
        rows.append(("answers of unknown price", f"{whole.unpriced:,}", "warn"))
    return rows


def _account(one: Account) -> dict[str, str]:
    numbers = ("attempts", "answers", "input", "output", "cache_read", "cache_write")
    known = one.unpriced < one.answers or not one.answers
    each = Nanos(one.cost // one.answers) if one.answers and known else None
    return {
        "model": one.model,
        "via": one.via,
        **{name: f"{getattr(one, name):,}" for name in numbers},
        "cost": f"{dollars(Nanos(one.cost)) if known else 'unknown'}{' + unknown' if one.unpriced and known else ''}",
        "each": "" if each is None else dollars(each),
    }


def _pace(told: Books) -> str:
    if told.first is None or told.last is None:
        return ""
    answers, seconds = told.total().answers, max(1.0, (told.last - told.first) / 1000)
    return f"{count(answers, 'answer')} over {span(seconds)}, {60 * answers / seconds:,.1f} a minute on average."


def _latencies(told: Books) -> str:
    marks = [(name, quantile(told.latencies, share)) for name, share in (("median", 0.5), ("p95", 0.95), ("p99", 0.99))]
    parts = [f"{name} {charts.latency(value)}" for name, value in marks if value is not None]
    longest = f", longest {charts.latency(max(told.latencies))}" if told.latencies else ""
    return f"{count(sum(told.latencies.values()), 'answer')}: {', '.join(parts)}{longest}."


def _retries(told: Books) -> str:
    statuses = ", ".join(f"{n:,} × {status}" for status, n in told.statuses.most_common(6))
    text = f"{count(told.attempts, 'attempt')}, {100 * told.retry_rate:.1f} % of them not the first of their job."
    return f"{text} Answered with errors: {statuses}." if statuses else text
