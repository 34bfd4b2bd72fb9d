"""A worker that stood still and was taken for dead starts nothing more; what it had out comes home late."""

from __future__ import annotations

import shutil

import pytest

from batchrun.core.claim import Kept
from batchrun.errors import WorkerBusy
from batchrun.queue.living import Living
from batchrun.queue.store import QueueStore
from batchrun.queue.writing import Inline
from tests.queue.desk import NOW, Desk, card, good, jobs


def another_takes_over(desk: Desk) -> None:
    """Somebody deletes the locks of who stands still, and begins anew."""
    shutil.rmtree(Living(desk.engine.url.database or "").folder)
    store = QueueStore(Inline(desk.engine), Living(desk.engine.url.database or ""))
    worker = desk.wait(store.register(card(2, boot="another boot")))
    desk.wait(store.recover(worker, NOW))
    desk.wait(store.leave(worker))


def test_it_can_claim_nothing_more(desk: Desk) -> None:
    desk.submit(jobs("ab"))
    stale = desk.work()
    another_takes_over(desk)
    with pytest.raises(WorkerBusy, match="taken for dead"):
        desk.claim(stale)
    assert desk.states() == {"a": "queued", "b": "queued"}
    desk.check()


def test_what_it_had_out_comes_home_late(desk: Desk) -> None:
    desk.submit(jobs("ab"))
    stale = desk.work()
    (claim,) = desk.claim(stale)
    another_takes_over(desk)
    assert desk.finish(claim, good()) is Kept.LATE
    assert desk.states() == {"a": "succeeded", "b": "queued"}
    desk.check()
