"""Lives of the program as a test sees them: begun in the nursery, waited for, and read from what they left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash.nursery import Life, order_of

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What became of a process: it returned `code`, died of a signal, or stands still."""

    code: int | None = None
    killed: bool = False
    stopped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What a life did, in order: boundaries, digests of requests that left, (job, attempt) it spoke of, and (batch,
    turn)."""

    boundaries: tuple[str, ...]
    sent: tuple[str, ...]
    said: tuple[tuple[int, int], ...]
    turned: tuple[tuple[int, str], ...]


class Nursery:
    """Close it at the end. One order at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.nursery"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert "ready" in self._answer(), "the nursery did not come up"

    def close(self) -> None:
        self._process.communicate()

    def begin(self, life: Life) -> int:
        """The pid of the new process."""
        pid: int = self._ask(order_of(life))["pid"]
        return pid

    def wait(self, pid: int, within: float | None = None) -> End | None:
        """How *pid* ended or stopped; None if it did neither *within* so many seconds."""
        answer = self._ask(json.dumps({"order": "wait", "pid": pid, "within": within}))
        if not answer:
            return None
        assert answer.get("signal") in {None, signal.SIGKILL}, f"died of signal {answer['signal']}"
        return End(code=answer.get("exit"), killed="signal" in answer, stopped="stopped" in answer)

    def kill(self, pid: int) -> End:
        os.kill(pid, signal.SIGKILL)
        end = self.wait(pid)
        assert end is not None
        return end

    def _ask(self, order: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the nursery has ended"
        answer: dict[str, Any] = json.loads(line)
        return answer


def trace_of(life: Life) -> Trace:
    """What *life* has done so far."""
    lines: Sequence[list[Any]] = [
        json.loads(line) for line in Path(life.folder, f"{life.name}.trace").read_text(encoding="utf-8").splitlines()
    ]
    return Trace(
        boundaries=tuple(facts[1] for kind, *facts in lines if kind == "at"),
        sent=tuple(facts[0] for kind, *facts in lines if kind == "sent"),
        said=tuple((facts[0], facts[1]) for kind, *facts in lines if kind == "said"),
        turned=tuple((facts[0], facts[1]) for kind, *facts in lines if kind == "turned"),
    )


def words_of(life: Life) -> str:
    """What *life* has written on standard output and error so far."""
    return "".join(Path(life.folder, f"{life.name}.{end}").read_text(encoding="utf-8") for end in ("out", "err"))
