"""What must hold at the end of a history of batches, by the API's ledger and the program's books side by side."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from batchrun.core.batch import Ticket, ticket_of
from batchrun.core.events import BatchTurned, Turn
from batchrun.core.job import Millis
from batchrun.queue import tables as t
from batchrun.simulator import answers
from batchrun.simulator.ledger import Entry
from batchrun.simulator.lots import Bought, Lot
from tests.scheduler.world import World

MINUTE = 60_000
SETTLE, SETTLE_ANSWERED = 15 * MINUTE, 2 * MINUTE
"""What the design promises to wait. Not the program's own words: a plant may have changed those."""

SECOND = 1000
"""`Date` headers tell no more."""

SEQUELS = {"max_tokens", "pause_turn", "refusal"}
"""How answers end after which a job may be asked once more."""

OVER = frozenset({"done", "rejected", "lost", "gone"})
FINAL = frozenset({"succeeded", "failed", "cancelled", "held"})


@dataclass
class Books:
    """What is known of a history from both sides. `posted` has the server's time at which each create left, by token."""

    world: World
    posted: dict[str, list[Millis]] = field(default_factory=dict)
    retried: dict[int, int] = field(default_factory=dict)  #: jobs that a user put back, and their last attempt then
    resolved: set[str] = field(default_factory=set)  #: tokens of batches that a person gave up

    @cached_property
    def batches(self) -> dict[str, Any]:
        return {row.token: row for row in self._rows(t.batches)}

    @cached_property
    def attempts(self) -> dict[tuple[int, int], Any]:
        return {(row.job, row.n): row for row in self._rows(t.attempts)}

    @cached_property
    def stops(self) -> dict[tuple[int, int], str]:
        """How each answer that was kept ends, by its job and attempt."""
        return {(row.job, row.attempt): row.stop_reason for row in self._rows(t.results)}

    @cached_property
    def run(self) -> Any:
        (run,) = self._rows(t.runs)
        return run

    @property
    def asks_on(self) -> bool:
        return bool(self.run.on_truncated == "retry")

    @cached_property
    def jobs(self) -> dict[int, Any]:
        return {row.id: row for row in self._rows(t.jobs)}

    @cached_property
    def ours(self) -> set[str]:
        """Remote ids that the program knows for its own."""
        proven = {row.remote_id for row in self._rows(t.candidates) if row.verdict == "ours"}
        return proven | {row.remote_id for row in self.batches.values() if row.remote_id is not None}

    @cached_property
    def copies(self) -> set[str]:
        """Batches that a gateway's repetition made: no create of its own was accepted for them."""
        created = {entry.batch for entry in self.world.simulator.ledger.entries if _is_create(entry)}
        return {lot.batch for lot in self.world.simulator.ledger.lots.values() if not lot.foreign} - created

    @cached_property
    def lots(self) -> dict[str, list[Lot]]:
        """Our batches at the API by token."""
        found = defaultdict(list)
        for lot in self.world.simulator.ledger.lots.values():
            ticket = None if lot.foreign else ticket_of(lot.custom_ids.split("\n", 1)[0])
            if ticket is not None:
                found[ticket.token].append(lot)
        return found

    def hidden(self, remote: str) -> bool:
        """Whether somebody has taken its results away."""
        batch = self.world.simulator.shelf.batches[remote]
        return batch.deleted or batch.archived is not None

    def told(self, work: Bought) -> bool:
        """Whether its line tells what became of it."""
        hidden = self.hidden(work.batch)
        return not hidden and self.line(work.batch, work.custom_id) in {"succeeded", "errored", "canceled", "expired"}

    def worst(self, work: Bought) -> int:
        """What was reserved for it."""
        ticket = ticket_of(work.custom_id)
        assert ticket is not None
        attempt = self.attempts.get((ticket.job, ticket.attempt))
        return 0 if attempt is None else attempt.worst or 0

    def line(self, remote: str, custom_id: str) -> str | None:
        """The type of an item's line in the results; None if there is none."""
        return self._lines(remote).get(custom_id)

    def _lines(self, remote: str) -> dict[str, str]:
        if remote not in self._read:
            path, _ends = self.world.simulator.shelf.results(remote)
            items = (json.loads(line) for line in path.read_bytes().splitlines())
            self._read[remote] = {item["custom_id"]: item["result"]["type"] for item in items}
        return self._read[remote]

    _read: dict[str, dict[str, str]] = field(default_factory=dict)

    def _rows(self, table: sa.Table) -> list[Any]:
        return self.world.rows(table)


