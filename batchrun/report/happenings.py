"""What happened, as the JSON record that a user's command reads."""

from __future__ import annotations

from typing import Any

from batchrun.core.figures import decimal_string, moment
from batchrun.core.hook import Hook, Pending
from batchrun.core.job import Nanos
from batchrun.core.states import State
from batchrun.queue.reading import Reading, UnknownRun
from batchrun.queue.rows import RunSummary


def record(reading: Reading, pending: Pending) -> dict[str, Any]:
    """`batchrun.hook/1`. `again` says that the command may have heard of it before."""
    it = pending.happening
    return {
        "schema": "batchrun.hook/1",
        "event": it.hook.value,
        "id": f"h-{pending.id}",
        "again": pending.begun > 0,
        "at": moment(it.at),
        "database": str(reading.path),
        "simulated": reading.simulated,
        "run": None if it.run is None else _run(reading, f"r-{it.run}"),
        "pause": dict(it.detail) if it.hook is Hook.PAUSE else None,
        "alert": dict(it.detail) if it.hook is Hook.ALERT else None,
    }


def _run(reading: Reading, ref: str) -> dict[str, Any]:
    try:
        run: RunSummary = reading.run(ref)
    except UnknownRun:  # removed meanwhile
        return {"id": ref}
    return {
        "id": run.ref,
        "name": run.name,
        "state": run.state.value,
        "counts": {state.value: run.n(state) for state in State if run.n(state)},
        "total": run.total,
        "failed": run.n(State.FAILED),
        "spent": _amount(run.spent),
        "possibly_billed": run.possibly,
        "files": list(run.sources),
    }


def _amount(nanos: Nanos) -> dict[str, str]:
    return {"amount": decimal_string(nanos), "currency": "USD"}
