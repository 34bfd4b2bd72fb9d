"""Asking a person, and refusing to guess where there is none."""

from __future__ import annotations

import sys

from batchrun.cli.screen import Screen, is_terminal
from batchrun.errors import UsageError


def confirmed(screen: Screen, question: str, *, yes: bool, refusal: UsageError) -> bool:
    """Whether the answer to *question* is yes. Where nobody can answer, raises *refusal*: it names the flag to pass."""
    if yes:
        return True
    if sys.stdin is None or not is_terminal(sys.stdin) or not is_terminal(screen.err):
        raise refusal
    screen.out.flush()
    screen.err.write(f"{question} [y/N] ")
    screen.err.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):  # end of file: the cursor still stands behind the question
        screen.err.write("\n")
    return answer.strip().lower() in {"y", "yes"}
