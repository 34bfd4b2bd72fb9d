"""Rows whose jobs are alike: most templates put a row into one text, and into id, metadata and tags.

All else of such a job is checked and written once, for the first row; a row with anything wrong goes the whole way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from batchrun.core.job import Job, Where
from batchrun.jobfile.assembly import Assembly, Common
from batchrun.jobfile.casting import Cast, text_of
from batchrun.jobfile.excerpt import KEY
from batchrun.jobfile.faults import Fault, Path
from batchrun.jobfile.forms import Draft, faults_of_key, metadata_of
from batchrun.jobfile.json_text import compact
from batchrun.jobfile.labels import tags_of
from batchrun.jobfile.template import Template

_BESIDE = frozenset({"id", "metadata", "tags"})


class Quick:
    """The quick way for the rows of one template."""

    def __init__(self, cast: Cast, path: Path, moving: frozenset[str | int], job: Job, assembly: Assembly) -> None:
        self._cast = cast
        self._path = path
        self._moving = moving
        self._job = job
        self._assembly = assembly

    @classmethod
    def of(
        cls,
        template: Template,
        entry: Mapping[str, Any],
        draft: Draft,
        job: Job,
        assembly: Assembly,
        common: Common | None,
    ) -> Self | None:
        """The way that *entry*, which gave *job* and nothing to warn of, has shown; None if there is none."""
        place = text_of(draft.request) if "messages" in draft.request else None
        if place is None:
            return None
        path = draft.written(place)
        if any(part.path != path and part.path[0] not in _BESIDE for part in template.parts):
            return None
        quick = cls(Cast(draft, place, job, assembly, common), path, template.moving, job, assembly)
        if not quick._cast.whole or quick._made(entry, job.where, job.file, job.key) != job:
            return None
        return quick

    def job(self, entry: Mapping[str, Any], where: Where, file: int) -> Job | None:
        """The job of *entry*; None if it has to go the whole way."""
        return self._made(entry, where, file, None)

    def _made(self, entry: Mapping[str, Any], where: Where, file: int, known: str | None) -> Job | None:
        text: Any = entry
        for step in self._path:
            text = text[step]
        if type(text) is not str or not text or text.isspace() or KEY.search(text):
            return None
        given = entry.get("id")
        key = None if given is None else str(given)
        if key is not None and (type(given) not in {str, int} or faults_of_key(key, "") or KEY.search(key)):
            return None
        faults: list[Fault] = []
        metadata, tags = self._job.metadata, self._job.tags
        try:
            if "metadata" in self._moving:
                metadata = metadata_of(entry, faults)
                if metadata is None or KEY.search(metadata):
                    return None
            if "tags" in self._moving:
                tags = tags_of(entry["tags"], faults)
                if tags is None or KEY.search(tags):
                    return None
            if faults:
                return None
            key_of = self._assembly.key_of if known is None else lambda _digest: known
            return self._cast.job(key, compact(text), metadata, where, file, key_of, tags)
        except ValueError:
            return None  # half a character: the whole way tells