def judge(books: Books, jobs: int) -> Counter[str]:
    """Raises AssertionError for what must not be; returns what happened, counted."""
    happened = _purchases(books)
    happened.update(f"ended by {stop}" for stop in books.stops.values() if stop in SEQUELS)
    _ends(books, jobs)
    _answers(books)
    _found(books)
    _money(books)
    return happened + _events(books)


def _ends(books: Books, jobs: int) -> None:
    assert len(books.jobs) == jobs
    left = {row.state for row in books.jobs.values()} - FINAL
    assert not left, f"jobs are {left}"
    states = {row.state for row in books.batches.values()} - OVER
    assert not states, f"batches are {states}"
    for token, moments in books.posted.items():
        assert len(moments) == 1, f"the create of {token} left {len(moments)} times"
        assert token in books.batches, f"the create of {token} left without a row"


# -- bought twice ----------------------------------------------------------------------------------------------------


def _purchases(books: Books) -> Counter[str]:
    """Whatever was bought for a job beyond one answer must have a cause that is nobody's mistake."""
    by_prompt = {
        answers.digest(json.loads(own)): job
        for job, own in books.world.rows(t.requests, t.requests.c.job, t.requests.c.own)
    }
    happened: Counter[str] = Counter()
    for prompt, works in books.world.simulator.ledger.repeated().items():
        job = by_prompt[prompt]
        realtime = [work for work in works if isinstance(work, Entry)]
        causes = [_cause(books, work) for work in works if isinstance(work, Bought)]
        doubts = [
            row for (its, _), row in books.attempts.items() if its == job and row.via == "realtime" and _doubtful(row)
        ]
        on = [
            n
            for (its, n), row in books.attempts.items()
            if its == job and row.via == "realtime" and books.asks_on and books.stops.get((its, n)) in SEQUELS
        ]
        causes += ["it was not the end"] * min(len(on), len(realtime))
        causes += ["realtime in flight"] * min(len(doubts), len(realtime) - len(on))
        causes += [None] * (len(realtime) - len(on) - len(doubts))
        found = [cause for cause in causes if cause is not None]
        told = [(work.batch, work.custom_id) if isinstance(work, Bought) else work.request_id for work in works]
        assert len(found) >= len(works) - 1, f"job {job} was bought {len(works)} times: {told}, {causes}"
        happened.update(f"bought twice: {cause}" for cause in found[: len(works) - 1])
    return happened


def _cause(books: Books, work: Bought) -> str | None:
    """Why *work* may have been bought besides another one."""
    ticket = ticket_of(work.custom_id)
    assert ticket is not None
    batch, attempt = books.batches.get(ticket.token), books.attempts.get((ticket.job, ticket.attempt))
    assert batch is not None
    assert attempt is not None
    lots = {lot.batch for lot in books.lots[ticket.token]}  # more than one of a create that left but once: a repetition
    own = batch.remote_id if batch.remote_id in lots else next(iter(lots - books.copies), None)
    if work.batch != own:
        return "repeated by a gateway"
    if books.stops.get((ticket.job, ticket.attempt)) in SEQUELS and books.asks_on:
        return "it was not the end"
    if batch.lost is not None:
        return _cause_of_loss(books, batch, work)
    unheard = attempt.outcome == "unknown" or len(lots) > 1
    missing = unheard and batch.remote_id == work.batch and not books.hidden(work.batch)  # a repetition may answer it
    if missing and books.line(work.batch, work.custom_id) is None:
        return "no line"
    if books.retried.get(ticket.job, 0) >= ticket.attempt and attempt.billed == "maybe":
        return "asked for by a user"
    return None


