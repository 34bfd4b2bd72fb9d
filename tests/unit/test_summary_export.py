"""Answers as rows and files: what is written can be read again, and is there whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batchrun.core.job import JobId, Millis, Nanos, RunId
from batchrun.core.message import json_of, text_of
from batchrun.core.states import State
from batchrun.core.usage import Usage
from batchrun.errors import UsageError
from batchrun.queue.jobrows import Answered, AttemptRow, JobRow, ResultRow
from batchrun.report.export import ExportFormat, lines
from batchrun.report.flat import ALL, COLUMNS, Kind, flat
from batchrun.report.layout import Layout, Newcomer, asked, plain, reached, surveyed
from batchrun.report.wholefile import whole_file

NOON = Millis(1_795_176_000_000)


def job(key: str = "doc-1", state: State = State.SUCCEEDED, error: str | None = None) -> JobRow:
    return JobRow(
        id=JobId(1),
        run=RunId(1),
        run_name="nightly",
        seq=1,
        key=key,
        file="jobs.jsonl",
        line=7,
        model="claude-test-1",
        state=state,
        attempts=2,
        tries=2,
        due=None,
        error=error,
        finished=NOON,
    )


def attempt(**values: Any) -> AttemptRow:
    facts: dict[str, Any] = {
        "n": 2,
        "via": "realtime",
        "batch": None,
        "claimed": NOON,
        "sent": NOON,
        "ended": Millis(NOON + 2_100),
        "outcome": "ok",
        "status": 200,
        "error_type": None,
        "error_code": None,
        "message": "",
        "request_id": "req_1",
        "other_ids": (),
        "usage": Usage(input=417, output=88, cache_read=9),
        "cost": Nanos(2_600_000),
        "worst": None,
        "billed": "yes",
    }
    return AttemptRow(**(facts | values))


def message(*content: dict[str, Any], **more: Any) -> str:
    return json.dumps({"model": "claude-test-1-real", "content": list(content), "stop_reason": "end_turn", **more})


def succeeded(body: str, key: str = "doc-1", metadata: str | None = None) -> ResultRow:
    answer = Answered(body=body, stop_reason="end_turn", received=NOON)
    return ResultRow(job=job(key), attempt=attempt(), answer=answer, metadata=metadata)


def failed(error: str = "invalid_request_error", **values: Any) -> ResultRow:
    facts: dict[str, Any] = {"outcome": "error", "status": 400, "error_type": error, "message": "no", "usage": None}
    tried = attempt(**(facts | {"cost": None} | values))
    return ResultRow(job=job("bad", State.FAILED, error), attempt=tried, answer=None, metadata=None)


CANCELLED = ResultRow(job=job("gone", State.CANCELLED), attempt=None, answer=None, metadata=None)
TEXT = {"type": "text", "text": "The report"}


# -- rows -------------------------------------------------------------------------------------------------------------


def test_a_row_has_every_column() -> None:
    for row in (succeeded(message(TEXT)), failed(), CANCELLED):
        assert tuple(flat(row)) == COLUMNS


def test_an_answer_as_a_row() -> None:
    assert flat(succeeded(message(TEXT, {"type": "text", "text": " argues"}), metadata='{"doi":"x"}')) == {
        "id": "doc-1",
        "state": "succeeded",
        "text": "The report argues",
        "json": None,
        "valid": None,
        "why_invalid": None,
        "tool_calls": None,
        "stop_reason": "end_turn",
        "model": "claude-test-1-real",
        "input_tokens": 417,
        "output_tokens": 88,
        "cache_read_tokens": 9,
        "cost": "0.0026",
        "attempts": 2,
        "latency_s": 2.1,
        "request_id": "req_1",
        "error": None,
        "message": None,
        "file": "jobs.jsonl",
        "line": 7,
        "tags": [],
        "metadata": {"doi": "x"},
    }


def test_a_failure_as_a_row_says_why() -> None:
    row = flat(failed())
    assert (row["state"], row["text"], row["error"], row["message"], row["cost"]) == (
        "failed",
        None,
        "invalid_request_error",
        "no",
        None,
    )


def test_an_answer_of_a_batch_has_no_latency() -> None:
    row = ResultRow(job=job(), attempt=attempt(via="batch"), answer=None, metadata=None)
    assert flat(row)["latency_s"] is None


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([{"type": "text", "text": ' {"a": [1]} '}], {"a": [1]}),
        ([{"type": "text", "text": "[1, 2]"}], [1, 2]),
        ([{"type": "text", "text": "{not json}"}], None),
        ([{"type": "text", "text": '{"a": NaN}'}], None),
        ([{"type": "text", "text": "[" * 200_000}], None),
        ([{"type": "text", "text": "12"}], None),
        ([{"type": "tool_use", "input": {"x": 1}}], {"x": 1}),
        ([{"type": "text", "text": "calling"}, {"type": "tool_use", "input": {"x": 1}}], {"x": 1}),
        ([{"type": "tool_use", "input": 1}, {"type": "tool_use", "input": 2}], None),
        ([], None),
    ],
)
def test_json_is_an_answer_that_is_json_or_the_only_tool_call(content: list[Any], expected: object) -> None:
    found = {"content": content}
    assert json_of(found, text_of(found)) == expected


@pytest.mark.parametrize("body", ["not json", "[]", '{"content": 5}', '{"content": [1, {"type": "text"}]}'])
def test_a_body_that_is_no_message_has_no_text_and_breaks_nothing(body: str) -> None:
    row = flat(succeeded(body))
    assert (row["text"], row["json"], row["model"]) == (None, None, "claude-test-1")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("id", 1),
        ("metadata.doi", "x"),
        ("metadata.a.b", 2),
        ("metadata.list.1.n", 4),
        ("metadata.list.7", None),
        ("metadata.list.x", None),
        ("metadata.none", None),
        ("id.deeper", None),
        ("metadata.dotted.name", 5),
        ("metadata.dotted.name.", None),
        ("", None),
        ("metadata.", None),
    ],
)
def test_dotted_paths_reach_inside(path: str, expected: object) -> None:
    row = {"id": 1, "metadata": {"doi": "x", "a": {"b": 2}, "list": [3, {"n": 4}], "dotted.name": 5}}
    assert reached(row, path) == expected


# -- columns ----------------------------------------------------------------------------------------------------------

SCHEMA = '{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}'


def asked_for(text: str, **more: Any) -> ResultRow:
    return replace(succeeded(message({"type": "text", "text": text}), **more), schema=SCHEMA)


def test_an_answer_of_which_a_schema_was_asked_is_told_by_whether_it_fits() -> None:
    found = [
        flat(asked_for(text), ("json", "valid", "why_invalid")) for text in ('{"n": 5}', '{"n": "5"}', "Sure: 5", "5")
    ]
    assert found == [
        {"json": {"n": 5}, "valid": True, "why_invalid": None},
        {"json": {"n": "5"}, "valid": False, "why_invalid": '$.n: "5" is no integer'},
        {"json": None, "valid": False, "why_invalid": "no JSON: expecting value at character 1"},
        {"json": 5, "valid": False, "why_invalid": "$: 5 is no object"},
    ]


def test_calls_of_tools_are_told_with_what_they_were_given() -> None:
    row = succeeded(message(TEXT, {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"x": 1}, "more": 1}))
    assert flat(row, ["tool_calls"]) == {"tool_calls": [{"id": "toolu_1", "name": "look", "input": {"x": 1}}]}


def test_a_star_is_every_name_that_is_met_and_what_is_no_object_stays_whole() -> None:
    rows: list[dict[str, Any]] = [
        {"json": {"b": 1, "a": None}},
        {"json": None},
        {"json": {"a": 0.5, "c.d": True}},
        {"json": {"b": 2.5}},
    ]
    found = surveyed(["id", "json.*"], rows)
    assert found.columns == {
        "id": Kind.TEXT,
        "json.b": Kind.NUMBER,
        "json.a": Kind.NUMBER,
        "json.c.d": Kind.FLAG,
    }
    assert found.cells({"id": "x", "json": {"c.d": False, "a": 1}}) == ["x", None, 1, False]
    mixed = surveyed(["json.*"], [*rows, {"json": [1]}, {"json": {"b": "x"}}])
    assert mixed.columns["json"] is Kind.JSON
    assert mixed.columns["json.b"] is Kind.JSON


def test_a_name_that_was_not_met_before_is_a_newcomer_and_not_dropped() -> None:
    known = surveyed(["json.*"], [{"json": {"a": 1}}])
    assert known.cells({"json": {}}) == [None]
    for value in ({"a": 1, "new": 2}, [1], "text"):
        with pytest.raises(Newcomer):
            known.cells({"json": value})


def test_a_star_over_data_is_refused() -> None:
    with pytest.raises(UsageError, match=r"`json\.\*` has more than 1,000 names"):
        surveyed(["json.*"], ({"json": {f"n{n}": 1}} for n in range(1_001)))


@pytest.mark.parametrize(
    ("fields", "more", "unfold", "expected"),
    [
        ("id, json.*", None, False, ("id", "json.*")),
        ("id", "usage,attempts", False, ("id", "usage", "all_attempts")),
        ("id,json,text", None, True, ("id", "json.*", "text")),
        ("id", None, True, ("id", "json.*")),
        ("id,id", None, False, ("id",)),
    ],
)
def test_columns_are_what_the_flags_name(fields: str, more: str | None, unfold: bool, expected: object) -> None:
    assert asked(fields, more=more, unfold=unfold) == expected


@pytest.mark.parametrize(
    ("fields", "more", "words"),
    [
        ("txt", None, "no such field `txt`; did you mean `text`?"),
        ("*", None, r"no such field `\*`"),
        (",", None, "`--fields` names nothing"),
        ("id", "usages", "`--with usages`: no such part; did you mean `usage`?"),
    ],
)
def test_a_column_that_is_none_is_named(fields: str, more: str | None, words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("?", r"\?")):
        asked(fields, more=more)


# -- formats ----------------------------------------------------------------------------------------------------------


def test_json_lines_are_read_back_as_they_were() -> None:
    rows = [succeeded(message({"type": "text", "text": "é\n\u2028\x00\ud800"})), failed(), CANCELLED]
    text = "".join(lines(ExportFormat.JSONL, rows, plain(COLUMNS)))
    assert [json.loads(line) for line in text.split("\n")[:-1]] == [flat(row) for row in rows]


def test_json_lines_have_only_the_columns_asked_for() -> None:
    row = succeeded(message(TEXT), metadata='{"doi":"x"}')
    (line,) = lines(ExportFormat.JSONL, [row], plain(["id", "metadata.doi"]))
    assert line == '{"id":"doc-1","metadata.doi":"x"}\n'


def test_the_anthropic_format_keeps_each_message_to_the_letter_but_for_ends_of_lines() -> None:
    body = '{"n": 1.50, "content":\n [{"type": "text", "text": "\\u00e9 a\\nb"}], "stop_reason": "end_turn"}'
    (line,) = lines(ExportFormat.ANTHROPIC, [succeeded(body, key='a "b" é')], Layout({}))
    assert line.count("\n") == 1
    read = json.loads(line)
    assert read == {"custom_id": 'a "b" é', "result": {"type": "succeeded", "message": json.loads(body)}}
    assert "1.50" in line
    assert "\\u00e9" in line


def test_the_anthropic_format_has_its_own_words_for_what_has_no_answer() -> None:
    rows = [failed(), failed("expired"), CANCELLED]
    assert [json.loads(line)["result"] for line in lines(ExportFormat.ANTHROPIC, rows, Layout({}))] == [
        {
            "type": "errored",
            "error": {
                "type": "error",
                "error": {"type": "invalid_request_error", "message": "no"},
                "request_id": "req_1",
            },
        },
        {"type": "expired"},
        {"type": "canceled"},
    ]


def test_the_anthropic_format_is_what_the_sdk_reads() -> None:
    from anthropic.types.messages import MessageBatchIndividualResponse

    whole = message(
        TEXT,
        id="msg_1",
        type="message",
        role="assistant",
        stop_sequence=None,
        usage={"input_tokens": 1, "output_tokens": 2},
    )
    rows = [succeeded(whole), failed(), failed("expired"), CANCELLED]
    types = [
        MessageBatchIndividualResponse.model_validate_json(line).result.type
        for line in lines(ExportFormat.ANTHROPIC, rows, Layout({}))
    ]
    assert types == ["succeeded", "errored", "expired", "canceled"]


def read_csv(rows: list[ResultRow], *paths: str) -> list[list[str]]:
    layout = surveyed(paths, [flat(row, ALL) for row in rows])
    return list(csv.reader(io.StringIO("".join(lines(ExportFormat.CSV, rows, layout)), newline="")))


def test_a_csv_is_read_back_whatever_is_in_the_texts() -> None:
    hard = 'a "quoted", cell\nand\r\na line'
    header, row = read_csv(
        [succeeded(message({"type": "text", "text": hard}), metadata='{"doi":"x","n":[1]}')],
        *COLUMNS[:-1],
        "metadata.*",
    )
    assert header == [*COLUMNS[:-1], "metadata.doi", "metadata.n"]
    cells = dict(zip(header, row, strict=True))
    assert cells["text"] == hard
    assert (cells["metadata.doi"], cells["metadata.n"]) == ("x", "[1]")
    assert (cells["cost"], cells["latency_s"], cells["error"]) == ("0.0026", "2.1", "")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0"])
def test_no_cell_of_a_csv_is_a_formula(text: str) -> None:
    _, (cell, key) = read_csv([succeeded(message({"type": "text", "text": text}), key=text)], "text", "id")
    assert cell == key == f"'{text}"


def test_numbers_and_plain_texts_in_a_csv_are_left_alone() -> None:
    _, row = read_csv([succeeded(message({"type": "text", "text": "a = b"}))], "text", "input_tokens", "json")
    assert row == ["a = b", "417", ""]


# -- files ------------------------------------------------------------------------------------------------------------


def test_a_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with whole_file(path) as file:
        file.write("é\n")
    assert path.read_bytes() == "é\n".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["out.jsonl"]


def test_a_file_that_was_not_finished_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("old")

    def interrupted() -> None:
        with whole_file(path) as file:
            file.write("new")
            file.flush()
            assert path.read_text() == "old"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["out.jsonl"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.jsonl", tmp_path / "link.jsonl"
    real.write_text("old")
    link.symlink_to(real)
    with whole_file(link) as file:
        file.write("new")
    assert link.is_symlink()
    assert real.read_text() == "new"


def test_half_a_surrogate_pair_is_written_as_its_escape(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with whole_file(path) as file:
        file.write('"\ud800"')
    assert json.loads(path.read_text()) == "\ud800"


def test_a_device_is_written_to_as_it_is() -> None:
    with whole_file(Path("/dev/null")) as file:
        file.write("gone")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize("name", ["", "missing/out.jsonl", "file/out.jsonl"])
def test_where_no_file_can_be_is_told_before_anything_is_written(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError), whole_file(tmp_path / name):
        pytest.fail("it was opened")
