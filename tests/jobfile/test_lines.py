from __future__ import annotations

import io
import json
import tracemalloc

import pytest

from batchrun.core.job import Where
from batchrun.jobfile import textlines
from batchrun.jobfile.reading import Reading
from batchrun.jobfile.source import Source
from tests.jobfile.desk import GOOD, RULES, Found, read, read_sources


def line(id_: str) -> str:
    return GOOD.replace('"good"', f'"{id_}"')


def test_each_line_is_a_job_in_the_order_of_the_file() -> None:
    found = read("\n".join(line(id_) for id_ in "cab"))
    assert found.keys == ["c", "a", "b"]
    assert [job.where for job in found.jobs] == [Where("jobs.jsonl", n) for n in (1, 2, 3)]


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", "\n\n \n\t\r\n"])
def test_the_last_line_may_end_or_not(ending: str) -> None:
    found = read(line("a") + "\n" + line("b") + ending)
    assert (found.keys, found.problems) == (["a", "b"], [])


def test_a_mark_at_the_beginning_and_blank_lines_and_crlf_change_nothing_but_line_numbers() -> None:
    found = read("\ufeff" + line("a") + "\r\n\r\n   \r\n" + line("b") + "\r\n")
    assert [(job.key, job.where.line) for job in found.jobs] == [("a", 1), ("b", 4)]
    assert found.problems == []


def test_spaces_round_a_line_are_no_mistake() -> None:
    assert read("  " + line("a") + "  \n\t" + line("b")).keys == ["a", "b"]


@pytest.mark.parametrize(
    "bad",
    [
        b"oops",
        b"{",
        b"[1, 2]",
        b'{"id": NaN}',
        b"\xff\xfe",
        b"\0\0\0\0",
        b'{"id": "\xe9"}',
        b"[" * 100_000,
        b'"text"',
        b"1",
    ],
)
@pytest.mark.parametrize("where", ["first", "between", "last"])
def test_one_bad_line_never_hides_another(bad: bytes, where: str) -> None:
    lines = [line("a").encode(), line("b").encode()]
    lines.insert({"first": 0, "between": 1, "last": 2}[where], bad)
    found = read(b"\n".join(lines))
    assert found.keys == ["a", "b"]
    assert len(found.errors) == 1


def test_bytes_that_are_not_utf8_are_shown_by_line_and_character() -> None:
    problem = read(line("a").encode() + '\n{"id": "é€😀'.encode() + b'\xe9"}').only_error()
    assert problem.where == Where("jobs.jsonl", 2, 12)
    assert problem.code == "BR002"
    assert problem.message == "byte 0xe9 is not UTF-8"
    assert problem.source[problem.mark] == "\N{REPLACEMENT CHARACTER}"


def test_a_character_that_is_cut_at_the_end_of_the_file_is_a_problem() -> None:
    problem = read(line("a").encode() + '\n{"id": "é'.encode()[:-1]).only_error()
    assert (problem.code, problem.where) == ("BR002", Where("jobs.jsonl", 2, 9))


def test_a_line_too_long_is_skipped_and_the_next_one_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textlines, "LINE_BYTES", 100)
    fits = line("a") + " " * (100 - len(line("a")))
    found = read("\n".join([fits, line("b") + " " * 200, fits, "x" * 3_000_000]))
    assert found.keys == ["a", "a"]
    assert [(problem.code, problem.where) for problem in found.problems] == [
        ("BR003", Where("jobs.jsonl", 2)),
        ("BR003", Where("jobs.jsonl", 4)),
    ]
    assert "this line has 3,000,000 bytes" in found.problems[1].message


class Endless(io.RawIOBase):
    """A stream of one line of *size* bytes, and a job after it."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._rest = b"\n" + GOOD.encode()

    def read(self, size: int = -1) -> bytes:
        n = min(size, self._left)
        self._left -= n
        rest, self._rest = (self._rest, b"") if n == 0 else (b"", self._rest)
        return b"{" * n + rest


def test_a_line_of_100_megabytes_is_never_in_memory() -> None:
    tracemalloc.start()
    try:
        found = read_sources([Source("-", Endless(100_000_000))])
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.codes == ["BR003"]
    assert found.keys == ["good"]
    assert peak < 2.2 * textlines.LINE_BYTES


def test_memory_does_not_grow_with_the_lines() -> None:
    def peak_of(lines: int) -> int:
        tracemalloc.start()
        try:
            content = io.BytesIO((line("a") + "\n").encode() * lines)
            base, _peak = tracemalloc.get_traced_memory()
            assert sum(1 for _ in Reading([Source("-", content)], RULES)) == lines
            return tracemalloc.get_traced_memory()[1] - base
        finally:
            tracemalloc.stop()

    assert peak_of(20_000) < peak_of(2_000) + 1_500_000


def test_standard_input_is_read_as_it_comes_and_named_by_a_dash() -> None:
    assert read(line("a"), "-").only_job().where == Where("-", 1)


def test_several_files_are_one_submit() -> None:
    found = read_sources([Source("one", io.BytesIO(line("a").encode())), Source("two", io.BytesIO(line("a").encode()))])
    assert [(job.key, job.file, job.where.file) for job in found.jobs] == [("a", 0, "one"), ("a", 1, "two")]


def test_the_forms_that_were_met_are_named() -> None:
    anthropic = json.dumps({"custom_id": "a", "params": json.loads(GOOD)})

    def shape(*lines: str) -> list[str]:
        return read("\n".join(lines)).shapes

    assert shape(GOOD) == ["short lines"]
    assert shape(anthropic) == ["Anthropic batch lines"]
    assert shape(GOOD, anthropic) == ["Anthropic batch lines and short lines"]
    assert shape("oops") == [""]


def test_several_mistakes_of_one_line_are_all_told() -> None:
    found: Found = read('{"id": 1.5, "max_tokens": "5", "stream": true, "temperature": 0, "prompt": ""}')
    assert found.codes == ["BR102", "BR103", "BR112", "BR120", "BR113", "BR105"]
    assert found.jobs == []


def test_a_line_full_of_mistakes_is_not_told_to_the_end() -> None:
    assert len(read('{"a": [' + "NaN," * 10_000 + "NaN]}").problems) == 20


def test_a_broken_line_with_a_key_is_shown_without_it() -> None:
    found = read('{"prompt": "sk-ant-api03-abcdefghijklmnop" oops}')
    assert found.codes == ["BR124", "BR001"]
    assert "abcdefgh" not in repr(found.problems)
