"""The arrows between the states: every state can be reached, every job can end, and final states are left on purpose only."""

from __future__ import annotations

import pytest

from batchrun.core.states import ARROWS, FINAL, OUT, State, sources_of


def reachable(start: State) -> set[State]:
    seen, todo = {start}, [start]
    while todo:
        state = todo.pop()
        for arrow in ARROWS.values():
            if state in arrow.sources and arrow.target not in seen:
                seen.add(arrow.target)
                todo.append(arrow.target)
    return seen


@pytest.mark.parametrize("state", list(State))
def test_every_state_leads_to_success_to_failure_and_to_cancellation(state: State) -> None:
    assert reachable(state) >= FINAL


@pytest.mark.parametrize("state", [state for state in State if state is not State.BLOCKED])
def test_every_state_but_blocked_can_be_reached_from_the_queue(state: State) -> None:
    assert state in reachable(State.QUEUED)  # jobs are born queued or blocked


def test_a_final_state_is_left_only_by_the_user_or_by_an_answer() -> None:
    leaving = {name for name, arrow in ARROWS.items() if arrow.sources & FINAL}
    assert leaving == {"retry", "replace", "redo", "late", "fall_back"}


def test_a_success_is_left_only_when_the_user_wants_a_new_answer() -> None:
    assert {name for name, arrow in ARROWS.items() if State.SUCCEEDED in arrow.sources} == {"redo"}


def test_only_a_claim_or_a_batch_takes_a_job_out() -> None:
    assert {name for name, arrow in ARROWS.items() if arrow.target in OUT} == {"claim", "bind"}
    assert all(arrow.sources == {State.QUEUED} for arrow in ARROWS.values() if arrow.target in OUT)


def test_an_answer_may_come_late_to_any_job_that_has_none() -> None:
    assert sources_of("late") == set(State) - {State.SUCCEEDED}


def test_what_the_user_may_put_back_is_never_out() -> None:
    for name in ("cancel", "retry", "replace", "redo"):
        assert not sources_of(name) & OUT


def test_no_arrow_leads_to_where_it_starts_except_replacing() -> None:
    assert {name for name, arrow in ARROWS.items() if arrow.target in arrow.sources} == {"replace"}


def test_an_unknown_arrow_is_an_error() -> None:
    with pytest.raises(KeyError):
        sources_of("teleport")
