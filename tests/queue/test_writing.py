"""Group commit: what is acknowledged is durable, what fails fails alone, and trouble is waited for."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from batchrun.core.job import RunId
from batchrun.core.states import State
from batchrun.errors import StoreError
from batchrun.queue import writing
from batchrun.queue.connect import open_queue
from batchrun.queue.statement import Statement, columns_of, param
from batchrun.queue.tables import meta, run_counts, runs
from batchrun.queue.transaction import Transaction
from batchrun.queue.writing import Inline, Op, Performer, Writer, perform_now

_PUT = Statement(columns_of(meta, "key", "value"))
_GET = Statement(sa.select(meta.c.value).where(meta.c.key == param("it")))


def put(key: str, value: str = "x") -> Op[str]:
    def op(tx: Transaction) -> str:
        tx.run(_PUT, key=key, value=value)
        return key

    return op


def kept(path: Path) -> set[str]:
    """What another process would see."""
    with sqlite3.connect(path) as connection:
        rows = {key for (key,) in connection.execute("SELECT key FROM meta")}
    connection.close()
    return rows - {"queue", "created", "simulated", "jobs"}


def move_away(path: Path) -> None:
    path.rename(f"{path}.moved")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "batchrun.db"
    open_queue(path).dispose()
    return path


class Trouble:
    """Hears of trouble."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.came = asyncio.Event()

    def __call__(self, code: str, message: str) -> None:
        self.told.append((code, message))
        self.came.set()


def with_writer(path: Path, main: Callable[[Writer], Awaitable[Any]], trouble: Trouble | None = None) -> Any:
    async def run() -> Any:
        engine = open_queue(path)
        writer = Writer(engine, trouble)
        try:
            return await main(writer)
        finally:
            await writer.close()

    return asyncio.run(run())


@pytest.fixture(params=[Inline, Writer])
def performer(request: pytest.FixtureRequest) -> type[Inline | Writer]:
    kind: type[Inline | Writer] = request.param
    return kind


def perform_all(kind: type[Inline | Writer], path: Path, *ops: Op[Any]) -> list[Any]:
    async def run() -> list[Any]:
        engine = open_queue(path)
        performer: Performer = kind(engine)
        try:
            return await asyncio.gather(*(performer.perform(op) for op in ops), return_exceptions=True)
        finally:
            if isinstance(performer, Writer):
                await performer.close()
            engine.dispose()

    return asyncio.run(run())


def test_what_is_acknowledged_can_be_seen_by_others(path: Path, performer: type[Inline | Writer]) -> None:
    assert perform_all(performer, path, put("a"), put("b")) == ["a", "b"]
    assert kept(path) == {"a", "b"}


def test_an_operation_that_fails_fails_alone(path: Path, performer: type[Inline | Writer]) -> None:
    def broken(tx: Transaction) -> None:
        put("half")(tx)
        raise ValueError("no")

    told = perform_all(performer, path, put("a"), broken, put("b"), put("a"), put("c"))
    assert [type(result) for result in told] == [str, ValueError, str, sqlite3.IntegrityError, str]
    assert kept(path) == {"a", "b", "c"}


def test_who_breaks_an_invariant_only_at_the_commit_fails_alone(path: Path, performer: type[Inline | Writer]) -> None:
    def owes(tx: Transaction) -> None:
        tx.moved(RunId(1), "model", State.QUEUED, None, 5)  # there are none: n would be -5

    told = perform_all(performer, path, put("a"), owes, put("b"))
    assert isinstance(told[1], sqlite3.IntegrityError | sa.exc.IntegrityError)
    assert (told[0], told[2]) == ("a", "b")
    assert kept(path) == {"a", "b"}


