"""The user's commands: told of what happened, with a record on standard input, and never in the way of the work."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from batchrun.command import WORDS, told, without_keys
from batchrun.core.events import BatchTurned, Turn
from batchrun.core.hook import alert, paused
from batchrun.core.job import BatchId, Millis, RunId
from batchrun.core.pause import Pause, PauseScope
from batchrun.queue import hooks
from batchrun.queue.connect import close_queue, open_queue
from batchrun.queue.writing import perform_now
from tests.cli.conftest import Batchrun, jobs_file

pytestmark = pytest.mark.usefixtures("soon")


def settings(folder: Path, **commands: str) -> None:
    lines = "".join(f"{name} = {json.dumps(command)}\n" for name, command in commands.items())
    (folder / "batchrun.toml").write_text(f"[hooks]\n{lines}")


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def change(folder: Path, *statements: str) -> None:
    with sqlite3.connect(folder / "batchrun-simulated.db") as queue:
        for statement in statements:
            queue.execute(statement)


@pytest.fixture
def three(batchrun: Batchrun, tmp_path: Path) -> Batchrun:
    jobs_file(tmp_path / "small.jsonl", ["one", "two", "three"])
    settings(tmp_path, on_done="sh -c 'cat >> done.jsonl; env > environment; echo heard'", on_pause="tee -a paused")
    return batchrun


def test_a_command_is_told_once_that_a_run_is_done(
    three: Batchrun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-api03-secret")
    monkeypatch.setenv("OTHER", "a sk-ant-api03-secret within")
    assert three("submit", "small.jsonl", "--simulate", "--quiet").code == 0
    (record,) = records(tmp_path / "done.jsonl")
    assert (record["schema"], record["event"], record["again"]) == ("batchrun.hook/1", "done", False)
    assert record["run"]["name"] == "small"
    assert record["run"]["counts"] == {"succeeded": 3}
    assert "sk-ant" not in (tmp_path / "environment").read_text()
    for command in (("run", "--once"), ("submit", "small.jsonl"), ("wait",)):
        three(*command, "--simulate", "--quiet")
    assert len(records(tmp_path / "done.jsonl")) == 1
    assert "the command of on_done: exit code 0" in three("log", "--simulate").out


def test_a_run_that_is_done_once_more_is_news(three: Batchrun, tmp_path: Path) -> None:
    three("submit", "small.jsonl", "--simulate", "--quiet")
    jobs_file(tmp_path / "small.jsonl", ["one", "two", "three", "four"])
    three("submit", "small.jsonl", "--simulate", "--quiet")
    assert [record["run"]["total"] for record in records(tmp_path / "done.jsonl")] == [3, 4]


def test_after_a_crash_a_command_is_started_once_more_and_told_so_and_never_a_third_time(
    three: Batchrun, tmp_path: Path
) -> None:
    three("submit", "small.jsonl", "--simulate", "--quiet")
    change(tmp_path, "UPDATE hooks SET ended = NULL")  # as a kill leaves it between the start and the end
    three("run", "--once", "--simulate", "--quiet")
    assert [record["again"] for record in records(tmp_path / "done.jsonl")] == [False, True]
    change(tmp_path, "UPDATE hooks SET ended = NULL")
    three("run", "--once", "--simulate", "--quiet")
    assert len(records(tmp_path / "done.jsonl")) == 2


def test_a_crash_before_the_start_of_a_command_loses_nothing(three: Batchrun, tmp_path: Path) -> None:
    three("submit", "small.jsonl", "--simulate", "--quiet")
    (tmp_path / "done.jsonl").unlink()
    change(tmp_path, "UPDATE hooks SET ended = NULL, begun = 0")
    three("run", "--once", "--simulate", "--quiet")
    assert [record["again"] for record in records(tmp_path / "done.jsonl")] == [False]


def test_what_happened_before_a_command_was_set_is_not_told(batchrun: Batchrun, tmp_path: Path) -> None:
    jobs_file(tmp_path / "small.jsonl", ["one"])
    batchrun("submit", "small.jsonl", "--simulate", "--quiet")
    settings(tmp_path, on_done="tee done.jsonl")
    batchrun("run", "--once", "--simulate", "--quiet")
    assert not (tmp_path / "done.jsonl").exists()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("sh -c 'echo no such channel; exit 3'", "the command of on_done: exit code 3 in"),
        ("/no/such/command", "the command of on_done: did not end: cannot be started"),
    ],
)
def test_a_command_that_fails_harms_nothing_and_stands_in_the_log(
    batchrun: Batchrun, tmp_path: Path, command: str, said: str
) -> None:
    jobs_file(tmp_path / "small.jsonl", ["one"])
    settings(tmp_path, on_done=command)
    shown = batchrun("submit", "small.jsonl", "--simulate", "--progress", "plain")
    assert shown.code == 0
    assert said in shown.err
    assert said in batchrun("log", "--simulate").out


def test_a_pause_and_an_alert_are_told_with_what_they_are_of(three: Batchrun, tmp_path: Path) -> None:
    three("submit", "small.jsonl", "--simulate", "--no-run")
    settings(tmp_path, on_pause="tee -a pauses.jsonl", on_alert="tee -a alerts.jsonl")
    pause = Pause(
        scope=PauseScope.ACCOUNT, subject="1", reason="credit", message="no credit", since=Millis(1_795_000_000_000)
    )
    turned = BatchTurned(
        at=Millis(1_795_000_000_000), turn=Turn.VANISHING, batch=BatchId(4), run=RunId(1), n=60, message="soon gone"
    )
    engine = open_queue(str(tmp_path / "batchrun-simulated.db"), simulated=True)
    for _ in range(2):  # what is told twice by the program is told once to the command
        perform_now(engine, lambda tx: hooks.pend(tx, [paused(pause), alert(turned)]))
    close_queue(engine)
    three("run", "--once", "--simulate", "--quiet")
    (told_pause,) = records(tmp_path / "pauses.jsonl")
    assert told_pause["pause"] == {"scope": "account", "model": None, "reason": "credit", "message": "no credit"}
    (told_alert,) = records(tmp_path / "alerts.jsonl")
    assert told_alert["run"]["id"] == "r-1"
    assert (told_alert["alert"]["code"], told_alert["alert"]["batch"]) == ("batch_vanishing", "b-4")


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started() -> None:
    code, said = told("sh -c 'echo begun; sleep 60 & wait'", b"{}", seconds=0.5)
    assert code is None
    assert said == "took longer than 0.5 s: begun"


def test_of_what_a_command_says_the_beginning_is_kept_without_keys() -> None:
    code, said = told("sh -c 'echo sk-ant-api03-secret; yes'", b"x" * 1_000_000, seconds=0.5)
    assert code is None
    assert "secret" not in said
    assert len(said) <= WORDS + 40
    assert without_keys({"A": "1", "ANTHROPIC_API_KEY": "k", "B": "sk-ant-abcdef"}) == {"A": "1"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[hooks]\non_don = "x"\n', "batchrun.toml:2: unknown setting `on_don` in [hooks]; did you mean `on_done`?"),
        ('[hooks]\non_done = "echo \'"\n', "batchrun.toml:2: `on_done` must be a command whose quotes close"),
        ('hooks = "x"\n', "batchrun.toml:1: `hooks` must be a table: [hooks]"),
        ('on_done = "x"\n', "batchrun.toml:1: unknown setting `on_done`"),
    ],
)
def test_a_mistake_in_the_settings_is_named_with_its_place(
    batchrun: Batchrun, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "batchrun.toml").write_text(text)
    shown = batchrun("status")
    assert shown.code == 2
    assert said in shown.err


def test_a_command_need_not_read_and_may_leave_something_running() -> None:
    assert told("true", b"x" * 1_000_000) == (0, "")
    assert told("sh -c 'sleep 5 & echo left'", b"{}", seconds=3.0) == (0, "left")
    assert told("sh -c 'exec <&- >&- 2>&-; sleep 0.1; exit 4'", b"{}") == (4, "")
