"""A submit that stood still and was taken for dead adds nothing when it goes on, and says so."""

from __future__ import annotations

import shutil

import pytest

from batchrun.errors import UsageError
from batchrun.queue import clearing
from batchrun.queue.living import Living
from batchrun.queue.loading import Loading
from batchrun.queue.writing import Op, T, perform_now
from tests.queue.desk import NOW, Desk, card, jobs

CLEARED = "taken for dead, and its jobs were cleared"


def begin(desk: Desk, boot: str) -> Loading:
    locks = Living(desk.engine.url.database or "")
    return Loading(desk.engine, locks, card(pid=3, boot=boot), name="jobs", sources=["jobs.jsonl"])


def another_submits(desk: Desk) -> None:
    """Somebody deletes the locks of who stands still, and submits the same."""
    shutil.rmtree(Living(desk.engine.url.database or "").folder)
    with begin(desk, "another boot") as submit:
        submit.add(jobs("ab"))
        submit.accept(NOW)


def test_it_cannot_accept_what_was_cleared(desk: Desk) -> None:
    with begin(desk, "boot") as stale:
        stale.add(jobs("ab"))
        another_submits(desk)
        with pytest.raises(UsageError, match=CLEARED):
            stale.accept(NOW)
    assert desk.run_states() == {"jobs": "open"}
    assert desk.states() == {"a": "queued", "b": "queued"}
    desk.check()


def test_it_cannot_load_more(desk: Desk) -> None:
    with begin(desk, "boot") as stale:
        stale.add(jobs("ab"))
        another_submits(desk)
        with pytest.raises(UsageError, match=CLEARED):
            stale.add(jobs("cd"))
    assert desk.states() == {"a": "queued", "b": "queued"}
    desk.check()


def test_it_cannot_open_what_is_being_cleared(desk: Desk) -> None:
    with begin(desk, "boot") as stale:
        stale.add(jobs("ab"))
        tried = []

        def interrupted(op: Op[T]) -> T:
            result = perform_now(desk.engine, op)
            if desk.run_states():
                tried.append(desk.states())
                with pytest.raises(UsageError, match=CLEARED):
                    stale.accept(NOW)
            return result

        clearing.clear(interrupted, stale._worker)
    assert {"a": "queued", "b": "queued"} in tried
    assert desk.run_states() == {}
    desk.check()