def test_what_waits_is_committed_together(path: Path) -> None:
    commits = 0

    async def main(writer: Writer) -> None:
        started, go = threading.Event(), threading.Event()

        def slow(tx: Transaction) -> None:
            started.set()
            go.wait(10)

        first = asyncio.ensure_future(writer.perform(slow))
        await asyncio.to_thread(started.wait, 10)
        others = [asyncio.ensure_future(writer.perform(put(f"k{n}"))) for n in range(100)]
        await asyncio.sleep(0)
        sa.event.listen(writer._engine, "commit", count)
        go.set()
        await asyncio.gather(first, *others)

    def count(connection: sa.Connection) -> None:
        nonlocal commits
        commits += 1

    with_writer(path, main)
    assert commits == 2  # the slow one, and all that came meanwhile
    assert len(kept(path)) == 100


def test_counts_and_money_are_written_once_for_the_whole_group(path: Path) -> None:
    engine = open_queue(path)
    with engine.begin() as connection:
        connection.execute(runs.insert(), {"name": "a", "state": "open", "mode": "auto", "source": "[]", "created": 1})
    said: list[str] = []
    sa.event.listen(engine, "connect", lambda connection, _entry: connection.set_trace_callback(said.append))
    engine.dispose()

    def op(tx: Transaction) -> None:
        tx.moved(RunId(1), "m", None, State.QUEUED)
        tx.pay(RunId(1), spent=2, reserved=1)
        assert tx.unwritten(RunId(1)) > 0

    def group(tx: Transaction) -> None:
        for _ in range(50):
            op(tx)

    perform_now(engine, group)
    assert sum(text.startswith(("UPDATE run_counts", "INSERT INTO run_counts")) for text in said) == 2
    assert sum(text.startswith("UPDATE runs") for text in said) == 1
    with engine.begin() as connection:
        assert connection.execute(sa.select(run_counts.c.n)).all() == [(50,)]
        assert connection.execute(sa.select(runs.c.spent, runs.c.reserved)).all() == [(100, 50)]
    engine.dispose()


def _limit_pages(engine: sa.Engine, limit: dict[str, int | None]) -> None:
    """Let the database grow to so many pages at most, for as long as the limit says: a disk that is full."""

    @sa.event.listens_for(engine, "checkout")
    def checkout(connection: sqlite3.Connection, *_: Any) -> None:
        pages = limit["pages"]
        connection.execute(f"PRAGMA max_page_count={pages if pages is not None else 1_000_000}")


def test_a_full_disk_keeps_the_operations_and_tries_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "FIRST_REST", 0.001)
    monkeypatch.setattr(writing, "LONGEST_REST", 0.001)
    limit: dict[str, int | None] = {"pages": 1}
    trouble = Trouble()

    async def main(writer: Writer) -> None:
        _limit_pages(writer._engine, limit)
        asked = [asyncio.ensure_future(writer.perform(put(f"k{n}", "x" * 100_000))) for n in range(3)]
        await trouble.came.wait()
        assert not any(one.done() for one in asked)
        assert kept(path) == set()
        limit["pages"] = None
        assert await asyncio.gather(*asked) == ["k0", "k1", "k2"]

    with_writer(path, main, trouble)
    assert trouble.told == [("disk_full", "the disk is full")]
    assert kept(path) == {"k0", "k1", "k2"}


def test_each_episode_of_trouble_is_told_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "FIRST_REST", 0.001)
    limit: dict[str, int | None] = {"pages": 1}
    trouble = Trouble()

    async def main(writer: Writer) -> None:
        _limit_pages(writer._engine, limit)
        for n in range(2):
            limit["pages"] = 1
            asked = asyncio.ensure_future(writer.perform(put(f"k{n}", "x" * 200_000)))
            await trouble.came.wait()
            trouble.came.clear()
            limit["pages"] = None
            await asked

    with_writer(path, main, trouble)
    assert [code for code, _message in trouble.told] == ["disk_full", "disk_full"]


def test_who_closes_while_the_disk_is_full_is_told_what_was_not_kept(path: Path) -> None:
    trouble = Trouble()
    asked: list[asyncio.Future[str]] = []

    async def main(writer: Writer) -> None:
        _limit_pages(writer._engine, {"pages": 1})
        asked.append(asyncio.ensure_future(writer.perform(put("k", "x" * 100_000))))
        await trouble.came.wait()

    with_writer(path, main, trouble)
    with pytest.raises(StoreError, match="the disk is full"):
        asked[0].result()
    assert kept(path) == set()


