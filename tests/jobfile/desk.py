"""A desk to read job files at: rules with models of our own, and what came out, sorted."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from batchrun.core.job import Job
from batchrun.core.models import Model, ModelTable
from batchrun.core.pricing import Price, PriceTable, Rates
from batchrun.core.problem import Problem, Severity
from batchrun.jobfile.reading import Reading
from batchrun.jobfile.rules import Rules
from batchrun.jobfile.source import Source

_RATES = Rates(
    input=1_000_000_000,
    output=5_000_000_000,
    cache_write_5m=1_250_000_000,
    cache_write_1h=2_000_000_000,
    cache_read=100_000_000,
)
_MODELS = (
    Model(
        id="claude-new-1",
        context=200_000,
        max_output=8_000,
        batch_output=300_000,
        prefill=False,
        sampling=False,
        forced_tool=False,
        thinking=frozenset({"adaptive"}),
    ),
    Model(id="claude-old-1", context=200_000, max_output=8_000, geo=False, efforts=frozenset({"low", "high"})),
    Model(
        id="claude-thinker-1",
        max_output=8_000,
        thinking=frozenset({"adaptive", "disabled"}),
        thinks=True,
        thinks_at=frozenset({"max"}),
    ),
    Model(id="claude-wide-1"),
    Model(id="claude-late-1", deprecated=True, retires="2026-12-24"),
    Model(id="claude-gone-1", retires="2026-03-01"),
)

RULES = Rules(
    api_version="2026-10-21",
    models=ModelTable(date="2026-11-01", source="these tests", models={model.id: model for model in _MODELS}),
    prices=PriceTable(
        date="2026-11-01", source="these tests", prices={model.id: Price(rates=_RATES) for model in _MODELS}
    ),
    today="2026-11-20",
)
OLD_API = replace(RULES, api_version="2023-06-01")

REST = '"model": "claude-new-1", "max_tokens": 5'
PARAMS = '{"model": "claude-new-1", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi."}]}'
GOOD = '{"id": "good", "model": "claude-new-1", "max_tokens": 5, "prompt": "Hi."}'
"""A line with nothing wrong."""

HEAD = "version: 1\ndefaults: {model: claude-new-1, max_tokens: 5}\n"
"""How a YAML file without mistakes begins; its jobs need only a prompt."""


@dataclass
class Found:
    """What a reading gave."""

    jobs: list[Job] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    shapes: list[str] = field(default_factory=list)
    digest: bytes = b""
    unfit: list[tuple[str, int]] = field(default_factory=list)  #: ids and lines of jobs with an error

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity is Severity.ERROR]

    @property
    def codes(self) -> list[str]:
        return [problem.code for problem in self.problems]

    @property
    def keys(self) -> list[str]:
        return [job.key for job in self.jobs]

    def only_job(self) -> Job:
        assert self.problems == []
        (job,) = self.jobs
        return job

    def only_error(self) -> Problem:
        (problem,) = self.errors
        return problem

    def only_problem(self) -> Problem:
        assert self.jobs == []
        (problem,) = self.problems
        return problem


def read_sources(sources: Iterable[Source], rules: Rules = RULES) -> Found:
    reading = Reading(list(sources), rules)
    found = Found()
    for item in reading:
        if isinstance(item, Job):
            found.jobs.append(item)
        else:
            found.problems.append(item)
    found.shapes, found.digest = reading.shapes, reading.digest
    found.unfit = [(unfit.key, unfit.where.line) for unfit in reading.unfit]
    return found


def read_files(*paths: Path, rules: Rules = RULES) -> Found:
    return read_sources([Source(str(path)) for path in paths], rules)


def read(text: str | bytes, name: str = "jobs.jsonl", rules: Rules = RULES) -> Found:
    """What a stream of this name and content gives."""
    content = text.encode() if isinstance(text, str) else text
    return read_sources([Source(name, io.BytesIO(content))], rules)


def yaml(jobs: str, rules: Rules = RULES) -> Found:
    """What a YAML file with these jobs gives; `jobs:` is line 3."""
    return read(HEAD + "jobs:\n" + jobs, "jobs.yaml", rules)


def merged(job: Job) -> dict[str, Any]:
    """The request as it is sent, its keys in order."""
    own = json.loads(job.request.own)
    shared = json.loads(job.request.shared) if job.request.shared else {}
    whole = {**shared, **own}
    if job.request.order:
        assert set(job.request.order) == set(whole)
        return {name: whole[name] for name in job.request.order}
    return whole


def pointed(text: str) -> tuple[str, int, int, int]:
    """(*text* without the marks « and », then line, column and width of what they enclose)."""
    before, marked, after = re.split("[«»]", text)
    return before + marked + after, before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1, len(marked)
