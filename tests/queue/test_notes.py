"""What is noted beside the jobs: accounts and their limits, pauses, events."""

from __future__ import annotations

import dataclasses
import json
import typing

import pytest
import sqlalchemy as sa

from batchrun.core.account import Account
from batchrun.core.claim import LearnedLimit
from batchrun.core.events import Event, JobSucceeded, PassStarted, Paused, Throttled
from batchrun.core.job import JobId, Millis, Nanos, RunId
from batchrun.core.outcome import Usage
from batchrun.core.pause import Pause, PauseScope
from batchrun.queue import events, pauses
from batchrun.queue import tables as t
from tests.queue.desk import NOW, Desk

TOLD = Account(origin="https://api", organization="org", workspace="w")


# -- accounts ----------------------------------------------------------------------------------------------------------


def test_an_account_is_known_by_its_keys(desk: Desk) -> None:
    store = desk.store
    assert desk.wait(store.known_account("key-1")) is None
    first = desk.wait(store.remember_account(TOLD, "key-1", NOW))
    second = desk.wait(store.remember_account(TOLD, "key-2", NOW))
    assert first == second
    assert desk.wait(store.known_account("key-1")) == desk.wait(store.known_account("key-2")) == first
    assert first.account == TOLD


@pytest.mark.parametrize(
    "other",
    [
        Account(origin="https://api", organization="org", workspace="v"),
        Account(origin="https://api", organization="other", workspace="w"),
        Account(origin="https://gateway", organization="org", workspace="w"),
    ],
)
def test_another_organisation_workspace_or_origin_is_another_account(desk: Desk, other: Account) -> None:
    one = desk.wait(desk.store.remember_account(TOLD, "key-1", NOW))
    two = desk.wait(desk.store.remember_account(other, "key-2", NOW))
    assert one.id != two.id


def test_where_the_api_names_nobody_the_users_word_tells_accounts_apart(desk: Desk) -> None:
    accounts = [Account(origin="https://gateway", name=name) for name in ("red", "blue", "red")]
    numbers = [desk.wait(desk.store.remember_account(account, f"k{at}", NOW)).id for at, account in enumerate(accounts)]
    assert numbers[0] == numbers[2] != numbers[1]


def test_once_it_does_that_word_makes_no_difference(desk: Desk) -> None:
    numbers = {
        desk.wait(desk.store.remember_account(dataclasses.replace(TOLD, name=name), f"key-{name}", NOW)).id
        for name in ("", "red", "blue")
    }
    assert len(numbers) == 1


def test_limits_are_remembered_by_lane_and_what_is_not_said_stays(desk: Desk) -> None:
    store = desk.store
    account = desk.wait(store.remember_account(TOLD, "key", NOW)).id

    def limit(lane: str, requests: int | None, tokens: int | None, at: int) -> LearnedLimit:
        return LearnedLimit(
            lane=lane, requests=requests, input_tokens=tokens, output_tokens=None, source="headers", at=Millis(at)
        )

    for one in (limit("a", 10, 100, 1), limit("b", 5, None, 2), limit("a", 20, None, 3)):
        desk.wait(store.remember_limit(account, one))
    assert desk.wait(store.limits(account)) == [limit("a", 20, 100, 3), limit("b", 5, None, 2)]
    assert desk.wait(store.limits(account + 1)) == []
    rates = desk.rows(sa.select(t.buckets.c.refill).where(t.buckets.c.lane == "a", t.buckets.c.dimension == "requests"))
    assert 0.9 * 20 / 60 < rates[0][0] < 20 / 60


# -- pauses ------------------------------------------------------------------------------------------------------------


def pause(subject: str, reason: str = "credit", **more: typing.Any) -> Pause:
    return Pause(scope=PauseScope.ACCOUNT, subject=subject, reason=reason, message="m", since=NOW, **more)


def test_a_pause_comes_back_as_it_was_written(desk: Desk) -> None:
    whole = pause("1", until=Millis(5), probes=3, probed=Millis(4), hint="key-1")
    desk.wait(desk.store.pause(whole))
    desk.wait(desk.store.pause(pause("2")))
    assert desk.wait(desk.store.pauses()) == [whole, pause("2")]


def test_there_is_one_pause_of_a_scope_and_subject_and_it_can_be_lifted(desk: Desk) -> None:
    desk.wait(desk.store.pause(pause("1")))
    desk.wait(desk.store.pause(pause("1", "user", hint="renewed")))
    assert desk.wait(desk.store.pauses()) == [pause("1", "user", hint="renewed")]
    assert not desk.do(lambda tx: pauses.lift(tx, PauseScope.RUN, "1"))
    assert len(desk.wait(desk.store.pauses())) == 1
    assert desk.do(lambda tx: pauses.lift(tx, PauseScope.ACCOUNT, "1"))
    assert not desk.do(lambda tx: pauses.lift(tx, PauseScope.ACCOUNT, "1"))
    assert desk.wait(desk.store.pauses()) == []


