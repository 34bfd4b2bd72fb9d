"""The ledger is the truth about what reached the API: what it accepted, billed and delivered, and when.

It is kept in memory and, where a path is given, appended to a file line by line before anything else happens, so that
it outlives the program under test. `Ledger(path)` reads what the file has and goes on.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from batchrun.core.job import Millis, Nanos
from batchrun.core.limits import Dimension
from batchrun.simulator.lots import Bought, Lot
from batchrun.simulator.meters import MINUTE


@dataclass(slots=True, kw_only=True)
class Entry:
    """One request that reached a door. `accepted` means that work was done for it, `billed` that it cost money."""

    seq: int
    request_id: str
    endpoint: str
    at: Millis
    prompt: str | None = None  #: digest of what it asks, see `answers.digest`; None where the body was unreadable
    mark: str | None = None  #: metadata.user_id
    model: str | None = None
    lane: str | None = None
    status: int | None = None  #: None where no answer was given
    error: str | None = None  #: the error's code, else its type; or what broke the connection
    accepted: bool = False
    billed: bool = False
    input: int = 0  #: tokens charged against the limit
    output: int = 0
    cost: int = 0  #: nano-dollars
    delivered: bool = False
    ended: Millis | None = None  #: None while it is in flight
    batch: str | None = None  #: which one it made or was about
    workspace: str | None = None  #: where it is another one than the account's usual


class Ledger:
    """All entries, in the order of arrival. `now` gives the wall time of what happens."""

    def __init__(self, path: Path | None = None) -> None:
        self.entries: list[Entry] = []
        self.lots: dict[str, Lot] = {}
        self.marked: Counter[str] = Counter()  #: how often prompts with marks were items of a batch
        self._file: int | None = None
        if path is not None:
            self._read(path)
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def arrive(self, *, request_id: str, endpoint: str, at: Millis, prompt: str | None, mark: str | None) -> Entry:
        """A new entry, written down at once."""
        entry = Entry(seq=len(self.entries), request_id=request_id, endpoint=endpoint, at=at, prompt=prompt, mark=mark)
        self.entries.append(entry)
        if self._file is not None:
            self._write(asdict(entry))
        return entry

    def note(self, entry: Entry, **changes: Any) -> None:
        """Change fields of *entry*; they are in the file when this returns."""
        for name, value in changes.items():
            setattr(entry, name, value)
        self._write({"seq": entry.seq, **changes})

    def accept(self, lot: Lot) -> None:
        """A batch was accepted."""
        self._take(lot)
        self._write(lot.plain())

    def settle(self, lot: Lot) -> None:
        """What became of the items of a batch is known."""
        self._take(lot)
        self._write(lot.plain())

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    # What tests ask.

    def accepted(self) -> Counter[str]:
        """How often work was done for each prompt, by messages and by items of batches that succeeded."""
        return Counter(prompt for prompt, _ in self._worked())

    def repeated(self) -> Mapping[str, Sequence[Entry | Bought]]:
        """The prompts for which work was done more than once, with those requests and items."""
        by_prompt = defaultdict(list)
        for prompt, work in self._worked():
            by_prompt[prompt].append(work)
        return {prompt: entries for prompt, entries in by_prompt.items() if len(entries) > 1}

    def lost(self) -> Sequence[Entry]:
        """What was billed and ended without reaching the client."""
        return [entry for entry in self.entries if entry.billed and not entry.delivered and entry.ended is not None]

    def items(self) -> Iterator[Bought]:
        """The items of all batches whose end was noticed, in the order of the batches; not those of colleagues."""
        for lot in self.lots.values():
            yield from lot.items()

    def collected(self) -> set[str]:
        """The batches whose results reached the client to the last line."""
        return {
            entry.batch
            for entry in self.entries
            if entry.batch is not None and entry.delivered and entry.endpoint.endswith("/results")
        }

    def calls(self, begin: Millis, end: Millis, endpoint: str = "") -> int:
        """How many requests came from *begin* to *end* whose method and path contain *endpoint*."""
        return sum(begin <= entry.at < end and endpoint in entry.endpoint for entry in self.entries)

    def statuses(self) -> Counter[int | None]:
        return Counter(entry.status for entry in self.entries)

    def spent(self) -> Nanos:
        return Nanos(sum(entry.cost for entry in self.entries) + sum(sum(lot.costs) for lot in self.lots.values()))

    def billed(self) -> int:
        """How many requests and items cost money."""
        items = sum(lot.outcomes.count("s") for lot in self.lots.values() if not lot.foreign)
        return items + sum(entry.billed for entry in self.entries)

    def busiest(self, dimension: Dimension, lane: str | None = None, seconds: float = MINUTE) -> int:
        """The most that was accepted in any window of *seconds*: requests and input at arrival, output at the end."""
        span = round(seconds * 1000)
        taken = sorted(self._taken(dimension, lane))
        best = total = start = 0
        for at, amount in taken:
            total += amount
            while taken[start][0] <= at - span:
                total -= taken[start][1]
                start += 1
            best = max(best, total)
        return best

    def utilisation(
        self, dimension: Dimension, limit: int, begin: Millis, end: Millis, lane: str | None = None
    ) -> float:
        """The share of *limit* a minute that was used from *begin* to *end*."""
        used = sum(amount for at, amount in self._taken(dimension, lane) if begin <= at < end)
        return used / (limit * (end - begin) / (MINUTE * 1000))

    def most_in_flight(self) -> int:
        """The most requests that were in flight at one moment."""
        changes = [(entry.at, 1) for entry in self.entries]
        # At one moment, ends count before beginnings: the connection that ended is free for the next request.
        changes += [(entry.ended, -1) for entry in self.entries if entry.ended is not None and entry.ended > entry.at]
        changes += [(entry.at, -1) for entry in self.entries if entry.ended == entry.at]
        best = now = 0
        for _, change in sorted(changes):
            now += change
            best = max(best, now)
        return best

    def in_flight(self, at: Millis) -> int:
        """How many requests were in flight at a moment."""
        return sum(entry.at <= at and (entry.ended is None or at < entry.ended) for entry in self.entries)

    def _taken(self, dimension: Dimension, lane: str | None) -> Iterator[tuple[Millis, int]]:
        amount, moment = _READERS[dimension]
        for entry in self.entries:
            at = moment(entry)
            if entry.accepted and entry.batch is None and at is not None and lane in {None, entry.lane}:
                yield at, amount(entry)

    def _worked(self) -> Iterator[tuple[str, Entry | Bought]]:
        for entry in self.entries:
            if entry.accepted and entry.prompt is not None:
                yield entry.prompt, entry
        for item in self.items():
            if item.billed and item.prompt is not None:
                yield item.prompt, item

    def _take(self, lot: Lot) -> None:
        self.lots[lot.batch] = lot
        self.marked.update(lot.marked)

    def _write(self, values: Mapping[str, Any]) -> None:
        if self._file is not None:
            os.write(self._file, json.dumps(values, separators=(",", ":")).encode() + b"\n")

    def _read(self, path: Path) -> None:
        """Raises ValueError for a line that is neither an entry nor a change; a last line that was cut is left out."""
        if not path.exists():
            return
        names = {field.name for field in fields(Entry)}
        *lines, cut = path.read_bytes().split(b"\n")
        if cut:
            os.truncate(path, path.stat().st_size - len(cut))
        for line in lines:
            values = json.loads(line)
            if "custom_ids" in values:
                self._take(Lot(**values))
                continue
            seq = values.get("seq")
            if not names >= values.keys() or not isinstance(seq, int) or seq > len(self.entries):
                raise ValueError(f"{path} is no ledger")
            if seq == len(self.entries):
                self.entries.append(Entry(**values))
            else:
                for name, value in values.items():
                    setattr(self.entries[seq], name, value)


_READERS: Mapping[Dimension, tuple[Callable[[Entry], int], Callable[[Entry], Millis | None]]] = {
    Dimension.REQUESTS: (lambda _: 1, lambda entry: entry.at),
    Dimension.INPUT: (lambda entry: entry.input, lambda entry: entry.at),
    Dimension.OUTPUT: (lambda entry: entry.output, lambda entry: entry.ended),
}
