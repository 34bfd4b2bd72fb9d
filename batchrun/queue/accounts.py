"""Accounts as the API names them, the keys that lead to them, and the limits they were found to have."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from batchrun.core.account import Account
from batchrun.core.claim import KnownAccount, LearnedLimit
from batchrun.core.job import Millis, WorkerId
from batchrun.core.limits import Dimension, gate
from batchrun.queue.buckets import TABLE
from batchrun.queue.statement import Statement, columns_of, insert_or, lit, param
from batchrun.queue.tables import accounts, buckets, fingerprints, workers
from batchrun.queue.transaction import Transaction
from batchrun.queue.workers import refuse_buried

_NAMES = ("origin", "organization", "workspace", "name")
_KNOWN = Statement(
    sa.select(accounts.c.id, *(accounts.c[name] for name in _NAMES))
    .join(fingerprints, fingerprints.c.account == accounts.c.id)
    .where(fingerprints.c.fingerprint == param("it"))
)
_FIND = Statement(sa.select(accounts.c.id).where(*(accounts.c[name] == param(f"the_{name}") for name in _NAMES)))
_RENAME = Statement(
    accounts.update()
    .where(accounts.c.id == param("it"))
    .values(organization=param("the_organization"), workspace=param("the_workspace"), name=param("the_name"))
)
_ADD = Statement(columns_of(accounts, *_NAMES, "created").returning(accounts.c.id))
_SEEN = Statement(
    fingerprints.update()
    .where(fingerprints.c.fingerprint == param("it"))
    .values(account=param("whose"), seen=param("at"))
)
_FIRST_SEEN = Statement(columns_of(fingerprints, "fingerprint", "account", "seen"))


def known(tx: Transaction, fingerprint: str) -> KnownAccount | None:
    row = tx.row(_KNOWN, it=fingerprint)
    if row is None:
        return None
    found, origin, organization, workspace, name = row
    account = Account(origin=origin, organization=organization or None, workspace=workspace or None, name=name)
    return KnownAccount(id=found, account=account)


def remember(tx: Transaction, account: Account, fingerprint: str, now: Millis) -> KnownAccount:
    """The account's row, made if it is new; *fingerprint* leads to it from now on.

    Once the API tells who it is, the user's word for it no longer makes a difference. What the key led to under fewer
    names (nobody's, or the organisation's alone) is the same account: its row gets the names, and keeps its runs.
    """
    before = known(tx, fingerprint)
    if before is not None and not account.says_more_than(before.account) and account.told:
        account = before.account
    names = {
        "origin": account.origin,
        "organization": account.organization or "",
        "workspace": account.workspace or "",
        "name": "" if account.told else account.name,
    }
    row = tx.row(_FIND, **{f"the_{name}": value for name, value in names.items()})
    if row is None and before is not None and _less(before.account, account):
        tx.run(_RENAME, it=before.id, **{f"the_{name}": names[name] for name in _NAMES[1:]})
        row = (before.id,)
    if row is None:
        row = tx.row(_ADD, **names, created=now)
    assert row is not None
    if not tx.run(_SEEN, it=fingerprint, whose=row[0], at=now):
        tx.run(_FIRST_SEEN, fingerprint=fingerprint, account=row[0], seen=now)
    return KnownAccount(id=row[0], account=account)


def _less(known_before: Account, now_told: Account) -> bool:
    """Whether *known_before* is *now_told* by fewer names."""
    if known_before.origin != now_told.origin or not now_told.told:
        return False
    return not known_before.told or (
        known_before.organization == now_told.organization and known_before.workspace is None
    )


_ATTEND = Statement(
    accounts.update()
    .where(
        accounts.c.id == param("it"),
        accounts.c.attendant.is_(None)
        | (accounts.c.attendant == param("me"))
        | ~sa.exists().where(workers.c.id == accounts.c.attendant, workers.c.left.is_(None)),
    )
    .values(attendant=param("me"))
)
_ATTENDANT = Statement(
    sa.select(workers.c.pid, workers.c.host)
    .join(accounts, accounts.c.attendant == workers.c.id)
    .where(accounts.c.id == param("it"))
)


def attend(tx: Transaction, account: int, worker: WorkerId) -> str | None:
    """Let *worker* look after the batches of *account*, unless another one lives that does: then who that is."""
    refuse_buried(tx, worker)
    if tx.run(_ATTEND, it=account, me=worker):
        return None
    row = tx.row(_ATTENDANT, it=account)
    assert row is not None, "an attendant has no row"
    return f"pid {row[0]} on host {row[1]}"


_LIMITS = Statement(
    sa.select(buckets.c.lane, buckets.c.dimension, buckets.c.capacity, buckets.c.source, buckets.c.learned)
    .where(buckets.c.account == param("whose"), buckets.c.source != lit(TABLE))
    .order_by(buckets.c.lane, buckets.c.learned)
)
_LEARN = Statement(
    buckets.update()
    .where(
        buckets.c.account == param("whose"),
        buckets.c.lane == param("the_lane"),
        buckets.c.dimension == param("the_dimension"),
    )
    .values(capacity=param("limit"), refill=param("rate"), source=param("word"), learned=param("at"))
)
_first = insert_or(buckets, "account", "lane", "dimension", "capacity", "refill", "source", "learned")
_FIRST = Statement(
    _first.on_conflict_do_update(  # another worker may be the first meanwhile
        index_elements=["account", "lane", "dimension"],
        set_={name: _first.excluded[name] for name in ("capacity", "refill", "source", "learned")},
    )
)


def limits(tx: Transaction, account: int) -> Sequence[LearnedLimit]:
    lanes: dict[str, tuple[dict[str, int], str, int]] = {}
    for lane, dimension, capacity, source, learned in tx.rows(_LIMITS, whose=account):
        known_limits = lanes[lane][0] if lane in lanes else {}
        known_limits[dimension] = capacity
        lanes[lane] = (known_limits, source, learned)  # the latest word comes last
    return [
        LearnedLimit(
            lane=lane,
            requests=per_minute.get(Dimension.REQUESTS),
            input_tokens=per_minute.get(Dimension.INPUT),
            output_tokens=per_minute.get(Dimension.OUTPUT),
            source=source,
            at=Millis(learned),
        )
        for lane, (per_minute, source, learned) in lanes.items()
    ]


def remember_limit(tx: Transaction, account: int, limit: LearnedLimit) -> None:
    """What *limit* knows takes the place of what was known; the dimensions that it does not know stay as they are."""
    told = {
        Dimension.REQUESTS: limit.requests,
        Dimension.INPUT: limit.input_tokens,
        Dimension.OUTPUT: limit.output_tokens,
    }
    for dimension, capacity in told.items():
        if capacity is None:
            continue
        _burst, rate = gate(capacity)
        learned = {"limit": capacity, "rate": rate, "word": limit.source, "at": limit.at}
        if not tx.run(_LEARN, whose=account, the_lane=limit.lane, the_dimension=dimension, **learned):
            tx.run(
                _FIRST,
                account=account,
                lane=limit.lane,
                dimension=dimension,
                capacity=capacity,
                refill=rate,
                source=limit.source,
                learned=limit.at,
            )
