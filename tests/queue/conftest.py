"""One queue per test, on each database that the conformance suite knows. A test that asks for `engine` runs on all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from batchrun.queue.connect import close_queue, open_queue
from batchrun.queue.living import Living
from tests.queue.desk import Desk


@pytest.fixture(params=["sqlite"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """An empty queue. PostgreSQL joins here, as another param."""
    engine = open_queue(tmp_path / "batchrun.db")
    yield engine
    close_queue(engine)


@pytest.fixture
def locks(tmp_path: Path) -> Iterator[Living]:
    locks = Living(tmp_path / "batchrun.db")
    yield locks
    locks.close()


@pytest.fixture
def desk(engine: sa.Engine, locks: Living) -> Desk:
    return Desk(engine, locks)
