"""A batch is on the shelf or it is not, wherever a kill comes; and it is bought once."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from batchrun.errors import UsageError
from batchrun.simulator.api import Simulator
from batchrun.simulator.ledger import Ledger
from batchrun.simulator.shelf import Shelf
from tests.simulator.batching import Desk, planned, some, wants
from tests.virtual import VirtualClock, run

STEPS = [(Path, name) for name in ("rename", "unlink", "hardlink_to", "mkdir", "read_bytes", "open")]
STEPS += [(os, name) for name in ("open", "write")]  # type: ignore[misc]  # a module has attributes, too
"""What is done to files; a kill comes before one of them."""


class Killed(BaseException):
    """The process is gone."""


@contextmanager
def killed_before(nth: int) -> Iterator[list[str]]:
    """Die before the *nth* step; yields the steps that were taken."""
    taken: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in STEPS:
            real = getattr(owner, name)

            def step(*args: Any, _name: str = name, _real: Any = real, **kwargs: Any) -> Any:
                if len(taken) >= nth:
                    raise Killed
                taken.append(_name)
                return _real(*args, **kwargs)

            patch.setattr(owner, name, step)
        yield taken


def test_a_kill_at_any_step_of_a_life_loses_nothing_that_was_answered_and_buys_nothing_twice(tmp_path: Path) -> None:
    requests = [*some(5), wants("marked", "[[simulate: 529 x1]]")]

    async def history(clock: VirtualClock, folder: Path, nth: int) -> bool:
        def life() -> Desk:
            ledger, shelf = Ledger(folder / "ledger"), Shelf(folder / "api")
            return Desk(Simulator(planned(), clock, random.Random(1), ledger, shelf=shelf))

        told = None
        done = True
        with killed_before(nth) as steps:
            try:
                desk = life()
                told = await desk.made(requests)
                await clock.sleep(3600)
                await desk.get(told)
            except Killed:
                done = False
        await clock.sleep(3600)
        desk = life()
        listed = [batch["id"] for batch in (await desk.listed())[1]["data"]]
        assert told is None or listed == [told], steps
        for id_ in listed:
            results = await desk.results(id_)
            assert len(results) == len(requests), steps
            assert results["marked"]["type"] == "errored", steps
        books = life().simulator.ledger
        assert list(books.lots) == listed, steps
        assert books.billed() == 5 * len(listed), steps
        assert books.spent() == sum(item.cost for item in books.items()), steps
        assert not books.repeated(), steps
        assert list(books.marked.values()) == [1] * len(listed), steps
        return done

    async def main(clock: VirtualClock, dice: random.Random) -> int:
        for nth in range(200):
            folder = tmp_path / str(nth)
            folder.mkdir()
            if await history(clock, folder, nth):
                return nth
        return 200

    assert 15 < run(main) < 200


def test_without_a_path_the_shelf_goes_with_the_simulator() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> Path:
        simulator = Simulator(planned(), clock, dice)
        await Desk(simulator).made(some(2))
        assert len(list(simulator.shelf.path.iterdir())) == 3
        return simulator.shelf.path

    assert not run(main).exists()


def test_a_simulator_without_batches_makes_no_folder(tmp_path: Path) -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        await Desk(Simulator(planned(), clock, dice, shelf=Shelf(tmp_path / "api"))).listed()

    run(main)
    assert list(tmp_path.iterdir()) == []


def test_a_shelf_is_a_folder_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for path in (file, tmp_path / "none" / "api"):
        with pytest.raises(UsageError, match="no folder for batches"):
            Shelf(path)
    (tmp_path / "msgbatch_old.json").write_text('{"id": "msgbatch_old"}')
    with pytest.raises(UsageError, match="no batch of this version"):
        Shelf(tmp_path)


def test_uploads_that_a_kill_left_are_cleared_away(tmp_path: Path) -> None:
    old, new = tmp_path / "1-0.upload", tmp_path / "2-0.upload"
    for path in (old, new):
        path.write_bytes(b"{")
    os.utime(old, (0, 0))
    Shelf(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [new.name]
