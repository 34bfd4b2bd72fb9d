"""Every test starts from a clean environment: no key, no settings of the machine."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from tests.examples import examples

settings.register_profile("here", max_examples=examples(100))
settings.load_profile("here")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("BATCHRUN_", "ANTHROPIC_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the crash tests went through. It stands here because only this file is read where nothing is run."""
    from tests.crash import figures

    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, ())]
    for line in figures.lines([item for report in reports for item in report.user_properties]):
        terminalreporter.write_line(line)
