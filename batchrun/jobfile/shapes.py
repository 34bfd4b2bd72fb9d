"""The shape of a request: what decides, beside its texts, whether the API takes it, and whether a batch takes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from batchrun.core.models import Model
from batchrun.jobfile.texts import Member

DECISIVE = frozenset({"output_config", "speed", "thinking", "tool_choice", "tools"})
"""Parameters whose values belong to the shape: the API checks what they say, and they are alike in many jobs."""

REMEMBERED = 1_000
"""Shapes that are remembered at a time: those of any usual file."""

SIZE = 8
"""Bytes of a shape."""

Shape = tuple[bytes, bool]
"""`SIZE` bytes, equal for requests of one model with the same parameters, tools and so on; and whether batches refuse
it: they serve neither every model nor fast mode (batch guide, 2026-09-26)."""


class Shapes:
    """Tells shapes. Most requests of a file have one shape: then telling it is one look into a dict."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], Shape] = {}

    def of(
        self,
        request: Mapping[str, Any],
        model: Model | None,
        members: Mapping[str, Member],
        common: Mapping[str, Member],
    ) -> Shape:
        """The shape of *request* whose members stand in *members*, or else in *common*."""
        name: str = request["model"]
        key: tuple[str, ...] = (name, *request)
        texts: list[str] = []
        if not DECISIVE.isdisjoint(request):
            texts = [(members.get(one) or common[one])[1] for one in request if one in DECISIVE]
            key += tuple(texts)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            shape = _digest([name, sorted(request), sorted(texts)])
            refused = bool(request.get("speed")) or (model is not None and not model.batch)
            found = self._known[key] = (shape, refused)
        return found


def _digest(parts: Iterable[object]) -> bytes:
    return hashlib.blake2b(json.dumps(list(parts)).encode(), digest_size=SIZE).digest()
