"""Files of other programs, turned into job files."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from batchrun.core.problem import Problem
from batchrun.errors import UsageError
from batchrun.jobfile.foreign.conversion import Kind, conversion
from batchrun.jobfile.foreign.loss import Target
from batchrun.jobfile.problems import Problems
from batchrun.library.inputs import STDIN, sources_of
from batchrun.library.jobfiles import rules_of
from batchrun.report.wholefile import whole_file
from batchrun.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What became of a file. If `problems` has an error, nothing was written."""

    jobs: int
    problems: Problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be converted, and to what. *models* maps names of the file to ours, "" the rest; "-" is a stream."""

    kind: Kind
    file: str
    output: str
    models: Mapping[str, str]
    max_tokens: int | None = None
    force: bool = False  #: replace a file that is there
    everything: bool = False  #: keep each problem


class _WithdrawnError(Exception):
    """Nothing is to be written."""


def convert(settings: Settings, wish: Wish) -> Converted:
    """Write the job file that *wish* asks for, whole or not at all. Raises UsageError where it cannot be written."""
    _check_target(wish)
    rules = rules_of(settings, settings.tables())
    target = Target(rules=rules, models=wish.models, max_tokens=wish.max_tokens)
    problems = Problems(keep=None) if wish.everything else Problems(by_words=True)
    try:
        with _written(wish.output) as file:
            jobs = _fill(file, wish, target, problems)
    except _WithdrawnError:
        jobs = 0
    return Converted(jobs=jobs, problems=problems)


def _fill(file: TextIO, wish: Wish, target: Target, problems: Problems) -> int:
    """How many jobs were written. Raises _WithdrawnError where the file would not be whole, or empty."""
    (source,) = sources_of([wish.file])
    jobs = 0
    for item in conversion(source, wish.kind, target):
        if isinstance(item, Problem):
            problems.add(item)
        elif not problems.errors:
            jobs += 1
            file.write(f"{item}\n")
    if problems.errors or not jobs:
        raise _WithdrawnError
    return jobs


def parsed_models(given: Sequence[str]) -> dict[str, str]:
    """`NEW` or `OLD=NEW`, each once. Raises UsageError."""
    models: dict[str, str] = {}
    for each in given:
        old, equals, new = each.rpartition("=")
        if not new or (equals and not old):
            raise UsageError(f"`--model {each}` is neither NEW nor OLD=NEW")
        if models.setdefault(old, new) != new:
            raise UsageError(f"`--model` says two things of {f'`{old}`' if old else 'all models'}", hint="say one")
    return models


def _check_target(wish: Wish) -> None:
    if wish.output == STDIN:
        return
    path = Path(wish.output)
    if wish.file != STDIN and path.exists() and os.path.realpath(path) == os.path.realpath(wish.file):
        raise UsageError(f"{path} is the file that is converted", hint="-o names another file")
    if path.is_file() and not wish.force:
        raise UsageError(f"{path} is there already", hint="-o names another file; --force replaces it")


@contextmanager
def _written(output: str) -> Iterator[TextIO]:
    """A file that is there whole or not at all; standard output, too."""
    if output != STDIN:
        with whole_file(Path(output)) as file:
            yield file
        return
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as file:
        yield file
        file.seek(0)
        shutil.copyfileobj(file, sys.stdout)
