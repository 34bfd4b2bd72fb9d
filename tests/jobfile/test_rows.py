"""Rows of tables and of JSON, and what is wrong with them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from batchrun.core.problem import Problem
from batchrun.jobfile import csvrows, jsonlist, textlines
from batchrun.jobfile.row import Row
from batchrun.jobfile.rows import rows_of
from batchrun.jobfile.source import Opened, Source, opened
from tests.jobfile.desk import GOOD, PARAMS, read


def rows(content: str | bytes, name: str = "rows.csv") -> tuple[list[dict[str, Any]], list[Problem]]:
    raw = content.encode() if isinstance(content, str) else content
    file = opened(Source(name, io.BytesIO(raw)))
    assert isinstance(file, Opened)
    found = list(rows_of(file))
    return [row.values for row in found if isinstance(row, Row)], [row for row in found if isinstance(row, Problem)]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("a,b\n1,x\n2,y z\n", "rows.csv"),
        ("\ufeffa;b\r\n1;x\r\n2;y z\r\n", "rows.csv"),
        ("a\tb\n1\tx\n2\ty z", "rows.tsv"),
        ("a|b\n1|x\n2|y z", "-"),
        ('a,b\n"1","x"\n\n2,y z\n\n', "-"),
        ('{"a": "1", "b": "x"}\n\n{"a": "2", "b": "y z"}\n', "rows.jsonl"),
        ('{"a": "1", "b": "x"}\n{"a": "2", "b": "y z"}\n', "-"),
        ('[{"a": "1", "b": "x"},\n {"a": "2", "b": "y z"}]', "rows.json"),
    ],
)
def test_rows_are_read_in_any_form(content: str, name: str) -> None:
    assert rows(content, name) == ([{"a": "1", "b": "x"}, {"a": "2", "b": "y z"}], [])


def test_a_cell_in_quotes_holds_line_breaks_and_quotes_and_its_row_stands_where_it_begins() -> None:
    file = opened(Source("r.csv", io.BytesIO(b'a,b\n"1\n2","say ""x"""\n3,4\n')))
    assert isinstance(file, Opened)
    first, second = list(rows_of(file))
    assert first == Row(2, {"a": "1\n2", "b": 'say "x"'}, '"1')
    assert isinstance(second, Row)
    assert second.line == 4


WRONG = [
    ("a,b\n1\n2,x\n", 2, "this row has 1 cell, the header names 2", 1),
    ("a,b\n1,x,y\n2,x\n", 2, "this row has 3 cells, the header names 2", 1),
    ("a,b\n1;x\n2,x\n", 2, "this row has 1 cell, the header names 2", 1),
    ('a,b\n1,"x"y\n2,x\n', 2, "behind the closing quote of a cell stands more", 1),
    ('a,b\n1,x\n2,"never\nclosed\n', 3, "a quote that opens in this row is never closed", 1),
    ("a,b\n1,x\0\n2,x\n", 2, "this line holds a NUL character, which no text has", 1),
    ("a,a\n1,x\n", 1, "two columns are called `a`: 1 and 2", 0),
    ("a,\n1,x\n", 1, "column 2 has no name", 0),
    ("a,b\n", 1, "this table has a header and no rows", 0),
    ("", 1, "this table has no rows", 0),
    ("a,b\r1,x\r2,x\r", 1, "a carriage return outside of quotes", 0),
]


@pytest.mark.parametrize(("content", "line", "message", "good"), WRONG)
def test_a_broken_table_is_one_problem_and_its_other_rows_are_read(
    content: str, line: int, message: str, good: int
) -> None:
    found, (problem, *more) = rows(content)
    assert more == []
    assert problem.where
    assert (problem.where.line, problem.message, len(found)) == (line, message, good)


def test_a_row_cut_at_another_sign_is_asked_about() -> None:
    assert rows("a,b,c\n1;2;3\n")[1][0].hint == "the header is cut at commas, this row looks cut at semicolons"


def test_a_line_that_is_no_text_spoils_its_row_alone() -> None:
    found, (problem,) = rows(b"a,b\n1,\xff\n2,x\n")
    assert (found, problem.code) == ([{"a": "2", "b": "x"}], "BR002")


@pytest.mark.parametrize("name", ["rows.csv", "-"])
def test_text_in_utf_16_is_told_its_cure(name: str) -> None:
    (problem,) = rows("a,b\n1,2\n".encode("utf-16"), name)[1]
    assert "iconv" in problem.hint


