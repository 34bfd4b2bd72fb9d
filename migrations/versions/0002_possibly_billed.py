"""What each run has possibly been billed for, kept with its other sums."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_COUNTED = """
UPDATE runs SET possibly = found.n, possibly_cost = found.cost
FROM (
    SELECT j.run, COUNT(*) AS n, SUM(COALESCE(a.worst, a.cost, 0)) AS cost
    FROM attempts a JOIN jobs j ON j.id = a.job
    WHERE a.billed = 'maybe' GROUP BY j.run
) found
WHERE found.run = runs.id
"""


def upgrade() -> None:
    for name in ("possibly", "possibly_cost"):
        op.add_column("runs", sa.Column(name, sa.BigInteger(), server_default="0", nullable=False))
    op.execute(_COUNTED)
