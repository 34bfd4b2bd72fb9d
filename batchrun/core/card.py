"""Who a worker is."""

from __future__ import annotations

from dataclasses import dataclass

from batchrun.core.job import Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerCard:
    """Who a worker is, for the message that says who works."""

    pid: int
    host: str
    boot: str
    version: str
    command: str
    started: Millis
