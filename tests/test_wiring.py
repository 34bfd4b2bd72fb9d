"""What a process says of itself, and what it lets go of when it may not work."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from batchrun import wiring
from batchrun.core.events import Event
from batchrun.errors import WorkerBusy
from batchrun.queue import connect
from batchrun.queue.locks import Locks
from batchrun.settings import load


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
    first.hold_run(wiring.card())
    with pytest.raises(WorkerBusy):
        wiring.run_pass(settings, wiring.Wish(), Silent())
    assert [path.name for path in tmp_path.glob("*-wal")] == []  # the last connection to close takes it away
    assert len(opened) == 1
    first.close()
