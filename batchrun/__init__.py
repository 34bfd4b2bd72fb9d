"""Run thousands of Claude requests unattended: a persistent queue that never loses or re-buys an answer.

    q = batchrun.open()
    run = q.submit([batchrun.Job(prompt="Say hello.", model="claude-haiku-5-5", max_tokens=64)], name="hello")
    run.wait(progress=True)
    run.results().texts()

Importing it costs nothing: each name is loaded when it is first used. Their types stand in `__init__.pyi`.
"""

__version__ = "0.1.0"

_HOMES = {
    "BatchrunError": "batchrun.errors",
    "Errors": "batchrun.library.rows",
    "InvalidJobs": "batchrun.library.given",
    "Job": "batchrun.library.given",
    "KeyRefused": "batchrun.errors",
    "NothingMatched": "batchrun.errors",
    "Queue": "batchrun.library.program",
    "Results": "batchrun.library.rows",
    "Run": "batchrun.library.program",
    "Status": "batchrun.library.program",
    "Stopped": "batchrun.library.program",
    "UsageError": "batchrun.errors",
    "WorkerBusy": "batchrun.errors",
    "open": "batchrun.library.program",
    "place_of": "batchrun.library.given",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415  # costs more than all else here

    globals()[name] = found = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
