"""What passes a door of the simulator: requests, responses, and the ways in which a connection fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request. Header names are in lower case; `path` has no query.

    A body that is too large for the memory is the file `upload`, which belongs to whoever handles the request, and
    `too_large` is one that the door did not take to its end.
    """

    method: str
    path: str
    query: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    headers: Mapping[str, str]
    body: bytes = b""
    upload: Path | None = None
    too_large: bool = False
    origin: str = "https://api.anthropic.com"  #: where the client sent it


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One HTTP response. A door calls `ended` exactly once: whether the whole body reached the client.

    An iterated body may raise a `Broken` at any place; the door then breaks the connection there. `length` is the
    length that the headers promise where it is more than what the body will give.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes | AsyncIterator[bytes]
    length: int | None = None
    ended: Callable[[bool], None]


class How(Enum):
    """In which way a connection fails."""

    NOT_REACHED = "none was made, and nothing was sent"
    RESET = "it was reset without an answer, whatever became of the request"
    CLOSED = "it was closed in good order and without an answer, whatever became of the request"
    CUT = "it was closed in the middle of an answer"
    SILENT = "nothing came for longer than the client waits"


class Broken(Exception):
    """The connection fails; each door turns it into what a client of that door really sees."""

    def __init__(self, how: How, why: str) -> None:
        super().__init__(why)
        self.how = how
