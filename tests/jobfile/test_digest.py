from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from batchrun.jobfile.reading import Reading, digest_of
from batchrun.jobfile.source import Source
from tests.jobfile.desk import GOOD, HEAD, RULES, merged, read_files, read_sources

YAML = HEAD + 'jobs:\n  - prompt: "@a.md"\n  - prompt: "@sub/b.md"\n  - {system: "@a.md", prompt: x}\n'


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.md").write_text("A")
    (tmp_path / "sub" / "b.md").write_text("B")
    (tmp_path / "jobs.yaml").write_text(YAML)
    (tmp_path / "jobs.jsonl").write_text((GOOD + "\n") * 100)
    return [tmp_path / "jobs.yaml", tmp_path / "jobs.jsonl"]


def quick(*paths: Path) -> bytes:
    digest = digest_of([Source(str(path)) for path in paths])
    assert digest is not None
    return digest


def test_the_digest_is_known_without_reading_jobs_and_the_same_after(files: list[Path]) -> None:
    assert quick(*files) == read_files(*files).digest
    assert len(quick(*files)) == 16


def test_a_file_that_is_named_by_an_escape_counts_too(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("A")
    path = tmp_path / "jobs.yaml"
    path.write_text(HEAD + 'jobs:\n  - prompt: "\\x40a.md"\n  - prompt: "@@a.md"\n')
    found = read_files(path)
    assert [merged(job)["messages"][0]["content"] for job in found.jobs] == ["A", "@a.md"]
    assert quick(path) == found.digest


def test_renaming_a_file_changes_nothing(files: list[Path]) -> None:
    before = quick(*files)
    moved = [path.rename(path.with_stem("other")) for path in files]
    assert quick(*moved) == before


CHANGES: list[Callable[[Path], object]] = [
    lambda home: (home / "jobs.jsonl").write_text((GOOD + "\n") * 101),
    lambda home: (home / "jobs.yaml").write_text(YAML + "\n"),
    lambda home: (home / "a.md").write_text("a"),
    lambda home: (home / "sub" / "b.md").write_text(""),
    lambda home: (home / "a.md").rename(home / "c.md").rename(home / "sub" / "b.md"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_any_input_changes_it(files: list[Path], change: Callable[[Path], object]) -> None:
    before = quick(*files)
    change(files[0].parent)
    assert quick(*files) != before


def test_files_that_change_places_change_it(files: list[Path]) -> None:
    before = quick(*files)
    home = files[0].parent
    (home / "a.md").write_text("B")
    (home / "sub" / "b.md").write_text("A")
    assert quick(*files) != before
    assert quick(files[1], files[0]) != quick(*files)


def test_a_stream_has_no_digest_before_it_is_read(files: list[Path], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert digest_of([Source("-")]) is None
    assert digest_of([Source("-", io.BytesIO(GOOD.encode()))]) is None
    assert digest_of([Source(str(files[0])), Source(str(tmp_path / "pipe"))]) is None
    assert read_sources([Source("-", io.BytesIO(GOOD.encode()))]).digest


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"version: 1\njobs: \xff"])
def test_what_is_no_job_file_has_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "jobs.yaml"
    path.write_bytes(content)
    assert digest_of([Source(str(path))]) is None
    assert digest_of([Source(str(tmp_path))]) is None
    assert digest_of([Source(str(tmp_path / "none"))]) is None


def test_broken_yaml_has_one_that_changes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "jobs.yaml"
    seen = set()
    for text in ("- x", "version: 1\njobs: [", "version: 1\njobs: 5", "version: 1\ndefaults: 1\njobs: [1]"):
        path.write_text(text)
        seen.add(quick(path))
        assert read_files(path).errors
    assert len(seen) == 4


def test_asking_for_the_digest_too_early_is_a_bug() -> None:
    reading = Reading([Source("-", io.BytesIO((GOOD + "\n" + GOOD).encode()))], RULES)
    next(iter(reading))
    with pytest.raises(RuntimeError):
        _ = reading.digest
