"""The tables of the queue. The views on them are made after all migrations, as they are now."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite fills only INTEGER primary keys by itself


def _where(text: str) -> dict[str, Any]:
    """A partial index: only rows for which *text* holds."""
    return {"sqlite_where": sa.text(text), "postgresql_where": sa.text(text)}


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), server_default="", nullable=False),
        sa.Column("workspace", sa.Text(), server_default="", nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint(
            "origin", "organization", "workspace", "name", name=op.f("uq_accounts_origin_organization_workspace_name")
        ),
    )
    op.create_table(
        "events",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("run", ID, nullable=True),
        sa.Column("job", ID, nullable=True),
        sa.Column("lane", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index("ix_events_run", "events", ["run", "id"])
    op.create_table(
        "meta",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_meta")),
    )
    op.create_table(
        "pauses",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), server_default="", nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("probes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("probed", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("scope IN ('account', 'model', 'run')", name=op.f("ck_pauses_scope")),
        sa.PrimaryKeyConstraint("scope", "subject", name=op.f("pk_pauses")),
    )
    op.create_table(
        "shared",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shared")),
        sa.UniqueConstraint("digest", name=op.f("uq_shared_digest")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "workers",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("boot", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=False),
        sa.Column("left", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("role IN ('worker', 'loader')", name=op.f("ck_workers_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_workers_present", "workers", ["role"], **_where('"left" IS NULL'))
    op.create_table(
        "buckets",
        sa.Column("account", ID, nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("capacity", sa.BigInteger(), nullable=False),
        sa.Column("refill", sa.Float(), nullable=False),
        sa.Column("level", sa.Float(), server_default="0", nullable=False),
        sa.Column("updated", sa.Float(), server_default="0", nullable=False),
        sa.Column("boot", sa.Text(), server_default="", nullable=False),
        sa.Column("blocked_until", sa.Float(), server_default="0", nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("learned", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "dimension IN ('input_tokens', 'output_tokens', 'requests')", name=op.f("ck_buckets_dimension")
        ),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_buckets_account"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("account", "lane", "dimension", name=op.f("pk_buckets")),
    )
    op.create_table(
        "fingerprints",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("account", ID, nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_fingerprints_account")),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_fingerprints")),
    )
    op.create_table(
        "runs",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("stem", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), server_default="0", nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=True),
        sa.Column("account", ID, nullable=True),
        sa.Column("account_name", sa.Text(), server_default="", nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_digest", sa.LargeBinary(), nullable=True),
        sa.Column("loader", ID, nullable=True),
        sa.Column("on_crash", sa.Text(), server_default="retry", nullable=False),
        sa.Column("tries", sa.Integer(), server_default="5", nullable=False),
        sa.Column("betas", sa.Text(), server_default="[]", nullable=False),
        sa.Column("headers", sa.Text(), server_default="{}", nullable=False),
        sa.Column("budget", sa.BigInteger(), nullable=True),
        sa.Column("spent", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("reserved", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=True),
        sa.Column("cancelled", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(state = 'cancelled') = (cancelled IS NOT NULL)", name=op.f("ck_runs_cancelled")),
        sa.CheckConstraint("(state = 'done') = (done IS NOT NULL)", name=op.f("ck_runs_done")),
        sa.CheckConstraint("(state = 'loading') = (loader IS NOT NULL)", name=op.f("ck_runs_loader")),
        sa.CheckConstraint("mode IN ('auto', 'batch', 'realtime')", name=op.f("ck_runs_mode")),
        sa.CheckConstraint("on_crash IN ('fail', 'hold', 'retry')", name=op.f("ck_runs_on_crash")),
        sa.CheckConstraint("state IN ('cancelled', 'done', 'loading', 'open')", name=op.f("ck_runs_state")),
        sa.CheckConstraint("reserved >= 0 AND spent >= 0", name=op.f("ck_runs_money")),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_runs_account")),
        sa.ForeignKeyConstraint(["loader"], ["workers.id"], name=op.f("fk_runs_loader")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sa.UniqueConstraint("account_name", "name", name=op.f("uq_runs_account_name_name")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_runs_open", "runs", ["id"], **_where("state IN ('loading', 'open')"))
    op.create_table(
        "batches",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("run", ID, nullable=False),
        sa.Column("account", ID, nullable=False),
        sa.Column("owner", ID, nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("watermark", sa.Text(), nullable=True),
        sa.Column("watermark_date", sa.BigInteger(), nullable=True),
        sa.Column("remote_id", sa.Text(), nullable=True),
        sa.Column("reserved", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cancel_reason", sa.Text(), nullable=True),
        sa.Column("intended", sa.BigInteger(), nullable=False),
        sa.Column("sent", sa.BigInteger(), nullable=True),
        sa.Column("submitted", sa.BigInteger(), nullable=True),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.Column("expires", sa.BigInteger(), nullable=True),
        sa.Column("first_absent", sa.BigInteger(), nullable=True),
        sa.Column("counts", sa.Text(), server_default="{}", nullable=False),
        sa.CheckConstraint("cancel_reason IN ('user', 'rescue')", name=op.f("ck_batches_cancel_reason")),
        sa.CheckConstraint(
            "state IN ('intent', 'sending', 'submitted', 'collecting', 'done', 'unclear', 'rejected', 'lost', 'gone')",
            name=op.f("ck_batches_state"),
        ),
        sa.CheckConstraint("n > 0", name=op.f("ck_batches_n")),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_batches_account")),
        sa.ForeignKeyConstraint(["owner"], ["workers.id"], name=op.f("fk_batches_owner")),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_batches_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
        sa.UniqueConstraint("remote_id", name=op.f("uq_batches_remote_id")),
        sa.UniqueConstraint("token", name=op.f("uq_batches_token")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_batches_unresolved_n",
        "batches",
        ["account", "n"],
        unique=True,
        **_where("state IN ('intent', 'sending', 'unclear')"),
    )
    op.create_table(
        "run_counts",
        sa.Column("run", ID, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("n >= 0", name=op.f("ck_run_counts_n")),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_run_counts_run"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", "model", "state", name=op.f("pk_run_counts")),
    )
    op.create_table(
        "candidates",
        sa.Column("batch", ID, nullable=False),
        sa.Column("remote_id", sa.Text(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.CheckConstraint("verdict IN ('foreign', 'open', 'ours')", name=op.f("ck_candidates_verdict")),
        sa.ForeignKeyConstraint(["batch"], ["batches.id"], name=op.f("fk_candidates_batch"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("batch", "remote_id", name=op.f("pk_candidates")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("run", ID, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("file", sa.Integer(), server_default="0", nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("asked", sa.Integer(), server_default="1", nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("owner", ID, nullable=True),
        sa.Column("batch", ID, nullable=True),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("est_input", sa.Integer(), nullable=False),
        sa.Column("max_tokens", sa.Integer(), nullable=False),
        sa.Column("worst", sa.BigInteger(), nullable=True),
        sa.Column("prefix", sa.LargeBinary(), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("cancel_requested", sa.BigInteger(), nullable=True),
        sa.Column("finished", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint("(state = 'in_batch') = (batch IS NOT NULL)", name=op.f("ck_jobs_batch")),
        sa.CheckConstraint("(state = 'running') = (owner IS NOT NULL)", name=op.f("ck_jobs_owner")),
        sa.CheckConstraint("(state = 'waiting') = (due IS NOT NULL)", name=op.f("ck_jobs_due")),
        sa.CheckConstraint(
            "(state IN ('cancelled', 'failed', 'succeeded')) = (finished IS NOT NULL)", name=op.f("ck_jobs_finished")
        ),
        sa.CheckConstraint(
            "state IN ('blocked', 'cancelled', 'failed', 'held', 'in_batch', "
            "'queued', 'running', 'succeeded', 'waiting')",
            name=op.f("ck_jobs_state"),
        ),
        sa.CheckConstraint("attempt >= tries", name=op.f("ck_jobs_tries")),
        sa.ForeignKeyConstraint(["batch"], ["batches.id"], name=op.f("fk_jobs_batch")),
        sa.ForeignKeyConstraint(["owner"], ["workers.id"], name=op.f("fk_jobs_owner")),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_jobs_run"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("run", "key", name=op.f("uq_jobs_run_key")),
    )
    op.create_index("ix_jobs_aside", "jobs", ["run", "state"], **_where("state IN ('blocked', 'held', 'waiting')"))
    op.create_index("ix_jobs_batch", "jobs", ["batch"], **_where("batch IS NOT NULL"))
    op.create_index("ix_jobs_claim", "jobs", ["run", "model", "seq"], **_where("state = 'queued'"))
    op.create_index("ix_jobs_due", "jobs", ["due"], **_where("state = 'waiting'"))
    op.create_index("ix_jobs_failed", "jobs", ["run", "error", "seq"], **_where("state IN ('failed', 'held')"))
    op.create_index("ix_jobs_owner", "jobs", ["owner"], **_where("owner IS NOT NULL"))
    op.create_index("ix_jobs_run_seq", "jobs", ["run", "seq"])
    op.create_table(
        "attempts",
        sa.Column("job", ID, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("via", sa.Text(), nullable=False),
        sa.Column("worker", ID, nullable=True),
        sa.Column("batch", ID, nullable=True),
        sa.Column("claimed", sa.BigInteger(), nullable=False),
        sa.Column("sent", sa.BigInteger(), nullable=True),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error_type", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("other_ids", sa.Text(), nullable=True),
        sa.Column("input", sa.BigInteger(), nullable=True),
        sa.Column("output", sa.BigInteger(), nullable=True),
        sa.Column("thinking", sa.BigInteger(), nullable=True),
        sa.Column("cache_read", sa.BigInteger(), nullable=True),
        sa.Column("cache_write_5m", sa.BigInteger(), nullable=True),
        sa.Column("cache_write_1h", sa.BigInteger(), nullable=True),
        sa.Column("cost", sa.BigInteger(), nullable=True),
        sa.Column("worst", sa.BigInteger(), nullable=True),
        sa.Column("billed", sa.Text(), nullable=True),
        sa.CheckConstraint("billed IN ('maybe', 'no', 'yes')", name=op.f("ck_attempts_billed")),
        sa.CheckConstraint("outcome IN ('error', 'ok', 'released', 'unknown')", name=op.f("ck_attempts_outcome")),
        sa.CheckConstraint("via IN ('batch', 'realtime')", name=op.f("ck_attempts_via")),
        sa.CheckConstraint("(outcome IS NULL) = (ended IS NULL)", name=op.f("ck_attempts_ended")),
        sa.ForeignKeyConstraint(["batch"], ["batches.id"], name=op.f("fk_attempts_batch")),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_attempts_job"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["worker"], ["workers.id"], name=op.f("fk_attempts_worker")),
        sa.PrimaryKeyConstraint("job", "n", name=op.f("pk_attempts")),
    )
    op.create_index("ix_attempts_out", "attempts", ["worker"], **_where("outcome IS NULL"))
    op.create_index("ix_attempts_request_id", "attempts", ["request_id"], **_where("request_id IS NOT NULL"))
    op.create_table(
        "requests",
        sa.Column("job", ID, nullable=False),
        sa.Column("shared", ID, nullable=True),
        sa.Column("own", sa.Text(), nullable=False),
        sa.Column("order", sa.Text(), nullable=True),
        sa.Column("overrides", sa.Text(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_requests_job"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["shared"], ["shared.id"], name=op.f("fk_requests_shared")),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_requests")),
    )
    op.create_table(
        "results",
        sa.Column("job", ID, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("winning", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("stop_reason", sa.Text(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("winning IN (0, 1)", name=op.f("ck_results_winning")),
        sa.ForeignKeyConstraint(
            ["job", "attempt"], ["attempts.job", "attempts.n"], name=op.f("fk_results_job_attempt"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job", "attempt", name=op.f("pk_results")),
    )
    op.create_index("uq_results_winning", "results", ["job"], unique=True, **_where("winning = 1"))
