"""Lines that are alike: most lines of a file differ in their id, their last text and their metadata, and in no more.

What else such a line says is read, checked and written once, for the first of them. A line that begins, goes on and
ends with the same characters round these values is the same JSON with other values in it, and only those are looked
at: that takes half the time or less. A line that is not alike, or has anything wrong with it, is read from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum, auto
from typing import assert_never

from batchrun.core.job import Job, Where
from batchrun.jobfile.assembly import Assembly
from batchrun.jobfile.casting import Cast, text_of
from batchrun.jobfile.faults import Fault, Path
from batchrun.jobfile.forms import Draft, faults_of_key, metadata_of
from batchrun.jobfile.json_places import locate
from batchrun.jobfile.json_text import compact, read_at

KEPT = 4
"""Moulds that a line is tried with: a file may take turns between a few models or prompts."""

LESSON = 256
"""Lines that pay for making one mould, which takes as long as reading four of them; 64 are paid for in advance."""

PATIENCE = 16
"""Lines in a row that fit no mould, after which it is not tried any more."""


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
        self._numbered = not draft.prefix  # ids may be numbers
        self._cast = Cast(draft, place, job, assembly)

    @classmethod
    def of(cls, text: str, draft: Draft, job: Job, assembly: Assembly) -> Mould | None:
        """The mould of the line *text*, which means *job*; None where that cannot be made so."""
        place = text_of(draft.request)
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
        return mould if again == job and mould._cast.whole else None

    def cast(self, text: str, where: Where, file: int, key_of: Callable[[bytes], str]) -> Job | None:
        """The job of the line *text*; None if it is another line, or anything is wrong with it.

        *key_of* gives the key of a job without an id, by its digest.
        """
        try:
            values = self._values(text)
            if values is None:
                return None
            key, said, metadata = values
            return self._cast.job(key, said, metadata, where, file, key_of)
        except (ValueError, RecursionError):
            return None

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
