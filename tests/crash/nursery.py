"""The nursery: one process that has everything imported and forks a child for each life of the program.

Starting Python and importing the SDK takes longer than most lives. The nursery has one thread and never opens a
database, so that a child is what a fresh process would be. It reads orders as JSON lines and answers each with one:

    {"order": "live", ...Life}         forks; {"pid": 4127}
    {"order": "wait", "pid": 4127, "within": 0.2}   {"exit": 0}, {"signal": 9}, {"stopped": true} or, when so many
                                       seconds have passed first, {}
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.crash import boundaries, said
from tests.crash.boundaries import Boundaries


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One run of the program: what is typed, where, and what becomes of it."""

    args: tuple[str, ...]
    folder: str
    name: str  #: of the files that it leaves in the folder: NAME.out, NAME.err, NAME.trace
    die: int | None = None  #: at which boundary, from 1
    stop: int | None = None  #: at which boundary it stands still
    plant: str | None = None  #: a mistake of `tests.crash.plants` that this program makes
    elsewhere: bool = False  #: whether it runs on another boot of the machine, as far as it can tell
    ahead: float = 0.0  #: seconds that its clock on the wall is on
    hours: bool = False  #: whether its standing still takes hours, as far as it can tell
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def stood(self) -> Path:
        """A file that is there once it has stood still."""
        return Path(self.folder, f"{self.name}.stood")


def main() -> None:
    """Serve orders until standard input ends."""
    _import_everything()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    gc.freeze()
    _answer({"ready": os.getpid()})
    for line in sys.stdin:
        order = json.loads(line)
        match order.pop("order"):
            case "live":
                answer: dict[str, Any] = {"pid": _born(Life(**order))}
            case "wait":
                answer = _wait(order["pid"], order["within"])
            case unknown:
                raise ValueError(unknown)
        _answer(answer)


def _answer(facts: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def _import_everything() -> None:
    import batchrun

    for module in pkgutil.walk_packages(batchrun.__path__, "batchrun."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for late in ("aiohttp", "alembic.command", "anthropic", "httpx2", "sqlalchemy.dialects.sqlite", "yaml"):
        importlib.import_module(late)
    importlib.import_module("tests.crash.plants")
    assert threading.active_count() == 1, "a child would lack the threads that an import has started"


def _born(life: Life) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        code = _live(life)
    except BaseException:  # noqa: BLE001  # a child that came back would be a second nursery
        traceback.print_exc()
    finally:
        os._exit(code)


def _live(life: Life) -> int:
    os.chdir(life.folder)
    # By the names of the folder, so that it counts no step of our own.
    files = {
        end: os.open(f"{life.name}.{end}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC) for end in ("out", "err", "trace")
    }
    null = os.open(os.devnull, os.O_RDONLY)
    for target, source in enumerate((null, files["out"], files["err"])):
        os.dup2(source, target)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(0, "r", closefd=False),
        os.fdopen(1, "w", closefd=False),
        os.fdopen(2, "w", closefd=False),
    )
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    os.environ.clear()
    os.environ.update(life.env)
    sys.argv = ["batchrun", *life.args]

    from batchrun.cli.main import run
    from tests.crash import plants

    plants.short_waits()
    plants.small_chunks()
    if life.plant is not None:
        plants.PLANTS[life.plant]()
    if life.elsewhere:
        plants.another_boot()
    if life.hours:
        plants.an_hour_passes(life.stood)
    if life.ahead:
        plants.later(life.ahead)
    watched = Boundaries(files["trace"], stop=life.stop, die=life.die)
    said.listen(watched)
    boundaries.watch_sqlite(watched)
    boundaries.watch_http(watched)
    boundaries.watch_files(watched)
    code = run(life.args)
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _wait(pid: int, within: float | None) -> dict[str, Any]:
    """What became of a child: it ended, it stopped, or neither *within* so many seconds (None: however long)."""
    end = None if within is None else time.monotonic() + within
    while True:
        found, status = os.waitpid(pid, os.WUNTRACED | os.WNOHANG)
        if found:
            if os.WIFSTOPPED(status):
                return {"stopped": True}
            code = os.waitstatus_to_exitcode(status)
            return {"signal": -code} if code < 0 else {"exit": code}
        if end is None:
            signal.sigwait({signal.SIGCHLD})
        elif signal.sigtimedwait({signal.SIGCHLD}, max(0.0, end - time.monotonic())) is None:
            return {}


def order_of(life: Life) -> str:
    return json.dumps({"order": "live", **asdict(life)})


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main()
