"""A job is one request; this module names it, says where it stands in a file, and what it weighs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NewType

JobId = NewType("JobId", int)
RunId = NewType("RunId", int)
WorkerId = NewType("WorkerId", int)
BatchId = NewType("BatchId", int)

Nanos = NewType("Nanos", int)
"""Money: US dollars times 10^9. One token of the cheapest model in a batch costs 5."""

Millis = NewType("Millis", int)
"""A moment: milliseconds since 1970-01-01 UTC, by the wall clock."""

KEY_LENGTH = 512
"""The longest key (in characters) that a job may have. Ours: what goes to the API is an id made by batchrun."""


class Way(IntEnum):
    """Which way a job goes."""

    EITHER = 0  #: as its run goes
    REALTIME = 1  #: batches refuse it
    PILOT = 2  #: realtime, before a batch of its like


@dataclass(frozen=True, slots=True)
class Where:
    """A place in an input: the file as the user named it ("-" is standard input), line and column from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The JSON of one request in at most two parts; what is sent is *own* over *shared*.

    `own` and `shared` are texts of JSON objects. `shared` is a part that many jobs have in common (the file's
    defaults, or a long system prompt with its tools); equal texts are stored once. `order` names the top-level keys
    in the order of the file where a verbatim line was cut apart, so that it is put together as it was.
    """

    own: str
    shared: str | None = None
    order: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One checked job as its file said it."""

    key: str  #: unique in its run; the user's id, or made from the content
    where: Where
    file: int = 0  #: which of the submit's files (from 0) it stands in
    model: str
    request: Request
    digest: bytes  #: 16 bytes over the canonical JSON of the request as the file said it
    size: int  #: bytes of the whole request as it is sent (compact UTF-8 JSON)
    est_input: int  #: estimated input tokens, at least 1
    max_tokens: int
    worst: Nanos | None = None  #: what it can cost at most in realtime; None where no bound is known
    unbounded: str = ""  #: why no bound is known: "the price of `model-x` is unknown", "web search has no bound" …
    metadata: str | None = None  #: JSON text handed back with the result
    tags: str | None = None  #: JSON text of the list of its words to be selected by
    shape: bytes = b""  #: equal for requests of one model, with like parameters and tools; empty: not told
    realtime_only: bool = False  #: batches refuse it
