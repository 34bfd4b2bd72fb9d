from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import get_args

import pytest
from rich.console import Console

from batchrun.cli import telling
from batchrun.cli.bar import Bar, block, remaining
from batchrun.cli.output import columns_of
from batchrun.cli.progress import JsonLines, LogFile, Plain, Watch, style_of, watch
from batchrun.cli.tally import Progress, Tally
from batchrun.core import events
from batchrun.core.job import BatchId, JobId, Millis, Nanos, RunId
from batchrun.core.outcome import Flag, Usage
from batchrun.errors import UsageError
from tests.cli.conftest import Pipe, Terminal, screen

RUN = RunId(7)
CENT = Nanos(10_000_000)
AT = Millis(1_795_212_600_000)
NOW = "2026-11-20T22:10:00Z"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def sent(n: int) -> events.JobsSent:
    return events.JobsSent(at=AT, run=RUN, n=n)


def succeeded(key: str = "a", *, cost: Nanos | None = CENT, output: int = 96) -> events.JobSucceeded:
    return events.JobSucceeded(
        at=AT,
        run=RUN,
        job=JobId(1),
        key=key,
        attempt=1,
        usage=Usage(input=412, output=output),
        cost=cost,
        seconds=1.94,
        flag=None,
    )


def failed(key: str = "a") -> events.JobFailed:
    return events.JobFailed(
        at=AT,
        run=RUN,
        job=JobId(1),
        key=key,
        attempt=1,
        status=400,
        error="invalid_request_error",
        message="text is empty",
        request_id="req_011",
    )


def asks_on(max_tokens: int | None) -> events.JobAsksOn:
    return events.JobAsksOn(
        at=AT,
        run=RUN,
        job=JobId(1),
        key="a",
        attempt=1,
        flag=Flag.PAUSED if max_tokens is None else Flag.TRUNCATED,
        max_tokens=max_tokens,
        usage=Usage(input=412, output=96),
        cost=CENT,
    )


def waits(key: str = "a") -> events.JobWaits:
    return events.JobWaits(
        at=AT, run=RUN, job=JobId(1), key=key, attempt=1, status=529, error="overloaded_error", seconds=8.0, counts=True
    )


PAUSED = events.Paused(
    at=AT, scope="account", subject="1", reason="credit", message="no credit", until=None, request_id="req_9"
)


def tally(*, total: int = 340, done: int = 0) -> tuple[Tally, Clock]:
    clock = Clock()
    made = Tally(clock=clock)
    made.know([Progress(id=RUN, name="small", total=total, succeeded=done)])
    return made, clock


def test_the_tally_follows_each_job() -> None:
    counts, _ = tally(total=3)
    for event in (sent(3), succeeded("a"), failed("b"), waits("c")):
        counts.hear(event)
    run = counts.runs[RUN]
    assert (run.succeeded, run.failed, run.waiting, run.sent, run.cost) == (1, 1, 1, 0, 10_000_000)
    counts.hear(sent(1))
    counts.hear(succeeded("c", cost=None))
    assert (run.succeeded, run.waiting, run.final) == (2, 0, 3)
    assert run.partly_unknown


def test_the_speed_is_that_of_the_last_minute() -> None:
    counts, clock = tally()
    counts.hear(sent(120))
    for _ in range(60):
        clock.now += 1
        counts.hear(succeeded(output=100))
    assert counts.rate() == pytest.approx(1.0)
    assert counts.output_per_minute() == 6_000
    assert counts.eta(counts.runs[RUN]) == pytest.approx(280)
    clock.now += 61
    assert counts.rate() == 0
    assert counts.eta(counts.runs[RUN]) is None


def test_a_speed_at_the_start_is_not_a_minute_s() -> None:
    counts, clock = tally()
    counts.hear(sent(10))
    clock.now += 2
    counts.hear(succeeded())
    assert counts.rate() == pytest.approx(0.5)


