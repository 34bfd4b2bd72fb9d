"""The program as it is started in a shell, but in this process: what is measured is what a user gets."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

from benchmarks.canned import MODEL

SETTINGS = f"""
[limits."{MODEL}"]
requests = 1_000_000_000
input_tokens = 1_000_000_000_000
output_tokens = 1_000_000_000_000
"""
"""Limits that nobody reaches: what is measured is what the program itself takes."""


def prepared(folder: Path, url: str) -> None:
    """Settings for the queue in *folder* and the API at *url*, in this process's environment."""
    config = folder / "batchrun.toml"
    config.write_text(SETTINGS, encoding="utf-8")
    os.environ.update(
        {
            "ANTHROPIC_API_KEY": "a-key-of-nobody",
            "ANTHROPIC_BASE_URL": url,
            "BATCHRUN_DB": str(folder / "batchrun.db"),
            "BATCHRUN_QUIET": "1",
        }
    )
    os.chdir(folder)


def imported() -> None:
    """What a pass imports late is there."""
    for name in ("cli.commands.run", "cli.work", "wiring", "claude.messages", "queue.store", "scheduler.run"):
        import_module(f"batchrun.{name}")


def call(*arguments: str, code: int = 0) -> None:
    """Raises AssertionError unless the program ends with *code*."""
    from batchrun.cli.main import run

    ended = run(arguments)
    assert ended == code, (arguments, ended)
