from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from batchrun.core.job import Where
from batchrun.core.problem import Problem
from batchrun.jobfile import reading, textlines
from batchrun.jobfile.reading import Reading
from batchrun.jobfile.source import Source
from tests.jobfile.desk import GOOD, HEAD, PARAMS, RULES, Found, read, read_files, read_sources

YAML = HEAD + "jobs:\n  - id: good\n    prompt: Hi.\n"


@pytest.mark.parametrize("name", ["-", "jobs", "jobs.jsonl", "jobs.json", "jobs.yaml", "jobs.txt"])
@pytest.mark.parametrize("before", ["", "\ufeff", "\n\n", "  "])
def test_json_lines_are_known_by_their_content(name: str, before: str) -> None:
    for text in (GOOD, f'{{"custom_id": "good", "params": {PARAMS}}}'):
        assert read(before + text + "\n" + text, name).keys == ["good", "good"]


@pytest.mark.parametrize("name", ["-", "jobs", "jobs.jsonl", "jobs.yaml", "jobs.txt"])
@pytest.mark.parametrize("before", ["", "\ufeff", "\n\n", "# a comment: {\n\n", "---\n", "%YAML 1.2\n---\n"])
def test_yaml_is_known_by_its_content(name: str, before: str) -> None:
    found = read(before + YAML, name)
    assert found.keys == ["good"]
    assert found.shapes == ["YAML"]


def test_json_is_yaml_too_under_such_a_name() -> None:
    text = '{"version": 1,\n "jobs": [\n{"id": "good", "model": "claude-new-1", "max_tokens": 5, "prompt": "Hi."}]}'
    assert read(text, "jobs.yaml").keys == ["good"]


def only(found: Found) -> tuple[str, str, Where | None]:
    problem: Problem = found.only_problem()
    return problem.code, problem.message, problem.where


@pytest.mark.parametrize("content", ["", "\ufeff", "\n", " \r\n\t\n"])
@pytest.mark.parametrize("name", ["jobs.jsonl", "jobs.yaml", "-"])
def test_an_empty_file_is_a_problem(content: str, name: str) -> None:
    assert only(read(content, name)) == ("BR012", "this file is empty", Where(name, 1))


def test_a_large_file_of_blank_lines_is_empty_too() -> None:
    assert only(read("\n" * 200_000))[0] == "BR012"


@pytest.mark.parametrize("content", ["# nothing\n", "---\n", "null\n"])
def test_yaml_without_anything_holds_no_jobs(content: str) -> None:
    assert read(content, "jobs.yaml").codes[0] in {"BR012", "BR024"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04rest", "this is a ZIP archive or a spreadsheet, not a job file"),
        (b"PAR1\0\0", "this is a Parquet file, not a job file"),
        (b"\x89PNG\r\n\x1a\n\0\0", "this is not text in UTF-8"),
        (GOOD.encode("utf-16"), "this is text in UTF-16"),
        (b"\x7fELF\0\0\0\0", "this is not text in UTF-8"),
    ],
)
@pytest.mark.parametrize("name", ["jobs.jsonl", "jobs.yaml", "-"])
def test_what_is_no_text_is_named(content: bytes, message: str, name: str) -> None:
    assert only(read(content, name)) == ("BR013", message, Where(name, 1))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('{\n  "model": "x"\n}', "jq -c ."),
        ("Dear diary,\n", "a job file is"),
    ],
)
def test_another_shape_is_told_its_cure(text: str, hint: str) -> None:
    for name in ("jobs.json", "-") if text[0] in "[{" else ("-", "jobs.txt"):
        problem = read(text, name).only_problem()
        assert problem.code == "BR014"
        assert hint in problem.hint
        assert problem.source == text.partition("\n")[0][: len(problem.source) - 1] + problem.source[-1:]


def test_a_line_that_looks_broken_does_not_make_it_another_shape() -> None:
    assert read("oops\n" + GOOD, "jobs.jsonl").keys == ["good"]
    assert read("oops\n" + GOOD, "-").keys == ["good"]
    assert read("{\n" + GOOD, "-").keys == ["good"]


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "none.jsonl"
    assert only(read_files(path)) == ("BR010", "there is no such file", Where(str(path), 1))


def test_a_name_that_cannot_be_a_file_is_a_problem() -> None:
    assert only(read_sources([Source("a\0b")]))[0] == "BR010"
    assert only(read_sources([Source("n" * 5000)]))[0] == "BR010"


def test_a_directory_is_a_problem(tmp_path: Path) -> None:
    assert only(read_files(tmp_path)) == ("BR011", "this is a directory", Where(str(tmp_path), 1))


def test_a_device_is_a_problem() -> None:
    assert only(read_files(Path("/dev/zero")))[0] == "BR011"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "jobs.jsonl"
    path.write_text(GOOD)
    path.chmod(0)
    assert only(read_files(path))[1] == "reading this file is not permitted"


def test_a_pipe_is_read_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=(GOOD + "\n" + GOOD,))
    writer.start()
    assert read_files(path).keys == ["good", "good"]
    writer.join()


class Failing:
    def __init__(self) -> None:
        self._first = True

    def read(self, _size: int) -> bytes:
        if self._first:
            self._first = False
            return (GOOD + "\n").encode() * 2000
        raise OSError(5, "Input/output error")


def test_a_file_that_fails_while_it_is_read_is_a_problem() -> None:
    found = read_sources([Source("jobs.jsonl", Failing())])  # type: ignore[arg-type]  # all that is asked of it
    assert found.errors[-1].message == "this file cannot be read: input/output error"


def test_one_bad_file_never_hides_the_next(tmp_path: Path) -> None:
    (tmp_path / "jobs.jsonl").write_text(GOOD)
    found = read_files(tmp_path / "none", tmp_path, tmp_path / "jobs.jsonl")
    assert found.codes == ["BR010", "BR011"]
    assert [(job.key, job.file) for job in found.jobs] == [("good", 2)]


def test_a_yaml_file_too_large_is_told_of_json_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "YAML_BYTES", 50)
    problem = read(YAML, "jobs.yaml").only_problem()
    assert problem.code == "BR021"
    assert "JSON lines" in problem.hint


def test_yaml_that_is_not_utf8_is_shown_by_line_and_character() -> None:
    problem = read(YAML.encode() + b"  - prompt: Gr\xfc\xdfe\n", "jobs.yaml").only_problem()
    assert (problem.code, problem.where) == ("BR002", Where("jobs.yaml", 6, 15))
    assert problem.source[: problem.mark] == "  - prompt: Gr"


def test_files_are_closed_when_nobody_reads_on(tmp_path: Path) -> None:
    path = tmp_path / "jobs.jsonl"
    path.write_text((GOOD + "\n") * 3)
    items = iter(Reading([Source(str(path))], RULES))
    next(items)
    before = len(list(Path("/dev/fd").iterdir()))
    del items
    assert len(list(Path("/dev/fd").iterdir())) == before - 1


def test_the_longest_line_is_longer_than_the_largest_request() -> None:
    assert textlines.LINE_BYTES > 32 * 1024 * 1024
