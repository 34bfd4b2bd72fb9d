"""Limits that all workers share, as rows: what one takes the others do not have, whoever began when."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from batchrun.core.claim import LearnedLimit
from batchrun.core.limits import Dimension, Limits
from batchrun.core.sharing import Asked, Want
from batchrun.queue import accounts, buckets
from batchrun.queue import tables as t
from tests.queue.desk import NOW, Desk

LIMITS = Limits(requests=610, input_tokens=61_000)


def asked(n: int, now: float = 1000.0, boot: str = "boot", **more: float) -> Asked:
    settled = {Dimension(name): amount for name, amount in more.items()}
    wants = [Want(input_tokens=100.0)] * n
    return Asked(lane="haiku", limits=LIMITS, wants=wants, settled=settled, now=now, boot=boot)


@pytest.fixture
def account(desk: Desk) -> int:
    with desk.engine.begin() as tx:
        key = tx.execute(t.accounts.insert().values(origin="here", created=0)).inserted_primary_key
        assert key is not None
        return int(key[0])


def waits(desk: Desk, account: int, question: Asked) -> list[float]:
    return list(desk.do(lambda tx: buckets.take(tx, account, question)).waits)


def test_what_one_worker_was_given_the_next_one_waits_for(desk: Desk, account: int) -> None:
    assert waits(desk, account, asked(2)) == [pytest.approx(0.1, abs=0.09), pytest.approx(0.2, abs=0.09)]
    assert waits(desk, account, asked(1)) == [pytest.approx(0.3, abs=0.1)]


def test_what_was_used_beyond_its_charge_is_a_debt_of_all(desk: Desk, account: int) -> None:
    waits(desk, account, asked(1))
    assert waits(desk, account, asked(1, input_tokens=10_000.0)) == [pytest.approx(10.2, abs=0.2)]


def test_a_blocked_lane_is_blocked_for_all(desk: Desk, account: int) -> None:
    waits(desk, account, asked(1))
    desk.do(lambda tx: buckets.block(tx, account, "haiku", 30.0, 1000.0, "boot"))
    granted = desk.do(lambda tx: buckets.take(tx, account, asked(1)))
    assert granted.blocked == pytest.approx(30.0, abs=0.5)
    assert list(granted.waits) == [pytest.approx(30.0, abs=0.5)]


def test_a_level_without_a_word_from_the_account_is_no_limit_that_was_learned(desk: Desk, account: int) -> None:
    waits(desk, account, asked(1))
    assert desk.do(lambda tx: accounts.limits(tx, account)) == []
    learned = LearnedLimit(lane="haiku", requests=50, input_tokens=None, output_tokens=None, source="headers", at=NOW)
    desk.do(lambda tx: accounts.remember_limit(tx, account, learned))
    assert desk.do(lambda tx: accounts.limits(tx, account)) == [learned]


def test_after_another_boot_a_bucket_begins_at_nothing(desk: Desk, account: int) -> None:
    if desk.engine.dialect.name != "sqlite":
        pytest.skip("a server's clock goes on over all boots")
    waits(desk, account, asked(20))
    assert waits(desk, account, asked(1, now=5.0, boot="next")) == [pytest.approx(0.1)]
    assert desk.rows(sa.select(t.buckets.c.boot).distinct()) == [("next",)]
