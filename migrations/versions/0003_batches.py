"""What batches need beside their rows: pilots, the ways jobs go, and what the API was seen to say."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ON_UNCLEAR = "CONSTRAINT ck_runs_on_unclear CHECK (on_unclear IN ('resend', 'wait'))"
_COLUMNS = (
    ("runs", "pilot INTEGER DEFAULT '1' NOT NULL CONSTRAINT ck_runs_pilot CHECK (pilot >= 0)"),
    ("runs", "look INTEGER DEFAULT '0' NOT NULL CONSTRAINT ck_runs_look CHECK (look IN (0, 1))"),
    ("runs", f"on_unclear TEXT DEFAULT 'wait' NOT NULL {_ON_UNCLEAR}"),
    ("batches", "model TEXT DEFAULT '' NOT NULL"),
    ("batches", "answered INTEGER DEFAULT '0' NOT NULL"),
    ("batches", "created BIGINT"),
    ("batches", "processing TEXT"),
    ("batches", "cancelled INTEGER DEFAULT '0' NOT NULL"),
    ("batches", "lost BIGINT"),
    ("batches", "absent BIGINT"),
    ("batches", "downloads INTEGER DEFAULT '0' NOT NULL"),
    ("batches", "downloaded BIGINT"),
    ("batches", "message TEXT"),
    ("jobs", "way INTEGER DEFAULT '0' NOT NULL CONSTRAINT ck_jobs_way CHECK (way IN (0, 1, 2))"),
)
_INDEXES = (
    ("ix_batches_state", "batches", ["state"], None),
    ("ix_batches_run", "batches", ["run"], None),
    ("ix_candidates_open", "candidates", ["batch"], "verdict = 'open'"),
    ("ix_jobs_realtime", "jobs", ["run", "model", "seq"], "state = 'queued' AND way > 0"),
    ("ix_jobs_pilot", "jobs", ["run", "model"], "way = 2 AND finished IS NULL"),
)


def upgrade() -> None:
    for table, column in _COLUMNS:  # with their checks, which both databases take in this form
        op.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
    op.create_table(
        "shapes",
        sa.Column("run", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("shape", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_shapes_run"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", "shape", name=op.f("pk_shapes")),
    )
    for name, table, columns, which in _INDEXES:
        where = None if which is None else sa.text(which)
        op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
