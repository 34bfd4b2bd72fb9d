"""Whether an export or a report may stand at a path: not over the run's own job file, and not over another program's.

A run is called by its job file's name, so that `nightly.jsonl` is near at hand for both.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from batchrun.errors import UsageError

SCHEMA = "batchrun.export/"
"""How the `schema` of a label begins."""

PAGE = "<!doctype html>\n<!-- batchrun.report/"
"""How each report begins."""


def label_of(path: Path) -> Path:
    """The file beside the export *path* that says what is in it."""
    return path.with_name(f"{path.name}.meta.json")


def check_target(path: Path, sources: Iterable[str], *, queue: Path, force: bool) -> None:
    """Raises UsageError if *path* is one of the job files *sources*, or an existing file that no export wrote.

    An export is known by its label. *sources* are as the user named them, from the working folder. With *force* all
    may be replaced but the *queue* itself.
    """
    if _same(path, queue):
        raise UsageError(f"{path} is the queue itself", hint="-o names another file")
    if force:
        return
    for source in sources:
        if source != "-" and _same(path, Path(source)):
            raise UsageError(
                f"{path} is a job file of this run; its answers would take its place",
                hint="-o names another file; --force replaces it all the same",
            )
    label = label_of(path)
    for file, ours in ((path, _is_label(label)), (label, not label.exists() or _is_label(label))):
        if file.is_file() and not ours:
            raise UsageError(
                f"{file} is there already and no export of batchrun",
                hint="-o names another file; --force replaces it all the same",
            )


def check_page(path: Path, *, queue: Path, force: bool) -> None:
    """Raises UsageError if *path* is the *queue*, or an existing file that is no report and *force* does not say so."""
    if _same(path, queue):
        raise UsageError(f"{path} is the queue itself", hint="-o names another file")
    if not force and path.is_file() and not _is_page(path):
        raise UsageError(
            f"{path} is there already and no report of batchrun",
            hint="-o names another file; --force replaces it all the same",
        )


def _is_page(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(PAGE)) == PAGE.encode()
    except OSError:
        return False


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one is missing: it would be made where the other is looked for
        return os.path.realpath(one) == os.path.realpath(other)


def _is_label(path: Path) -> bool:
    try:
        label = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(label, dict) and str(label.get("schema")).startswith(SCHEMA)