def test_an_endless_cell_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csvrows, "LINE_BYTES", 1000)
    (problem,) = rows('a,b\n1,"' + "x\n" * 10_000)[1]
    assert "is a quote not closed?" in problem.message


@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        ('{"a": 1}\n[1]\n', "BR051", 2),
        ('{"a": 1}\n{"a": NaN}\n', "BR005", 2),
        ('{"a": 1}\n{"a": 1, "a": 2}\n', "BR004", 2),
        ('[{"a": 1},\n 5]', "BR051", 2),
        ('[{"a": 1},\n {"a" 2}]', "BR001", 2),
        ('[{"a": 1}\n {"a": 2}]', "BR001", 2),
        ('[{"a": 1}', "BR001", 1),
        ('[{"a": 1}] x', "BR001", 1),
    ],
)
def test_a_broken_row_in_json_is_a_problem_at_its_place(content: str, code: str, line: int) -> None:
    found, (problem,) = rows(content, "-")
    assert found == [{"a": 1}]
    assert problem.where
    assert (problem.code, problem.where.line) == (code, line)


def test_parquet_gives_rows_with_their_types(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    import datetime as dt

    path = str(tmp_path / "rows.parquet")
    table = {"n": [1, None], "t": ["x", "y"], "d": [dt.date(2026, 1, 2)] * 2, "l": [[1], []], "f": [float("nan"), 0.5]}
    parquet.write_table(arrow.table(table), path)
    file = opened(Source(path))
    assert isinstance(file, Opened)
    with file.reader:
        first, second = list(rows_of(file))
    assert first == Row(1, {"n": 1, "t": "x", "d": "2026-01-02", "l": [1], "f": None})
    assert isinstance(second, Row)
    assert second.values["f"] == 0.5


# -- lists of jobs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["jobs.json", "-"])
def test_a_list_of_jobs_is_read_item_by_item(name: str) -> None:
    found = read(f"[{GOOD},\n  {GOOD.replace('good', 'other')}\n]\n", name)
    assert not found.problems
    assert found.keys == ["good", "other"]
    assert [(job.where.line, job.where.column) for job in found.jobs] == [(1, 2), (2, 3)]


@pytest.mark.parametrize("text", ['{"requests": [REQ, \n REQ]}', '{\n  "requests" : [\nREQ,\nREQ\n]\n}\n'])
def test_the_body_of_a_batch_is_read_as_its_lines_would_be(text: str) -> None:
    request = f'{{"custom_id": "ID", "params": {PARAMS}}}'
    ids = iter("ab")
    while "REQ" in text:
        text = text.replace("REQ", request.replace("ID", next(ids)), 1)
    found = read(text, "batch.json")
    assert (found.keys, found.problems) == (["a", "b"], [])
    assert found.shapes == ["Anthropic batch lines"]


def test_a_mistake_in_an_item_of_many_lines_is_told_in_its_line() -> None:
    pretty = json.dumps(json.loads(GOOD) | {"max_tokens": "lots"}, indent=2)
    problem = read(f"[\n{GOOD},\n{pretty}\n]", "jobs.json").only_error()
    assert problem.where
    assert (problem.code, problem.where.line, problem.where.column) == ("BR103", 6, 17)
    assert problem.source == '  "max_tokens": "lots",'


@pytest.mark.parametrize("chunk", [7, 64])
def test_items_are_whole_wherever_the_reading_is_cut(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(jsonlist, "CHUNK", chunk)
    monkeypatch.setattr(jsonlist, "_NEAR", 16)
    texts = [GOOD.replace("good", f"good-{n}").replace("Hi.", "é\\n\\u00e9" * n + "x") for n in range(9)]
    assert read("[" + " ,\n".join(texts) + "]", "jobs.json").keys == [f"good-{n}" for n in range(9)]


def test_a_list_that_is_too_deep_or_has_an_endless_item_ends_in_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read("[" * 100_000, "jobs.json").codes == ["BR007"]
    monkeypatch.setattr(jsonlist, "LINE_BYTES", 1000)
    monkeypatch.setattr(jsonlist, "CHUNK", 100)
    assert read('[{"a": "' + "x" * 5000 + '"}]', "jobs.json").codes == ["BR003"]


def test_the_longest_line_is_longer_than_the_largest_request() -> None:
    assert textlines.LINE_BYTES > 32 * 1024 * 1024


def test_rows_in_json_lines_that_are_no_jobs_are_told_their_cure() -> None:
    problem = read('{"id": 1, "text": "x"}\n').only_error()
    assert (problem.code, "it has id, text" in problem.message) == ("BR052", True)
    assert "--prompt" in problem.hint
