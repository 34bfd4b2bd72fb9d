"""Lines on a narrow terminal: nothing is cut, and commands stay whole."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from batchrun.cli import flow
from batchrun.cli.call import Call
from batchrun.cli.output import columns_of
from tests.cli.conftest import Batchrun, screen
from tests.cli.looking import nightly
from tests.stock import Stock, message

WORDS = "their worker died; the next one takes them over"


def test_parts_that_fit_stay_in_one_line_as_they_are() -> None:
    assert list(flow.flowed(flow.words(f"  {WORDS}  "), 80)) == [f"  {WORDS}"]
    assert list(flow.flowed(flow.words(WORDS * 9), None)) == [WORDS * 9]
    assert list(flow.flowed([], 80)) == [""]


@pytest.mark.parametrize("width", [12, 20, 40])
def test_what_does_not_fit_goes_on_in_an_indented_line(width: int) -> None:
    first, *more = flow.flowed(flow.words(f"  {WORDS}"), width, indent=4)
    assert more
    assert all(re.match(r" {4}\S", line) for line in more)
    assert all(columns_of(line) <= width for line in [first, *more])
    assert " ".join([first, *more]).split() == WORDS.split()


def test_colours_take_no_room() -> None:
    assert list(flow.flowed(["\x1b[31mred\x1b[0m", " \x1b[36mhint\x1b[0m"], 8)) == [
        "\x1b[31mred\x1b[0m \x1b[36mhint\x1b[0m"
    ]


def test_commands_are_never_broken() -> None:
    text = "correct them, then  batchrun submit jobs.jsonl --name nightly  (only what changed), batchrun errors --all"
    lines = list(flow.flowed(flow.advice(text), 30, indent=2))
    assert "  batchrun submit jobs.jsonl --name nightly" in lines
    assert lines[-1] == "  batchrun errors --all"
    assert "  (only what changed)," in lines
    assert list(flow.flowed(flow.advice(text), None)) == [text]


def test_what_commas_set_apart_stays_together() -> None:
    assert list(flow.flowed(flow.items("$66.10 so far, $0.40 reserved, cap $163"), 20)) == [
        "$66.10 so far,",
        "    $0.40 reserved,",
        "    cap $163",
    ]
    assert list(flow.flowed(flow.items("a, b, c"), None)) == ["a, b, c"]


LONG = "translations/2026/november/a-document-with-a-long-path.txt"
LOOKS = [["status"], ["status", "nightly"], ["errors", "nightly"], ["log"], ["results", "nightly", "-n", "9"]]


@pytest.fixture
def full(looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        run = nightly(stock)
        stock.job(run, LONG, "succeeded", answer=message("It says so.", stop="max_tokens"))
        stock.pause("run", str(run), "refusals", message="the image is not what its media type says")
        stock.event("trouble", code="disk_full", message="the disk is full: answers are kept in memory until it is not")


def words_of(text: str) -> list[str]:
    """What it says, without rules."""
    return text.replace("─", "").split()


@pytest.mark.parametrize("args", LOOKS, ids=" ".join)
@pytest.mark.parametrize("width", [40, 60])
def test_a_narrow_terminal_shows_all_that_a_pipe_gets_and_breaks_only_long_words_and_commands(
    args: list[str], width: int, batchrun: Batchrun, full: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    piped = batchrun(*args, "--format", "text")
    narrow, out, _err = screen(width=width)
    monkeypatch.setattr(Call, "screen", narrow)
    assert batchrun(*args).code == piped.code == 0
    shown = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert words_of(shown) == words_of(piped.out)
    for line in shown.splitlines():
        assert (
            columns_of(line) <= width
            or len(line.split()) == 1
            or line.lstrip().startswith(("batchrun", "(batchrun"))
            or LONG in line
        )


def test_an_id_is_whole_in_a_pipe_and_in_a_table_there(batchrun: Batchrun, full: None) -> None:
    assert LONG in batchrun("results", "nightly", "--format", "text").out
    assert LONG in batchrun("results", "nightly", "--format", "table").out
