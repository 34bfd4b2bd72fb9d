"""Writes the generated pages of docs/ again: `make docs`. A test fails when one of them is stale."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from batchrun.core.states import ARROWS, FINAL, State
from batchrun.library.schemas import WHAT, schema_of
from batchrun.settings.tables import tables

DOCS = Path(__file__).parent

_HEAD = """\
# The life of a job

Generated from `batchrun/core/states.py` by `make docs`: the same table makes the statements of the queue, the CHECKs of
the database and the tests.

A job is in exactly one state, always. Each arrow is one function and one guarded UPDATE: it names the state it starts
from, and for a job that is out also its owner and its attempt. Where the guard does not hold, nothing changes.
"""

_WORDS = {
    State.QUEUED: "may be claimed now",
    State.WAITING: "due later",
    State.RUNNING: "claimed by one worker for a realtime request; only that claim may move it",
    State.IN_BATCH: "bound to a batch; the batch's own state says where it stands",
    State.HELD: "unclear after a crash, and the run's policy says to ask",
    State.BLOCKED: "waits for other jobs",
    State.SUCCEEDED: "final; has one winning result",
    State.FAILED: "final; see its last attempt",
    State.CANCELLED: "final",
}


def life_of_a_job() -> str:
    """The page with the states, the arrows and the drawing."""
    lines = [_HEAD, "| state | meaning |", "|---|---|"]
    lines += [f"| {'**' + state + '**' if state in FINAL else state} | {_WORDS[state]} |" for state in State]
    lines += ["", "| arrow | from | to | when |", "|---|---|---|---|"]
    for name, arrow in ARROWS.items():
        sources = ", ".join(state for state in State if state in arrow.sources)
        lines.append(f"| `{name}` | {sources} | {arrow.target} | {arrow.why} |")
    lines += ["", "```mermaid", "stateDiagram-v2", "    [*] --> queued: submit"]
    for name, arrow in ARROWS.items():
        if name == "late":
            continue  # from everywhere: drawn, it would hide all others
        lines += [f"    {source} --> {arrow.target}: {name}" for source in State if source in arrow.sources]
    lines += [f"    {state} --> [*]" for state in State if state in FINAL]
    lines += ["```", "", "Not drawn: `late` leads to *succeeded* from every other state.", ""]
    return "\n".join(lines)


def schema(what: str) -> str:
    """The JSON Schema of *what*; the models are those of the table's own day, so that it grows stale with the table."""
    models = tables("auto", {}).models
    return json.dumps(schema_of(what, models, models.date), indent=2, ensure_ascii=False) + "\n"


PAGES = {"life-of-a-job.md": life_of_a_job} | {f"schema/{what}.json": partial(schema, what) for what in WHAT}


def main() -> None:
    for name, page in PAGES.items():
        (DOCS / name).parent.mkdir(exist_ok=True)
        (DOCS / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
