"""A run as one HTML file that needs nothing else: no network, no other file, and no script but its own.

It is written piece by piece: the jobs are read while the file grows, some at a time, so that memory stays flat.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from batchrun import __version__
from batchrun.core.choice import Mode
from batchrun.core.figures import count, span
from batchrun.core.job import JobId, Millis
from batchrun.core.states import RunState, State
from batchrun.queue.answers import answer_of
from batchrun.queue.batchlist import batches as batches_of
from batchrun.queue.batchrows import BatchRow
from batchrun.queue.books import Chosen, chosen, entries, events_of, stop_reasons, ways
from batchrun.queue.failures import ErrorGroup, groups
from batchrun.queue.reading import Reading
from batchrun.queue.rows import RunSummary
from batchrun.queue.story import attempts, request
from batchrun.report import batches, summary
from batchrun.report.books import books
from batchrun.report.cures import Typed, cure_of, word
from batchrun.report.jobview import CUT_ENDS, JobView, job_view
from batchrun.report.sums import sums
from batchrun.report.untrusted import stamp, visible

FOLDER = Path(__file__).parent

SAMPLE = 500
"""Jobs that did not fail which are shown."""

READ = 20_000
"""Failed jobs up to which every message is read, so that the groups are counted exactly."""

BATCHES = 500
GROUPS = 50
WAYS = 10
MESSAGE = 600
"""Batches, groups of errors, changes of the way, and characters of an error's message that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a report says besides the queue: when it is made, how commands are typed, what batches cost."""

    now: Millis
    database: str
    sample: int = SAMPLE
    batch_percent: int = 50  #: of the realtime price
    typed: Typed = str


def page(reading: Reading, run: RunSummary, wanted: Page) -> tuple[Chosen, Iterator[str]]:
    """Which jobs will be in the report of *run*, and its text piece by piece."""
    picked = chosen(reading, run.id, wanted.sample)
    style, script = _piece("page.css"), _piece("page.js")
    environment = Environment(autoescape=True, undefined=StrictUndefined, finalize=_finalized, trim_blocks=True)
    template = environment.from_string(_piece("page.html"))
    facts = {
        "style": Markup(style),  # noqa: S704  # our own
        "script": Markup(script),  # noqa: S704  # our own
        "style_hash": _source(style),
        "script_hash": _source(script),
        "version": __version__,
        "run": run,
        "simulated": reading.simulated,
        "now": stamp(wanted.now),
        "database": wanted.database,
        "jobs_title": "Jobs one by one",
        "choice": _choice(picked),
        "jobs": filter(None, (_job(reading, id_) for id_ in picked.jobs)),
        **_headline(reading, run, wanted),
        **_counts(run, stop_reasons(reading, run.id)),
        **sums(run, books(entries(reading, run.id)), wanted.batch_percent),
        **_errors(run, groups(reading, run.id, every=run.n(State.FAILED, State.HELD) <= READ), wanted),
        **_batches(batches_of(reading, run.id, most=BATCHES + 1), wanted.now),
    }
    return picked, template.generate(facts)