def test_the_block_shows_bar_numbers_speed_and_money() -> None:
    counts, clock = tally(done=150)
    counts.hear(sent(78))
    for n in range(60):
        clock.now += 0.5
        counts.hear(succeeded(str(n)))
    counts.hear(waits("x"))
    counts.hear(events.Throttled(at=AT, lane="sonnet", why="rate", seconds=6.0))
    counts.hear(
        events.LimitsLearned(at=AT, lane="x", requests=50, input_tokens=None, output_tokens=80_000, source="headers")
    )
    assert block(counts, 100) == [
        "  small   ███████████████████▒▒░░░░░░░░░░░   210/340   61 %   2.0/s   ETA 1:05",
        "          in flight 17   output 11.5 k of 80.0 k tokens/min   $0.60   1 waiting   resting 6s (rate)",
    ]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_the_block_never_passes_the_edge(width: int) -> None:
    counts, clock = tally()
    counts.know([Progress(id=RunId(n), name=f"nightly-日本-{n}" * 3, total=10_000_000) for n in range(10)])
    counts.hear(sent(64))
    clock.now += 5
    counts.hear(succeeded())
    lines = block(counts, width)
    assert max(map(columns_of, lines)) <= width
    assert lines[6].startswith("  and 4 runs more")


def test_an_unknown_cost_is_said_in_the_block() -> None:
    counts, _ = tally()
    counts.hear(sent(1))
    counts.hear(succeeded(cost=None))
    assert "$0.00 + unknown" in block(counts, 100)[-1]


def test_a_time_to_go_reads_like_a_clock() -> None:
    assert [remaining(s) for s in (38, 61, 3723)] == ["0:38", "1:01", "1:02:03"]


def test_plain_lines_have_a_time_and_no_escapes() -> None:
    counts, _ = tally()
    shown, out, err = screen(tty=False)
    plain = Plain(shown, counts, 0, lambda: AT)
    counts.hear(sent(20))
    counts.hear(succeeded())
    plain.look()
    plain.tick()
    plain.emit(PAUSED)
    assert out.getvalue() == ""
    assert err.getvalue() == (
        f"{NOW} run=small done=1 sent=19 waiting=0 failed=0 cost=$0.01\n"
        f"{NOW} the account is paused: the prepaid credit is used up: no credit (req_9)\n"
    )


def test_a_plain_line_that_says_nothing_new_is_not_written() -> None:
    counts, _ = tally()
    shown, _, err = screen(tty=False)
    plain = Plain(shown, counts, 0, lambda: AT)
    for _ in range(3):
        plain.look()
        plain.tick()
    assert err.getvalue().count("\n") == 1


def test_json_lines_are_records_with_times_and_money() -> None:
    counts, _ = tally()
    shown, _, err = screen(tty=False)
    lines = JsonLines(shown, counts, 0, lambda: AT)
    counts.hear(sent(1))
    counts.hear(failed())
    lines.emit(failed())
    lines.close()
    first, second = (json.loads(line) for line in err.getvalue().splitlines())
    assert first == {
        "event": "job_failed",
        "at": NOW,
        "run": "r-7",
        "job": "1",
        "key": "a",
        "attempt": 1,
        "status": 400,
        "error": "invalid_request_error",
        "message": "text is empty",
        "request_id": "req_011",
        "cost": {"amount": "0", "currency": "USD"},
    }
    assert second == {
        "event": "progress",
        "at": NOW,
        "run": "r-7",
        "name": "small",
        "total": 340,
        "succeeded": 0,
        "failed": 1,
        "cancelled": 0,
        "sent": 0,
        "waiting": 0,
        "cost": {"amount": "0", "currency": "USD"},
        "cost_complete": True,
    }


EVENTS: list[events.Event] = [
    events.PassStarted(at=AT, runs=((RUN, "small"),)),
    events.HoursShut(at=AT, run=RUN, name="small", until=AT, hours="22:00-06:00 UTC"),
    events.WayChosen(at=AT, run=RUN, name="small", batch=True, why="half the price", rescue=AT),
    events.Recovered(at=AT, released=2, unknown=1),
    sent(3),
    succeeded(),
    failed(),
    waits(),
    asks_on(1_024),
    asks_on(None),
    events.Throttled(at=AT, lane="sonnet", why="rate", seconds=6.04),
    events.LimitsLearned(at=AT, lane="sonnet", requests=50, input_tokens=None, output_tokens=8_000, source="headers"),
    PAUSED,
    events.Probed(at=AT, scope="account", subject="1", lifted=True),
    events.BatchTurned(
        at=AT, turn=events.Turn.SUBMITTED, batch=BatchId(1), run=RUN, n=200, message="200 jobs sent as one batch"
    ),
    events.Trouble(at=AT, code="disk_full", message="the disk is full"),
    events.HookCalled(at=AT, hook="done", run=RUN, code=1, seconds=0.31, output="no such channel"),
    events.Draining(at=AT, in_flight=18),
    events.RunDone(at=AT, run=RUN, name="small"),
    events.PassEnded(at=AT, why=""),
]


