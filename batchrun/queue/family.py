"""The runs that one name stands for, and what of a file is in them already.

A file whose ids are all new makes a run of its own, `stem-2`; the next time it must find the jobs there. So a name
means a family: the runs that were asked for under it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from batchrun.core.job import Nanos, RunId
from batchrun.core.states import RunState
from batchrun.queue.statement import Row, Statement, columns_of, lit, param
from batchrun.queue.submit import Same
from batchrun.queue.tables import Id, jobs, runs
from batchrun.queue.transaction import Transaction

MEMBERS = 8
"""How many of its runs, the latest, a file is compared with."""

_temporary = sa.MetaData()

seen = sa.Table(
    "seen",  # keys that a file named and the family knows: not in memory, for there may be millions
    _temporary,
    sa.Column("first", Id, primary_key=True),  # the newest job with that key stands for it
    sa.Column("file", sa.Integer, nullable=False),
    sa.Column("line", sa.Integer, nullable=False),
    sa.Column("same", Id),  # the job that says just what the file says
    sa.Column("digest", sa.LargeBinary, nullable=False),
    prefixes=["TEMPORARY"],
)
pairs = sa.Table(
    "pairs",  # a loaded job and the one that it would replace
    _temporary,
    sa.Column("loaded", Id, primary_key=True),
    sa.Column("existing", Id, nullable=False, unique=True),
    prefixes=["TEMPORARY"],
)


def prepare(connection: sa.Connection) -> None:
    """Empty temporary tables on *connection*."""
    _temporary.drop_all(connection)
    _temporary.create_all(connection)


def dismiss(connection: sa.Connection) -> None:
    _temporary.drop_all(connection)


_MEMBERS = Statement(
    sa.select(runs.c.id, runs.c.name, runs.c.source_digest, runs.c.budget)
    .where(
        runs.c.account_name == param("account"),
        sa.or_(runs.c.stem == param("name"), runs.c.name == param("name")),
        runs.c.state != lit(RunState.LOADING),
    )
    .order_by(runs.c.id.desc())
    .limit(lit(MEMBERS))
)
_KNOWN = Statement(sa.select(jobs.c.id, jobs.c.digest).where(jobs.c.run == param("of"), jobs.c.key == param("its")))
_SEEN_FACTS = ("first", "file", "line", "same", "digest")
_SEEN = Statement(columns_of(seen, *_SEEN_FACTS))
_PAIR = Statement(columns_of(pairs, "loaded", "existing"))


@dataclass(frozen=True, slots=True)
class Member:
    run: RunId
    name: str
    source_digest: bytes | None
    budget: Nanos | None


@dataclass(frozen=True, slots=True)
class Known:
    """What the family knows of a key."""

    first: int  #: the newest job with it
    job: int  #: the job that the file speaks of: the one that says the same, else the newest
    run: RunId
    same: bool


@dataclass(frozen=True, slots=True)
class Family:
    """The latest runs of one name, the newest first."""

    members: tuple[Member, ...]

    @classmethod
    def read(cls, tx: Transaction, account_name: str, name: str) -> Family:
        rows = tx.rows(_MEMBERS, account=account_name, name=name)
        return cls(tuple(Member(RunId(run), *facts) for run, *facts in rows))

    def find(self, tx: Transaction, key: str, digest: bytes) -> Known | None:
        """What it knows of *key*, of which the file says *digest*; None if the key is new."""
        newest: Known | None = None
        for member in self.members:
            row = tx.row(_KNOWN, of=member.run, its=key)
            if row is None:
                continue
            if row[1] == digest:
                return Known(newest.first if newest else row[0], row[0], member.run, same=True)
            newest = newest or Known(row[0], row[0], member.run, same=False)
        return newest

    def name_of(self, run: RunId) -> str:
        return next(member.name for member in self.members if member.run == run)

    def same_as(self, digest: bytes) -> Same | None:
        """The run whose last submit had this digest."""
        for member in self.members:
            if member.source_digest == digest:
                return Same(run=member.run, name=member.name)
        return None


def unchanged(tx: Transaction, account_name: str, name: str, digest: bytes) -> Same | None:
    """The run that a submit of the very same inputs under *name* made or joined; None if there is none."""
    return Family.read(tx, account_name, name).same_as(digest)


def note_seen(tx: Transaction, rows: Iterable[Row]) -> None:
    """Rows of (first, file, line, same, digest). Raises the driver's IntegrityError for a key that was seen before."""
    tx.run_many(_SEEN, _SEEN_FACTS, rows)


def note_pairs(tx: Transaction, rows: Sequence[Row]) -> None:
    """Rows of (loaded, existing)."""
    tx.run_many(_PAIR, ("loaded", "existing"), rows)
