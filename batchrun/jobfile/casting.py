"""Jobs that differ in their id, one text, their metadata and tags, and in no more: all else is written once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

from batchrun.core.job import Job, Request, Where
from batchrun.jobfile.assembly import Assembly, Common, Measure, bounded, cut
from batchrun.jobfile.faults import Path
from batchrun.jobfile.forms import Draft
from batchrun.jobfile.json_text import compact
from batchrun.jobfile.source import DIGEST
from batchrun.jobfile.texts import compared, members_of, sent

MEASURES = 4_000
"""Sizes of requests of which a cast remembers what they weigh and cost."""

_TEXT = "\ufdd0"
"""Stands where the text comes that is said last. What else holds this character makes no cast."""
_SAID = compact(_TEXT)


class Cast:
    """The job of *draft*, *job*, without the text at *place* of its request and without what is its alone."""

    def __init__(self, draft: Draft, place: Path, job: Job, assembly: Assembly, common: Common | None = None) -> None:
        own = _replaced(draft.request, place, _TEXT)
        members = members_of(own)
        self._request = own if common is None else {**common.request, **own}
        self._job = job
        self._max_cost = draft.max_cost
        self._assembly = assembly
        self._measures: dict[int, Measure] = {}
        self._sent = (cut(members).own if common is None else sent(members.values())).split(_SAID)
        self._compared = compared(members if common is None else {**common.members, **members}).split(_SAID)

    @property
    def whole(self) -> bool:
        """Whether it is of any use."""
        return len(self._sent) == len(self._compared) == 2

    def job(
        self,
        key: str | None,
        said: str,
        metadata: str | None,
        where: Where,
        file: int,
        key_of: Callable[[bytes], str],
        tags: str | None = None,
    ) -> Job | None:
        """The job with the JSON text *said*; None if anything is wrong with it. *tags*: None for those of the first.

        *key_of* gives the key of a job without an id, by its digest. Raises ValueError for half a character.
        """
        whole = said.join(self._compared).encode()
        measure = self._measure(len(whole))
        if measure.faults:
            return None
        digest = blake2b(whole, digest_size=DIGEST).digest()
        job = self._job
        return Job(
            key=key_of(digest) if key is None else key,
            where=where,
            file=file,
            model=job.model,
            request=Request(own=said.join(self._sent), shared=job.request.shared, order=job.request.order),
            digest=digest,
            size=len(whole),
            est_input=measure.est_input,
            max_tokens=job.max_tokens,
            worst=measure.worst,
            unbounded=measure.unbounded,
            metadata=metadata,
            tags=job.tags if tags is None else tags,
            shape=job.shape,
            realtime_only=job.realtime_only,
        )

    def _measure(self, size: int) -> Measure:
        found = self._measures.get(size)
        if found is None:
            if len(self._measures) >= MEASURES:
                self._measures.clear()
            found = bounded(self._assembly.measure(self._request, size), self._max_cost)
            self._measures[size] = found
        return found


def text_of(request: Mapping[str, Any]) -> Path | None:
    """Where the text stands that is said last; None if no text is."""
    messages = request["messages"]
    last = len(messages) - 1
    content = messages[last]["content"]
    if isinstance(content, str):
        return ("messages", last, "content")
    texts = [index for index, block in enumerate(content) if block["type"] == "text"]
    return ("messages", last, "content", texts[-1], "text") if texts else None


def _replaced(value: Any, path: Path, text: str) -> Any:
    """*value* with *text* at *path*."""
    if not path:
        return text
    changed = value.copy()
    changed[path[0]] = _replaced(value[path[0]], path[1:], text)
    return changed
