"""One decision for each outcome; what is not the job's fault costs it no try."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.core.outcome import (
    AccountStopped,
    Answer,
    Billed,
    Canceled,
    Dropped,
    Expired,
    Limited,
    Misrouted,
    ModelUnavailable,
    Outcome,
    Overloaded,
    RateLimited,
    Refused,
    Reply,
    ServerFailed,
    Stop,
    Succeeded,
    Unknown,
    Unreachable,
    Usage,
)
from batchrun.core.retry import (
    LONGEST,
    Cancel,
    Decision,
    Extend,
    Fail,
    GoOn,
    OnRefused,
    OnTruncated,
    Release,
    RetryPolicy,
    SoFar,
    Succeed,
    Wait,
    decide,
)

POLICY = RetryPolicy()
REPLY = Reply()
TROUBLE: tuple[Outcome, ...] = (Overloaded(reply=REPLY), ServerFailed(reply=REPLY), Dropped(reply=REPLY))
FREE: tuple[Outcome, ...] = (Unreachable(reply=REPLY), Misrouted(reply=REPLY))


def decided(
    outcome: Outcome, *, tries: int = 0, limited: int = 0, jitter: float = 0.5, outage: bool = False
) -> Decision:
    return decide(outcome, tries=tries, limited=limited, policy=POLICY, jitter=jitter, outage=outage)


def answered(stop_reason: str) -> Succeeded:
    return Succeeded(reply=REPLY, answer=Answer(body="{}", stop_reason=stop_reason, usage=Usage()))


@pytest.mark.parametrize("stop_reason", ["end_turn", "max_tokens", "refusal", "model_context_window_exceeded", "new"])
def test_every_whole_answer_is_the_result_unless_the_run_says_otherwise(stop_reason: str) -> None:
    assert decided(answered(stop_reason)) == Succeed()


@pytest.mark.parametrize(
    ("so_far", "tries", "decision"),
    [
        (SoFar(max_tokens=100, largest=1000), 0, Extend(200)),
        (SoFar(max_tokens=100, largest=150, extended=1, kept=True), 0, Extend(150)),
        (SoFar(max_tokens=100, largest=None), 0, Extend(200)),
        (SoFar(max_tokens=100, largest=100), 0, Succeed()),
        (SoFar(max_tokens=100, largest=1000, extended=2, kept=True), 0, Succeed()),
        (SoFar(max_tokens=100, largest=1000), 4, Succeed()),
    ],
)
def test_a_cut_answer_is_asked_for_again_with_twice_the_room_as_long_as_there_is_any(
    so_far: SoFar, tries: int, decision: Decision
) -> None:
    policy = RetryPolicy(on_truncated=OnTruncated.RETRY)
    assert decide(answered("max_tokens"), tries=tries, limited=0, policy=policy, jitter=0.0, so_far=so_far) == decision


def test_a_pause_is_gone_on_from_but_not_for_ever() -> None:
    for turns, decision in ((0, GoOn()), (9, GoOn()), (10, Succeed())):
        so_far = SoFar(turns=turns)
        assert decide(answered("pause_turn"), tries=4, limited=0, policy=POLICY, jitter=0.0, so_far=so_far) == decision


def test_a_refusal_to_answer_fails_the_job_where_the_run_says_so_or_a_better_answer_is_kept() -> None:
    strict = RetryPolicy(on_refused=OnRefused.FAIL)
    assert isinstance(decide(answered("refusal"), tries=0, limited=0, policy=strict, jitter=0.0), Fail)
    kept = SoFar(kept=True)
    assert isinstance(decide(answered("refusal"), tries=0, limited=0, policy=POLICY, jitter=0.0, so_far=kept), Fail)


def test_a_refused_request_fails_at_once() -> None:
    assert isinstance(decided(Refused(reply=REPLY)), Fail)


def test_a_rate_limit_waits_as_long_as_the_server_asks_and_costs_no_try() -> None:
    assert decided(RateLimited(reply=REPLY, retry_after=180.0), tries=4, jitter=0.0) == Wait(180.0, counts=False)


def test_jobs_that_were_limited_together_do_not_come_back_together() -> None:
    waits = {decided(RateLimited(reply=REPLY, retry_after=10.0), jitter=j / 10) for j in range(10)}
    assert len(waits) == 10
    assert all(isinstance(wait, Wait) and 10.0 <= wait.seconds < 11.0 for wait in waits)


def test_a_rate_limit_that_names_no_time_waits_longer_each_time() -> None:
    waits = [decided(RateLimited(reply=REPLY, retry_after=None), limited=n, jitter=0.0) for n in range(8)]
    assert waits == [Wait(seconds, counts=False) for seconds in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0)]


def test_a_job_that_is_limited_again_and_again_while_others_pass_fails() -> None:
    last = POLICY.limited - 1
    assert isinstance(decided(RateLimited(reply=REPLY, retry_after=1.0), limited=last - 1), Wait)
    failed = decided(RateLimited(reply=REPLY, retry_after=1.0), limited=last)
    assert isinstance(failed, Fail)
    assert "larger than a minute's limit" in failed.why


def test_a_job_is_not_too_large_when_nothing_else_passes_either() -> None:
    outcome = RateLimited(reply=REPLY, retry_after=1.0)
    assert isinstance(decided(outcome, limited=POLICY.limited, outage=True), Wait)


@pytest.mark.parametrize("kind", [Limited.RAMP, Limited.CONNECTIONS])
def test_a_limit_of_growth_or_of_connections_never_fails_a_job(kind: Limited) -> None:
    outcome = RateLimited(reply=REPLY, retry_after=None, kind=kind)
    assert isinstance(decided(outcome, limited=1_000), Wait)


@pytest.mark.parametrize("outcome", TROUBLE)
def test_trouble_counts_and_ends_after_the_last_try(outcome: Outcome) -> None:
    for tries in range(POLICY.tries - 1):
        decision = decided(outcome, tries=tries)
        assert isinstance(decision, Wait)
        assert decision.counts
    last = decided(outcome, tries=POLICY.tries - 1)
    assert last == Fail(f"gave up after {POLICY.tries} tries")


@pytest.mark.parametrize("outcome", [Overloaded(reply=REPLY), ServerFailed(reply=REPLY)])
def test_while_the_service_is_down_no_job_is_at_fault(outcome: Outcome) -> None:
    decision = decided(outcome, tries=POLICY.tries - 1, outage=True)
    assert isinstance(decision, Wait)
    assert not decision.counts


def test_a_cut_answer_counts_even_in_an_outage_for_it_may_be_billed_each_time() -> None:
    assert isinstance(decided(Dropped(reply=REPLY), tries=POLICY.tries - 1, outage=True), Fail)


@pytest.mark.parametrize(
    "outcome", [Overloaded(reply=REPLY, retry_after=7.0), ServerFailed(reply=REPLY, retry_after=7.0)]
)
def test_what_the_server_asks_is_the_least_wait(outcome: Outcome) -> None:
    assert decided(outcome, jitter=0.0) == Wait(7.0, counts=True)


@pytest.mark.parametrize("asked", [LONGEST + 1.0, 1e9])
@pytest.mark.parametrize("kind", [RateLimited, Overloaded, ServerFailed])
def test_nobody_waits_longer_than_a_day_whatever_the_server_asks(
    kind: type[RateLimited | Overloaded | ServerFailed], asked: float
) -> None:
    decision = decided(kind(reply=REPLY, retry_after=asked))
    assert isinstance(decision, Wait)
    assert decision.seconds == LONGEST == 86_400.0


def test_an_expired_item_of_a_batch_is_tried_again_at_once() -> None:
    assert decided(Expired(reply=REPLY)) == Wait(0.0, counts=True)
    assert isinstance(decided(Expired(reply=REPLY), tries=POLICY.tries - 1), Fail)


def test_a_result_that_nobody_knows_fails_its_job_and_is_never_bought_again_by_itself() -> None:
    for outage in (True, False):
        assert isinstance(decided(Unknown(reply=REPLY), outage=outage), Fail)


@pytest.mark.parametrize("outcome", FREE)
@pytest.mark.parametrize("tries", [0, 4, 99])
def test_the_way_to_the_api_never_costs_a_try(outcome: Outcome, tries: int) -> None:
    decision = decided(outcome, tries=tries)
    assert isinstance(decision, Wait)
    assert not decision.counts


@pytest.mark.parametrize(
    "outcome", [ModelUnavailable(reply=REPLY), *(AccountStopped(reply=REPLY, stop=stop) for stop in Stop)]
)
def test_what_stops_a_model_or_an_account_gives_the_job_back(outcome: Outcome) -> None:
    assert decided(outcome, tries=99) == Release()


def test_only_the_user_cancels_a_job_for_good() -> None:
    assert decided(Canceled(reply=REPLY, by_user=True)) == Cancel()
    assert decided(Canceled(reply=REPLY, by_user=False)) == Release()


@given(st.integers(1, 10_000), st.floats(0.0, 1.0, exclude_max=True))
def test_a_backoff_is_spread_over_a_range_that_doubles_to_its_cap(nth: int, jitter: float) -> None:
    wait = POLICY.backoff(nth, jitter)
    assert 0.0 <= wait <= min(POLICY.first * 2.0 ** min(nth - 1, 60), POLICY.cap)
    assert POLICY.backoff(nth, 1.0, cap=POLICY.overload_cap) == min(2.0 ** min(nth - 1, 60), 300.0)


outcomes = st.sampled_from(
    [
        *TROUBLE,
        *FREE,
        Refused(reply=REPLY),
        Expired(reply=REPLY),
        ModelUnavailable(reply=REPLY),
        Canceled(reply=REPLY, by_user=False),
    ]
) | st.builds(
    RateLimited,
    reply=st.just(REPLY),
    retry_after=st.none() | st.floats(-5.0, 1e9),
    kind=st.sampled_from(list(Limited)),
)


@given(outcomes, st.integers(0, 10), st.integers(0, 40), st.floats(0.0, 1.0, exclude_max=True), st.booleans())
def test_no_wait_is_negative_and_no_counted_wait_goes_beyond_the_last_try(
    outcome: Outcome, tries: int, limited: int, jitter: float, outage: bool
) -> None:
    decision = decided(outcome, tries=tries, limited=limited, jitter=jitter, outage=outage)
    if isinstance(decision, Wait):
        assert 0.0 <= decision.seconds <= LONGEST
        assert not decision.counts or tries + 1 < POLICY.tries


def test_what_is_possibly_billed_costs_a_try_even_in_an_outage() -> None:
    for outcome in (
        ServerFailed(reply=Reply(), billed=Billed.MAYBE),
        Overloaded(reply=Reply(), billed=Billed.MAYBE),
        Misrouted(reply=Reply(), billed=Billed.MAYBE),
    ):
        decision = decide(outcome, tries=0, limited=0, policy=RetryPolicy(), jitter=0.5, outage=True)
        assert isinstance(decision, Wait)
        assert decision.counts
        last = decide(outcome, tries=4, limited=0, policy=RetryPolicy(), jitter=0.5, outage=True)
        assert isinstance(last, Fail)
