"""What the attempts of a run add up to: money and tokens by model and way, when it happened, how long answers took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil

from batchrun.core.job import Nanos
from batchrun.queue.books import Entry

REALTIME, BATCH, ERROR = "realtime", "batch", "error"
"""What ended in a moment: an answer either way, or an attempt that came to nothing."""


@dataclass(slots=True, kw_only=True)
class Account:
    """Attempts of one model by one way."""

    model: str
    via: str
    attempts: int = 0
    answers: int = 0
    input: int = 0  #: tokens that no cache held
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cost: int = 0  #: nano-dollars of what is certain
    maybe: int = 0  #: attempts that may have been billed
    maybe_cost: int = 0
    unpriced: int = 0  #: billed attempts whose cost is not known

    def add(self, other: Account) -> None:
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


_SUMS = tuple(name for name in Account.__slots__ if name not in {"model", "via"})


@dataclass(slots=True, kw_only=True)
class Books:
    """`seconds` counts what ended by (second, kind), `latencies` realtime answers by milliseconds."""

    accounts: dict[tuple[str, str], Account] = field(default_factory=dict)
    seconds: Counter[tuple[int, str]] = field(default_factory=Counter)
    latencies: Counter[int] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)  #: HTTP statuses of attempts that came to nothing
    attempts: int = 0  #: that were sent
    again: int = 0  #: of these, not the first one of its job
    first: int | None = None
    last: int | None = None

    @property
    def retry_rate(self) -> float:
        """The share of attempts that were not the first one of their jobs."""
        return self.again / self.attempts if self.attempts else 0.0

    def total(self, via: str | None = None) -> Account:
        """All models together; by one way, or by both."""
        whole = Account(model="", via=via or "")
        for account in self.accounts.values():
            if via is None or account.via == via:
                whole.add(account)
        return whole


def books(entries: Iterable[Entry]) -> Books:
    """Add up *entries*. What was given back before it was sent is no attempt here."""
    made = Books()
    for entry in entries:
        if entry.outcome == "released":
            continue
        account = made.accounts.get((entry.model, entry.via))
        if account is None:
            account = made.accounts[entry.model, entry.via] = Account(model=entry.model, via=entry.via)
        made.attempts += 1
        made.again += entry.n > 1
        _book(account, entry)
        if entry.ended is not None:
            _date(made, entry, entry.ended)
        start = entry.sent if entry.sent is not None else entry.ended
        if start is not None and (made.first is None or start < made.first):
            made.first = start
    return made


def _book(account: Account, entry: Entry) -> None:
    account.attempts += 1
    account.answers += entry.outcome == "ok"
    account.input += entry.input or 0
    account.output += entry.output or 0
    account.cache_read += entry.cache_read or 0
    account.cache_write += entry.cache_write or 0
    if entry.billed == "maybe":
        account.maybe += 1
        account.maybe_cost += entry.worst or entry.cost or 0
    elif entry.billed == "yes":
        account.cost += entry.cost or 0
        account.unpriced += entry.cost is None


def _date(made: Books, entry: Entry, ended: int) -> None:
    ok = entry.outcome == "ok"
    made.seconds[ended // 1000, entry.via if ok else ERROR] += 1
    if made.last is None or ended > made.last:
        made.last = ended
    if ok and entry.via == REALTIME and entry.sent is not None and ended >= entry.sent:
        made.latencies[ended - entry.sent] += 1
    if not ok and entry.status is not None:
        made.statuses[entry.status] += 1


def quantile(counts: Mapping[int, int], share: float) -> int | None:
    """The smallest value that is no less than *share* of all (nearest rank); None of nothing."""
    total = sum(counts.values())
    if not total:
        return None
    rank, passed = max(1, ceil(total * share)), 0
    for value in sorted(counts):
        passed += counts[value]
        if passed >= rank:
            return value
    return max(counts)


def saved(batch_cost: int, percent: int) -> Nanos:
    """What the same answers would have cost more in realtime, where batches cost *percent* of that."""
    return Nanos(batch_cost * (100 - percent) // percent)
