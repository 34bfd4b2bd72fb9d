"""Lines that are alike: most lines of a file differ in their id, their last text and their metadata, and in no more.

What else such a line says is read, checked and written once, for the first of them. A line that begins, goes on and
ends with the same characters round these values is the same JSON with other values in it, and only those are looked
at: that takes half the time or less. A line that is not alike, or has anything wrong with it, is read from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum, auto
from hashlib import blake2b
from typing import Any, assert_never

from batchrun.core.job import Job, Request, Where
from batchrun.jobfile.assembly import Assembly, Measure, bounded, cut
from batchrun.jobfile.faults import Fault, Path
from batchrun.jobfile.forms import Draft, faults_of_key, metadata_of
from batchrun.jobfile.json_places import locate
from batchrun.jobfile.json_text import compact, read_at
from batchrun.jobfile.source import DIGEST
from batchrun.jobfile.texts import compared, members_of

KEPT = 4
"""Moulds that a line is tried with: a file may take turns between a few models or prompts."""

LESSON = 256
"""Lines that pay for making one mould, which takes as long as reading four of them; 64 are paid for in advance."""

PATIENCE = 16
"""Lines in a row that fit no mould, after which it is not tried any more."""

MEASURES = 4_000
"""Sizes of requests of which a mould remembers what they weigh and cost."""

_TEXT = "\ufdd0"
"""Stands where the text comes that is said last. What else holds this character makes no mould."""


class Moulds:
    """The moulds of one input."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._moulds: list[Mould] = []
        self._credit = LESSON * 64
        self._misses = 0  # in a row

    def cast(self, text: str, where: Where, file: int) -> Job | None:
        """The job of the line *text*, if it is like an earlier one and nothing is wrong with it."""
        self._credit += 1
        for mould in self._moulds:
            job = mould.cast(text, where, file, self._assembly.key_of)
            if job is not None:
                self._misses = 0
                return job
        self._misses += 1
        if self._misses == PATIENCE:
            self._moulds = []
        return None

    def learn(self, text: str, draft: Draft, job: Job) -> None:
        """Make a mould of the line *text*, in which nothing was found, not even something to warn of."""
        if self._credit < LESSON:
            return
        self._credit -= LESSON
        mould = Mould.of(text, draft, job, self._assembly)
        if mould is not None:
            self._misses = 0
            self._moulds = [mould, *self._moulds[: KEPT - 1]]


class _Gap(IntEnum):
    """What differs from line to line."""

    KEY = auto()
    TEXT = auto()
    METADATA = auto()


class Mould:
    """A line without its id, its last text and its metadata."""

    def __init__(
        self, gaps: Sequence[tuple[str, _Gap]], tail: str, draft: Draft, place: Path, job: Job, assembly: Assembly
    ) -> None:
        self._gaps = gaps  # each after the text that leads to it
        self._tail = tail
        self._request = _replaced(draft.request, place, _TEXT)
        self._numbered = not draft.prefix  # ids may be numbers
        self._job = job
        self._max_cost = draft.max_cost
        self._assembly = assembly
        self._measures: dict[int, Measure] = {}
        members = members_of(self._request)
        self._sent = cut(members).own.split(compact(_TEXT))
        self._compared = compared(members).split(compact(_TEXT))

    @classmethod
    def of(cls, text: str, draft: Draft, job: Job, assembly: Assembly) -> Mould | None:
        """The mould of the line *text*, which means *job*; None where that cannot be made so."""
        place = _text_of(draft.request)
        if place is None:
            return None
        paths = {_Gap.TEXT: draft.written(place)}
        if draft.key is not None:
            paths[_Gap.KEY] = ("custom_id",) if draft.prefix else ("id",)
        if draft.metadata is not None:
            paths[_Gap.METADATA] = ("metadata",)
        gaps, end = [], 0
        for begin, gap in sorted((locate(text, path)[0], gap) for gap, path in paths.items()):
            gaps.append((text[end:begin], gap))
            end = read_at(text, begin)[1]
        mould = cls(gaps, text[end:], draft, place, job, assembly)
        # What a line may be beside the usual is listed nowhere: a mould is one that gives the job it was made of.
        again = mould.cast(text, job.where, job.file, lambda _digest: job.key)
        return mould if again == job and len(mould._sent) == len(mould._compared) == 2 else None

    def cast(self, text: str, where: Where, file: int, key_of: Callable[[bytes], str]) -> Job | None:
        """The job of the line *text*; None if it is another line, or anything is wrong with it.

        *key_of* gives the key of a job without an id, by its digest.
        """
        try:
            values = self._values(text)
            if values is None:
                return None
            key, said, metadata = values
            whole = said.join(self._compared).encode()
        except (ValueError, RecursionError):
            return None
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
            tags=job.tags,
            shape=job.shape,
            realtime_only=job.realtime_only,
        )

    def _values(self, text: str) -> tuple[str | None, str, str | None] | None:
        """(the id, the text as it is sent, the metadata) of the line *text*; None as for `cast`. Raises what `read_at`
        and `metadata_of` raise.
        """
        key: str | None = None
        metadata: str | None = None
        said = ""
        end = 0
        for lead, gap in self._gaps:
            if not text.startswith(lead, end):
                return None
            begin = end + len(lead)
            value, end = read_at(text, begin)
            match gap:
                case _Gap.KEY:
                    if type(value) is not str and not (type(value) is int and self._numbered):
                        return None
                    key = str(value)
                    if faults_of_key(key, ""):
                        return None
                case _Gap.TEXT:
                    if type(value) is not str or not value or value.isspace():
                        return None
                    said = text[begin:end]
                    if "\\" in said:  # else it is written as it is sent
                        said = compact(value)
                case _Gap.METADATA:
                    faults: list[Fault] = []
                    metadata = metadata_of({"metadata": value}, faults)
                    if faults:
                        return None
                case _:
                    assert_never(gap)
        whole = end + len(self._tail) == len(text) and text.endswith(self._tail)
        return (key, said, metadata) if whole else None

    def _measure(self, size: int) -> Measure:
        found = self._measures.get(size)
        if found is None:
            if len(self._measures) >= MEASURES:
                self._measures.clear()
            found = bounded(self._assembly.measure(self._request, size), self._max_cost)
            self._measures[size] = found
        return found


def _text_of(request: Mapping[str, Any]) -> Path | None:
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
