"""What a batch brings comes home whole: whatever its lines are, however often the download breaks, and once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from batchrun.core.batch import BatchState, Item, ticket_of
from batchrun.core.events import Turn
from batchrun.core.job import JobId, Nanos
from batchrun.core.outcome import (
    AccountStopped,
    Canceled,
    Expired,
    Outcome,
    Refused,
    Reply,
    ServerFailed,
    Stop,
    Unknown,
)
from batchrun.queue import tables as t
from tests.scheduler.post import Office, failed, good, refused
from tests.scheduler.test_pass import in_world
from tests.scheduler.world import WORST, World

HOUR = 3600.0


async def sent(world: World, n: int = 40) -> Office:
    """All of a run's jobs in one batch that stands."""
    world.add([f"question {i}" for i in range(n)], mode="batch")
    desk = Office(world)
    await desk.open()
    await desk.send_all()
    return desk


def test_the_answers_of_a_file_in_any_order_are_stored_and_the_batch_is_done(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await sent(world, 1_300)  # more than one chunk in each batch is no more than that
        for nth in range(len(desk.api.creates)):
            desk.api.files[desk.answers(nth)].reverse()
            brought = await desk.collect(nth)
            assert (brought.won, brought.missing, brought.stray) == ((await desk.batch(nth)).n, 0, 0)
            assert (await desk.batch(nth)).state is BatchState.DONE
        assert world.states() == {"succeeded": 1_300}
        assert desk.tries() == {0}

    in_world(tmp_path, story)


def test_every_kind_of_line_has_its_end(tmp_path: Path) -> None:
    wrong: dict[int, Outcome] = {
        0: Refused(reply=Reply(error_type="invalid_request_error", message="no")),
        1: Expired(reply=Reply(error_type="expired")),
        2: ServerFailed(reply=Reply(error_type="api_error")),
        3: Canceled(reply=Reply(error_type="canceled"), by_user=True),
        4: Unknown(reply=Reply(error_type="a_new_type", message="nobody knows it")),
    }

    async def story(world: World) -> None:
        desk = await sent(world)
        desk.answers(change=lambda at, outcome: outcome if at > 4 else wrong[at])
        brought = await desk.collect()
        assert brought.won == 35
        assert dict(brought.others) == {
            "invalid_request_error": 1,
            "expired": 1,
            "api_error": 1,
            "canceled": 1,
            "a_new_type": 1,
        }
        assert [desk.state_of(f"run-{n}") for n in (0, 1, 2)] == ["failed", "waiting", "waiting"]
        assert desk.errors()["run-4"] == "a_new_type", "a type that nobody knows is kept and shown"
        assert (await desk.batch()).state is BatchState.DONE

    in_world(tmp_path, story)


def test_lines_that_speak_of_the_account_stop_it_and_cost_no_try(tmp_path: Path) -> None:
    poor = AccountStopped(reply=Reply(error_type="billing_error", message="no credit"), stop=Stop.CREDIT)

    async def story(world: World) -> None:
        desk = await sent(world)
        desk.answers(change=lambda at, outcome: outcome if at else poor)
        brought = await desk.collect()
        assert brought.stop == poor
        assert world.states()["succeeded"] == 39
        assert desk.state_of("run-0") in {"queued", "waiting"}
        assert desk.tries() == {0}
        ((spent, reserved),) = world.rows(t.runs, t.runs.c.spent, t.runs.c.reserved)
        assert (spent > 0, reserved) == (True, 0)

    in_world(tmp_path, story)


def test_lines_of_others_are_left_out_and_told(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await sent(world)
        lines = desk.api.files[desk.answers()]
        ours = ticket_of(next(each.custom_id for each in lines if isinstance(each, Item)))
        assert ours is not None
        strangers = [
            "colleague-0",
            str(replace(ours, token="another0")),
            str(replace(ours, queue="another0")),
            str(replace(ours, job=JobId(99_999))),
            str(replace(ours, attempt=9)),
        ]
        lines[0] = Item(custom_id=str(ours), outcome=refused("no"))
        lines[:0] = [Item(custom_id=name, outcome=good('"not ours"')) for name in strangers]
        brought = await desk.collect()
        assert (brought.won, brought.stray) == (39, len(strangers))
        assert Turn.STRAY in desk.turns()
        assert not [body for (body,) in world.rows(t.results, t.results.c.body) if "not ours" in body]
        assert world.states() == {"succeeded": 39, "failed": 1}

    in_world(tmp_path, story)


def test_a_file_is_read_from_its_start_as_often_as_it_takes_and_stored_once(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await sent(world)
        whole = desk.api.files[desk.answers()]
        remote = next(iter(desk.api.files))
        spent = []
        for lines in (10, 25, 25, 40):
            desk.api.files[remote] = [*whole[:lines], *([] if lines == 40 else [failed()])]
            await desk.collect()
            spent.append(desk.purse.spent)
        assert world.states() == {"succeeded": 40}
        ((cost,),) = world.rows(t.runs, t.runs.c.spent)
        assert spent[-1] == cost, "an answer that was there before is not paid for again"
        assert spent[1] == spent[2]

    in_world(tmp_path, story)


def test_downloads_that_break_never_make_an_answer_missing(tmp_path: Path) -> None:
    """It is there, and paid for: whoever cannot read it now can read it tomorrow."""

    async def story(world: World) -> None:
        desk = await sent(world)
        whole = desk.api.files[desk.answers()]
        remote = next(iter(desk.api.files))
        for _ in range(12):
            desk.api.files[remote] = [*whole[:20], failed()]
            await desk.collect()
            await world.clock.sleep(HOUR)
        assert world.states() == {"succeeded": 20, "in_batch": 20}
        assert Turn.MISSING not in desk.turns()
        desk.api.files[remote] = whole
        await desk.collect()
        assert world.states() == {"succeeded": 40}

    in_world(tmp_path, story)


def test_lines_that_are_in_no_whole_file_are_missing_after_an_hour(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await sent(world)
        desk.answers(change=lambda at, outcome: outcome if at >= 3 else None)
        for minutes in (0, 2, 10, 30, 60):
            assert (await desk.collect()).missing == 3, minutes
            assert world.states()["succeeded"] == 37
            await world.clock.sleep(15 * 60)
        assert Turn.MISSING in desk.turns()
        assert world.states() == {"succeeded": 37, "queued": 3}
        ((possibly, cost),) = world.rows(t.runs, t.runs.c.possibly, t.runs.c.possibly_cost)
        assert (possibly, cost) == (3, 3 * (WORST // 2))
        assert (await desk.batch()).state is BatchState.DONE

    in_world(tmp_path, story)


def test_what_another_pass_sent_takes_nothing_from_what_this_one_may_still_spend(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        before = await sent(world)
        world.add([f"more {i}" for i in range(40)], name="more", mode="batch")
        desk = Office(world, max_cost=Nanos(40 * WORST))
        await desk.open(before)
        created = await desk.send(2)
        held = created.n * (WORST // 2)
        desk.answers(0)
        await desk.collect(0)
        assert desk.purse.left() == 40 * WORST - held - desk.purse.spent

    in_world(tmp_path, story)


def test_an_answer_whose_price_nobody_knows_counts_at_its_worst(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await sent(world, 2)
        desk.answers()
        desk.collecting._terms = replace(desk.collecting._terms, batch_cost=lambda model, usage: None)
        await desk.collect()
        ((spent,),) = world.rows(t.runs, t.runs.c.spent)
        assert spent == desk.purse.spent == 2 * (WORST // 2)

    in_world(tmp_path, story)


async def twin(desk: Office, change: Callable[[int, Outcome], Outcome | None]) -> tuple[str, list[Item | Outcome]]:
    """The first batch stands once more, under another id and with answers of its own; the lines of its file."""
    (requests,) = desk.api.creates
    remote = desk.api.stands(len(requests), ended=True).id
    texts = [good(json.dumps({"again": at})) for at in range(len(requests))]
    lines: list[Item | Outcome] = [
        Item(custom_id=request["custom_id"], outcome=changed)
        for at, request in enumerate(requests)
        if (changed := change(at, texts[at])) is not None
    ]
    await desk.store.suspect((await desk.batch()).id, [remote], desk.world.clock.wall())
    return remote, lines


def spent(world: World) -> int:
    ((cost,),) = world.rows(t.runs, t.runs.c.spent)
    return int(cost)


def test_a_repetition_that_ends_too_early_is_booked_only_when_it_came_whole(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await sent(world)
        desk.answers(change=lambda at, outcome: outcome if at else refused("no"))
        await desk.collect()
        once = spent(world)
        remote, lines = await twin(desk, lambda _, outcome: outcome)
        for came in (lines[:10], [*lines[:30], failed()], lines):
            assert spent(world) in {once, once + once // 39}, "what was not bought twice is its attempt's own"
            desk.api.files[remote] = came
            await desk.collecting.repeated(await desk.batch(), remote, world.clock.wall())
        assert spent(world) == once + 40 * once // 39
        assert desk.turns()[-1] is Turn.TWICE
        await desk.collecting.repeated(await desk.batch(), remote, world.clock.wall())
        assert spent(world) == once + 40 * once // 39
        assert world.states() == {"succeeded": 40}, "an answer that was bought is some job's"

    in_world(tmp_path, story)


def test_lines_that_a_repetition_never_brings_count_at_their_worst(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await sent(world)
        desk.answers()
        await desk.collect()
        once = spent(world)
        odd = Unknown(reply=Reply(error_type="a_new_type"))
        remote, lines = await twin(desk, lambda at, outcome: None if at < 3 else odd if at == 3 else outcome)
        desk.api.files[remote] = lines
        for _ in range(5):
            assert spent(world) == once
            await desk.collecting.repeated(await desk.batch(), remote, world.clock.wall())
            await world.clock.sleep(15 * 60)
        assert spent(world) == once + 36 * once // 40 + 4 * (WORST // 2)

    in_world(tmp_path, story)


def test_a_late_batch_is_over_only_when_all_its_lines_came(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await sent(world)
        batch = await desk.batch()
        with world.engine.begin() as tx:  # nobody heard that it stands
            tx.execute(t.batches.update().values(state="unclear", remote_id=None))
        await desk.store.lose(batch.id, world.clock.wall(), world.clock.wall())
        assert world.states() == {"queued": 40}
        remote = desk.answers()
        whole = desk.api.files[remote]
        await desk.store.submitted(batch.id, desk.api.listed[0], world.clock.wall())
        desk.api.files[remote] = whole[:10]
        assert (await desk.collect()).missing == 30
        assert (await desk.batch()).state is BatchState.COLLECTING
        desk.api.files[remote] = whole
        await desk.collect()
        assert world.states() == {"succeeded": 40}
        assert (await desk.batch()).state is BatchState.DONE

    in_world(tmp_path, story)
