"""Events as rows: what the scheduler did and why, for `batchrun log`. Never a prompt, an answer or a key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict

from batchrun.core.events import Event, Throttled
from batchrun.core.job import Millis
from batchrun.queue.statement import Row, Statement, columns_of
from batchrun.queue.tables import events
from batchrun.queue.transaction import Transaction

_COLUMNS = ("at", "kind", "run", "job", "lane", "detail")
_ADD = Statement(columns_of(events, *_COLUMNS))


def kind_of(event: Event) -> str:
    """Its name in the log: `job_succeeded` for JobSucceeded."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(event).__name__).lower()


def row_of(event: Event) -> Row:
    facts = asdict(event)
    columns = [facts.pop("at"), kind_of(event), *(facts.pop(name, None) for name in ("run", "job", "lane"))]
    return (*columns, json.dumps({name: fact for name, fact in facts.items() if fact is not None}, ensure_ascii=False))


class Log:
    """Writes events; of a lane that is closed again and again it tells once a second."""

    def __init__(self) -> None:
        self._throttled: dict[str, Millis] = {}

    def thinned(self, told: Iterable[Event]) -> list[Row]:
        """The rows for *told*."""
        rows: list[Row] = []
        for event in told:
            if isinstance(event, Throttled):
                last = self._throttled.get(event.lane)
                if last is not None and 0 <= event.at - last < 1000:
                    continue
                self._throttled[event.lane] = event.at
            rows.append(row_of(event))
        return rows


def record(tx: Transaction, rows: Iterable[Row]) -> None:
    tx.run_many(_ADD, _COLUMNS, rows)
