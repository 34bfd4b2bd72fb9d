"""`batchrun watch`: the board at any size, plain lines where no terminal is, and how one leaves."""

from __future__ import annotations

import os
import pty
import select
import signal
import sqlite3
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batchrun.cli.board import BATCHES, View, board, spark
from batchrun.cli.call import Call
from batchrun.cli.commands import watch
from batchrun.cli.news import Line
from batchrun.cli.output import columns_of
from batchrun.core.job import Millis
from batchrun.queue.pulse import beats, ended, limits
from batchrun.queue.reading import Reading
from batchrun.queue.story import events
from batchrun.report.rates import History, answers_per_second, lanes
from tests.cli.conftest import Batchrun
from tests.cli.looking import LATER as LATER_
from tests.cli.looking import nightly
from tests.stock import SECOND, Stock, message

LATER = Millis(LATER_)
HOSTILE = "\x1b[2J\u202egnp"


def busy(stock: Stock) -> int:
    """A run under way: answers for the last minutes near a limit, refusals, batches out, a pause."""
    account = stock.account()
    run = stock.run("nightly", account=account, mode="auto", spent=66_100_000_000, budget=163_000_000_000)
    for n in range(60):
        at = LATER - n * 10 * SECOND - SECOND
        stock.job(
            run, f"doc-{n}", "succeeded", attempts=[{"sent": at - 1_900, "ended": at, "input": 412, "output": 88}]
        )
    stock.job(
        run,
        f"cut {HOSTILE}",
        "succeeded",
        answer=message("…", stop="max_tokens"),
        attempts=[{"ended": LATER - 500}],
    )
    stock.job(
        run,
        "over",
        "waiting",
        due=LATER + 8 * SECOND,
        attempts=[{"status": 529, "error_type": "overloaded_error", "ended": LATER - 400}],
    )
    stock.job(
        run,
        "bad",
        "failed",
        attempts=[{"status": 400, "error_type": "invalid_request_error", "message": "empty", "ended": LATER - 300}],
    )
    for n in range(BATCHES + 2):
        stock.batch(run, n=300 + n)
    for n in range(5):
        stock.job(run, f"out-{n}", "in_batch", batch=1)
    for dimension, limit in (("requests", 1_000), ("input_tokens", 2_600)):
        stock.add(
            "buckets",
            account=account,
            lane="claude-test-1",
            dimension=dimension,
            capacity=limit,
            refill=1.0,
            source="headers",
            learned=1,
        )
    stock.pause("account", str(account), message=f"too low {HOSTILE}")
    for n in range(3):
        stock.event("throttled", LATER - 2 * SECOND + n, lane="claude-test-1", why="overloaded", seconds=20.0)
    return run


def view(path: Path, **values: Any) -> View:
    history = History()
    with Reading.open(path) as reading:
        seen = reading.overview()
        history.add(LATER, *beats(reading, history.since(LATER)))
        facts: dict[str, Any] = {
            "now": LATER,
            "database": "batchrun.db",
            "seen": seen,
            "runs": seen.runs,
            "lanes": lanes(history, limits(reading), lambda model: model, LATER),
            "speeds": {run.id: answers_per_second(history, run.id, LATER) for run in seen.runs},
            "ended": ended(reading, 60),
            "events": list(events(reading)),
        }
    return View(**(facts | values))


def text(lines: list[Line]) -> str:
    return "\n".join("".join(piece for piece, _ in line) for line in lines)


@pytest.fixture
def under_way(looked_at: Path) -> Path:
    with Stock(looked_at) as stock:
        busy(stock)
    return looked_at