def _cause_of_loss(books: Books, batch: Any, work: Bought) -> str | None:
    (left,) = books.posted[batch.token]
    lag = round(books.world.simulator.plan.batches.listed_after * 1000)
    seen = books.world.simulator.ledger.lots[work.batch].at + lag
    if seen + SECOND >= left + (SETTLE_ANSWERED if batch.answered else SETTLE):
        return "arrived after the settle time"
    if books.run.on_unclear == "resend" and books.run.deadline is not None:
        return "rather twice than late"
    if batch.token in books.resolved:
        return "given up by a person"
    if books.hidden(work.batch) and work.batch not in books.ours:
        return "taken away before any listing could show it"
    return None


def _doubtful(row: Any) -> bool:
    return row.billed == "maybe" or (row.status or 0) >= 500


# -- answers and money -----------------------------------------------------------------------------------------------


def _answers(books: Books) -> None:
    """Each answer is its own job's; whoever has none was never given one that could be had."""
    requests = dict(books.world.rows(t.requests, t.requests.c.job, t.requests.c.own))
    for job, body in books.world.rows(t.results, t.results.c.job, t.results.c.body):
        assert answers.digest(json.loads(requests[job])) in body or json.loads(body)["stop_reason"] != "end_turn"
    for row in books.jobs.values():
        assert row.kept is None or row.state == "held", f"job {row.id} is {row.state}, and an answer is kept for it"
    for ticket, work in _works(books):
        if books.jobs[ticket.job].state == "succeeded" or books.hidden(work.batch):
            continue
        line = books.line(work.batch, work.custom_id)
        if books.asks_on and books.stops.get((ticket.job, ticket.attempt)) == "refusal":
            continue
        if books.jobs[ticket.job].kept is not None:  # a person decides whether it is asked on
            continue
        assert line != "succeeded", f"the answer of job {ticket.job} in {work.batch} was left there"


def _works(books: Books) -> Iterator[tuple[Ticket, Bought]]:
    for work in books.world.simulator.ledger.items():
        ticket = ticket_of(work.custom_id)
        if work.billed and ticket is not None:
            yield ticket, work


def _found(books: Books) -> None:
    """Every batch of ours is known, unless somebody hid it before it could be."""
    for token, lots in books.lots.items():
        for lot in lots:
            if not books.hidden(lot.batch):
                assert lot.batch in books.ours, f"{lot.batch}, the batch of {token}, was never found"


def _money(books: Books) -> None:
    """What was billed is on the books, and nothing else but what no line tells: that counts at its worst."""
    ledger, spent = books.world.simulator.ledger, books.run.spent
    billed = sum(entry.cost for entry in ledger.entries)
    untold = 0
    for lot in ledger.lots.values():
        for work in lot.items() if lot.batch in books.ours else ():
            billed += work.cost
            untold += 0 if books.told(work) else books.worst(work) - work.cost
    assert spent >= billed, f"{billed} was billed and {spent} is on the books"
    if not books.run.possibly:
        assert spent <= billed + untold, f"{billed} was billed and {spent} is on the books, {untold} of it in doubt"


# -- what happened ---------------------------------------------------------------------------------------------------


def _events(books: Books) -> Counter[str]:
    """What no event of the program tells."""
    happened: Counter[str] = Counter()
    for turned in books.world.heard.of(BatchTurned):
        if turned.turn is Turn.SHORT and turned.remote is not None and not books.hidden(turned.remote):
            lot = books.world.simulator.ledger.lots[turned.remote]
            happened["cut download"] += all(books.line(lot.batch, each) is not None for each in lot.ids)
    for entry in books.world.simulator.ledger.entries:
        happened["cancel race"] += entry.endpoint.endswith("/cancel") and entry.status == 409
    for lots in books.lots.values():
        happened["cancel race"] += sum({"s", "c"} <= set(lot.outcomes) for lot in lots)
    return happened


def _is_create(entry: Entry) -> bool:
    return entry.endpoint == "POST /v1/messages/batches" and entry.accepted
