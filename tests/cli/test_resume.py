from __future__ import annotations

import json
from pathlib import Path

import pytest

from batchrun.core.job import Millis
from batchrun.core.pause import Pause, PauseScope
from batchrun.queue import pauses
from batchrun.queue.connect import close_queue, open_queue
from batchrun.queue.writing import perform_now
from tests.cli.conftest import Batchrun

SINCE = Millis(1_795_212_600_000)


@pytest.fixture
def paused(tmp_path: Path) -> Path:
    """A queue in which an account and a model are paused."""
    path = tmp_path / "batchrun.db"
    engine = open_queue(path)
    for scope, subject, reason in (
        (PauseScope.ACCOUNT, "1", "credit"),
        (PauseScope.MODEL, "1:claude-x", "model"),
    ):
        pause = Pause(scope=scope, subject=subject, reason=reason, message="it says no", since=SINCE)
        perform_now(engine, lambda tx, pause=pause: pauses.write(tx, pause))  # type: ignore[misc]  # bound at once
    close_queue(engine)
    return path


def test_all_pauses_are_lifted_and_told(batchrun: Batchrun, paused: Path) -> None:
    shown = batchrun("resume")
    assert (shown.code, shown.out) == (0, "")
    assert shown.err == (
        "✓ lifted: the account, paused since 2026-11-20T22:10:00Z\n"
        "✓ lifted: model claude-x, paused since 2026-11-20T22:10:00Z\n"
        "To go on:  batchrun run\n"
    )
    assert batchrun("resume").err == "Nothing is paused.\n"


def test_what_was_lifted_is_a_document(batchrun: Batchrun, paused: Path) -> None:
    document = json.loads(batchrun("resume", "--json").out)
    assert document["schema"] == "batchrun.resume/1"
    assert [pause["reason"] for pause in document["lifted"]] == ["credit", "model"]


def test_an_unknown_run_is_named(batchrun: Batchrun, paused: Path) -> None:
    shown = batchrun("resume", "nightly")
    assert shown.code == 2
    assert "there is no run yet" in shown.err


def test_without_a_queue_there_is_nothing_to_resume(batchrun: Batchrun, tmp_path: Path) -> None:
    shown = batchrun("resume")
    assert shown.code == 2
    assert "there is no queue" in shown.err
    assert list(tmp_path.iterdir()) == []


def test_a_simulated_call_leaves_the_real_queue_alone(batchrun: Batchrun, paused: Path) -> None:
    shown = batchrun("resume", "--simulate", "--db", str(paused))
    assert shown.code == 2
    assert batchrun("resume").err.count("lifted") == 2