def test_the_board_tells_of_runs_limits_batches_pauses_and_what_just_happened(under_way: Path) -> None:
    shown = text(board(view(under_way), 100, 50))
    for words in (
        "62 / 68   91 %",
        "5 at Anthropic",
        "$66.10 so far",
        "cap $163.00",
        "paused since 12:00: batchrun resume",
        "! account org paused since 12:00",
        "claude-test-1   last 10 min   rests 18s more (overloaded)",
        "← the limit",
        "1 × 529",
        "b-1   at Anthropic   300 jobs   sent 12:00, 51m ago   expires Nov 21 12:00",
        "and 2 batches more, 609 jobs",
        "Anthropic tells only when it has ended",
        "no worker is running",
        "12:50:58  claude-test-1 rests 20.0 s (overloaded)  (3 times)",
        "✗ bad   ",
        "400 invalid_request_error   empty",
        "529 overloaded_error   again in 8s",
        "max_tokens",
        "✓ doc-0   1.9 s   412 → 88 tok",
    ):
        assert words in shown
    assert "about" not in shown.splitlines()[2]  # a batch does not tell how far it is: no end is foretold


@pytest.mark.parametrize(("width", "height"), [(120, 40), (80, 24), (60, 20), (40, 12), (20, 5), (10, 2)])
@pytest.mark.parametrize("utf8", [True, False])
def test_the_board_fits_any_terminal_and_nothing_in_it_moves_the_cursor(
    under_way: Path, width: int, height: int, utf8: bool
) -> None:
    lines = board(view(under_way), width, height, utf8=utf8)
    assert 1 <= len(lines) <= height
    shown = text(lines)
    assert all(columns_of(line) <= width for line in shown.split("\n"))
    assert shown.count("\n") == len(lines) - 1
    assert not {c for c in shown if ord(c) < 0x20 or c == "\u202e"} - {"\n"}
    if not utf8:
        assert set(shown) & set("█▒░▁▂▃▄▅▆▇✓✗↻→←·×") == set()