def test_every_event_has_words_and_a_record() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(events.Event))
    assert [telling.sentence(event) for event in EVENTS] == [
        "working on small",
        f"run small waits until {NOW}: it is sent 22:00-06:00 UTC",
        f"run small goes in batches: half the price; what is not done by {NOW} goes in realtime",
        "taken over from a worker that died: 2 jobs never left, 1 request may have been billed",
        "3 jobs sent",
        "a succeeded: 96 tokens in 1.9 s, $0.01",
        "a failed: 400 invalid_request_error: text is empty (req_011)",
        "a tries again in 8s: 529 overloaded_error",
        "a is asked again with room for 1,024 tokens: its answer was cut off after 96",
        "a goes on: the model paused in attempt 1",
        "sonnet rests 6.0 s (rate)",
        "limits of sonnet a minute: 50 requests, 8,000 output tokens (from headers)",
        "the account is paused: the prepaid credit is used up: no credit (req_9)",
        "the account goes on: a probe was answered",
        "b-1: 200 jobs sent as one batch",
        "the disk is full",
        "the command of on_done: exit code 1 in 0.3 s: no such channel",
        "stopping: 18 in flight may finish",
        "run small is done",
        "ended: nothing more is due",
    ]
    for event in EVENTS:
        record = json.loads(json.dumps(telling.record(event)))
        assert (record["event"], record["at"]) == (telling.kind(event), NOW)


def test_a_flag_is_part_of_the_words() -> None:
    cut = events.JobSucceeded(
        at=AT,
        run=RUN,
        job=JobId(1),
        key="a",
        attempt=1,
        usage=Usage(output=9),
        cost=None,
        seconds=1,
        flag=Flag.TRUNCATED,
    )
    assert telling.sentence(cut) == "a succeeded, truncated: 9 tokens in 1.0 s"
    assert telling.record(cut)["flag"] == "truncated"


def test_the_log_file_holds_levels_and_outlives_rotation(tmp_path: Path) -> None:
    path = tmp_path / "batchrun.log"
    log = LogFile(path, 0)
    log.emit(failed())
    path.rename(tmp_path / "batchrun.log.1")
    log.emit(PAUSED)
    log.close()
    (old,) = map(json.loads, (tmp_path / "batchrun.log.1").read_text().splitlines())
    (new,) = map(json.loads, path.read_text().splitlines())
    assert (old["ts"], old["level"], old["event"], old["request_id"]) == (NOW, "error", "job_failed", "req_011")
    assert (new["level"], new["event"]) == ("warning", "paused")


def test_the_bar_writes_messages_above_the_block() -> None:
    counts, _ = tally()
    shown, _, err = screen(color="never")
    bar = Bar(shown, counts, 0, console=Console(file=err, force_terminal=True, width=90, color_system=None))
    counts.hear(sent(18))
    bar.look()
    bar.tick()
    bar.emit(events.Draining(at=AT, in_flight=18))
    bar.emit(failed("quiet without -v"))
    bar.close()
    text = err.getvalue()
    assert "Stopping: 18 in flight may finish. Press Ctrl-C again to drop them." in text
    assert "in flight 18" in text
    assert "quiet without" not in text


@pytest.mark.parametrize(
    ("asked", "tty", "quiet", "expected"),
    [
        ("auto", True, False, "bar"),
        ("auto", False, False, "plain"),
        ("auto", True, True, "none"),
        ("json", True, False, "json"),
        ("bar", False, True, "bar"),
    ],
)
def test_the_rendering_fits_who_looks(asked: str, tty: bool, quiet: bool, expected: str) -> None:
    shown, _, _ = screen(tty=tty, quiet=quiet)
    assert style_of(asked, shown) == expected


