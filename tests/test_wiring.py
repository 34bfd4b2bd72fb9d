"""What a process says of itself, and what it lets go of when it may not work."""

from __future__ import annotations

import random
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from batchrun import wiring
from batchrun.core.events import Event
from batchrun.core.outcome import Dropped
from batchrun.errors import Exit, WorkerBusy
from batchrun.queue import connect
from batchrun.queue.locks import Locks
from batchrun.settings import load
from tests import virtual
from tests.claude.api import MODEL, claim


class Silent:
    def emit(self, event: Event) -> None:
        pass


def test_a_key_on_the_command_line_is_not_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["batchrun", "run", "--db", "x.db", "sk-ant-api03-0123456789"])
    assert wiring.card().command == "batchrun run --db x.db [removed]"


def test_who_comes_second_closes_the_queue_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[sa.Engine] = []
    real = connect.open_queue

    def open_queue(path: str, simulated: bool) -> sa.Engine:
        opened.append(real(path, simulated=simulated))
        return opened[-1]

    monkeypatch.setattr(connect, "open_queue", open_queue)
    settings = load({"db": str(tmp_path / "b.db")}, environ={}, folder=tmp_path, no_config=True, simulate=True)
    first = Locks(settings.db)
    first.hold_run(wiring.card(), exclusive=True)
    with pytest.raises(WorkerBusy):
        wiring.run_pass(settings, wiring.Wish(), Silent())
    assert [path.name for path in tmp_path.glob("*-wal")] == []  # the last connection to close takes it away
    assert len(opened) == 1
    first.close()


def test_a_pass_in_another_thread_than_the_main_one_works_without_signals(tmp_path: Path) -> None:
    settings = load({"db": str(tmp_path / "b.db")}, environ={}, folder=tmp_path, no_config=True, simulate=True)
    with ThreadPoolExecutor(1) as threads:
        ended = threads.submit(wiring.run_pass, settings, wiring.Wish(), Silent()).result()
    assert ended.exit is Exit.OK


def test_the_longest_time_that_is_set_is_the_longest_a_request_takes(tmp_path: Path) -> None:
    given = {"total_timeout": "7s", "db": str(tmp_path / "b.db")}
    settings = load(given, environ={}, folder=tmp_path, no_config=True, simulate=True)

    slow = [{"role": "user", "content": "[[simulate: slow 100]]"}]
    sent = claim({"model": MODEL, "max_tokens": 100, "messages": slow})

    async def main(clock: virtual.VirtualClock, dice: random.Random) -> float:
        async with wiring._transport(settings, None, settings.tables(), clock) as (transport, _api):
            began = clock.steady()
            outcome = await transport.send(sent)
            assert isinstance(outcome, Dropped)
            assert "after 7 s" in outcome.reply.message
            return clock.steady() - began

    assert virtual.run(main) == pytest.approx(7.0, abs=0.01)
