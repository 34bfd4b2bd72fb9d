"""The marks of prompt caching: their form, and how many there are in a whole request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from batchrun.jobfile.codes import Code
from batchrun.jobfile.faults import Fault, Path, article
from batchrun.jobfile.parameters import REQUIRED

MOST = 4
"""Marks in one request: the API's refusal says so (prompt caching page, 2026-09)."""

TTLS = ("5m", "1h")
_HINT = 'for example `{"type": "ephemeral"}`, or with `"ttl": "1h"`'


def faults_of_marks(request: Mapping[str, Any]) -> Iterable[Fault]:
    """What is wrong with each `cache_control` of *request*, and with their number."""
    messages = request.get("messages")
    if len(request) == len(REQUIRED) and type(messages) is list and len(messages) == 1:
        message = messages[0]
        if type(message) is dict and type(message.get("content")) is str and "cache_control" not in request:
            return ()  # nearly all requests
    return _faults(request)


def _faults(request: Mapping[str, Any]) -> Iterator[Fault]:
    last: Path = ()
    count = 0
    for here, mark in _marks(request):
        count += 1
        if count <= MOST + 1:
            last = here
        yield from _of_mark(here, mark)
    if count > MOST:
        yield Fault(
            code=Code.CACHE_MARKS,
            path=last,
            message=f"this request has {count} marks of `cache_control`; the API takes {MOST}",
            hint="one mark covers all that stands before it: leave the last ones",
        )


def _of_mark(here: Path, mark: Any) -> Iterator[Fault]:
    kind = mark.get("type") if isinstance(mark, dict) else None
    if kind != "ephemeral":
        said = article(kind if isinstance(mark, dict) else mark)
        yield Fault(
            code=Code.CACHE_CONTROL,
            path=(*here, "type") if isinstance(mark, dict) and "type" in mark else here,
            message=f'`type` of a `cache_control` must be "ephemeral", not {said}',
            hint=_HINT,
        )
    elif mark.get("ttl") is not None and mark["ttl"] not in TTLS:
        yield Fault(
            code=Code.CACHE_CONTROL,
            path=(*here, "ttl"),
            message=f'`ttl` of a `cache_control` must be "5m" or "1h", not {article(mark["ttl"])}',
        )


def _marks(request: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    if request.get("cache_control") is not None:
        yield ("cache_control",), request["cache_control"]
    for name in ("tools", "system"):
        yield from _of_blocks((name,), request.get(name))
    messages = request.get("messages")
    for index, message in enumerate(messages if isinstance(messages, list) else ()):
        if isinstance(message, dict):
            yield from _of_blocks(("messages", index, "content"), message.get("content"))


def _of_blocks(here: Path, blocks: Any) -> Iterator[tuple[Path, Any]]:
    for index, block in enumerate(blocks if isinstance(blocks, list) else ()):
        if isinstance(block, dict) and block.get("cache_control") is not None:
            yield (*here, index, "cache_control"), block["cache_control"]
