"""The example a newcomer starts from has no mistake, not even a warning."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from batchrun.core.job import Job
from batchrun.jobfile.reading import Reading
from batchrun.jobfile.rules import Rules
from batchrun.jobfile.source import Source
from batchrun.settings.tables import Tables, tables
from tests.jobfile.desk import merged

EXAMPLE = Path(__file__).parent.parent.parent / "jobs.example.yaml"


@pytest.fixture
def shipped() -> Tables:
    return tables("auto", {})


def jobs(shipped: Tables, today: str) -> list[Job]:
    rules = Rules(api_version="2026-10-21", models=shipped.models, prices=shipped.prices, today=today)
    found = list(Reading([Source(str(EXAMPLE))], rules))
    assert all(isinstance(item, Job) for item in found), found
    return [item for item in found if isinstance(item, Job)]


def test_the_example_is_valid_and_costs_less_than_a_cent(shipped: Tables) -> None:
    found = jobs(shipped, shipped.models.date)
    assert 12 <= len(found) <= 20
    assert sum(job.worst or 10**9 for job in found) < 10_000_000
    assert len({job.key for job in found}) == len(found)


def test_its_models_are_current_for_a_year(shipped: Tables) -> None:
    year = str(int(shipped.models.date[:4]) + 1) + shipped.models.date[4:]
    assert {job.model for job in jobs(shipped, year)} == {"claude-haiku-5-5"}


def test_it_shows_what_can_be_written(shipped: Tables) -> None:
    found = jobs(shipped, shipped.models.date)
    used = Counter(name for job in found for name in merged(job))
    assert {"system", "messages", "output_config", "tools", "stop_sequences"} <= used.keys()
    assert any(len(merged(job)["messages"]) > 1 for job in found)
    assert any(job.metadata for job in found)
    assert any(job.key.startswith("content-") for job in found)
