"""A queue on a PostgreSQL server: what is lost with a connection, who lives by a lease, and what is never shown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from batchrun.core.job import Millis, WorkerId
from batchrun.core.server import without_password
from batchrun.errors import StoreError, UsageError, WorkerBusy
from batchrun.queue import leases, workers
from batchrun.queue.connect import open_queue
from batchrun.queue.leases import Leases
from batchrun.queue.postgres import engine_of
from batchrun.queue.reading import Reading
from batchrun.queue.statement import Statement, columns_of, param
from batchrun.queue.tables import meta
from batchrun.queue.transaction import Transaction
from batchrun.queue.writing import Op, Writer, perform_now
from tests.postgres import Server
from tests.queue.desk import NOW, Desk, card, good, jobs

_PUT = Statement(columns_of(meta, "key", "value"))
_GET = Statement(sa.select(meta.c.value).where(meta.c.key == param("it")))


def put(key: str, value: str = "x") -> Op[str]:
    def op(tx: Transaction) -> str:
        tx.run(_PUT, key=key, value=value)
        return key

    return op


@pytest.fixture
def queue(server: Server) -> Iterator[sa.Engine]:
    engine = server.empty()
    yield engine
    engine.dispose()


def kept(engine: sa.Engine, key: str) -> bool:
    return perform_now(engine, lambda tx: tx.row(_GET, it=key)) is not None


def with_writer(engine: sa.Engine, main: Callable[[Writer], Awaitable[Any]], told: list[str] | None = None) -> Any:
    async def run() -> Any:
        writer = Writer(engine, lambda code, _message: told.append(code) if told is not None else None)
        try:
            return await main(writer)
        finally:
            await writer.close()

    return asyncio.run(run())


def lose(monkeypatch: pytest.MonkeyPatch, engine: sa.Engine, *, after: bool, times: int = 1) -> None:
    """The next commits of a Writer are lost with their connection, *after* the server kept them or before."""
    real = type(engine.dialect).do_commit
    left = [times]

    def commit(dialect: Any, connection: Any) -> None:
        if not left[0] or connection.execute("SELECT count(*) FROM meta WHERE key LIKE 'commit:%'").fetchone() == (0,):
            return real(dialect, connection)
        left[0] -= 1
        if after:
            connection.commit()
        connection.dbapi_connection.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(type(engine.dialect), "do_commit", commit)


@pytest.mark.parametrize("after", [True, False])
def test_an_operation_counts_once_whether_its_commit_or_only_the_word_on_it_was_lost(
    queue: sa.Engine, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    async def main(writer: Writer) -> tuple[str, str]:
        await writer.perform(put("first"))
        lose(monkeypatch, queue, after=after)
        # Twice would be an IntegrityError.
        a, b = await asyncio.gather(writer.perform(put("a")), writer.perform(put("b")))
        return a, b

    told: list[str] = []
    assert with_writer(queue, main, told) == ("a", "b")
    assert kept(queue, "a")
    assert kept(queue, "b")
    assert told == ["lost"]


def test_two_who_are_the_first_at_once_both_go_on(queue: sa.Engine) -> None:
    met = [True]

    def look_and_add(tx: Transaction) -> str:
        if met.pop() if met else False:  # somebody else adds it between the look and the word
            with queue.execution_options(batchrun_together=True).begin() as other:
                put("a")(Transaction(other))
        elif tx.row(_GET, it="a") is not None:
            return "there"
        return put("a")(tx)

    assert with_writer(queue, lambda writer: writer.perform(look_and_add)) == "there"

    async def twice(writer: Writer) -> Any:
        return await asyncio.gather(writer.perform(put("a")), writer.perform(put("b")), return_exceptions=True)

    told = with_writer(queue, twice)
    assert isinstance(told[0], psycopg.IntegrityError)
    assert told[1] == "b"


def test_a_writer_that_ends_leaves_no_mark_behind(queue: sa.Engine) -> None:
    with_writer(queue, lambda writer: writer.perform(put("a")))
    with queue.begin() as connection:
        assert connection.exec_driver_sql("SELECT key FROM meta WHERE key LIKE 'commit:%%'").all() == []


def test_a_writer_goes_on_after_all_its_connections_were_cut(queue: sa.Engine) -> None:
    async def main(writer: Writer) -> str:
        await writer.perform(put("a"))
        with queue.begin() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                " AND application_name = 'batchrun'"
            )
        return await writer.perform(put("b"))

    assert with_writer(queue, main) == "b"
    assert kept(queue, "b")


def test_a_nul_does_not_keep_a_text_out(queue: sa.Engine) -> None:
    perform_now(queue, put("a", "x\x00y"))
    assert perform_now(queue, lambda tx: tx.row(_GET, it="a")) == ("x\ufffdy",)


def test_who_changes_the_queue_for_a_person_waits_for_workers_and_they_share_it(queue: sa.Engine) -> None:
    together = queue.execution_options(batchrun_together=True)
    with together.begin(), together.begin() as second:
        second.exec_driver_sql("SET lock_timeout = '50ms'")
    with together.begin(), queue.connect() as alone:
        raw = alone.connection.driver_connection
        assert raw is not None
        raw.execute("SET lock_timeout = '50ms'")
        raw.commit()
        with pytest.raises(sa.exc.OperationalError), alone.begin():
            pass


# -- leases -----------------------------------------------------------------------------------------------------------


def expire(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE workers SET lease = lease - 10000000")


def test_a_worker_lives_as_long_as_it_renews_its_lease(queue: sa.Engine) -> None:
    mine, theirs = Desk(queue, Leases(queue)), Leases(queue)
    worker = mine.wait(mine.store.register(card()))

    def lives() -> bool:
        return perform_now(queue, lambda tx: theirs.lives(tx, worker, card(), card(pid=2)))

    assert lives()
    assert not perform_now(queue, lambda tx: theirs.bury(tx, worker, NOW))
    expire(queue)
    assert not lives()
    assert mine.wait(mine.store.renew(worker))
    assert lives()
    expire(queue)
    assert perform_now(queue, lambda tx: theirs.bury(tx, worker, NOW))
    assert not perform_now(queue, lambda tx: theirs.bury(tx, worker, NOW))
    assert not mine.wait(mine.store.renew(worker))


def test_a_buried_worker_claims_nothing_and_goes_on_as_a_new_one(queue: sa.Engine) -> None:
    mine, theirs = Desk(queue, Leases(queue)), Desk(queue, Leases(queue))
    run = mine.submit(jobs("ab")).run
    worker = mine.wait(mine.store.register(card()))
    [claim] = mine.wait(mine.store.claim(run, "claude-test-1", 1, worker, NOW, None)).claims
    expire(queue)
    other = theirs.wait(theirs.store.register(card(pid=2)))
    assert theirs.wait(theirs.store.recover(other, NOW)).unknown == 1
    with pytest.raises(WorkerBusy):
        mine.wait(mine.store.claim(run, "claude-test-1", 1, worker, NOW, None))
    again = mine.wait(mine.store.register_again(worker))
    assert again > other
    assert len(mine.wait(mine.store.claim(run, "claude-test-1", 2, again, NOW, None)).claims) == 2
    assert claim.worker == worker
    assert good() is not None


def test_who_wants_to_be_alone_is_told_who_is_there_and_others_are_told_of_it(queue: sa.Engine) -> None:
    first, second, third = Leases(queue), Leases(queue), Leases(queue)
    Desk(queue, first).wait(Desk(queue, first).store.register(card(pid=11)))
    second.hold_run(card(pid=12))
    with pytest.raises(WorkerBusy, match="pid 11"):
        third.hold_run(card(pid=13), exclusive=True)
    expire(queue)
    desk = Desk(queue, third)
    third.hold_run(card(pid=13), exclusive=True)
    worker = perform_now(queue, lambda tx: workers.enter(tx, workers.WORKER, card(pid=13)))
    third.hold(worker, card(pid=13))
    with pytest.raises(WorkerBusy, match="pid 13"):
        second.hold_run(card(pid=12))
    third.drop(worker)
    second.hold_run(card(pid=12))
    assert desk.now == NOW


def test_a_loader_has_time_until_somebody_has_answered_it(queue: sa.Engine) -> None:
    worker = perform_now(queue, lambda tx: workers.enter(tx, workers.LOADER, card()))
    Leases(queue).hold(WorkerId(worker))
    with queue.begin() as connection:
        left = connection.exec_driver_sql("SELECT lease - extract(epoch FROM now()) * 1000 FROM workers").scalar_one()
    assert left > (leases.LOADER_LEASE - 60) * 1000


# -- what is shown ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3cret@db.example:5432/queue",
        "postgresql://db.example/queue?user=me&password=s3cret&sslmode=require",
        "postgres://me:s3cret@db.example/queue?sslpassword=s3cret",
        "postgresql://me:s3cret@[::1/queue",
    ],
)
def test_a_password_in_the_url_is_never_shown(url: str) -> None:
    assert "s3cret" not in without_password(url)


def test_a_server_that_is_not_there_is_named_without_its_password(queue: sa.Engine) -> None:
    url = "postgresql://me:s3cret@localhost:1/queue"
    for opened in (open_queue, Reading.open):
        with pytest.raises((StoreError, UsageError)) as told:
            opened(url)
        assert "s3cret" not in f"{told.value} {told.value.hint}"
        assert "postgresql://me@localhost:1/queue" in str(told.value)


def test_a_url_that_makes_no_sense_is_bad_usage(queue: sa.Engine) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        engine_of("postgresql://me@host/queue?nonsense=1")


def test_a_reader_writes_nothing(server: Server, queue: sa.Engine) -> None:
    with Reading.open(server.url) as reading, pytest.raises(StoreError, match="read-only"), reading.moment():
        reading.rows("DELETE FROM meta")


def test_present_workers_are_those_with_a_lease(server: Server, queue: sa.Engine) -> None:
    desk = Desk(queue, Leases(queue))
    worker = desk.wait(desk.store.register(card()))
    with Reading.open(server.url) as reading:
        assert [one.id for one in reading.overview().workers] == [worker]
        expire(queue)
        assert reading.overview().workers == ()
        assert reading.speeds(Millis(NOW)) == {}
