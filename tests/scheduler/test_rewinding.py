"""A backup is restored after batches were bought: what it forgot is taken back, in virtual time, and not bought again."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from batchrun.claude.batches import Batches
from batchrun.claude.client import Connection, build
from batchrun.core.batch import Remote, Ticket
from batchrun.core.events import Trouble
from batchrun.core.job import JobId
from batchrun.errors import Exit
from batchrun.queue import rewinding
from batchrun.queue import tables as t
from batchrun.queue.writing import perform_now
from batchrun.simulator.batchplan import BatchPlan, Verb
from batchrun.simulator.effects import Kind, parse
from batchrun.simulator.inprocess import InProcess
from batchrun.simulator.plan import Plan
from tests.scheduler.test_pass import in_world
from tests.scheduler.world import MODEL, QUICK, URL, World

HOUR = 3600.0


def questions(n: int, word: str = "question") -> list[str]:
    return [f"{word} {i}" for i in range(n)]


def bought(world: World) -> int:
    """Answers that were paid for beyond one for each question."""
    return sum(len(entries) - 1 for entries in world.simulator.ledger.repeated().values())


def planned(**changes: object) -> Plan:
    return Plan(pace=QUICK, batches=BatchPlan(**changes))  # type: ignore[arg-type]


def kept(world: World) -> bytes:
    """The database as a backup has it at this moment."""
    with closing(sqlite3.connect(world.path)) as source, closing(sqlite3.connect(":memory:")) as copy:
        source.backup(copy)
        return copy.serialize()


def restore(world: World, backup: bytes, *, rewound: bool = True) -> None:
    world.engine.dispose()
    for suffix in ("-wal", "-shm"):
        Path(f"{world.path}{suffix}").unlink(missing_ok=True)
    world.path.write_bytes(backup)
    with closing(sqlite3.connect(world.path)) as connection:  # the queue is as old as the story
        connection.execute("UPDATE meta SET value = '0' WHERE key = 'created'")
        connection.commit()
    if rewound:
        perform_now(world.engine, lambda tx: rewinding.rewind(tx, world.clock.wall()))


async def create(world: World, custom_ids: list[str]) -> None:
    """Somebody sends a batch to the workspace."""
    http = httpx2.AsyncClient(transport=InProcess(world.simulator))
    client = build(Connection(secret=world.secret, base_url=URL), http)
    params = {"model": MODEL, "max_tokens": 400}
    requests = [
        {"custom_id": it, "params": params | {"messages": [{"role": "user", "content": f"question {n}"}]}}
        for n, it in enumerate(custom_ids)
    ]
    body = json.dumps({"requests": requests}).encode()
    assert isinstance(await Batches(client, world.clock).create(body, betas=(), headers={}), Remote)
    await http.aclose()


def is_rewound(world: World) -> bool:
    return "rewound" in dict(world.rows(t.meta))


@pytest.mark.parametrize("rewound", [True, False], ids=["rewound", "a plain copy"])
def test_what_was_bought_since_the_backup_is_taken_back_and_not_bought_again(tmp_path: Path, rewound: bool) -> None:
    async def story(world: World) -> None:
        world.add(questions(230), mode="batch")
        backup = kept(world)
        await world.live()
        assert world.states() == {"succeeded": 230}
        await world.clock.sleep(HOUR)
        restore(world, backup, rewound=rewound)
        assert world.states() == {"queued": 230}
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.OK
        assert world.states() == {"succeeded": 230}
        await world.simulator.settle()
        assert bought(world) == (0 if rewound else 230)  # the control: who copies the file by hand pays twice
        spent = sum(spent for (spent,) in world.rows(t.runs, t.runs.c.spent))
        assert spent == world.simulator.ledger.spent() / (1 if rewound else 2)
        await world.clock.sleep(HOUR)
        await world.live()
        assert not is_rewound(world)

    in_world(tmp_path, story, planned())


def test_batches_that_still_run_are_waited_for(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(questions(230), mode="batch")
        backup = kept(world)
        await world.live(detach=True)
        assert world.states() == {"in_batch": 230}
        restore(world, backup)
        once = await world.live(once=True)
        assert once is not None
        assert (once.exit, world.states()) == (Exit.OK, {"queued": 230})
        assert "cannot be told yet" in once.message
        await world.live()
        assert world.states() == {"succeeded": 230}
        await world.simulator.settle()
        assert bought(world) == 0

    in_world(tmp_path, story, planned())


@pytest.mark.sweep
def test_jobs_that_are_in_the_backup_s_own_batches_keep_their_place(tmp_path: Path) -> None:
    """Some were out, some failed and were sent again since, and the backup knows of one try alone."""

    async def story(world: World) -> None:
        world.add(questions(220), mode="batch")
        await world.live(detach=True)
        backup = kept(world)
        await world.live()
        assert world.states()["succeeded"] > 210
        restore(world, backup)
        await world.live()
        assert world.states()["succeeded"] > 210
        await world.simulator.settle()
        assert bought(world) == 0
        newest = dict(world.rows(t.attempts, t.attempts.c.job, t.attempts.c.n))
        attempts = dict(world.rows(t.jobs, t.jobs.c.id, t.jobs.c.attempt))
        assert all(attempts[job] >= n for job, n in newest.items())  # else a later claim would meet an old attempt

    in_world(tmp_path, story, planned(items={Kind.OVERLOADED: 0.2, Kind.EXPIRED: 0.1}))


def test_an_intent_of_the_backup_that_was_sent_after_it_is_taken_back(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(questions(200), mode="batch")
        await world.live(dies_in="sending")
        assert [state for (state,) in world.rows(t.batches, t.batches.c.state)] == ["intent"]
        backup = kept(world)
        # The same intent goes out after all, as it would have without the kill.
        ((token,),) = world.rows(t.batches, t.batches.c.token)
        queue = dict(world.rows(t.meta))["queue"]
        await create(world, [str(Ticket(queue, token, JobId(job), 1)) for (job,) in world.rows(t.jobs, t.jobs.c.id)])
        restore(world, backup)
        await world.live()
        assert world.states() == {"succeeded": 200}
        await world.simulator.settle()
        assert bought(world) == 0

    in_world(tmp_path, story, planned())


def test_a_colleague_s_batches_are_left_alone_and_looked_at_once(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(questions(200), mode="batch")
        backup = kept(world)
        await world.live()
        await create(world, [f"theirs-{n}" for n in range(30)])
        await world.clock.sleep(3 * HOUR)
        restore(world, backup)
        await world.live()
        assert world.states() == {"succeeded": 200}
        assert len(world.rows(t.batches)) == 1
        assert bought(world) == 30  # they ask some of the same questions

    in_world(tmp_path, story, planned())


def test_answers_to_jobs_that_the_backup_does_not_know_are_told(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(questions(60), mode="batch")
        await world.live()
        backup = kept(world)
        world.add(questions(40, "another"), name="another", mode="batch")
        await world.live()
        restore(world, backup)
        await world.live()
        assert world.states() == {"succeeded": 60}
        told = [event.message for event in world.heard.of(Trouble) if event.code == "rewound"]
        unknown = [message for message in told if "answers to jobs that this queue does not know" in message]
        assert sum(int(message.split()[0]) for message in unknown) == 40

    in_world(tmp_path, story, planned())


@pytest.mark.sweep
def test_downloads_that_break_and_kills_on_the_way_change_nothing(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(questions(230), mode="batch")
        backup = kept(world)
        await world.live()
        restore(world, backup)
        for verb in ("rewound", "strangers", "recall", "note_rewound", "finish", "rewound_over"):
            for after in (False, True):
                assert await world.live(dies_in=verb, after=after) is None, verb
                await world.clock.sleep(1_000)
        await world.live()
        assert world.states() == {"succeeded": 230}
        await world.simulator.settle()
        assert bought(world) == 0

    in_world(tmp_path, story, planned(script={Verb.RESULTS: parse("cut x2, short x1, 500 x1, drop x1")}))


def test_a_realtime_run_waits_too_and_its_answers_since_the_backup_are_bought_again(tmp_path: Path) -> None:
    """The limit of the promise: the API lists batches, and forgets single requests."""

    async def story(world: World) -> None:
        world.add(questions(20))
        backup = kept(world)
        await world.live()
        restore(world, backup)
        began = world.clock.steady()
        await world.live()
        assert world.states() == {"succeeded": 20}
        assert world.clock.steady() - began > 15 * 60
        assert bought(world) == 20

    in_world(tmp_path, story, planned())


def test_a_person_may_say_that_nothing_was_bought(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(questions(20))
        restore(world, kept(world))
        assert perform_now(world.engine, rewinding.release)
        assert not perform_now(world.engine, rewinding.release)
        began = world.clock.steady()
        await world.live()
        assert world.states() == {"succeeded": 20}
        assert world.clock.steady() - began < 15 * 60

    in_world(tmp_path, story, planned())
