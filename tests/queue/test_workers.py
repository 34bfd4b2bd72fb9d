"""Who lives is known by a lock that dies with its holder; what the dead held is given back, and nothing of the living."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from batchrun.core.claim import OnCrash, Released
from batchrun.core.job import Millis, RunId, WorkerId
from batchrun.errors import StoreError, WorkerBusy
from batchrun.queue import cancelling
from batchrun.queue import tables as t
from batchrun.queue.living import Living
from batchrun.queue.store import QueueStore
from batchrun.queue.submit import RunTerms
from batchrun.queue.writing import Inline
from tests.queue.desk import MODEL, NOW, Desk, card, dropped, good, jobs


def other(desk: Desk) -> tuple[QueueStore, Living]:
    """The store of another process."""
    locks = Living(desk.engine.url.database or "")
    return QueueStore(Inline(desk.engine), locks), locks


def alone(desk: Desk) -> tuple[QueueStore, Living]:
    """The store of another process that wants nobody beside it."""
    locks = Living(desk.engine.url.database or "")
    return QueueStore(Inline(desk.engine), locks, exclusive=True), locks


def test_any_number_may_work(desk: Desk) -> None:
    desk.submit(jobs("abc"))
    first = desk.work()
    store, locks = other(desk)
    second = desk.work(store)
    assert second != first
    assert [claim.key for claim in desk.claim(first)] == ["a"]
    assert [claim.key for claim in desk.wait(store.claim(RunId(1), MODEL, 1, second, NOW, None)).claims] == ["b"]
    locks.close()


def test_who_wants_to_be_alone_is_told_who_works(desk: Desk) -> None:
    desk.work(pid=4127)
    store, _locks = alone(desk)
    with pytest.raises(WorkerBusy, match="pid 4127 on host here, since 2026-11-20T00:00:00Z") as caught:
        desk.wait(store.register(card(2)))
    assert caught.value.exit == 75
    assert desk.rows(sa.select(sa.func.count()).select_from(t.workers)) == [(1,)]


def test_the_next_one_may_once_the_first_has_left(desk: Desk) -> None:
    worker = desk.work()
    desk.wait(desk.store.leave(worker))
    assert sorted(path.name for path in Living(desk.engine.url.database or "").folder.iterdir()) == ["run.lock"]
    store, locks = other(desk)
    assert desk.work(store) != worker
    locks.close()


def test_the_next_one_may_once_the_first_is_dead(desk: Desk) -> None:
    desk.submit(jobs("ab"))
    desk.claim(desk.work())
    desk.locks.close()  # the kernel does this when a process dies
    store, locks = other(desk)
    worker = desk.wait(store.register(card(2)))
    assert desk.wait(store.recover(worker, Millis(NOW + 5))) == Released(unsent=0, unknown=1)
    assert desk.states() == {"a": "queued", "b": "queued"}
    assert desk.attempts("a") == [("unknown", "maybe", None, 1000)]
    assert desk.money() == (1000, 0)
    assert desk.rows(sa.select(t.jobs.c.tries, t.jobs.c.error).where(t.jobs.c.key == "a")) == [(1, None)]
    left = sa.select(t.workers.c.left).where(t.workers.c.role == "worker").order_by(t.workers.c.id)
    assert desk.rows(left) == [(NOW + 5,), (None,)]
    assert desk.wait(store.recover(worker, NOW)) == Released(unsent=0, unknown=0)
    desk.check()
    locks.close()


def test_nothing_is_taken_from_the_living(desk: Desk) -> None:
    desk.submit(jobs("a"))
    worker = desk.work()
    desk.claim(worker)
    assert desk.wait(desk.store.recover(worker, NOW)) == Released(unsent=0, unknown=0)
    assert desk.states() == {"a": "running"}


def test_a_job_that_kills_its_worker_again_and_again_fails_in_the_end(desk: Desk) -> None:
    desk.submit(jobs("a"), terms=RunTerms(tries=3))
    for _ in range(3):
        store, locks = other(desk)
        worker = desk.work(store)
        desk.store = store
        desk.claim(worker)
        locks.close()
    store, locks = other(desk)
    desk.work(store)
    assert desk.states() == {"a": "failed"}
    assert desk.rows(sa.select(t.jobs.c.tries, t.jobs.c.error)) == [(3, "worker_died")]
    assert desk.money() == (3000, 0)
    desk.check()
    locks.close()


@pytest.mark.parametrize(("on_crash", "state"), [("retry", "queued"), ("hold", "held"), ("fail", "failed")])
def test_the_run_says_what_becomes_of_its_jobs(desk: Desk, on_crash: str, state: str) -> None:
    desk.submit(jobs("ab"), terms=RunTerms(on_crash=OnCrash(on_crash)))
    desk.claim(desk.work())
    desk.locks.close()
    desk.work()
    assert desk.states() == {"a": state, "b": "queued"}
    desk.check()


def test_what_shall_be_cancelled_is_not_tried_again(desk: Desk) -> None:
    desk.submit(jobs("ab"))
    desk.claim(desk.work())
    cancelling.cancel_run(desk.do, RunId(1), NOW)
    desk.locks.close()
    desk.work()
    assert desk.states() == {"a": "cancelled", "b": "cancelled"}
    desk.check()


def test_an_attempt_whose_job_has_its_answer_already_is_ended_too(desk: Desk) -> None:
    desk.submit(jobs("a"))
    worker = desk.work()
    (first,) = desk.claim(worker)
    desk.finish(first, dropped())
    desk.now = Millis(NOW + 10_000)
    desk.wait(desk.store.work(desk.now))
    desk.claim(worker)
    with desk.engine.begin() as connection:  # as if the first attempt had been thought lost
        connection.execute(t.attempts.update().where(t.attempts.c.n == 1).values(outcome="unknown"))
    desk.finish(first, good())
    desk.locks.close()
    desk.work()
    assert [outcome for outcome, *_ in desk.attempts("a")] == ["ok", "unknown"]
    assert desk.states() == {"a": "succeeded"}
    desk.check()


def test_who_leaves_with_jobs_in_his_hands_gives_them_back(desk: Desk) -> None:
    desk.submit(jobs("ab"))
    worker = desk.work()
    (claim,) = desk.claim(worker)
    desk.wait(desk.store.leave(worker))
    assert desk.states() == {"a": "queued", "b": "queued"}
    assert desk.attempts("a") == [("unknown", "maybe", None, 1000)]
    desk.check()
    desk.finish(claim, good())
    assert desk.states() == {"a": "succeeded", "b": "queued"}
    desk.check()


def test_a_cancel_that_died_on_the_way_is_ended_by_the_next_worker(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.submit(jobs("abc"))
    desk.do(lambda tx: tx.run(cancelling._CLOSE, it=1, now=NOW))
    assert set(desk.states().values()) == {"queued"}
    desk.work()
    assert set(desk.states().values()) == {"cancelled"}
    desk.check()


# -- the locks themselves ----------------------------------------------------------------------------------------------

HOLD = """
import sys
from batchrun.queue.living import Living
from batchrun.core.claim import WorkerCard
import os
locks = Living(sys.argv[1])
card = WorkerCard(pid=os.getpid(), host="there", boot="boot", version="1", command="batchrun run", started=0)
locks.hold_run(card)
locks.hold(int(sys.argv[2]), card)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def process(database: Path, worker: int = 1) -> Iterator[subprocess.Popen[str]]:
    """A process that lives as *worker* until its input ends."""
    started = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(database), str(worker)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert started.stdout is not None
        assert started.stdout.readline() == "held\n"
        yield started
    finally:
        started.kill()
        started.communicate()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "batchrun.db"