def test_realtime_alone_foretells_its_end(looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        run = stock.run("quick")
        for n in range(60):
            stock.job(run, f"{n}", "succeeded", attempts=[{"ended": LATER - n * SECOND}])
        for n in range(30):
            stock.job(run, f"next-{n}")
    assert "about 30s left" in text(board(view(looked_at), 80, 24)).splitlines()[2]


def test_many_runs_are_counted_when_there_is_no_room(looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        for n in range(12):
            stock.job(stock.run(f"run-{n}"), "a")
    shown = text(board(view(looked_at), 80, 24))
    assert "and 7 runs more, 7 jobs left" in shown


def test_a_curve_is_drawn_against_its_limit_and_has_gaps() -> None:
    assert spark([None, 0.0, 1.0, 50.0, 100.0, 130.0], 100) == " ·▁▅██"
    assert spark([10.0, 20.0], None) == "▅█"
    assert spark([], None) == ""
    assert spark([0.0, None], None) == "  "


# -- where no terminal is ---------------------------------------------------------------------------------------------


def test_without_a_terminal_it_writes_a_line_at_each_interval_until_all_is_done(
    batchrun: Batchrun, looked_at: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Stock(looked_at) as stock:
        nightly(stock)
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        with sqlite3.connect(looked_at, timeout=0) as other:
            if len(waits) == 2:
                other.execute("UPDATE run_counts SET n = 0 WHERE state NOT IN ('failed', 'succeeded')")
                other.commit()
            assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0  # nobody holds the log
        other.close()

    monkeypatch.setattr("batchrun.cli.commands.watch.time.sleep", sleep)
    shown = batchrun("watch", "nightly", "--interval", "500ms")
    assert shown.code == 0, shown.err
    assert waits == [0.5, 0.5]
    lines = shown.out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("2026-11-20T12:51:00Z run=nightly done=6 sent=1 waiting=1 queued=5 failed=5 total=19 ")
    assert "cost=$66.10" in lines[0]


def test_a_run_that_is_not_there_is_said_at_once(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        nightly(stock)
    shown = batchrun("watch", "nihgtly")
    assert shown.code == 2
    assert "did you mean `nightly`" in shown.err


@pytest.mark.parametrize("interval", ["0", "soon", "2h", "-1", "0.1s"])
def test_an_interval_that_makes_no_sense_is_refused(batchrun: Batchrun, interval: str) -> None:
    shown = batchrun("watch", "--interval", interval)
    assert shown.code == 2
    assert interval in shown.err


def test_a_database_that_is_busy_for_a_while_ends_nothing(looked_at: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from batchrun.errors import StoreError

    with Stock(looked_at) as stock:
        nightly(stock)
    call = Call()
    monkeypatch.chdir(looked_at.parent)
    watching = watch._Watching(call, None)
    before = watching.view()

    def locked(_: object) -> None:
        raise StoreError("another process has the database locked")

    monkeypatch.setattr(Reading, "overview", locked)
    after = watching.view()
    assert (before.trouble, after.trouble) == ("", "another process has the database locked")
    assert "locked" in text(board(after, 80, 24)).splitlines()[0]
    assert after.runs == before.runs


# -- on a terminal ----------------------------------------------------------------------------------------------------


@pytest.fixture
def watched(tmp_path: Path) -> Callable[[Callable[[int, subprocess.Popen[bytes]], None]], tuple[int, bytes, list[Any]]]:
    """Start it on a terminal of its own; once it has drawn, do something to it; exit code, output, terminal modes."""
    with Stock(tmp_path / "batchrun.db") as stock:
        nightly(stock)

    def run(leave: Callable[[int, subprocess.Popen[bytes]], None]) -> tuple[int, bytes, list[Any]]:
        master, slave = pty.openpty()
        before = termios.tcgetattr(slave)
        environ = {**os.environ, "TERM": "xterm-256color", "NO_COLOR": "1"}
        with subprocess.Popen(
            [sys.executable, "-m", "batchrun", "watch", "--interval", "60s"],
            cwd=tmp_path,
            env=environ,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        ) as child:
            out, left = b"", False
            until = time.monotonic() + 60
            while time.monotonic() < until and child.poll() is None:
                ready, _, _ = select.select([master], [], [], 0.05)
                out += os.read(master, 65536) if ready else b""
                if b"q quits" in out and not left:
                    leave(master, child)
                    left = True
            while select.select([master], [], [], 0)[0]:
                out += os.read(master, 65536)
        after = termios.tcgetattr(slave)
        assert after == before
        os.close(slave)
        os.close(master)
        return child.returncode, out, after

    return run


@pytest.mark.parametrize(
    ("leave", "code"),
    [
        (lambda master, _: os.write(master, b"q"), 0),
        (lambda _, child: child.send_signal(signal.SIGINT), 0),
        (lambda _, child: child.send_signal(signal.SIGTERM), 143),
    ],
    ids=["q", "ctrl-c", "sigterm"],
)
def test_whoever_leaves_finds_the_terminal_as_it_was(watched: Any, leave: Any, code: int) -> None:
    returned, out, _ = watched(leave)
    assert returned == code, out.decode(errors="replace")
    assert b"\x1b[?1049h" in out
    assert out.rindex(b"\x1b[?1049l") > out.rindex(b"\x1b[?1049h")  # back on the screen before
    assert out.rindex(b"\x1b[?25h") > out.rindex(b"\x1b[?25l")  # with its cursor
    assert b"Traceback" not in out


def test_a_command_is_shown_as_it_has_to_be_typed(looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        stock.job(stock.run("night"), "a")
    shown = view(looked_at, typed=lambda text: text.replace("batchrun ", "batchrun --simulate "))
    assert "nobody is running it: batchrun --simulate run night" in text(board(shown, 120, 24))


def test_lanes_keep_their_places_whichever_is_the_busier(under_way: Path) -> None:
    (lane,) = view(under_way).lanes
    other = replace(lane, name="another")
    for both in ([lane, other], [other, lane]):
        shown = text(board(view(under_way, lanes=both), 100, 50))
        assert shown.index("another   last") < shown.index(f"{lane.name}   last")


def test_an_attempt_whose_worker_died_is_told_in_words(looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        stock.job(stock.run("night"), "a", "queued", attempts=[{"outcome": "unknown", "ended": LATER - SECOND}])
    assert "s   no answer, possibly billed" in text(board(view(looked_at), 100, 40))
