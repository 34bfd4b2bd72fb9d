"""The tables, as SQLAlchemy knows them: narrow hot ones, wide cold ones, and CHECKs that say the invariants again.

Times are integer milliseconds UTC, money is integer nano-dollars, states are text with a CHECK. An id that was given
away is never given again (SQLite: AUTOINCREMENT; jobs: `meta`), so that nothing late can meet a newcomer.

`migrations/` is what makes them; a test compares the two. The documented interface for SQL tools are the views in
`queue.views`.
"""

from __future__ import annotations

import sqlalchemy as sa

from batchrun.core.states import FINAL, RunState, State

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _one_of(column: str, values: object) -> str:
    names = ", ".join(f"'{value}'" for value in sorted(str(v) for v in values))  # type: ignore[attr-defined]  # any iterable of names
    return f"{column} IN ({names})"


_FINAL = _one_of("state", FINAL)

ASIDE = (State.BLOCKED, State.HELD, State.WAITING)
"""Neither queued nor out nor final."""

Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite fills only INTEGER primary keys by itself


def _id() -> sa.Column[int]:
    return sa.Column("id", Id, primary_key=True, autoincrement=True)


meta = sa.Table(
    "meta",
    metadata,
    sa.Column(
        "key", sa.Text, primary_key=True
    ),  # queue (its token in custom_ids), simulated, created, jobs (their last id)
    sa.Column("value", sa.Text, nullable=False),
)

accounts = sa.Table(
    "accounts",
    metadata,
    _id(),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("organization", sa.Text, nullable=False, server_default=""),  # "" where the API told none
    sa.Column("workspace", sa.Text, nullable=False, server_default=""),
    sa.Column("name", sa.Text, nullable=False, server_default=""),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("attendant", sa.BigInteger),  # the worker that looks after its batches, if it still lives
    sa.UniqueConstraint("origin", "organization", "workspace", "name"),
)

