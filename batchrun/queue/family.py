"""The runs that one name stands for, and what of a file is in them already.

A file whose ids are all new makes a run of its own, `stem-2`; the next time it must find the jobs there. So a name
means a family: the runs that were asked for under it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from batchrun.core.job import Nanos, RunId
from batchrun.core.states import RunState
from batchrun.queue.statement import Row, Statement, columns_of, lit, param
from batchrun.queue.submit import Same
from batchrun.queue.tables import Id, jobs, runs
from batchrun.queue.transaction import Transaction

temporary = sa.MetaData()
"""Tables of one connection, for one submit at a time."""

seen = sa.Table(
    "seen",  # keys that a file named and the family knows: not in memory, for there may be millions
    temporary,
    sa.Column("first", Id, primary_key=True),  # the newest job with that key stands for it
    sa.Column("file", sa.Integer, nullable=False),
    sa.Column("line", sa.Integer, nullable=False),
    sa.Column("same", Id),  # the job that says just what the file says
    sa.Column("digest", sa.LargeBinary, nullable=False),
    prefixes=["TEMPORARY"],
)
older = sa.Table(
    "older",  # the runs of the family without its newest
    temporary,
    sa.Column("run", Id, primary_key=True),
    prefixes=["TEMPORARY"],
)
pairs = sa.Table(
    "pairs",  # a loaded job and the one that it would replace
    temporary,
    sa.Column("loaded", Id, primary_key=True),
    sa.Column("existing", Id, nullable=False, unique=True),
    prefixes=["TEMPORARY"],
)


def prepare(connection: sa.Connection) -> None:
    """Empty temporary tables on *connection*."""
    temporary.drop_all(connection)
    temporary.create_all(connection)


def dismiss(connection: sa.Connection) -> None:
    temporary.drop_all(connection)


_MEMBERS = Statement(
    sa.select(runs.c.id, runs.c.name, runs.c.source_digest, runs.c.budget)
    .where(
        runs.c.account_name == param("account"),
        sa.or_(runs.c.stem == param("name"), runs.c.name == param("name")),
        runs.c.state != lit(RunState.LOADING),
    )
    .order_by(runs.c.id.desc())
)
_KNOWN = Statement(sa.select(jobs.c.id, jobs.c.digest).where(jobs.c.run == param("of"), jobs.c.key == param("its")))
_KNOWN_OLDER = Statement(
    sa.select(jobs.c.id, jobs.c.digest, jobs.c.run)
    .where(jobs.c.run.in_(sa.select(older.c.run).scalar_subquery()), jobs.c.key == param("its"))
    .order_by(jobs.c.run.desc())
)
_FORGET_OLDER = Statement(older.delete())
_OLDER = Statement(columns_of(older, "run"))
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
    """The runs of one name, the newest first."""

    members: tuple[Member, ...]

    @classmethod
    def read(cls, tx: Transaction, account_name: str, name: str) -> Family:
        rows = tx.rows(_MEMBERS, account=account_name, name=name)
        return cls(tuple(Member(RunId(run), *facts) for run, *facts in rows))

    def look_up(self, tx: Transaction) -> None:
        """Let `find` ask this family, with the temporary tables of the connection."""
        tx.run(_FORGET_OLDER)
        tx.run_many(_OLDER, ("run",), [(member.run,) for member in self.members[1:]])

    def find(self, tx: Transaction, key: str, digest: bytes) -> Known | None:
        """What it knows of *key*, of which the file says *digest*; None if the key is new. `look_up` comes first."""
        newest: Known | None = None
        for job, said, run in self._jobs(tx, key):
            if said == digest:
                return Known(newest.first if newest else job, job, RunId(run), same=True)
            newest = newest or Known(job, job, RunId(run), same=False)
        return newest

    def _jobs(self, tx: Transaction, key: str) -> Iterator[Row]:
        """(job, digest, run) for each of its jobs with *key*, the newest first."""
        if self.members:
            newest = self.members[0].run
            for job, said in tx.rows(_KNOWN, of=newest, its=key):
                yield job, said, newest
        if len(self.members) > 1:
            yield from tx.rows(_KNOWN_OLDER, its=key)

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
