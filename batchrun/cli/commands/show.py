"""`batchrun show`: the whole story of one job."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import click

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.cli.flow import flow, flowed
from batchrun.cli.output import at, document
from batchrun.cli.screen import Screen, Tone, clean
from batchrun.core.batch import BatchState
from batchrun.core.figures import count, dollars, span
from batchrun.core.job import Millis, RunId
from batchrun.core.states import OUT, State
from batchrun.errors import Exit, NothingMatched, UsageError
from batchrun.queue.answers import answer_of
from batchrun.queue.jobrows import AttemptRow, JobRow, ResultRow
from batchrun.queue.reading import Reading
from batchrun.queue.story import (
    answer_aside,
    attempts,
    job_of_request,
    jobs_named,
    keys_like,
    request,
    stop_reasons,
)
from batchrun.report.cures import cure_of, word
from batchrun.report.flat import Seen, attempt_record

FIRST, LAST = 3, 7
"""Attempts that are shown of many."""

UNFINISHED = {
    "max_tokens": "cut off at max_tokens",
    "refusal": "refused by the model",
    "pause_turn": "the model paused",
    "model_context_window_exceeded": "cut off: the context window is full",
}
"""What is wrong with an answer that did come, by its stop_reason."""

TEXT = 2_000
"""Characters of an answer that are shown."""


@options.command(
    "batchrun show doc-008120",
    "batchrun show r-12:doc-008120 --request",
    "batchrun show --request-id req_011CQ… --json",
)
@click.argument("job", required=False, shell_complete=options.offered("job_ids"))
@click.option("--request-id", metavar="ID", help="The job that was sent under this request id, or an id of a gateway.")
@click.option("--request", "only_request", is_flag=True, help="Only the request, as it is sent.")
@click.option("--attempts", "every", is_flag=True, help="Every attempt, however many.")
@options.json
def show(call: Call, job: str | None, request_id: str | None, only_request: bool, every: bool, json: bool) -> Exit:
    """Show one job: where it stands, each attempt with its request id, what it cost, and its answer.

    JOB is its id; r-12:ID or NAME:ID where several runs have it (else the newest is shown); or a request id.
    """
    screen = call.screen
    with call.reading() as reading:
        found, others = _found(reading, job, request_id)
        if only_request and not json:
            _request(screen, request(reading, found.id))
            return Exit.OK
        tried = attempts(reading, found.id)
        whole = answer_of(reading, found.id)
        stops = stop_reasons(reading, found.id)
        if json:
            body = request(reading, found.id)
            document(screen, "job", _record(found, tried, whole, body, _aside(reading, found, whole), stops))
            return Exit.OK
        whole = whole if whole is not None and whole.answer is not None else _aside(reading, found, whole)
        _draw(call, found, tried, whole, stops, every=every)
    if others:
        named = ", ".join(f"r-{one.run}:{clean(one.key)}" for one in others[:3])
        screen.say(f"{count(len(others), 'other run')} with this id: {named}")
    return Exit.OK


def _found(reading: Reading, job: str | None, request_id: str | None) -> tuple[JobRow, list[JobRow]]:
    if (job is None) is (request_id is None):
        raise UsageError("which job? its id, or --request-id", hint="`batchrun results` and `batchrun errors` list ids")
    if job is not None:
        return _find(reading, job)
    found = job_of_request(reading, request_id or "")
    if found is None:
        raise NothingMatched(f"no attempt of this queue has the id `{request_id}`")
    return found, []


def _aside(reading: Reading, job: JobRow, whole: ResultRow | None) -> ResultRow | None:
    """The job with an answer that is kept though it is not its result, where it has none; None where nothing is."""
    answer = answer_aside(reading, job.id) if whole is not None and whole.answer is None else None
    return replace(whole, answer=answer) if whole is not None and answer is not None else None


def _find(reading: Reading, ref: str) -> tuple[JobRow, list[JobRow]]:
    """The job that *ref* names, and those of other runs that it might also mean. Raises NothingMatched."""
    found = jobs_named(reading, ref)
    if found:
        return found[0], found[1:]
    place, colon, key = ref.partition(":")
    if colon and key:
        run = reading.run(place)
        found = jobs_named(reading, key, run.id)
        if found:
            return found[0], []
        raise _unknown(reading, key, run.id, f" in {run.name}")
    newest = reading.overview().runs
    raise _unknown(reading, ref, newest[0].id if newest else None, "")


def _unknown(reading: Reading, key: str, run: RunId | None, where: str) -> NothingMatched:
    near = keys_like(reading, key, run) if run is not None else []
    meant = f"; did you mean {' or '.join(f'`{one}`' for one in near)}?" if near else ""
    hint = "`batchrun results` and `batchrun errors` list ids"
    if not where and any(key in {"last", named.name, named.ref} for named in reading.overview(every=True).runs):
        hint = f"that is a run: `batchrun status {word(key)}` shows it, `batchrun results {word(key)}` its answers"
    return NothingMatched(f"no job `{key}`{where}{meant}", hint=hint)


def _request(screen: Screen, body: str) -> None:
    import json

    text = json.dumps(json.loads(body), ensure_ascii=not screen.utf8, indent=2) if screen.tty else body
    screen.line(clean(text, lines=True) if screen.tty else text)


def _draw(
    call: Call,
    job: JobRow,
    tried: Sequence[AttemptRow],
    whole: ResultRow | None,
    stops: Mapping[int, str],
    *,
    every: bool,
) -> None:
    screen = call.screen
    name = screen.style(clean(job.key), Tone.BOLD)
    screen.line(f"{name}   {clean(job.run_name)}   {_standing(job, tried, whole, call.now)}   {clean(job.place)}")
    shown = list(tried) if every or len(tried) <= FIRST + LAST + 1 else [*tried[:FIRST], *tried[-LAST:]]
    before, said = 0, ""
    for attempt in shown:
        if attempt.n > before + 1:
            screen.line(f"   {_dots(screen)} {attempt.n - before - 1:,} more; --attempts shows them")
        before = attempt.n
        flow(screen, _attempt(screen, attempt, stops.get(attempt.n, "")), indent=6)
        if attempt.message and attempt.outcome != "ok" and attempt.message != said:
            screen.line(f"      {clean(attempt.message)}")
        said = attempt.message
    _answer(call, job, whole)
    if job.state in {State.FAILED, State.HELD} and tried:
        cure = cure_of(job.error or "", tried[-1].status, held=job.state is State.HELD)
        written = cure.written(run=job.run_name, file=job.file or "FILE", error=job.error or "", typed=call.typed)
        screen.line()
        if cure.means:
            screen.line(f"  {cure.means}")
        screen.line(f"  cure: {screen.style(clean(written), Tone.HINT)}")
    ref = word(f"r-{job.run}:{job.key}")
    sent, everything = (call.typed(f"batchrun show {ref} {flag}") for flag in ("--request", "--json"))
    screen.say()
    parts = [clean(f"What was sent: {sent}"), clean(f"   All of it: {everything}")]
    for line in flowed(parts, screen.width if screen.tty else None, indent=0):
        screen.say(line)


def _standing(job: JobRow, tried: Sequence[AttemptRow], whole: ResultRow | None, now: Millis) -> str:
    n = len(tried)
    match job.state:
        case State.SUCCEEDED:
            won = whole.attempt.n if whole is not None and whole.attempt is not None else n
            return f"succeeded on attempt {won}" if n > 1 else "succeeded"
        case State.FAILED:
            return f"failed after {count(n, 'attempt')}"
        case State.WAITING if job.due is not None:
            wait = f"in {span((job.due - now) / 1000)}" if job.due > now else "with the next run"
            return f"waiting; tried again {wait}"
        case state if state in OUT:
            return f"sent, attempt {job.attempts}"
        case _:
            return job.state.value


def _attempt(screen: Screen, one: AttemptRow, stop: str) -> list[str]:
    """In parts, of which each may begin a line."""
    arrow = "→" if screen.utf8 else "->"
    head = f"{one.n:>2}  {_clock(one.sent or one.claimed)}  {one.via:<8}"
    match one.outcome:
        case None:
            parts = [_out(one)]
        case "ok":
            parts = [str(one.status or "")]
            parts += [f"{one.usage.input:,} {arrow} {one.usage.output:,} tok"] if one.usage else []
            parts += [UNFINISHED[stop]] if stop in UNFINISHED else []
        case "released":
            parts = ["given back; it never left"]
        case "unknown" if one.via == "batch":
            parts = ["never came; possibly billed" if one.billed == "maybe" else "did not arrive; not billed"]
        case "unknown":
            parts = ["its worker died; possibly billed"]
        case _:
            parts = [" ".join(str(part) for part in (one.status, one.error_code or one.error_type) if part is not None)]
            parts += ["possibly billed"] if one.billed == "maybe" else []
    parts += [f"{one.seconds:.1f} s"] if one.seconds is not None and one.outcome in {"ok", "error"} else []
    parts += [dollars(one.cost)] if one.cost is not None else []
    if one.batch_id is not None and one.outcome is not None:
        parts.append(f"b-{one.batch_id}")
    parts += [part for part in (one.batch, one.request_id, *one.other_ids) if part]
    first, *rest = [clean(part) for part in parts if part] or [""]
    return [f"  {head}  {first}", *(f"   {part}" for part in rest)]


def _out(one: AttemptRow) -> str:
    """Where an attempt is that has not ended."""
    match one.batch_state:
        case None:
            return "out"
        case BatchState.SUBMITTED:
            return f"at Anthropic in b-{one.batch_id}"
        case BatchState.COLLECTING:
            return f"b-{one.batch_id} has ended, and waits to be collected"
        case BatchState.UNCLEAR:
            return f"in b-{one.batch_id}, of which it is not known whether it arrived: see `batchrun batches`"
        case _:
            return f"in b-{one.batch_id}, which is being sent"


def _dots(screen: Screen) -> str:
    return "…" if screen.utf8 else "..."


def _clock(millis: Millis) -> str:
    return f"{datetime.fromtimestamp(millis / 1000, UTC).astimezone():%Y-%m-%d %H:%M:%S}"


def _answer(call: Call, job: JobRow, whole: ResultRow | None) -> None:
    if whole is None or whole.answer is None:
        return
    screen, seen = call.screen, Seen(whole)
    model = (seen.message or {}).get("model") or job.model
    cost = whole.attempt.cost if whole.attempt else None
    dot = " · " if screen.utf8 else ", "
    screen.line(f"  stop_reason {dot.join([clean(whole.answer.stop_reason), clean(str(model)), dollars(cost)])}")
    if seen.structured is not None and seen.structured.why is not None:
        before = "does not fit: " if seen.structured.fits is False else ""
        screen.line(f"  {screen.style(clean(f'{before}{seen.structured.why}'), Tone.WARN)}")
    text = seen.text
    if text:
        screen.line()
        screen.line(clean(text[:TEXT].strip("\n"), lines=True))
        if len(text) > TEXT:
            run = clean(word(job.run_name))
            screen.line(
                f"{_dots(screen)} {len(text) - TEXT:,} more characters: batchrun results {run} -s {_by_id(job.key)}"
            )


def _by_id(key: str) -> str:
    """A selection of this job alone, as a word for the shell."""
    value = key if re.fullmatch(r"[\w.:/@+=-]+", key) else '"' + re.sub(r'(["\\*?])', r"\\\1", key) + '"'
    return word(f"id:{value}")


def _record(
    job: JobRow,
    tried: Sequence[AttemptRow],
    whole: ResultRow | None,
    body: str,
    aside: ResultRow | None,
    stops: Mapping[int, str],
) -> dict[str, Any]:
    import json

    metadata = whole.metadata if whole else None
    return {
        "id": job.key,
        "run": {"id": f"r-{job.run}", "name": job.run_name},
        "state": "sent" if job.state in OUT else job.state.value,
        "file": job.file,
        "line": job.line,
        "model": job.model,
        "tries": job.tries,
        "due": at(job.due),
        "error": job.error,
        "finished": at(job.finished),
        "attempts": [{**attempt_record(one), "stop_reason": stops.get(one.n)} for one in tried],
        "result": _result_record(whole, whole.attempt.n if whole is not None and whole.attempt is not None else None),
        "aside": _result_record(aside, max(stops, default=None)),
        "request": json.loads(body),
        "tags": list(whole.tags) if whole else [],
        "metadata": json.loads(metadata) if metadata is not None else None,
    }


def _result_record(whole: ResultRow | None, n: int | None) -> dict[str, Any] | None:
    if whole is None or whole.answer is None:
        return None
    seen = Seen(whole)
    return {
        "attempt": n,
        "stop_reason": whole.answer.stop_reason,
        "received": at(whole.answer.received),
        "message": seen.message,
        "json": seen.json,
        "valid": seen.structured.fits if seen.structured else None,
        "why_invalid": seen.structured.why if seen.structured else None,
    }
