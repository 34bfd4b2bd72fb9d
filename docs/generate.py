"""Writes the generated pages of docs/ again: `make docs`. A test fails when one of them is stale."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from batchrun.cli.commands.help import FIELDS, SELECTING
from batchrun.core.states import ARROWS, FINAL, State
from batchrun.library import explain
from batchrun.library.schemas import WHAT, schema_of
from batchrun.report.flat import ALL, COLUMNS, WITH
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


_CODES = """\
# The codes of problems

Generated from `batchrun/jobfile/codes.py` and `batchrun/data/codes.toml` (of {date}) by `make docs`. On the command
line: `batchrun check --explain BR104`.

An error stops a submit before anything is added; a warning is told, and stops it only with `--strict`. Codes with a
tick can be ignored where you know better, because the API changed or the table of models is too old: `--ignore
BR117,BR158`, or `ignore = "BR117"` in batchrun.toml. A number is never used again for something else.
"""


def codes() -> str:
    """The page with every code, its meaning, its reason and its cure."""
    pages = [explain.page(code) for code in explain.meanings()]
    lines = [_CODES.format(date=explain.date()), "| code | | can be ignored | meaning |", "|---|---|---|---|"]
    for page in pages:
        tick = "✓" if page.ignorable else ""
        lines.append(f"| [{page.code}](#{page.code.lower()}) | {page.severity} | {tick} | {page.meaning} |")
    for page in pages:
        lines += [
            "",
            f"## {page.code}",
            "",
            f"{page.meaning[0].upper()}{page.meaning[1:]}.",
            "",
            page.why,
            "",
            page.cure,
        ]
        if page.example:
            lines += ["", "```text", page.example, "```"]
    return "\n".join(lines) + "\n"


_COLUMNS = """\
# Columns and selections

Generated from `batchrun/report/flat.py` and `batchrun/cli/commands/help.py` by `make docs`.

`results`, `export`, data frames and the report know an answer by the same names. `--fields` takes them, and dotted
paths into those that hold JSON: `json.label`, `metadata.doi`, `request.messages.0.content`. A star at the end is
every name that is met: `json.*` makes a column of each. `--unfold` puts `json.*` in the place of `json`. Where an
answer is no object the column `json` stays beside them, so that nothing is lost.

In CSV, JSON stands as its text. In Parquet, numbers, booleans, lists of tags and times have their types, `cost` is an
exact decimal, and JSON is text; a path into JSON has the type of what is found there.
"""


def columns() -> str:
    """The page of the columns and the fields of `--select`."""
    lines = [_COLUMNS]
    wide = list(ALL)[len(COLUMNS) :]
    for heading, names in (("## Always there", COLUMNS), ("## On request", wide)):
        lines += [heading, ""]
        if names is wide:
            words = ", ".join(f"`{word}`" for word in WITH)
            lines += [f"By `--fields`, or by `--with` in `export` ({words}; `attempts` adds `all_attempts`).", ""]
        lines += ["| column | kind | what |", "|---|---|---|"]
        lines += [f"| `{name}` | {ALL[name].kind} | {ALL[name].words} |" for name in names]
        lines.append("")
    lines += ["## What -s selects", "", "| field | what |", "|---|---|"]
    lines += [f"| `{name}` | {words} |" for name, words in FIELDS.items()]
    lines += ["", "```text", SELECTING, "```", ""]
    return "\n".join(lines)


PAGES: dict[str, Callable[[], str]] = {
    "reference/codes.md": codes,
    "reference/columns.md": columns,
    "life-of-a-job.md": life_of_a_job,
    **{f"schema/{what}.json": partial(schema, what) for what in WHAT},
}


def main() -> None:
    for name, page in PAGES.items():
        (DOCS / name).parent.mkdir(exist_ok=True)
        (DOCS / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