class Broken(Pipe):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_sink_never_raises_and_goes_on_without_a_broken_stream(tmp_path: Path) -> None:
    shown, _, _ = screen(tty=False)
    shown.err = Broken()
    with watch(shown, [Progress(id=RUN, name="small")], log_file=str(tmp_path / "log")) as sink:
        sink.emit(PAUSED)
        sink.emit(PAUSED)
    assert (tmp_path / "log").read_text().count("\n") == 2
    assert sys.stderr is not shown.err


def test_a_stopped_terminal_does_not_stop_the_work() -> None:
    """Whoever writes may block for ever; whoever works only puts aside."""
    import threading

    free, entered = threading.Event(), threading.Event()

    class Stopped(Terminal):
        def write(self, text: str) -> int:
            entered.set()
            free.wait()
            return len(text)

    shown, _, _ = screen(tty=False)
    shown.err = Stopped()
    counts, _ = tally()
    sink = Watch(counts, [Plain(shown, counts, 2, lambda: AT)], every=0.001)
    with sink:
        sink.emit(PAUSED)
        assert entered.wait(60)
        for n in range(1000):
            sink.emit(succeeded(str(n)))
        assert counts.runs[RUN].succeeded == 1000
        free.set()


def test_a_run_that_joins_a_pass_gets_its_name_its_total_and_what_it_had_before() -> None:
    shown, _, err = screen(tty=False)
    had = Progress(id=RUN, name="theirs", total=20, succeeded=4, cost=CENT)
    with watch(shown, style="json", ask=lambda run: had if run == RUN else None) as sink:
        sink.emit(sent(2))
        sink.emit(succeeded())
        assert sink.tally.strangers() == [RUN]
    told = json.loads(err.getvalue().splitlines()[-1])
    assert (told["run"], told["name"], told["total"]) == ("r-7", "theirs", 20)
    assert (told["succeeded"], told["sent"], told["cost"]["amount"]) == (5, 1, "0.02")
    assert sink.tally.strangers() == []


def test_a_run_that_grows_gets_its_new_total_and_nothing_twice() -> None:
    counts, _ = tally()
    counts.know([Progress(id=RUN, name="small", total=1, succeeded=1)])
    counts.hear(sent(1))
    assert counts.strangers() == [RUN]
    counts.meet(Progress(id=RUN, name="small", total=2, succeeded=1))
    assert (counts.runs[RUN].total, counts.runs[RUN].final, counts.strangers()) == (2, 1, [])


def test_quiet_progress_writes_nothing() -> None:
    shown, out, err = screen(quiet=True)
    with watch(shown) as sink:
        sink.emit(PAUSED)
    assert (out.getvalue(), err.getvalue()) == ("", "")
    assert isinstance(shown.err, io.StringIO)


def test_a_log_file_that_cannot_be_is_a_mistake_of_the_user(tmp_path: Path) -> None:
    shown, _, _ = screen()
    with pytest.raises(UsageError, match="cannot write the log file"):
        watch(shown, style="none", log_file=str(tmp_path))


def turned(turn: events.Turn, n: int = 200) -> events.BatchTurned:
    return events.BatchTurned(at=AT, turn=turn, batch=BatchId(1), run=RunId(1), n=n, message="")


def test_what_is_out_in_batches_is_shown_until_they_are_over() -> None:
    counts = Tally(clock=lambda: 0.0)
    counts.know([Progress(id=RunId(1), name="nightly", total=200)])
    counts.hear(turned(events.Turn.SUBMITTED))
    assert "1 batch (200 jobs) out since " in block(counts, 100)[-1]
    assert counts.in_batches(RunId(1)) == 200
    counts.hear(turned(events.Turn.SHORT, 3))
    counts.hear(turned(events.Turn.COLLECTED, 198))
    assert "batch" not in block(counts, 100)[-1]
    assert (counts.runs[RunId(1)].succeeded, counts.in_batches(RunId(1))) == (198, 0)
