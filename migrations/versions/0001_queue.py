"""The tables of the queue, and the views on them."""

from __future__ import annotations

from alembic import op

from batchrun.queue.tables import metadata
from batchrun.queue.views import VIEWS

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    metadata.create_all(op.get_bind())
    for name, select in VIEWS:
        op.execute(f"CREATE VIEW {name} AS {select}")
