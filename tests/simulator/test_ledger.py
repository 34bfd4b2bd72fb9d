"""The ledger tells the truth about what was accepted, billed and delivered, also after a death."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from batchrun.core.job import Millis
from batchrun.core.limits import Dimension
from batchrun.simulator import answers
from batchrun.simulator.api import Simulator
from batchrun.simulator.ledger import Ledger
from batchrun.simulator.models import published
from batchrun.simulator.plan import Pace
from tests.simulator.world import MODEL, asks, instant, post, reply, sdk
from tests.virtual import VirtualClock, run


def test_an_answer_is_accepted_billed_and_delivered_at_its_price() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        simulator = Simulator(instant(), clock, dice)
        _, body, headers = await reply(simulator, post(asks("hi", metadata={"user_id": "job-7"})))
        (entry,) = simulator.ledger.entries
        prices = published()[MODEL].prices
        usage = body["usage"]
        assert (entry.accepted, entry.billed, entry.delivered, entry.status) == (True, True, True, 200)
        assert (entry.request_id, entry.mark) == (headers["request-id"], "job-7")
        assert entry.prompt == answers.digest(asks("hi"))
        assert (entry.input, entry.output) == (usage["input_tokens"], usage["output_tokens"])
        assert entry.cost == entry.input * prices.input + entry.output * prices.output
        assert simulator.ledger.spent() == entry.cost

    run(main)


@pytest.mark.parametrize("what", ["400", "401", "429", "500", "529", "drop", "refuse", "502", "html", "redirect"])
def test_what_goes_wrong_before_the_work_is_neither_accepted_nor_billed(what: str) -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        simulator = Simulator(instant(), clock, dice)
        async with sdk(simulator) as client:
            try:
                await client.messages.create(**asks(f"[[simulate: {what}]]"))
            except Exception:  # noqa: BLE001  # what the SDK makes of it is another test's matter
                pass
        (entry,) = simulator.ledger.entries
        assert (entry.accepted, entry.billed, entry.cost, entry.delivered) == (False, False, 0, False)
        assert entry.error is not None
        assert entry.ended is not None

    run(main)


@pytest.mark.parametrize("what", ["lose", "500-late", "cut", "stall 5", "short"])
@pytest.mark.parametrize("stream", [False, True])
def test_what_goes_wrong_after_the_work_is_billed_and_lost(what: str, stream: bool) -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        simulator = Simulator(instant(), clock, dice)
        async with sdk(simulator) as client:
            try:
                if stream:
                    async with client.messages.stream(**asks(f"[[simulate: {what}]]")) as messages:
                        await messages.get_final_message()
                else:
                    await client.messages.create(**asks(f"[[simulate: {what}]]"))
            except Exception:  # noqa: BLE001  # as above
                pass
        (entry,) = simulator.ledger.entries
        assert (entry.accepted, entry.billed, entry.delivered) == (True, True, False)
        assert entry.cost > 0
        assert simulator.ledger.lost() == [entry]

    run(main)


def test_the_work_goes_on_and_is_billed_when_the_client_leaves() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        simulator = Simulator(instant(pace=Pace(first=10, spread=0, per_token=0)), clock, dice)
        async with sdk(simulator) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3):
                    await client.messages.create(**asks("hi"))
            (entry,) = simulator.ledger.entries
            assert (entry.accepted, entry.billed, entry.ended) == (True, False, None)
            await clock.sleep(10)
            assert (entry.billed, entry.delivered) == (True, False)
            assert entry.ended is not None

    run(main)


def test_a_stream_whose_reader_leaves_is_billed_for_what_was_made() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        simulator = Simulator(instant(pace=Pace(first=0, per_token=1)), clock, dice)
        async with sdk(simulator) as client:
            async with client.messages.stream(**asks("hi")) as messages:
                await asyncio.wait_for(anext(aiter(messages.text_stream)), 600)
            whole = await client.messages.create(**asks("hi"))
        left, read = simulator.ledger.entries
        assert (left.billed, left.delivered, read.delivered) == (True, False, True)
        assert 0 < left.output < whole.usage.output_tokens / 2

    run(main)


def test_repeated_calls_are_found_by_prompt() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        simulator = Simulator(instant(), clock, dice)
        for text in ("a", "b", "a", "c", "a"):
            await reply(simulator, post(asks(text)))
        ledger = simulator.ledger
        assert ledger.accepted() == {
            answers.digest(asks("a")): 3,
            answers.digest(asks("b")): 1,
            answers.digest(asks("c")): 1,
        }
        assert {prompt: len(entries) for prompt, entries in ledger.repeated().items()} == {answers.digest(asks("a")): 3}
        assert ledger.statuses() == {200: 5}

    run(main)


def test_in_flight_is_counted_at_any_moment() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        simulator = Simulator(instant(pace=Pace(first=10, spread=0, per_token=0)), clock, dice)

        async def at(second: float) -> None:
            await clock.sleep(second)
            await reply(simulator, post(asks(f"at {second}")))

        begin = clock.wall()
        await asyncio.gather(*(at(second) for second in (0, 4, 8, 30)))
        ledger = simulator.ledger
        assert [ledger.in_flight(Millis(begin + at * 1000)) for at in (1, 5, 9, 13, 17, 25, 35)] == [
            1,
            2,
            3,
            2,
            1,
            0,
            1,
        ]
        assert ledger.most_in_flight() == 3

    run(main)


def test_utilisation_is_the_share_of_the_limit() -> None:
    ledger = Ledger()
    for at in range(0, 120_000, 2_000):
        entry = ledger.arrive(request_id="r", endpoint="e", at=Millis(at), prompt="p", mark=None)
        ledger.note(entry, accepted=True, input=10, ended=Millis(at), lane="one" if at % 4_000 else "two")
    assert ledger.utilisation(Dimension.REQUESTS, 60, Millis(0), Millis(120_000)) == 0.5
    assert ledger.utilisation(Dimension.REQUESTS, 60, Millis(0), Millis(120_000), lane="one") == 0.25
    assert ledger.utilisation(Dimension.INPUT, 600, Millis(60_000), Millis(120_000)) == 0.5


def test_a_ledger_on_disk_outlives_its_program(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"

    async def first(clock: VirtualClock, dice: random.Random) -> None:
        simulator = Simulator(instant(pace=Pace(first=10, spread=0, per_token=0)), clock, dice, Ledger(path))
        answered = asyncio.create_task(reply(simulator, post(asks("a"))))
        await clock.sleep(5)
        unanswered = asyncio.create_task(reply(simulator, post(asks("b"))))
        await answered
        # Here the program is killed: nothing is closed, and `b` has been accepted.
        assert not unanswered.done()
        again = Ledger(path)
        assert again.entries == simulator.ledger.entries
        a, b = again.entries
        assert (a.accepted, a.billed, a.delivered) == (True, True, True)
        assert (b.accepted, b.billed, b.delivered, b.ended) == (True, False, False, None)
        unanswered.cancel()

    run(first)

    async def second(clock: VirtualClock, dice: random.Random) -> None:
        simulator = Simulator(instant(), clock, dice, Ledger(path))
        await reply(simulator, post(asks("b")))
        assert simulator.ledger.accepted() == {answers.digest(asks("a")): 1, answers.digest(asks("b")): 2}
        assert [entry.seq for entry in simulator.ledger.entries] == [0, 1, 2]
        simulator.ledger.close()

    run(second)


def test_a_line_that_was_cut_by_a_death_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    ledger.arrive(request_id="r1", endpoint="e", at=Millis(1), prompt=None, mark=None)
    ledger.close()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"seq":1,"request')
    again = Ledger(path)
    again.arrive(request_id="r2", endpoint="e", at=Millis(2), prompt=None, mark=None)
    again.close()
    assert [entry.request_id for entry in Ledger(path).entries] == ["r1", "r2"]


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    path.write_text('{"seq": 5, "note": "x"}\n')
    with pytest.raises(ValueError, match="is no ledger"):
        Ledger(path)
