"""docs/reference/sql.md tells every column of every view, and its examples run."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from batchrun.queue.views import VIEWS
from tests.cli.looking import nightly
from tests.stock import Stock

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "sql.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```sql\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    path = tmp_path / "batchrun.db"
    with Stock(path) as stock:
        nightly(stock)
        stock.sql.execute("""UPDATE requests SET tags = '["urgent"]' WHERE job < 9""")
    return path


def told(view: str) -> list[str]:
    section = PAGE.partition(f"\n## {view}\n")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| ")][1:]
    return [name.strip() for cell in cells for name in cell.split(",")]


@pytest.mark.parametrize("view", [name for name, _ in VIEWS])
def test_the_page_tells_every_column_of_a_view(queue: Path, view: str) -> None:
    with sqlite3.connect(queue) as sql:
        columns = [column[0] for column in sql.execute(f"SELECT * FROM {view}").description]
    sql.close()
    assert sorted(told(view)) == sorted(columns)


def test_the_page_tells_of_no_view_that_is_not_there() -> None:
    assert re.findall(r"^## (v_\w+)$", PAGE, re.MULTILINE) == [name for name, _ in VIEWS]


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_run_and_find_something(queue: Path, example: str) -> None:
    sql = sqlite3.connect(f"file:{queue}?mode=ro", uri=True)
    assert sql.execute(example).fetchall()
    sql.close()


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 5
