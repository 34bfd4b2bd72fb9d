"""What people say of runs and jobs every day: tags, hours, what becomes of answers that were cut off or refused.

And the realtime attempts in the order in which they ended, for who watches; what stays of runs that are removed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ON_TRUNCATED = "CONSTRAINT ck_runs_on_truncated CHECK (on_truncated IN ('keep', 'retry'))"
_ON_REFUSED = "CONSTRAINT ck_runs_on_refused CHECK (on_refused IN ('fail', 'keep'))"
_COLUMNS = (
    ("runs", "tags TEXT DEFAULT '[]' NOT NULL"),
    ("runs", "hours TEXT"),
    ("runs", f"on_truncated TEXT DEFAULT 'keep' NOT NULL {_ON_TRUNCATED}"),
    ("runs", f"on_refused TEXT DEFAULT 'keep' NOT NULL {_ON_REFUSED}"),
    ("requests", "tags TEXT"),
    ("requests", "continued TEXT"),
    ("jobs", "kept INTEGER"),
    ("jobs", "extended INTEGER DEFAULT '0' NOT NULL"),
    ("jobs", "turns INTEGER DEFAULT '0' NOT NULL"),
    ("workers", "lease BIGINT"),
    ("accounts", "attendant BIGINT"),
)


def upgrade() -> None:
    for table, column in _COLUMNS:  # with their checks, which both databases take in this form
        op.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
    op.execute("CREATE INDEX ix_jobs_kept ON jobs (run) WHERE kept IS NOT NULL AND finished IS NOT NULL")
    op.execute("CREATE INDEX ix_attempts_ended ON attempts (ended) WHERE via = 'realtime' AND ended IS NOT NULL")
    identity = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "past_batches",
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("account", identity, nullable=False),
        sa.Column("remote_id", sa.Text),
        sa.Column("removed", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("token", name="pk_past_batches"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_past_batches_account"),
        sa.UniqueConstraint("remote_id", name="uq_past_batches_remote_id"),
    )
    op.execute("CREATE INDEX ix_requests_shared ON requests (shared) WHERE shared IS NOT NULL")
    op.create_table(
        "hooks",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("run", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), server_default="{}", nullable=False),
        sa.Column("begun", sa.Integer(), server_default="0", nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("event IN ('alert', 'done', 'pause')", name=op.f("ck_hooks_event")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hooks")),
        sa.UniqueConstraint("subject", name=op.f("uq_hooks_subject")),
        sqlite_autoincrement=True,
    )
    where = sa.text("ended IS NULL")
    op.create_index("ix_hooks_open", "hooks", ["id"], sqlite_where=where, postgresql_where=where)
    op.execute("CREATE INDEX ix_attempts_batch ON attempts (batch) WHERE batch IS NOT NULL")
