"""One nursery and one simulated API for each process that runs tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.crash.figures import Figures
from tests.crash.lives import Nursery
from tests.crash.scenarios import World
from tests.crash.simulated import Simulated

Report = Callable[[str, Figures], None]


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    with closing(Nursery()) as nursery:
        yield nursery


@pytest.fixture(scope="session")
def simulated() -> Iterator[Simulated]:
    with closing(Simulated()) as simulated:
        yield simulated


@pytest.fixture
def world(nursery: Nursery, simulated: Simulated, tmp_path: Path) -> World:
    return World(nursery, simulated, tmp_path)


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Report:
    """Hand figures to the summary at the end of the session, under a heading."""
    return lambda heading, figures: record_property(*figures.property(heading))
