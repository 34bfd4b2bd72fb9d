from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.cli import output
from batchrun.cli.output import Format
from batchrun.core.job import Millis, Nanos
from batchrun.errors import UsageError
from tests.cli.conftest import screen

ROWS = [
    {"id": "a", "n": 1200, "text": "one\ttwo\nthree", "cost": output.amount(Nanos(1_300_000)), "usage": {"out": 7}},
    {"id": "b", "n": 3, "text": None, "cost": None, "usage": {"out": 8}},
]
COLUMNS = ("id", "n", "text", "usage.out", "cost")


def shown(form: Format, *, tty: bool, columns: tuple[str, ...] = COLUMNS, width: int = 80) -> str:
    made, out, _ = screen(tty=tty, width=width)
    output.rows(made, form, "things", ROWS, columns=columns, right=("n",))
    return out.getvalue()


def test_a_table_is_for_people() -> None:
    assert shown(Format.TABLE, tty=True) == (
        "id      n  text             usage.out  cost\n"
        "a   1,200  one\\ttwo\\nthree  7          0.0013 USD\n"
        "b       3                   8\n"
    )


def test_a_narrow_table_shortens_its_widest_column() -> None:
    lines = shown(Format.TABLE, tty=True, width=46).splitlines()
    assert max(map(len, lines)) <= 46
    assert "one\\ttwo\\nt…" in lines[1]


def test_a_pipe_gets_the_same_rows_uncut_without_a_heading() -> None:
    assert shown(Format.TSV, tty=False) == "a\t1200\tone\\ttwo\\nthree\t7\t0.0013 USD\nb\t3\t\t8\t\n"


def test_json_is_one_document_with_its_schema() -> None:
    document = json.loads(shown(Format.JSON, tty=False))
    assert document["schema"] == "batchrun.things/1"
    assert document["things"][0] == {
        "id": "a",
        "n": 1200,
        "text": "one\ttwo\nthree",
        "usage.out": 7,
        "cost": {"amount": "0.0013", "currency": "USD"},
    }
    assert document["things"][1]["cost"] is None


def test_json_without_rows_is_a_document_all_the_same() -> None:
    made, out, _ = screen(tty=False)
    assert output.rows(made, Format.JSON, "things", [], columns=COLUMNS, extra={"run": "r-1"}) == 0
    assert json.loads(out.getvalue()) == {"schema": "batchrun.things/1", "run": "r-1", "things": []}


def test_a_simulated_document_says_so() -> None:
    made, out, _ = screen(tty=False)
    made.mark_simulated()
    output.document(made, "status", {"runs": []})
    assert json.loads(out.getvalue()) == {"schema": "batchrun.status/1", "simulated": True, "runs": []}


def test_json_lines_are_the_rows_alone() -> None:
    lines = shown(Format.JSONL, tty=False, columns=("id", "text")).splitlines()
    assert [json.loads(line) for line in lines] == [{"id": "a", "text": "one\ttwo\nthree"}, {"id": "b", "text": None}]


def test_csv_has_a_heading_and_quotes_what_needs_it() -> None:
    assert shown(Format.CSV, tty=False, columns=("id", "text")) == 'id,text\na,"one\ttwo\nthree"\nb,\n'


def test_markdown_escapes_bars() -> None:
    made, out, _ = screen(tty=False)
    output.rows(made, Format.MD, "x", [{"a": "x|y", "n": 1}], columns=("a", "n"), right=("n",))
    assert out.getvalue() == "| a | n |\n| --- | --: |\n| x\\|y | 1 |\n"


def test_wide_characters_keep_the_columns_straight() -> None:
    made, out, _ = screen()
    output.rows(made, Format.TABLE, "x", [{"a": "日本", "b": "1"}, {"a": "abcd", "b": "2"}], columns=("a", "b"))
    assert out.getvalue().splitlines()[1:] == ["日本  1", "abcd  2"]


@given(st.text())
def test_no_format_lets_a_terminal_obey_an_answer(text: str) -> None:
    for form in (Format.TABLE, Format.TSV, Format.JSON, Format.JSONL, Format.MD, Format.CSV):
        made, out, _ = screen()
        output.rows(made, form, "x", [{"text": text}], columns=("text",))
        written = out.getvalue()
        assert not {c for c in written if c != "\n" and (ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u2066")}


@given(st.text())
def test_json_says_the_same_however_it_is_escaped(text: str) -> None:
    made, _, _ = screen()
    assert json.loads(output.dumps({"text": text}, made)) == {"text": text}


def test_fields_reach_inside_and_unknown_ones_are_named() -> None:
    known = ("id", "text", "usage")
    assert output.chosen_fields("id, usage.out", known, ("id",)) == ("id", "usage.out")
    assert output.chosen_fields(None, known, ("id",)) == ("id",)
    with pytest.raises(UsageError, match=r"no such field `txt`; did you mean `text`\?"):
        output.chosen_fields("txt", known, ("id",))
    with pytest.raises(UsageError, match="names no field"):
        output.chosen_fields(" , ", known, ("id",))


def test_money_and_moments_in_json() -> None:
    assert output.amount(Nanos(70_120_000_000)) == {"amount": "70.12", "currency": "USD"}
    assert output.amount(None) is None
    assert output.at(Millis(1_795_212_600_999)) == "2026-11-20T22:10:00Z"
    assert output.at(None) is None
