"""Looking after batches while others of them are sent and collected, in virtual time."""

from __future__ import annotations

from pathlib import Path

from batchrun.core.events import Turn
from batchrun.simulator.batchplan import Verb
from batchrun.simulator.effects import parse
from tests.scheduler.test_batches import planned, questions, turns
from tests.scheduler.test_pass import in_world
from tests.scheduler.world import World


def test_a_batch_that_is_collected_while_somebody_looks_is_not_collected_once_more(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(questions(100), mode="batch")
        await world.live()
        assert world.states() == {"succeeded": 100}
        assert turns(world).count(Turn.COLLECTED) == 1
        downloads = [each for each in world.simulator.ledger.entries if each.endpoint.endswith("/results")]
        assert len(downloads) == 1

    # The third look begins while the results come, and ends after them.
    script = {Verb.LIST: parse("slow 0 x2, slow 30 x1"), Verb.RESULTS: parse("slow 10 x1")}
    in_world(tmp_path, story, planned(minutes=0.01, spread=0.0, script=script))