@pytest.mark.parametrize("reason", ["user", "look"])
def test_what_waits_for_a_person_is_neither_replaced_nor_lifted_by_an_answer(desk: Desk, reason: str) -> None:
    found, by_hand = pause("1"), pause("1", reason)
    assert desk.wait(desk.store.pause(found))
    desk.do(lambda tx: pauses.write(tx, by_hand))
    assert not desk.wait(desk.store.lift(found))
    assert not desk.wait(desk.store.pause(pause("1", probes=1)))
    assert desk.wait(desk.store.pauses()) == [by_hand]
    assert desk.rows(sa.select(sa.func.count()).select_from(t.hooks)) == [(1,)]


def test_a_pause_that_an_answer_shows_to_be_over_is_lifted_once(desk: Desk) -> None:
    assert desk.wait(desk.store.pause(pause("1")))
    assert desk.wait(desk.store.lift(pause("1")))
    assert not desk.wait(desk.store.lift(pause("1")))


def test_what_a_wrong_clock_wrote_into_a_pause_becomes_now_and_its_end_stays(desk: Desk) -> None:
    later, before = Millis(NOW + 1), Millis(NOW - 1)
    for written in (
        pause("since", until=later),
        pause("probed", probes=2, probed=later),
        pause("sound", probes=2, probed=before),
    ):
        desk.wait(desk.store.pause(written))
    for moment, since in ((Millis(NOW + 5), NOW), (before, before)):
        desk.wait(desk.store.work(moment))
        assert {one.since for one in desk.wait(desk.store.pauses())} == {since}
    mended = {one.subject: one for one in desk.wait(desk.store.pauses())}
    assert (mended["since"].until, mended["since"].probed) == (later, None)
    assert (mended["probed"].probes, mended["probed"].probed) == (2, before)
    assert mended["sound"].probed == before


# -- events ------------------------------------------------------------------------------------------------------------

SOME: dict[str, typing.Any] = {
    "at": NOW,
    "run": RunId(1),
    "job": JobId(2),
    "runs": ((RunId(1), "nightly"),),
    "usage": Usage(input=3),
    "flag": None,
    "scope": "account",
}


def one_of(kind: type[Event]) -> Event:
    """An event of *kind* with some value for each of its fields."""
    facts = {}
    for field in dataclasses.fields(kind):
        text = str(field.type)
        plain = (
            1.5 if "float" in text else True if "bool" in text else 7 if "int" in text or "Nanos" in text else "text"
        )
        facts[field.name] = SOME.get(field.name, plain)
    return kind(**facts)


@pytest.mark.parametrize("kind", typing.get_args(Event))
def test_every_event_can_be_kept(desk: Desk, kind: type[Event]) -> None:
    desk.wait(desk.store.record([one_of(kind)]))
    ((at, name, detail),) = desk.rows(sa.select(t.events.c.at, t.events.c.kind, t.events.c.detail))
    assert (at, name) == (NOW, events.kind_of(one_of(kind)))
    assert isinstance(json.loads(detail), dict)


def test_an_event_is_kept_with_its_run_job_and_lane_apart(desk: Desk) -> None:
    succeeded = JobSucceeded(
        at=NOW,
        run=RunId(1),
        job=JobId(2),
        key="a",
        attempt=1,
        usage=Usage(input=3),
        cost=Nanos(5),
        seconds=1.5,
        flag=None,
    )
    throttled = Throttled(at=NOW, lane="sonnet", why="rate", seconds=3.0)
    desk.wait(desk.store.record([succeeded, throttled, PassStarted(at=NOW, runs=((RunId(1), "nightly"),))]))
    c = t.events.c
    rows = desk.rows(sa.select(c.kind, c.run, c.job, c.lane, c.detail).order_by(c.id))
    assert [row[:4] for row in rows] == [
        ("job_succeeded", 1, 2, None),
        ("throttled", None, None, "sonnet"),
        ("pass_started", None, None, None),
    ]
    assert json.loads(rows[0][4])["usage"]["input"] == 3
    assert json.loads(rows[1][4]) == {"why": "rate", "seconds": 3.0}
    assert json.loads(rows[2][4]) == {"runs": [[1, "nightly"]]}


def test_a_lane_that_is_closed_again_and_again_is_told_of_once_a_second(desk: Desk) -> None:
    def throttled(lane: str, after: int) -> Throttled:
        return Throttled(at=Millis(NOW + after), lane=lane, why="rate", seconds=1.0)

    for after in (0, 500, 999, 1000, 1500, 2000):
        desk.wait(desk.store.record([throttled("a", after), throttled("b", 0)]))
    c = t.events.c
    rows = desk.rows(sa.select(c.lane, c.at - NOW).order_by(c.id))
    assert rows == [("a", 0), ("b", 0), ("a", 1000), ("a", 2000)]


def test_a_clock_that_is_set_back_does_not_silence_a_lane(desk: Desk) -> None:
    for at in (NOW, NOW - 3_600_000):
        desk.wait(desk.store.record([Throttled(at=Millis(at), lane="a", why="rate", seconds=1.0)]))
    assert len(desk.rows(sa.select(t.events.c.id))) == 2


def test_other_events_are_not_thinned(desk: Desk) -> None:
    paused = Paused(at=NOW, scope="account", subject="1", reason="credit", message="m", until=None, request_id="req_1")
    desk.wait(desk.store.record([paused, paused]))
    assert len(desk.rows(sa.select(t.events.c.id))) == 2
    desk.wait(desk.store.record([]))