def test_a_lock_lives_as_long_as_its_process(database: Path) -> None:
    locks = Living(database)
    with process(database) as other_process:
        assert locks.alive(WorkerId(1)) is True
        with pytest.raises(WorkerBusy, match=f"pid {other_process.pid} on host there"):
            locks.hold_run(card(), exclusive=True)
        other_process.send_signal(signal.SIGSTOP)
        assert locks.alive(WorkerId(1)) is True
        other_process.send_signal(signal.SIGCONT)
        other_process.send_signal(signal.SIGKILL)
        other_process.wait()
        assert locks.alive(WorkerId(1)) is False
        locks.hold_run(card(), exclusive=True)
    locks.close()


def test_the_dead_stay_dead_however_many_look_at_once(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from batchrun.queue import locks as module

    dead = Living(database)
    dead.hold(WorkerId(1))
    dead.close()
    real = module._lock
    told: list[bool | None] = []

    def lock(fd: int, how: int) -> bool:
        held = real(fd, how)
        if not told:  # while the first one looks, a second one does
            told.append(None)
            told.append(Living(database).alive(WorkerId(1)))
        return held

    monkeypatch.setattr(module, "_lock", lock)
    assert Living(database).alive(WorkerId(1)) is False
    assert told == [None, False]


def test_a_child_does_not_keep_the_lock_of_its_dead_parent(database: Path) -> None:
    locks = Living(database)
    locks.hold(WorkerId(1))
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as child:
        locks.close()
        assert Living(database).alive(WorkerId(1)) is False
        assert child.stdin is not None
        child.stdin.close()


def test_only_their_owner_can_see_the_locks(database: Path) -> None:
    before = os.umask(0)
    try:
        locks = Living(database)
        locks.hold_run(card())
    finally:
        os.umask(before)
    assert stat.S_IMODE(locks.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((locks.folder / "run.lock").stat().st_mode) == 0o600
    locks.close()


def test_a_link_to_the_database_leads_to_the_same_locks(tmp_path: Path, database: Path) -> None:
    database.touch()
    (tmp_path / "link.db").symlink_to(database)
    assert Living(tmp_path / "link.db").folder == Living(database).folder


def test_whoever_locks_a_file_that_was_removed_meanwhile_locks_the_new_one(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from batchrun.queue import locks as module

    real, path = module._lock, Living(database).folder / "run.lock"
    removals = iter([path.unlink])

    def lock(fd: int, how: int) -> bool:
        held = real(fd, how)
        for remove in removals:  # once, between the opening and the locking of the file
            remove()
        return held

    monkeypatch.setattr(module, "_lock", lock)
    locks = Living(database)
    locks.hold_run(card(), exclusive=True)
    monkeypatch.undo()
    with pytest.raises(WorkerBusy):
        Living(database).hold_run(card(2))
    locks.close()


def test_removed_locks_take_nothing_from_who_lives_all_the_same(desk: Desk, database: Path) -> None:
    worker = desk.work(pid=os.getppid())
    desk.submit(jobs("a"))
    desk.claim(worker)
    for path in Living(desk.engine.url.database or "").folder.iterdir():
        path.unlink()
    Living(desk.engine.url.database or "").folder.rmdir()
    store, locks = other(desk)
    desk.work(store)
    assert desk.states() == {"a": "running"}
    locks.close()


@pytest.mark.parametrize("gone", [card(pid=2**22 + 1), card(pid=os.getppid(), boot="another boot")])
def test_a_database_that_came_without_its_locks_is_taken_over(desk: Desk, gone: object) -> None:
    desk.wait(desk.store.register(gone))  # type: ignore[arg-type]  # a card
    desk.submit(jobs("a"))
    desk.claim(WorkerId(1))
    desk.locks.close()
    for path in Living(desk.engine.url.database or "").folder.iterdir():
        path.unlink()
    store, locks = other(desk)
    desk.work(store)
    assert desk.states() == {"a": "queued"}
    locks.close()


def test_a_lock_folder_that_cannot_be_used_is_said_so(database: Path) -> None:
    Path(f"{database}-locks").write_text("in the way")
    with pytest.raises(StoreError, match=r"the lock folder .* cannot be used"):
        Living(database).hold_run(card())


def test_a_card_that_is_being_written_keeps_nobody_from_being_told(database: Path) -> None:
    locks = Living(database)
    locks.hold_run(card(), exclusive=True)
    (locks.folder / "run.lock").write_text('{"pid": 1')
    with pytest.raises(WorkerBusy, match="already running here"):
        Living(database).hold_run(card(2))
    locks.close()


def test_who_cannot_register_leaves_nothing_behind(desk: Desk) -> None:
    desk.work()
    store, locks = alone(desk)
    with pytest.raises(WorkerBusy):
        desk.wait(store.register(card(2)))
    assert locks._held == {}


def test_beside_who_is_alone_nobody_works(desk: Desk) -> None:
    store, locks = alone(desk)
    worker = desk.wait(store.register(card(4127)))
    with pytest.raises(WorkerBusy, match="pid 4127 on host here"):
        desk.work()
    desk.wait(store.leave(worker))
    desk.work()
    locks.close()


def test_who_looks_for_a_moment_keeps_nobody_from_working(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looking = Living(database)
    looking.hold_run(card(), exclusive=True)
    monkeypatch.setattr("batchrun.queue.locks.time.sleep", lambda _: looking.close())
    locks = Living(database)
    locks.hold_run(card(2))
    locks.close()


def test_two_who_bury_the_same_one_give_back_once(desk: Desk) -> None:
    desk.submit(jobs("a"))
    desk.claim(desk.work())
    desk.locks.close()
    stores = [other(desk) for _ in range(2)]
    workers = [desk.wait(store.register(card(2))) for store, _ in stores]
    found = [desk.wait(store.recover(it, NOW)) for (store, _), it in zip(stores, workers, strict=True)]
    assert found == [Released(unsent=0, unknown=1), Released(unsent=0, unknown=0)]
    desk.check()
    for _, locks in stores:
        locks.close()


def test_who_was_buried_hears_of_it_and_comes_again_as_another(desk: Desk) -> None:
    from batchrun.queue import workers

    desk.submit(jobs("a"))
    worker = desk.work()
    assert desk.wait(desk.store.renew(worker))
    assert desk.do(lambda tx: workers.bury(tx, worker, NOW))
    assert not desk.do(lambda tx: workers.bury(tx, worker, NOW))
    assert not desk.wait(desk.store.renew(worker))
    again = desk.wait(desk.store.register_again(worker))
    assert again != worker
    assert desk.wait(desk.store.renew(again))
    assert [claim.key for claim in desk.claim(again)] == ["a"]


def test_two_processes_never_claim_the_same_job(tmp_path: Path, desk: Desk) -> None:
    desk.submit(jobs(f"job-{n:03}" for n in range(300)))
    told = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM, str(desk.engine.url.database), str(n)], stdout=subprocess.PIPE, text=True
        )
        for n in range(3)
    ]
    claimed = [process.communicate()[0].split() for process in told]
    assert [process.returncode for process in told] == [0, 0, 0]
    assert sum(len(keys) for keys in claimed) == len(set().union(*claimed)) == 300
    desk.check()


CLAIM = f"""
import asyncio, sys
from batchrun.core.claim import WorkerCard
from batchrun.queue import workers
from batchrun.queue.connect import open_queue
from batchrun.queue.living import Living
from batchrun.queue.store import QueueStore
from batchrun.queue.writing import Writer, perform_now

async def main():
    engine = open_queue(sys.argv[1])
    card = WorkerCard(pid=1, host="", boot="", version="", command="", started=0)
    worker = perform_now(engine, lambda tx: workers.enter(tx, "worker", card))
    perform_now(engine, lambda tx: workers.arrive(tx, worker))
    writer = Writer(engine)
    store = QueueStore(writer, Living(sys.argv[1]))
    while claims := (await store.claim(1, "{MODEL}", 3, worker, 1, None)).claims:
        for claim in claims:
            print(claim.key)
    await writer.close()

asyncio.run(main())
"""


def test_the_store_can_be_asked_by_many_at_once(desk: Desk) -> None:
    desk.submit(jobs(f"job-{n:03}" for n in range(50)))
    worker = desk.work()

    async def main() -> int:
        taken = await asyncio.gather(*(desk.store.claim(RunId(1), MODEL, 1, worker, NOW, None) for _ in range(60)))
        return len({claim.job for one in taken for claim in one.claims})

    assert asyncio.run(main()) == 50
    desk.check()
