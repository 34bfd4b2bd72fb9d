"""The window doubles a round in slow start, grows by one a round later, and shrinks once an episode."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.core.concurrency import CUT, REST, Signal, Window, step


def lockstep(window: Window, rounds: int, *, now: float = 100.0) -> list[int]:
    """The window's size after each round, when it is filled at once and all answers come in one moment."""
    sizes = []
    for _ in range(rounds):
        for left in range(int(window.size), 0, -1):
            window = step(window, Signal.FINE, in_flight=left, now=now)
        now += 1.0
        sizes.append(int(window.size))
    return sizes


def pipelined(window: Window, answers: int) -> Window:
    """The window after answers that come one by one, each replaced at once."""
    for _ in range(answers):
        window = step(window, Signal.FINE, in_flight=int(window.size), now=100.0)
    return window


def test_in_slow_start_the_window_doubles_a_round() -> None:
    assert lockstep(Window(size=4.0, most=64.0), 5) == [8, 16, 32, 64, 64]


def test_it_doubles_too_when_answers_come_one_by_one() -> None:
    assert pipelined(Window(size=4.0, most=64.0), 4).size == 8.0
    assert pipelined(Window(size=4.0, most=64.0), 12).size == 16.0


def test_after_slow_start_it_grows_by_one_a_round() -> None:
    assert lockstep(Window(size=8.0, most=64.0, slow_start=False), 4) == [9, 10, 11, 12]
    assert pipelined(Window(size=8.0, most=64.0, slow_start=False), 8 + 9 + 10).size == 11.0


def test_a_window_that_is_hardly_used_does_not_grow() -> None:
    window = Window(size=16.0)
    for _ in range(100):
        window = step(window, Signal.FINE, in_flight=3, now=100.0)
    assert window.size == 16.0


def test_what_was_in_flight_two_rounds_ago_proves_nothing() -> None:
    window = Window(size=8.0, most=1_000.0, slow_start=False)
    window = step(window, Signal.FINE, in_flight=8, now=100.0)
    for _ in range(100):
        window = step(window, Signal.FINE, in_flight=1, now=100.0)
    assert window.size < 10.0


def test_a_window_of_one_can_grow() -> None:
    assert lockstep(Window(size=1.0, most=8.0), 3) == [2, 4, 8]
    assert lockstep(Window(size=1.0, most=8.0, slow_start=False), 2) == [2, 3]


@pytest.mark.parametrize("signal", [Signal.LIMITED, Signal.OVERLOADED])
def test_a_cut_ends_slow_start_and_its_episode_counts_once(signal: Signal) -> None:
    window = Window(size=40.0)
    for _ in range(10):
        window = step(window, signal, in_flight=40, now=100.0)
    assert window.size == 40.0 * CUT[signal]
    assert not window.slow_start
    again = step(window, signal, in_flight=20, now=100.0 + REST)
    assert again.size == window.size * CUT[signal]


def test_after_a_cut_the_window_holds_still_for_a_while() -> None:
    window = step(Window(size=10.0), Signal.OVERLOADED, in_flight=10, now=100.0)
    assert lockstep(window, 4, now=100.5) == [5, 5, 5, 5]
    assert lockstep(window, 4, now=100.0 + REST) == [6, 7, 8, 9]


def test_a_failure_stops_growth_and_shrinks_nothing() -> None:
    window = step(Window(size=10.0), Signal.FAILED, in_flight=10, now=100.0)
    assert window.size == 10.0
    assert not window.slow_start
    assert lockstep(window, 7, now=100.5) == [10, 10, 10, 10, 10, 11, 12]


def test_failures_do_not_hide_an_overload() -> None:
    window = step(Window(size=10.0), Signal.FAILED, in_flight=10, now=100.0)
    assert step(window, Signal.OVERLOADED, in_flight=10, now=100.1).size == 5.0


def test_an_overload_that_lasts_goes_on_cutting() -> None:
    window, now = Window(size=64.0), 0.0
    while now < 4 * REST:
        window = step(window, Signal.OVERLOADED, in_flight=8, now=now)
        window = step(window, Signal.FAILED, in_flight=8, now=now)
        now += 0.5
    assert window.size == 4.0


def test_a_429_of_a_known_limit_leaves_the_window_as_it_is() -> None:
    window = step(Window(size=10.0), Signal.LIMITED, in_flight=10, now=100.0, cut=False)
    assert window.size == 10.0
    assert not window.slow_start
    assert step(window, Signal.LIMITED, in_flight=10, now=100.1).size == 8.0


signals = st.lists(
    st.tuples(st.sampled_from(list(Signal)), st.integers(1, 100), st.floats(0.0, 3.0), st.booleans()), max_size=200
)


@given(signals, st.floats(1.0, 64.0), st.floats(1.0, 200.0))
def test_the_window_stays_within_its_bounds_whatever_comes(
    history: list[tuple[Signal, int, float, bool]], size: float, most: float
) -> None:
    window, now = Window(size=min(size, most), most=most), 0.0
    for signal, in_flight, gap, cut in history:
        now += gap
        before = window
        window = step(window, signal, in_flight=in_flight, now=now, cut=cut)
        assert window.least <= window.size <= window.most
        if signal is Signal.FINE:
            assert before.size <= window.size <= before.size + 1.0
        else:
            assert window.size <= before.size
        assert before.slow_start or not window.slow_start
