"""Runs migrations on the application's own connection, inside its transaction: a failing one leaves nothing."""

from __future__ import annotations

from alembic import context

from batchrun.queue.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
