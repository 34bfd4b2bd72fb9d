"""One queue per test, on each database that the conformance suite knows. A test that asks for `engine` runs on all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from batchrun.queue.connect import close_queue, open_queue
from batchrun.queue.presence import Presence
from tests.postgres import Server
from tests.queue.desk import Desk, presence_of


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with Server.started() as server:
        yield server


ON_BOTH = frozenset(
    {
        "test_batches",
        "test_books",
        "test_buckets",
        "test_cancelling",
        "test_claim",
        "test_finish",
        "test_late_answers",
        "test_loading",
        "test_pilots",
        "test_retrying",
        "test_sequel",
    }
)
"""The modules of tests that ask what a database does, and not how SQLite does it."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        both = metafunc.module.__name__.rpartition(".")[2] in ON_BOTH and not hasattr(metafunc.function, "on_file")
        server = pytest.param("postgres", marks=pytest.mark.sweep)
        metafunc.parametrize("engine", ["sqlite", server] if both else ["sqlite"], indirect=True)


@pytest.fixture
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """An empty queue."""
    if request.param == "postgres":
        engine = request.getfixturevalue("server").empty()
        yield engine
        engine.dispose()
        return
    engine = open_queue(tmp_path / "batchrun.db")
    yield engine
    close_queue(engine)


@pytest.fixture
def locks(engine: sa.Engine) -> Iterator[Presence]:
    locks = presence_of(engine)
    yield locks
    locks.close()


@pytest.fixture
def desk(engine: sa.Engine, locks: Presence) -> Desk:
    return Desk(engine, locks)