def _piece(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """How a content security policy names this very text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _finalized(value: object) -> object:
    return visible(value) if type(value) is str else value


def _job(reading: Reading, id_: JobId) -> JobView | None:
    row = answer_of(reading, id_)
    return None if row is None else job_view(row, attempts(reading, id_), request(reading, id_))


# -- the head ---------------------------------------------------------------------------------------------------------


def _headline(reading: Reading, run: RunSummary, wanted: Page) -> dict[str, Any]:
    now = wanted.now
    seen = reading.overview()
    doing = summary.doing(run, seen, now)
    told = [
        f"{what}. {_plain(cure)}"
        for what, cure in (summary.pause_line(one, [run], now) for one in _pauses(run, seen.pauses))
    ]
    told += [alert.text for alert in batches.alerts(summary.of_run(run, seen), now)]
    by_way = ways(reading, run.id)
    return {
        "standing": {
            "words": f"{doing.words}{f' ({wanted.typed(doing.command)})' if doing.command else ''}",
            "tone": "good" if run.state is RunState.DONE else "warn" if doing.command else "",
        },
        "created": stamp(run.created),
        "done": stamp(run.done),
        "lasted": span(((run.done or now) - run.created) / 1000),
        "cancelled": stamp(run.cancelled),
        "deadline": None if run.deadline is None else deadline(run, run.deadline, now),
        "account": run.account_label or run.account_name,
        "ways": _ways(reading, run),
        "way_now": _way(*summary.way(run, now)),
        "pilots": f"{count(by_way[2], 'pilot')} ahead in realtime"
        if by_way.get(2) and run.mode != Mode.REALTIME
        else "",
        "unfit": f"{count(by_way[1], 'job')} in realtime, as batches refuse what they ask" if by_way.get(1) else "",
        "alerts": told,
    }


def _pauses(run: RunSummary, pauses: Sequence[Any]) -> list[Any]:
    found = summary.pause_of(run, pauses)
    return [] if found is None else [found]


def _plain(text: str) -> str:
    return text.replace("`", "")


def _ways(reading: Reading, run: RunSummary) -> list[dict[str, Any]]:
    """Which ways it went, and why; the same one told again by a later pass is told once."""
    found: list[dict[str, Any]] = []
    for row in events_of(reading, run.id, "way_chosen", 200):
        words = _way(Mode.BATCH if row.detail.get("batch") else Mode.REALTIME, str(row.detail.get("why", "")))
        if not found or found[-1]["words"] != words:
            found.append({"at": stamp(row.at), "words": words})
    return found[-WAYS:]


def _way(mode: Mode | None, why: str) -> str:
    return why if mode is None else f"{'in batches' if mode is Mode.BATCH else 'in realtime'}: {why}"


def deadline(run: RunSummary, until: Millis, now: Millis) -> dict[str, Any]:
    """Whether the deadline was met, or how long there is."""
    end = run.done if run.done is not None else now
    away = span(abs(until - end) / 1000)
    if run.done is not None:
        met = run.done <= until
        words, tone = (f"met, {away} before", "good") if met else (f"missed by {away}", "bad")
    else:
        words, tone = (f"in {away}", "") if now <= until else (f"passed {away} ago", "bad")
    return {"at": stamp(until), "words": words, "tone": tone}


# -- the counts -------------------------------------------------------------------------------------------------------


def _counts(run: RunSummary, stops: Mapping[str, int]) -> dict[str, Any]:
    cut = sum(n for reason, n in stops.items() if reason in CUT_ENDS)
    refused = stops.get("refusal", 0)
    left = run.left - run.n(State.HELD)
    kinds = [
        ("succeeded", "succeeded", run.n(State.SUCCEEDED) - cut - refused),
        ("cut", "answers cut off", cut),
        ("refused", "answers refused", refused),
        ("failed", "failed", run.n(State.FAILED)),
        ("held", "held", run.n(State.HELD)),
        ("cancelled", "cancelled", run.n(State.CANCELLED)),
        ("left", "not finished", left),
    ]
    there = [one for one in kinds if one[2] > 0 or one[0] in {"succeeded", "failed"}]
    shown = [{"kind": "", "label": "jobs", "n": f"{run.total:,}"}]
    shown += [{"kind": kind, "label": label, "n": f"{n:,}"} for kind, label, n in there]
    parts, x = [], 0.0
    for kind, _, n in there:
        width = 1000 * n / run.total if run.total else 0.0
        parts.append({"kind": kind, "x": f"{x:.2f}", "width": f"{width:.2f}"})
        x += width
    words = ", ".join(f"{n:,} {label}" for _, label, n in there)
    return {"counts": shown, "whole": parts, "whole_words": f"{run.total:,} jobs: {words}"}


def _choice(picked: Chosen) -> str:
    if picked.failed == picked.all_failed and picked.others == picked.all_others:
        return "All jobs of the run, in the order of its file."
    failed = (
        f"all {picked.failed:,}"
        if picked.failed == picked.all_failed
        else f"the first {picked.failed:,} of {picked.all_failed:,}"
    )
    others = (
        f"all {picked.others:,}"
        if picked.others == picked.all_others
        else f"a sample of {picked.others:,} of the {picked.all_others:,}"
    )
    failures = f"{failed} that failed or are held, and " if picked.all_failed else ""
    return (
        f"Here are {failures}{others} others, in the order of the file."
        if failures
        else (f"Here is {others} jobs, in the order of the file.")
    )


# -- errors and batches -----------------------------------------------------------------------------------------------


def _errors(run: RunSummary, found: Sequence[ErrorGroup], wanted: Page) -> dict[str, Any]:
    more = f"{count(len(found) - GROUPS, 'more group')}: batchrun errors" if len(found) > GROUPS else ""
    least = "≥: counted among the first thousand of its kind." if any(one.at_least for one in found) else ""
    return {"errors": [_error(run, one, wanted.typed) for one in found[:GROUPS]], "errors_note": more or least}


def _error(run: RunSummary, group: ErrorGroup, typed: Typed) -> dict[str, Any]:
    cure = cure_of(group.error, group.status, held=group.state is State.HELD)
    file = group.samples[0].job.file or "FILE"
    # Commands stand in ticks until they are typed; here they get a mark of their own instead.
    pieces = cure.cure.format(run=word(run.name), file=word(file), error=word(f"error:{group.error}")).split("`")
    return {
        "n": f"{'≥' if group.at_least else ''}{group.n:,}",
        "error": group.error or "unknown",
        "status": group.status,
        "means": cure.means,
        "message": group.message[:MESSAGE],
        "samples": [{"key": one.job.key, "place": one.job.place} for one in group.samples[:2]],
        "last": stamp(group.last),
        "cure": [(typed(piece) if i % 2 else piece, bool(i % 2)) for i, piece in enumerate(pieces) if piece],
    }


def _batches(rows: Sequence[BatchRow], now: Millis) -> dict[str, Any]:
    shown = [_batch(row, now) for row in reversed(rows[:BATCHES])]
    note = f"The newest {BATCHES:,}; all of them: batchrun batches" if len(rows) > BATCHES else ""
    return {"batches": shown, "batches_note": note}


def _batch(row: BatchRow, now: Millis) -> dict[str, Any]:
    end = row.ended
    return {
        "ref": batches.ref(row),
        "remote": row.batch.remote or "",
        "word": batches.word(row),
        "n": f"{row.batch.n:,}",
        "sent": stamp(row.since),
        "ended": stamp(end),
        "took": span(((end if end is not None else now) - row.since) / 1000),
        "figures": batches.figures(row) or row.message[:MESSAGE],
    }