def test_a_locked_database_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "FIRST_REST", 0.001)
    trouble = Trouble()
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    async def main(writer: Writer) -> None:
        sa.event.listen(writer._engine, "checkout", lambda db, *_: db.execute("PRAGMA busy_timeout=1"))
        other.execute("BEGIN IMMEDIATE")
        asked = asyncio.ensure_future(writer.perform(put("a")))
        await trouble.came.wait()
        other.execute("ROLLBACK")
        assert await asked == "a"

    with_writer(path, main, trouble)
    other.close()
    assert trouble.told == [("busy", "another process has the database locked")]


def test_a_database_that_was_moved_away_ends_it(path: Path) -> None:
    async def main(writer: Writer) -> None:
        await writer.perform(put("a"))
        move_away(path)
        with pytest.raises(StoreError, match="moved or deleted"):
            await writer.perform(put("b"))
        with pytest.raises(StoreError, match="moved or deleted"):
            await writer.perform(put("c"))

    with_writer(path, main)


def test_who_is_cancelled_does_not_call_back_what_was_asked(path: Path) -> None:
    async def main(writer: Writer) -> None:
        started, go = threading.Event(), threading.Event()

        def slow(tx: Transaction) -> None:
            started.set()
            go.wait(10)

        first = asyncio.ensure_future(writer.perform(slow))
        await asyncio.to_thread(started.wait, 10)
        cancelled = asyncio.ensure_future(writer.perform(put("paid")))
        await asyncio.sleep(0)
        cancelled.cancel()
        go.set()
        await first
        await writer.perform(put("next"))
        assert cancelled.cancelled()

    with_writer(path, main)
    assert kept(path) == {"paid", "next"}


def test_closing_writes_what_waits(path: Path) -> None:
    asked: list[asyncio.Future[str]] = []

    async def main(writer: Writer) -> None:
        asked.extend(asyncio.ensure_future(writer.perform(put(f"k{n}"))) for n in range(1200))
        await asyncio.sleep(0)

    with_writer(path, main)
    assert len(kept(path)) == 1200
    assert all(one.done() for one in asked)


def test_after_closing_nothing_is_taken_on(path: Path) -> None:
    async def run() -> None:
        writer = Writer(open_queue(path))
        await writer.close()
        with pytest.raises(StoreError, match="closed"):
            await writer.perform(put("late"))

    asyncio.run(run())
    assert kept(path) == set()


def test_closing_leaves_one_whole_file(path: Path) -> None:
    async def main(writer: Writer) -> None:
        await writer.perform(put("a"))

    with_writer(path, main)
    assert not Path(f"{path}-wal").exists()


def test_who_comes_when_too_much_waits_waits_before_he_is_taken_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "ROOM", 3)

    async def main(writer: Writer) -> None:
        started, go = threading.Event(), threading.Event()

        def slow(tx: Transaction) -> None:
            started.set()
            go.wait(10)

        asked: list[asyncio.Future[Any]] = [asyncio.ensure_future(writer.perform(slow))]
        await asyncio.to_thread(started.wait, 10)
        asked += [asyncio.ensure_future(writer.perform(put(f"k{n}"))) for n in range(10)]
        await asyncio.sleep(0)
        assert len(writer._waiting) == 2
        go.set()
        await asyncio.gather(*asked)

    with_writer(path, main)
    assert len(kept(path)) == 10


def test_no_update_is_lost_between_threads(path: Path) -> None:
    engine = open_queue(path)
    perform_now(engine, put("n", "0"))

    def add(tx: Transaction) -> None:
        row = tx.row(_GET, it="n")
        assert row is not None
        tx.connection.execute(meta.update().where(meta.c.key == "n").values(value=str(int(row[0]) + 1)))

    threads = [threading.Thread(target=lambda: [perform_now(engine, add) for _ in range(25)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    row = perform_now(engine, lambda tx: tx.row(_GET, it="n"))
    engine.dispose()
    assert row == ("100",)
