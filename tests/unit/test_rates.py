"""How fast things go: paces a minute, against limits, with gaps where nothing is known."""

from __future__ import annotations

from typing import Any

import pytest

from batchrun.core.job import Millis, RunId
from batchrun.core.limits import Dimension
from batchrun.queue.pulse import SLOT, Beat, Known
from batchrun.report.rates import OVERLAP, WINDOW, History, answers_per_second, condensed, lanes, per_minute

NOON = Millis(1_795_176_000_000)
FIRST = NOON // SLOT
RUN = RunId(1)


def beat(slot: int, n: int = 10, **values: Any) -> Beat:
    facts: dict[str, Any] = {
        "run": RUN,
        "account": 1,
        "model": "m",
        "ok": n,
        "limited": 0,
        "overloaded": 0,
        "input_tokens": 100 * n,
        "output_tokens": 5 * n,
    }
    return Beat(slot=FIRST + slot, n=n, **(facts | values))


def seen(*beats: Beat, whole: int = -60, now: Millis = NOON) -> History:
    history = History()
    history.add(now, FIRST + whole, beats)
    return history


def test_a_steady_minute_is_told_as_what_it_was() -> None:
    history = seen(*(beat(slot) for slot in range(-60, 0)))
    (lane,) = lanes(history, [], lambda _: "lane", NOON)
    requests, tokens_in, tokens_out = lane.meters
    assert (requests.now, tokens_in.now, tokens_out.now) == (60.0, 6_000.0, 300.0)
    assert answers_per_second(history, RUN, NOON) == 1.0


def test_one_that_began_a_moment_ago_is_not_told_as_slow() -> None:
    history = seen(beat(-2), beat(-1))
    (lane,) = lanes(history, [], lambda _: "lane", NOON)
    assert lane.meters[0].now == 60.0


def test_a_pace_that_stopped_falls_to_nothing() -> None:
    assert per_minute({FIRST - 40: 100}, FIRST - 40, NOON) == 0.0


def test_the_slot_that_goes_on_counts_for_the_time_that_it_lasted() -> None:
    now = Millis(NOON + SLOT // 2)
    sums = dict.fromkeys(range(FIRST - 6, FIRST), 10) | {FIRST: 5}
    assert per_minute(sums, FIRST - 60, now) == pytest.approx(60.0)


def test_a_limit_that_is_nine_tenths_used_binds_and_the_nearest_one_is_named() -> None:
    history = seen(*(beat(slot) for slot in range(-60, 0)))
    known = [
        Known(account=1, lane="lane", dimension=Dimension.REQUESTS, limit=65, source="headers"),
        Known(account=1, lane="lane", dimension=Dimension.OUTPUT, limit=310, source="headers"),
        Known(account=2, lane="lane", dimension=Dimension.INPUT, limit=1, source="headers"),
    ]
    (lane,) = lanes(history, known, lambda _: "lane", NOON)
    assert lane.binds is Dimension.OUTPUT
    assert lane.meters[1].limit is None  # another account's
    (idle,) = lanes(seen(beat(-1, n=1)), known, lambda _: "lane", Millis(NOON + SLOT))
    assert idle.binds is None


def test_refusals_are_counted_in_their_slots() -> None:
    history = seen(beat(-3, limited=2), beat(-1, overloaded=1))
    (lane,) = lanes(history, [], lambda _: "lane", NOON)
    assert (sum(lane.limited), lane.limited[-4], sum(lane.overloaded), lane.overloaded[-2]) == (2, 2, 1, 1)


def test_models_of_one_pool_are_one_lane_and_accounts_are_not() -> None:
    history = seen(beat(-1, model="a"), beat(-1, model="b"), beat(-1, model="b", account=2, n=1))
    found = lanes(history, [], lambda _: "pool", NOON)
    assert [(lane.name, lane.account) for lane in found] == [("pool", 1), ("pool", 2)]


def test_a_curve_has_a_gap_where_nothing_is_known_and_none_where_nothing_came() -> None:
    history = seen(beat(-1), whole=-3)
    (lane,) = lanes(history, [], lambda _: "lane", NOON)
    assert lane.meters[0].series[-5:] == (None, 0.0, 0.0, 60.0, 0.0)


def test_a_look_again_reads_a_minute_again_and_keeps_what_it_saw_before() -> None:
    history = seen(*(beat(slot) for slot in range(-30, 0)))
    later = Millis(NOON + 2 * SLOT)
    assert history.since(later) == NOON - OVERLAP
    history.add(later, (NOON - OVERLAP) // SLOT, [beat(slot, n=20) for slot in range(-6, 2)])
    counts = {one.slot - FIRST: one.n for one in history.each()}
    assert counts == dict.fromkeys(range(-30, -6), 10) | dict.fromkeys(range(-6, 2), 20)


def test_what_is_older_than_the_window_is_forgotten_and_a_long_sleep_leaves_a_gap() -> None:
    history = seen(*(beat(slot) for slot in range(-30, 0)))
    later = Millis(NOON + WINDOW)
    history.add(later, (later - OVERLAP) // SLOT, [])
    assert history.whole == (later - OVERLAP) // SLOT
    assert list(history.each()) == []


def test_condensing_takes_means_and_keeps_the_newest_whole() -> None:
    assert condensed([1.0, 2.0, 3.0, 4.0, 5.0], 3) == [1.0, 2.5, 4.5]
    assert condensed([None, None, None, 4.0], 2) == [None, 4.0]
    assert condensed([1.0], 5) == [1.0]
    assert condensed([1.0], 0) == []
