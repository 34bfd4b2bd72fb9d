"""Job files read and checked as these settings ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from batchrun.clock import SystemClock
from batchrun.core.choice import Mode
from batchrun.core.job import Job, Where
from batchrun.core.problem import Problem
from batchrun.errors import UsageError
from batchrun.jobfile.codes import IGNORABLE, Code
from batchrun.jobfile.problems import Problems
from batchrun.jobfile.reading import Reading
from batchrun.jobfile.rules import Rules
from batchrun.library import explain
from batchrun.library.inputs import Inputs
from batchrun.library.outlook import Outlook, Whereto, outlook
from batchrun.library.probing import KINDS, probe
from batchrun.queue.mistakes import twice
from batchrun.queue.submit import MOST_PILOTS, Totals, tally
from batchrun.settings import Settings
from batchrun.settings.tables import Tables

API_VERSION = "2026-10-21"
"""What the SDK sends where the settings name no version (anthropic 2.x, `_constants.py`, 2026-11)."""

NOTICE = 1_000
"""Jobs between two calls of whoever watches."""

Seen = Callable[[int], None]

Place = tuple[int, int]
"""Which of the files (`Reading.files`), from 0, and the line, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What is in job files. `problems` has all of them; `outlook` is of the jobs that have no error."""

    jobs: int
    shapes: Sequence[str]
    problems: Problems
    outlook: Outlook
    probed: int = 0  #: kinds of requests that were shown to the API


def rules_of(settings: Settings, tables: Tables) -> Rules:
    """What job files are checked against. Raises UsageError for a code that cannot be ignored."""
    return Rules(
        api_version=settings.api_version or API_VERSION,
        models=tables.models,
        prices=tables.prices,
        today=f"{datetime.now(UTC):%Y-%m-%d}",
        ignored=frozenset(_ignorable(code, settings.origin_of("ignore")) for code in settings.ignore),
    )


def _ignorable(code: str, origin: str) -> Code:
    known = next((each for each in Code if each.value == code), None)
    if known is None or known not in IGNORABLE:
        why = "there is no such code" if code not in explain.meanings() else "such a job cannot be sent at all"
        raise UsageError(
            f"{origin}: `{code}` cannot be ignored: {why}", hint="`batchrun check --explain` lists those that can be"
        )
    return known


class Collecting:
    """Reads job files to the end: problems are collected, jobs counted and handed on."""

    def __init__(self, inputs: Inputs, rules: Rules, *, everything: bool, seen: Seen | None) -> None:
        self.sources = inputs.sources
        self.reading = Reading(self.sources, rules, inputs.given)
        self.problems = Problems(keep=None) if everything else Problems()
        self.jobs = 0
        self._seen = seen

    def __iter__(self) -> Iterator[Job]:
        for item in self.reading:
            if isinstance(item, Problem):
                self.problems.add(item)
                continue
            self.jobs += 1
            if self._seen is not None and self.jobs % NOTICE == 0:
                self._seen(self.jobs)
            yield item

    def add_doubles(self, places: Mapping[str, Place]) -> None:
        """Add the problems of jobs with an error whose id stands twice; *places* has ids of the other jobs."""
        files = self.reading.files
        first = dict(places)
        for job in self.reading.unfit:
            place = (job.file, job.where.line)
            file, line = other = first.get(job.key, place)
            if other < place:
                self.problems.add(twice(job.key, job.where, Where(files[file], line)))
            elif place < other:
                self.problems.add(twice(job.key, Where(files[file], line), job.where))
            first[job.key] = min(place, other)


def check(
    settings: Settings,
    inputs: Inputs,
    *,
    everything: bool = False,
    probing: bool = False,
    seen: Seen | None = None,
    each: Callable[[Job], None] | None = None,
    counted: Callable[[], Mapping[str, float]] | None = None,
) -> Checked:
    """Check job files; add nothing. Takes about 100 bytes a job, to find ids that stand twice.

    *everything* keeps each problem, else the first few of alike ones. *probing* shows one job of each kind to the API.
    *seen* is told how many jobs were read, now and then; *each* is given every job. *counted* is asked once all are
    read and none has an error: what it says is for `outlook_of`.
    """
    tables = settings.tables()
    rules = rules_of(settings, tables)
    collecting = Collecting(inputs, rules, everything=everything, seen=seen)
    firsts: dict[bytes, Job] = {}
    totals: dict[str, Totals] = {}
    realtime: dict[str, Totals] = {}
    kinds: set[bytes] = set()
    places: dict[int, Place] = {}
    files = collecting.reading.files
    for job in collecting:
        tally(totals, job)
        if each is not None:
            each(job)
        if probing and job.shape not in firsts and len(firsts) < KINDS:
            firsts[job.shape] = job
        if job.realtime_only:
            tally(realtime, job)
        elif job.shape not in kinds and len(kinds) < MOST_PILOTS:
            kinds.add(job.shape)
            tally(realtime, job)
        before = places.setdefault(hash(job.key), (job.file, job.where.line))
        if before != (job.file, job.where.line):
            collecting.problems.add(twice(job.key, job.where, Where(files[before[0]], before[1])))
    keys = [job.key for job in collecting.reading.unfit]
    collecting.add_doubles({key: places[hash(key)] for key in keys if hash(key) in places})
    for problem in probe(settings, list(firsts.values()), rules, collecting.reading.terms) if firsts else ():
        collecting.problems.add(problem)
    return Checked(
        probed=len(firsts),
        jobs=collecting.jobs,
        shapes=collecting.reading.shapes,
        problems=collecting.problems,
        outlook=outlook(
            settings,
            tables,
            totals,
            realtime,
            Whereto(mode=Mode(settings.mode), hours=settings.hours),
            pilots=len(kinds),
            now=SystemClock().wall(),
            counted=counted() if counted is not None and totals and not collecting.problems.errors else None,
        ),
    )
