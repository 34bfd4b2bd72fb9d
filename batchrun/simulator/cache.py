"""The prompt cache: which part of a request's input was read from it, and what is written (caching page, 2026-09)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from batchrun.simulator import tokens
from batchrun.simulator.models import Model

SECONDS = {"5m": 300.0, "1h": 3600.0}


@dataclass(frozen=True, slots=True)
class Prefix:
    """The input up to a breakpoint."""

    digest: bytes
    tokens: int
    ttl: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """The input tokens of a request by what they cost."""

    fresh: int
    read: int = 0
    write_5m: int = 0
    write_1h: int = 0
    prefixes: tuple[Prefix, ...] = ()

    @property
    def charged(self) -> int:
        """What counts against the limit a minute: cache reads are free of it (limits page, 2026-09)."""
        return self.fresh + self.write_5m + self.write_1h


class Cache:
    """Prefixes by digest with the steady time until which they are kept; reading one keeps it longer."""

    def __init__(self) -> None:
        self._until: dict[bytes, float] = {}

    def intake(self, params: Mapping[str, Any], model: Model, now: float) -> Intake:
        """How the input of a checked request is priced at *now*."""
        whole = tokens.count(params, model)
        prefixes = [each for each in _prefixes(params, model) if each.tokens >= model.cacheable]
        read = max((each.tokens for each in prefixes if self._until.get(each.digest, now) > now), default=0)
        write = {"5m": 0, "1h": 0}
        done = read
        for each in prefixes:
            if each.tokens > done:
                write[each.ttl] += each.tokens - done
                done = each.tokens
        return Intake(
            fresh=whole - done, read=read, write_5m=write["5m"], write_1h=write["1h"], prefixes=tuple(prefixes)
        )

    def keep(self, intake: Intake, now: float) -> None:
        """What a request wrote and read is kept from *now* on: not before its answer begins."""
        for each in intake.prefixes:
            self._until[each.digest] = max(self._until.get(each.digest, now), now + SECONDS[each.ttl])


def _prefixes(params: Mapping[str, Any], model: Model) -> Iterator[Prefix]:
    """One for each breakpoint, in the order of the prompt: tools, system, messages."""
    so_far = hashlib.sha256(model.id.encode())
    total = 0
    for part, mark in _parts(params, model):
        value, size = part
        so_far.update(json.dumps(value, sort_keys=True).encode())
        total += size
        if mark is not None:
            yield Prefix(so_far.digest(), total, str(mark.get("ttl", "5m")))


def _parts(params: Mapping[str, Any], model: Model) -> Iterator[tuple[tuple[Any, int], Mapping[str, Any] | None]]:
    tools = params.get("tools") or []
    for index, tool in enumerate(tools):
        extra = tokens.TOOLS if index == 0 else 0
        yield (_bare(tool), extra + tokens.tool(tool, model)), tool.get("cache_control")
    system = params.get("system")
    for block in system if isinstance(system, list) else [system] if system else []:
        yield (_bare(block), tokens.text(block, model)), _mark_of(block)
    messages = params["messages"]
    for nth, message in enumerate(messages):
        content = message["content"]
        blocks = content if isinstance(content, list) else [content]
        for index, block in enumerate(blocks):
            extra = tokens.MESSAGE if index == 0 else 0
            last = nth == len(messages) - 1 and index == len(blocks) - 1
            mark = _mark_of(block) or (params.get("cache_control") if last else None)
            yield ((message["role"], _bare(block)), extra + tokens.text(block, model)), mark


def _mark_of(block: Any) -> Mapping[str, Any] | None:
    mark = block.get("cache_control") if isinstance(block, dict) else None
    return mark if isinstance(mark, dict) else None


def _bare(value: Any) -> Any:
    """The value without its breakpoint: marking another place leaves the prefix as it is."""
    return {name: each for name, each in value.items() if name != "cache_control"} if isinstance(value, dict) else value
