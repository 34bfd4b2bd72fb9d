"""Parquet files: typed columns, by groups, and nothing that is lost."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow.parquet as pq
import pytest

from batchrun.errors import UsageError
from batchrun.report import parquet
from batchrun.report.layout import Newcomer, surveyed
from batchrun.report.parquet import check_extra, write_parquet

ROWS: list[dict[str, Any]] = [
    {
        "id": "é\ud800",
        "cost": "0.0026",
        "valid": True,
        "attempts": 2,
        "latency_s": 2,
        "tags": ["a", "b"],
        "ended": "2026-11-20T12:00:00Z",
        "json": {"n": 1, "big": 2**70, "label": None},
    },
    {"id": "b", "tags": [], "json": {"n": 2.5, "big": 3, "label": "x"}},
    {"id": "c", "json": None},
]
PATHS = ("id", "cost", "valid", "attempts", "latency_s", "tags", "ended", "json.*")


def written(rows: Iterable[Mapping[str, Any]]) -> io.BytesIO:
    file = io.BytesIO()
    digest = write_parquet(file, rows, surveyed(PATHS, ROWS))
    assert digest == hashlib.sha256(file.getvalue()).hexdigest()
    return file


def test_a_parquet_file_has_typed_columns() -> None:
    first, second, third = pq.read_table(written(ROWS)).to_pylist()
    assert first == {
        "id": "é\\ud800",
        "cost": Decimal("0.002600000"),
        "valid": True,
        "attempts": 2,
        "latency_s": 2.0,
        "tags": ["a", "b"],
        "ended": datetime(2026, 11, 20, 12, tzinfo=UTC),
        "json.n": 1.0,
        "json.big": str(2**70),
        "json.label": None,
    }
    assert (second["json.n"], second["json.big"], second["json.label"], second["tags"]) == (2.5, "3", "x", [])
    assert set(third.values()) == {"c", None}


def test_it_is_written_by_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "GROUP", 4)
    file = written({"id": str(n)} for n in range(10))
    found = pq.ParquetFile(file)
    assert [found.metadata.row_group(n).num_rows for n in range(found.num_row_groups)] == [4, 4, 2]
    monkeypatch.setattr(parquet, "GROUP_SIZE", 200)
    assert pq.ParquetFile(written({"id": "x" * 60} for _ in range(6))).num_row_groups == 3


@pytest.mark.parametrize("value", [{"n": "x"}, {"n": True}, {"label": 5}, {"new": 1}, [1]])
def test_a_value_of_another_kind_than_was_seen_is_a_newcomer(value: object) -> None:
    with pytest.raises(Newcomer):
        written([{"id": "a", "json": value}])


def test_no_rows_make_an_empty_table() -> None:
    assert pq.read_table(written([])).num_rows == 0


def test_without_the_extra_the_cure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UsageError) as caught:
        check_extra()
    assert "pip install 'batchrun[parquet]'" in caught.value.hint


def test_what_is_no_simple_value_is_json_text() -> None:
    layout = surveyed(["json", "metadata.a"], [{"metadata": {"a": "x"}}, {"metadata": {"a": [1]}}])
    file = io.BytesIO()
    write_parquet(file, [{"json": {"a": "é"}, "metadata": {"a": "x"}}], layout)
    (row,) = pq.read_table(file).to_pylist()
    assert {name: json.loads(text) for name, text in row.items()} == {"json": {"a": "é"}, "metadata.a": "x"}