fingerprints = sa.Table(
    "fingerprints",
    metadata,
    sa.Column("fingerprint", sa.Text, primary_key=True),  # of a key and the origin it is used at; leads back to none
    sa.Column("account", Id, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("seen", sa.BigInteger, nullable=False),
)

workers = sa.Table(
    "workers",
    metadata,
    _id(),
    sa.Column("role", sa.Text, nullable=False),  # 'worker' drains the queue, 'loader' adds jobs
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("boot", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("command", sa.Text, nullable=False),
    sa.Column("started", sa.BigInteger, nullable=False),
    sa.Column("left", sa.BigInteger),  # null while it lives, or since it died without a word
    sa.Column("lease", sa.BigInteger),  # on a server, by its clock: it lives until then; null on SQLite
    sa.CheckConstraint("role IN ('worker', 'loader')", name="role"),
    sqlite_autoincrement=True,
)

runs = sa.Table(
    "runs",
    metadata,
    _id(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("stem", sa.Text, nullable=False, server_default=""),  # the name that was asked for: `name` without "-2"
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("mode", sa.Text, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
    sa.Column("deadline", sa.BigInteger),
    sa.Column("account", Id, sa.ForeignKey("accounts.id")),  # bound at its first answer
    sa.Column("account_name", sa.Text, nullable=False, server_default=""),  # the user's word for the account wanted
    sa.Column("source", sa.Text, nullable=False),  # the files as the user named them, JSON list
    sa.Column("source_digest", sa.LargeBinary),  # of all inputs of the last submit: answers "nothing changed"
    sa.Column("loader", Id, sa.ForeignKey("workers.id")),  # who is adding jobs to it right now
    sa.Column("on_crash", sa.Text, nullable=False, server_default="retry"),
    sa.Column("tries", sa.Integer, nullable=False, server_default="5"),
    sa.Column("betas", sa.Text, nullable=False, server_default="[]"),  # JSON list
    sa.Column("headers", sa.Text, nullable=False, server_default="{}"),  # JSON object; never a secret
    sa.Column("budget", sa.BigInteger),  # nano-dollars for life; null: no cap
    sa.Column(
        "spent", sa.BigInteger, nullable=False, server_default="0"
    ),  # what ended attempts cost, maybe-billed at worst
    sa.Column("reserved", sa.BigInteger, nullable=False, server_default="0"),  # worst case of what is out now
    sa.Column("possibly", sa.BigInteger, nullable=False, server_default="0"),  # attempts that may have been billed
    sa.Column("possibly_cost", sa.BigInteger, nullable=False, server_default="0"),  # what they count for in `spent`
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("done", sa.BigInteger),
    sa.Column("cancelled", sa.BigInteger),
    # How many jobs of each shape go realtime before a batch of their like, and whether a person looks at them first.
    sa.Column("pilot", sa.Integer, sa.CheckConstraint("pilot >= 0", name="pilot"), nullable=False, server_default="1"),
    sa.Column(
        "look", sa.Integer, sa.CheckConstraint("look IN (0, 1)", name="look"), nullable=False, server_default="0"
    ),
    sa.Column(
        "on_unclear",
        sa.Text,
        sa.CheckConstraint("on_unclear IN ('resend', 'wait')", name="on_unclear"),
        nullable=False,
        server_default="wait",
    ),
    sa.Column("tags", sa.Text, nullable=False, server_default="[]"),  # JSON list of the user's words
    sa.Column("hours", sa.Text),  # when its jobs may be sent, as `core.hours` reads it; null: always
    sa.Column(
        "on_truncated",
        sa.Text,
        sa.CheckConstraint("on_truncated IN ('keep', 'retry')", name="on_truncated"),
        nullable=False,
        server_default="keep",
    ),
    sa.Column(
        "on_refused",
        sa.Text,
        sa.CheckConstraint("on_refused IN ('fail', 'keep')", name="on_refused"),
        nullable=False,
        server_default="keep",
    ),
    sa.CheckConstraint(_one_of("state", RunState), name="state"),
    sa.CheckConstraint("mode IN ('auto', 'batch', 'realtime')", name="mode"),
    sa.CheckConstraint("on_crash IN ('fail', 'hold', 'retry')", name="on_crash"),
    sa.CheckConstraint("(state = 'loading') = (loader IS NOT NULL)", name="loader"),
    sa.CheckConstraint("(state = 'done') = (done IS NOT NULL)", name="done"),
    sa.CheckConstraint("(state = 'cancelled') = (cancelled IS NOT NULL)", name="cancelled"),
    sa.CheckConstraint("reserved >= 0 AND spent >= 0", name="money"),
    sa.UniqueConstraint("account_name", "name"),
    sqlite_autoincrement=True,
)

run_counts = sa.Table(
    "run_counts",  # kept by each transaction, so that a status never scans
    metadata,
    sa.Column("run", Id, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, primary_key=True),
    sa.Column("n", sa.BigInteger, nullable=False),
    sa.CheckConstraint("n >= 0", name="n"),
)

batches = sa.Table(
    "batches",
    metadata,
    _id(),
    sa.Column("token", sa.Text, nullable=False, unique=True),
    sa.Column("run", Id, sa.ForeignKey("runs.id"), nullable=False),
    sa.Column("account", Id, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("owner", Id, sa.ForeignKey("workers.id")),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("n", sa.Integer, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("watermark", sa.Text),  # a remote id that was listed before this one was sent
    sa.Column("watermark_date", sa.BigInteger),  # the server's Date then
    sa.Column("remote_id", sa.Text, unique=True),  # only when proven
    sa.Column("reserved", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("cancel_reason", sa.Text),
    sa.Column("intended", sa.BigInteger, nullable=False),
    sa.Column("sent", sa.BigInteger),
    sa.Column("submitted", sa.BigInteger),
    sa.Column("ended", sa.BigInteger),
    sa.Column("expires", sa.BigInteger),
    sa.Column("first_absent", sa.BigInteger),  # server Date of the first complete listing without it
    sa.Column("counts", sa.Text, nullable=False, server_default="{}"),
    sa.Column("model", sa.Text, nullable=False, server_default=""),  # of all its jobs
    sa.Column("answered", sa.Integer, nullable=False, server_default="0"),  # 1: the create was answered with a 5xx
    sa.Column("created", sa.BigInteger),  # at the API, by its clock
    sa.Column("processing", sa.Text),  # the API's word for how far it is, as last seen
    sa.Column("cancelled", sa.Integer, nullable=False, server_default="0"),  # 1: the API has taken the wish to cancel
    sa.Column("lost", sa.BigInteger),  # server Date at which it was given up
    sa.Column("absent", sa.BigInteger),  # server Date since which the API answers 404 for it
    sa.Column("downloads", sa.Integer, nullable=False, server_default="0"),  # that left something missing
    sa.Column("downloaded", sa.BigInteger),  # server Date of the first of them
    sa.Column("message", sa.Text),  # why it was refused
    sa.CheckConstraint(
        "state IN ('intent', 'sending', 'submitted', 'collecting', 'done', 'unclear', 'rejected', 'lost', 'gone')",
        name="state",
    ),
    sa.CheckConstraint("cancel_reason IN ('user', 'rescue')", name="cancel_reason"),
    sa.CheckConstraint("n > 0", name="n"),
    sqlite_autoincrement=True,
)
sa.Index(
    "uq_batches_unresolved_n",  # no two unresolved batches of one account have one size: a listing tells them apart
    batches.c.account,
    batches.c.n,
    unique=True,
    sqlite_where=sa.text("state IN ('intent', 'sending', 'unclear')"),
    postgresql_where=sa.text("state IN ('intent', 'sending', 'unclear')"),
)

sa.Index("ix_batches_state", batches.c.state)
sa.Index("ix_batches_run", batches.c.run)

candidates = sa.Table(
    "candidates",
    metadata,
    sa.Column("batch", Id, sa.ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("remote_id", sa.Text, primary_key=True),
    sa.Column("seen", sa.BigInteger, nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.CheckConstraint("verdict IN ('foreign', 'open', 'ours')", name="verdict"),
)
sa.Index(
    "ix_candidates_open",
    candidates.c.batch,
    sqlite_where=sa.text("verdict = 'open'"),
    postgresql_where=sa.text("verdict = 'open'"),
)

past_batches = sa.Table(
    "past_batches",  # of runs that were removed: else a later listing would take them for somebody's, perhaps ours
    metadata,
    sa.Column("token", sa.Text, primary_key=True),
    sa.Column("account", Id, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("remote_id", sa.Text, unique=True),
    sa.Column("removed", sa.BigInteger, nullable=False),
)

jobs = sa.Table(
    "jobs",  # narrow: a change of state or a claim must not touch prompts
    metadata,
    _id(),
    sa.Column("run", Id, sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),  # order in the file
    sa.Column("file", sa.Integer, nullable=False, server_default="0"),  # index into the run's `source`
    sa.Column("line", sa.Integer, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),  # claims are asked per (run, model); a lane may serve several models
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("due", sa.BigInteger),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),  # counts every claim: fence and custom_id
    sa.Column("asked", sa.Integer, nullable=False, server_default="1"),  # the first attempt at what it asks now
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),  # counted against the bound
    sa.Column("owner", Id, sa.ForeignKey("workers.id")),
    sa.Column("batch", Id, sa.ForeignKey("batches.id")),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("est_input", sa.Integer, nullable=False),
    sa.Column("max_tokens", sa.Integer, nullable=False),
    sa.Column("worst", sa.BigInteger),  # nano-dollars in realtime at most; null: no bound is known
    sa.Column("prefix", sa.LargeBinary),
    sa.Column("digest", sa.LargeBinary, nullable=False),  # of what the file said, never of overrides
    sa.Column("cancel_requested", sa.BigInteger),
    sa.Column("finished", sa.BigInteger),
    sa.Column(
        "error", sa.Text
    ),  # class of the last error, e.g. 'invalid_request_error'; kept while failed, held, waiting
    # 0: whichever way its run goes; 1: realtime, because batches refuse its parameters; 2: realtime, as a pilot
    sa.Column(
        "way", sa.Integer, sa.CheckConstraint("way IN (0, 1, 2)", name="way"), nullable=False, server_default="0"
    ),
    # An answer that is not the end of it: it was cut off, or the model paused. The job is asked again for a better one.
    sa.Column("kept", sa.Integer),  # the attempt whose answer is the job's if no better one comes
    sa.Column("extended", sa.Integer, nullable=False, server_default="0"),  # how often it was given more room
    sa.Column("turns", sa.Integer, nullable=False, server_default="0"),  # how often a pause was gone on from
    sa.CheckConstraint(_one_of("state", State), name="state"),
    sa.CheckConstraint("(state = 'running') = (owner IS NOT NULL)", name="owner"),
    sa.CheckConstraint("(state = 'in_batch') = (batch IS NOT NULL)", name="batch"),
    sa.CheckConstraint("(state = 'waiting') = (due IS NOT NULL)", name="due"),
    sa.CheckConstraint(f"({_FINAL}) = (finished IS NOT NULL)", name="finished"),
    sa.CheckConstraint("attempt >= tries", name="tries"),
    sa.UniqueConstraint("run", "key"),
)


def _partial(name: str, *columns: sa.Column[object], where: str) -> None:
    sa.Index(name, *columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


_partial("ix_runs_open", runs.c.id, where="state IN ('loading', 'open')")  # else a status scans years of done runs
_partial("ix_workers_present", workers.c.role, where='"left" IS NULL')
_partial("ix_jobs_claim", jobs.c.run, jobs.c.model, jobs.c.seq, where="state = 'queued'")
_partial("ix_jobs_realtime", jobs.c.run, jobs.c.model, jobs.c.seq, where="state = 'queued' AND way > 0")
_partial("ix_jobs_pilot", jobs.c.run, jobs.c.model, where="way = 2 AND finished IS NULL")
_partial("ix_jobs_due", jobs.c.due, where="state = 'waiting'")
_partial("ix_jobs_owner", jobs.c.owner, where="owner IS NOT NULL")
_partial("ix_jobs_batch", jobs.c.batch, where="batch IS NOT NULL")
_partial("ix_jobs_failed", jobs.c.run, jobs.c.error, jobs.c.seq, where="state IN ('failed', 'held')")
_partial("ix_jobs_aside", jobs.c.run, jobs.c.state, where=_one_of("state", ASIDE))  # else a cancel walks all jobs
_partial("ix_jobs_kept", jobs.c.run, where="kept IS NOT NULL AND finished IS NOT NULL")  # none, once a commit is done
sa.Index("ix_jobs_run_seq", jobs.c.run, jobs.c.seq)

shapes = sa.Table(
    "shapes",  # kinds of requests of a run that have had their pilots
    metadata,
    sa.Column("run", Id, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("shape", sa.LargeBinary, primary_key=True),
)

shared = sa.Table(
    "shared",
    metadata,
    _id(),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("body", sa.Text, nullable=False),  # JSON object
    sqlite_autoincrement=True,
)

requests = sa.Table(
    "requests",  # request = own over shared (in `order`), then overrides over that
    metadata,
    sa.Column("job", Id, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("shared", Id, sa.ForeignKey("shared.id")),
    sa.Column("own", sa.Text, nullable=False),
    sa.Column("order", sa.Text),  # JSON list of top-level keys, where a verbatim line was cut apart
    sa.Column("overrides", sa.Text),  # JSON object of `retry --set`
    sa.Column("metadata", sa.Text),  # JSON, handed back
    sa.Column("tags", sa.Text),  # JSON list of the user's words
    sa.Column("continued", sa.Text),  # JSON list: what the model said before it paused, to be sent behind `messages`
)

_partial("ix_requests_shared", requests.c.shared, where="shared IS NOT NULL")  # else no shared part could be let go

attempts = sa.Table(
    "attempts",  # inserted at the claim: the record of spending comes before the spending
    metadata,
    sa.Column("job", Id, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("via", sa.Text, nullable=False),
    sa.Column("worker", Id, sa.ForeignKey("workers.id")),
    sa.Column("batch", Id, sa.ForeignKey("batches.id")),
    sa.Column("claimed", sa.BigInteger, nullable=False),
    sa.Column("sent", sa.BigInteger),
    sa.Column("ended", sa.BigInteger),
    sa.Column("outcome", sa.Text),  # null while it is out
    sa.Column("status", sa.Integer),
    sa.Column("error_type", sa.Text),
    sa.Column("error_code", sa.Text),
    sa.Column("message", sa.Text),
    sa.Column("request_id", sa.Text),
    sa.Column("other_ids", sa.Text),  # JSON list
    sa.Column("input", sa.BigInteger),
    sa.Column("output", sa.BigInteger),
    sa.Column("thinking", sa.BigInteger),
    sa.Column("cache_read", sa.BigInteger),
    sa.Column("cache_write_5m", sa.BigInteger),
    sa.Column("cache_write_1h", sa.BigInteger),
    sa.Column("cost", sa.BigInteger),  # nano-dollars; null: unknown
    sa.Column("worst", sa.BigInteger),  # what was reserved for it
    sa.Column("billed", sa.Text),
    sa.CheckConstraint("via IN ('batch', 'realtime')", name="via"),
    sa.CheckConstraint("outcome IN ('error', 'ok', 'released', 'unknown')", name="outcome"),
    sa.CheckConstraint("billed IN ('maybe', 'no', 'yes')", name="billed"),
    sa.CheckConstraint("(outcome IS NULL) = (ended IS NULL)", name="ended"),
)
_partial("ix_attempts_request_id", attempts.c.request_id, where="request_id IS NOT NULL")
_partial("ix_attempts_out", attempts.c.worker, where="outcome IS NULL")
_partial(
    "ix_attempts_batch", attempts.c.batch, where="batch IS NOT NULL"
)  # else letting go of a batch walks all attempts
_partial("ix_attempts_ended", attempts.c.ended, where="via = 'realtime' AND ended IS NOT NULL")  # what just happened

results = sa.Table(
    "results",
    metadata,
    sa.Column("job", Id, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("winning", sa.Integer, nullable=False),  # 1: the job's result; 0: bought twice, or replaced
    sa.Column("body", sa.Text, nullable=False),  # the message exactly as received
    sa.Column("stop_reason", sa.Text, nullable=False),
    sa.Column("received", sa.BigInteger, nullable=False),
    sa.CheckConstraint("winning IN (0, 1)", name="winning"),
    sa.ForeignKeyConstraint(["job", "attempt"], ["attempts.job", "attempts.n"], ondelete="CASCADE"),
)
sa.Index(
    "uq_results_winning",
    results.c.job,
    unique=True,
    sqlite_where=sa.text("winning = 1"),
    postgresql_where=sa.text("winning = 1"),
)

pauses = sa.Table(
    "pauses",
    metadata,
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("hint", sa.Text, nullable=False, server_default=""),
    sa.Column("since", sa.BigInteger, nullable=False),
    sa.Column("until", sa.BigInteger),
    sa.Column("probes", sa.Integer, nullable=False, server_default="0"),
    sa.Column("probed", sa.BigInteger),
    sa.CheckConstraint("scope IN ('account', 'model', 'run')", name="scope"),
)

buckets = sa.Table(
    "buckets",
    metadata,
    sa.Column("account", Id, sa.ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("lane", sa.Text, primary_key=True),
    sa.Column("dimension", sa.Text, primary_key=True),
    sa.Column("capacity", sa.BigInteger, nullable=False),  # a minute's limit
    sa.Column("refill", sa.Float, nullable=False),  # units a second
    sa.Column("level", sa.Float, nullable=False, server_default="0"),
    sa.Column("updated", sa.Float, nullable=False, server_default="0"),  # steady seconds of `boot`
    sa.Column("boot", sa.Text, nullable=False, server_default=""),
    sa.Column("blocked_until", sa.Float, nullable=False, server_default="0"),
    sa.Column("source", sa.Text, nullable=False),  # headers, table, admin, custom
    sa.Column("learned", sa.BigInteger, nullable=False),
    sa.CheckConstraint("dimension IN ('input_tokens', 'output_tokens', 'requests')", name="dimension"),
)

hooks = sa.Table(
    "hooks",  # what a user's command is told: once, and once more where the process died while it was told
    metadata,
    _id(),
    sa.Column("subject", sa.Text, nullable=False, unique=True),  # what it is of, so that it is told of once
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("run", Id),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("detail", sa.Text, nullable=False, server_default="{}"),  # JSON object
    sa.Column("begun", sa.Integer, nullable=False, server_default="0"),  # how often the command was started
    sa.Column("ended", sa.BigInteger),  # null: still to be told
    sa.CheckConstraint("event IN ('alert', 'done', 'pause')", name="event"),
    sqlite_autoincrement=True,
)
_partial("ix_hooks_open", hooks.c.id, where="ended IS NULL")

events = sa.Table(
    "events",  # append-only, prunable
    metadata,
    _id(),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("run", Id),
    sa.Column("job", Id),
    sa.Column("lane", sa.Text),
    sa.Column(
        "detail", sa.Text, nullable=False, server_default="{}"
    ),  # JSON object; never a prompt, an answer or a key
)
sa.Index("ix_events_run", events.c.run, events.c.id)
